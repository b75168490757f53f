//! Element types of a model's tensors: integer codes differ in their type alone.

use super::{Attribute, Model, Node, ValueId};
use std::fmt;

/// The type of a tensor's elements, by ONNX's `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// A floating-point type.
    Float,
    /// An integer of so many bits.
    Integer { bits: u32, signed: bool },
    /// Another type, by its number.
    Other(i32),
}

impl Element {
    /// Unsigned 8 bits, what QuantizeLinear makes where nothing says otherwise.
    pub const U8: Element = Element::Integer { bits: 8, signed: false };

    /// The type of an ONNX number; 0 is none.
    pub fn of_onnx(number: i32) -> Option<Self> {
        let integer = |bits, signed| Element::Integer { bits, signed };
        Some(match number {
            0 => return None,
            1 | 10 | 11 | 16 => Element::Float,
            2 => integer(8, false),
            3 => integer(8, true),
            4 => integer(16, false),
            5 => integer(16, true),
            6 => integer(32, true),
            7 => integer(64, true),
            12 => integer(32, false),
            13 => integer(64, false),
            21 => integer(4, false),
            22 => integer(4, true),
            25 => integer(2, false),
            26 => integer(2, true),
            other => Element::Other(other),
        })
    }

    /// Least and greatest integer of a type of at most 32 bits.
    pub fn limits(self) -> Option<(i64, i64)> {
        match self {
            Element::Integer { bits, signed: false } if bits <= 32 => Some((0, (1 << bits) - 1)),
            Element::Integer { bits, signed: true } if bits <= 32 => Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
            _ => None,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Float => f.write_str("float"),
            Element::Integer { bits, signed } => write!(f, "{}int{bits}", if *signed { "" } else { "u" }),
            Element::Other(number) => write!(f, "element type {number}"),
        }
    }
}

impl Model {
    /// The element type of a tensor, where it is known.
    pub fn element(&self, id: ValueId) -> Option<Element> {
        self.elements.get(&id).copied()
    }

    /// Fills in the types of what nodes make, in their order of computation.
    pub(super) fn infer_elements(&mut self) {
        for node in &self.nodes {
            let Some(&output) = node.outputs.first() else { continue };
            if let Some(element) = made(node, &|id| self.elements.get(&id).copied()) {
                self.elements.insert(output, element);
            }
        }
    }
}

/// The type that a node makes; `None` where nothing tells.
fn made(node: &Node, known: &dyn Fn(ValueId) -> Option<Element>) -> Option<Element> {
    let input = |index: usize| node.inputs.get(index).copied().flatten().and_then(known);
    let declared = |name: &str| {
        let number = node.attributes.int(name, 0).ok()?;
        Element::of_onnx(i32::try_from(number).ok()?)
    };
    match node.op.as_str() {
        "Constant" => match node.attributes.get("value_float").or(node.attributes.get("value_floats")) {
            Some(_) => Some(Element::Float),
            None if matches!(node.attributes.get("value"), Some(Attribute::Tensor(_))) => node.constant_element,
            None => Element::of_onnx(7),
        },
        "QuantizeLinear" => input(2).or_else(|| declared("output_dtype")).or(Some(Element::U8)),
        "DequantizeLinear" => Some(Element::Float),
        "Cast" => declared("to"),
        "QLinearConv" | "QLinearMatMul" => input(7),
        "QGemm" => node.inputs.get(8).copied().flatten().map_or(Some(Element::Float), known),
        "QLinearConcat" => input(1),
        "ConvInteger" | "MatMulInteger" => Element::of_onnx(6),
        "MatMulIntegerToFloat" => Some(Element::Float),
        _ => input(0),
    }
}
