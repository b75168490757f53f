//! PDB's reason put to work: the better a stage tells classes apart, the fewer bits it gets.
//!
//! A stage's features are the means of its last layer's channels over a frame; classes are those of the labels, else
//! what the float network says. How far classes stand apart ([`monotone::separability`]) is projected on a sequence
//! that never falls with depth ([`monotone::isotonic`]). Stages that are level there have one width, later ones no wider
//! widths; which widths is decided by measured losses, as for `pdb`. The projection to groups of stages is ours.

use super::super::monotone;
use super::super::study::{Ended, LossKind, Study, Target};
use crate::float::elements;
use network::{Code, Diagnostic, Place};
use rayon::prelude::*;
use std::collections::BTreeSet;

impl Study<'_> {
    /// For each layer its group of stages, rising with depth.
    ///
    /// # Errors
    /// The user stopped it; the frames have no two classes.
    pub fn separated_stages(&self) -> Result<Vec<usize>, Ended> {
        let stages = &self.structure().stages;
        let groups = groups(&self.separabilities()?);
        Ok(stages.iter().map(|&stage| groups[stage]).collect())
    }

    /// For each stage how far classes stand apart in the channel means of its last layer, over the frames to measure on.
    ///
    /// # Errors
    /// The user stopped it; the frames have no two classes.
    pub fn separabilities(&self) -> Result<Vec<f64>, Ended> {
        self.check()?;
        let stages = &self.structure().stages;
        let count = stages.last().map_or(0, |last| last + 1);
        let lasts: Vec<usize> = (0..count).filter_map(|stage| stages.iter().rposition(|&own| own == stage)).collect();
        let frames = self.fit_frames();
        let classes: Option<Vec<usize>> = frames.iter().map(|(_, target)| self.class_of(target)).collect();
        let classes = classes.filter(|classes| classes.iter().collect::<BTreeSet<_>>().len() > 1);
        let Some(classes) = classes else {
            return Err(Ended::from(Diagnostic::new(
                Code::AllocationMethod,
                Place::file(self.trial.program.file()),
                "pdb-separability needs frames of two classes at least, by labels or by one output of class scores",
                "give frames of several classes, or take `--method pdb`",
            )));
        };
        self.watch.begin("features of stages", 1);
        let features = |(frame, _): &(Vec<f32>, &Target)| -> Result<Vec<Vec<f64>>, Diagnostic> {
            let sums = self.trial.channel_sums(frame)?;
            let mean = |&(count, sum, _): &(f64, f64, f64)| sum / count.max(1.0);
            Ok(lasts.iter().map(|&layer| sums[layer].iter().map(mean).collect()).collect())
        };
        let all: Vec<Vec<Vec<f64>>> = frames.par_iter().map(features).collect::<Result<_, _>>()?;
        self.watch.step();
        let of_stage = |stage: usize| {
            let samples: Vec<(usize, Vec<f64>)> =
                classes.iter().zip(&all).map(|(&class, frame)| (class, frame[stage].clone())).collect();
            monotone::separability(&samples)
        };
        Ok((0..count).map(of_stage).collect())
    }

    /// The class of a frame, by its label or by the greatest score of the float network.
    fn class_of(&self, target: &Target) -> Option<usize> {
        match target {
            Target::Class(class) => Some(*class),
            Target::Outputs(outputs) => {
                let [only] = outputs.as_slice() else { return None };
                let is_list = only.dims().iter().filter(|&&dim| dim != 1).count() == 1;
                let has_scores = matches!(self.loss_kind(), LossKind::Classes | LossKind::Probabilities) && is_list;
                let scores = elements(only);
                has_scores
                    .then(|| (0..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best }))
            }
        }
    }
}

/// Groups of stages: a new one wherever the sequence that never falls rises.
fn groups(separabilities: &[f64]) -> Vec<usize> {
    let projected = monotone::isotonic(separabilities);
    let mut group = 0;
    let of_stage = |stage: usize| {
        group += usize::from(stage > 0 && projected[stage] > projected[stage - 1]);
        group
    };
    (0..projected.len()).map(of_stage).collect()
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn stages_that_are_level_share_a_group() {
        assert_eq!(groups(&[0.5, 1.0, 4.0]), [0, 1, 2]);
        // The second and third project on their mean, 2.
        assert_eq!(groups(&[0.5, 3.0, 1.0, 2.5]), [0, 1, 1, 2]);
        assert_eq!(groups(&[3.0, 2.0, 1.0]), [0, 0, 0]);
        assert_eq!(groups(&[]), [0; 0]);
    }
}
