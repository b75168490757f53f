//! The search for the target that reaches a goal.

use super::improve::Frame;
use super::{Goal, cannot_fold, impossible};
use crate::failure::Outcome;
use crate::hardware::{cannot_lower, cannot_predict};
use crate::interrupt::Interrupt;
use hdl_gen::cost::{Device, LayerCosts, Model, Resources};
use hdl_gen::datapath::Memo;
use hdl_gen::fold::{Aim, Folded, Folder, Folding, Impossible, RESOURCES, Usage, greedy};
use hdl_gen::{BindOptions, Bound, BoundLayer, CountedDesign, bind, lower_counted};
use network::manifest::Timing;
use network::{Network, Place};

/// Times that a target is tightened because the design is slower than its layers.
const MOST_TIGHTENED: usize = 12;
/// Times that what stands between the arrays is counted again.
const MOST_COUNTED: usize = 4;
/// Whole designs that are priced to better an answer, and one point of a front.
const TRIES: [usize; 2] = [400, 40];

/// What foldings are chosen on.
pub struct Site<'a> {
    /// The network, with the plan's wishes.
    pub network: &'a Network,
    /// The part.
    pub device: &'a Device,
    /// Prices of its family.
    pub model: &'a Model,
    /// Clock in MHz.
    pub clock_mhz: f64,
    /// Whether the part was named, so that its capacity counts beside a budget.
    pub part_counts: bool,
    /// Share by which the answer may miss the best.
    pub gap: f64,
    /// Stops the search.
    pub interrupt: &'a Interrupt,
    /// Figures of datapaths that were counted before.
    pub memo: &'a Memo,
    /// Words of a frame up to which a design's cycles are predicted.
    pub longest_words: u64,
}

/// A folding that was lowered, priced and predicted.
pub struct Point {
    /// All hardware.
    pub bound: Bound,
    /// The design, for its figures.
    pub design: CountedDesign,
    /// What the solver said; none for the baseline.
    pub folding: Option<Folding>,
    /// What the whole design takes.
    pub usage: Usage,
    /// What the solver's choice takes as a whole, where this design is a better one.
    pub solver: Option<Usage>,
    /// Predicted cycles; none where that takes long.
    pub timing: Option<Timing>,
    /// Cycles of the slowest layer, and its index.
    pub slowest: (u64, usize),
}

impl Point {
    /// Cycles from frame to frame: predicted, or those of the slowest layer.
    pub fn interval_cycles(&self) -> u64 {
        self.timing.map_or(self.slowest.0, |timing| timing.initiation_interval_cycles.max(1))
    }
}

/// Cycles that leave another folding than a point's: less than its slowest array takes.
pub(super) fn quicker_than(point: &Point) -> u64 {
    let arrays = point.folding.iter().flat_map(|folding| &folding.options).map(|option| option.cycles);
    arrays.max().unwrap_or(point.slowest.0).saturating_sub(1)
}

/// What keeps an answer from being better.
pub struct Stop {
    /// Index in [`RESOURCES`] of what is nearest to its limit.
    pub resource: usize,
    /// The share of it that is taken.
    pub share: f64,
    /// The layer that takes most cycles.
    pub slowest: usize,
}

/// The next better point: quicker, or (beside a budget) what it would break.
pub enum Next {
    /// A quicker folding: cycles a frame of its layers, what it takes.
    Point(u64, Usage),
    /// Quicker foldings break limits: cycles a frame of their layers, and what breaks.
    Impossible(u64, Box<Impossible>),
    /// A layer cannot be quicker.
    TooSlow(usize, u64),
}

/// The answer to a goal.
pub struct Answer {
    /// The folding.
    pub point: Point,
    /// What stops it.
    pub stop: Stop,
    /// The next better point.
    pub next: Option<Next>,
    /// The greedy baseline for the same target.
    pub baseline: Option<Point>,
}

