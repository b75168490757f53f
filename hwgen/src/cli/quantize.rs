//! Options of `plan` that quantize a float model.

use clap::Args;
use quantizer::{ActivationQuantizer, LayerBits, RangeRule, ReconstructRule, WeightQuantizer, WeightRange};

/// Post-training quantization of a float model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Float models")]
pub struct QuantizeOptions {
    /// Frames to measure activations on: a NumPy array (frames, ...) in the model's own axis order. Integers are input
    /// codes, whose meaning --input-scale and --input-offset give; floats are the network's input. For several inputs an
    /// archive with an array of the name of each, or given once for each in their order.
    #[arg(long, value_name = "FILE[:ARRAY]", group = "data")]
    pub calibration: Vec<String>,
    /// Read at most this many calibration frames.
    #[arg(long, value_name = "N", requires = "calibration", value_parser = clap::value_parser!(u64).range(1..), allow_negative_numbers = true)]
    pub calibration_frames: Option<u64>,
    /// Without data: measure on random frames from this seed. The network's shapes are right, its accuracy is not.
    #[arg(long, value_name = "SEED", conflicts_with = "calibration")]
    pub random_calibration: Option<u64>,
    /// Without a trained network: replace all weights by random ones from this seed.
    #[arg(long, value_name = "SEED")]
    pub random_weights: Option<u64>,
    /// Bits of weights; 1 is bipolar.
    #[arg(long, value_name = "W", default_value_t = 8, allow_negative_numbers = true)]
    pub weight_bits: u32,
    /// Bits of activations.
    #[arg(long, value_name = "A", default_value_t = 8, allow_negative_numbers = true)]
    pub activation_bits: u32,
    /// Other widths for one layer, by its node's name or its number in the plan (conv1=4,8); may be repeated.
    #[arg(long, value_name = "NAME=W,A", value_parser = layer_bits)]
    pub layer_bits: Vec<LayerBits>,
    /// Range of activations: auto (min-max from 8 bits on, mse below), min-max, percentile=P, mse or entropy.
    #[arg(long, value_name = "RULE", value_parser = range_rule, default_value = "auto")]
    pub range: RangeRule,
    /// Range of each row of weights: min-max or mse.
    #[arg(long, value_name = "RULE", value_parser = weight_range, default_value = "mse")]
    pub weight_range: WeightRange,
    /// How weights become integers: uniform, piecewise (regions of 2, 4 and 8 bits around --weight-bits 2, 4 or 8), pwlq
    /// (two regions of --weight-bits) or wavelet (sub-bands of --weight-bits on average). A layer stays uniform where
    /// that is as near with no more bits, tags counted.
    #[arg(long, value_name = "WORD", value_parser = weight_quantizer, default_value = "uniform")]
    pub weight_quantizer: WeightQuantizer,
    /// How activations become integers: uniform, or piecewise (three regions of unequal steps, with as many levels as
    /// --activation-bits of 3 to 7 have codes, on 8-bit integers). A tensor stays uniform where that is as near.
    #[arg(long, value_name = "WORD", value_parser = activation_quantizer, default_value = "uniform")]
    pub activation_quantizer: ActivationQuantizer,
    /// Weights in a row that share a region tag.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=4096), allow_negative_numbers = true)]
    pub tag_group: u64,
    /// Keep coded weights where they are nearer than plain codes of as many payload bits, as HMPTQ's tables count; else
    /// tags count, too.
    #[arg(long)]
    pub free_tags: bool,
    /// Weights and activations as plane codes (odd integers), for xnor arithmetic.
    #[arg(long)]
    pub planes: bool,
    /// A zero point instead of a sign for activations that are negative now and then (SiLU, say).
    #[arg(long)]
    pub zero_points: bool,
    /// First scale the weights of neighbouring layers against each other (cross-layer equalisation).
    #[arg(long)]
    pub equalize: bool,
    /// Round weights so that each layer's sums on the calibration frames change least, not to the nearest.
    #[arg(long)]
    pub adaround: bool,
    /// Fit weights, and steps of activations, block by block to what the float network makes: brecq, qdrop (the same with
    /// half of the activations float by random draws from --seed) or bit-shrinking (weights that move while their width
    /// shrinks).
    #[arg(long, value_name = "RULE", value_parser = reconstruct_rule, conflicts_with = "adaround")]
    pub reconstruct: Option<ReconstructRule>,
    /// Steps for each block.
    #[arg(long, value_name = "N", requires = "reconstruct", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=100_000), allow_negative_numbers = true)]
    pub reconstruct_steps: u64,
    /// Take the mean change of every output channel back in its bias.
    #[arg(long)]
    pub bias_correction: bool,
    /// Powers of two as scales.
    #[arg(long)]
    pub power_of_two_scales: bool,
}

