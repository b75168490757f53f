//! Frames distilled from statistics (after ZeroQ).
//!
//! ZeroQ matches the means and deviations that batch norms recorded in training. Exported networks have these folded
//! into their weights; here the channels' statistics on the calibration frames take their place, so that nothing but a
//! mean and a deviation for each channel is known of the data. The start is Gaussian, steps are Adam's.

use super::super::study::{Ended, Study, Target};
use crate::adam::Adam;
use crate::fault::{Checked, Fault};
use crate::float::{elements, fault, tensor};
use candle_core::{Tensor, Var};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Frames that are distilled.
const FRAMES: usize = 8;
/// Steps for each.
const STEPS: usize = 60;
/// Adam's rate, in deviations of the input.
const RATE: f64 = 0.1;

/// Mean and deviation of each channel.
type Channels = Vec<(f64, f64)>;

impl Study<'_> {
    /// Distilled frames.
    pub(crate) fn distilled(&self) -> Result<Vec<Vec<f32>>, Ended> {
        self.watch.begin("distilling frames", FRAMES as u64);
        let wanted = self.channel_statistics()?;
        let all: Vec<f64> = self.fit_frames().iter().flat_map(|(frame, _)| frame).map(|&x| f64::from(x)).collect();
        let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
        let deviation =
            (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / all.len().max(1) as f64).sqrt().max(1e-6);
        let count = self.trial.frame(0).len();
        let distill = |index: usize| -> Result<Vec<f32>, Ended> {
            let seed = self.options.seed.wrapping_mul(31).wrapping_add(index as u64);
            let start = crate::post_training::normal(seed, count);
            let start: Vec<f32> = start.iter().map(|x| (f64::from(*x) * deviation + mean) as f32).collect();
            let made = self.matched(start, (mean, deviation), &wanted)?;
            self.watch.step();
            Ok(made)
        };
        (0..FRAMES).into_par_iter().map(distill).collect()
    }

    /// What the float network says of frames.
    pub(crate) fn float_targets(&self, frames: &[Vec<f32>]) -> Result<Vec<Target>, Ended> {
        let of = |frame: &Vec<f32>| {
            let made = self.trial.outputs(frame, &BTreeMap::new(), &|_, x| Ok(x))?;
            Ok(Target::Outputs(made))
        };
        frames.par_iter().map(of).collect()
    }

    fn channel_statistics(&self) -> Result<Vec<Channels>, Ended> {
        let frames = self.fit_frames();
        let all: Result<Vec<_>, network::Diagnostic> =
            frames.par_iter().map(|(frame, _)| self.trial.channel_sums(frame)).collect();
        let mut sums: Vec<Vec<(f64, f64, f64)>> = Vec::new();
        for frame in all? {
            sums.resize(frame.len(), Vec::new());
            for (sum, own) in sums.iter_mut().zip(frame) {
                sum.resize(own.len(), (0.0, 0.0, 0.0));
                sum.iter_mut().zip(own).for_each(|(s, o)| *s = (s.0 + o.0, s.1 + o.1, s.2 + o.2));
            }
        }
        let moments = |&(n, sum, squares): &(f64, f64, f64)| {
            let mean = sum / f64::max(n, 1.0);
            (mean, (squares / f64::max(n, 1.0) - mean * mean).max(0.0).sqrt())
        };
        Ok(sums.iter().map(|layer| layer.iter().map(moments).collect()).collect())
    }

    fn matched(&self, start: Vec<f32>, input: (f64, f64), wanted: &[Channels]) -> Result<Vec<f32>, Ended> {
        let [dims] = self.trial.program.frame_dims.as_slice() else {
            return Err(Ended::from(self.at(Fault::operator(
                "a network of several inputs",
                "frames can be distilled for networks of one input; use another method",
            ))));
        };
        let mut frame = start;
        let mut adam = Adam::new(frame.len(), RATE * input.1);
        for _ in 0..STEPS {
            self.check()?;
            let gradient = self.mismatch(&frame, dims, input, wanted).map_err(|found| Ended::from(self.at(found)))?;
            adam.step(&mut frame, &gradient);
        }
        Ok(frame)
    }

    /// Gradient of the mismatch of statistics in a frame's elements.
    fn mismatch(&self, frame: &[f32], dims: &[usize], input: (f64, f64), wanted: &[Channels]) -> Checked<Vec<f32>> {
        let variable = Var::from_tensor(&tensor(frame.to_vec(), dims)?).map_err(fault)?;
        let made = self.trial.layer_results(variable.as_tensor())?;
        let moments = |x: &Tensor| -> candle_core::Result<(Tensor, Tensor)> {
            let mean = x.mean_keepdim(1)?;
            let variance = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim(1)?;
            Ok((mean.flatten_all()?, (variance + 1e-6)?.sqrt()?.flatten_all()?))
        };
        let term = |x: &Tensor, wanted: &[(f64, f64)]| -> candle_core::Result<Tensor> {
            let rows = x.reshape((wanted.len(), ()))?;
            let (mean, deviation) = moments(&rows)?;
            let to = |pick: &dyn Fn(&(f64, f64)) -> f64| {
                Tensor::from_vec(wanted.iter().map(|w| pick(w) as f32).collect::<Vec<_>>(), wanted.len(), x.device())
            };
            let off = (mean - to(&|w| w.0)?)?.sqr()?.sum_all()?;
            off + (deviation - to(&|w| w.1)?)?.sqr()?.sum_all()?
        };
        let mut sum = term(variable.as_tensor(), &[input]).map_err(fault)?;
        for (x, wanted) in made.iter().zip(wanted) {
            // A channel of one place has no deviation in a single frame.
            if !wanted.is_empty() && x.elem_count() / wanted.len() > 1 {
                sum = term(x, wanted).and_then(|term| sum + term).map_err(fault)?;
            }
        }
        let gradients = sum.backward().map_err(fault)?;
        Ok(gradients.get(variable.as_tensor()).map(elements).unwrap_or_else(|| vec![0.0; frame.len()]))
    }
}
