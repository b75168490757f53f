//! plan
mod node;
