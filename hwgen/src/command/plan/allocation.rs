//! Choosing widths before a float model is planned.

use crate::arrays::{ArrayFile, ArraySpec, ElementKind, Elements};
use crate::cli::AllocationOptions;
use crate::command::allocate::amount;
use crate::failure::{Failure, Outcome};
use crate::hardware;
use crate::interrupt::Interrupt;
use crate::output::write_files;
use crate::progress;
use crate::table::align;
use hdl_gen::cost::{Family, Model};
use indicatif::ProgressBar;
use network::{Code, Diagnostic, Network, Place};
use quantizer::allocate::tables::OptionTable;
use quantizer::allocate::{
    Allocation, Amount, Budget, Ended, Method, Sensitivities, StudyOptions, Tables, Targets, Watch, study,
};
use quantizer::{Calibration, ImportOptions, PostTraining, Reading, import};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Mutex;

/// Costs that the generated hardware has.
const HARDWARE_COSTS: &[&str] = &["lut", "ff", "dsp", "bram18", "interval"];
/// Calibration frames that plans for cost tables are made with; costs hardly depend on them.
const COST_FRAMES: usize = 4;
/// How often a limit is tightened because the plan took more than its table said.
const REPAIRS: usize = 4;

/// Widths that were chosen, with what a user should see.
pub struct Chosen {
    /// For the plan.
    pub post_training: PostTraining,
    allocation: Allocation,
    layers: Vec<(String, u32, u32)>,
    loss: String,
    frames: (usize, usize),
    hardware: Vec<(String, f64)>,
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
    let method = options.method.unwrap_or(Method::Joint);
    let watch = Progress { interrupt, bar: Mutex::new(ProgressBar::hidden()), is_quiet: as_json };
    let wants_hardware = options.save_tables.is_some()
        || budget.limits.iter().any(|limit| HARDWARE_COSTS.contains(&limit.cost.as_str()));
    let mut costs = Vec::new();
    if wants_hardware {
        costs = hardware_costs(job, &watch)?;
    }
    let known = Sensitivities::default();
    let made = study(bytes, file, post_training, &study_options, &watch, &mut |study| {
        let mut tables = study.tables(&stem(file));
        add_costs(&mut tables, &costs);
        let mut limits = budget.clone();
        let mut repairs = 0;
        let result = loop {
            let allocation = quantizer::allocate::allocate(study, method, &limits, &tables, &known)?;
            let layer_bits = study.layer_bits(&allocation.widths);
            let chosen = PostTraining { layer_bits, ..post_training.clone() };
            if !wants_hardware {
                break (allocation, chosen, Vec::new());
            }
            let found = price(job, &chosen)?;
            match exceeded(&budget, &found, &tables) {
                Some((cost, most, used)) if repairs < REPAIRS => {
                    repairs += 1;
                    for limit in limits.limits.iter_mut().filter(|limit| limit.cost == cost) {
                        let now = match limit.most {
                            Amount::Absolute(now) => now.min(most),
                            Amount::Share(_) => most,
                        };
                        limit.most = Amount::Absolute(now - (used - most) * 1.1);
                    }
                }
                Some((cost, most, used)) => {
                    return Err(Ended::from(Diagnostic::new(
                        Code::AllocationInfeasible,
                        Place::file(file),
                        format!("the plan takes {} of {cost}, the budget {}", amount(used), amount(most)),
                        "raise the limit a little, or fold the layers more first",
                    )));
                }
                None => break (allocation, chosen, found),
            }
        };
        if let Some(path) = &options.save_tables {
            let saved = quantizer::allocate::measured(study, &tables, &known)?;
            write_files(&[(path, saved.write().as_bytes())]).map_err(Ended::from)?;
        }
        let (allocation, chosen, hardware) = result;
        let reads = |layer: usize| study.reads(layer).and_then(|group| allocation.widths.activations[group]);
        let layers = study.layers().into_iter().enumerate().map(|(layer, name)| {
            (name, allocation.widths.weights[layer].unwrap_or(0), reads(layer).unwrap_or(post_training.activation_bits))
        });
        let spelled = |candidate: &quantizer::allocate::Candidate| {
            let bits = study.layer_bits(&candidate.widths).into_iter();
            bits.map(|own| format!("{}={},{}", own.layer, own.weights, own.activations)).collect()
        };
        Ok(Chosen {
            candidates: allocation.candidates.iter().map(spelled).collect(),
            layers: layers.collect(),
            post_training: chosen,
            loss: study.loss_kind().name(),
            frames: study.frame_counts(),
            hardware,
            allocation,
        })
    });
    watch.finish();
    made.map_err(ended)
}

