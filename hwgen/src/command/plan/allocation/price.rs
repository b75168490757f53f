//! What widths cost in hardware: for each pair of widths every layer's builds with their prices, as tables.
//!
//! The network is imported with the same widths everywhere, once for each pair; every layer's kinds, foldings and homes
//! of products and weights are priced alone, and what stands between the layers (adapters, FIFOs, pools, joins) by
//! lowering the network with its smallest builds. What the readers' widths take in a layer is told apart ([`outputs`]).

mod outputs;

pub use outputs::{Home, Output, outputs};

use super::Job;
use super::study::Progress;
use crate::failure::Outcome;
use crate::fold::{cannot_fold, usage};
use crate::hardware::{Figures, cannot_lower};
use hdl_gen::cost::{LayerCosts, Model};
use hdl_gen::datapath::Memo;
use hdl_gen::fold::{Aim, Folded, Folder, LayerOption, RESOURCES, Usage};
use hdl_gen::{BindOptions, BoundLayer, bind, lower_counted};
use network::{Network, graph};
use quantizer::allocate::Tables;
use quantizer::allocate::tables::{BuildTable, OptionTable};
use quantizer::{Calibration, ImportOptions, PostTraining, import};
use rayon::prelude::*;

/// Calibration frames that networks for prices are made with; prices hardly depend on them.
const FRAMES: usize = 4;
/// Foldings of a layer at a pair of widths, the smallest by a rough count, each with several homes of products and weights.
const FOLDINGS: usize = 5;
/// The cost of which the greatest counts: cycles that a frame occupies a layer.
pub const INTERVAL: &str = "interval";

/// The builds of all layers at one pair of widths.
pub struct Pair {
    weights: u32,
    activations: u32,
    /// By layer name.
    layers: Vec<(String, Vec<BuildTable>)>,
    /// What stands between the layers.
    rest: Usage,
}

/// Builds for every pair of widths in which no layer takes more cycles than `target`, where it can.
pub fn pairs(job: &Job<'_>, model: &Model, target: u64, watch: &Progress<'_>) -> Outcome<Vec<Pair>> {
    use quantizer::allocate::Watch;
    let widths: Vec<(u32, u32)> = job
        .options
        .weight_widths
        .iter()
        .flat_map(|&w| job.options.activation_widths.iter().map(move |&a| (w, a)))
        .collect();
    watch.begin("pricing builds", widths.len() as u64);
    let memo = Memo::default();
    let of_pair = |&(weights, activations): &(u32, u32)| {
        watch.interrupt.check()?;
        let network = uniform(job, weights, activations)?;
        let made = pair(&network, model, &memo, target, (weights, activations));
        watch.step();
        made
    };
    widths.par_iter().map(of_pair).collect()
}

/// The network with one width for all weights and one for all activations.
pub fn uniform(job: &Job<'_>, weights: u32, activations: u32) -> Outcome<Network> {
    let options = PostTraining {
        weight_bits: weights,
        activation_bits: activations,
        layer_bits: Vec::new(),
        ..job.post_training.clone()
    };
    network(job, &options)
}

/// A network as it is priced: with few frames first; all of them where these leave an activation without a range.
pub fn network(job: &Job<'_>, post_training: &PostTraining) -> Outcome<Network> {
    imported(job, few(post_training)).or_else(|_| on_all_frames(job, post_training))
}

/// The network on all frames, whose prices are those of the finished one but for what fits weights to frames.
pub fn on_all_frames(job: &Job<'_>, post_training: &PostTraining) -> Outcome<Network> {
    imported(job, plain(post_training))
}

fn imported(job: &Job<'_>, post_training: PostTraining) -> Outcome<Network> {
    let options = ImportOptions { post_training: Some(post_training), ..job.import.clone() };
    let imported = import(job.bytes, job.file, &options)?;
    Ok(Network::build(imported.parts).map_err(|faults| faults.in_file(job.file))?)
}

