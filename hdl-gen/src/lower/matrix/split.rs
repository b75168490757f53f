//! Dot products in parts: one for each region of piecewise weights, or for each sub-band of wavelet weights, scaled and
//! added at the end.

use super::products::Netlist;
use super::steps_of;
use crate::bind::MatrixLayer;
use crate::datapath::regions::RegionTerm;
use crate::datapath::sub_bands::{PairsSpec, pairs};
use crate::datapath::{
    Combination, CombinationSpec, CombinationTerm, DatapathError, DotProduct, DotProductForm, DotProductSpec,
    Multiplier, Operand,
};
use crate::heap::{Cost, Target};
use crate::live_wires::LiveWires;
use crate::lower::border::Borders;
use crate::requantize::RawMap;
use crate::verilog::ModuleText;
use network::coding::{Coding, Tagged, Wavelet};
use network::format::Kind;
use network::op::Weights;
use network::{Format, Range};

/// Which activations a part multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The activations themselves.
    Activation,
    /// Sums of neighbouring pairs.
    Sum,
    /// Differences of neighbouring pairs.
    Difference,
}

/// One of the parts.
pub(super) struct Part {
    pub source: Source,
    pub product: DotProduct,
    /// What the part counts in each result of a unit.
    coefficients: Vec<i64>,
    /// One row of operands for each PE or pair of PEs over all outputs.
    pub(super) rows: Vec<Vec<i32>>,
    /// Whether all PEs of a group read one sum, whose weights are 1.
    pub is_shared: bool,
}

/// The parts of a layer's dot products.
pub(super) struct Split {
    pub parts: Vec<Part>,
    /// For each result of a unit, what adds the parts up.
    pub combinations: Vec<(String, Combination)>,
    /// Cycles from the last step to all parts.
    pub parts_latency: u32,
    /// Cycles that a result takes from there.
    pub sum_latency: u32,
    pub result_bits: u32,
    pub result_is_signed: bool,
    pub initial_bits: Option<u32>,
    /// Sums and differences of activations, where parts take them.
    pub pairs: Option<(ModuleText, Cost)>,
    /// Bits of an operand of `pairs`.
    pub paired_bits: u32,
    pub maps: Vec<RawMap>,
    /// Whether the lowest bit that the combinations give is a constant of the channel and dropped.
    pub halved: bool,
}

/// What a split is made for.
pub(super) struct SplitSpec<'a> {
    /// First part of module names.
    pub prefix: &'a str,
    pub weights: &'a Weights,
    pub matrix: &'a MatrixLayer,
    pub live: LiveWires,
    pub multiplier: Multiplier,
    pub borders: Option<&'a Borders>,
    /// Exact sums of every output channel.
    pub sums: &'a dyn Fn(usize) -> Range,
}

impl Split {
    /// The parts of piecewise weights: one sum for each region, and for each tail's offset.
    pub fn of_regions(spec: &SplitSpec<'_>, tagged: &Tagged, operand: Operand) -> Result<Self, DatapathError> {
        let values = value_range(spec.live.format);
        let mut parts = Vec::new();
        for (index, term) in RegionTerm::of(&tagged.regions).into_iter().enumerate() {
            let bits = term.bits(&tagged.regions);
            let weight = if matches!(term.part, crate::datapath::regions::RegionPart::Codes) {
                Operand::Signed { bits }
            } else {
                Operand::Unsigned { bits }
            };
            let rows = (0..spec.weights.outputs)
                .map(|row| {
                    let operand = |place| {
                        let (tag, code) = tagged.tag_and_code(spec.weights, row, place).unwrap_or((0, 0));
                        term.operand(tag, code) as i32
                    };
                    (0..spec.weights.length).map(operand).collect()
                })
                .collect();
            let name = format!("term{index}");
            let form = DotProductForm::new(operand, weight, spec.multiplier, Target::Lut6)?;
            let lanes = spec.matrix.simd as u32;
            let source = Source::Activation;
            parts.push(part(spec, &name, form, lanes, source, vec![term.coefficient], rows, values)?);
        }
        let gain = if spec.live.format.kind() == Kind::Bipolar { 2 } else { 1 };
        Self::finish(spec, parts, gain, |row| row, None, 0)
    }

