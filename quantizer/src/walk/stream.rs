//! Streams: tensors of data with what their integers mean.

use super::Walk;
use super::activation::{doubles, is_neutral};
use crate::curve::Curve;
use crate::exact::{Exact, Functions, Piece, from_f32, integer, to_f64};
use crate::fault::{Checked, Fault};
use crate::layout::Layout;
use crate::model::ValueId;
use network::graph::{Encoding, HostStep, Tensor, TensorId};
use network::op::Op;
use network::requantization::{Form, Requantization, Shift};
use network::shape::{AxisOrder, Window};
use network::{Range, Shape};
use num_traits::Signed;
use std::sync::Arc;

/// How the network's input is seen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InputPlan {
    /// One position with all elements as channels, in the model's own order.
    Flat,
    /// Rows, columns and channels, of which the model's order is `axes`.
    Image { shape: Shape, axes: AxisOrder },
}

/// Data on the way: integers of `base`, pooled perhaps, and the real number that each means.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub base: Base,
    /// Hardware shape after pooling.
    pub shape: Shape,
    /// How the model sees it.
    pub layout: Layout,
    /// Real number of an integer, for each hardware channel or for all.
    pub function: Functions,
    /// What the integers mean where that is no clamped line; `function` is then the identity.
    pub curve: Option<Arc<Curve>>,
    /// Max pooling that waits for the next quantizer.
    pub pooled: Option<Pooled>,
    /// A last step on the host; nothing but ArgMax and changes of shape may follow.
    pub host: HostStep,
}

/// Where a stream's integers come from.
#[derive(Clone, Debug)]
pub(super) enum Base {
    /// One of the network's inputs before its quantizer: real numbers.
    Input(usize),
    /// A tensor: codes, or sums that the next quantizer closes.
    Tensor(TensorId),
    /// The channels of several tensors one after the other, not yet joined: a quantizer that follows is applied to
    /// each of them.
    Joined(Vec<TensorId>),
}

/// Max pooling of real numbers that are not codes yet.
#[derive(Clone, Debug)]
pub(super) struct Pooled {
    pub windows: Vec<Window>,
    /// The function before the first pool.
    pub before: Functions,
    /// What followed the last pool.
    pub after: Functions,
    /// Whether what followed the first pool falls in some channel, so that quantizing first would turn the maximum
    /// into a minimum.
    pub falls: bool,
    /// Whether a curve comes before or after.
    pub is_bent: bool,
    /// Node of the last pool.
    pub origin: String,
}

impl Stream {
    /// A finished tensor as the model's (1, channels, rows, columns), or another layout.
    pub fn of_tensor(id: TensorId, tensor: &Tensor, layout: Layout, function: Functions) -> Self {
        Stream {
            base: Base::Tensor(id),
            shape: tensor.shape,
            layout,
            function,
            curve: None,
            pooled: None,
            host: HostStep::None,
        }
    }

    /// Number of hardware channels.
    pub fn channels(&self) -> usize {
        self.shape.channels as usize
    }

    /// Follows with x -> gain * x + offset, one pair for each channel or one for all.
    pub fn then_affine(&mut self, pairs: &[(Exact, Exact)]) {
        let apply = |functions: &mut Functions| {
            widen(functions, pairs.len());
            for (index, piece) in functions.iter_mut().enumerate() {
                let (gain, offset) = &pairs[if pairs.len() == 1 { 0 } else { index }];
                piece.then_affine(gain, offset);
            }
        };
        match self.curve.take() {
            Some(curve) if pairs.iter().all(is_neutral) => self.curve = Some(curve),
            Some(curve) => self.curve = Some(Arc::new(Curve::Affine(curve, doubles(pairs)))),
            None => apply(&mut self.function),
        }
        if let Some(pooled) = &mut self.pooled {
            apply(&mut pooled.after);
            pooled.falls |= pairs.iter().any(|(gain, _)| gain.is_negative());
        }
    }

    /// Follows with a clamp.
    pub fn then_clamp(&mut self, low: Option<&Exact>, high: Option<&Exact>) {
        let after = self.pooled.as_mut().map(|pooled| &mut pooled.after);
        if let Some(curve) = self.curve.take() {
            let bound = |bound: Option<&Exact>, none: f64| bound.map_or(none, to_f64);
            self.curve = Some(Arc::new(Curve::Clamp(curve, bound(low, f64::NEG_INFINITY), bound(high, f64::INFINITY))));
            after.into_iter().flatten().for_each(|piece| piece.then_clamp(low, high));
            return;
        }
        for piece in self.function.iter_mut().chain(after.into_iter().flatten()) {
            piece.then_clamp(low, high);
        }
    }

