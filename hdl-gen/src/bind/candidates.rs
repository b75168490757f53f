//! The foldings that a matrix layer may take for a target.

use super::groups::Groups;
use super::{BoundLayer, MAX_LANES, as_convolution, bind_layer, coded, folding, needs_window};
use crate::live_wires::LiveWires;
use network::coding::Coding;
use network::diagnostic::{At, Diagnostics, Place};
use network::format::Kind;
use network::graph::{Encoding, HardwareRequest, Layer, Memory, Multiplier, PeKind};
use network::op::{Op, Weights};
use network::{Format, Network};

/// Pairs of planes up to which the xnor array is priced beside integer products.
const MOST_LEVEL_PRODUCTS: u32 = 4;

/// A folding of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    /// PEs.
    pub pe: u64,
    /// Inputs of a PE.
    pub simd: u64,
    /// Cycles a frame, the window's included.
    pub cycles: u64,
}

/// Foldings of an array of this kind (none: the plan's or the usual one) that take at most `target` cycles, as the wishes
/// of the plan let them: for each SIMD the least PE, and of those the `most` that a rough count finds smallest, in
/// ascending order. Empty for layers that have no array.
pub(crate) fn candidates(
    network: &Network,
    index: usize,
    kind: Option<PeKind>,
    target: u64,
    most: usize,
) -> Vec<Candidate> {
    let mut found: Vec<(u64, Candidate)> = Vec::new();
    each(network, index, kind, target, |choice, candidate| {
        if candidate.cycles <= target {
            let cost = folding::cost(choice, candidate.pe, candidate.simd);
            match found.iter_mut().find(|(_, other)| other.simd == candidate.simd) {
                Some(other) if cost < other.0 => *other = (cost, candidate),
                Some(_) => {}
                None => found.push((cost, candidate)),
            }
        }
    });
    found.sort();
    found.truncate(most);
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Cycles a frame of every folding of a layer; empty for layers that have no array.
pub(crate) fn all_cycles(network: &Network, index: usize) -> Vec<u64> {
    let mut all = Vec::new();
    each(network, index, None, 1, |_, candidate| all.push(candidate.cycles));
    all.sort_unstable();
    all.dedup();
    all
}

/// PE and SIMD after raising SIMD, then PE, to the next divisor until the array meets the target or is as wide as it
/// can be; `None` for layers that have no array.
pub(crate) fn raised(network: &Network, index: usize, target: u64) -> Option<(u64, u64)> {
    let mut all = Vec::new();
    each(network, index, None, target, |choice, candidate| {
        all.push((choice.array_cycles(candidate.pe, candidate.simd), candidate.pe, candidate.simd));
    });
    let widest = all.iter().filter(|folding| folding.1 == 1).map(|folding| folding.2).max();
    // The way up: all SIMD with one PE, then all PE with that SIMD; groups may bar some of the steps.
    let on_the_way = |&&(_, pe, simd): &&(u64, u64, u64)| pe == 1 || widest.is_none_or(|widest| simd == widest);
    let mut way: Vec<&(u64, u64, u64)> = all.iter().filter(on_the_way).collect();
    if way.is_empty() {
        way = all.iter().collect();
    }
    way.sort_by_key(|folding| (folding.1, folding.2));
    let quick = way.iter().find(|folding| folding.0 <= target);
    let chosen = quick.or_else(|| way.iter().min_by_key(|folding| folding.0));
    chosen.map(|folding| (folding.1, folding.2))
}

/// The fewest cycles that a layer can take with any folding.
pub(crate) fn least_cycles(network: &Network, index: usize) -> u64 {
    let layer = &network.layers()[index];
    let mut least = u64::MAX;
    each(network, index, None, 1, |_, candidate| least = least.min(candidate.cycles));
    if least < u64::MAX {
        return least;
    }
    let alone = |bound: BoundLayer| super::Bound { network: network.clone(), layers: vec![bound; index + 1] };
    bind_layer(network, index, layer, 1).map_or(u64::MAX, |bound| alone(bound).layer_cycles(index))
}

/// What is asked of a layer's array beside its folding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuildWish {
    /// The kind, where it is not the plan's or the usual one.
    pub kind: Option<PeKind>,
    /// Where products are made.
    pub multiplier: Multiplier,
    /// Where weights lie.
    pub memory: Memory,
}

/// The hardware of a layer with this folding, built as wished. `layer` is a copy of the network's, whose wishes are
/// overwritten.
pub(crate) fn fits(
    network: &Network,
    index: usize,
    layer: &mut Layer,
    target: u64,
    candidate: Candidate,
    wish: BuildWish,
) -> Result<BoundLayer, Diagnostics> {
    let original = &network.layers()[index];
    let place = &original.place;
    fn at<T>(value: T, place: &Place) -> Option<At<T>> {
        Some(At::new(value, place.clone()))
    }
    let mut hardware =
        HardwareRequest { pe: at(candidate.pe, place), simd: at(candidate.simd, place), ..original.hardware.clone() };
    if original.op.weights().is_some() {
        hardware.memory = at(wish.memory, place);
        hardware.multiplier = if wish.multiplier == Multiplier::Dsp { at(wish.multiplier, place) } else { None };
        if let Some(kind) = wish.kind {
            hardware.kind = at(kind, place);
        }
    }
    layer.hardware = hardware;
    bind_layer(network, index, layer, target)
}

