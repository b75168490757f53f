# PYNQ-Z2: 125 MHz from the Ethernet PHY, slide switch SW0 as reset (down resets).
set_property -dict { PACKAGE_PIN H16 IOSTANDARD LVCMOS33 } [get_ports aclk]
create_clock -name aclk -period 8.000 [get_ports aclk]
set_property -dict { PACKAGE_PIN M20 IOSTANDARD LVCMOS33 } [get_ports aresetn]
