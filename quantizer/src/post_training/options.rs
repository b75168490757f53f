//! What the user says about post-training quantization, and the frames that follow from it.

use super::random;
use super::{ActivationQuantizer, Reconstruct, WeightQuantizer};
use crate::fault::{Checked, Fault};
use network::format::{Kind, MAX_INTEGER_BITS, MAX_PLANES};
use network::{Code, Format};

/// Most elements of all calibration frames together.
const MAX_CALIBRATION_ELEMENTS: usize = 1 << 28;
/// Elements that random frames have together at most, except for a single one.
const RANDOM_ELEMENTS: usize = 1 << 19;

/// Bits from which on all that occurred is covered, where nothing else is asked for.
const LEAST_WIDE_BITS: u32 = 8;

/// How a float model becomes one of integers.
#[derive(Clone, Debug, PartialEq)]
pub struct PostTraining {
    /// Frames that the ranges of activations are measured on.
    pub calibration: Calibration,
    /// What the network's input codes mean; `None` where they are chosen from the frames.
    pub input: Option<InputCodes>,
    /// Bits of weights, 1 to 16; 1 is bipolar.
    pub weight_bits: u32,
    /// Bits of activations, 1 to 16.
    pub activation_bits: u32,
    /// Other widths of single layers.
    pub layer_bits: Vec<LayerBits>,
    /// How the range of an activation follows from what was measured.
    pub range: RangeRule,
    /// How the scale of a row of weights is chosen.
    pub weight_range: WeightRange,
    /// How weights become integers.
    pub weight_quantizer: WeightQuantizer,
    /// How activations become integers.
    pub activation_quantizer: ActivationQuantizer,
    /// Weights in a row that share a region tag, 1 to 4096.
    pub tag_group: u64,
    /// Coded weights are compared with plain codes of as many payload bits, as HMPTQ's tables count; else tags count, too.
    pub free_tags: bool,
    /// Weights and activations become plane codes (odd integers).
    pub planes: bool,
    /// Activations with few negative values get a zero point instead of a sign.
    pub zero_points: bool,
    /// Weights of neighbouring layers are scaled against each other first (Nagel et al. 2019).
    pub equalize: bool,
    /// Weights are rounded so that the layer's sums on the frames change least (after AdaRound, Nagel et al. 2020).
    pub adaround: bool,
    /// Blocks of layers are reconstructed: weights, and steps of activations, are fitted to what the float network makes.
    pub reconstruct: Option<Reconstruct>,
    /// The mean change of every output channel is taken back in its bias.
    pub bias_correction: bool,
    /// Scales are powers of two.
    pub power_of_two_scales: bool,
    /// Weights are replaced by random ones from this seed.
    pub random_weights: Option<u64>,
}

impl Default for PostTraining {
    fn default() -> Self {
        PostTraining {
            calibration: Calibration::Random { seed: 1, frames: 16 },
            input: None,
            weight_bits: 8,
            activation_bits: 8,
            layer_bits: Vec::new(),
            range: RangeRule::Auto,
            weight_range: WeightRange::Mse,
            weight_quantizer: WeightQuantizer::Uniform,
            activation_quantizer: ActivationQuantizer::Uniform,
            tag_group: 1,
            free_tags: false,
            planes: false,
            zero_points: false,
            equalize: false,
            adaround: false,
            reconstruct: None,
            bias_correction: false,
            power_of_two_scales: false,
            random_weights: None,
        }
    }
}

/// Frames to measure on.
#[derive(Clone, Debug, PartialEq)]
pub enum Calibration {
    /// Frames one after the other in the model's own axis order, and the array's shape, frames first. Where
    /// [`PostTraining::input`] is given and `integers` is true the values are codes, else real numbers.
    Frames {
        /// The elements.
        values: Vec<f32>,
        /// Axes of the array.
        shape: Vec<u64>,
        /// Whether the array held integers.
        integers: bool,
    },
    /// Standard normal frames (or random codes), for trials without data.
    Random {
        /// Seed.
        seed: u64,
        /// Number of frames; fewer where they are large, since statistics depend on elements.
        frames: usize,
    },
    /// For a network with several inputs the frames of each, in the order of the inputs, and what its codes mean, where
    /// it holds codes.
    Several(Vec<(Calibration, Option<InputCodes>)>),
}