impl QuantizeOptions {
    /// Whether the model shall be quantized.
    pub fn is_wanted(&self) -> bool {
        !self.calibration.is_empty() || self.random_calibration.is_some() || self.random_weights.is_some()
    }
}

fn layer_bits(text: &str) -> Result<LayerBits, String> {
    let parsed = text.rsplit_once('=').and_then(|(layer, bits)| {
        let (weights, activations) = bits.split_once(',')?;
        let layer = (!layer.is_empty()).then(|| layer.to_owned())?;
        Some(LayerBits { layer, weights: weights.trim().parse().ok()?, activations: activations.trim().parse().ok()? })
    });
    parsed.ok_or_else(|| "write a layer and two widths, as in conv1=4,8".to_owned())
}

fn range_rule(text: &str) -> Result<RangeRule, String> {
    match (text, text.strip_prefix("percentile=").map(str::parse::<f64>)) {
        ("auto", _) => Ok(RangeRule::Auto),
        ("min-max", _) => Ok(RangeRule::MinMax),
        ("mse", _) => Ok(RangeRule::Mse),
        ("entropy", _) => Ok(RangeRule::Entropy),
        (_, Some(Ok(part))) if (50.0..=100.0).contains(&part) => Ok(RangeRule::Percentile(part)),
        _ => Err("write min-max, percentile=P (50 to 100), mse or entropy".to_owned()),
    }
}

fn weight_quantizer(text: &str) -> Result<WeightQuantizer, String> {
    let all = [WeightQuantizer::Uniform, WeightQuantizer::Piecewise, WeightQuantizer::Pwlq, WeightQuantizer::Wavelet];
    let found = all.into_iter().find(|quantizer| quantizer.name() == text);
    found.ok_or_else(|| "write uniform, piecewise, pwlq or wavelet".to_owned())
}

fn activation_quantizer(text: &str) -> Result<ActivationQuantizer, String> {
    let all = [ActivationQuantizer::Uniform, ActivationQuantizer::Piecewise];
    let found = all.into_iter().find(|quantizer| quantizer.name() == text);
    found.ok_or_else(|| "write uniform or piecewise".to_owned())
}

fn reconstruct_rule(text: &str) -> Result<ReconstructRule, String> {
    let found = ReconstructRule::ALL.iter().copied().find(|rule| rule.name() == text);
    found.ok_or_else(|| "write brecq, qdrop or bit-shrinking".to_owned())
}

fn weight_range(text: &str) -> Result<WeightRange, String> {
    match text {
        "min-max" => Ok(WeightRange::MinMax),
        "mse" => Ok(WeightRange::Mse),
        _ => Err("write min-max or mse".to_owned()),
    }
}

/// A number, or a quotient such as 1/255.
pub fn quotient(text: &str) -> Result<f32, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let value = match text.split_once('/') {
        Some((above, below)) => number(above).zip(number(below)).map(|(above, below)| above / below),
        None => number(text),
    };
    let value = value.map(|value| value as f32).filter(|value| value.is_finite());
    value.ok_or_else(|| "not a finite number or quotient such as 1/255".to_owned())
}

/// A number above zero, or a quotient.
pub fn positive(text: &str) -> Result<f32, String> {
    match quotient(text) {
        Ok(value) if value.is_normal() && value > 0.0 => Ok(value),
        _ => Err("not a finite number above 0, or quotient such as 1/255".to_owned()),
    }
}
