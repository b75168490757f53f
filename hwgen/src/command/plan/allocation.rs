//! Choosing widths, kinds and foldings before a float model is planned.

mod goal;
mod price;
mod report;
mod study;

pub use goal::{Goal, missed};
pub use study::{Progress, ended, study_options};

use crate::cli::AllocationOptions;
use crate::failure::Outcome;
use crate::interrupt::Interrupt;
use crate::output::write_files;
use network::{Code, Diagnostic, Place};
use quantizer::allocate::{
    Allocation, Amount, Budget, Candidate, Ended, Limit, Method, Problem, Sensitivities, Study, Tables,
};
use quantizer::{ImportOptions, PostTraining};
use study::faults;

/// How often a limit is tightened because the plan took more than its table said.
const REPAIRS: usize = 5;
/// How often a limit is loosened because the plan took less than its table said, and the share from which on it did.
const LOOSENED: usize = 2;
const SLACK: f64 = 0.95;
/// How often limits that no widths keep by the tables are raised for a look at the folded whole, and by how much.
const STRETCHED: usize = 3;
const STRETCH: f64 = 1.06;
/// How often a design that no rate was asked of may become four times slower to fit its budget.
const SLOWER: usize = 4;

/// Widths that were chosen, with what a user should see.
pub struct Chosen {
    /// For the plan.
    pub post_training: PostTraining,
    /// What the foldings of the finished network are for, where the budget asks for something of the hardware.
    pub goal: Option<Goal>,
    allocation: Allocation,
    layers: Vec<(String, u32, u32)>,
    /// Average widths of weights and of what is read, by multiply-accumulate.
    by_mac: (f64, f64),
    loss: String,
    frames: (usize, usize),
    /// Figures of the hardware by name; those of the finished plan once it is folded.
    pub hardware: Vec<(String, f64)>,
    /// Widths of each candidate, as `--layer-bits` takes them.
    candidates: Vec<Vec<String>>,
}

/// A file's name without folders and ending.
pub fn stem(file: &str) -> String {
    std::path::Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What is allocated.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The model file and its name.
    pub bytes: &'a [u8],
    /// Its name, for diagnostics.
    pub file: &'a str,
    /// How the model is imported, but for its quantization.
    pub import: &'a ImportOptions,
    /// How it is quantized, but for the widths that are chosen.
    pub post_training: &'a PostTraining,
    /// What the user asked for.
    pub options: &'a AllocationOptions,
}

/// What choosing widths needs.
pub fn without_frames(file: &str) -> Diagnostic {
    Diagnostic::new(
        Code::AllocationMethod,
        Place::file(file),
        "widths are chosen by what they do to a float model on frames; none are given",
        "give a float model and --calibration FILE.npz:ARRAY",
    )
}

/// Chooses widths; writes the tables where that was asked for.
pub fn choose(job: &Job<'_>, interrupt: &Interrupt, as_json: bool) -> Outcome<Chosen> {
    let Job { bytes, file, post_training, options, .. } = *job;
    let study_options = study_options(options, post_training, job.import.reading.clone())?;
    let budget = Budget::parse(options.budget.as_deref().unwrap_or(""))?;
    goal::check_names(&budget)?;
    let method = options.method.unwrap_or(Method::Joint);
    let watch = Progress::new(interrupt, as_json);
    let asks_hardware = budget.limits.iter().any(goal::is_hardware);
    let mut hardware = None;
    if asks_hardware || options.save_tables.is_some() {
        let goal = Goal::of(job, &budget)?;
        let pairs = price::pairs(job, &goal.model, goal.target_cycles(), &watch)?;
        hardware = Some(Hardware { goal, pairs, outputs: Vec::new(), notes: Vec::new() });
    }
    let known = Sensitivities::default();
    let made = quantizer::allocate::study(bytes, file, post_training, &study_options, &watch, &mut |study| {
        let mut tables = study.tables(&stem(file));
        let mut limits = budget.clone();
        if let Some(hardware) = &mut hardware {
            hardware.price_outputs(job, study, &mut tables, &watch)?;
        }
        let (mut allocation, figures) = match hardware.as_mut().filter(|_| asks_hardware) {
            None => (quantizer::allocate::allocate(study, method, &limits, &tables, &known)?, Vec::new()),
            Some(hardware) => {
                limits.limits.retain(|limit| !goal::is_hardware(limit));
                let search = Search { job, study, method, known: &known, watch: &watch };
                search.within(hardware, &limits, &mut tables)?
            }
        };
        if let Some(path) = &options.save_tables {
            let saved = quantizer::allocate::measured(study, &tables, &known)?;
            let text = saved.write();
            interrupt.writing(|| write_files(&[(path, text.as_bytes())])).map_err(Ended::from)?;
        }
        if let Some(hardware) = &hardware {
            allocation.notes.extend(hardware.notes.iter().cloned());
        }
        let reads = |layer: usize| study.reads(layer).and_then(|group| allocation.widths.activations[group]);
        let layers = study.layers().into_iter().enumerate().map(|(layer, name)| {
            (name, allocation.widths.weights[layer].unwrap_or(0), reads(layer).unwrap_or(post_training.activation_bits))
        });
        let spelled = |candidate: &Candidate| {
            let bits = study.layer_bits(&candidate.widths).into_iter();
            bits.map(|own| format!("{}={},{}", own.layer, own.weights, own.activations)).collect()
        };
        let layers: Vec<(String, u32, u32)> = layers.collect();
        let macs = || tables.layers.iter().zip(&layers).map(|(table, layer)| (table.macs as f64, layer));
        let all = macs().map(|(macs, _)| macs).sum::<f64>().max(1.0);
        let by_mac = (
            macs().map(|(macs, layer)| macs * f64::from(layer.1)).sum::<f64>() / all,
            macs().map(|(macs, layer)| macs * f64::from(layer.2)).sum::<f64>() / all,
        );
        let layer_bits = study.layer_bits(&allocation.widths);
        Ok(Chosen {
            candidates: allocation.candidates.iter().map(spelled).collect(),
            layers,
            by_mac,
            post_training: PostTraining { layer_bits, ..post_training.clone() },
            goal: None,
            loss: study.loss_kind().name(),
            frames: study.frame_counts(),
            hardware: figures,
            allocation,
        })
    });
    watch.finish();
    let mut chosen = made.map_err(ended)?;
    chosen.goal = hardware.filter(|_| asks_hardware).map(|hardware| hardware.goal);
    Ok(chosen)
}

