//! An estimate as a table, as JSON and as CSV.

use super::compare::comparison;
use super::pnr::Routed;
use super::synth::Synthesised;
use crate::hardware::Figures;
use crate::plan_file::LoadedPlan;
use crate::table::align;
use hdl_gen::cost::{Cells, ClockModel, Device, Estimate, FinnLayer, Model, Resources, StatedError};
use hdl_gen::{BoundLayer, MatrixLayer};
use network::Network;
use network::graph::{Encoding, Memory, Multiplier};
use network::manifest::{LayerRow, Timing};
use serde_json::{Value, json};

/// Clock where neither the command line nor the plan states one, in MHz.
const DEFAULT_CLOCK_MHZ: f64 = 200.0;

/// All figures of one estimate.
pub struct Report {
    plan: String,
    plan_sha256: String,
    device: Device,
    clock_mhz: f64,
    /// Predicted cycles; none where that takes long and nobody asked for it.
    timing: Option<Timing>,
    layers: Vec<Line>,
    total: Resources,
    errors: Vec<StatedError>,
    unknown: Vec<String>,
    /// The clock that a routed design is likely to reach, in MHz, with its error.
    fmax: Option<(f64, StatedError)>,
    /// What synthesis came to, where it was run.
    pub synthesised: Option<Synthesised>,
    /// The area, where the part is standard cells.
    pub area: Option<Area>,
    /// What place and route came to, where it was run.
    pub routed: Option<Routed>,
}

/// The area of a design of standard cells.
pub struct Area {
    /// In NAND gates of two inputs, registers among them.
    nand2: f64,
    /// In um2.
    um2: f64,
}

impl Area {
    /// Of what a design takes: logic in NAND gates, and registers.
    pub fn of(total: &Resources, cells: Cells) -> Self {
        let um2 = total.lut * cells.nand2_um2 + total.ff * cells.register_um2;
        Area { nand2: um2 / cells.nand2_um2, um2 }
    }
}

/// One layer.
struct Line {
    row: LayerRow,
    resources: Resources,
    bit_operations: u64,
    finn_lut: Option<u64>,
}

impl Report {
    /// Gathers the figures.
    pub fn new(
        loaded: &LoadedPlan,
        figures: &Figures,
        device: &Device,
        (model, clock): (&Model, Option<&ClockModel>),
        estimate: &Estimate,
        timing: Option<Timing>,
        clock_mhz: Option<f64>,
    ) -> Self {
        let network = &loaded.network;
        let mut layers = Vec::new();
        for (index, row) in figures.rows().iter().enumerate() {
            let resources = estimate.layers.iter().find(|layer| layer.layer == row.name);
            let matrix = match figures.bound.layers().get(index) {
                Some(BoundLayer::Matrix(matrix)) => Some(matrix),
                _ => None,
            };
            layers.push(Line {
                row: row.clone(),
                resources: resources.map(|layer| layer.resources).unwrap_or_default(),
                bit_operations: bit_operations(network, index),
                finn_lut: matrix.and_then(|matrix| finn(network, index, matrix)).map(|layer| layer.lut()),
            });
        }
        Report {
            plan: network.name().to_owned(),
            plan_sha256: loaded.sha256.clone(),
            device: device.clone(),
            clock_mhz: clock_mhz.unwrap_or(DEFAULT_CLOCK_MHZ),
            timing,
            layers,
            total: estimate.total,
            errors: model.errors().to_vec(),
            unknown: estimate.unknown.clone(),
            fmax: clock.map(|model| model.clock(&estimate.paths, &device.name)).map(|clock| (clock.mhz, clock.error)),
            synthesised: None,
            area: None,
            routed: None,
        }
    }

    /// The layer that takes most cycles.
    fn limiting(&self) -> Option<&LayerRow> {
        self.layers.iter().map(|line| &line.row).max_by_key(|row| row.cycles)
    }

    /// Cycles from frame to frame: predicted, or those of the slowest layer, below which no design can be.
    fn interval_cycles(&self) -> u64 {
        let slowest = self.limiting().map_or(0, |row| row.cycles);
        self.timing.map_or(slowest, |timing| timing.initiation_interval_cycles)
    }

