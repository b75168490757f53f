//! What the options of `plan` say about quantizing a float model, with the calibration frames read.

use crate::arrays::{ArrayFile, ArraySpec, ElementKind, Elements};
use crate::cli::ModelOptions;
use crate::failure::Outcome;
use network::{Code, Diagnostic, Format, Place};
use quantizer::{Calibration, InputCodes, PostTraining, Reconstruct, input_names};

/// Frames of a random calibration.
const RANDOM_FRAMES: usize = 16;
/// Most elements of all calibration frames together.
const MAX_ELEMENTS: u64 = 1 << 28;

/// Nothing where the model is quantized already. `model` are the bytes of the model, whose inputs the frames are for.
pub fn post_training(options: &ModelOptions, model: &[u8]) -> Outcome<Option<PostTraining>> {
    let quantize = &options.quantize;
    if !quantize.is_wanted() {
        return Ok(None);
    }
    let inputs = match quantize.calibration.as_slice() {
        [] => Vec::new(),
        _ => input_names(model, &options.model.display().to_string(), &options.reading.reading())?,
    };
    let limit = quantize.calibration_frames;
    let mut entering = Vec::new();
    match (quantize.calibration.as_slice(), inputs.as_slice()) {
        ([], _) => {
            let seed = quantize.random_calibration.or(quantize.random_weights).unwrap_or_default();
            entering.push((Calibration::Random { seed, frames: RANDOM_FRAMES }, None));
        }
        ([spec], [_]) => entering.push(frames(spec, "x", limit)?),
        ([spec], inputs) if ArraySpec::parse(spec).array.is_none() => {
            for input in inputs {
                entering.push(frames(spec, input, limit)?);
            }
        }
        (specs, inputs) if specs.len() == inputs.len() => {
            for (spec, input) in specs.iter().zip(inputs) {
                entering.push(frames(spec, input, limit)?);
            }
        }
        (specs, inputs) => {
            return Err(Diagnostic::new(
                Code::FramesShape,
                Place::file(options.model.display().to_string()),
                format!("{} calibration arrays for the inputs {}", specs.len(), inputs.join(", ")),
                "give an archive with an array of the name of each input, or --calibration once for each",
            )
            .into());
        }
    }
    let (calibration, input) = match entering.len() {
        1 => {
            let (calibration, format) = entering.swap_remove(0);
            (calibration, codes(options, format))
        }
        // Of several inputs those are codes that hold integers.
        _ => {
            let own = |(calibration, format): (Calibration, Option<Format>)| {
                (calibration, format.and_then(|format| codes(options, Some(format))))
            };
            (Calibration::Several(entering.into_iter().map(own).collect()), None)
        }
    };
    Ok(Some(PostTraining {
        calibration,
        input,
        weight_bits: quantize.weight_bits,
        activation_bits: quantize.activation_bits,
        layer_bits: quantize.layer_bits.clone(),
        range: quantize.range,
        weight_range: quantize.weight_range,
        weight_quantizer: quantize.weight_quantizer,
        activation_quantizer: quantize.activation_quantizer,
        tag_group: quantize.tag_group,
        free_tags: quantize.free_tags,
        planes: quantize.planes,
        zero_points: quantize.zero_points,
        equalize: quantize.equalize,
        adaround: quantize.adaround,
        reconstruct: quantize.reconstruct.map(|rule| Reconstruct {
            rule,
            steps: quantize.reconstruct_steps as usize,
            seed: options.allocation.seed,
        }),
        bias_correction: quantize.bias_correction,
        power_of_two_scales: quantize.power_of_two_scales,
        random_weights: quantize.random_weights,
    }))
}

/// What input codes mean, where the options or integers that were read say it.
fn codes(options: &ModelOptions, read_format: Option<Format>) -> Option<InputCodes> {
    let format = options.input_format.or(read_format);
    let is_stated = format.is_some() || !options.input_scale.is_empty() || !options.input_offset.is_empty();
    let or = |list: &[f32], default: f32| if list.is_empty() { vec![default] } else { list.to_vec() };
    let zero = -(options.input_zero_point as f32);
    let scales = or(&options.input_scale, 1.0);
    let offsets = if options.input_offset.is_empty() {
        scales.iter().map(|scale| zero * scale).collect()
    } else {
        options.input_offset.clone()
    };
    is_stated.then_some(InputCodes { format, scales, offsets })
}

/// All frames of an array, and the format of its integers.
fn frames(text: &str, default: &str, limit: Option<u64>) -> Outcome<(Calibration, Option<Format>)> {
    let spec = ArraySpec::parse(text);
    let mut file = ArrayFile::open(&spec.path)?;
    let mut stream = file.open_array(&spec, Some(default))?;
    let element = stream.element();
    let frames = stream.frames().min(limit.unwrap_or(u64::MAX));
    if frames.checked_mul(stream.frame_elements()).is_none_or(|elements| elements > MAX_ELEMENTS) {
        return Err(Diagnostic::new(
            Code::FramesShape,
            Place::file(stream.label()),
            format!("shape {} holds more than {MAX_ELEMENTS} elements", stream.shape_text()),
            "some hundred frames are enough: take fewer with --calibration-frames",
        )
        .into());
    }
    let mut shape = stream.shape().to_vec();
    if let Some(count) = shape.first_mut() {
        *count = frames;
    }
    let mut values = Vec::new();
    for _ in 0..frames {
        match stream.next_frame()? {
            Some(Elements::Integers(frame)) => values.extend(frame.iter().map(|&value| value as f32)),
            Some(Elements::Floats(frame)) => values.extend(frame.iter().map(|&value| value as f32)),
            None => break,
        }
    }
    let bits = element.bytes as u32 * 8;
    let (integers, format) = match element.kind {
        ElementKind::Float => (false, None),
        ElementKind::Unsigned => (true, Format::unsigned(bits)),
        ElementKind::Signed => (true, Format::signed(bits)),
    };
    Ok((Calibration::Frames { values, shape, integers }, format))
}
