//! What hwgen tells a user about a wrong input: a stable code, the place, what disagrees, and one help line.
//!
//! A stage collects all its faults in [`Diagnostics`] and stops at its end; nothing here prints or exits.

mod closest;
mod code;

pub use closest::{closest, with_closest};
pub use code::Code;

use serde::Serialize;
use std::fmt;

/// Where a fault is. Every part is optional; lines and columns count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// File name as the user gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// Layer of the plan or node of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
}

impl Place {
    /// A place that is a whole file.
    pub fn file(name: impl Into<String>) -> Self {
        Place { file: Some(name.into()), ..Place::default() }
    }

    /// A place that is a layer or node.
    pub fn layer(name: impl Into<String>) -> Self {
        Place { layer: Some(name.into()), ..Place::default() }
    }

    /// The same place, in a named layer.
    pub fn in_layer(mut self, name: impl Into<String>) -> Self {
        self.layer = Some(name.into());
        self
    }

    /// The same place, in a file, unless it already names one.
    pub fn in_file(mut self, name: &str) -> Self {
        self.file.get_or_insert_with(|| name.to_owned());
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = false;
        if let Some(file) = &self.file {
            write!(f, "{file}")?;
            written = true;
        }
        if let Some(line) = self.line {
            write!(f, "{}{line}", if written { ":" } else { "line " })?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
            written = true;
        }
        if let Some(layer) = &self.layer {
            write!(f, "{}layer {layer}", if written { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// A value together with where the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> At<T> {
    /// A value that stands at `place`.
    pub fn new(value: T, place: Place) -> Self {
        At { value, place }
    }
}

/// One fault of a user's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code.
    pub code: Code,
    /// Where it is.
    pub place: Place,
    /// What is wrong, with the values that disagree.
    pub message: String,
    /// One line that says what to do.
    pub help: String,
}

impl Diagnostic {
    /// A fault with all its parts.
    pub fn new(code: Code, place: Place, message: impl Into<String>, help: impl Into<String>) -> Self {
        Diagnostic { code, place, message: message.into(), help: help.into() }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        let place = self.place.to_string();
        if !place.is_empty() {
            write!(f, "\n  --> {place}")?;
        }
        write!(f, "\n  help: {}", self.help)
    }
}

/// All faults that a stage found; never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one fault.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Takes over all faults of `other`.
    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    /// `Ok(value)` when there is no fault, else all faults in the order of their places.
    pub fn or<T>(mut self, value: T) -> Result<T, Diagnostics> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|d| (d.place.line.unwrap_or(u64::MAX), d.place.column.unwrap_or(0)));
        Err(self)
    }

    /// The same faults, each with a file name where it had none.
    pub fn in_file(mut self, name: &str) -> Self {
        for diagnostic in &mut self.0 {
            diagnostic.place = std::mem::take(&mut diagnostic.place).in_file(name);
        }
        self
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
