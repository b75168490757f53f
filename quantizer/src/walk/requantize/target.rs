//! A quantizer over a stream: from real numbers to codes, and what the codes mean.

mod linear;

use super::{Stream, entry};
use crate::exact::{Exact, Functions, Piece, fraction, from_f32, integer, to_f64, to_i64};
use crate::fault::{Checked, Fault};
use crate::model::Array;
use crate::quantization::{Quantizer, Stairs, Steps, declared, ignores_sign, planes};
use crate::walk::stream::Base;
use network::graph::InputQuantizer;
use network::rounding::Rounding;
use network::{Format, Range};
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::rc::Rc;

/// A quantizer with one entry for each hardware channel of a stream, or one for all.
pub(super) struct Target {
    /// number = gain * x + offset is what the stairs are given.
    pub numbers: Vec<(Exact, Exact)>,
    pub stairs: Vec<Rc<Stairs>>,
    /// Real number of a value of the output format.
    pub reals: Functions,
    output: Output,
    /// Stated in float32, where the network's input can be quantized so.
    input: Option<InputQuantizer>,
    /// Gain and offset in code steps, for stairs that do not tell; else empty.
    pub steps: Vec<(f64, f64)>,
}

/// How the format of the codes is found.
#[derive(Clone, Copy, Debug)]
enum Output {
    Fixed(Format),
    /// So many bits, signed where a code is negative; more where the codes need them.
    Bits(u32),
    /// The first one where the codes fit, else the narrowest.
    Preferred(Option<Format>),
}

impl Target {
    /// Resolves a quantizer's parameters for the channels of a stream.
    pub fn new(stream: &Stream, quantizer: &Quantizer) -> Checked<Self> {
        match quantizer {
            Quantizer::Uniform { scale, zero_point, bits, signed, low, high, rounding } => {
                let parameters = Parameters::new(stream, scale, zero_point)?;
                let on_planes = parameters.zero_points.iter().all(|&zero| planes(*bits, *low, *high, zero).is_some());
                let keeps_grid = *low == 0 || ignores_sign(*rounding) || !matches!(stream.base, Base::Input(_));
                let format = if on_planes && keeps_grid { Format::bipolar(*bits) } else { None };
                let (format, is_planes) = match format {
                    Some(format) => (Some(format), true),
                    None => (if *signed { Format::signed(*bits) } else { Format::unsigned(*bits) }, false),
                };
                let format =
                    format.ok_or_else(|| Fault::quantizer(format!("{bits} bits"), "1 to 16 bits can be built"))?;
                let code_shift = if is_planes { -low } else { 0 };
                let (low, high) = (low + code_shift, high + code_shift);
                let steps = Steps { rounding: *rounding, truncation: None, low, high, code_shift };
                let reals = parameters.map(|scale, zero| {
                    if is_planes {
                        Piece::affine(scale * fraction(1, 2), Exact::zero())
                    } else {
                        Piece::affine(scale.clone(), -(scale * zero))
                    }
                });
                let input = parameters.only().map(|(scale, zero)| InputQuantizer {
                    scale,
                    zero_point: zero + code_shift as f32,
                    rounding: *rounding,
                    code_min: low,
                    code_max: high,
                    rounds_first: false,
                });
                Ok(parameters.target(Exact::zero(), steps, reals, Output::Fixed(format), input))
            }
            Quantizer::Bipolar { scale, zero_point } => {
                let parameters = Parameters::new(stream, scale, zero_point)?;
                let format = Format::bipolar(1).ok_or_else(|| Fault::quantizer("1 bit", "use two bits"))?;
                let steps = Steps { rounding: Rounding::Floor, truncation: None, low: 0, high: 1, code_shift: 0 };
                let reals = parameters.map(|scale, zero| Piece::affine(scale.clone(), -(scale * zero)));
                let input = parameters.only().map(|(scale, zero)| InputQuantizer {
                    scale: 2.0 * scale,
                    zero_point: 0.5 + zero / 2.0,
                    rounding: Rounding::HalfUp,
                    code_min: 0,
                    code_max: 1,
                    rounds_first: false,
                });
                Ok(parameters.target(Exact::one(), steps, reals, Output::Fixed(format), input))
            }
            Quantizer::Trunc { scale, zero_point, shift, bits, clamp, output_scale, rounding } => {
                let parameters = Parameters::new(stream, scale, zero_point)?;
                let outputs = Parameters::new(stream, output_scale, zero_point)?;
                let (low, high) = clamp.unwrap_or((OPEN.0, OPEN.1));
                let steps = Steps { rounding: *rounding, truncation: Some(*shift), low, high, code_shift: 0 };
                let output_zero = |zero: &Exact| match clamp {
                    Some(_) => zero / integer(num_bigint::BigInt::one() << *shift),
                    None => zero.clone(),
                };
                let reals = outputs.map(|scale, zero| Piece::affine(scale.clone(), -(scale * output_zero(zero))));
                let fixed =
                    clamp.and_then(|(low, _)| if low < 0 { Format::signed(*bits) } else { Format::unsigned(*bits) });
                let output = fixed.map_or(Output::Bits(*bits), Output::Fixed);
                Ok(parameters.target(Exact::zero(), steps, reals, output, None))
            }
            Quantizer::Thresholds { rows, scale, bias, data_type, channel_axis } => {
                thresholds(stream, rows, (*scale, *bias), data_type, *channel_axis)
            }
            Quantizer::Linear(affine) => linear::linear(stream, affine),
            Quantizer::Float32 { multiplier, divisor, zero_point, limits } => {
                linear::float32(stream, multiplier, *divisor, *zero_point, *limits)
            }
        }
    }