    /// Refuses constants whose exact products have grown out of all proportion.
    pub fn check_precision(&self) -> Checked<()> {
        let bits = |number: &Exact| number.numer().bits() + number.denom().bits();
        match self.function.iter().map(|piece| bits(&piece.gain).max(bits(&piece.offset))).max() {
            Some(most) if most > MAX_PRECISION_BITS => Err(Fault::operator(
                format!("the exact constants between two quantizers take {most} bits"),
                "fold the chain of operators before export, or put a Quant between",
            )),
            _ if self.curve.as_ref().is_some_and(|curve| curve.weight() > MAX_CURVE) => Err(Fault::operator(
                format!("more than {MAX_CURVE} operators between an activation function and the next quantizer"),
                "put a Quant between",
            )),
            _ => Ok(()),
        }
    }

    /// Whether only a quantizer can make it codes: an activation function came last.
    pub fn waits_for_quantizer(&self) -> bool {
        self.curve.is_some() || self.host != HostStep::None
    }

    /// Refuses an operator after a step that stays on the host.
    pub fn check_host(&self, op: &str) -> Checked<()> {
        let shapes_only = matches!(
            op,
            "Flatten" | "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" | "ArgMax" | "TopK"
        );
        if self.host == HostStep::None || shapes_only {
            return Ok(());
        }
        Err(Fault::operator(
            format!("`{op}` follows {:?}, which only the host computes", self.host),
            "Sigmoid and Softmax can only end a network",
        ))
    }
}

/// Most nodes of a curve.
const MAX_CURVE: usize = 256;

/// Most bits of an exact constant; a batch norm takes some six hundred.
const MAX_PRECISION_BITS: u64 = 8_000;

/// Repeats a single entry to `count` entries.
pub(super) fn widen<T: Clone>(entries: &mut Vec<T>, count: usize) {
    if let [entry] = entries.as_slice() {
        *entries = vec![entry.clone(); count.max(1)];
    }
}

/// The entry of a channel in a vector with one for each channel, or one for all.
pub(super) fn entry<T>(entries: &[T], channel: usize) -> &T {
    &entries[if entries.len() == 1 { 0 } else { channel }]
}

/// The codes that an input of an integer type is.
fn integer_input(model: &crate::model::Model, input: ValueId) -> Option<crate::import::InputGrid> {
    let element = model.element(input)?;
    let (low, high) = element.limits().filter(|_| element != crate::model::Element::Float)?;
    let format = network::Format::integer_for(Range::new(low, high))?;
    Some(crate::import::InputGrid { format, scale: 1.0, zero_point: 0 })
}

