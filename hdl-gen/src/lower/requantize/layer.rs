//! A layer that only requantizes: its values are the sums.

use super::rescale::Rescaling;
use super::{Results, UnitChoice};
use crate::design::Stage;
use crate::lower::chain::number;
use crate::lower::matrix::fifo_words;
use crate::lower::wiring::{address_bits, credit_fifo, instance, stream_ports, wire};
use crate::lower::{Fault, Lowering};
use crate::requantize::RawMap;
use crate::timing::{Matrix, Twin};
use crate::verilog::{Expr, Item, Module};
use network::format::Kind;
use network::graph::{Encoding, Multiplier, RequantizeUnit};
use network::manifest::EdgeContent;
use network::requantization::per_channel;

/// What a module of its own does with each word.
pub(in crate::lower) enum ElementUnit {
    /// The layer's requantization.
    Requantize(UnitChoice),
    /// A given multiply and add.
    Rescale(Rescaling),
}

impl Lowering<'_> {
    pub(in crate::lower) fn requantize(
        &mut self,
        index: usize,
        lanes: u64,
        unit: RequantizeUnit,
        multiplier: Multiplier,
    ) -> Result<(), Fault> {
        let layer = &self.bound.network().layers()[index];
        let name = self.names.layer(&layer.name);
        self.chain.adapt(&name, &layer.name, lanes)?;
        let content = self.output_content(index, 1, vec![0]);
        self.element_stage(index, &name, content, ElementUnit::Requantize(UnitChoice { unit, multiplier }))
    }

    /// What the raw elements of the current stream mean as values, for each channel.
    pub(in crate::lower) fn arriving_maps(&self, index: usize) -> Vec<RawMap> {
        let network = self.bound.network();
        let input = network.layer_input(&network.layers()[index]);
        let map = |channel: usize| match input.encoding {
            Encoding::Codes { format, .. } if format.kind() == Kind::Bipolar => {
                RawMap { gain: 2, offset: format.value(0) }
            }
            Encoding::Codes { .. } => RawMap::IDENTITY,
            Encoding::Sums { .. } => {
                let offset = per_channel(&self.chain.content.offset, channel).unwrap_or(0);
                RawMap { gain: self.chain.content.gain, offset }
            }
        };
        (0..input.shape.channels as usize).map(map).collect()
    }

    /// A module that takes words of the current stream and sends each on with its channels converted.
    pub(in crate::lower) fn element_stage(
        &mut self,
        index: usize,
        name: &str,
        content: EdgeContent,
        unit: ElementUnit,
    ) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let input = network.layer_input(layer);
        let arriving = self.chain.word;
        let lanes = u64::from(arriving.lanes);
        let maps = self.arriving_maps(index);
        let groups = input.shape.channels / lanes;
        let group_bits = address_bits(groups);
        let words_per_frame = input.shape.positions() * groups;
        let mut items = vec![
            wire("available", 1),
            wire("reserve", 1),
            wire("sum_valid", 1),
            wire("unused_last", 1),
            wire("sum_last", 1),
            wire("sum", arriving.bits()),
            wire("unused_address", 1),
            wire("unused_output", 1),
            wire("sum_step", group_bits),
            wire("unused_group_last", 1),
            Item::Blank,
            instance(
                "hwgen_matrix_control",
                "control",
                vec![
                    ("DATA_BITS", number(arriving.bits())),
                    ("INPUT_STEPS", number(1u64)),
                    ("OUTPUT_STEPS", number(1u64)),
                    ("VECTORS_PER_FRAME", number(words_per_frame)),
                ],
                true,
                vec![
                    ("s_valid_i", Expr::name("s_valid_i")),
                    ("s_ready_o", Expr::name("s_ready_o")),
                    ("s_data_i", Expr::name("s_data_i")),
                    ("s_last_i", Expr::name("s_last_i")),
                    ("available_i", Expr::name("available")),
                    ("reserve_o", Expr::name("reserve")),
                    ("weight_address_o", Expr::name("unused_address")),
                    ("step_o", Expr::name("sum_valid")),
                    ("last_o", Expr::name("unused_last")),
                    ("data_o", Expr::name("sum")),
                    ("output_step_o", Expr::name("unused_output")),
                    ("frame_last_o", Expr::name("sum_last")),
                ],
            ),
            instance(
                "hwgen_counter",
                "group",
                vec![("LIMIT", number(groups))],
                true,
                vec![
                    ("advance_i", Expr::name("sum_valid")),
                    ("value_o", Expr::name("sum_step")),
                    ("last_o", Expr::name("unused_group_last")),
                ],
            ),
        ];
        self.uses(&["hwgen_matrix_control", "hwgen_counter"]);
        let results = Results {
            sums: "sum",
            valid: "sum_valid",
            last: "sum_last",
            step: "sum_step",
            steps: groups,
            lanes: arriving.lanes,
            sum_bits: arriving.lane_bits,
            signed: arriving.signed,
            maps: &maps,
        };
        let output = match unit {
            ElementUnit::Requantize(choice) => {
                self.requantize_results(index, name, &results, Some(choice), &mut items)?
            }
            ElementUnit::Rescale(rescaling) => {
                self.rescaled_results(&layer.name, name, &rescaling, &results, &mut items)?
            }
        };
        let latency = 1 + output.latency_cycles;
        let depth = fifo_words(latency, 1);
        items.push(Item::Blank);
        items.push(credit_fifo(&output, depth));
        self.uses(&["hwgen_credit_fifo"]);
        let module = format!("{}_{name}", self.names.top());
        let header = vec![
            format!("Layer {}: multiply-add or thresholds on {lanes} lanes.", layer.name),
            format!(
                "Streams: {groups} words a position on both sides. Timing: one word a cycle, pushed {latency} cycles after it is taken."
            ),
        ];
        let printed = Module {
            name: module.clone(),
            header,
            keep_hierarchy: false,
            parameters: Vec::new(),
            ports: stream_ports(arriving.bits(), output.word.bits()),
            items,
        }
        .print();
        self.add_modules(vec![printed]);
        self.chain.push(Stage {
            name: name.to_owned(),
            module,
            parameters: Vec::new(),
            layer: layer.name.clone(),
            word: output.word,
            words_per_frame,
            content,
            twin: Twin::Matrix(Matrix::new(1, 1, latency, depth)?),
        });
        Ok(())
    }
}