    /// The same for `count` channels from `first` on.
    pub fn channels(&self, first: usize, count: usize) -> Self {
        fn part<T: Clone>(entries: &[T], first: usize, count: usize) -> Vec<T> {
            if entries.len() == 1 {
                entries.to_vec()
            } else {
                entries.iter().skip(first).take(count).cloned().collect()
            }
        }
        Target {
            numbers: part(&self.numbers, first, count),
            stairs: part(&self.stairs, first, count),
            reals: part(&self.reals, first, count),
            output: self.output,
            input: self.input,
            steps: part(&self.steps, first, count),
        }
    }

    /// The format for codes that occur.
    pub fn format(&self, codes: Range) -> Checked<Format> {
        let fits = |format: &Format| format.code_range().contains_range(codes);
        let preferred = match self.output {
            Output::Fixed(format) => Some(format),
            Output::Bits(bits) if codes.is_signed() => Format::signed(bits),
            Output::Bits(bits) => Format::unsigned(bits),
            Output::Preferred(format) => format,
        };
        preferred
            .filter(fits)
            .or_else(|| Format::integer_for(codes))
            .ok_or_else(|| Fault::quantizer(format!("codes {codes} need more than 16 bits"), "use narrower quantizers"))
    }

    /// The stairs with ends that hold every code that can occur.
    pub fn bounded_stairs(&self, numbers: &[Piece], sums: &[Range]) -> Checked<Vec<Rc<Stairs>>> {
        let Some(Stairs::Steps(steps)) =
            self.stairs.first().map(|stairs| &**stairs).filter(|stairs| stairs.codes() == OPEN)
        else {
            return Ok(self.stairs.clone());
        };
        let (mut low, mut high) = (i64::MAX, i64::MIN);
        for (channel, piece) in numbers.iter().enumerate() {
            let range = entry(sums, channel);
            for value in [piece.at(range.min()), piece.at(range.max())] {
                let floor = value.floor().numer().to_i64().filter(|floor| floor.abs() < 1 << 40);
                let floor = floor.ok_or_else(|| Fault::quantizer("a Trunc of huge numbers", "check its scale"))?;
                let code = floor >> steps.truncation.unwrap_or(0);
                (low, high) = (low.min(code - 2), high.max(code + 2));
            }
        }
        if high - low > 1 << 17 {
            return Err(Fault::quantizer("a Trunc to more than 16 bits", "quantize its input first"));
        }
        Ok(vec![Rc::new(Stairs::Steps(Steps { low, high, ..steps.clone() }))])
    }

    /// The quantizer of the network's input after a function of it, in float32.
    pub fn input_quantizer(&self, function: &[Piece]) -> Checked<InputQuantizer> {
        let refuse = |why: &str| {
            Err(Fault::quantizer(
                format!("the network's input cannot be quantized so on the host: {why}"),
                "use one Quant with a scalar scale on the input, or state what its codes are (--input-format u8 --input-scale S)",
            ))
        };
        let Some(mut quantizer) = self.input else { return refuse("one uniform quantizer for all elements is needed") };
        let Some(piece) = function.first().filter(|first| function.iter().all(|piece| piece == *first)) else {
            return refuse("its elements are scaled differently");
        };
        if !piece.gain.is_positive() {
            return refuse("it is negated");
        }
        let number = |bound: &Exact| &self.numbers[0].0 * bound + &self.numbers[0].1;
        let code = |bound: &Exact| self.stairs[0].code(&number(bound));
        if let Some(low) = &piece.low {
            quantizer.code_min = quantizer.code_min.max(code(low));
        }
        if let Some(high) = &piece.high {
            quantizer.code_max = quantizer.code_max.min(code(high));
        }
        if !piece.gain.is_one() || !piece.offset.is_zero() {
            let scale = from_f32(quantizer.scale).unwrap_or_else(Exact::one);
            quantizer.rounds_first &= piece.offset.is_zero();
            quantizer.zero_point += to_f64(&(&piece.offset / &scale)) as f32;
            quantizer.scale = to_f64(&(scale / &piece.gain)) as f32;
        }
        if quantizer.scale <= 0.0 || !quantizer.scale.is_finite() || !quantizer.zero_point.is_finite() {
            return refuse("its scale leaves float32");
        }
        Ok(quantizer)
    }
}

