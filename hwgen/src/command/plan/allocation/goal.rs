//! What a budget asks of the hardware, and the foldings that keep it.

use super::Job;
use super::price::{self, INTERVAL, Measured};
use crate::command::allocate::amount;
use crate::command::device;
use crate::failure::Outcome;
use crate::fold::{Missed, Point, Site, Wanted};
use crate::hardware::{self, DEFAULT_CLOCK_MHZ};
use crate::interrupt::Interrupt;
use hdl_gen::cost::{Device, Model};
use hdl_gen::datapath::Memo;
use hdl_gen::design::LONG_FRAME_WORDS;
use hdl_gen::fold::RESOURCES;
use network::diagnostic::{At, with_closest};
use network::plan::Target;
use network::{Code, Diagnostic, Network, Place};
use quantizer::allocate::problem::DERIVED_COSTS;
use quantizer::allocate::{Amount, Budget, Limit};

/// Names of the costs of hardware that a budget may limit, beside those of [`RESOURCES`].
const OTHERS: &[&str] = &["bram", "bram18", INTERVAL, "fps", "latency"];
/// Share by which the choice of foldings for the finished network may miss the fewest LUTs.
const GAP: f64 = 1e-3;

/// What is asked of the hardware.
pub struct Goal {
    /// The part, for its family's prices.
    pub device: Device,
    /// Prices.
    pub model: Model,
    /// Clock in MHz.
    pub clock_mhz: f64,
    /// Limits and cycles.
    pub wanted: Wanted,
    /// Whether the budget names a rate, a latency or cycles; else the layers are kept as quick as they would be without it.
    pub asks_rate: bool,
    /// Frames a second, where they were asked for.
    fps: Option<f64>,
    names_device: bool,
    memo: Memo,
    /// Words of a frame up to which a design's cycles are predicted though no latency is asked for.
    long_words: u64,
}

/// Whether a budget limits what hardware costs.
pub fn is_hardware(limit: &Limit) -> bool {
    RESOURCES.contains(&limit.cost.as_str()) || OTHERS.contains(&limit.cost.as_str())
}

/// A limit on something that no plan costs.
///
/// # Errors
/// E0902 with the names of all that can be limited.
pub fn check_names(budget: &Budget) -> Result<(), Diagnostic> {
    let is_known = |limit: &&Limit| is_hardware(limit) || DERIVED_COSTS.contains(&limit.cost.as_str());
    let Some(limit) = budget.limits.iter().find(|limit| !is_known(limit)) else { return Ok(()) };
    let names: Vec<&str> = [DERIVED_COSTS, RESOURCES.as_slice(), OTHERS].concat();
    let message = format!("a plan has no cost `{}`", limit.cost);
    let help = with_closest(&limit.cost, &names, &format!("the costs are {}", names.join(", ")));
    Err(Diagnostic::new(Code::AllocationBudget, Place::default(), message, help))
}