impl Site<'_> {
    /// The best folding for a goal alone.
    pub fn best(&self, goal: Goal) -> Outcome<Point> {
        self.with_folder(|folder| self.point(folder, goal))
    }

    /// Options priced layer by layer, kept while `search` runs.
    pub(super) fn with_folder<T>(&self, search: impl FnOnce(&mut Folder<'_>) -> Outcome<T>) -> Outcome<T> {
        let default = bind(self.network, &BindOptions::default())?;
        let costs = LayerCosts::new(&default, self.model, self.memo);
        let price = |index: usize, hardware: &BoundLayer| costs.layer(index, hardware).map(|taken| usage(&taken));
        let mut folder = Folder::new(self.network, &price).map_err(|error| cannot_fold(self.network, error))?;
        search(&mut folder)
    }

    fn point(&self, folder: &mut Folder<'_>, goal: Goal) -> Outcome<Point> {
        match goal {
            Goal::Rate(fps) => self.for_rate(folder, fps),
            Goal::Budget(limits) => self.for_budget(folder, limits),
            Goal::Latency(us) => self.for_latency(folder, us),
        }
    }

    /// The best folding for a goal, with what stops it, the next better one and the baseline.
    pub fn answer(&self, goal: Goal) -> Outcome<Answer> {
        let (point, next) = self.with_folder(|folder| {
            let point = self.point(folder, goal)?;
            let next = self.next(folder, &point, goal)?;
            Ok((point, next))
        })?;
        let capacity = usage(&self.device.capacity).0;
        let mut limits = self.limits(goal);
        limits.iter_mut().zip(capacity).for_each(|(limit, all)| *limit = limit.or(Some(all)));
        let target = point.folding.as_ref().map_or(point.slowest.0, |folding| folding.target_cycles);
        let baseline = greedy(self.network, target).ok().and_then(|bound| self.measure(bound, None).ok());
        let share = |resource: usize| match limits[resource] {
            Some(limit) if limit > 0.0 => point.usage.0[resource] / limit,
            _ => 0.0,
        };
        let resource = (0..4).fold(0, |best, other| if share(other) > share(best) { other } else { best });
        let stop = Stop { resource, share: share(resource), slowest: point.slowest.1 };
        Ok(Answer { point, stop, next, baseline })
    }

    /// The best folding of each of several targets, in their order; those that nothing reaches are left out.
    pub fn front(&self, targets: usize) -> Outcome<Vec<Point>> {
        self.with_folder(|folder| self.front_of(folder, targets))
    }

    fn front_of(&self, folder: &mut Folder<'_>, targets: usize) -> Outcome<Vec<Point>> {
        let all = folder.targets();
        let (Some(&least), Some(&most)) = (all.first(), all.last()) else { return Ok(Vec::new()) };
        let mut points: Vec<Point> = Vec::new();
        let mut last = u64::MAX;
        for step in 0..targets {
            self.interrupt.check()?;
            let part = step as f64 / (targets.max(2) - 1) as f64;
            let wanted = (most as f64 * (least as f64 / most as f64).powf(part)).round() as u64;
            let target = all.iter().rev().find(|&&cycles| cycles <= wanted.max(least)).copied().unwrap_or(least);
            if target >= last {
                continue;
            }
            last = target;
            let frame = Frame { limits: [None; 4], peak: true, quick: &|_| false, tries: TRIES[1] };
            if let Ok(point) = self.reach(folder, target, &frame)? {
                points.push(point);
            }
        }
        Ok(points)
    }

    /// Limits that a goal sets: the budget's, and the part's where it counts.
    fn limits(&self, goal: Goal) -> [Option<f64>; 4] {
        let capacity = usage(&self.device.capacity).0;
        match goal {
            Goal::Budget(limits) if self.part_counts => {
                let mut both = limits;
                both.iter_mut()
                    .zip(capacity)
                    .for_each(|(limit, most)| *limit = Some(limit.map_or(most, |l| l.min(most))));
                both
            }
            Goal::Budget(limits) => limits,
            Goal::Rate(_) | Goal::Latency(_) if self.part_counts => capacity.map(Some),
            Goal::Rate(_) | Goal::Latency(_) => [None; 4],
        }
    }

    fn for_rate(&self, folder: &mut Folder<'_>, fps: f64) -> Outcome<Point> {
        let wanted = (self.clock_mhz * 1e6 / fps).floor().min(u64::MAX as f64) as u64;
        let goal = format!("{fps} frames/s at {} MHz leave {wanted} cycles for a frame", self.clock_mhz);
        let mut target = wanted;
        let mut nearest: Option<u64> = None;
        for _ in 0..MOST_TIGHTENED {
            self.interrupt.check()?;
            let quick = |point: &Point| point.interval_cycles() <= wanted;
            let frame = Frame { limits: self.limits(Goal::Rate(fps)), peak: true, quick: &quick, tries: TRIES[0] };
            match self.reach(folder, target, &frame.without_tries())? {
                Ok(point) => {
                    let interval = point.interval_cycles();
                    if interval <= wanted {
                        return self.improve(folder, point, &frame);
                    }
                    nearest = Some(nearest.map_or(interval, |nearest| nearest.min(interval)));
                    let scaled = (target as f64 * wanted as f64 / interval as f64) as u64;
                    target = scaled.min(target - 1).min(quicker_than(&point));
                }
                Err(folded) => {
                    let best = nearest.map(|cycles| self.clock_mhz * 1e6 / cycles as f64);
                    return Err(self.refuse(&goal, &folded, best).into());
                }
            }
        }
        let cycles = nearest.unwrap_or(wanted);
        let message = format!("{goal}, and the quickest design found takes {cycles} from frame to frame");
        let help = format!("ask for at most {:.0} frames/s, or raise the clock", self.clock_mhz * 1e6 / cycles as f64);
        Err(impossible(message, help, Place::default()).into())
    }

    fn for_budget(&self, folder: &mut Folder<'_>, limits: [Option<f64>; 4]) -> Outcome<Point> {
        let all = folder.targets();
        let limits = self.limits(Goal::Budget(limits));
        let slowest = all.last().copied().unwrap_or(1);
        // What stands between arrays is counted on the slowest design first, then on the answer.
        let frame = Frame { limits: [None; 4], peak: false, quick: &|_| false, tries: 0 };
        let mut rest = match self.reach(folder, slowest, &frame)? {
            Ok(point) => self.between(&point),
            Err(folded) => return Err(self.refuse("the slowest design", &folded, None).into()),
        };
        let mut best: Option<Point> = None;
        let mut places = all.len() - 1;
        for _ in 0..MOST_COUNTED {
            let aim = Aim { limits, capacity: None, rest, gap: self.gap };
            let mut found = None;
            let (mut low, mut high) = (0, places);
            while low <= high {
                self.interrupt.check()?;
                let middle = low + (high - low) / 2;
                match folder.fold(all[middle], &aim).map_err(|error| cannot_fold(self.network, error))? {
                    Folded::Found(folding) => {
                        found = Some((middle, folding));
                        if middle == 0 {
                            break;
                        }
                        high = middle - 1;
                    }
                    refused if middle == all.len() - 1 && best.is_none() => {
                        return Err(self.refuse("the budget", &refused, None).into());
                    }
                    _ => low = middle + 1,
                }
            }
            let Some((place, folding)) = found else { break };
            let bound = folder.bound(all[place], &folding.options).map_err(|error| cannot_fold(self.network, error))?;
            let point = self.measure(bound, Some(*folding))?;
            rest = self.between(&point);
            if self.keeps(&point.usage, &limits) {
                let frame = Frame { limits, peak: false, quick: &|_| false, tries: TRIES[0] };
                let point = self.improve(folder, point, &frame)?;
                let quicker = best.as_ref().is_none_or(|best| point.interval_cycles() < best.interval_cycles());
                if quicker {
                    best = Some(point);
                }
                // With what stands between these arrays, a quicker design may fit after all.
                let Some(next) = place.checked_sub(1).filter(|_| quicker) else { break };
                places = next;
            }
        }
        if let Some(point) = best {
            return Ok(point);
        }
        let message = "the budget leaves no room for what stands between the arrays".to_owned();
        let help = format!("raise it; about {} are taken there", shown(&rest, &limits));
        Err(impossible(message, help, Place::default()).into())
    }

    fn for_latency(&self, folder: &mut Folder<'_>, us: f64) -> Outcome<Point> {
        let wanted = us * self.clock_mhz;
        let all = folder.targets();
        let (mut low, mut high) = (0, all.len());
        let mut best: Option<Point> = None;
        let mut quickest: Option<u64> = None;
        let mut refused: Option<Folded> = None;
        while low < high {
            self.interrupt.check()?;
            let middle = low + (high - low) / 2;
            let quick = |point: &Point| point.timing.is_some_and(|timing| timing.first_frame_cycles as f64 <= wanted);
            let frame = Frame { limits: self.limits(Goal::Latency(us)), peak: true, quick: &quick, tries: TRIES[1] };
            match self.reach(folder, all[middle], &frame)? {
                Ok(point) => {
                    let first = point.timing.map_or(u64::MAX, |timing| timing.first_frame_cycles);
                    quickest = Some(quickest.map_or(first, |quickest| quickest.min(first)));
                    if first as f64 <= wanted {
                        best = Some(point);
                        low = middle + 1;
                    } else {
                        high = middle;
                    }
                }
                // Too large or too quick: only slower designs may be built.
                Err(folded) => {
                    refused = Some(folded);
                    low = middle + 1;
                }
            }
        }
        if let Some(point) = best {
            return Ok(point);
        }
        let goal = format!("{us} us are {wanted:.0} cycles at {} MHz", self.clock_mhz);
        match (quickest, refused) {
            (Some(cycles), _) if cycles < u64::MAX => {
                let message = format!("{goal}, and the first frame of the quickest design found takes {cycles}");
                let help = format!("allow {:.1} us, or raise the clock", cycles as f64 / self.clock_mhz);
                Err(impossible(message, help, Place::default()).into())
            }
            (_, Some(folded)) => Err(self.refuse(&goal, &folded, None).into()),
            (_, None) => {
                let message = "the latency of this network takes too long to predict".to_owned();
                Err(impossible(message, "ask for a rate with --fps".to_owned(), Place::default()).into())
            }
        }
    }

    /// The best folding for a target, whole: what stands between arrays is counted until the limits hold with it.
    pub(super) fn reach(
        &self,
        folder: &mut Folder<'_>,
        target: u64,
        frame: &Frame<'_>,
    ) -> Outcome<Result<Point, Folded>> {
        let limits = frame.limits;
        let capacity = frame.peak.then(|| usage(&self.device.capacity).0);
        let mut aim = Aim { limits, capacity, rest: Usage::default(), gap: self.gap };
        let mut last: Option<Point> = None;
        for _ in 0..MOST_COUNTED {
            let folded = folder.fold(target, &aim).map_err(|error| cannot_fold(self.network, error))?;
            let Folded::Found(folding) = folded else {
                return match last.filter(|point| self.keeps(&point.usage, &limits)) {
                    Some(point) => self.improve(folder, point, frame).map(Ok),
                    None => Ok(Err(folded)),
                };
            };
            let bound = folder.bound(target, &folding.options).map_err(|error| cannot_fold(self.network, error))?;
            let point = self.measure(bound, Some(*folding))?;
            let rest = self.between(&point);
            let moved = rest
                .beyond(aim.rest)
                .0
                .iter()
                .zip(usage(&self.device.capacity).0)
                .any(|(&moved, most)| moved > 0.002 * most && most > 0.0);
            if !moved && self.keeps(&point.usage, &limits) {
                return self.improve(folder, point, frame).map(Ok);
            }
            aim.rest = rest;
            last = Some(point);
        }
        match last.filter(|point| self.keeps(&point.usage, &limits)) {
            Some(point) => self.improve(folder, point, frame).map(Ok),
            None => Ok(Err(Folded::Unknown)),
        }
    }

    /// Lowers, prices and predicts.
    pub(super) fn measure(&self, bound: Bound, folding: Option<Folding>) -> Outcome<Point> {
        let design = lower_counted(&bound, self.memo).map_err(|error| cannot_lower(self.network, &error))?;
        let is_long = design.frame_words() > self.longest_words;
        let timing = if is_long { None } else { Some(design.timing().map_err(|e| cannot_predict(&e))?) };
        let usage = usage(&design.estimate(self.model).total);
        let cycles = (0..bound.layers().len()).map(|index| (bound.layer_cycles(index), index));
        let slowest = cycles.fold((0, 0), |best, layer| if layer.0 > best.0 { layer } else { best });
        Ok(Point { bound, design, folding, usage, solver: None, timing, slowest })
    }

    /// What a design takes beside its arrays as the solver priced them.
    pub(super) fn between(&self, point: &Point) -> Usage {
        let options = point.folding.iter().flat_map(|folding| &folding.options);
        let arrays = options.fold(Usage::default(), |sum, option| sum.plus(option.usage));
        Usage(point.usage.beyond(arrays).0.map(|amount| amount.max(0.0)))
    }

    pub(super) fn keeps(&self, usage: &Usage, limits: &[Option<f64>; 4]) -> bool {
        usage.0.iter().zip(limits).all(|(&used, limit)| limit.is_none_or(|limit| used <= limit + 1e-6))
    }

    /// The next quicker point beside a point.
    fn next(&self, folder: &mut Folder<'_>, point: &Point, goal: Goal) -> Outcome<Option<Next>> {
        let all = folder.targets();
        let Some(&target) = all.iter().rev().find(|&&cycles| cycles < point.slowest.0) else {
            let (least, layer) = folder.quickest();
            return Ok(Some(Next::TooSlow(layer, least)));
        };
        let capacity = if matches!(goal, Goal::Budget(_)) { None } else { Some(usage(&self.device.capacity).0) };
        let aim = Aim { limits: self.limits(goal), capacity, rest: self.between(point), gap: self.gap };
        let folded = folder.fold(target, &aim).map_err(|error| cannot_fold(self.network, error))?;
        Ok(match folded {
            Folded::Found(folding) => {
                let bound = folder.bound(target, &folding.options).map_err(|error| cannot_fold(self.network, error))?;
                Some(Next::Point(target, self.measure(bound, None)?.usage))
            }
            Folded::Impossible(why) => Some(Next::Impossible(target, why)),
            Folded::TooSlow { layer, least_cycles } => Some(Next::TooSlow(layer, least_cycles)),
            Folded::Unknown => None,
        })
    }

    /// The diagnostic of a goal that cannot be reached.
    fn refuse(&self, goal: &str, folded: &Folded, nearest_fps: Option<f64>) -> network::Diagnostic {
        let layers = self.network.layers();
        match folded {
            Folded::TooSlow { layer, least_cycles } => {
                let name = &layers[*layer].name;
                let best = nearest_fps.unwrap_or_else(|| self.clock_mhz * 1e6 / (*least_cycles).max(1) as f64);
                impossible(
                    format!("{goal}, and layer `{name}` takes at least {least_cycles}"),
                    format!("ask for at most {best:.0} frames/s, or raise the clock"),
                    layers[*layer].place.clone(),
                )
            }
            Folded::Impossible(why) => {
                let resource = why.resource.or(why.broken.first().copied()).unwrap_or(0);
                let needed = if why.resource.is_some() { why.least[resource] } else { why.nearest.0[resource] };
                let together = if why.resource.is_some() { "" } else { " beside the other limits" };
                let (layer, place) = match why.layer.map(|layer| &layers[layer]) {
                    Some(layer) => (format!("; layer `{}` takes most of it", layer.name), layer.place.clone()),
                    None => (String::new(), Place::default()),
                };
                let named = RESOURCES.iter().zip(why.nearest.0);
                let nearest: Vec<String> = named.map(|(name, amount)| format!("{name}={}", amount.ceil())).collect();
                impossible(
                    format!(
                        "{goal}: no folding keeps {}: {:.0} are needed{together}{layer}",
                        RESOURCES[resource],
                        needed.ceil()
                    ),
                    format!(
                        "the nearest that was found takes {}; allow that, or ask for less speed",
                        nearest.join(",")
                    ),
                    place,
                )
            }
            Folded::Unknown | Folded::Found(_) => impossible(
                format!("{goal}: no folding was found within the effort of the search"),
                "ask for less speed or allow more".to_owned(),
                Place::default(),
            ),
        }
    }
}

/// LUT (memory in LUTs included), FF, DSP and block RAM of 36 Kibit.
pub fn usage(resources: &Resources) -> Usage {
    Usage([resources.lut + resources.lut_memory, resources.ff, resources.dsp, resources.bram36()])
}

fn shown(usage: &Usage, limits: &[Option<f64>; 4]) -> String {
    let limited = RESOURCES.iter().zip(usage.0).zip(limits).filter(|(_, limit)| limit.is_some());
    let parts: Vec<String> = limited.map(|((name, used), _)| format!("{name}={}", used.ceil())).collect();
    parts.join(",")
}