impl Walk<'_> {
    /// The stream that one of the network's inputs is; they are asked for in their order.
    pub(super) fn input_stream(&mut self, input: usize, plan: InputPlan) -> Checked<Stream> {
        let own = &self.model.inputs[input];
        let (dims, batch) = own.frame()?;
        if batch > 1 && self.batch != batch {
            self.notes.push(format!("the model's fixed batch of {batch} was taken as one frame at a time"));
        }
        self.batch = self.batch.max(batch);
        let elements = dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim));
        let flat = elements.and_then(|elements| Shape::new(1, 1, elements));
        let flat =
            flat.ok_or_else(|| Fault::shape(format!("the input's shape {dims:?} is too large"), "use smaller frames"))?;
        let (shape, layout) = match plan {
            InputPlan::Flat => (flat, Layout::row_major(&dims)),
            InputPlan::Image { shape, axes: AxisOrder::ChannelsFirst } => {
                (shape, Layout::channels_first(shape).reshape(&dims)?)
            }
            InputPlan::Image { shape, axes: AxisOrder::ChannelsLast } => {
                (shape, Layout::channels_last(shape).reshape(&dims)?)
            }
        };
        let mut stream = Stream {
            base: Base::Input(input),
            shape,
            layout,
            function: vec![Piece::identity()],
            curve: None,
            pooled: None,
            host: HostStep::None,
        };
        let range = Range::new(0, 0);
        let placeholder = network::Format::unsigned(8).map(|format| super::codes(format, range));
        self.tensors.extend(placeholder.map(|encoding| Tensor { shape, encoding }));
        if let Some(grid) = self.options.input.or_else(|| integer_input(self.model, own.id)) {
            let step = from_f32(grid.scale).filter(|scale| scale.is_positive());
            let step = step.ok_or_else(|| {
                Fault::quantizer(format!("input scale {}", grid.scale), "it must be positive and finite")
            })?;
            let range = grid.format.code_range();
            self.tensors[input].encoding = super::codes(grid.format, range);
            let bipolar = grid.format.kind() == network::format::Kind::Bipolar;
            // A bipolar code q means 2 q - (2^M - 1).
            let (scale, zero_point) = if bipolar {
                (2.0 * grid.scale, grid.format.value(0).unsigned_abs() as f32 / 2.0)
            } else {
                (grid.scale, grid.zero_point as f32)
            };
            let quantizer = network::graph::InputQuantizer {
                scale,
                zero_point,
                rounding: network::rounding::Rounding::HalfEven,
                code_min: range.min(),
                code_max: range.max(),
                rounds_first: false,
            };
            self.input_formats[input] = Some((grid.format, Some(quantizer)));
            stream.base = Base::Tensor(TensorId(input));
            let offset = if bipolar { integer(0) } else { -&step * integer(grid.zero_point) };
            stream.function = vec![Piece::affine(step, offset)];
        }
        Ok(stream)
    }

    /// A stream that is the tensor of codes that a layer can read, with affine functions.
    pub(super) fn settle(&mut self, stream: Stream, reader: &str) -> Checked<(TensorId, Stream)> {
        let (id, stream) = self.affine(stream, reader)?;
        let Encoding::Sums { .. } = self.tensor(id).encoding else { return Ok((id, stream)) };
        let made_by = self.maker(id).and_then(|index| self.layers.get(index));
        // Sums of few codes are codes of a wider format.
        if made_by.is_some_and(|layer| layer.op.weights().is_none())
            && let Some(id) = self.narrow(id, reader)
        {
            return Ok((id, Stream { base: Base::Tensor(id), ..stream }));
        }
        let origin = self.maker(id).and_then(|index| self.origins.get(index)).map_or("", String::as_str);
        Err(Fault::quantizer(
            format!("`{reader}` reads the sums of `{origin}`; no quantizer stands between"),
            "put a Quant (or MultiThreshold) after every layer but the last",
        ))
    }

    /// A stream that is one tensor of codes or sums, pooled already, with affine functions.
    pub(super) fn affine(&mut self, stream: Stream, reader: &str) -> Checked<(TensorId, Stream)> {
        let (id, mut stream) = self.whole(stream, reader)?;
        if stream.curve.is_some() {
            return Err(Fault::quantizer(
                format!("`{reader}` reads the results of an activation function, which no quantizer has made codes"),
                "put a Quant after the activation function; a float model needs calibration data",
            ));
        }
        if stream.function.iter().all(Piece::is_affine) {
            return Ok((id, stream));
        }
        let id = self.clamp_codes(id, &mut stream, reader)?;
        stream.base = Base::Tensor(id);
        Ok((id, stream))
    }

    /// A stream that is one tensor, pooled already.
    pub(super) fn whole(&mut self, mut stream: Stream, reader: &str) -> Checked<(TensorId, Stream)> {
        if matches!(stream.base, Base::Joined(_)) {
            stream = self.joined(stream, reader)?;
        }
        let Base::Tensor(id) = stream.base else {
            return Err(Fault::new(
                network::Code::ModelQuantizer,
                format!("`{reader}` reads the network's input, which no quantizer has made codes"),
                "put a Quant on the input, or state what its codes are: --input-format u8 --input-scale S --input-zero-point Z",
            ));
        };
        let Some(pooled) = stream.pooled.take() else { return Ok((id, stream)) };
        let (id, function) = self.pool_values(id, &pooled)?;
        stream.base = Base::Tensor(id);
        stream.function = function;
        Ok((id, stream))
    }

    /// Sums as codes of the narrowest integer format, where one of 16 bits is enough.
    pub(super) fn narrow(&mut self, id: TensorId, origin: &str) -> Option<TensorId> {
        let Tensor { shape, encoding } = *self.tensor(id);
        let range = encoding.values();
        let format = network::Format::integer_for(range)?;
        let form = Form::Shift(Shift { multipliers: vec![1], offsets: vec![0], shift: 0, half_even: false });
        let requantization = Requantization { output: format, codes: range, form, rule: None };
        let tensor = Tensor { shape, encoding: super::codes(format, range) };
        Some(self.add_layer("quant", vec![id], Op::Identity, Some(requantization), tensor, origin))
    }
}