    fn frames_per_second(&self) -> f64 {
        match self.interval_cycles() {
            0 => 0.0,
            cycles => self.clock_mhz * 1e6 / cycles as f64,
        }
    }

    fn latency_us(&self) -> Option<f64> {
        self.timing.map(|timing| timing.first_frame_cycles as f64 / self.clock_mhz)
    }

    /// Percent of the part for look-up tables, registers, DSP blocks and block RAM.
    fn utilization(&self) -> [(&'static str, Option<f64>); 5] {
        let percent = |used: f64, all: f64| if all > 0.0 { Some(100.0 * used / all) } else { None };
        let (used, all) = (&self.total, &self.device.capacity);
        [
            ("lut", percent(used.lut + used.lut_memory, all.lut)),
            ("ff", percent(used.ff, all.ff)),
            ("dsp", percent(used.dsp, all.dsp)),
            ("bram36", percent(used.bram18, all.bram18)),
            ("uram", percent(used.uram, all.uram)),
        ]
    }

    /// What stands beside every figure of clock frequency.
    fn timing_evidence(&self) -> &'static str {
        match self.fmax {
            None => {
                "synthesis only: no open tool places and routes this family, so there is no timing evidence and no fmax; the clock is what was asked for"
            }
            Some(_) => "fmax is fitted to routed designs; rates are at the clock that was asked for",
        }
    }

    /// The line of the clock that a routed design is likely to reach.
    fn fmax_line(&self) -> String {
        let Some((mhz, error)) = &self.fmax else { return String::new() };
        let above = if self.clock_mhz > *mhz { ", below the clock that was asked for" } else { "" };
        format!(
            "fmax {mhz:.0} MHz{above}; error {:.1} % in the mean, {:.1} % at the 90th percentile, on {} routed designs never used for fitting\n",
            error.mean_percent, error.percentile_90, error.designs
        )
    }

    fn sum(&self, part: impl Fn(&Line) -> u64) -> u64 {
        self.layers.iter().map(part).sum()
    }

    /// The report as one JSON object; field names are stable.
    pub fn json(&self) -> Value {
        let layers: Vec<Value> = self.layers.iter().map(layer_json).collect();
        let errors = self.errors.iter().chain(self.fmax.as_ref().map(|(_, error)| error)).map(|error| {
            json!({
                "figure": error.figure,
                "mean_percent": error.mean_percent,
                "percentile_90": error.percentile_90,
                "designs": error.designs,
            })
        });
        let mut total = resources_json(&self.total);
        if let (Value::Object(fields), Some(area)) = (&mut total, &self.area) {
            fields.insert("nand2".into(), json!(area.nand2.round()));
            fields.insert("area_um2".into(), json!(area.um2.round()));
            fields.insert("macro_bits".into(), json!(self.total.memory_bits));
        }
        if let Value::Object(fields) = &mut total {
            fields.insert("weight_bits".into(), json!(self.sum(|line| line.row.weight_bits)));
            fields.insert("bit_operations".into(), json!(self.sum(|line| line.bit_operations)));
            fields.insert("finn_lut".into(), json!(self.sum(|line| line.finn_lut.unwrap_or(0))));
        }
        let utilization: serde_json::Map<String, Value> =
            self.utilization().iter().map(|(name, percent)| ((*name).to_owned(), json!(percent))).collect();
        json!({
            "name": self.plan,
            "plan_sha256": self.plan_sha256,
            "device": { "name": self.device.name, "family": self.device.family.name(), "source": self.device.source },
            "clock_mhz": self.clock_mhz,
            "timing": {
                "first_frame_cycles": self.timing.map(|timing| timing.first_frame_cycles),
                "initiation_interval_cycles": self.interval_cycles(),
                "predicted": self.timing.is_some(),
            },
            "frames_per_second": self.frames_per_second(),
            "latency_us": self.latency_us(),
            "limiting_layer": self.limiting().map(|row| row.name.clone()),
            "fmax_mhz": self.fmax.as_ref().map(|(mhz, _)| mhz),
            "timing_evidence": self.timing_evidence(),
            "total": total,
            "utilization_percent": utilization,
            "errors": errors.collect::<Vec<_>>(),
            "not_modelled": self.unknown,
            "synthesis": self.synthesised.as_ref().map(|found| match found {
                Synthesised::Part(used) => resources_json(used),
                Synthesised::Area(um2) => json!({ "area_um2": um2 }),
            }),
            "routed": self.routed.as_ref().map(Routed::json),
            "layers": layers,
        })
    }

