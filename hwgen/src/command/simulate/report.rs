//! What a simulation showed, for people and for programs.

use crate::cli::SimulateOptions;
use crate::command::simulate::ModeFigures;
use crate::table::align;
use network::manifest::{OutputPort, Timing};
use network::{Code, Network};
use serde_json::{Value, json};
use std::fmt;
use testbench::cosimulate::Cosimulation;

/// A finished simulation.
pub struct Report<'a> {
    /// What was asked for.
    pub options: &'a SimulateOptions,
    /// What was simulated.
    pub network: &'a Network,
    /// Where the outputs leave.
    pub ports: &'a [OutputPort],
    /// What was found.
    pub result: &'a Cosimulation,
    /// Figures of each mode; nothing where there are none.
    pub modes: Vec<ModeFigures>,
    /// The Verilator model was built before.
    pub is_cached: bool,
    /// First frame of the written waves.
    pub traced_from: Option<u64>,
}

impl Report<'_> {
    /// One object; the field names are stable.
    pub fn json(&self) -> Value {
        let Cosimulation { verdict, report, predicted } = self.result;
        let edges: Vec<Value> = verdict
            .edges
            .iter()
            .map(|edge| json!({ "name": edge.name, "layer": edge.layer, "words": edge.words, "mismatches": edge.faults() }))
            .collect();
        let first = verdict.first().map(|(edge, mismatch)| {
            json!({
                "layer": edge.layer,
                "edge": edge.name,
                "frame": mismatch.frame,
                "element": mismatch.element,
                "place": mismatch.place,
                "expected": mismatch.expected,
                "got": mismatch.got,
                "expected_raw": mismatch.expected_raw,
                "got_raw": mismatch.got_raw,
                "cycle": mismatch.cycle,
            })
        });
        json!({
            "name": self.network.name(),
            "ok": self.result.is_good(),
            "frames": report.frames,
            "frames_from": self.options.input.as_deref().unwrap_or("random codes"),
            "mismatches": verdict.mismatches(),
            "first_mismatch": first,
            "cycles": report.cycles,
            "predicted_cycles": predicted.cycles(),
            "frame_ends_differ": verdict.cycle_differences,
            "initiation_interval": self.interval(),
            "predicted_initiation_interval": predicted.complete_interval(),
            "outputs": outputs_json(self.ports, &report.frame_end_cycles),
            "frame_modes": self.options.modes,
            "modes": modes_json(&self.modes),
            "stall": self.options.stall,
            "seed": self.options.seed,
            "edges": edges,
            "end": report.end,
            "violations": report.violations,
            "hang": report.hang,
            "model_was_cached": self.is_cached,
            "trace": self.options.trace.as_ref().map(|path| path.display().to_string()),
            "trace_from_frame": self.traced_from,
        })
    }

    /// Distance between the ends of the last two frames: constant where nothing stalls.
    fn interval(&self) -> Option<u64> {
        match self.result.report.complete_frame_ends().as_slice() {
            [.., before, last] => last.checked_sub(*before),
            _ => None,
        }
    }
}

/// Cycles and bit products of a frame in each mode, when all frames have that mode.
pub fn modes_json(modes: &[ModeFigures]) -> Value {
    let mode = |(mode, figures): (usize, &ModeFigures)| {
        json!({
            "mode": mode,
            "first_frame_cycles": figures.timing.first_frame_cycles,
            "initiation_interval": figures.timing.initiation_interval_cycles,
            "bit_products": figures.bit_products,
        })
    };
    modes.iter().enumerate().map(mode).collect()
}

/// One line for each mode; nothing where there are none.
pub fn modes_text(modes: &[ModeFigures]) -> String {
    let line = |(mode, figures): (usize, &ModeFigures)| {
        let Timing { first_frame_cycles, initiation_interval_cycles } = figures.timing;
        format!(
            "mode {mode}: {first_frame_cycles} cycles for a frame, then one every {initiation_interval_cycles}; {} bit products a frame\n",
            figures.bit_products
        )
    };
    modes.iter().enumerate().map(line).collect()
}

/// The outputs with the cycles in which their frames ended.
pub fn outputs_json(ports: &[OutputPort], frame_end_cycles: &[Vec<u64>]) -> Value {
    let output = |(port, ends): (&OutputPort, &Vec<u64>)| {
        json!({
            "name": port.name,
            "port": port.prefix,
            "words_per_frame": port.port.words_per_frame,
            "frame_end_cycles": ends,
        })
    };
    ports.iter().zip(frame_end_cycles).map(output).collect()
}

/// One line for each of several outputs; nothing where there is one.
pub fn outputs_text(ports: &[OutputPort], frame_end_cycles: &[Vec<u64>]) -> String {
    if ports.len() < 2 {
        return String::new();
    }
    let line = |(port, ends): (&OutputPort, &Vec<u64>)| {
        let last = ends.last().map_or("never".to_owned(), |cycle| format!("in cycle {cycle}"));
        format!("output {} at {}: {} frames, the last ended {last}\n", port.name, port.prefix, ends.len())
    };
    ports.iter().zip(frame_end_cycles).map(line).collect()
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cosimulation { verdict, report, predicted } = self.result;
        let mut lines = vec![["layer", "edge", "words", "mismatches"].map(str::to_owned).to_vec()];
        for edge in &verdict.edges {
            lines.push(vec![edge.layer.clone(), edge.name.clone(), edge.words.to_string(), edge.faults().to_string()]);
        }
        write!(f, "{}", align(&lines, &[2, 3]))?;
        let from = self.options.input.as_deref().unwrap_or("random codes");
        writeln!(f, "{} frames from {from}, stall {}, seed {}", report.frames, self.options.stall, self.options.seed)?;
        write!(f, "{} cycles, {} predicted", report.cycles, predicted.cycles())?;
        match self.interval() {
            Some(interval) if self.options.stall == 0.0 => writeln!(f, "; one frame every {interval}")?,
            _ => writeln!(f)?,
        }
        write!(f, "{}", modes_text(&self.modes))?;
        write!(f, "{}{verdict}", outputs_text(self.ports, &report.frame_end_cycles))?;
        for violation in report.violations.iter().take(8) {
            writeln!(f, "{violation}")?;
        }
        if let Some(hang) = &report.hang {
            write!(f, "error[{}]: {hang}", Code::SimulationHang)?;
        }
        if !report.is_clean() && !report.messages.trim().is_empty() {
            writeln!(f, "{}", report.messages.trim_end())?;
        }
        if let Some(path) = &self.options.trace {
            writeln!(f, "wrote {} from frame {}", path.display(), self.traced_from.unwrap_or(0))?;
        }
        let verdict_word = if self.result.is_good() { "pass" } else { "FAIL" };
        writeln!(f, "{verdict_word}: {} mismatches on {} edges", verdict.mismatches(), verdict.edges.len())
    }
}
