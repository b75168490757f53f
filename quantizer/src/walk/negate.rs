//! Values with another sign, so that their functions rise: what max pooling of values that fall needs.

use super::{Walk, codes};
use crate::constant::narrowest;
use crate::exact::Functions;
use crate::fault::{Checked, Fault};
use crate::solve::collapse;
use network::graph::{Tensor, TensorId};
use network::op::Op;
use network::requantization::{Form, Requantization, Shift};
use network::{Format, Range};
use num_traits::Signed;

impl Walk<'_> {
    /// A tensor whose functions all rise: channels that fall are negated, by the signs of their weights or factors
    /// where their layer has any.
    pub(super) fn rising(&mut self, id: TensorId, functions: &mut Functions, origin: &str) -> Checked<TensorId> {
        let falls: Vec<bool> = functions.iter().map(|piece| piece.gain.is_negative()).collect();
        if !falls.contains(&true) {
            return Ok(id);
        }
        for piece in functions.iter_mut().filter(|piece| piece.gain.is_negative()) {
            *piece = piece.mirrored();
        }
        let Tensor { shape, .. } = *self.tensor(id);
        let negated = |range: Range, falls: bool| if falls { Range::new(-range.max(), -range.min()) } else { range };
        let mut ranges = self.ranges(id);
        super::stream::widen(&mut ranges, falls.len());
        let ranges: Vec<Range> = ranges.into_iter().zip(&falls).map(|(range, &falls)| negated(range, falls)).collect();
        let layer = self.maker(id).and_then(|index| self.layers.get(index)).filter(|l| l.requantization.is_none());
        if let Some((mut op, inputs)) = layer.map(|layer| (layer.op.clone(), layer.inputs.clone())) {
            let is_done = match &mut op {
                Op::Dense { weights } | Op::Conv2d { weights, .. } => {
                    let length = weights.length.max(1);
                    for (row, _) in weights.values.chunks_mut(length).zip(&falls).filter(|(_, falls)| **falls) {
                        row.iter_mut().for_each(|value| *value = -*value);
                    }
                    if weights.values.iter().any(|&value| weights.format.code(i64::from(value)).is_none()) {
                        weights.format = narrowest(&weights.values).ok_or_else(|| {
                            Fault::quantizer("negated weights of more than 16 bits", "use narrower weights")
                        })?;
                    }
                    true
                }
                Op::Add { factors } => {
                    for row in factors.iter_mut() {
                        super::stream::widen(row, falls.len());
                        for (factor, _) in row.iter_mut().zip(&falls).filter(|(_, falls)| **falls) {
                            *factor = -*factor;
                        }
                        *row = collapse(std::mem::take(row));
                    }
                    true
                }
                _ => false,
            };
            if is_done {
                let index = self.maker(id).unwrap_or(0);
                let (kind, origin) = (self.kinds[index], self.origins[index].clone());
                return Ok(self.add_sums(kind, inputs, op, shape, ranges, &origin));
            }
        }
        let range = ranges.into_iter().reduce(Range::union).unwrap_or(Range::new(0, 0));
        let format = Format::integer_for(range).ok_or_else(|| {
            Fault::quantizer(format!("negated values {range} before a MaxPool"), "put a Quant before the MaxPool")
        })?;
        let multipliers = collapse(falls.iter().map(|&falls| if falls { -1 } else { 1 }).collect());
        let form = Form::Shift(Shift { multipliers, offsets: vec![0], shift: 0, half_even: false });
        let requantization = Requantization { output: format, codes: range, form, rule: None };
        let tensor = Tensor { shape, encoding: codes(format, range) };
        Ok(self.add_layer("quant", vec![id], Op::Identity, Some(requantization), tensor, origin))
    }
}