/// Why a study ended, as the command line tells it.
pub fn ended(ended: Ended) -> Failure {
    match ended {
        Ended::Stopped => Failure::Interrupted,
        Ended::Faults(faults) => Failure::Faults(faults),
    }
}

/// What the options say about the study, with the labels read.
pub fn study_options(
    options: &AllocationOptions,
    post_training: &PostTraining,
    reading: Reading,
) -> Outcome<StudyOptions> {
    let sorted = |widths: &[u32]| {
        let mut widths = widths.to_vec();
        widths.sort_unstable();
        widths.dedup();
        widths
    };
    let frames = match &post_training.calibration {
        Calibration::Frames { shape, .. } => shape.first().copied().unwrap_or(0),
        Calibration::Random { frames, .. } => *frames as u64,
        Calibration::Several(entering) => match entering.first() {
            Some((Calibration::Frames { shape, .. }, _)) => shape.first().copied().unwrap_or(0),
            _ => 0,
        },
    };
    Ok(StudyOptions {
        weight_bits: sorted(&options.weight_widths),
        activation_bits: sorted(&options.activation_widths),
        loss: options.loss,
        labels: options.labels.as_deref().map(|spec| labels(spec, frames)).transpose()?,
        frames: options.study_frames as usize,
        seed: options.seed,
        reading,
    })
}

fn labels(text: &str, frames: u64) -> Outcome<Targets> {
    let spec = ArraySpec::parse(text);
    let mut file = ArrayFile::open(&spec.path)?;
    let mut stream = file.open_array(&spec, Some("y"))?;
    let is_classes = stream.frame_elements() == 1 && stream.element().kind != ElementKind::Float;
    if stream.shape().is_empty() || stream.frames().saturating_mul(stream.frame_elements()) > 1 << 28 {
        return Err(Diagnostic::new(
            Code::FramesShape,
            Place::file(stream.label()),
            format!("shape {} holds no labels of some hundred frames", stream.shape_text()),
            "give classes (frames,), or an array of the outputs' shape",
        )
        .into());
    }
    let (mut classes, mut outputs) = (Vec::new(), Vec::new());
    for _ in 0..frames.min(stream.frames()) {
        match stream.next_frame()? {
            Some(Elements::Integers(frame)) if is_classes => {
                let class = frame.first().and_then(|&class| u32::try_from(class).ok());
                classes.push(class.unwrap_or(u32::MAX));
            }
            Some(Elements::Integers(frame)) => outputs.push(frame.iter().map(|&value| value as f32).collect()),
            Some(Elements::Floats(frame)) => outputs.push(frame.iter().map(|&value| value as f32).collect()),
            None => break,
        }
    }
    Ok(if is_classes { Targets::Classes(classes) } else { Targets::Outputs(outputs) })
}

/// A bar for each phase, and the interrupt.
pub struct Progress<'a> {
    /// Whether the user asked to stop.
    pub interrupt: &'a Interrupt,
    /// The bar of the phase.
    pub bar: Mutex<ProgressBar>,
    /// No bars.
    pub is_quiet: bool,
}