/// Whether both sides of a layer's products are bipolar, so that its array may be xnor or integer.
pub(crate) fn may_be_xnor(network: &Network, index: usize) -> bool {
    let layer = &network.layers()[index];
    let bipolar = |format: Format| format.kind() == Kind::Bipolar;
    let grouped = matches!(layer.op, Op::Conv2d { groups, .. } if groups > 1);
    match (network.layer_input(layer).encoding, layer.op.weights()) {
        (Encoding::Codes { format, .. }, Some(weights)) => !grouped && bipolar(format) && bipolar(weights.format),
        _ => false,
    }
}

/// Whether the products of a layer with integers may be made by the xnor array of level indices, and are so narrow that
/// this may be the smaller one: wider ones have fewer digits than planes.
pub(crate) fn may_be_levels(network: &Network, index: usize) -> bool {
    let layer = &network.layers()[index];
    let tensor = network.layer_input(layer);
    let grouped = matches!(layer.op, Op::Conv2d { groups, .. } if groups > 1);
    match (tensor.encoding, layer.op.weights()) {
        (Encoding::Codes { format, .. }, Some(weights)) => {
            let live = LiveWires::of_layer(&layer.op, tensor, format).format;
            let plain = weights.coding == Coding::Plain && layer.modes.is_empty();
            let narrow = weights.format.bits() * live.bits() <= MOST_LEVEL_PRODUCTS;
            plain && narrow && !grouped && weights.format.kind() != Kind::Bipolar
        }
        _ => false,
    }
}

/// Whether a layer without modes may be a bit-serial array that takes all planes and more than one pass.
pub(crate) fn may_be_serial(network: &Network, index: usize) -> bool {
    let layer = &network.layers()[index];
    let plain = |weights: &Weights| weights.coding == Coding::Plain && layer.modes.is_empty();
    match (network.layer_input(layer).encoding, layer.op.weights()) {
        (Encoding::Codes { format, .. }, Some(weights)) if plain(weights) => weights.format.bits() * format.bits() > 1,
        _ => false,
    }
}

/// Visits all foldings of a layer that its groups and the plan's wishes let through.
fn each(
    network: &Network,
    index: usize,
    kind: Option<PeKind>,
    target: u64,
    mut visit: impl FnMut(&folding::MatrixChoice, Candidate),
) {
    let layer = &network.layers()[index];
    let (input, output) = (network.layer_input(layer), network.layer_output(index).shape);
    let Encoding::Codes { format: activation, .. } = input.encoding else { return };
    let pools = super::pools_in_place(&layer.op);
    let op = as_convolution(&layer.op, input.shape);
    let Some(weights) = op.weights().filter(|_| !pools) else { return };
    let groups = Groups::of(&op, input.shape, weights.outputs as u64);
    let wish = &layer.hardware;
    let wished = (wish.pe.as_ref().map(|at| at.value), wish.simd.as_ref().map(|at| at.value));
    let usual = coded::default_kind(weights, folding::any_blocks(weights, groups, wished));
    let kind = match kind.or(wish.kind.as_ref().map(|at| at.value)) {
        None if !layer.modes.is_empty() => Some(PeKind::Serial),
        wished => wished.or(usual),
    };
    let passes = (kind == Some(PeKind::Serial)).then(|| {
        let schedule = super::serial_schedule(network, index, &op, weights, activation);
        schedule.modes.first().map_or(1, |mode| mode.passes.len() as u64)
    });
    let choice = folding::MatrixChoice {
        op: &op,
        blocks: kind == Some(PeKind::Wavelet),
        weights,
        groups,
        activation: LiveWires::of_kind(kind, &layer.op, input, activation).format,
        input: input.shape,
        output,
        sum_bits: network.sums(index).map_or(32, |sums| sums.all.bits()),
        requantization: layer.requantization.as_ref(),
        unit: wish.requantize.as_ref().map(|at| at.value),
        folded: true,
        target,
        passes,
        in_modes: layer.modes.len() > 1,
    };
    let all = |wished: &Option<At<u64>>, folded: u64| match wished {
        Some(at) => vec![at.value],
        None => folding::divisors(folded),
    };
    let simds = all(&wish.simd, weights.length as u64);
    for pe in all(&wish.pe, weights.outputs as u64) {
        for &simd in &simds {
            let whole = pe > 0 && simd > 0 && (weights.outputs as u64).is_multiple_of(pe);
            if !whole || !groups.takes_pe(pe) || !groups.takes_simd(pe, simd) || pe.saturating_mul(simd) > MAX_LANES {
                continue;
            }
            if choice.blocks && !coded::takes_blocks(weights, groups, pe, simd) {
                continue;
            }
            let window = needs_window(&op).then(|| folding::window_form(&choice, pe, simd));
            let window = match (&wish.window, window) {
                (Some(at), Some(_)) => Some(at.value),
                (_, chosen) => chosen,
            };
            let cycles = folding::folded_cycles(&choice, pe, simd, window);
            visit(&choice, Candidate { pe, simd, cycles });
        }
    }
}