    /// Comma-separated values, one line for each layer and one for the sum.
    pub fn csv(&self) -> String {
        let mut text = "layer,op,in,weights,out,kind,pe,simd,cycles,lut,lut_memory,ff,carry,dsp,bram36,weight_bits,bit_operations,finn_lut\n".to_owned();
        let mut push = |first: &str, used: &Resources, last: [String; 3]| {
            let [lut, memory, ff, carry, dsp] = whole(used);
            let last = last.join(",");
            text.push_str(&format!("{first},{lut},{memory},{ff},{carry},{dsp},{},{last}\n", used.bram36()));
        };
        for line in &self.layers {
            let row = &line.row;
            let empty = String::new;
            let first = format!(
                "{},{},{},{},{},{},{},{},{}",
                row.name,
                row.op,
                row.input,
                row.weight.clone().unwrap_or_else(empty),
                row.output,
                row.kind.clone().unwrap_or_else(empty),
                row.pe,
                row.simd,
                row.cycles
            );
            let finn = line.finn_lut.map_or_else(empty, |lut| lut.to_string());
            push(&first, &line.resources, [row.weight_bits.to_string(), line.bit_operations.to_string(), finn]);
        }
        let sums = [
            self.sum(|line| line.row.weight_bits).to_string(),
            self.sum(|line| line.bit_operations).to_string(),
            self.sum(|line| line.finn_lut.unwrap_or(0)).to_string(),
        ];
        push("total,,,,,,,,", &self.total, sums);
        text
    }

    /// The report for a reader.
    pub fn table(&self) -> String {
        let header = [
            "layer",
            "op",
            "in",
            "weights",
            "out",
            "kind",
            "PE",
            "SIMD",
            "cycles",
            "LUT",
            "memory LUT",
            "FF",
            "DSP",
            "BRAM36",
            "weight bits",
            "BitOPs",
            "FINN LUT",
        ];
        let mut lines: Vec<Vec<String>> = vec![header.map(str::to_owned).to_vec()];
        let dash = || "-".to_owned();
        for line in &self.layers {
            let row = &line.row;
            let mut cells = vec![
                row.name.clone(),
                row.op.clone(),
                row.input.clone(),
                row.weight.clone().unwrap_or_else(dash),
                row.output.clone(),
                row.kind.clone().unwrap_or_else(dash),
                row.pe.to_string(),
                row.simd.to_string(),
                row.cycles.to_string(),
            ];
            cells.extend(figures(&line.resources));
            cells.extend([
                row.weight_bits.to_string(),
                line.bit_operations.to_string(),
                line.finn_lut.map_or_else(dash, |lut| lut.to_string()),
            ]);
            lines.push(cells);
        }
        let mut cells = vec!["total".to_owned()];
        cells.extend(std::iter::repeat_n(String::new(), 8));
        cells.extend(figures(&self.total));
        cells.extend([
            self.sum(|line| line.row.weight_bits).to_string(),
            self.sum(|line| line.bit_operations).to_string(),
            self.sum(|line| line.finn_lut.unwrap_or(0)).to_string(),
        ]);
        lines.push(cells);
        let mut text = align(&lines, &(6..17).collect::<Vec<_>>());
        text.push('\n');
        let used: Vec<String> = self
            .utilization()
            .iter()
            .filter_map(|(name, percent)| percent.map(|percent| format!("{} {percent:.1} %", name.to_uppercase())))
            .collect();
        match &self.area {
            Some(area) => text.push_str(&format!(
                "{}: {:.0} NAND2 equivalents, {:.0} um2; LUT are those of logic alone; {:.0} bits of memories are logic and registers here, which macros could hold\n",
                self.device.name, area.nand2, area.um2, self.total.memory_bits
            )),
            None => text.push_str(&format!("{}: {} of the part\n", self.device.name, used.join(", "))),
        }
        if let Some(row) = self.limiting() {
            let latency = match self.latency_us() {
                Some(us) => format!("latency {us:.1} us"),
                None => "at most, as the slowest layer allows; --predict runs the timing model".to_owned(),
            };
            text.push_str(&format!(
                "{:.1} frames/s at {} MHz, one every {} cycles, limited by {}; {latency}\n",
                self.frames_per_second(),
                self.clock_mhz,
                self.interval_cycles(),
                row.name,
            ));
        }
        text.push_str(&format!("{}\n{}", self.timing_evidence(), self.fmax_line()));
        for error in &self.errors {
            text.push_str(&format!(
                "error of {}: {:.1} % in the mean, {:.1} % at the 90th percentile, on {} designs never used for fitting\n",
                error.figure.to_uppercase(),
                error.mean_percent,
                error.percentile_90,
                error.designs
            ));
        }
        if let Some(found) = &self.synthesised {
            text.push('\n');
            let fmax = self.fmax.as_ref().map(|(mhz, _)| *mhz);
            text.push_str(&match (found, &self.area) {
                (Synthesised::Part(found), _) => comparison(&self.total, fmax, found, self.routed.as_ref()),
                (Synthesised::Area(found), area) => {
                    let um2 = area.as_ref().map_or(0.0, |area| area.um2);
                    format!("area {um2:.0} um2, {found:.0} after synthesis: {:+.1} %\n", 100.0 * (um2 - found) / found)
                }
            });
        }
        if !self.unknown.is_empty() {
            text.push_str(&format!("not in the figures, for no model counts them: {}\n", self.unknown.join(", ")));
        }
        text
    }
}

