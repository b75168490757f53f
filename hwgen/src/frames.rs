//! Frames of a network: from arrays as users hold them to input codes in hardware order.
//!
//! Input: an array (frames, ...) in the model's own axis order. Integers are codes, checked against the codes that the
//! network's input can take; floats go through the model's input quantizer. Output: one frame of codes after the other,
//! one input after the other, rows, columns, channels.

use crate::arrays::{ArrayFile, ArraySpec, ArrayStream, ElementKind, Elements};
use golden_model::frames::{FrameFault, codes_from_integers, codes_from_reals};
use network::graph::Input;
use network::shape::AxisOrder;
use network::{Code, Diagnostic, Network, Place};

/// Frames on their way from an array for each input.
pub struct Frames<'a> {
    streams: Vec<ArrayStream<'a>>,
    network: &'a Network,
    /// Integers times this number are floats.
    integer_scale: Option<f64>,
    frames: u64,
    next: u64,
}

impl<'a> Frames<'a> {
    /// Opens an array for each input of `network`: of `spec`, or named like the input. At most `limit` frames are read.
    pub fn open(
        spec: &ArraySpec,
        files: &'a mut Vec<ArrayFile>,
        network: &'a Network,
        limit: Option<u64>,
        integer_scale: Option<f64>,
    ) -> Result<Frames<'a>, Diagnostic> {
        if let (Some(array), [_, _, ..]) = (&spec.array, network.inputs()) {
            return Err(Diagnostic::new(
                Code::FramesShape,
                Place::file(spec.path.display().to_string()),
                format!("`{array}` cannot be the frames of {} inputs", network.inputs().len()),
                "leave the array out; each input takes the array of its name",
            ));
        }
        files.clear();
        for _ in network.inputs() {
            files.push(ArrayFile::open(&spec.path)?);
        }
        let mut streams = Vec::with_capacity(files.len());
        for (file, input) in files.iter_mut().zip(network.inputs()) {
            streams.push(file.open_array(spec, Some(&input.name))?);
        }
        Frames::new(streams, network, limit, integer_scale)
    }

    /// Checks that `streams` hold frames of each input of `network`; at most `limit` of them are read.
    pub fn new(
        streams: Vec<ArrayStream<'a>>,
        network: &'a Network,
        limit: Option<u64>,
        integer_scale: Option<f64>,
    ) -> Result<Frames<'a>, Diagnostic> {
        let mut frames = limit.unwrap_or(u64::MAX);
        for (stream, input) in streams.iter().zip(network.inputs()) {
            let fault = |message: String, help: String| {
                Err(Diagnostic::new(Code::FramesShape, Place::file(stream.label()), message, help))
            };
            check_shape(stream, input)?;
            let is_real = integer_scale.is_some() || stream.element().kind == ElementKind::Float;
            if is_real && input.quantizer.is_none() {
                return fault(
                    format!("holds real numbers, but the input `{}` has no quantizer", input.name),
                    format!("give integer codes of format {}", input.format),
                );
            }
            if stream.frames() == 0 || frames == 0 {
                return fault("holds no frames".to_owned(), "give at least one frame".to_owned());
            }
            let others = streams.first().map_or(0, ArrayStream::frames);
            if stream.frames() != others {
                return fault(
                    format!("holds {} frames, but the first input has {others}", stream.frames()),
                    "give as many frames for each input".to_owned(),
                );
            }
            frames = frames.min(stream.frames());
        }
        Ok(Frames { streams, network, integer_scale, frames, next: 0 })
    }

    /// Frames that will be read.
    pub fn count(&self) -> u64 {
        self.frames
    }

    /// The next frame's codes in hardware order, or `None` behind the last.
    pub fn next_frame(&mut self) -> Result<Option<Vec<i32>>, Diagnostic> {
        if self.next >= self.frames {
            return Ok(None);
        }
        let mut frame = Vec::new();
        for (stream, input) in self.streams.iter_mut().zip(self.network.inputs()) {
            let Some(elements) = stream.next_frame()? else { return Ok(None) };
            let codes = codes(input, &elements, self.integer_scale).map_err(|fault| {
                let help = match &fault {
                    FrameFault::Codes(_) => "give codes, floats, or integers with --input-scale",
                    FrameFault::NoQuantizer => "give integer codes",
                    FrameFault::NoCode { .. } => "replace what is not a number",
                };
                let message = format!("frame {}: {fault}", self.next);
                Diagnostic::new(Code::FramesValue, Place::file(stream.label()), message, help)
            })?;
            frame.extend(codes);
        }
        self.next += 1;
        Ok(Some(frame))
    }

    /// Up to `most` further frames.
    pub fn next_batch(&mut self, most: usize) -> Result<Vec<Vec<i32>>, Diagnostic> {
        let mut batch = Vec::new();
        while batch.len() < most {
            let Some(frame) = self.next_frame()? else { break };
            batch.push(frame);
        }
        Ok(batch)
    }
}

/// One input's codes.
fn codes(input: &Input, elements: &Elements, integer_scale: Option<f64>) -> Result<Vec<i32>, FrameFault> {
    let reals: Vec<f32> = match (elements, integer_scale) {
        (Elements::Integers(values), None) => return codes_from_integers(input, values),
        (Elements::Integers(values), Some(scale)) => {
            values.iter().map(|&value| (value as f64 * scale) as f32).collect()
        }
        (Elements::Floats(values), _) => values.iter().map(|&value| value as f32).collect(),
    };
    codes_from_reals(input, &reals)
}

/// The input's axes behind the frame axis, as users order them.
pub fn user_axes(order: AxisOrder, shape: network::Shape) -> [u64; 3] {
    match order {
        AxisOrder::ChannelsFirst => [shape.channels, shape.rows, shape.columns],
        AxisOrder::ChannelsLast => [shape.rows, shape.columns, shape.channels],
    }
}

/// Any shape with the right number of elements is taken, except one with the model's axes in another order.
fn check_shape(stream: &ArrayStream<'_>, input: &Input) -> Result<(), Diagnostic> {
    let axes = user_axes(input.axes, input.shape);
    let expected = input.shape.elements();
    let wrong = |message: String| {
        let help = format!("give an array (frames, {}, {}, {}) or (frames, {expected})", axes[0], axes[1], axes[2]);
        Err(Diagnostic::new(Code::FramesShape, Place::file(stream.label()), message, help))
    };
    let shape = stream.shape();
    if shape.len() < 2 && expected != 1 || shape.is_empty() || stream.frame_elements() != expected {
        let found = if shape.len() < 2 { "none".to_owned() } else { stream.frame_elements().to_string() };
        return wrong(format!(
            "shape {}: behind the first axis (frames) are {found} elements, the input `{}` takes {expected}",
            stream.shape_text(),
            input.name
        ));
    }
    let without_ones = |axes: &[u64]| axes.iter().copied().filter(|&axis| axis != 1).collect::<Vec<_>>();
    let (given, wanted) = (without_ones(&shape[1..]), without_ones(&axes));
    let sorted = |axes: &[u64]| {
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes
    };
    if given != wanted && sorted(&given) == sorted(&wanted) {
        return wrong(format!("shape {}: the axes stand in another order than the model's", stream.shape_text()));
    }
    Ok(())
}