/// Nothing that fits weights to frames: prices do not depend on it.
fn plain(options: &PostTraining) -> PostTraining {
    PostTraining { adaround: false, bias_correction: false, reconstruct: None, ..options.clone() }
}

/// The same with few calibration frames.
fn few(options: &PostTraining) -> PostTraining {
    let mut made = plain(options);
    let shorten = |calibration: &mut Calibration| {
        if let Calibration::Frames { values, shape, .. } = calibration
            && let Some(frames) = shape.first_mut()
            && *frames as usize > FRAMES
        {
            values.truncate(values.len() / *frames as usize * FRAMES);
            *frames = FRAMES as u64;
        }
    };
    match &mut made.calibration {
        Calibration::Several(entering) => entering.iter_mut().for_each(|(calibration, _)| shorten(calibration)),
        calibration => shorten(calibration),
    }
    made
}

fn pair(
    network: &Network,
    model: &Model,
    memo: &Memo,
    target: u64,
    (weights, activations): (u32, u32),
) -> Outcome<Pair> {
    let default = bind(network, &BindOptions::default())?;
    let costs = LayerCosts::new(&default, model, memo);
    let price = |index: usize, hardware: &BoundLayer| costs.layer(index, hardware).map(|taken| usage(&taken));
    let mut folder = folder(network, &price, FOLDINGS)?;
    let layers = listed(network, &mut folder, target)?;
    let target = target.max(folder.quickest().0);
    let folded = folder.fold(target, &Aim { gap: 0.01, ..Aim::default() });
    let rest = match folded.map_err(|error| cannot_fold(network, error))? {
        Folded::Found(folding) => {
            let bound = folder.bound(target, &folding.options).map_err(|error| cannot_fold(network, error))?;
            let design = lower_counted(&bound, memo).map_err(|error| cannot_lower(network, &error))?;
            let whole = usage(&design.estimate(model).total);
            let arrays = folding.options.iter().fold(Usage::default(), |sum, option| sum.plus(option.usage));
            Usage(whole.beyond(arrays).0.map(|amount| amount.max(0.0)))
        }
        Folded::TooSlow { .. } | Folded::Impossible(_) | Folded::Unknown => Usage::default(),
    };
    Ok(Pair { weights, activations, layers, rest })
}

fn folder<'a>(network: &'a Network, price: hdl_gen::fold::Price<'a>, foldings: usize) -> Outcome<Folder<'a>> {
    Ok(Folder::new(network, price).map_err(|error| cannot_fold(network, error))?.with_candidates(foldings))
}

/// The builds of every array by the layer's name.
fn listed(network: &Network, folder: &mut Folder<'_>, target: u64) -> Outcome<Vec<(String, Vec<BuildTable>)>> {
    let mut layers = Vec::new();
    for index in folder.arrays().to_vec() {
        let options = folder.options(index, target).map_err(|error| cannot_fold(network, error))?;
        layers.push((network.layers()[index].name.clone(), best(&options)));
    }
    Ok(layers)
}

/// Builds of every array of a network in which no layer takes more cycles than `target`, where it can.
fn builds(
    network: &Network,
    model: &Model,
    memo: &Memo,
    target: u64,
    foldings: usize,
) -> Outcome<Vec<(String, Vec<BuildTable>)>> {
    let default = bind(network, &BindOptions::default())?;
    let costs = LayerCosts::new(&default, model, memo);
    let price = |index: usize, hardware: &BoundLayer| costs.layer(index, hardware).map(|taken| usage(&taken));
    listed(network, &mut folder(network, &price, foldings)?, target)
}