impl Goal {
    /// What the budget asks for; parts in percent are of the widest network in its default folding.
    pub fn of(job: &Job<'_>, budget: &Budget) -> Outcome<Goal> {
        let device = device::choose(job.options.device.as_deref(), &Target::default())?;
        let model = Model::of(device.family).map_err(|fault| device::no_model(&fault))?;
        let clock_mhz = job.options.clock_mhz.unwrap_or(DEFAULT_CLOCK_MHZ);
        let widest = |widths: &[u32]| widths.iter().copied().max().unwrap_or(8);
        let network = price::uniform(job, widest(&job.options.weight_widths), widest(&job.options.activation_widths))?;
        let predict =
            budget.limits.iter().any(|limit| limit.cost == "latency" && matches!(limit.most, Amount::Share(_)));
        let Measured { used, interval, first, slowest } =
            price::measured(&hardware::figures(&network)?, &model, if predict { u64::MAX } else { LONG_FRAME_WORDS })?;
        let mut goal = Goal {
            device,
            model,
            clock_mhz,
            wanted: Wanted { interval_cycles: u64::MAX, ..Wanted::default() },
            asks_rate: false,
            fps: None,
            names_device: job.options.device.is_some(),
            memo: Memo::default(),
            long_words: LONG_FRAME_WORDS,
        };
        let cycles_per_us = clock_mhz;
        for limit in budget.limits.iter().filter(|limit| is_hardware(limit)) {
            if let ("fps", Amount::Absolute(0.0) | Amount::Share(0.0)) = (limit.cost.as_str(), limit.most) {
                let help = "ask for some frames a second, or leave fps out";
                let message = "fps=0 asks for nothing";
                return Err(Diagnostic::new(Code::AllocationBudget, Place::default(), message, help).into());
            }
            let absolute = |whole: f64| match limit.most {
                Amount::Absolute(most) => most,
                Amount::Share(share) => share * whole,
            };
            let tighter = |own: &mut Option<f64>, most: f64| *own = Some(own.map_or(most, |own| own.min(most)));
            let limits = &mut goal.wanted.limits;
            match limit.cost.as_str() {
                "lut" => tighter(&mut limits[0], absolute(used.0[0])),
                "ff" => tighter(&mut limits[1], absolute(used.0[1])),
                "dsp" => tighter(&mut limits[2], absolute(used.0[2])),
                "bram" | "bram36" => tighter(&mut limits[3], absolute(used.0[3])),
                "bram18" => tighter(&mut limits[3], absolute(2.0 * used.0[3]) / 2.0),
                "latency" => {
                    let us = absolute(first.unwrap_or(interval) as f64 / cycles_per_us);
                    goal.wanted.latency_cycles = Some((us * cycles_per_us).floor() as u64);
                }
                "fps" => {
                    let fps = absolute(clock_mhz * 1e6 / interval.max(1) as f64);
                    goal.fps = Some(fps);
                    // What rounding of the quotient takes away is given back.
                    let cycles = (clock_mhz * 1e6 / fps * (1.0 + 1e-12)).floor();
                    goal.wanted.interval_cycles = goal.wanted.interval_cycles.min(cycles as u64);
                }
                _ => {
                    let cycles = absolute(interval as f64).floor();
                    goal.wanted.interval_cycles = goal.wanted.interval_cycles.min(cycles as u64);
                }
            }
        }
        goal.asks_rate = goal.wanted.interval_cycles < u64::MAX || goal.wanted.latency_cycles.is_some();
        if !goal.asks_rate {
            goal.wanted.interval_cycles = interval.max(slowest);
        }
        Ok(goal)
    }

    /// Cycles that no layer may exceed.
    pub fn target_cycles(&self) -> u64 {
        self.wanted.interval_cycles.min(self.wanted.latency_cycles.unwrap_or(u64::MAX)).max(1)
    }

    /// The limits for the tables of builds.
    pub fn limits(&self) -> Vec<Limit> {
        let named = RESOURCES.iter().zip(self.wanted.limits);
        let limits =
            named.filter_map(|(name, most)| Some(Limit { cost: (*name).to_owned(), most: Amount::Absolute(most?) }));
        let interval = Limit { cost: INTERVAL.to_owned(), most: Amount::Absolute(self.target_cycles() as f64) };
        limits.chain([interval]).collect()
    }

    /// The smallest folding of a network that keeps what is asked for; or the cost that is missed: its name, its limit
    /// and what was found.
    pub fn fold(&self, network: &Network, interrupt: &Interrupt) -> Outcome<Result<Point, (String, f64, f64)>> {
        let site = Site {
            network,
            device: &self.device,
            model: &self.model,
            clock_mhz: self.clock_mhz,
            part_counts: false,
            gap: GAP,
            interrupt,
            memo: &self.memo,
            longest_words: self.longest_words(),
        };
        let wanted = Wanted { of_layers_alone: !self.asks_rate, ..self.wanted };
        let found = match site.within(&wanted)? {
            Ok(point) => return Ok(Ok(point)),
            Err(found) => found,
        };
        if let (Missed::Large(_), Some(most)) = (&found, self.wanted.limits[0]) {
            // What the smallest takes as a whole, since what was found nearest is known by sums alone.
            let mut freed = wanted;
            freed.limits[0] = None;
            if let Ok(point) = site.within(&freed)? {
                let used = point.usage.0[0];
                return Ok(if used <= most { Ok(point) } else { Err((RESOURCES[0].to_owned(), most, used)) });
            }
        }
        let first_limit = RESOURCES.iter().zip(self.wanted.limits).find_map(|(name, most)| Some((*name, most?)));
        Ok(Err(match found {
            Missed::Slow(interval, first) => match (self.wanted.latency_cycles, first) {
                (Some(most), first) if interval <= self.wanted.interval_cycles => {
                    let first = first.unwrap_or(interval);
                    ("latency".to_owned(), most as f64 / self.clock_mhz, first as f64 / self.clock_mhz)
                }
                _ => (INTERVAL.to_owned(), self.wanted.interval_cycles as f64, interval as f64),
            },
            Missed::Large(Some(nearest)) => {
                let limits = RESOURCES.iter().zip(self.wanted.limits).zip(nearest.0);
                let broken = limits.filter_map(|((name, most), used)| Some((*name, most?, used)));
                let worst = broken.max_by(|a, b| (a.2 / a.1.max(1e-9)).total_cmp(&(b.2 / b.1.max(1e-9))));
                worst.map_or((INTERVAL.to_owned(), 0.0, 0.0), |(name, most, used)| (name.to_owned(), most, used))
            }
            Missed::Large(None) => {
                first_limit.map_or((INTERVAL.to_owned(), 0.0, 0.0), |(name, most)| (name.to_owned(), most, most * 1.03))
            }
        }))
    }

