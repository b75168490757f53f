//! What every method chooses for a budget, with losses on the frames that were held out.

use crate::command::allocate::amount;
use crate::table::align;
use quantizer::allocate::{Allocation, Budget, Candidate, Ended, Method, Sensitivities, Study, Tables, allocate};
use serde_json::{Value, json};
use std::fmt::Write;

/// The choices for one budget.
pub struct Compared {
    budget: String,
    names: Vec<String>,
    /// Each candidate with its widths as `--layer-bits` takes them; the one that was taken.
    candidates: Vec<(Candidate, Vec<String>)>,
    taken: usize,
}

impl Compared {
    /// Chooses for a budget; `base` are the study's tables.
    pub fn of(
        study: &Study<'_>,
        (text, budget): &(String, Budget),
        base: &Tables,
        known: &Sensitivities,
    ) -> Result<Compared, Ended> {
        let Allocation { candidates, costs, widths, .. } = allocate(study, Method::Joint, budget, base, known)?;
        let taken = candidates.iter().position(|candidate| candidate.widths == widths).unwrap_or(0);
        let spelled = |candidate: Candidate| {
            let bits = study.layer_bits(&candidate.widths).into_iter();
            let spelled = bits.map(|own| format!("{}={},{}", own.layer, own.weights, own.activations)).collect();
            (candidate, spelled)
        };
        Ok(Compared {
            budget: text.clone(),
            names: costs.into_iter().map(|(name, _)| name).collect(),
            candidates: candidates.into_iter().map(spelled).collect(),
            taken,
        })
    }

    /// As JSON; the field names are stable.
    pub fn json(&self) -> Value {
        let candidates = self.candidates.iter().enumerate().map(|(place, (candidate, layer_bits))| {
            let costs = self.names.iter().zip(&candidate.costs).map(|(name, cost)| (name.clone(), json!(cost)));
            json!({
                "name": candidate.name,
                "taken": place == self.taken,
                "loss": candidate.loss,
                "held_out": candidate.held_out,
                "costs": costs.collect::<serde_json::Map<_, _>>(),
                "layer_bits": layer_bits,
            })
        });
        json!({ "budget": self.budget, "candidates": candidates.collect::<Vec<_>>() })
    }

    /// As a table.
    pub fn text(&self) -> String {
        let shown = ["size", "bitops", "activations"];
        let mut lines =
            vec![["choice", "loss", "held out"].iter().chain(&shown).map(ToString::to_string).collect::<Vec<_>>()];
        for (place, (candidate, _)) in self.candidates.iter().enumerate() {
            let mark = if place == self.taken { " (taken)" } else { "" };
            let mut line = vec![format!("{}{mark}", candidate.name)];
            line.extend([candidate.loss, candidate.held_out].map(|loss| format!("{loss:.3e}")));
            let cost =
                |name: &&str| self.names.iter().position(|own| own == name).map_or(0.0, |at| candidate.costs[at]);
            line.extend(shown.iter().map(|name| amount(cost(name))));
            lines.push(line);
        }
        let mut text = String::new();
        let _ = writeln!(text, "budget {}", self.budget);
        text + &align(&lines, &[1, 2, 3, 4, 5])
    }
}
