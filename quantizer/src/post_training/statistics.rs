//! What activations were on the calibration frames: extremes first, then histograms between them.

use super::options::{Meaning, RealFrames};
use super::sites::Sites;
use crate::fault::Fault;
use crate::float::{Program, elements};
use crate::model::ValueId;
use candle_core::Tensor;
use network::{Diagnostic, Diagnostics};
use rayon::prelude::*;
use std::ops::Range;

/// Bins of a histogram.
pub(super) const BINS: usize = 4096;

/// The values of a group of tensors.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub low: f32,
    pub high: f32,
    /// How often values fell into each of [`BINS`] equal parts from `low` to `high`.
    pub counts: Vec<u64>,
}

impl Measured {
    /// Middle of a bin.
    pub fn middle(&self, bin: usize) -> f64 {
        let width = (f64::from(self.high) - f64::from(self.low)) / BINS as f64;
        f64::from(self.low) + width * (bin as f64 + 0.5)
    }
}

/// Frames as the network takes them: all inputs one after the other.
pub(super) struct Frames {
    pub inputs: Vec<InputFrames>,
}

/// What enters at one input.
pub(super) struct InputFrames {
    pub raw: RealFrames,
    pub meaning: Option<Meaning>,
    /// Whether the model itself turns codes into reals, so that its input takes codes.
    pub model_reads_codes: bool,
    pub dims: Vec<usize>,
}

impl Frames {
    /// Number of frames, the same at all inputs.
    pub fn count(&self) -> usize {
        self.inputs.iter().map(InputFrames::count).min().unwrap_or(0)
    }

    /// A frame.
    pub fn frame(&self, index: usize) -> Vec<f32> {
        self.inputs.iter().flat_map(|input| input.frame(index)).collect()
    }
}

impl InputFrames {
    /// Number of frames.
    pub fn count(&self) -> usize {
        self.raw.values.len() / self.raw.elements.max(1)
    }

    /// The part of a frame.
    fn frame(&self, index: usize) -> Vec<f32> {
        let raw = &self.raw.values[index * self.raw.elements..][..self.raw.elements];
        let Some(meaning) = &self.meaning else { return raw.to_vec() };
        let convert = |(place, &value): (usize, &f32)| {
            let channel = meaning.channel(place, &self.dims);
            match (self.raw.are_codes, self.model_reads_codes) {
                (true, true) | (false, false) => value,
                (true, false) => value * meaning.scales[channel] + meaning.offsets[channel],
                (false, true) => meaning.code(value, place, &self.dims).round_ties_even(),
            }
        };
        raw.iter().enumerate().map(convert).collect()
    }
}

/// Elements that are kept between the two runs of the frames.
const KEPT_ELEMENTS: usize = 1 << 26;

/// Sees all frames twice: as many as fit are kept meanwhile, the others are run again.
///
/// # Errors
/// Values that are not finite, with the node that made them; what [`Program::run`] refuses.
pub(super) fn measure(program: &Program<'_>, sites: &Sites, frames: &Frames) -> Result<Vec<Measured>, Diagnostics> {
    measure_keeping(program, sites, frames, KEPT_ELEMENTS)
}

/// The same with at most so many elements kept.
fn measure_keeping(
    program: &Program<'_>,
    sites: &Sites,
    frames: &Frames,
    most: usize,
) -> Result<Vec<Measured>, Diagnostics> {
    let each: usize =
        sites.of.keys().filter_map(|id| program.shapes.get(id)).map(|dims| dims.iter().product::<usize>()).sum();
    let kept = frames.count().min(most / each.max(1));
    let first = visit_all(
        program,
        frames,
        0..frames.count(),
        &|frame| FirstSight {
            ranges: vec![(f32::INFINITY, f32::NEG_INFINITY); sites.groups.len()],
            kept: (frame < kept).then(Vec::new),
        },
        &|made, id, tensor| {
            let Some(&group) = sites.of.get(&id) else { return Ok(()) };
            let values = elements(tensor);
            made.ranges[group] = range(&values, made.ranges[group])?;
            if let Some(kept) = &mut made.kept {
                kept.push((group, values));
            }
            Ok(())
        },
    )?;
    let empty = Measured { low: f32::INFINITY, high: f32::NEG_INFINITY, counts: vec![0; BINS] };
    let mut measured = vec![empty; sites.groups.len()];
    for frame in &first {
        for (sum, &(low, high)) in measured.iter_mut().zip(&frame.ranges) {
            (sum.low, sum.high) = (sum.low.min(low), sum.high.max(high));
        }
    }
    let ranges: Vec<(f32, f32)> = measured.iter().map(|group| (group.low, group.high)).collect();
    let none = || vec![vec![0u32; BINS]; sites.groups.len()];
    let mut chunks: Vec<Vec<Vec<u32>>> = first
        .into_par_iter()
        .filter_map(|frame| frame.kept)
        .map(|kept| {
            let mut made = none();
            kept.iter().for_each(|(group, values)| count(values, ranges[*group], &mut made[*group]));
            made
        })
        .collect();
    chunks.extend(visit_all(program, frames, kept..frames.count(), &|_| none(), &|made, id, tensor| {
        let Some(&group) = sites.of.get(&id) else { return Ok(()) };
        count(&elements(tensor), ranges[group], &mut made[group]);
        Ok(())
    })?);
    for frame in &chunks {
        for (sum, counts) in measured.iter_mut().zip(frame) {
            sum.counts.iter_mut().zip(counts).for_each(|(sum, &count)| *sum += u64::from(count));
        }
    }
    Ok(measured)
}