    /// A latency is known by prediction alone, which is then made however long it takes.
    fn longest_words(&self) -> u64 {
        if self.wanted.latency_cycles.is_some() { u64::MAX } else { self.long_words }
    }

    /// What a plan says that it is for.
    pub fn target(&self) -> Target {
        let device = self.names_device.then(|| At::new(self.device.name.clone(), Place::default()));
        let clock_mhz = Some(At::new(self.clock_mhz, Place::default()));
        Target { device, clock_mhz, fps: self.fps.map(|fps| At::new(fps, Place::default())), ..Target::default() }
    }

    /// Figures by name of a plan that is about to be written.
    ///
    /// # Errors
    /// It breaks what was asked for: E0903.
    pub fn confirmed(&self, figures: &hardware::Figures, file: &str) -> Outcome<Vec<(String, f64)>> {
        let found = price::measured(figures, &self.model, self.longest_words())?;
        match broken(self, &found) {
            Some(miss) => Err(missed(file, &miss).into()),
            None => Ok(self.named(found.used.0, found.interval, found.first)),
        }
    }

    /// Figures of a design by name.
    pub fn figures(&self, point: &Point) -> Vec<(String, f64)> {
        self.named(point.usage.0, point.interval_cycles(), point.timing.map(|timing| timing.first_frame_cycles))
    }

    /// What a design takes, its cycles from frame to frame, its rate, and its latency in microseconds where that was
    /// predicted, by name.
    fn named(&self, used: [f64; 4], interval: u64, first: Option<u64>) -> Vec<(String, f64)> {
        let mut made: Vec<(String, f64)> =
            RESOURCES.iter().zip(used).map(|(name, used)| ((*name).to_owned(), used)).collect();
        made.push((INTERVAL.to_owned(), interval as f64));
        made.push(("fps".to_owned(), self.clock_mhz * 1e6 / interval.max(1) as f64));
        made.extend(first.map(|first| ("latency".to_owned(), first as f64 / self.clock_mhz)));
        made
    }
}

/// The fault of a plan that misses a cost although its tables said it would not.
pub fn missed(file: &str, (cost, most, used): &(String, f64, f64)) -> Diagnostic {
    let help = match cost.as_str() {
        INTERVAL => {
            format!("the nearest that was found is interval={}; ask for that, or raise the clock", amount(*used))
        }
        "latency" => {
            let least = (used * 1e3).ceil() / 1e3;
            format!("the nearest that was found is latency={}; ask for that, or raise the clock", amount(least))
        }
        name => {
            format!("the nearest that was found is {name}={}; allow that, or ask for less speed", amount(used.ceil()))
        }
    };
    let message = format!("the plan takes {} of {cost}, the budget {}", amount(*used), amount(*most));
    Diagnostic::new(Code::AllocationInfeasible, Place::file(file), message, help)
}

