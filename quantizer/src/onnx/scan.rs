//! A walk over the wire format that counts parts before anything is allocated.
//!
//! An empty node takes two bytes in a file and some two hundred in memory; this bounds how many there are.

use crate::fault::{Checked, Fault};
use network::Code;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Most length-delimited parts (nodes, attributes, tensors, names, ...) of a model.
const MAX_PARTS: usize = 1_000_000;

/// A message type: the field numbers that hold further messages.
struct Schema(&'static [(u32, &'static Schema)]);

const LEAF: Schema = Schema(&[]);
const SHAPE: Schema = Schema(&[(1, &LEAF)]);
const TENSOR_TYPE: Schema = Schema(&[(2, &SHAPE)]);
const TYPE: Schema = Schema(&[(1, &TENSOR_TYPE)]);
const VALUE_INFO: Schema = Schema(&[(2, &TYPE)]);
const TENSOR: Schema = Schema(&[(13, &LEAF)]);
const ATTRIBUTE: Schema = Schema(&[(5, &TENSOR)]);
const NODE: Schema = Schema(&[(5, &ATTRIBUTE)]);
const ANNOTATION: Schema = Schema(&[(2, &LEAF)]);
const GRAPH: Schema = Schema(&[(1, &NODE), (5, &TENSOR), (11, &VALUE_INFO), (12, &VALUE_INFO), (14, &ANNOTATION)]);
const MODEL: Schema = Schema(&[(7, &GRAPH)]);

/// Checks that a model's wire format is whole and has at most [`MAX_PARTS`] parts.
pub(super) fn check(bytes: &[u8]) -> Checked<()> {
    let mut parts = 0;
    walk(bytes, &MODEL, &mut parts)
}

fn walk(mut bytes: &[u8], schema: &Schema, parts: &mut usize) -> Checked<()> {
    let broken = |what: String| {
        Fault::new(
            Code::ModelSyntax,
            format!("not an ONNX file, or a truncated one: {what}"),
            "export the model again; hwgen reads binary ONNX (protobuf) files",
        )
    };
    while bytes.has_remaining() {
        let (tag, wire) = decode_key(&mut bytes).map_err(|error| broken(error.to_string()))?;
        if wire != WireType::LengthDelimited {
            skip_field(wire, tag, &mut bytes, DecodeContext::default()).map_err(|error| broken(error.to_string()))?;
            continue;
        }
        *parts += 1;
        if *parts > MAX_PARTS {
            return Err(Fault::new(
                Code::ModelSyntax,
                format!("the model has more than {MAX_PARTS} parts"),
                "simplify the model; no network that fits a chip is this large",
            ));
        }
        let length = decode_varint(&mut bytes).map_err(|error| broken(error.to_string()))?;
        let length = usize::try_from(length).ok().filter(|&length| length <= bytes.len());
        let Some(length) = length else {
            return Err(broken("a field is longer than the file".to_owned()));
        };
        let (inner, rest) = bytes.split_at(length);
        if let Some((_, schema)) = schema.0.iter().find(|(field, _)| *field == tag) {
            walk(inner, schema, parts)?;
        }
        bytes = rest;
    }
    Ok(())
}
