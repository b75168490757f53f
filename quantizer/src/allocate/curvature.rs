//! What is known of a loss's second derivatives from its gradients.
//!
//! Gradients come in as a function of a vector; products of the Hessian with a vector are differences of gradients.
//! Traces are Hutchinson's, largest eigenvalues come from power iteration, and [`quasi_newton`] keeps an approximation
//! while the point moves.

mod probe;
pub mod quasi_newton;

pub use probe::{Eigenvalue, Product, Trace, largest_eigenvalue, trace};

/// The inner product.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
