//! The weight memory of a layer: what its words hold, and what stands between it and the products.

mod rom;

use super::levels;
use super::products::Netlist;
use super::steps_of;
use crate::bind::MatrixLayer;
use crate::datapath::DatapathError;
use crate::datapath::regions::{Decompressor, RegionTerm, selector};
use crate::datapath::sub_bands::{BANDS, BlockModule};
use crate::heap::Target;
use crate::image::Image;
use crate::lower::chain::number;
use crate::lower::wiring::{instance, lane, wire};
use crate::verilog::{BinaryOp, Connection, Expr, Instance, Item};
use crate::weight_layout::{BlockLayout, TagLayout};
use network::coding::{Coding, Tagged, Wavelet};
use network::graph::{Memory, PeForm};
use network::op::Weights;

/// A layer's weight memory.
pub(super) struct Store {
    words: Words,
    /// Net that holds a word of the memory.
    pub net: &'static str,
    /// Bits of a word.
    pub word_bits: u64,
    /// Registers from the memory's address to its word.
    pub memory_cycles: u32,
    /// Cycles that weights come after the step they belong to.
    pub late_cycles: u32,
    /// Modules behind the memory.
    pub netlists: Vec<Netlist>,
    /// Whether they instantiate `hwgen_delay`.
    pub uses_delay: bool,
}

/// What the words hold and what becomes of it.
enum Words {
    /// Codes of the weights' format.
    Plain,
    /// Level indices: integers less the least one of their format.
    Levels,
    /// Codes and tags that become weights.
    Decompressed { tagged: Tagged, layout: TagLayout, module: String },
    /// Codes and tags that become the operands of a sum for each region.
    Selected { tagged: Tagged, layout: TagLayout, module: String },
    /// Sub-band codes that become weights.
    Blocks { wavelet: Wavelet, layout: BlockLayout, module: String, clocked: bool },
    /// Sub-band codes that are multiplied themselves.
    SubBands { wavelet: Wavelet, layout: BlockLayout },
}

impl Store {
    /// The memory of a layer whose modules are named after `prefix`.
    pub fn new(weights: &Weights, matrix: &MatrixLayer, prefix: &str) -> Result<Self, DatapathError> {
        // Block RAM has a register behind its output, so that neither its own delay nor the choice between several
        // blocks stands in front of what follows.
        let memory_late = match matrix.memory {
            Memory::Block => 1,
            Memory::Lut => 0,
        };
        let mut store = Store {
            words: Words::Plain,
            net: "step_weight",
            word_bits: matrix.pe * matrix.simd * u64::from(weights.format.bits()),
            memory_cycles: 1 + memory_late,
            late_cycles: memory_late,
            netlists: Vec::new(),
            uses_delay: false,
        };
        if levels::takes(weights, matrix) {
            store.words = Words::Levels;
        }
        match (&weights.coding, matrix.form) {
            (Coding::Piecewise(tagged), Some(form)) => {
                let layout = TagLayout::new(&tagged.regions, matrix.pe, matrix.simd);
                (store.net, store.word_bits) = ("stored_weight", layout.word_bits());
                let tagged = tagged.clone();
                if form == PeForm::Accumulators {
                    let module = format!("{prefix}_select");
                    let terms = RegionTerm::of(&tagged.regions);
                    let (text, cost) = selector(&module, &tagged.regions, &terms, layout.shared as u32);
                    store.netlists.push((module.clone(), cost, vec![text]));
                    store.late_cycles += 1;
                    store.words = Words::Selected { tagged, layout, module };
                } else {
                    let module = format!("{prefix}_decompress");
                    let made = Decompressor::new(&module, &tagged.regions, layout.shared as u32);
                    store.netlists.push((module.clone(), made.cost, vec![made.module]));
                    store.late_cycles += made.latency_cycles;
                    store.words = Words::Decompressed { tagged, layout, module };
                }
            }
            (Coding::Wavelet(wavelet), Some(form)) => {
                let layout = BlockLayout::new(wavelet, matrix.pe, matrix.simd);
                (store.net, store.word_bits) = ("stored_weight", layout.word_bits());
                let wavelet = wavelet.clone();
                if form == PeForm::Products {
                    // Activations take a cycle to their sums and differences.
                    store.memory_cycles = 2;
                    store.late_cycles = 1;
                    store.words = Words::SubBands { wavelet, layout };
                } else {
                    let module = format!("{prefix}_block");
                    let made = BlockModule::new(&module, &wavelet, Target::Lut6)?;
                    store.late_cycles += made.latency_cycles;
                    store.uses_delay = made.uses_delay;
                    let clocked = made.latency_cycles > 0;
                    store.netlists.push((module.clone(), made.cost, made.modules));
                    store.words = Words::Blocks { wavelet, layout, module, clocked };
                }
            }
            (Coding::Plain, _) | (_, None) => {}
        }
        Ok(store)
    }

