//! What the solver does not see: width adapters and FIFOs between layers, whose cost hangs on two layers at once.
//!
//! The solver's choice and the greedy baseline are priced as whole designs; the better of them is then changed layer by layer
//! as long as a change makes the whole design better. So the baseline is never better than the answer.

use super::{Point, Site, cannot_fold, usage};
use crate::failure::Outcome;
use crate::hardware::cannot_lower;
use hdl_gen::fold::{Folder, LayerOption, Usage, greedy};
use hdl_gen::{Bound, CountedDesign, lower_counted, lower_counted_like};

/// Arrays up to which layers are changed one by one: beyond, adapters are a small part of the whole.
const MOST_ARRAYS: usize = 40;
/// Times that all layers are gone through.
const MOST_ROUNDS: usize = 3;

/// What a better design must keep.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    /// What may be used of each resource at most.
    pub limits: [Option<f64>; 4],
    /// Whether the largest share of the part is made small before the LUTs are.
    pub peak: bool,
    /// Whether a design is quick enough.
    pub quick: &'a dyn Fn(&Point) -> bool,
    /// Designs that may be priced on the way.
    pub tries: usize,
}

impl Frame<'_> {
    /// The same for a design that is not the answer yet.
    pub(super) fn without_tries(self) -> Self {
        Frame { tries: 0, ..self }
    }
}

impl Site<'_> {
    /// A design that is at least as good as `point` and as the greedy baseline of its target.
    pub(super) fn improve(&self, folder: &mut Folder<'_>, point: Point, frame: &Frame<'_>) -> Outcome<Point> {
        let Some(target) = point.folding.as_ref().map(|folding| folding.target_cycles) else { return Ok(point) };
        if frame.tries == 0 {
            return Ok(point);
        }
        // What is quick enough stays so; else no design may be slower.
        let is_quick = (frame.quick)(&point);
        let quick = |other: &Point| match is_quick {
            true => (frame.quick)(other),
            false => other.interval_cycles() <= point.interval_cycles(),
        };
        let mut best = match self.baseline(folder, &point, target)? {
            Some(baseline) if self.keeps(&baseline.usage, &frame.limits) && quick(&baseline) => {
                if self.is_better(&baseline.usage, &point.usage, frame.peak) { Some(baseline) } else { None }
            }
            _ => None,
        };
        let start = best.as_ref().unwrap_or(&point);
        if let Some(changed) = self.changed(folder, start, target, frame)?
            && quick(&changed)
        {
            best = Some(changed);
        }
        Ok(match best {
            Some(best) => Point { solver: Some(point.usage), ..best },
            None => point,
        })
    }

    /// The greedy baseline with what the solver said of its target.
    fn baseline(&self, folder: &Folder<'_>, point: &Point, target: u64) -> Outcome<Option<Point>> {
        let Ok(bound) = greedy(self.network, target) else { return Ok(None) };
        let Some(mut folding) = point.folding.clone() else { return Ok(None) };
        for option in &mut folding.options {
            option.hardware = bound.layers()[option.layer].clone();
            option.cycles = bound.layer_cycles(option.layer);
            option.usage =
                folder.price(option.layer, &option.hardware).map_err(|error| cannot_lower(self.network, &error))?;
        }
        self.measure(bound, Some(folding)).map(Some)
    }

    /// The design after changes of single layers; none where no change makes it better.
    fn changed(
        &self,
        folder: &mut Folder<'_>,
        start: &Point,
        target: u64,
        frame: &Frame<'_>,
    ) -> Outcome<Option<Point>> {
        let Some(mut folding) = start.folding.clone() else { return Ok(None) };
        if folding.options.len() > MOST_ARRAYS {
            return Ok(None);
        }
        let between = self.between(start);
        let bound = folder.bound(target, &folding.options).map_err(|error| cannot_fold(self.network, error))?;
        let like = lower_counted(&bound, self.memo).map_err(|error| cannot_lower(self.network, &error))?;
        let mut usage = start.usage;
        let (mut tries, mut moved) = (frame.tries, false);
        for _ in 0..MOST_ROUNDS {
            let before = usage;
            for place in 0..folding.options.len() {
                let layer = folding.options[place].layer;
                let options = folder.options(layer, target).map_err(|error| cannot_fold(self.network, error))?;
                for option in options {
                    self.interrupt.check()?;
                    // Adapters and FIFOs can save no more than they take.
                    let most = folding.options[place].usage.plus(between);
                    if option == folding.options[place] || tries == 0 || !may_win(&option, most, frame.peak) {
                        continue;
                    }
                    tries -= 1;
                    let kept = std::mem::replace(&mut folding.options[place], option);
                    let bound =
                        folder.bound(target, &folding.options).map_err(|error| cannot_fold(self.network, error))?;
                    let taken = self.priced(&bound, &like)?;
                    if self.keeps(&taken, &frame.limits) && self.is_better(&taken, &usage, frame.peak) {
                        (usage, moved) = (taken, true);
                    } else {
                        folding.options[place] = kept;
                    }
                }
            }
            if usage == before {
                break;
            }
        }
        if !moved {
            return Ok(None);
        }
        let bound = folder.bound(target, &folding.options).map_err(|error| cannot_fold(self.network, error))?;
        self.measure(bound, Some(folding)).map(Some)
    }

    /// What a whole design takes, with FIFOs as deep as in one that is like it.
    fn priced(&self, bound: &Bound, like: &CountedDesign) -> Outcome<Usage> {
        let design = lower_counted_like(bound, self.memo, like).map_err(|error| cannot_lower(self.network, &error))?;
        Ok(usage(&design.estimate(self.model).total))
    }

    /// Whether a design is better than another: less of the part's scarcest, then fewer LUTs.
    pub(super) fn is_better(&self, one: &Usage, other: &Usage, peak: bool) -> bool {
        let capacity = usage(&self.device.capacity).0;
        let share = |usage: &Usage| {
            let shares = usage.0.iter().zip(capacity).filter(|(_, all)| *all > 0.0).map(|(used, all)| used / all);
            shares.fold(0.0, f64::max)
        };
        let (least, most) = (share(one), share(other));
        if peak && (least - most).abs() > 1e-6 * most { least < most } else { one.0[0] < other.0[0] - 1e-6 }
    }
}

/// Whether an option can be part of a better design at all, where the other options of its layer and everything between
/// the layers take `most` together.
fn may_win(option: &LayerOption, most: Usage, peak: bool) -> bool {
    peak || option.usage.0[0] < most.0[0]
}