/// What is known of the hardware while widths are chosen.
struct Hardware {
    goal: Goal,
    pairs: Vec<price::Pair>,
    outputs: Vec<Option<price::Output>>,
    notes: Vec<String>,
}

impl Hardware {
    /// Prices what outputs take beside builds that are priced, and writes both into the tables.
    fn price_outputs(
        &mut self,
        job: &Job<'_>,
        study: &Study<'_>,
        tables: &mut Tables,
        watch: &Progress<'_>,
    ) -> Result<(), Ended> {
        let prices = (&self.goal.model, self.goal.target_cycles());
        self.outputs = price::outputs(job, prices, study, (tables, &self.pairs), watch)?;
        let home = price::Home::under(self.goal.wanted.limits[2], tables.layers.len());
        price::add(tables, &self.pairs, &self.outputs, home);
        Ok(())
    }
}

/// A search for widths whose network can be folded within a goal.
struct Search<'a, 'p> {
    job: &'a Job<'a>,
    study: &'a Study<'p>,
    method: Method,
    known: &'a Sensitivities,
    watch: &'a Progress<'a>,
}

impl Search<'_, '_> {
    /// Widths with builds that keep all limits by the tables, then folded as a whole; where that takes more than the
    /// tables said, the limit is tightened and the problem solved once more.
    fn within(
        &self,
        hardware: &mut Hardware,
        others: &Budget,
        tables: &mut Tables,
    ) -> Result<(Allocation, Vec<(String, f64)>), Ended> {
        let (mut slower, mut repairs, mut loosened, mut stretched) = (0, 0, 0, 0);
        // What the folded whole missed, and what the tables refused first.
        let (mut nearest, mut refused) = (None::<(String, f64, f64)>, None);
        let mut best: Option<(Allocation, Vec<(String, f64)>)> = None;
        let with = |goal: &Goal| -> Vec<Limit> { others.limits.iter().cloned().chain(goal.limits()).collect() };
        let mut limits = with(&hardware.goal);
        loop {
            let budget = Budget { limits: limits.clone() };
            let found = quantizer::allocate::allocate(self.study, self.method, &budget, tables, self.known);
            let allocation = match found {
                Ok(allocation) => allocation,
                Err(Ended::Faults(found)) if self.may_be_slower(hardware, &found, slower) => {
                    slower += 1;
                    self.slow_down(hardware, tables)?;
                    limits = with(&hardware.goal);
                    continue;
                }
                // Tables are sums: the folded whole may take less.
                Err(Ended::Faults(found))
                    if nearest.is_none() && best.is_none() && is_unmet(&found) && stretched <= STRETCHED =>
                {
                    let first = refused.get_or_insert(found);
                    stretched += 1;
                    if stretched > STRETCHED || !stretch(&mut limits, &hardware.goal) {
                        // What the whole takes that the tables find nearest is told in place of their sums.
                        stretched = STRETCHED + 1;
                        let Some(near) = Problem::nearest(tables, &Budget { limits: with(&hardware.goal) }) else {
                            return Err(Ended::Faults(std::mem::take(first)));
                        };
                        let limit = |(cost, most)| Limit { cost, most: Amount::Absolute(most * (1.0 + 1e-9)) };
                        limits = near.into_iter().map(limit).collect();
                    }
                    continue;
                }
                Err(Ended::Stopped) => return Err(Ended::Stopped),
                Err(other) => {
                    let missed = nearest.map(|miss| Ended::from(missed(self.job.file, &miss)));
                    return best.ok_or(missed.or(refused.map(Ended::Faults)).unwrap_or(other));
                }
            };
            let layer_bits = self.study.layer_bits(&allocation.widths);
            let chosen = PostTraining { layer_bits, ..self.job.post_training.clone() };
            let network = price::on_all_frames(self.job, &chosen).map_err(faults)?;
            match hardware.goal.fold(&network, self.watch.interrupt).map_err(faults)? {
                Ok(point) => {
                    let figures = hardware.goal.figures(&point);
                    let more = looser(&limits, &hardware.goal, &allocation, &figures).filter(|_| loosened < LOOSENED);
                    if best.as_ref().is_none_or(|(best, _)| allocation.held_out < best.held_out) {
                        best = Some((allocation, figures));
                    }
                    let Some(more) = more else { return best.ok_or(Ended::Stopped) };
                    loosened += 1;
                    limits = more;
                }
                Err(_) if best.is_some() => return best.ok_or(Ended::Stopped),
                Err(miss) => {
                    let (cost, most, used) = &miss;
                    let tightened = limits.iter_mut().find(|limit| limit.cost == *cost);
                    let may_repair = repairs < REPAIRS && stretched <= STRETCHED && cost != price::INTERVAL;
                    let Some(limit) = tightened.filter(|_| may_repair) else {
                        return Err(Ended::from(missed(self.job.file, &miss)));
                    };
                    repairs += 1;
                    if nearest.as_ref().is_none_or(|(own, _, least)| own != cost || used < least) {
                        nearest = Some(miss.clone());
                    }
                    if let Amount::Absolute(now) = &mut limit.most {
                        *now = (*now - (used - most) * 1.1).max(0.0);
                    }
                }
            }
        }
    }

