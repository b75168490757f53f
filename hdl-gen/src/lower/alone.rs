//! One layer lowered alone, for what it costs with a hardware of choice: no images, no neighbours.

use super::chain::{Chain, NewStage};
use super::{Images, LowerError, Lowering, Names, taken_lanes};
use crate::bind::{Bound, BoundLayer};
use crate::cost::{StageInventory, stage_inventories};
use crate::datapath::Memo;
use crate::design::StreamId;
use crate::timing::{Fifo, Twin};
use network::graph::{Encoding, TensorId};
use network::manifest::{EdgeContent, EdgeTensor, Word};
use std::collections::BTreeMap;

/// Where words of a layer come from when it stands alone.
const SOURCE: &str = "source";

/// The blocks of each module of one layer with a given hardware: its windows, adapters between its own modules, buffers, and the layer
/// itself. The streams that enter have the lanes that the layer takes, so that the adapter in front is not among them;
/// nor are forks behind the layer, and FIFOs in front of joins hold two words.
///
/// # Errors
/// The layer cannot be lowered with this hardware.
pub fn lower_alone(
    bound: &Bound,
    index: usize,
    hardware: &BoundLayer,
    memo: &Memo,
) -> Result<Vec<StageInventory>, LowerError> {
    let layers = bound.network().layers();
    if index >= layers.len() {
        return Ok(Vec::new());
    }
    let lowering = lowered(bound, index, hardware, memo)?;
    let stages = lowering.chain.stages.iter().filter(|stage| stage.module != SOURCE);
    let modules: Vec<_> = lowering.modules.values().collect();
    let mut found = stage_inventories(stages, &modules, &lowering.costs, &lowering.memories);
    // The last of a layer is the last of the design where the layer is.
    let is_last = index + 1 == layers.len();
    found.iter_mut().for_each(|stage| stage.ends &= is_last);
    Ok(found)
}

/// Counts the datapaths of one layer, so that the memo has them.
pub(super) fn count_ahead(bound: &Bound, index: usize, memo: &Memo) {
    // What is wrong with a layer is told where it is lowered for the design.
    let _ = bound.layers().get(index).map(|hardware| lowered(bound, index, hardware, memo).map(drop));
}

/// One layer with a given hardware behind sources of its words.
fn lowered<'a>(
    bound: &'a Bound,
    index: usize,
    hardware: &'a BoundLayer,
    memo: &'a Memo,
) -> Result<Lowering<'a>, LowerError> {
    let network = bound.network();
    let layer = &network.layers()[index];
    let content = EdgeContent::plain(EdgeTensor::Input(0));
    let mut lowering = Lowering {
        bound,
        names: Names::new(network.name(), network.inputs().len(), network.outputs().len()),
        chain: Chain {
            stages: Vec::new(),
            buffers: Vec::new(),
            stream: StreamId::Input(0),
            word: Word { lanes: 1, lane_bits: 1, signed: false },
            words_per_frame: 1,
            content: content.clone(),
        },
        waiting: vec![Vec::new(); network.tensors().len()],
        modules: BTreeMap::new(),
        costs: BTreeMap::new(),
        memories: BTreeMap::new(),
        inner_edges: Vec::new(),
        library: Vec::new(),
        images: Images::Blocks,
        memo: Some(memo),
        rows_at_once: super::burst::rows_at_once(network),
        mode_streams: (layer.modes.len() > 1).then_some((index, StreamId::Input(0))).into_iter().collect(),
    };
    for (number, &TensorId(id)) in layer.inputs.iter().enumerate() {
        let tensor = &network.tensors()[id];
        let lanes = taken_lanes(hardware, tensor.shape.channels);
        let (lane_bits, signed) = match tensor.encoding {
            Encoding::Codes { format, .. } => (format.bits(), format.code_is_signed()),
            Encoding::Sums { .. } => (tensor.encoding.bits(), tensor.encoding.values().min() < 0),
        };
        let twin = Twin::Fifo(Fifo::new(2).map_err(|source| super::Fault::Timing(source).in_layer(&layer.name))?);
        lowering.chain.push_join(
            vec![StreamId::Input(0)],
            NewStage {
                name: format!("{SOURCE}_{number}"),
                module: SOURCE.to_owned(),
                parameters: Vec::new(),
                layer: String::new(),
                word: Word { lanes: lanes as u32, lane_bits, signed },
                words_per_frame: tensor.shape.elements() / lanes.max(1),
                content: content.clone(),
                twin,
            },
        );
        let mut flow = lowering.chain.flow();
        if network.maker(TensorId(id)).is_none() {
            flow.stream = StreamId::Input(id);
        }
        lowering.waiting[id].insert(0, flow);
    }
    lowering.layer(index, hardware).map_err(|fault| fault.in_layer(&layer.name))?;
    Ok(lowering)
}