/// What input codes mean: real = code * scale + offset.
#[derive(Clone, Debug, PartialEq)]
pub struct InputCodes {
    /// Format of the codes; `None` for the narrowest that holds the calibration frames.
    pub format: Option<Format>,
    /// One scale, or one for each channel; finite and positive.
    pub scales: Vec<f32>,
    /// One offset, or one for each channel.
    pub offsets: Vec<f32>,
}

/// Widths of one layer and of what it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerBits {
    /// Name of the layer: of the model's node, or as the plan counts them (conv1, fc2).
    pub layer: String,
    /// Bits of its weights.
    pub weights: u32,
    /// Bits of its results.
    pub activations: u32,
}

/// How an activation's range is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeRule {
    /// Everything that occurred from 8 bits on, since rare peaks are what detectors live on; least mean square error
    /// below, where steps would get too large.
    Auto,
    /// Everything that occurred.
    MinMax,
    /// This part of all values in percent, 50 to 100.
    Percentile(f64),
    /// Least mean square error.
    Mse,
    /// Least Kullback-Leibler divergence between the histograms before and after.
    Entropy,
}

/// How the scale of a row of weights is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightRange {
    /// From the largest magnitude.
    MinMax,
    /// Least mean square error.
    Mse,
}

impl RangeRule {
    /// The rule for codes of so many bits.
    pub(super) fn of(self, bits: u32) -> RangeRule {
        match self {
            RangeRule::Auto if bits >= LEAST_WIDE_BITS => RangeRule::MinMax,
            RangeRule::Auto => RangeRule::Mse,
            rule => rule,
        }
    }

    /// As the command line spells it.
    pub fn name(&self) -> String {
        match self {
            RangeRule::Auto => "auto".to_owned(),
            RangeRule::MinMax => "min-max".to_owned(),
            RangeRule::Percentile(part) => format!("percentile={part}"),
            RangeRule::Mse => "mse".to_owned(),
            RangeRule::Entropy => "entropy".to_owned(),
        }
    }
}

impl WeightRange {
    /// As the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            WeightRange::MinMax => "min-max",
            WeightRange::Mse => "mse",
        }
    }
}

/// Real frames and where they came from.
pub(super) struct RealFrames {
    /// Raw values: codes where `are_codes`, else reals.
    pub values: Vec<f32>,
    pub elements: usize,
    pub are_codes: bool,
}

/// Input codes with a format and one meaning for each channel of `axis`.
pub(super) struct Meaning {
    pub format: Format,
    pub scales: Vec<f32>,
    pub offsets: Vec<f32>,
    /// Axis of the channels, where there are several meanings.
    pub axis: usize,
}

fn options_fault(message: impl Into<String>, help: impl Into<String>) -> Fault {
    Fault::new(Code::ModelQuantizer, message, help)
}

impl PostTraining {
    /// Checks what does not depend on the model.
    pub(super) fn check(&self) -> Checked<()> {
        let layers = self.layer_bits.iter().map(|layer| (layer.weights, layer.activations));
        let most = if self.planes { MAX_PLANES } else { MAX_INTEGER_BITS };
        for (weights, activations) in layers.chain([(self.weight_bits, self.activation_bits)]) {
            if let Some(bits) = [weights, activations].into_iter().find(|bits| !(1..=most).contains(bits)) {
                return Err(options_fault(format!("a width of {bits} bits"), format!("widths are 1 to {most} bits")));
            }
        }
        if self.activation_quantizer == ActivationQuantizer::Piecewise && self.reconstruct.is_some() {
            let help = "take one of them: levels of unequal steps have no step to fit";
            return Err(options_fault("piecewise activations beside reconstruction", help));
        }
        if let RangeRule::Percentile(part) = self.range
            && !(50.0..=100.0).contains(&part)
        {
            return Err(options_fault(format!("a percentile of {part}"), "give 50 to 100, such as 99.99"));
        }
        let several = match &self.calibration {
            Calibration::Several(entering) => entering.iter().filter_map(|(_, codes)| codes.as_ref()).collect(),
            Calibration::Frames { .. } | Calibration::Random { .. } => Vec::new(),
        };
        for input in self.input.iter().chain(several) {
            let sound = |scale: &f32| scale.is_normal() && *scale > 0.0;
            if input.scales.is_empty() || !input.scales.iter().all(sound) {
                return Err(options_fault("an input scale that is not positive and finite", "give one such as 1/255"));
            }
            if input.offsets.is_empty() || !input.offsets.iter().all(|offset| offset.is_finite()) {
                return Err(options_fault("an input offset that is not finite", "give a number such as -0.5"));
            }
        }
        Ok(())
    }

