# Synthesis, place and route of {top} in Vivado, run in the design's folder:
#
#   vivado -mode batch -source synth/vivado.tcl -tclargs PART
#       out of context: area and timing, no pins
#   vivado -mode batch -source synth/vivado.tcl -tclargs PART TOP PINS.xdc FILE.v...
#       on a board: TOP is a module of the given files that instantiates {top}; a bitstream is written
#
# Reports go to synth/vivado/.
if {[llength $argv] < 1} { puts stderr "vivado.tcl: which part? see the head of the script"; exit 2 }
set part [lindex $argv 0]
set board [expr {[llength $argv] > 1}]
if {[llength [get_parts -quiet $part]] == 0} { puts stderr "vivado.tcl: this Vivado has no part $part"; exit 2 }
file mkdir synth/vivado
read_verilog [glob rtl/*.v]
if {$board} {
    if {[llength $argv] < 4} { puts stderr "vivado.tcl: a board needs TOP, PINS.xdc and the files of TOP"; exit 2 }
    read_verilog [lrange $argv 3 end]
    read_xdc [lindex $argv 2]
    synth_design -top [lindex $argv 1] -part $part -verilog_define SYNTHESIS
} else {
    read_xdc constraints/{top}.xdc
    synth_design -top {top} -part $part -mode out_of_context -verilog_define SYNTHESIS
}
opt_design
place_design
phys_opt_design
route_design
report_utilization -hierarchical -file synth/vivado/utilization.rpt
report_timing_summary -file synth/vivado/timing.rpt
if {$board} { write_bitstream -force synth/vivado/[lindex $argv 1].bit }
set slack [get_property SLACK [get_timing_paths -max_paths 1 -nworst 1 -setup]]
puts "{top}: worst setup slack $slack ns"
if {$slack ne "" && $slack < 0} { puts stderr "vivado.tcl: the clock is not met"; exit 1 }