fn figures(used: &Resources) -> [String; 5] {
    let [lut, memory, ff, _, dsp] = whole(used);
    [lut.to_string(), memory.to_string(), ff.to_string(), dsp.to_string(), used.bram36().to_string()]
}

/// Look-up tables, those that are memory, registers, carry cells and DSP blocks in whole numbers.
fn whole(used: &Resources) -> [u64; 5] {
    [used.lut, used.lut_memory, used.ff, used.carry, used.dsp].map(|figure| figure.max(0.0).round() as u64)
}

fn resources_json(used: &Resources) -> Value {
    let [lut, memory, ff, carry, dsp] = whole(used);
    json!({
        "lut": lut,
        "lut_memory": memory,
        "ff": ff,
        "carry": carry,
        "dsp": dsp,
        "bram36": used.bram36(),
        "uram": used.uram,
        "memory_bits": used.memory_bits,
    })
}

fn layer_json(line: &Line) -> Value {
    let mut value = json!(line.row);
    if let (Value::Object(fields), Value::Object(used)) = (&mut value, resources_json(&line.resources)) {
        fields.extend(used);
        fields.insert("bit_operations".into(), json!(line.bit_operations));
        fields.insert("finn_lut".into(), json!(line.finn_lut));
    }
    value
}

/// Products of a frame, each counted with the bits of both operands multiplied.
fn bit_operations(network: &Network, index: usize) -> u64 {
    let layer = &network.layers()[index];
    let Some(weights) = layer.op.weights() else { return 0 };
    let positions = network.layer_output(index).shape.positions();
    let products = positions * weights.outputs as u64 * weights.length as u64;
    products * u64::from(weights.format.bits()) * u64::from(network.layer_input(layer).encoding.bits())
}

fn finn(network: &Network, index: usize, matrix: &MatrixLayer) -> Option<FinnLayer> {
    let layer = &network.layers()[index];
    let weights = layer.op.weights()?;
    let input = network.layer_input(layer).encoding;
    let output = network.layer_output(index).encoding;
    let sums = network.sums(index)?;
    let accumulator_bits = sums.channels.iter().map(|range| range.bits()).max().unwrap_or(1);
    Some(FinnLayer {
        pe: matrix.pe,
        simd: matrix.simd,
        weight_bits: u64::from(weights.format.bits()),
        activation_bits: u64::from(input.bits()),
        signed_input: input.values().min() < 0,
        output_bits: matches!(output, Encoding::Codes { .. }).then(|| u64::from(output.bits())),
        length: weights.length as u64,
        outputs: weights.outputs as u64,
        accumulator_bits: u64::from(accumulator_bits),
        dsp: matrix.multiplier == Multiplier::Dsp,
        lut_weights: matrix.memory == Memory::Lut,
    })
}
