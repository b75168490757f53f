//! Quantizers on streams: they close layers.

mod curved;
mod target;

use super::stream::{Base, Pooled, Stream, entry, widen};
use super::{Walk, codes};
use crate::curve::Curve;
use crate::exact::{Functions, Piece, integer, to_f64, to_i64};
use crate::fault::{Checked, Fault};
use crate::model::Node;
use crate::quantization::{Quantizer, Stairs};
use crate::solve::{Channel, Solved, collapse, solve};
use network::Range;
use network::format::Kind;
use network::graph::{Encoding, Tensor, TensorId};
use network::op::Op;
use network::requantization::{Form, RealRule, Requantization, Shift};
use num_traits::{Signed, Zero};
use std::sync::Arc;
use target::Target;

impl Walk<'_> {
    /// Applies a quantizer to a stream: codes of a finished tensor come out.
    pub(super) fn quantize(&mut self, mut stream: Stream, quantizer: &Quantizer, node: &Node) -> Checked<Stream> {
        stream.check_host(&node.op)?;
        let target = Target::new(&stream, quantizer)?;
        let pooled = stream.pooled.take();
        let id = match (&stream.base, &pooled) {
            (Base::Input(input), _) => self.quantize_input(*input, &stream, pooled.as_ref(), &target)?,
            (Base::Tensor(id), None) => self.requantize(*id, &stream, &target, node)?,
            (Base::Tensor(id), Some(pooled)) if pooled.falls => {
                // Quantizing first would turn the maximum into a minimum: the values themselves are pooled.
                let (id, function) = self.pool_values(*id, pooled)?;
                self.requantize(id, &Stream { function, ..stream.clone() }, &target, node)?
            }
            (Base::Tensor(id), Some(pooled)) => {
                let id = self.requantize(*id, &stream, &target, node)?;
                self.pool_codes(id, Some(pooled))?
            }
            (Base::Joined(parts), _) => self.requantize_parts(&stream, parts, &target, node)?,
        };
        stream.base = Base::Tensor(id);
        stream.function = target.reals;
        stream.curve = None;
        Ok(stream)
    }

    /// Pools a finished tensor through all waiting windows.
    pub(super) fn pool_codes(&mut self, mut id: TensorId, pooled: Option<&Pooled>) -> Checked<TensorId> {
        for window in pooled.iter().flat_map(|pooled| &pooled.windows) {
            let from = self.tensor(id).shape;
            let shape = super::pool::output_shape(window, from, from.channels)?;
            let origin = pooled.map_or(String::new(), |pooled| pooled.origin.clone());
            id = self.add_pool(id, *window, shape, &origin);
        }
        Ok(id)
    }

    /// Pools values that mean real numbers by `pooled.before`, and gives the function of what leaves. Channels that fall
    /// are negated before.
    pub(super) fn pool_values(&mut self, id: TensorId, pooled: &Pooled) -> Checked<(TensorId, Functions)> {
        if pooled.is_bent {
            return Err(Fault::operator(
                "pooled results of an activation function that no quantizer follows directly",
                "put a Quant before the MaxPool",
            ));
        }
        let mut before = pooled.before.clone();
        widen(&mut before, self.tensor(id).shape.channels as usize);
        let id = self.rising(id, &mut before, &pooled.origin)?;
        let id = self.pool_codes(id, Some(pooled))?;
        let mut after = pooled.after.clone();
        widen(&mut after, before.len());
        let composed = before.into_iter().zip(&after).map(|(mut piece, after)| {
            piece.then_affine(&after.gain, &after.offset);
            piece.then_clamp(after.low.as_ref(), after.high.as_ref());
            piece
        });
        Ok((id, composed.collect()))
    }

    /// A requantization of a tensor with the stream's meaning, in a layer of its own unless it changes nothing.
    fn requantize(&mut self, id: TensorId, meaning: &Stream, target: &Target, node: &Node) -> Checked<TensorId> {
        let Tensor { shape, encoding } = *self.tensor(id);
        let requantization = match &meaning.curve {
            None => target.requantization(&meaning.function, &self.ranges(id))?,
            Some(curve) => target.curved(curve, &self.ranges(id))?,
        };
        if is_identity(&requantization, encoding) {
            return Ok(id);
        }
        let tensor = Tensor { shape, encoding: codes(requantization.output, requantization.codes) };
        Ok(self.add_layer("quant", vec![id], Op::Identity, Some(requantization), tensor, &node.name))
    }

    /// Requantizes the parts of a concatenation, then joins them.
    fn requantize_parts(
        &mut self,
        stream: &Stream,
        parts: &[TensorId],
        target: &Target,
        node: &Node,
    ) -> Checked<TensorId> {
        let mut first = 0;
        let mut made = Vec::with_capacity(parts.len());
        for &id in parts {
            let count = self.tensor(id).shape.channels as usize;
            let function = match stream.function.as_slice() {
                [piece] => vec![piece.clone()],
                pieces => pieces.iter().skip(first).take(count).cloned().collect(),
            };
            let curve = stream.curve.as_ref().map(|curve| match curve.channels() {
                1 => Arc::clone(curve),
                _ => Arc::new(Curve::Channels(Arc::clone(curve), Arc::new((first..first + count).collect()))),
            });
            let meaning = Stream { function, curve, ..stream.clone() };
            made.push(self.requantize(id, &meaning, &target.channels(first, count), node)?);
            first += count;
        }
        self.join_tensors(made, stream.shape, &node.name)
    }

    /// Clamps codes where a Relu or Clip stands between a quantizer and the layer that reads them.
    pub(super) fn clamp_codes(&mut self, id: TensorId, stream: &mut Stream, reader: &str) -> Checked<TensorId> {
        let Tensor { shape, encoding } = *self.tensor(id);
        let refuse = |why: &str| {
            Fault::quantizer(
                format!("`{reader}` reads codes that a Relu or Clip has changed: {why}"),
                "put a Quant after the Relu or Clip",
            )
        };
        let Encoding::Codes { format, range } = encoding else { return Err(refuse("they are sums")) };
        let mut clamps = Vec::new();
        for piece in &stream.function {
            let mut clamp = (range.min(), range.max());
            let falls = piece.gain.is_negative();
            for (bound, is_lower) in [(&piece.low, !falls), (&piece.high, falls)] {
                let Some(bound) = bound else { continue };
                if piece.gain.is_zero() {
                    return Err(refuse("a channel is constant"));
                }
                let value = (bound - &piece.offset) / &piece.gain;
                let end = integer(format.value(if is_lower { range.min() } else { range.max() }));
                if (is_lower && value <= end) || (!is_lower && value >= end) {
                    continue;
                }
                let code = to_i64(&value).and_then(|value| format.code(value));
                let code = code.ok_or_else(|| refuse("its bound is no code"))?;
                if is_lower { clamp.0 = clamp.0.max(code) } else { clamp.1 = clamp.1.min(code) }
            }
            clamps.push(clamp);
        }
        let clamp = clamps[0];
        if clamps.iter().any(|other| *other != clamp) || clamp.0 > clamp.1 {
            return Err(refuse("its bounds differ between channels"));
        }
        for piece in &mut stream.function {
            (piece.low, piece.high) = (None, None);
        }
        if clamp == (range.min(), range.max()) {
            return Ok(id);
        }
        // A bipolar value X is the code (X + 2^M - 1) / 2.
        let (offset, shift) = if format.kind() == Kind::Bipolar { ((1i64 << format.bits()) - 1, 1) } else { (0, 0) };
        let form = Form::Shift(Shift { multipliers: vec![1], offsets: vec![offset], shift, half_even: false });
        let clamped = Range::new(clamp.0, clamp.1);
        let requantization = Requantization { output: format, codes: clamped, form, rule: None };
        let tensor = Tensor { shape, encoding: codes(format, clamped) };
        Ok(self.add_layer("quant", vec![id], Op::Identity, Some(requantization), tensor, reader))
    }

    /// The network's own quantizer, evaluated on the host.
    fn quantize_input(
        &mut self,
        input: usize,
        stream: &Stream,
        pooled: Option<&Pooled>,
        target: &Target,
    ) -> Checked<TensorId> {
        if stream.curve.is_some() {
            return Err(Fault::quantizer(
                "the network's input goes through an activation function before its quantizer",
                "put a Quant on the input",
            ));
        }
        let quantizer = target.input_quantizer(&stream.function)?;
        let range = Range::new(quantizer.code_min, quantizer.code_max);
        let format = target.format(range)?;
        let own = Some((format, Some(quantizer)));
        if self.input_formats[input].is_some() && self.input_formats[input] != own {
            return Err(Fault::quantizer(
                "two different quantizers read the network's input",
                "put one Quant on the input, and others behind it",
            ));
        }
        self.input_formats[input] = own;
        self.tensors[input].encoding = codes(format, range);
        if pooled.is_some_and(|pooled| pooled.falls || pooled.before.iter().any(|piece| piece.gain.is_negative())) {
            return Err(Fault::operator("the input is negated and pooled before its quantizer", "put the Quant first"));
        }
        self.pool_codes(TensorId(input), pooled)
    }
}

