//! The smallest folding that keeps a rate, a latency and limits at once.

use super::improve::Frame;
use super::reach::quicker_than;
use super::{Point, Site};
use crate::failure::Outcome;
use hdl_gen::fold::{Folded, Usage};

/// Times that a target is tightened because the design is slower than its layers.
const MOST_TIGHTENED: usize = 12;
/// Designs that may be priced on the way to a better one.
const TRIES: usize = 40;

/// What a design shall keep.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Cycles from frame to frame.
    pub interval_cycles: u64,
    /// Whether these bind the layers alone: windows, adapters and FIFOs may make the whole slower.
    pub of_layers_alone: bool,
    /// Cycles from the first input to the last output of a frame.
    pub latency_cycles: Option<u64>,
    /// LUT, FF, DSP blocks, block RAM of 36 Kibit.
    pub limits: [Option<f64>; 4],
}

/// Why there is none.
pub enum Missed {
    /// The quickest that was found: cycles from frame to frame, and those of the first frame where they were predicted.
    Slow(u64, Option<u64>),
    /// What the nearest takes, where one was found.
    Large(Option<Usage>),
}

impl Site<'_> {
    /// The folding of fewest LUTs that keeps all that is wanted. Layers are folded for a number of cycles; where the
    /// design as a whole is slower, for fewer.
    pub fn within(&self, wanted: &Wanted) -> Outcome<Result<Point, Missed>> {
        self.with_folder(|folder| {
            let most = wanted.interval_cycles.min(wanted.latency_cycles.unwrap_or(u64::MAX));
            let quick = |point: &Point| {
                let first = point.timing.map(|timing| timing.first_frame_cycles);
                let late = wanted.latency_cycles.zip(first).is_some_and(|(most, first)| first > most);
                (wanted.of_layers_alone || point.interval_cycles() <= wanted.interval_cycles) && !late
            };
            let frame = Frame { limits: wanted.limits, peak: false, quick: &quick, tries: TRIES };
            let (mut target, mut quickest) = (most, (u64::MAX, None));
            for _ in 0..MOST_TIGHTENED {
                self.interrupt.check()?;
                let point = match self.reach(folder, target, &frame.without_tries())? {
                    Ok(point) => point,
                    Err(Folded::Impossible(why)) => return Ok(Err(Missed::Large(Some(why.nearest)))),
                    Err(Folded::TooSlow { least_cycles, .. }) => {
                        if quickest.0 == u64::MAX {
                            // What the quickest takes as a whole, where it keeps the limits.
                            let found = self.reach(folder, least_cycles.max(1), &frame.without_tries())?.ok();
                            let interval = found.as_ref().map_or(least_cycles, Point::interval_cycles);
                            let first = found.and_then(|point| point.timing.map(|timing| timing.first_frame_cycles));
                            quickest = (interval, first);
                        }
                        return Ok(Err(Missed::Slow(quickest.0, quickest.1)));
                    }
                    Err(Folded::Unknown | Folded::Found(_)) => return Ok(Err(Missed::Large(None))),
                };
                let (interval, first) = (point.interval_cycles(), point.timing.map(|timing| timing.first_frame_cycles));
                let of_interval = match wanted.of_layers_alone {
                    true => 1.0,
                    false => wanted.interval_cycles as f64 / interval.max(1) as f64,
                };
                let of_latency = match (wanted.latency_cycles, first) {
                    (Some(most), Some(first)) => most as f64 / first.max(1) as f64,
                    _ => 1.0,
                };
                let share = of_interval.min(of_latency);
                if share >= 1.0 {
                    return self.improve(folder, point, &frame).map(Ok);
                }
                quickest = quickest.min((interval, first));
                if target < 2 {
                    break;
                }
                target = ((target as f64 * share) as u64).min(quicker_than(&point)).clamp(1, target - 1);
            }
            Ok(Err(Missed::Slow(quickest.0, quickest.1)))
        })
    }
}