/// What the first run of a frame gave.
struct FirstSight {
    /// Least and greatest value of each group.
    ranges: Vec<(f32, f32)>,
    /// Each tensor of a group, where the frame is kept.
    kept: Option<Vec<(usize, Vec<f32>)>>,
}

/// The range of values, widened from another.
fn range(values: &[f32], from: (f32, f32)) -> Result<(f32, f32), Fault> {
    let mut is_finite = true;
    let range = values.iter().fold(from, |(low, high), &value| {
        is_finite &= value.is_finite();
        (low.min(value), high.max(value))
    });
    match values.iter().find(|value| !value.is_finite()).filter(|_| !is_finite) {
        None => Ok(range),
        Some(value) => {
            let help = "repair the weights, or give frames of the size that the network was trained on";
            Err(Fault::constant(format!("an activation is {value}"), help))
        }
    }
}

/// Counts values in equal parts of a range.
fn count(values: &[f32], (low, high): (f32, f32), counts: &mut [u32]) {
    let factor = BINS as f32 / (high - low);
    if factor.is_finite() {
        for value in values {
            counts[(((value - low) * factor) as usize).min(BINS - 1)] += 1;
        }
    }
}

/// Runs these frames on all cores; what each gave is returned in the frames' order.
pub(super) fn visit_all<T: Send>(
    program: &Program<'_>,
    frames: &Frames,
    span: Range<usize>,
    start: &(dyn Fn(usize) -> T + Sync),
    visit: &(dyn Fn(&mut T, ValueId, &Tensor) -> Result<(), Fault> + Sync),
) -> Result<Vec<T>, Diagnostics> {
    let run = |index: usize| -> Result<T, Diagnostic> {
        let mut made = start(index);
        let mut fault = None;
        program.run(&frames.frame(index), &mut |id, tensor| {
            if fault.is_none()
                && let Err(found) = visit(&mut made, id, tensor)
            {
                fault = Some(found.at(program.file(), program.maker(id)));
            }
        })?;
        fault.map_or(Ok(made), Err)
    };
    span.into_par_iter().map(run).collect::<Result<Vec<T>, Diagnostic>>().map_err(Diagnostics::from)
}

#[cfg(test)]
mod tests {
    use super::super::sites::Group;
    use super::*;
    use crate::model::{Attributes, Model, ModelInput, Node, Refused};
    use std::collections::BTreeMap;

    /// A network of one ReLU over six numbers.
    fn relu() -> Model {
        let node = Node {
            name: "relu".into(),
            op: "Relu".into(),
            domain: String::new(),
            inputs: vec![Some(0)],
            outputs: vec![1],
            attributes: Attributes::default(),
            constant_element: None,
            refused: Refused::No,
        };
        Model {
            nodes: vec![node],
            names: vec!["x".into(), "y".into()],
            constants: BTreeMap::new(),
            inputs: vec![ModelInput { id: 0, shape: Some(vec![Some(1), Some(6)]), annotated: None }],
            outputs: vec![1],
            notes: Vec::new(),
            elements: BTreeMap::new(),
        }
    }

    #[test]
    fn frames_that_are_kept_count_as_those_that_are_run_again() {
        let model = relu();
        let program = Program::new(&model, "relu.onnx").unwrap();
        let group = || Group { bits: 8, owner: "relu".into(), fixed: None };
        let sites = Sites::of_groups(vec![group(), group()], BTreeMap::from([(0, 0), (1, 1)]));
        let values: Vec<f32> = (0..24).map(|at| (at * 7 % 24) as f32 - 8.0).collect();
        let raw = RealFrames { values, elements: 6, are_codes: false };
        let frames =
            Frames { inputs: vec![InputFrames { raw, meaning: None, model_reads_codes: false, dims: vec![1, 6] }] };
        // Twelve elements a frame: none, two and all of the four frames are kept.
        let made = [0, 24, 1000].map(|most| measure_keeping(&program, &sites, &frames, most).unwrap());
        assert_eq!(made[0], made[1]);
        assert_eq!(made[0], made[2]);
        assert_eq!((made[0][0].low, made[0][0].high), (-8.0, 15.0));
        assert_eq!((made[0][1].low, made[0][1].high), (0.0, 15.0));
        assert_eq!(made[0].iter().map(|group| group.counts.iter().sum::<u64>()).collect::<Vec<_>>(), [24, 24]);
        // Nine numbers are zero behind the ReLU, -8 to 0, and 15 is alone in its bin.
        assert_eq!((made[0][1].counts[0], made[0][1].counts[BINS - 1]), (9, 1));
    }
}