    /// Net and bits of the operands of every sum, where there is one for each region or sub-band.
    pub fn term_nets(&self) -> Vec<(String, u32)> {
        match &self.words {
            Words::Selected { tagged, layout, .. } => {
                let terms = RegionTerm::of(&tagged.regions).into_iter().enumerate();
                let lanes = (layout.pe * layout.simd) as u32;
                terms.map(|(index, term)| (format!("term{index}"), lanes * term.bits(&tagged.regions))).collect()
            }
            Words::SubBands { layout, .. } => {
                let bands = (0..4).filter(|&band| layout.widths[band] > 0);
                bands
                    .map(|band| (format!("band_{}", BANDS[band]), layout.blocks() as u32 * layout.widths[band]))
                    .collect()
            }
            Words::Levels => vec![("step_weight".to_owned(), self.word_bits as u32)],
            Words::Plain | Words::Decompressed { .. } | Words::Blocks { .. } => Vec::new(),
        }
    }

    /// Between the memory's word and the operands.
    pub fn items(&self, weights: &Weights, items: &mut Vec<Item>) {
        let word = self.word_bits as u32;
        let slice = |high: u32, low: u32| Expr::part(self.net, word, high, low);
        let weight_bits = weights.format.bits();
        match &self.words {
            Words::Plain | Words::Levels => {}
            Words::Decompressed { layout, module, .. } => {
                let outputs = [("weight_o".to_owned(), "step_weight".to_owned(), weight_bits)];
                self.groups(*layout, module, "decompress", &outputs, items);
            }
            Words::Selected { tagged, layout, module } => {
                let terms = RegionTerm::of(&tagged.regions).into_iter().enumerate();
                let outputs: Vec<(String, String, u32)> = terms
                    .map(|(index, term)| (format!("term{index}_o"), format!("term{index}"), term.bits(&tagged.regions)))
                    .collect();
                let lanes = (layout.pe * layout.simd) as u32;
                items.extend(outputs.iter().map(|(_, net, bits)| wire(net, lanes * bits)));
                self.groups(*layout, module, "select", &outputs, items);
            }
            Words::SubBands { layout, .. } => {
                for (band, width) in layout.widths.into_iter().enumerate().filter(|(_, width)| *width > 0) {
                    let (low, bits) = (layout.start(band) as u32, layout.blocks() as u32 * width);
                    items.push(Item::wire(&format!("band_{}", BANDS[band]), bits, slice(low + bits - 1, low)));
                }
            }
            Words::Blocks { layout, module, clocked, .. } => {
                for block in 0..layout.blocks() as u32 {
                    let mut ports = Vec::new();
                    if *clocked {
                        ports.push(Connection::new("clk_i", Expr::name("clk_i")));
                    }
                    for (band, width) in layout.widths.into_iter().enumerate().filter(|(_, width)| *width > 0) {
                        let low = layout.start(band) as u32 + block * width;
                        ports.push(Connection::new(&format!("{}_i", BANDS[band]), slice(low + width - 1, low)));
                    }
                    let net = format!("block_{block}");
                    ports.push(Connection::new("weight_o", Expr::name(net.as_str())));
                    items.push(wire(&net, 4 * weight_bits));
                    items.push(Item::Instance(Instance {
                        module: module.clone(),
                        name: format!("u_{net}"),
                        parameters: Vec::new(),
                        ports,
                    }));
                }
            }
        }
    }

    /// The weights of a word from its blocks, PE by PE; `None` where the blocks are whole words.
    pub fn block_weights(&self, weights: &Weights, matrix: &MatrixLayer, items: &mut Vec<Item>) {
        let Words::Blocks { layout, .. } = &self.words else { return };
        let bits = weights.format.bits();
        let (pe, simd) = (matrix.pe, matrix.simd);
        let corner = |row: u64, column: u64| {
            let block = (row / 2) * layout.columns + column / 2;
            let at = (2 * (row % 2) + column % 2) as u32;
            lane(&format!("block_{block}"), 4, at, bits)
        };
        let lanes = (0..pe).rev().flat_map(|row| (0..simd).rev().map(move |column| (row, column)));
        let value = Expr::concat(lanes.map(|(row, column)| corner(row, column)).collect());
        items.push(Item::Assign(Expr::name("step_weight"), value));
        // Partners that an odd edge does not have.
        for block in 0..layout.blocks() {
            let (row, column) = (2 * (block / layout.columns), 2 * (block % layout.columns));
            let missing: Vec<Expr> = [(0, 1), (1, 0), (1, 1)]
                .into_iter()
                .filter(|(down, right)| row + down >= pe || column + right >= simd)
                .map(|(down, right)| lane(&format!("block_{block}"), 4, (2 * down + right) as u32, bits))
                .collect();
            if !missing.is_empty() {
                let count = missing.len() as u32;
                items.push(Item::wire(&format!("block_{block}_unused"), count * bits, Expr::concat(missing)));
            }
        }
    }

