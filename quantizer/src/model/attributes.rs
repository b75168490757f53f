//! Attributes of a node, asked for by name and type.

use super::Array;
use crate::fault::{Checked, Fault};
use crate::onnx;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    Float(f32),
    Int(i64),
    Text(String),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Tensor(Result<Array, Fault>),
    /// A graph, or another type that nothing here reads.
    Other,
}

/// All attributes of a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes(Vec<(String, Attribute)>);

impl Attributes {
    /// Takes over decoded attributes; old files name no types, there the field that is set decides.
    pub fn new(wire: Vec<onnx::Attribute>) -> Self {
        Attributes(wire.into_iter().map(|attribute| (attribute.name.clone(), typed(attribute))).collect())
    }

    /// Attributes that a pass made, in place of a model's own.
    pub fn of<S: Into<String>>(pairs: Vec<(S, Attribute)>) -> Self {
        Attributes(pairs.into_iter().map(|(name, attribute)| (name.into(), attribute)).collect())
    }

    /// Adds one.
    pub fn push(&mut self, name: &str, attribute: Attribute) {
        self.0.push((name.to_owned(), attribute));
    }

    /// The same without some of them.
    pub fn without(&self, names: &[&str]) -> Self {
        Attributes(self.0.iter().filter(|(key, _)| !names.contains(&key.as_str())).cloned().collect())
    }

    /// The attribute, where it is there.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// An integer, or `default` where it is absent.
    pub fn int(&self, name: &str, default: i64) -> Checked<i64> {
        match self.get(name) {
            None => Ok(default),
            Some(Attribute::Int(value)) => Ok(*value),
            Some(other) => Err(wrong(name, "an integer", other)),
        }
    }

    /// A finite float, or `default` where it is absent.
    pub fn float(&self, name: &str, default: f32) -> Checked<f32> {
        match self.get(name) {
            None => Ok(default),
            Some(Attribute::Float(value)) if value.is_finite() => Ok(*value),
            Some(Attribute::Float(value)) => {
                Err(Fault::constant(format!("attribute `{name}` is {value}"), "only finite numbers can be built"))
            }
            Some(other) => Err(wrong(name, "a float", other)),
        }
    }

    /// A text, or `default` where it is absent.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> Checked<&'a str> {
        match self.get(name) {
            None => Ok(default),
            Some(Attribute::Text(value)) => Ok(value),
            Some(other) => Err(wrong(name, "a text", other)),
        }
    }

    /// Integers, or `None` where the attribute is absent.
    pub fn ints(&self, name: &str) -> Checked<Option<&[i64]>> {
        match self.get(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(other) => Err(wrong(name, "a list of integers", other)),
        }
    }

    /// Numbers of at least `least` for rows and columns, or `default` where the attribute is absent. Over one axis
    /// (`axes` 1) there is one number, for the columns; rows have 1, or 0 where that is the least.
    pub fn spatial(&self, name: &str, default: u64, least: u64, axes: usize) -> Checked<[u64; 2]> {
        let Some(values) = self.ints(name)? else { return Ok([default; 2]) };
        let numbers: Vec<u64> =
            values.iter().filter_map(|&v| u64::try_from(v).ok().filter(|&v| v >= least && v <= MOST)).collect();
        match (numbers.as_slice(), axes) {
            (&[rows, columns], 2) if values.len() == 2 => Ok([rows, columns]),
            (&[columns], 1) if values.len() == 1 => Ok([least.min(1), columns]),
            _ => Err(Fault::shape(
                format!("attribute `{name}` is {values:?}"),
                format!("{axes} numbers of at least {least} are expected: windows over one or two axes can be built"),
            )),
        }
    }
}

/// Largest number in a window's attributes; keeps sums far from overflow.
const MOST: u64 = 1 << 24;

fn wrong(name: &str, expected: &str, got: &Attribute) -> Fault {
    let got = match got {
        Attribute::Float(_) => "a float",
        Attribute::Int(_) => "an integer",
        Attribute::Text(_) => "a text",
        Attribute::Floats(_) => "a list of floats",
        Attribute::Ints(_) => "a list of integers",
        Attribute::Tensor(_) => "a tensor",
        Attribute::Other => "of another type",
    };
    Fault::operator(format!("attribute `{name}` is {got}, not {expected}"), "export the model again")
}

fn typed(attribute: onnx::Attribute) -> Attribute {
    let kind = match attribute.kind {
        0 if attribute.f.is_some() => 1,
        0 if attribute.i.is_some() => 2,
        0 if attribute.s.is_some() => 3,
        0 if attribute.t.is_some() => 4,
        0 if !attribute.floats.is_empty() => 6,
        0 if !attribute.ints.is_empty() => 7,
        kind => kind,
    };
    match kind {
        1 => Attribute::Float(attribute.f.unwrap_or(0.0)),
        2 => Attribute::Int(attribute.i.unwrap_or(0)),
        3 => Attribute::Text(String::from_utf8_lossy(&attribute.s.unwrap_or_default()).into_owned()),
        4 => Attribute::Tensor(Array::decode(attribute.t.unwrap_or_default())),
        6 => Attribute::Floats(attribute.floats),
        7 => Attribute::Ints(attribute.ints),
        _ => Attribute::Other,
    }
}
