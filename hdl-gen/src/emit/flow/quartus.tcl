# Compilation of {top} in Quartus, run in the design's folder:
#
#   quartus_sh -t synth/quartus.tcl FAMILY DEVICE
#       in the harness of shift registers (synth/{top}_harness.v): area and timing with five pins, which Quartus places
#   quartus_sh -t synth/quartus.tcl FAMILY DEVICE TOP PINS.tcl FILE.v...
#       on a board: TOP is a module of the given files that instantiates {top}; PINS.tcl has set_location_assignment lines
#
# Reports go to synth/quartus/.
package require ::quartus::project
package require ::quartus::flow
if {[llength $quartus(args)] < 2} { puts stderr "quartus.tcl: which family and device? see the head of the script"; exit 2 }
set board [expr {[llength $quartus(args)] > 2}]
if {$board && [llength $quartus(args)] < 5} { puts stderr "quartus.tcl: a board needs TOP, PINS.tcl and the files of TOP"; exit 2 }
set top [expr {$board ? [lindex $quartus(args) 2] : "{top}_harness"}]
project_new {top} -overwrite
set_global_assignment -name FAMILY [lindex $quartus(args) 0]
set_global_assignment -name DEVICE [lindex $quartus(args) 1]
set_global_assignment -name TOP_LEVEL_ENTITY $top
set_global_assignment -name VERILOG_MACRO SYNTHESIS
set_global_assignment -name PROJECT_OUTPUT_DIRECTORY synth/quartus
set_global_assignment -name SDC_FILE constraints/{top}.sdc
foreach file [glob rtl/*.v] { set_global_assignment -name VERILOG_FILE $file }
if {$board} {
    foreach file [lrange $quartus(args) 4 end] { set_global_assignment -name VERILOG_FILE $file }
    source [lindex $quartus(args) 3]
} else {
    set_global_assignment -name VERILOG_FILE synth/{top}_harness.v
}
set failed [catch { execute_flow -compile } message]
project_close
if {$failed} { puts stderr "quartus.tcl: $message"; exit 3 }