    /// The calibration of each input, and what its codes mean.
    pub(super) fn entering(&self, inputs: &[&str]) -> Checked<Vec<(Calibration, Option<InputCodes>)>> {
        match (&self.calibration, inputs) {
            (Calibration::Several(entering), _) if entering.len() == inputs.len() => Ok(entering.clone()),
            (Calibration::Random { seed, frames }, _) => {
                let own = |place: usize| Calibration::Random { seed: seed.wrapping_add(place as u64), frames: *frames };
                Ok((0..inputs.len()).map(|place| (own(place), self.input.clone())).collect())
            }
            (Calibration::Frames { .. }, [_]) => Ok(vec![(self.calibration.clone(), self.input.clone())]),
            (Calibration::Frames { .. } | Calibration::Several(_), _) => Err(Fault::new(
                Code::FramesShape,
                format!("the network has the inputs {}; there are not as many calibration arrays", inputs.join(", ")),
                "give an archive with an array of the name of each input, or --calibration once for each",
            )),
        }
    }
}

/// The calibration frames, checked against one of the network's inputs.
pub(super) fn frames(calibration: &Calibration, codes: Option<&InputCodes>, dims: &[usize]) -> Checked<RealFrames> {
    let elements: usize = dims.iter().product();
    let shown = || dims.iter().skip(1).map(usize::to_string).collect::<Vec<_>>().join(", ");
    let wrong = |message: String| {
        Fault::new(Code::FramesShape, message, format!("give an array (frames, {}) or (frames, {elements})", shown()))
    };
    let (values, are_codes) = match calibration {
        Calibration::Frames { values, shape, integers } => {
            let frames = shape.first().copied().unwrap_or(0) as usize;
            if frames == 0 {
                return Err(wrong(format!("the calibration array of shape {shape:?} holds no frames")));
            }
            if frames.checked_mul(elements) != Some(values.len()) || elements == 0 {
                return Err(wrong(format!(
                    "the calibration array of shape {shape:?} does not fit the network's input {dims:?}"
                )));
            }
            let axes: Vec<u64> = shape[1..].iter().copied().filter(|&axis| axis != 1).collect();
            let own: Vec<u64> = dims.iter().map(|&dim| dim as u64).filter(|&dim| dim != 1).collect();
            if axes.len() > 1 && axes != own {
                return Err(wrong(format!(
                    "the calibration array of shape {shape:?} has the axes of the network's input {dims:?} in another order"
                )));
            }
            if let Some(place) = values.iter().position(|value| !value.is_finite()) {
                return Err(Fault::new(
                    Code::FramesValue,
                    format!("calibration frame {} holds {}", place / elements, values[place]),
                    "replace what is not a finite number",
                ));
            }
            (values.clone(), *integers && codes.is_some())
        }
        Calibration::Several(_) => return Err(wrong("calibration of several inputs at one".to_owned())),
        Calibration::Random { seed, frames } => {
            let frames = &(*frames).min(RANDOM_ELEMENTS / elements.max(1)).max(1);
            let count = frames.checked_mul(elements).filter(|&count| count <= MAX_CALIBRATION_ELEMENTS);
            let count = count.ok_or_else(|| wrong(format!("{frames} random frames are too many")))?;
            match codes.and_then(|input| input.format) {
                Some(format) => (random::codes(*seed, count, format), true),
                None => (random::normal(*seed, count), false),
            }
        }
    };
    if values.len() > MAX_CALIBRATION_ELEMENTS {
        return Err(wrong(format!("{} calibration elements are too many", values.len())));
    }
    Ok(RealFrames { values, elements, are_codes })
}

