//! The campaign: random networks through the whole chain.
//!
//! [`Sketch::random`] makes a small plan with random operators, formats, shapes, branches and foldings from a seed;
//! [`run::Bench`] emits, builds and runs many of them in one executable and compares every word on every edge and every
//! frame's end; [`shrink::shrink`] makes a failing sketch small. A sketch is a plan of version 1 with constants from a seed, so
//! what fails can be put into `cases/` as it is.

pub mod faults;
mod generate;
pub mod run;
pub mod shrink;

use network::plan::Plan;
use network::{Diagnostics, Network};
use std::fmt::Write;

/// A random plan, layer by layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// Seed of the sketch and of its constants.
    pub seed: u64,
    /// The value of the plan's key `input`.
    pub input: String,
    /// The layers in order.
    pub layers: Vec<SketchLayer>,
}

/// One layer of a sketch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SketchLayer {
    /// Its name.
    pub name: String,
    /// Operator and further keys, as they stand in the plan.
    pub keys: String,
    /// The layers it reads; 0 is the network's input, 1 + i layer i.
    pub inputs: Vec<usize>,
    /// The operator takes a list of inputs.
    pub joins: bool,
    /// The value of `hw`, where hardware is asked for.
    pub hardware: Option<String>,
}

impl Sketch {
    /// The sketch of a seed.
    pub fn random(seed: u64) -> Sketch {
        generate::sketch(seed)
    }

    /// The plan's text; what nobody reads leaves the network.
    pub fn plan(&self) -> String {
        let name = |tensor: usize| match tensor.checked_sub(1).and_then(|index| self.layers.get(index)) {
            Some(layer) => layer.name.clone(),
            None => "input".to_owned(),
        };
        let Sketch { seed, input, layers } = self;
        let mut text = format!("hwgen: 1\nname: sketch{seed}\nrandom: {{ seed: {seed} }}\ninput: {input}\nlayers:\n");
        for SketchLayer { name: own, keys, inputs, joins, hardware } in layers {
            let sources: Vec<String> = inputs.iter().map(|&tensor| name(tensor)).collect();
            let source = if *joins {
                format!("inputs: [{}]", sources.join(", "))
            } else {
                format!("input: {}", sources.join(""))
            };
            let hardware = hardware.as_ref().map_or(String::new(), |wishes| format!(", hw: {{ {wishes} }}"));
            // Writing into a String cannot fail.
            let _ = writeln!(text, "  - {{ name: {own}, {source}, {keys}{hardware} }}");
        }
        let ends = self.ends();
        match ends.as_slice() {
            [end] => {
                let _ = writeln!(text, "output: {{ layer: {} }}", name(*end));
            }
            _ => {
                text.push_str("outputs:\n");
                for end in &ends {
                    let _ = writeln!(text, "  - {{ layer: {0}, name: {0} }}", name(*end));
                }
            }
        }
        text
    }

    /// Tensors of layers that no layer reads.
    pub fn ends(&self) -> Vec<usize> {
        let is_read = |tensor: usize| self.layers.iter().any(|layer| layer.inputs.contains(&tensor));
        (1..=self.layers.len()).filter(|&tensor| !is_read(tensor)).collect()
    }

    /// The same with the layers alone that lead to some tensors.
    #[must_use]
    pub fn leading_to(&self, tensors: &[usize]) -> Sketch {
        let mut wanted = vec![false; self.layers.len() + 1];
        for &tensor in tensors {
            if let Some(wanted) = wanted.get_mut(tensor) {
                *wanted = true;
            }
        }
        for (index, layer) in self.layers.iter().enumerate().rev() {
            if wanted[index + 1] {
                layer.inputs.iter().for_each(|&input| wanted[input] = true);
            }
        }
        let mut numbers = vec![0; wanted.len()];
        let mut layers = Vec::new();
        for (index, layer) in self.layers.iter().enumerate().filter(|(index, _)| wanted[index + 1]) {
            let mut layer = layer.clone();
            layer.inputs.iter_mut().for_each(|input| *input = numbers[*input]);
            layers.push(layer);
            numbers[index + 1] = layers.len();
        }
        Sketch { layers, ..self.clone() }
    }

    /// The network.
    ///
    /// # Errors
    /// Every fault of the plan.
    pub fn network(&self) -> Result<Network, Diagnostics> {
        Plan::parse(&self.plan(), &format!("sketch{}", self.seed))?.build(None)
    }
}