/// What a plan that is about to be written breaks of what was asked for.
fn broken(goal: &Goal, found: &Measured) -> Option<(String, f64, f64)> {
    let Measured { used, interval, first, .. } = *found;
    let limits = RESOURCES.iter().zip(goal.wanted.limits).zip(used.0);
    let large = limits.filter_map(|((name, most), used)| Some(((*name).to_owned(), most?, used)));
    let large = large.into_iter().find(|(_, most, used)| *used > most + 1e-6);
    let slow = (goal.asks_rate && interval > goal.wanted.interval_cycles)
        .then(|| (INTERVAL.to_owned(), goal.wanted.interval_cycles as f64, interval as f64));
    let late = goal
        .wanted
        .latency_cycles
        .zip(first)
        .filter(|(most, first)| first > most)
        .map(|(most, first)| ("latency".to_owned(), most as f64 / goal.clock_mhz, first as f64 / goal.clock_mhz));
    large.or(slow).or(late)
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::plan::Plan;

    const CHAIN: &str = "\
hwgen: 1
name: chain
random: { seed: 7 }
input: { shape: [8, 8, 2], format: u4 }
layers:
  - { name: conv1, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s3, output: u4 }
  - { name: conv2, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s3, output: u4 }
  - { name: conv3, op: conv2d, outputs: 2, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s3, output: u4 }
";

    fn chain() -> Network {
        Plan::parse(CHAIN, "chain.yaml").unwrap().build(None).unwrap()
    }

    /// A goal of a rate in cycles at 100 MHz; all designs count as long ones from `long_words` on.
    fn goal(interval_cycles: u64, long_words: u64) -> Goal {
        let device = device::choose(None, &Target::default()).unwrap();
        let model = Model::of(device.family).unwrap();
        Goal {
            device,
            model,
            clock_mhz: 100.0,
            wanted: Wanted { interval_cycles, ..Wanted::default() },
            asks_rate: true,
            fps: None,
            names_device: false,
            memo: Memo::default(),
            long_words,
        }
    }

    fn figures(point: &Point) -> hardware::Figures {
        let mut parts = chain().into_parts();
        parts.layers.iter_mut().zip(point.bound.requests()).for_each(|(layer, request)| layer.hardware = request);
        hardware::figures(&Network::build(parts).unwrap()).unwrap()
    }

    /// The whole is slower than its layers: what is named as the nearest can be asked for, and where no rate is asked
    /// for, it is taken.
    #[test]
    fn the_whole_may_be_slower_than_its_layers() {
        let (network, interrupt) = (chain(), Interrupt::default());
        let mut goal = goal(1, u64::MAX);
        let Ok(Err((cost, _, nearest))) = goal.fold(&network, &interrupt) else { panic!("a cycle is not enough") };
        assert_eq!(cost, INTERVAL);
        goal.wanted.interval_cycles = nearest as u64;
        let asked = goal.fold(&network, &interrupt).unwrap().map_err(|miss| format!("{miss:?}")).unwrap();
        assert!(asked.interval_cycles() <= nearest as u64);
        // Layers that keep some rate as a whole that does not: a quicker folding is found where the rate is asked for.
        goal.wanted = Wanted { interval_cycles: 2304, ..Wanted::default() };
        goal.asks_rate = false;
        let unasked = goal.fold(&network, &interrupt).unwrap().map_err(|miss| format!("{miss:?}")).unwrap();
        assert!(unasked.slowest.0 == 2304 && unasked.interval_cycles() > 2304);
        assert!(goal.confirmed(&figures(&unasked), "chain.yaml").is_ok());
        goal.asks_rate = true;
        assert!(goal.confirmed(&figures(&unasked), "chain.yaml").is_err());
        let quicker = goal.fold(&network, &interrupt).unwrap().map_err(|miss| format!("{miss:?}")).unwrap();
        assert!(quicker.interval_cycles() <= 2304 && quicker.usage.0[0] > unasked.usage.0[0]);
        // By a cycle too slow is too slow by a folding.
        goal.wanted.interval_cycles = unasked.interval_cycles() - 1;
        let quicker = goal.fold(&network, &interrupt).unwrap().map_err(|miss| format!("{miss:?}")).unwrap();
        assert!(quicker.interval_cycles() < unasked.interval_cycles());
    }

    /// A design of so long frames that nobody predicts them unasked is predicted for a latency: while it is folded, so
    /// that quicker foldings are found, and once more before the plan is written.
    #[test]
    fn long_designs_keep_latencies() {
        let (network, interrupt) = (chain(), Interrupt::default());
        let mut goal = goal(100_000, 0);
        let slow = goal.fold(&network, &interrupt).unwrap().map_err(|miss| format!("{miss:?}")).unwrap();
        assert!(slow.timing.is_none());
        // What the slowest design really takes, known by a prediction of its own.
        let taken = slow.design.timing().unwrap();
        assert!(taken.first_frame_cycles > taken.initiation_interval_cycles);
        let most = taken.first_frame_cycles - 1;
        goal.wanted.latency_cycles = Some(most);
        let point = goal.fold(&network, &interrupt).unwrap().map_err(|miss| format!("{miss:?}")).unwrap();
        assert!(point.design.timing().unwrap().first_frame_cycles <= most);
        let named = goal.confirmed(&figures(&point), "chain.yaml").unwrap();
        let us = named.iter().find(|(name, _)| name == "latency").unwrap().1;
        assert!(us <= most as f64 / 100.0, "{us}");
        goal.wanted.latency_cycles = Some((us * 50.0) as u64);
        assert!(goal.confirmed(&figures(&point), "chain.yaml").is_err());
    }
}
