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
    /// Whether all constants of the seed are the least and greatest ones.
    pub extreme: bool,
    /// The inputs: values of the plan's key `input`, or of the entries of `inputs`, without their names.
    pub inputs: Vec<String>,
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
    /// The tensors it reads: first the network's inputs, then one for each layer.
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
        let name = |tensor: usize| match tensor.checked_sub(self.inputs.len()) {
            Some(index) => self.layers.get(index).map_or(String::new(), |layer| layer.name.clone()),
            None if self.inputs.len() == 1 => "input".to_owned(),
            None => format!("x{tensor}"),
        };
        let Sketch { seed, extreme, inputs, layers } = self;
        let weights = if *extreme { ", weights: extreme" } else { "" };
        let mut text = format!("hwgen: 1\nname: sketch{seed}\nrandom: {{ seed: {seed}{weights} }}\n");
        match &inputs[..] {
            [input] => {
                // Writing into a String cannot fail.
                let _ = writeln!(text, "input: {{ name: x, {input} }}");
            }
            inputs => {
                text.push_str("inputs:\n");
                for (number, input) in inputs.iter().enumerate() {
                    let _ = writeln!(text, "  - {{ name: x{number}, {input} }}");
                }
            }
        }
        text.push_str("layers:\n");
        for SketchLayer { name: own, keys, inputs, joins, hardware } in layers {
            let sources: Vec<String> = inputs.iter().map(|&tensor| name(tensor)).collect();
            let source = if *joins {
                format!("inputs: [{}]", sources.join(", "))
            } else {
                format!("input: {}", sources.join(""))
            };
            let hardware = hardware.as_ref().map_or(String::new(), |wishes| format!(", hw: {{ {wishes} }}"));
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
        (self.inputs.len()..self.inputs.len() + self.layers.len()).filter(|&tensor| !is_read(tensor)).collect()
    }

    /// The same with the inputs and layers alone that lead to some tensors.
    #[must_use]
    pub fn leading_to(&self, tensors: &[usize]) -> Sketch {
        let first = self.inputs.len();
        let mut wanted = vec![false; first + self.layers.len()];
        for &tensor in tensors {
            if let Some(wanted) = wanted.get_mut(tensor) {
                *wanted = true;
            }
        }
        for (index, layer) in self.layers.iter().enumerate().rev() {
            if wanted[first + index] {
                layer.inputs.iter().for_each(|&input| wanted[input] = true);
            }
        }
        let mut numbers = vec![0; wanted.len()];
        let mut inputs = Vec::new();
        for (number, input) in self.inputs.iter().enumerate().filter(|(number, _)| wanted[*number]) {
            numbers[number] = inputs.len();
            inputs.push(input.clone());
        }
        let mut layers = Vec::new();
        for (index, layer) in self.layers.iter().enumerate().filter(|(index, _)| wanted[first + index]) {
            let mut layer = layer.clone();
            layer.inputs.iter_mut().for_each(|input| *input = numbers[*input]);
            numbers[first + index] = inputs.len() + layers.len();
            layers.push(layer);
        }
        Sketch { inputs, layers, ..self.clone() }
    }

    /// The network.
    ///
    /// # Errors
    /// Every fault of the plan.
    pub fn network(&self) -> Result<Network, Diagnostics> {
        Plan::parse(&self.plan(), &format!("sketch{}", self.seed))?.build(None)
    }
}