    /// The parts of wavelet weights: sub-bands A and V of sums, H and D of differences of activations; V and D count
    /// negative in the lower channel of a pair.
    pub fn of_sub_bands(spec: &SplitSpec<'_>, wavelet: &Wavelet) -> Result<Self, DatapathError> {
        let (bits, signed) = (spec.live.format.bits(), spec.live.format.kind() == Kind::Signed);
        let codes = spec.live.format.code_range();
        let sum = if signed { Operand::Signed { bits: bits + 1 } } else { Operand::Unsigned { bits: bits + 1 } };
        let difference = Operand::Signed { bits: bits + 1 };
        let span = codes.max() - codes.min();
        let mut parts = Vec::new();
        for band in (0..4).filter(|&band| wavelet.widths()[band] > 0) {
            let is_sum = band == 0 || band == 2;
            let (source, operand, range) = if is_sum {
                (Source::Sum, sum, (2 * codes.min(), 2 * codes.max()))
            } else {
                (Source::Difference, difference, (-span, span))
            };
            let weight = Operand::Signed { bits: wavelet.widths()[band] };
            let form = DotProductForm::new(operand, weight, spec.multiplier, Target::Lut6)?;
            let multiplier = wavelet.multipliers()[band];
            let coefficients = vec![multiplier, if band < 2 { multiplier } else { -multiplier }];
            let rows = (0..spec.weights.outputs.div_ceil(2))
                .map(|row| {
                    let code = |column| {
                        let block = Wavelet::block(spec.weights, row, column);
                        wavelet.codes(block).map_or(0, |codes| codes[band] as i32)
                    };
                    (0..spec.weights.length.div_ceil(2)).map(code).collect()
                })
                .collect();
            let name = crate::datapath::sub_bands::BANDS[band];
            let lanes = spec.matrix.simd.div_ceil(2) as u32;
            parts.push(part(spec, name, form, lanes, source, coefficients, rows, range)?);
        }
        let module = format!("{}_pairs", spec.prefix);
        let differences = parts.iter().any(|part| part.source == Source::Difference);
        let (lanes, sides) = (spec.matrix.simd as u32, spec.matrix.side as u32);
        let text = pairs(&module, PairsSpec { bits, signed, lanes, sides, differences });
        let wires =
            (spec.matrix.simd.div_ceil(2) * spec.matrix.side) as u32 * (bits + 1) * (1 + u32::from(differences));
        let cost = Cost { lut: wires, ff: wires, carry: wires.div_ceil(4), ..Cost::default() };
        // Pairs are made of codes: a bipolar value is twice its code less a constant.
        let gain = if spec.live.format.kind() == Kind::Bipolar { 2 } else { 1 };
        Self::finish(spec, parts, gain, |row| row / 2, Some((text, cost)), bits + 1)
    }

    /// Adds the parts up: exact ranges, offsets and the modules that combine.
    fn finish(
        spec: &SplitSpec<'_>,
        parts: Vec<Part>,
        gain: i64,
        unit_row: impl Fn(usize) -> usize,
        pairs: Option<(ModuleText, Cost)>,
        paired_bits: u32,
    ) -> Result<Self, DatapathError> {
        let results = parts.first().map_or(1, |part| part.coefficients.len());
        let offset = |channel: usize| {
            let row = unit_row(channel);
            let of_part = |part: &Part| {
                part.coefficients[channel % results]
                    * part.product.offset(part.rows.get(row).map_or(&[], Vec::as_slice))
            };
            let offsets: i64 = parts.iter().map(of_part).sum();
            let sum = spec.weights.row_total(channel, |weight| weight);
            match pairs {
                // Offsets are those over codes; values are gain * code + value of code 0.
                Some(_) => gain * offsets + spec.live.of_zeros() * sum,
                None => offsets + spec.live.constant * sum,
            }
        };
        let offsets: Vec<i64> = (0..spec.weights.outputs).map(offset).collect();
        let ranges = offsets
            .iter()
            .enumerate()
            .map(|(channel, &offset)| RawMap { gain, offset }.raw_range((spec.sums)(channel)));
        let raw = ranges.reduce(Range::union).unwrap_or(Range::new(0, 0));
        let initial_bits = spec.borders.map(Borders::initial_bits);
        let mut combinations = Vec::new();
        for result in 0..results {
            let terms = terms(&parts, result, initial_bits);
            let module_name = match (results, result) {
                (1, _) => format!("{}_total", spec.prefix),
                (_, 0) => format!("{}_upper", spec.prefix),
                _ => format!("{}_lower", spec.prefix),
            };
            let target = Target::Lut6;
            let result_range = (raw.min(), raw.max());
            let made = CombinationSpec { module_name: module_name.clone(), terms, result_range, target };
            combinations.push((module_name, Combination::new(&made)?));
        }
        let divided = spec.borders.map_or(1, |borders| borders.gain_division);
        Ok(Split {
            halved: false,
            parts_latency: parts.iter().map(|part| part.product.latency_cycles()).max().unwrap_or(0),
            sum_latency: combinations.iter().map(|(_, made)| made.latency_cycles()).max().unwrap_or(0),
            result_bits: combinations.iter().map(|(_, made)| made.result_bits()).max().unwrap_or(1),
            result_is_signed: raw.is_signed(),
            initial_bits,
            pairs,
            paired_bits,
            maps: offsets.into_iter().map(|offset| RawMap { gain: gain / divided, offset }).collect(),
            parts,
            combinations,
        })
    }