    /// Gives a frame four times as many cycles, with builds and prices for them.
    fn slow_down(&self, hardware: &mut Hardware, tables: &mut Tables) -> Result<(), Ended> {
        hardware.goal.wanted.interval_cycles = hardware.goal.wanted.interval_cycles.saturating_mul(4);
        let target = hardware.goal.target_cycles();
        hardware.pairs = price::pairs(self.job, &hardware.goal.model, target, self.watch).map_err(faults)?;
        hardware.price_outputs(self.job, self.study, tables, self.watch)?;
        hardware.notes = vec![format!(
            "no rate was asked for: a frame may take {} cycles, so that the budget can be kept",
            hardware.goal.wanted.interval_cycles
        )];
        Ok(())
    }

    /// Whether the budget may be kept by a slower design: where none was asked to be quick.
    fn may_be_slower(&self, hardware: &Hardware, found: &network::Diagnostics, slower: usize) -> bool {
        is_unmet(found) && !hardware.goal.asks_rate && slower < SLOWER
    }
}

/// Whether no widths keep the budget.
fn is_unmet(found: &network::Diagnostics) -> bool {
    found.0.iter().any(|fault| fault.code == Code::AllocationInfeasible)
}

/// Raises the limits of what hardware takes; whether there are any.
fn stretch(limits: &mut [Limit], goal: &Goal) -> bool {
    let mut is_raised = false;
    for own in goal.limits().iter().filter(|limit| limit.cost != price::INTERVAL) {
        if let Some(Amount::Absolute(now)) =
            limits.iter_mut().find(|limit| limit.cost == own.cost).map(|limit| &mut limit.most)
        {
            *now *= STRETCH;
            is_raised |= *now > 0.0;
        }
    }
    is_raised
}

/// Limits with those raised that bind by the tables although the folded plan leaves more than a little of them; none where
/// there is no such limit.
fn looser(limits: &[Limit], goal: &Goal, allocation: &Allocation, figures: &[(String, f64)]) -> Option<Vec<Limit>> {
    let of = |list: &[(String, f64)], name: &str| list.iter().find(|(own, _)| own == name).map(|(_, value)| *value);
    let mut raised = limits.to_vec();
    let mut is_raised = false;
    for limit in goal.limits().iter().filter(|limit| limit.cost != price::INTERVAL) {
        let (Some(by_table), Some(taken)) = (of(&allocation.costs, &limit.cost), of(figures, &limit.cost)) else {
            continue;
        };
        let Some(own) = raised.iter_mut().find(|own| own.cost == limit.cost) else { continue };
        let (Amount::Absolute(asked), Amount::Absolute(now)) = (limit.most, &mut own.most) else { continue };
        if taken > 0.0 && taken < SLACK * asked && by_table > SLACK * *now {
            *now *= (by_table / taken).clamp(1.0, 1.5);
            is_raised = true;
        }
    }
    is_raised.then_some(raised)
}
