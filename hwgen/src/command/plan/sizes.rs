//! What a plan's numbers take: weights alone, with region tags, with the constants that make codes of sums; activations.

use crate::command::allocate::amount;
use network::Network;
use network::graph::{Encoding, Tensor};
use network::requantization::Form;
use serde_json::{Value, json};

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Codes of weights.
    pub payload: f64,
    /// With region tags.
    pub with_tags: f64,
    /// With multipliers and offsets, or thresholds, of all layers, each as wide as its widest.
    pub with_constants: f64,
    /// Weights and activations in float32.
    pub float: [f64; 2],
    /// Codes of the inputs and of all results that are codes, for a frame.
    pub activations: f64,
}

impl Sizes {
    /// Of a network.
    pub fn of(network: &Network) -> Sizes {
        let (mut payload, mut tags, mut constants, mut parameters) = (0, 0, 0, 0);
        let (mut elements, mut activations) = (0, 0);
        let mut count = |tensor: &Tensor| {
            if let Encoding::Codes { format, .. } = tensor.encoding {
                elements += tensor.shape.elements();
                activations += tensor.shape.elements() * u64::from(format.bits());
            }
        };
        network.input_tensors().iter().for_each(&mut count);
        (0..network.layers().len()).for_each(|index| count(network.layer_output(index)));
        for layer in network.layers() {
            if let Some(weights) = layer.op.weights() {
                let bits = weights.stored_bits();
                (payload, tags) = (payload + bits.payload, tags + bits.tags);
                parameters += weights.values.len() as u64;
            }
            constants += layer.requantization.as_ref().map_or(0, |own| constant_bits(&own.form));
        }
        let bytes = |bits: u64| bits as f64 / 8.0;
        Sizes {
            payload: bytes(payload),
            with_tags: bytes(payload + tags),
            with_constants: bytes(payload + tags + constants),
            float: [4.0 * parameters as f64, 4.0 * elements as f64],
            activations: bytes(activations),
        }
    }

    /// As JSON; the field names are stable.
    pub fn json(&self) -> Value {
        json!({
            "weights": self.payload,
            "with_tags": self.with_tags,
            "with_constants": self.with_constants,
            "activations": self.activations,
            "float_weights": self.float[0],
            "float_activations": self.float[1],
        })
    }

    /// As one line.
    pub fn text(&self) -> String {
        let ratio = |float: f64, own: f64| amount((float / own.max(1e-9) * 100.0).round() / 100.0);
        format!(
            "bytes: weights {}, with tags {}, with constants of requantization {} (float {}, {} times the weights); activations {} (float {}, {} times)\n",
            amount(self.payload),
            amount(self.with_tags),
            amount(self.with_constants),
            amount(self.float[0]),
            ratio(self.float[0], self.payload),
            amount(self.activations),
            amount(self.float[1]),
            ratio(self.float[1], self.activations),
        )
    }
}

/// Bits of the constants of a rule, each list as wide as its widest number.
fn constant_bits(form: &Form) -> u64 {
    let list = |numbers: &[i64]| {
        let widest = numbers.iter().map(|&n| 65 - u64::from((if n < 0 { !n } else { n }).leading_zeros())).max();
        numbers.len() as u64 * widest.unwrap_or(0)
    };
    match form {
        Form::Shift(shift) => list(&shift.multipliers) + list(&shift.offsets),
        Form::Thresholds(thresholds) => list(&thresholds.values),
        Form::Table(table) => list(&table.values) + list(&table.codes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::requantization::Shift;

    /// -4 to 3 are three bits, 5 is four with its sign.
    #[test]
    fn constants_are_as_wide_as_their_widest() {
        let shift = |multipliers: Vec<i64>, offsets: Vec<i64>| {
            constant_bits(&Form::Shift(Shift { multipliers, offsets, shift: 3, half_even: false }))
        };
        assert_eq!(shift(vec![3, -4], vec![5]), 2 * 3 + 4);
        assert_eq!(shift(vec![], vec![0, 0, 0]), 3);
    }
}