    /// One instance for each group of lanes with one tag.
    fn groups(
        &self,
        layout: TagLayout,
        module: &str,
        name: &str,
        outputs: &[(String, String, u32)],
        items: &mut Vec<Item>,
    ) {
        let index = |bits: u64| Expr::name("tag_group").binary(BinaryOp::Multiply, number(bits));
        let part = |net: &str, low: Expr, bits: u64| Expr::IndexedPart {
            name: net.to_owned(),
            low: Box::new(low),
            bits: bits as u32,
        };
        let code_bits = layout.shared * u64::from(layout.code_bits);
        let tags_start = layout.pe * layout.simd * u64::from(layout.code_bits);
        let tag = number(tags_start).binary(BinaryOp::Add, index(u64::from(layout.tag_bits)));
        let mut ports = vec![
            ("tag_i", part(self.net, tag, u64::from(layout.tag_bits))),
            ("code_i", part(self.net, index(code_bits), code_bits)),
        ];
        for (port, net, bits) in outputs {
            let bits = layout.shared * u64::from(*bits);
            // A net of one bit has no parts.
            let value = if layout.tags() * bits == 1 { Expr::name(net) } else { part(net, index(bits), bits) };
            ports.push((port.as_str(), value));
        }
        items.push(Item::Repeat {
            variable: "tag_group".to_owned(),
            count: number(layout.tags()),
            label: format!("gen_{name}"),
            items: vec![instance(module, name, Vec::new(), false, ports)],
        });
    }

    /// The memory's words in the order in which steps read them.
    pub fn image(&self, layer: &str, weights: &Weights, matrix: &MatrixLayer) -> String {
        let (pe, simd) = (matrix.pe as usize, matrix.simd as usize);
        let (output_steps, input_steps) = steps_of(weights, matrix);
        let title = |what: &str| {
            format!(
                "layer {layer}, weights [{}, {}] as {}: {output_steps} output steps x {input_steps} input steps; a word holds {what}",
                weights.outputs,
                weights.length,
                weights.weight_format(),
            )
        };
        let steps = (0..output_steps as usize)
            .flat_map(|output| (0..input_steps as usize).map(move |input| (output * pe, input * simd)));
        match &self.words {
            Words::Plain | Words::Levels => {
                let format = weights.format;
                let (what, least) = match self.words {
                    Words::Levels => ("levels of ", format.code_range().min()),
                    _ => ("", 0),
                };
                let what = format!("{pe} PEs x {simd} lanes x {what}{} bits", format.bits());
                let mut image = Image::new(&title(&what), pe * simd, format.bits());
                for (row, column) in steps {
                    let rows = (row..row + pe).flat_map(|row| weights.row(row).iter().skip(column).take(simd));
                    image.push(rows.map(|&value| format.code(i64::from(value)).unwrap_or(0) - least));
                }
                image.into_text()
            }
            Words::Decompressed { tagged, layout, .. } | Words::Selected { tagged, layout, .. } => {
                let what = format!(
                    "{pe} PEs x {simd} lanes x {} bits, above them {} tags x {} bits, one for {} lanes",
                    layout.code_bits,
                    layout.tags(),
                    layout.tag_bits,
                    layout.shared
                );
                let mut image = Image::new(&title(&what), 1, self.word_bits as u32);
                for (row, column) in steps {
                    let lanes = (row..row + pe).flat_map(|row| (column..column + simd).map(move |place| (row, place)));
                    let coded = |(row, place)| tagged.tag_and_code(weights, row, place).unwrap_or((0, 0));
                    let codes = lanes.clone().map(|at| (coded(at).1, layout.code_bits));
                    let tags = lanes.step_by(layout.shared as usize).map(|at| (coded(at).0 as i64, layout.tag_bits));
                    image.push_parts(codes.chain(tags));
                }
                image.into_text()
            }
            Words::Blocks { wavelet, layout, .. } | Words::SubBands { wavelet, layout } => {
                let what = format!(
                    "{} blocks of sub-band A, {} bits each, then of H, V, D with {}, {}, {} bits",
                    layout.blocks(),
                    layout.widths[0],
                    layout.widths[1],
                    layout.widths[2],
                    layout.widths[3]
                );
                let mut image = Image::new(&title(&what), 1, self.word_bits as u32);
                for (row, column) in steps {
                    let blocks: Vec<[i64; 4]> = (0..layout.rows as usize)
                        .flat_map(|down| (0..layout.columns as usize).map(move |right| (down, right)))
                        .map(|(down, right)| {
                            let block = Wavelet::block(weights, row / 2 + down, column / 2 + right);
                            wavelet.codes(block).unwrap_or([0; 4])
                        })
                        .collect();
                    let bands = (0..4).flat_map(|band| blocks.iter().map(move |codes| (codes[band], band)));
                    image.push_parts(bands.map(|(code, band)| (code, layout.widths[band])));
                }
                image.into_text()
            }
        }
    }
}
