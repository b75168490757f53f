//! The text form of tables.

use super::{OptionTable, Reads, TABLES_VERSION, Tables};
use std::collections::BTreeMap;
use std::fmt::{Display, Write};

impl Tables {
    /// The tables as YAML that [`Tables::parse`] reads to the same tables.
    pub fn write(&self) -> String {
        let mut text = format!("hwgen_tables: {TABLES_VERSION}\nname: {}\n", quoted(&self.name));
        if self.float_parameters > 0 {
            let _ = writeln!(text, "float_parameters: {}", self.float_parameters);
        }
        if !self.greatest.is_empty() {
            let names: Vec<String> = self.greatest.iter().map(|name| quoted(name)).collect();
            let _ = writeln!(text, "greatest: [{}]", names.join(", "));
        }
        if !self.activations.is_empty() {
            text.push_str("activations:\n");
        }
        for activation in &self.activations {
            let _ = writeln!(text, "  - name: {}\n    elements: {}", quoted(&activation.name), activation.elements);
            let _ = writeln!(text, "    bits: {:?}", activation.bits);
            let by_bits = |map: &BTreeMap<u32, f64>| flow(map.iter().map(|(bits, value)| (format!("a{bits}"), *value)));
            if !activation.loss.is_empty() {
                let _ = writeln!(text, "    loss: {}", by_bits(&activation.loss));
            }
            costs(&mut text, activation.costs.iter().map(|(name, map)| (name, by_bits(map))));
        }
        text.push_str("layers:\n");
        for layer in &self.layers {
            let _ = writeln!(text, "  - name: {}\n    parameters: {}", quoted(&layer.name), layer.parameters);
            let _ = writeln!(text, "    macs: {}\n    outputs: {}", layer.macs, layer.outputs);
            let _ = writeln!(text, "    bits: {:?}", layer.bits);
            if !layer.payload_bits.is_empty() {
                let payload = layer.payload_bits.iter().map(|(bits, payload)| (format!("w{bits}"), *payload));
                let _ = writeln!(text, "    payload_bits: {}", flow(payload));
            }
            match &layer.reads {
                Reads::Fixed(bits) => drop(writeln!(text, "    activation_bits: [{bits}]")),
                Reads::Own(bits) => drop(writeln!(text, "    activation_bits: {bits:?}")),
                Reads::Shared(index) => {
                    let name = self.activations.get(*index).map_or("", |shared| &shared.name);
                    let _ = writeln!(text, "    reads: {}", quoted(name));
                }
            }
            if let Some(tied) = &layer.tied {
                let _ = writeln!(text, "    tied: {}", quoted(tied));
            }
            if !layer.loss.is_empty() {
                let _ = writeln!(text, "    loss: {}", options(&layer.loss));
            }
            costs(&mut text, layer.costs.iter().map(|(name, table)| (name, options(table))));
            for (place, ((w, a), builds)) in layer.builds.iter().enumerate() {
                if place == 0 {
                    text.push_str("    builds:\n");
                }
                let _ = writeln!(text, "      w{w}a{a}:");
                for build in builds {
                    let costs = flow(build.costs.iter().map(|(name, value)| (name, *value)));
                    let _ = writeln!(text, "        - {{ name: {}, costs: {costs} }}", quoted(&build.name));
                }
            }
        }
        if !self.pairs.is_empty() {
            text.push_str("pairs:\n");
        }
        for pair in &self.pairs {
            let [first, second] = &pair.between;
            let entries = pair.loss.iter().map(|((a, b), value)| (format!("{a}/{b}"), *value));
            let _ =
                writeln!(text, "  - {{ between: [{}, {}], loss: {} }}", quoted(first), quoted(second), flow(entries));
        }
        text
    }
}

fn costs<'a>(text: &mut String, entries: impl Iterator<Item = (&'a String, String)>) {
    for (place, (name, map)) in entries.enumerate() {
        if place == 0 {
            text.push_str("    costs:\n");
        }
        let _ = writeln!(text, "      {}: {map}", quoted(name));
    }
}

fn options(table: &OptionTable) -> String {
    let weights = table.by_weights.iter().map(|(w, value)| (format!("w{w}"), *value));
    let activations = table.by_activations.iter().map(|(a, value)| (format!("a{a}"), *value));
    let both = table.by_both.iter().map(|((w, a), value)| (format!("w{w}a{a}"), *value));
    flow(weights.chain(activations).chain(both))
}

fn flow(entries: impl Iterator<Item = (impl Display, f64)>) -> String {
    let entries: Vec<String> = entries.map(|(key, value)| format!("\"{key}\": {value:?}")).collect();
    format!("{{ {} }}", entries.join(", "))
}

/// A text in double quotes; JSON's escapes are YAML's too.
fn quoted(text: &str) -> String {
    let mut made = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => made.push_str("\\\""),
            '\\' => made.push_str("\\\\"),
            control if control.is_control() => drop(write!(made, "\\u{:04x}", u32::from(control))),
            plain => made.push(plain),
        }
    }
    made.push('"');
    made
}
