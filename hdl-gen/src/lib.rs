//! hdl-gen