    /// Cycles from the last step to the result.
    pub fn latency_cycles(&self) -> u32 {
        self.parts_latency + self.sum_latency
    }

    /// All modules with their costs.
    pub fn netlists(&self) -> Vec<Netlist> {
        let parts = self.parts.iter().map(|part| {
            let product = &part.product;
            (product.spec().module_name.clone(), product.cost(), product.modules().to_vec())
        });
        let combinations =
            self.combinations.iter().map(|(name, made)| (name.clone(), made.cost(), made.modules().to_vec()));
        let pairs = self.pairs.iter().map(|(text, cost)| (text.name.clone(), *cost, vec![text.clone()]));
        parts.chain(combinations).chain(pairs).collect()
    }
}

/// Values that activations and padding can have.
fn value_range(activation: Format) -> (i64, i64) {
    let values = activation.value_range();
    (values.min(), values.max())
}

/// What is added up to one result: the parts, and the initial sum where there is one.
pub(super) fn terms(parts: &[Part], result: usize, initial_bits: Option<u32>) -> Vec<CombinationTerm> {
    let of_part = |(index, part): (usize, &Part)| CombinationTerm {
        name: format!("part{index}"),
        bits: part.product.result_bits(),
        signed: part.product.result_is_signed(),
        coefficient: part.coefficients[result],
    };
    let initial = |bits| CombinationTerm { name: "initial".to_owned(), bits, signed: true, coefficient: 1 };
    parts.iter().enumerate().map(of_part).chain(initial_bits.map(initial)).collect()
}

#[allow(clippy::too_many_arguments)] // one part is described by all of these
pub(super) fn part(
    spec: &SplitSpec<'_>,
    name: &str,
    form: DotProductForm,
    lanes: u32,
    source: Source,
    coefficients: Vec<i64>,
    rows: Vec<Vec<i32>>,
    activations: (i64, i64),
) -> Result<Part, DatapathError> {
    let ranges = rows.iter().map(|row| form.raw_range(row, activations));
    let result_range = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0));
    let product = DotProduct::new(DotProductSpec {
        module_name: format!("{}_{name}_pe", spec.prefix),
        lanes,
        form,
        accumulate: steps_of(spec.weights, spec.matrix).1 > 1,
        initial_bits: None,
        result_range,
    })?;
    Ok(Part { source, product, coefficients, rows, is_shared: false })
}

/// The split of a layer whose coding and form ask for one.
pub(super) fn of_layer(spec: &SplitSpec<'_>, operand: Operand) -> Result<Option<Split>, DatapathError> {
    use network::graph::PeForm;
    if super::levels::takes(spec.weights, spec.matrix) {
        return super::levels::split(spec).map(Some);
    }
    Ok(match (&spec.weights.coding, spec.matrix.form) {
        (Coding::Piecewise(tagged), Some(PeForm::Accumulators)) => Some(Split::of_regions(spec, tagged, operand)?),
        (Coding::Wavelet(wavelet), Some(PeForm::Products)) => Some(Split::of_sub_bands(spec, wavelet)?),
        _ => None,
    })
}
