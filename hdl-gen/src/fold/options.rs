//! The options of a layer with their prices.

use super::FoldError;
use crate::LowerError;
use crate::bind::{self, BoundLayer, Candidate};
use network::Network;
use network::graph::{Layer, Memory, Multiplier, PeKind};
use network::modes::Planes;
use network::op::Op;
use network::requantization::Form;
use std::collections::BTreeMap;

/// Foldings of all layers together that are priced for one target; a rough count picks them.
const MOST_PRICED: usize = 1200;
/// Foldings of one layer that are priced at least, and at most.
const CANDIDATES: [usize; 2] = [4, 24];
/// Words of weights from which on block RAM is worth a try.
const LEAST_BLOCK_WORDS: u64 = 32;
/// Bits of weights up to which look-up tables are worth a try.
const MOST_LUT_BITS: u64 = 1 << 20;

/// LUT, FF, DSP and block RAMs of 36 Kibit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage(pub [f64; 4]);

impl Usage {
    /// From a list of as many numbers.
    pub(super) fn of(list: &[f64]) -> Self {
        let mut usage = Usage::default();
        usage.0.iter_mut().zip(list).for_each(|(own, other)| *own = *other);
        usage
    }

    /// What is more here than in `other`.
    pub fn beyond(self, other: Usage) -> Usage {
        let mut usage = self;
        usage.0.iter_mut().zip(other.0).for_each(|(own, other)| *own -= other);
        usage
    }

    /// Both together.
    pub fn plus(self, other: Usage) -> Usage {
        let mut usage = self;
        usage.0.iter_mut().zip(other.0).for_each(|(own, other)| *own += other);
        usage
    }
}

/// One way to build one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerOption {
    /// Index of the layer.
    pub layer: usize,
    /// Its hardware.
    pub hardware: BoundLayer,
    /// Cycles a frame.
    pub cycles: u64,
    /// What it takes, its sliding window included.
    pub usage: Usage,
}

/// How a folding is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Build {
    candidate: Candidate,
    style: Style,
    /// Weights in block RAM.
    block: bool,
}

/// What an array multiplies with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Style {
    /// The kind of the plan, or the usual one, in look-up tables.
    Usual,
    /// The other kind: integer products where the usual one is xnor, and the xnor array where it is mac.
    Other,
    /// Integer products in DSP blocks.
    Dsp,
    /// Bit planes one after the other.
    Serial,
}

impl Style {
    const ALL: [Style; 4] = [Style::Usual, Style::Other, Style::Dsp, Style::Serial];

    /// One in so many foldings is priced.
    fn share(self) -> usize {
        match self {
            Style::Usual | Style::Other | Style::Dsp => 1,
            Style::Serial => 2,
        }
    }
}

/// What the layer at an index takes with this hardware.
pub type Price<'a> = &'a dyn Fn(usize, &BoundLayer) -> Result<Usage, LowerError>;

/// Prices of layers alike, each asked for once.
pub(super) struct Prices<'a> {
    network: &'a Network,
    price: Price<'a>,
    /// For each layer the first one that costs the same under the same folding.
    alike: Vec<usize>,
    known: BTreeMap<(usize, Build), Usage>,
    /// Foldings of a layer that are priced.
    most: usize,
}

impl<'a> Prices<'a> {
    pub fn new(network: &'a Network, price: Price<'a>) -> Self {
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        let alike =
            (0..network.layers().len()).map(|index| *first.entry(likeness(network, index)).or_insert(index)).collect();
        let arrays = network.layers().iter().filter(|layer| layer.op.weights().is_some()).count();
        let most = (MOST_PRICED / arrays.max(1)).clamp(CANDIDATES[0], CANDIDATES[1]);
        Prices { network, price, alike, known: BTreeMap::new(), most }
    }

    /// Prices at most so many foldings of a layer.
    pub fn limit(&mut self, most: usize) {
        self.most = self.most.min(most.max(1));
    }

    /// What a layer may be for a target, priced.
    pub fn options(&mut self, index: usize, target: u64) -> Result<Vec<LayerOption>, FoldError> {
        let mut scratch = self.network.layers()[index].clone();
        let mut options = Vec::new();
        let usual = bind::candidates(self.network, index, None, target, self.most);
        let styles: Vec<Style> = Style::ALL.into_iter().filter(|&style| self.has(index, style)).collect();
        for style in styles {
            let serial = (style == Style::Serial).then(|| {
                let most = self.most.div_ceil(style.share());
                bind::candidates(self.network, index, Some(PeKind::Serial), target, most)
            });
            for &candidate in serial.as_ref().unwrap_or(&usual) {
                for block in [false, true] {
                    let build = Build { candidate, style, block };
                    if !self.is_worth(index, build) {
                        continue;
                    }
                    let fits =
                        bind::fits(self.network, index, &mut scratch, target, candidate, self.wish(index, build));
                    let hardware = match (fits, style) {
                        (Ok(hardware), _) => hardware,
                        // Kinds for coded weights have no products for DSP blocks; planes in time have units of their own.
                        (Err(_), Style::Dsp | Style::Serial) => continue,
                        (Err(faults), Style::Usual | Style::Other) => return Err(FoldError::Bind(faults)),
                    };
                    let usage = match self.price(index, build, &hardware) {
                        Err(FoldError::Lower(_)) if style == Style::Serial => continue,
                        priced => priced?,
                    };
                    options.push(LayerOption { layer: index, hardware, cycles: candidate.cycles, usage });
                }
            }
        }
        Ok(options)
    }

