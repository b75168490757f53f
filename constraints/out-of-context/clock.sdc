# Clock of {top}, for synthesis out of context and static timing analysis.
create_clock -name aclk -period {period_ns} [get_ports aclk]
