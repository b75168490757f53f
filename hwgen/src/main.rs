//! hwgen
fn main() {}
