//! A fault before its place is known; the walk adds file and node.

use network::{Code, Diagnostic, Place};

/// What is wrong and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub code: Code,
    pub message: String,
    pub help: String,
}

/// A value or a fault.
pub(crate) type Checked<T> = Result<T, Fault>;

impl Fault {
    /// A fault with all its parts.
    pub fn new(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Fault { code, message: message.into(), help: help.into() }
    }

    /// An operator, or a use of one, that cannot be built.
    pub fn operator(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Code::ModelOperator, message, help)
    }

    /// Shapes that disagree.
    pub fn shape(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Code::ModelShape, message, help)
    }

    /// A constant that cannot be used.
    pub fn constant(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Code::ModelConstant, message, help)
    }

    /// A quantizer that makes no sense.
    pub fn quantizer(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Code::ModelQuantizer, message, help)
    }

    /// The fault at a node of a model file.
    pub fn at(self, file: &str, node: &str) -> Diagnostic {
        Diagnostic::new(self.code, Place::file(file).in_layer(node), self.message, self.help)
    }
}