/// Whether a requantization gives back every code that can occur.
fn is_identity(requantization: &Requantization, encoding: Encoding) -> bool {
    let Encoding::Codes { format, range } = encoding else { return false };
    let Form::Shift(shift) = &requantization.form else { return false };
    let same = |code: i64| {
        let made = shift.unclamped(0, format.value(code));
        made.clamp(requantization.codes.min(), requantization.codes.max()) == code
    };
    requantization.output == format
        && shift.multipliers.len() == 1
        && shift.offsets.len() == 1
        && (range.min()..=range.max()).all(same)
}

impl Target {
    /// The requantization of sums with a function for each channel; one range for each channel, or one for all.
    fn requantization(&self, function: &[Piece], sums: &[Range]) -> Checked<Requantization> {
        let count = function.len().max(sums.len()).max(self.numbers.len()).max(self.stairs.len());
        // A vector with one entry only is enough where every part is the same for all channels.
        let composed: Vec<Piece> = (0..count)
            .map(|channel| {
                let mut piece = entry(function, channel).clone();
                let (gain, offset) = entry(&self.numbers, channel);
                piece.then_affine(gain, offset);
                piece
            })
            .collect();
        let stairs = self.bounded_stairs(&composed, sums)?;
        let channels: Vec<Channel> = composed
            .iter()
            .enumerate()
            .map(|(channel, piece)| Channel {
                piece: piece.clone(),
                stairs: std::rc::Rc::clone(entry(&stairs, channel)),
                sums: *entry(sums, channel),
            })
            .collect();
        let Solved { codes, form } = solve(&channels)?;
        let rule = self.stated_rule(&composed).or_else(|| real_rule(&channels));
        let output = self.format(codes)?;
        Ok(Requantization { output, codes, form, rule })
    }
}