/// Ends of stairs that are not known yet.
const OPEN: (i64, i64) = (i64::MIN / 4, i64::MAX / 4);

/// Scales and zero points by channel.
struct Parameters {
    scales: Vec<f32>,
    exact_scales: Vec<Exact>,
    zero_points: Vec<f32>,
    exact_zeros: Vec<Exact>,
}

impl Parameters {
    fn new(stream: &Stream, scale: &Array, zero_point: &Array) -> Checked<Self> {
        let resolve = |array: &Array| -> Checked<Vec<f32>> {
            let same = |a: usize, b: usize| array.f32(a) == array.f32(b);
            let indices = stream.layout.channel_indices(&array.dims, stream.shape.channels, same)?;
            let mut values: Vec<f32> = indices.into_iter().map(|index| array.f32(index)).collect();
            if values.iter().all(|value| *value == values[0]) {
                values.truncate(1);
            }
            Ok(values)
        };
        let exact = |values: &[f32]| -> Checked<Vec<Exact>> {
            let finite =
                |&value: &f32| from_f32(value).ok_or_else(|| Fault::quantizer(format!("{value}"), "it must be finite"));
            values.iter().map(finite).collect()
        };
        let (scales, zero_points) = (resolve(scale)?, resolve(zero_point)?);
        let (exact_scales, exact_zeros) = (exact(&scales)?, exact(&zero_points)?);
        Ok(Parameters { scales, exact_scales, zero_points, exact_zeros })
    }

    fn count(&self) -> usize {
        self.scales.len().max(self.zero_points.len())
    }

    /// The scale and zero point where there is only one.
    fn only(&self) -> Option<(f32, f32)> {
        (self.count() == 1).then(|| (self.scales[0], self.zero_points[0]))
    }

    fn map<T>(&self, f: impl Fn(&Exact, &Exact) -> T) -> Vec<T> {
        (0..self.count())
            .map(|channel| f(entry(&self.exact_scales, channel), entry(&self.exact_zeros, channel)))
            .collect()
    }

    /// number = x / scale + zero point + `extra`.
    fn target(
        &self,
        extra: Exact,
        steps: Steps,
        reals: Functions,
        output: Output,
        input: Option<InputQuantizer>,
    ) -> Target {
        let numbers = self.map(|scale, zero| (scale.recip(), zero + &extra));
        Target { numbers, stairs: vec![Rc::new(Stairs::Steps(steps))], reals, output, input, steps: Vec::new() }
    }
}

fn thresholds(
    stream: &Stream,
    rows: &Array,
    (scale, bias): (f32, f32),
    data_type: &str,
    channel_axis: usize,
) -> Checked<Target> {
    let (channels, count) = (rows.dims[0], rows.dims[1]);
    let rank = stream.layout.dims().len();
    let axis = match channel_axis {
        usize::MAX if rank == 3 => 2,
        usize::MAX => 1,
        axis => axis,
    };
    if axis >= rank {
        return Err(Fault::shape(
            format!("thresholds over axis {axis} of {rank}"),
            "check MultiThreshold's data_layout",
        ));
    }
    let mut dims = vec![1; rank];
    dims[axis] = channels;
    let row = |channel: usize| (channel * count..(channel + 1) * count).map(|index| rows.f32(index));
    let indices = stream.layout.channel_indices(&dims, stream.shape.channels, |a, b| row(a).eq(row(b)))?;
    let exact = |value: f32| from_f32(value).unwrap_or_else(Exact::zero);
    let (step, start) = (exact(scale), exact(bias));
    // y = step * n + start for n thresholds reached: planes where that is symmetric, else codes around real zero.
    let most = count as i64;
    let symmetric = &start * integer(2) == -&step * integer(most) && step.is_positive();
    let planes = (count + 1)
        .is_power_of_two()
        .then(|| (count + 1).trailing_zeros())
        .filter(|_| symmetric)
        .and_then(Format::bipolar);
    let zero = to_i64(&(-&start / &step)).filter(|zero| zero.abs() <= 65536 && planes.is_none());
    let code_shift = -zero.unwrap_or(0);
    let (output, real) = match planes {
        Some(format) => (Output::Fixed(format), Piece::affine(&step * fraction(1, 2), Exact::zero())),
        None if zero.is_some() => (Output::Preferred(declared(data_type)), Piece::affine(step, Exact::zero())),
        None => (Output::Preferred(None), Piece::affine(step, start)),
    };
    let stairs = indices
        .into_iter()
        .map(|channel| {
            let always = row(channel).filter(|&value| value == f32::NEG_INFINITY).count() as i64;
            let mut boundaries: Vec<Exact> = row(channel).filter_map(from_f32).collect();
            boundaries.sort();
            let first = code_shift + always;
            let last = first + boundaries.len() as i64;
            Rc::new(Stairs::Table { boundaries, first, last })
        })
        .collect();
    Ok(Target {
        numbers: vec![(Exact::one(), Exact::zero())],
        stairs,
        reals: vec![real],
        output,
        input: None,
        steps: Vec::new(),
    })
}
