//! The layers as the network has them: sums that one requantization alone reads are closed by it, layers that nobody
//! reads are left out, and all get their names.

mod ahead;

use super::Walk;
use crate::names::{Names, port_name};
use network::Place;
use network::graph::{Layer, Output, TensorId};
use network::op::Op;

impl Walk<'_> {
    /// The layers and for each the node it comes from; the outputs are made those of the new layers.
    pub(super) fn tidied(&mut self, outputs: &mut [Output]) -> (Vec<Layer>, Vec<String>) {
        let mut layers: Vec<Option<Layer>> = std::mem::take(&mut self.layers).into_iter().map(Some).collect();
        let first = self.plans.len();
        let mut readers = vec![0usize; layers.len() + first];
        for output in outputs.iter() {
            readers[output.tensor.0] += 1;
        }
        // Readers stand behind what they read, so one pass from the end finds all that is read.
        for index in (0..layers.len()).rev() {
            if readers[first + index] == 0 {
                layers[index] = None;
            }
            for id in layers[index].iter().flat_map(|layer| &layer.inputs) {
                readers[id.0] += 1;
            }
        }
        self.requantize_ahead(&mut layers, &readers);
        // A requantization that alone reads sums moves into the layer that makes them.
        let mut stands_for: Vec<usize> = (0..first + layers.len()).collect();
        for index in 0..layers.len() {
            let Some(layer) = &mut layers[index] else { continue };
            for id in &mut layer.inputs {
                id.0 = stands_for[id.0];
            }
            let (source, is_alone) = (layer.input().0, readers[layer.input().0] == 1);
            if !is_alone || !matches!(layer.op, Op::Identity) || source < first {
                continue;
            }
            let requantization = layer.requantization.clone();
            if let Some(maker) = layers[source - first].as_mut().filter(|maker| can_close(maker)) {
                maker.requantization = requantization;
                stands_for[first + index] = source;
                // What read the requantization now reads its maker.
                readers[source] = readers[first + index];
                layers[index] = None;
            }
        }
        // Layers have other names than inputs where there are several.
        let taken = if first > 1 {
            self.model.inputs.iter().map(|input| port_name(&self.model.names[input.id])).collect()
        } else {
            Vec::new()
        };
        let mut names = Names::beside(taken);
        let mut numbers: Vec<usize> = (0..first + layers.len()).collect();
        let (mut made, mut origins) = (Vec::new(), Vec::new());
        for (index, layer) in layers.into_iter().enumerate() {
            let Some(mut layer) = layer else { continue };
            layer.name = names.next(kind(&layer, self.kinds[index]));
            layer.place = Place::layer(&layer.name);
            for id in &mut layer.inputs {
                *id = TensorId(numbers[id.0]);
            }
            numbers[first + index] = first + made.len();
            made.push(layer);
            origins.push(std::mem::take(&mut self.origins[index]));
        }
        for output in outputs {
            output.tensor = TensorId(numbers[stands_for[output.tensor.0]]);
        }
        (made, origins)
    }
}

/// Whether the layer makes sums that are not closed yet.
fn can_close(layer: &Layer) -> bool {
    layer.requantization.is_none()
        && match layer.op {
            Op::Dense { .. } | Op::Conv2d { .. } | Op::SumPool { .. } | Op::Add { .. } | Op::Multiply => true,
            Op::MaxPool { .. } | Op::Identity | Op::Concat | Op::Rearrange(_) | Op::Argmax { .. } | Op::TopK { .. } => {
                false
            }
        }
}

/// The stem of a layer's name; requantizations and rearrangements may have changed places.
fn kind(layer: &Layer, kind: &'static str) -> &'static str {
    match (&layer.op, kind) {
        (Op::Identity, _) => "quant",
        (Op::Rearrange(_), _) => "move",
        (_, kind) => kind,
    }
}