/// What an input's codes mean, where the user said it.
pub(super) fn codes(codes: Option<&InputCodes>, frames: &RealFrames, dims: &[usize]) -> Checked<Option<Meaning>> {
    let Some(input) = codes else { return Ok(None) };
    let channels = input.scales.len().max(input.offsets.len());
    let fits = |list: &[f32]| list.len() == 1 || list.len() == channels;
    let axis = match dims.len() {
        0..=2 => dims.len().saturating_sub(1),
        _ if dims[1] == channels => 1,
        rank => rank - 1,
    };
    if !fits(&input.scales) || !fits(&input.offsets) || channels > 1 && dims.get(axis) != Some(&channels) {
        return Err(options_fault(
            format!(
                "{} input scales and {} offsets for an input of shape {dims:?}",
                input.scales.len(),
                input.offsets.len()
            ),
            "give one of each, or one for each channel",
        ));
    }
    let widen = |list: &[f32]| if list.len() == 1 { vec![list[0]; channels] } else { list.to_vec() };
    let (scales, offsets) = (widen(&input.scales), widen(&input.offsets));
    let meaning = Meaning { format: Format::unsigned(8).unwrap_or(input_format(0.0, 255.0)?), scales, offsets, axis };
    let mut range = (0f32, 0f32);
    for frame in frames.values.chunks_exact(frames.elements.max(1)) {
        for (index, &value) in frame.iter().enumerate() {
            let code = if frames.are_codes { value } else { meaning.code(value, index, dims) };
            range = (range.0.min(code), range.1.max(code));
        }
    }
    let format = match input.format {
        Some(format) => format,
        None => input_format(range.0, range.1)?,
    };
    let values = format.value_range();
    let (low, high) = (values.min() as f32, values.max() as f32);
    if range.0 < low - 0.5 || range.1 > high + 0.5 {
        return Err(Fault::new(
            Code::FramesValue,
            format!("the calibration frames hold codes {} to {}, format {format} {low} to {high}", range.0, range.1),
            "give another --input-format, or --input-scale and --input-offset that fit",
        ));
    }
    if format.kind() == Kind::Bipolar {
        return Err(options_fault(format!("input codes of format {format}"), "give an integer format such as u8"));
    }
    Ok(Some(Meaning { format, ..meaning }))
}

impl Meaning {
    /// The channel of an element of a frame.
    pub fn channel(&self, index: usize, dims: &[usize]) -> usize {
        if self.scales.len() == 1 {
            return 0;
        }
        let inner: usize = dims[self.axis + 1..].iter().product();
        index / inner.max(1) % self.scales.len()
    }

    /// The code, perhaps fractional, of a real number.
    pub fn code(&self, value: f32, index: usize, dims: &[usize]) -> f32 {
        let channel = self.channel(index, dims);
        (value - self.offsets[channel]) / self.scales[channel]
    }
}

/// The narrowest format of at most 16 bits that holds codes from `low` to `high`.
fn input_format(low: f32, high: f32) -> Checked<Format> {
    let fits = |format: &Format| {
        let range = format.value_range();
        range.min() as f32 <= low.round() && high.round() <= range.max() as f32
    };
    let formats =
        (1..=MAX_INTEGER_BITS).filter_map(|bits| if low < 0.0 { Format::signed(bits) } else { Format::unsigned(bits) });
    formats.into_iter().find(fits).ok_or_else(|| {
        options_fault(
            format!("calibration codes from {low} to {high} take more than {MAX_INTEGER_BITS} bits"),
            "give --input-scale and --input-offset that make them smaller",
        )
    })
}
