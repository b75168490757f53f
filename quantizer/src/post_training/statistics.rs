//! What activations were on the calibration frames: extremes first, then histograms between them.

use super::options::{Meaning, RealFrames};
use super::sites::Sites;
use crate::fault::Fault;
use crate::float::{Program, elements};
use crate::model::ValueId;
use candle_core::Tensor;
use network::{Diagnostic, Diagnostics};
use rayon::prelude::*;

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

/// Runs all frames twice.
///
/// # Errors
/// Values that are not finite, with the node that made them; what [`Program::run`] refuses.
pub(super) fn measure(program: &Program<'_>, sites: &Sites, frames: &Frames) -> Result<Vec<Measured>, Diagnostics> {
    let empty = Measured { low: f32::INFINITY, high: f32::NEG_INFINITY, counts: Vec::new() };
    let all = visit_all(
        program,
        frames,
        &|_| vec![(f32::INFINITY, f32::NEG_INFINITY); sites.groups.len()],
        &|made, id, tensor| {
            let Some(&group) = sites.of.get(&id) else { return Ok(()) };
            for value in elements(tensor) {
                if !value.is_finite() {
                    let help = "repair the weights, or give frames of the size that the network was trained on";
                    return Err(Fault::constant(format!("an activation is {value}"), help));
                }
                made[group] = (made[group].0.min(value), made[group].1.max(value));
            }
            Ok(())
        },
    )?;
    let mut measured = vec![empty; sites.groups.len()];
    for frame in &all {
        for (sum, &(low, high)) in measured.iter_mut().zip(frame) {
            (sum.low, sum.high) = (sum.low.min(low), sum.high.max(high));
        }
    }
    let ranges: Vec<(f32, f32)> = measured.iter().map(|group| (group.low, group.high)).collect();
    let chunks = visit_all(program, frames, &|_| vec![vec![0u32; BINS]; sites.groups.len()], &|made, id, tensor| {
        let Some(&group) = sites.of.get(&id) else { return Ok(()) };
        let (low, high) = ranges[group];
        let factor = BINS as f32 / (high - low);
        if factor.is_finite() {
            for value in elements(tensor) {
                made[group][(((value - low) * factor) as usize).min(BINS - 1)] += 1;
            }
        }
        Ok(())
    })?;
    for sum in &mut measured {
        sum.counts = vec![0; BINS];
    }
    for frame in &chunks {
        for (sum, counts) in measured.iter_mut().zip(frame) {
            sum.counts.iter_mut().zip(counts).for_each(|(sum, &count)| *sum += u64::from(count));
        }
    }
    Ok(measured)
}

/// Runs all frames on all cores; what each gave is returned in the frames' order.
pub(super) fn visit_all<T: Send>(
    program: &Program<'_>,
    frames: &Frames,
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
    (0..frames.count()).into_par_iter().map(run).collect::<Result<Vec<T>, Diagnostic>>().map_err(Diagnostics::from)
}
