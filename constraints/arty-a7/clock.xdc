# Arty A7: 100 MHz oscillator, reset button (active low).
set_property -dict { PACKAGE_PIN E3 IOSTANDARD LVCMOS33 } [get_ports aclk]
create_clock -name aclk -period 10.000 [get_ports aclk]
set_property -dict { PACKAGE_PIN C2 IOSTANDARD LVCMOS33 } [get_ports aresetn]