/// Builds that no other beats in every resource, as tables state them; the fewest LUTs first.
fn best(options: &[LayerOption]) -> Vec<BuildTable> {
    let beats = |a: &LayerOption, b: &LayerOption| {
        a.usage.0.iter().zip(b.usage.0).all(|(a, b)| *a <= b) && a.cycles <= b.cycles
    };
    let mut kept: Vec<&LayerOption> = Vec::new();
    let mut sorted: Vec<&LayerOption> = options.iter().collect();
    sorted.sort_by(|a, b| a.usage.0[0].total_cmp(&b.usage.0[0]).then(a.cycles.cmp(&b.cycles)));
    for option in sorted {
        if !kept.iter().any(|other| beats(other, option)) {
            kept.push(option);
        }
    }
    let table = |option: &&LayerOption| {
        let mut costs: std::collections::BTreeMap<String, f64> =
            RESOURCES.iter().zip(option.usage.0).map(|(name, used)| ((*name).to_owned(), used)).collect();
        costs.insert(INTERVAL.to_owned(), option.cycles as f64);
        BuildTable { name: named(&option.hardware), costs }
    };
    kept.iter().map(table).collect()
}

/// A build in few words.
fn named(hardware: &BoundLayer) -> String {
    let BoundLayer::Matrix(matrix) = hardware else { return "unit".to_owned() };
    let home = match matrix.multiplier {
        graph::Multiplier::Dsp => " dsp",
        graph::Multiplier::Lut => "",
    };
    let memory = match matrix.memory {
        graph::Memory::Block => " block",
        _ => "",
    };
    format!("{} pe {} simd {}{home}{memory}", matrix.kind.name(), matrix.pe, matrix.simd)
}

/// Writes builds, what stands between them and what their outputs take into the tables of a study; most products being at
/// `home`.
pub fn add(tables: &mut Tables, pairs: &[Pair], outputs: &[Option<Output>], home: Home) {
    if pairs.is_empty() {
        return;
    }
    let count = tables.layers.len().max(1) as f64;
    let wanted: Vec<Vec<u32>> = tables.layers.iter().map(|layer| tables.activation_bits(layer)).collect();
    for (layer, reads) in tables.layers.iter_mut().zip(wanted) {
        for &weights in &layer.bits {
            for &read in &reads {
                // Layers with activations of a width that is not chosen from take the nearest that was priced.
                let own = pairs.iter().filter(|pair| pair.weights == weights);
                let Some(pair) = own.min_by_key(|pair| pair.activations.abs_diff(read)) else { continue };
                let found = pair.layers.iter().find(|(name, _)| *name == layer.name).map(|(_, builds)| builds.clone());
                layer.builds.insert((weights, read), found.unwrap_or_else(|| vec![BuildTable::default()]));
                for (name, amount) in RESOURCES.iter().zip(pair.rest.0) {
                    let costs = layer.costs.entry((*name).to_owned()).or_insert_with(OptionTable::default);
                    costs.by_both.insert((weights, read), amount / count);
                }
            }
        }
    }
    // Widths of what is read that were not priced took the nearest that were.
    let priced: Vec<u32> = pairs.iter().map(|pair| pair.activations).collect();
    let nearest = |read: u32| priced.iter().copied().min_by_key(|bits| bits.abs_diff(read)).unwrap_or(read);
    outputs::divide(tables, outputs, home, &nearest);
    tables.greatest = vec![INTERVAL.to_owned()];
}

/// What a design takes, and how fast it is.
pub struct Measured {
    /// In the order of [`RESOURCES`].
    pub used: Usage,
    /// Cycles from frame to frame; those of the slowest layer where a prediction takes too long.
    pub interval: u64,
    /// Cycles of the first frame, where they were predicted.
    pub first: Option<u64>,
    /// Cycles of the slowest layer.
    pub slowest: u64,
}

/// Prices a design, and predicts its cycles where a frame has at most `longest_words`.
pub fn measured(built: &Figures, model: &Model, longest_words: u64) -> Outcome<Measured> {
    let used = usage(&built.design.estimate(model).total);
    let slowest = built.rows().iter().map(|row| row.cycles).max().unwrap_or(1).max(1);
    let timing = if built.design.frame_words() <= longest_words { Some(built.timing()?) } else { None };
    let interval = timing.map_or(slowest, |timing| timing.initiation_interval_cycles);
    Ok(Measured { used, interval, first: timing.map(|timing| timing.first_frame_cycles), slowest })
}
