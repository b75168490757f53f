//! What a user sees of widths that were chosen.

use super::Chosen;
use crate::command::allocate::amount;
use crate::table::align;
use serde_json::{Value, json};
use std::fmt::Write;

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
            "bits_by_mac": { "weights": self.by_mac.0, "activations": self.by_mac.1 },
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
        let cost =
            |name: &str| self.allocation.costs.iter().find(|(own, _)| own == name).map_or(0.0, |(_, cost)| *cost);
        let _ = writeln!(
            text,
            "{}: loss ({}) {} on {} frames, {} on {} held out; average widths by layer, element and MAC: weights {}, {}, {}; activations {}, {}, {}",
            self.allocation.method.name(),
            self.loss,
            amount(self.allocation.loss),
            self.frames.0,
            amount(self.allocation.held_out),
            self.frames.1,
            amount(mean(&|layer| layer.1)),
            amount(cost("weight_bits")),
            amount(self.by_mac.0),
            amount(mean(&|layer| layer.2)),
            amount(cost("activation_bits")),
            amount(self.by_mac.1),
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