    /// What a layer takes with this hardware.
    pub fn of(&self, index: usize, hardware: &BoundLayer) -> Result<Usage, LowerError> {
        (self.price)(index, hardware)
    }

    /// What one build takes, the same for layers alike.
    fn price(&mut self, index: usize, build: Build, hardware: &BoundLayer) -> Result<Usage, FoldError> {
        let key = (self.alike[index], build);
        if let Some(usage) = self.known.get(&key) {
            return Ok(*usage);
        }
        let usage = (self.price)(index, hardware)?;
        self.known.insert(key, usage);
        Ok(usage)
    }

    /// Whether a layer may be built so, as far as its formats and the plan's wishes go.
    fn has(&self, index: usize, style: Style) -> bool {
        let layer = &self.network.layers()[index];
        if layer.op.weights().is_none() {
            return style == Style::Usual;
        }
        let kind = self.kind(index, style);
        // Without a choice of kinds, products in look-up tables are the usual style, and planes in time none at all.
        if kind.is_none() && matches!(style, Style::Other | Style::Serial) {
            return false;
        }
        let wish = &layer.hardware;
        if let (Some(kind), Some(at)) = (kind, &wish.kind)
            && at.value != kind
        {
            return false;
        }
        if style == Style::Serial && wish.kind.is_some() {
            // The plan's kind is the usual one.
            return false;
        }
        let multiplier = if style == Style::Dsp { Multiplier::Dsp } else { Multiplier::Lut };
        wish.multiplier.as_ref().is_none_or(|at| at.value == multiplier)
    }

    /// Whether a build is neither against the plan's memory, nor without any use.
    fn is_worth(&self, index: usize, build: Build) -> bool {
        let layer = &self.network.layers()[index];
        let Some(weights) = layer.op.weights() else {
            return !build.block;
        };
        if let Some(at) = &layer.hardware.memory {
            return (at.value == Memory::Block) == build.block;
        }
        // Bit planes are words of their own.
        let planes = if build.style == Style::Serial { u64::from(weights.format.bits()) } else { 1 };
        let words = weights.values.len() as u64 / (build.candidate.pe * build.candidate.simd) * planes;
        let bits = weights.values.len() as u64 * u64::from(weights.format.bits());
        if build.block { words >= LEAST_BLOCK_WORDS } else { bits <= MOST_LUT_BITS || words < LEAST_BLOCK_WORDS }
    }

    /// The kind of a style, where the layer has a choice of kinds.
    fn kind(&self, index: usize, style: Style) -> Option<PeKind> {
        match (bind::may_be_xnor(self.network, index), style) {
            (_, Style::Serial) => bind::may_be_serial(self.network, index).then_some(PeKind::Serial),
            (true, Style::Usual) => Some(PeKind::Xnor),
            (true, Style::Other | Style::Dsp) => Some(PeKind::Mac),
            (false, Style::Other) => bind::may_be_levels(self.network, index).then_some(PeKind::Xnor),
            (false, Style::Usual | Style::Dsp) => None,
        }
    }

    fn wish(&self, index: usize, build: Build) -> bind::BuildWish {
        bind::BuildWish {
            kind: self.kind(index, build.style).filter(|_| build.style != Style::Usual),
            multiplier: if build.style == Style::Dsp { Multiplier::Dsp } else { Multiplier::Lut },
            memory: if build.block { Memory::Block } else { Memory::Lut },
        }
    }
}

/// All of a layer that its price depends on, as text: layers of one text cost the same under one folding.
fn likeness(network: &Network, index: usize) -> String {
    let layer = &network.layers()[index];
    let (input, output) = (network.layer_input(layer), network.layer_output(index));
    let shape = match &layer.op {
        Op::Conv2d { weights, window, padding_value, groups } => {
            format!("{} {} {} {window:?} {padding_value} {groups}", weights.format, weights.outputs, weights.length)
        }
        Op::Dense { weights } => format!("{} {} {}", weights.format, weights.outputs, weights.length),
        Op::SumPool { window, padding_value, counted } => format!("{window:?} {padding_value} {counted:?}"),
        _ => format!("{index}"),
    };
    let sums = network.sums(index).map(|sums| (sums.all.bits(), sums.all.is_signed()));
    let widest = |numbers: &[i64]| numbers.iter().map(|n| 64 - n.unsigned_abs().leading_zeros()).max();
    let unit = layer.requantization.as_ref().map(|r| {
        let form = match &r.form {
            Form::Shift(s) => {
                format!("{:?} {:?} {} {}", widest(&s.multipliers), widest(&s.offsets), s.shift, s.half_even)
            }
            Form::Thresholds(t) => format!("{} {}", t.count, t.falling.iter().any(|&falls| falls)),
            Form::Table(table) => format!("table {}", table.count),
        };
        format!("{} {:?} {form}", r.output, r.codes)
    });
    let planes: Vec<Planes> = layer.modes.iter().map(|mode| mode.planes).collect();
    format!("{} {shape} {planes:?} {input:?} {output:?} {sums:?} {unit:?} {:?}", layer.op.name(), wishes(layer))
}

/// The plan's wishes without their places.
fn wishes(layer: &Layer) -> impl std::fmt::Debug {
    let wish = &layer.hardware;
    (
        wish.kind.as_ref().map(|at| at.value),
        wish.pe.as_ref().map(|at| at.value),
        wish.simd.as_ref().map(|at| at.value),
        wish.multiplier.as_ref().map(|at| at.value),
        wish.memory.as_ref().map(|at| at.value),
        wish.requantize.as_ref().map(|at| at.value),
        wish.window.as_ref().map(|at| at.value),
    )
}
