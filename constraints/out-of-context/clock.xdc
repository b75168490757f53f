# Clock of {top}, for synthesis out of context.
create_clock -name aclk -period {period_ns} [get_ports aclk]