impl Target {
    /// The rule in double precision where the quantizer states its steps.
    fn stated_rule(&self, composed: &[Piece]) -> Option<RealRule> {
        if self.steps.is_empty() {
            return None;
        }
        let mut rule = RealRule { gains: Vec::new(), offsets: Vec::new() };
        for (channel, piece) in composed.iter().enumerate() {
            let (gain, offset) = entry(&self.steps, channel);
            rule.gains.push(gain * to_f64(&piece.gain));
            rule.offsets.push(gain * to_f64(&piece.offset) + offset);
        }
        Some(RealRule { gains: collapse(rule.gains), offsets: collapse(rule.offsets) })
    }
}

/// The rule in double precision, in code steps with boundaries halfway between codes.
fn real_rule(channels: &[Channel]) -> Option<RealRule> {
    let mut rule = RealRule { gains: Vec::new(), offsets: Vec::new() };
    for channel in channels {
        let Stairs::Steps(steps) = &*channel.stairs else { return None };
        if steps.truncation.is_some() {
            return None;
        }
        rule.gains.push(to_f64(&channel.piece.gain));
        rule.offsets.push(to_f64(&(&channel.piece.offset + steps.centre())));
    }
    Some(RealRule { gains: collapse(rule.gains), offsets: collapse(rule.offsets) })
}