impl Progress<'_> {
    /// Takes the bar away.
    pub fn finish(&self) {
        if let Ok(bar) = self.bar.lock() {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Progress<'_> {
    fn begin(&self, what: &str, steps: u64) {
        if let Ok(mut bar) = self.bar.lock() {
            bar.finish_and_clear();
            *bar = progress::bar(steps, what, self.is_quiet);
        }
    }

    fn step(&self) {
        if let Ok(bar) = self.bar.lock() {
            bar.inc(1);
        }
    }

    fn is_stopped(&self) -> bool {
        self.interrupt.check().is_err()
    }
}

/// The same with few calibration frames.
fn few(options: &PostTraining) -> PostTraining {
    let mut made = PostTraining { adaround: false, bias_correction: false, ..options.clone() };
    let shorten = |calibration: &mut Calibration| {
        if let Calibration::Frames { values, shape, .. } = calibration
            && let Some(frames) = shape.first_mut()
            && *frames as usize > COST_FRAMES
        {
            values.truncate(values.len() / *frames as usize * COST_FRAMES);
            *frames = COST_FRAMES as u64;
        }
    };
    match &mut made.calibration {
        Calibration::Several(entering) => entering.iter_mut().for_each(|(calibration, _)| shorten(calibration)),
        calibration => shorten(calibration),
    }
    made
}

/// Costs of a plan: totals by name.
fn price(job: &Job<'_>, post_training: &PostTraining) -> Result<Vec<(String, f64)>, Ended> {
    let priced = priced(job, post_training).map_err(faults)?;
    Ok(HARDWARE_COSTS.iter().map(|name| (*name).to_owned()).zip(priced.total).collect())
}

fn faults(failure: Failure) -> Ended {
    match failure {
        Failure::Faults(faults) => Ended::Faults(faults),
        Failure::Check | Failure::Interrupted => Ended::Stopped,
    }
}

/// The hardware of one plan.
struct Priced {
    /// By layer name, in the order of [`HARDWARE_COSTS`].
    layers: Vec<(String, [f64; 5])>,
    total: [f64; 5],
}

/// With few frames first; all of them where these leave an activation without a range.
fn priced(job: &Job<'_>, post_training: &PostTraining) -> Outcome<Priced> {
    priced_on(job, &few(post_training)).or_else(|_| priced_on(job, post_training))
}

fn priced_on(job: &Job<'_>, post_training: &PostTraining) -> Outcome<Priced> {
    let options = ImportOptions { post_training: Some(post_training.clone()), ..job.import.clone() };
    let imported = import(job.bytes, job.file, &options)?;
    let network = Network::build(imported.parts).map_err(|faults| faults.in_file(job.file))?;
    let built = hardware::figures(&network)?;
    let model = Model::of(Family::Xc7).map_err(|fault| hardware::internal(&fault))?;
    let estimate = built.design.estimate(&model);
    let cycles = |name: &str| built.rows().iter().find(|row| row.name == name).map_or(0.0, |row| row.cycles as f64);
    let amounts = |r: &hdl_gen::cost::Resources, cycles: f64| [r.lut, r.ff, r.dsp, r.bram18, cycles];
    let layers =
        estimate.layers.iter().map(|layer| (layer.layer.clone(), amounts(&layer.resources, cycles(&layer.layer))));
    let longest = built.rows().iter().map(|row| row.cycles as f64).fold(0.0, f64::max);
    Ok(Priced { layers: layers.collect(), total: amounts(&estimate.total, longest) })
}

/// For each pair of widths, every layer's costs: those of the network that has these widths everywhere. What belongs to
/// no layer of weights is spread over them in proportion, so that a uniform choice costs what its plan does.
type PairCosts = Vec<((u32, u32), Priced)>;

fn hardware_costs(job: &Job<'_>, watch: &Progress<'_>) -> Outcome<PairCosts> {
    let Job { post_training, options, .. } = *job;
    let (weights, activations) = (&options.weight_widths, &options.activation_widths);
    watch.begin("pricing hardware", (weights.len() * activations.len()) as u64);
    let mut made = Vec::new();
    for &w in weights {
        for &a in activations {
            watch.interrupt.check()?;
            let uniform =
                PostTraining { weight_bits: w, activation_bits: a, layer_bits: Vec::new(), ..post_training.clone() };
            made.push(((w, a), priced(job, &uniform)?));
            watch.step();
        }
    }
    Ok(made)
}

fn add_costs(tables: &mut Tables, costs: &PairCosts) {
    if costs.is_empty() {
        return;
    }
    let names: Vec<String> = tables.layers.iter().map(|layer| layer.name.clone()).collect();
    for layer in &mut tables.layers {
        for (place, cost) in HARDWARE_COSTS.iter().enumerate() {
            let mut table = OptionTable::default();
            for ((w, a), priced) in costs {
                let own = priced.layers.iter().find(|(name, _)| *name == layer.name).map_or(0.0, |(_, c)| c[place]);
                let weighted = priced.layers.iter().filter(|(name, _)| names.contains(name));
                let sum: f64 = weighted.map(|(_, c)| c[place]).sum();
                let spread = if *cost == "interval" || sum == 0.0 { own } else { own * priced.total[place] / sum };
                table.by_both.insert((*w, *a), spread);
            }
            // Layers with activations of a width that is not chosen from take the nearest that was priced.
            layer.costs.insert((*cost).to_owned(), table);
        }
    }
    let fixed: Vec<(usize, Vec<u32>)> =
        tables.layers.iter().enumerate().map(|(index, layer)| (index, tables.activation_bits(layer))).collect();
    for (index, widths) in fixed {
        for table in tables.layers[index].costs.values_mut() {
            let known: Vec<((u32, u32), f64)> = table.by_both.iter().map(|(key, value)| (*key, *value)).collect();
            for &width in &widths {
                let nearest = known.iter().map(|((_, a), _)| *a).min_by_key(|a| a.abs_diff(width));
                for ((w, a), value) in &known {
                    if Some(*a) == nearest {
                        table.by_both.entry((*w, width)).or_insert(*value);
                    }
                }
            }
            table.by_both.retain(|(_, a), _| widths.contains(a));
        }
    }
    tables.greatest = vec!["interval".to_owned()];
}

/// A limit on hardware that a plan breaks: its cost, the limit, and what was found.
fn exceeded(budget: &Budget, found: &[(String, f64)], tables: &Tables) -> Option<(String, f64, f64)> {
    let problem = quantizer::allocate::Problem::limits_of(tables, budget);
    problem.into_iter().find_map(|(cost, most)| {
        let used = found.iter().find(|(name, _)| *name == cost)?.1;
        (used > most * (1.0 + 1e-9)).then_some((cost, most, used))
    })
}

impl Chosen {
    /// As JSON; the field names are stable.
    pub fn json(&self) -> Value {
        let layers = self
            .layers
            .iter()
            .map(|(name, weights, reads)| json!({ "name": name, "weight_bits": weights, "activation_bits": reads }));
        let pairs = |list: &[(String, f64)]| {
            list.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>()
        };
        let names: Vec<&String> = self.allocation.costs.iter().map(|(name, _)| name).collect();
        let candidates = self.allocation.candidates.iter().zip(&self.candidates).map(|(candidate, layer_bits)| {
            let costs = names.iter().zip(&candidate.costs).map(|(name, cost)| ((*name).clone(), json!(cost)));
            json!({
                "name": candidate.name,
                "loss": candidate.loss,
                "held_out": candidate.held_out,
                "costs": costs.collect::<serde_json::Map<_, _>>(),
                "layer_bits": layer_bits,
            })
        });
        json!({
            "method": self.allocation.method.name(),
            "loss_kind": self.loss,
            "loss": self.allocation.loss,
            "held_out": self.allocation.held_out,
            "frames": { "measured": self.frames.0, "held_out": self.frames.1 },
            "proved": self.allocation.proved,
            "layers": layers.collect::<Vec<_>>(),
            "costs": pairs(&self.allocation.costs),
            "hardware": pairs(&self.hardware),
            "candidates": candidates.collect::<Vec<_>>(),
            "notes": self.allocation.notes,
        })
    }

    /// As text above the layer table.
    pub fn text(&self) -> String {
        let mut lines = vec![["layer", "weights", "reads"].map(str::to_owned).to_vec()];
        for (name, weights, reads) in &self.layers {
            lines.push(vec![name.clone(), weights.to_string(), reads.to_string()]);
        }
        let mut text = align(&lines, &[1, 2]);
        let mean = |of: &dyn Fn(&(String, u32, u32)) -> u32| {
            self.layers.iter().map(|layer| f64::from(of(layer))).sum::<f64>() / self.layers.len().max(1) as f64
        };
        let _ = writeln!(
            text,
            "{}: loss ({}) {} on {} frames, {} on {} held out; weights average {} bits by layer, activations {}",
            self.allocation.method.name(),
            self.loss,
            amount(self.allocation.loss),
            self.frames.0,
            amount(self.allocation.held_out),
            self.frames.1,
            amount(mean(&|layer| layer.1)),
            amount(mean(&|layer| layer.2)),
        );
        let shown = |list: &[(String, f64)]| {
            let shown: Vec<String> = list.iter().map(|(name, value)| format!("{name} {}", amount(*value))).collect();
            shown.join(", ")
        };
        let _ = writeln!(text, "costs: {}", shown(&self.allocation.costs));
        if !self.hardware.is_empty() {
            let _ = writeln!(text, "estimated hardware: {}", shown(&self.hardware));
        }
        for note in &self.allocation.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }
}
