//! Layers whose sums are made from single elements: values themselves, or sums and products of several inputs.

use super::rescale::{Rescaling, are_alike};
use super::{Results, UnitChoice};
use crate::datapath::{Multiplier, RescaleFactor, RescaleSpec, ShiftRounding};
use crate::heap::Target;
use crate::lower::chain::{Flow, NewStage, number};
use crate::lower::matrix::fifo_words;
use crate::lower::wiring::{address_bits, credit_fifo, delay, instance, lane, stream_ports, wire};
use crate::lower::{Fault, Lowering};
use crate::requantize::{RawMap, rescale};
use crate::timing::{Join, Matrix, Twin};
use crate::verilog::{Expr, Item, Module, Port};
use network::Range;
use network::format::Kind;
use network::graph::{Encoding, RequantizeUnit};
use network::manifest::EdgeContent;
use network::requantization::{Form, Requantization, per_channel};

/// What a module of its own does with each word.
pub(in crate::lower) enum ElementUnit {
    /// The layer's requantization.
    Requantize(UnitChoice),
    /// A given multiply and add.
    Rescale(Rescaling),
}

impl ElementUnit {
    /// Whether it asks for the group of channels: a multiply and add does where their constants differ.
    fn reads_group(&self, requantization: Option<&Requantization>, maps: &[RawMap]) -> bool {
        match (self, requantization.map(|requantization| &requantization.form)) {
            (ElementUnit::Rescale(rescaling), _) => !rescaling.is_uniform(),
            (ElementUnit::Requantize(UnitChoice { unit: RequantizeUnit::Rescale, .. }), Some(Form::Shift(shift))) => {
                !are_alike(&rescale(shift, maps.len(), maps).1)
            }
            (ElementUnit::Requantize(_), _) => true,
        }
    }
}

/// How an element of the sums is made from one element of each input.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::lower) enum Combine {
    /// There is one input.
    One,
    /// The sum of all raw elements.
    Sum,
    /// The product of two.
    Product,
}

/// A module that works element by element.
pub(in crate::lower) struct Element<'a> {
    /// The layer.
    pub index: usize,
    /// Name of the stage.
    pub name: &'a str,
    /// What leaves.
    pub content: EdgeContent,
    /// The streams that enter, with words of equally many lanes, and their raw elements.
    pub operands: Vec<(Flow, Range)>,
    pub combine: Combine,
    /// What the combined raw elements mean, for each channel.
    pub maps: Vec<RawMap>,
    /// What is done with them; absent where they leave as they are.
    pub unit: Option<ElementUnit>,
}

/// An operand on its way through a tree of adders.
#[derive(Clone)]
struct Node {
    net: String,
    bits: u32,
    signed: bool,
    range: Range,
}

impl Lowering<'_> {
    pub(in crate::lower) fn requantize(
        &mut self,
        index: usize,
        lanes: u64,
        unit: RequantizeUnit,
        multiplier: network::graph::Multiplier,
    ) -> Result<(), Fault> {
        let layer = &self.bound.network().layers()[index];
        let name = self.names.layer(&layer.name);
        self.chain.adapt(&name, &layer.name, lanes)?;
        let content = self.output_content(index, 1, vec![0]);
        self.element_stage(index, &name, content, ElementUnit::Requantize(UnitChoice { unit, multiplier }))
    }

    /// What the raw elements of the current stream, which carries an input of the layer, mean as values, for each
    /// channel.
    pub(in crate::lower) fn arriving_maps(&self, index: usize, input: usize) -> Vec<RawMap> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let input = layer.inputs.get(input).map_or(network.layer_input(layer), |id| &network.tensors()[id.0]);
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
        let input = self.bound.network().layer_input(&self.bound.network().layers()[index]);
        let (maps, values) = (self.arriving_maps(index, 0), input.encoding.values());
        let ranges = maps.iter().map(|map| map.raw_range(values));
        let raw = ranges.reduce(Range::union).unwrap_or(Range::new(0, 0));
        let operands = vec![(self.chain.flow(), raw)];
        self.element_module(Element { index, name, content, operands, combine: Combine::One, maps, unit: Some(unit) })
    }

    /// A module that takes a word of each input, combines them element by element and sends the result on.
    pub(in crate::lower) fn element_module(&mut self, element: Element<'_>) -> Result<(), Fault> {
        let Element { index, name, content, operands, combine, maps, unit } = element;
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let Some((first, _)) = operands.first() else { return Ok(()) };
        let lanes = u64::from(first.word.lanes);
        let words_per_frame = first.words_per_frame;
        let groups = maps.len() as u64 / lanes;
        let group_bits = address_bits(groups);
        let arriving: u32 = operands.iter().map(|(flow, _)| flow.word.bits()).sum();
        let inputs = operands.len() as u32;
        let mut items = vec![
            wire("available", 1),
            wire("reserve", 1),
            wire("taken_valid", 1),
            wire("unused_last", 1),
            wire("taken_last", 1),
            wire("taken", arriving),
        ];
        // The control counts the groups of channels where somebody asks for them.
        let reads_group = unit.as_ref().is_some_and(|unit| unit.reads_group(layer.requantization.as_ref(), &maps));
        let (sets, step) = if reads_group { (groups, "taken_step") } else { (1, "unused_step") };
        items.extend([wire("unused_address", address_bits(sets)), wire(step, address_bits(sets))]);
        if reads_group {
            items.push(wire("sum_step", group_bits));
        } else if unit.is_some() {
            items.push(Item::wire("sum_step", group_bits, Expr::zero(group_bits)));
        }
        let nets = |prefix: &str| {
            [("s_valid_i", "valid"), ("s_ready_o", "ready"), ("s_data_i", "data"), ("s_last_i", "last")].map(
                |(port, net)| {
                    let own = if prefix.is_empty() { port.to_owned() } else { format!("{prefix}_{net}") };
                    (port, Expr::name(own))
                },
            )
        };
        let mut control_ports = Vec::new();
        if inputs > 1 {
            items.extend([wire("joined_valid", 1), wire("joined_ready", 1), wire("joined_last", 1)]);
            items.push(wire("joined_data", arriving));
            items.push(Item::Blank);
            let mut ports = nets("").to_vec();
            ports.extend([
                ("m_valid_o", Expr::name("joined_valid")),
                ("m_ready_i", Expr::name("joined_ready")),
                ("m_data_o", Expr::name("joined_data")),
                ("m_last_o", Expr::name("joined_last")),
            ]);
            let parameters = vec![("INPUTS", number(inputs)), ("DATA_BITS", number(arriving))];
            items.push(instance("hwgen_join", "join", parameters, true, ports));
            self.uses(&["hwgen_join"]);
            control_ports.extend(nets("joined"));
        } else {
            control_ports.extend(nets(""));
        }
        control_ports.extend([
            ("available_i", Expr::name("available")),
            ("reserve_o", Expr::name("reserve")),
            ("weight_address_o", Expr::name("unused_address")),
            ("step_o", Expr::name("taken_valid")),
            ("last_o", Expr::name("unused_last")),
            ("data_o", Expr::name("taken")),
            ("output_step_o", Expr::name(step)),
            ("frame_last_o", Expr::name("taken_last")),
        ]);
        items.extend([
            Item::Blank,
            instance(
                "hwgen_matrix_control",
                "control",
                vec![
                    ("DATA_BITS", number(arriving)),
                    ("INPUT_STEPS", number(1u64)),
                    ("OUTPUT_STEPS", number(1u64)),
                    ("SETS", number(sets)),
                    ("VECTORS_PER_FRAME", number(words_per_frame)),
                ],
                true,
                control_ports,
            ),
        ]);
        let (node, combine_latency) = self.combined(name, &operands, combine, lanes as u32, &mut items)?;
        if reads_group {
            let taken = Expr::name("taken_step");
            items.push(delay("sum_step", group_bits, combine_latency, false, taken, "sum_step"));
        }
        self.uses(&["hwgen_matrix_control"]);
        let results = Results {
            sums: "sum",
            valid: "sum_valid",
            last: "sum_last",
            step: "sum_step",
            steps: groups,
            lanes: lanes as u32,
            sum_bits: node.bits,
            signed: node.signed,
            maps: &maps,
            ranges: &self.sum_ranges(index),
            requantization: layer.requantization.as_ref(),
        };
        let output = match unit {
            Some(ElementUnit::Requantize(choice)) => {
                self.requantize_results(index, name, &results, Some(choice), &mut items)?
            }
            Some(ElementUnit::Rescale(rescaling)) => {
                self.rescaled_results(&layer.name, name, &rescaling, &results, &mut items)?
            }
            None => self.requantize_results(index, name, &results, None, &mut items)?,
        };
        let latency = 1 + combine_latency + output.latency_cycles;
        let depth = fifo_words(latency, 1);
        items.push(Item::Blank);
        items.push(credit_fifo(&output, depth));
        self.uses(&["hwgen_credit_fifo"]);
        let module = format!("{}_{name}", self.names.top());
        let what = match combine {
            Combine::One => "multiply-add or thresholds",
            Combine::Sum => "sums of all inputs",
            Combine::Product => "products of both inputs",
        };
        let header = vec![
            format!("Layer {}: {what} on {lanes} lanes.", layer.name),
            format!(
                "Streams: {groups} words a position on all sides. Timing: one word a cycle, pushed {latency} cycles after it is taken."
            ),
        ];
        let whole = Module {
            name: module.clone(),
            header,
            keep_hierarchy: false,
            parameters: Vec::new(),
            ports: joined_ports(inputs, arriving, output.word.bits()),
            items,
        };
        let printed = self.printed(&whole);
        self.add_modules(vec![printed]);
        let pipeline = Matrix::new(1, 1, latency, depth)?;
        let twin = if inputs > 1 { Twin::Join(Join::new(inputs, pipeline)?) } else { Twin::Matrix(pipeline) };
        self.chain.push_join(
            operands.iter().map(|(flow, _)| flow.stream).collect(),
            NewStage {
                name: name.to_owned(),
                module,
                parameters: Vec::new(),
                layer: layer.name.clone(),
                word: output.word,
                words_per_frame,
                content,
                twin,
            },
        );
        Ok(())
    }

    /// The nets `sum`, `sum_valid` and `sum_last` from what was taken, and the cycles in between.
    fn combined(
        &mut self,
        name: &str,
        operands: &[(Flow, Range)],
        combine: Combine,
        lanes: u32,
        items: &mut Vec<Item>,
    ) -> Result<(Node, u32), Fault> {
        let arriving: u32 = operands.iter().map(|(flow, _)| flow.word.bits()).sum();
        let mut nodes = Vec::new();
        let mut low = 0;
        for (number, (flow, range)) in operands.iter().enumerate() {
            let net = if combine == Combine::One { "sum".to_owned() } else { format!("operand_{number}") };
            let bits = flow.word.bits();
            items.push(Item::wire(&net, bits, Expr::part("taken", arriving, low + bits - 1, low)));
            low += bits;
            nodes.push(Node { net, bits: flow.word.lane_bits, signed: flow.word.signed, range: *range });
        }
        let mut latency = 0;
        while nodes.len() > 1 {
            let last_level = nodes.len() == 2;
            let mut made = Vec::new();
            let pairs: Vec<Vec<Node>> = nodes.chunks(2).map(<[Node]>::to_vec).collect();
            for (pair_number, pair) in pairs.iter().enumerate() {
                match pair.as_slice() {
                    [a, b] => {
                        let net = if last_level { "sum".to_owned() } else { format!("part_{latency}_{pair_number}") };
                        let suffix = format!("add_{latency}_{pair_number}");
                        made.push(self.pair(name, &suffix, (a, b), combine, lanes, &net, items)?);
                    }
                    rest => made.extend(rest.iter().map(|node| (node.clone(), 0))),
                }
            }
            // What is ready earlier waits for the slowest of its level.
            let level_latency = made.iter().map(|(_, cycles)| *cycles).max().unwrap_or(0);
            let mut next = Vec::new();
            for (node, cycles) in made {
                if cycles == level_latency {
                    next.push(node);
                    continue;
                }
                let late = format!("{}_late_{latency}", node.net);
                let bits = lanes * node.bits;
                items.push(wire(&late, bits));
                items.push(delay(&late, bits, level_latency - cycles, false, Expr::name(node.net.as_str()), &late));
                next.push(Node { net: late, ..node });
            }
            latency += level_latency;
            nodes = next;
        }
        items.extend([
            wire("sum_valid", 1),
            wire("sum_last", 1),
            delay("sum_valid", 1, latency, true, Expr::name("taken_valid"), "sum_valid"),
            delay("sum_last", 1, latency, true, Expr::name("taken_last"), "sum_last"),
        ]);
        self.uses(&["hwgen_delay"]);
        let node = nodes.pop().unwrap_or(Node { net: String::new(), bits: 1, signed: false, range: Range::new(0, 0) });
        Ok((node, latency))
    }

    /// One unit for each lane that adds or multiplies two operands; all pairs of a level take equally long.
    #[allow(clippy::too_many_arguments, reason = "an operation with its two sides, its names and where it goes")]
    fn pair(
        &mut self,
        name: &str,
        suffix: &str,
        (a, b): (&Node, &Node),
        combine: Combine,
        lanes: u32,
        net: &str,
        items: &mut Vec<Item>,
    ) -> Result<(Node, u32), Fault> {
        let (value, factor, offset_bits) = match combine {
            Combine::Product => {
                let ends = [b.range.min(), b.range.max()].map(|b| Range::new(a.range.min() * b, a.range.max() * b));
                (ends[0].union(ends[1]), RescaleFactor::Port { bits: b.bits, signed: b.signed }, None)
            }
            _ => {
                let sum = Range::new(a.range.min() + b.range.min(), a.range.max() + b.range.max());
                (sum, RescaleFactor::One, Some(b.bits + u32::from(!b.signed)))
            }
        };
        let unit = self.rescale(RescaleSpec {
            module_name: format!("{}_{name}_{suffix}", self.names.top()),
            accumulator_bits: a.bits,
            accumulator_signed: a.signed,
            factor,
            offset_bits,
            constant: 0,
            value_range: (value.min(), value.max()),
            shift: 0,
            rounding: ShiftRounding::Floor,
            code_range: (value.min(), value.max()),
            multiplier: Multiplier::Lut,
            target: Target::Lut6,
        })?;
        let bits = unit.code_bits();
        items.push(wire(net, lanes * bits));
        for index in 0..lanes {
            let mut ports = vec![("accumulator_i", lane(&a.net, lanes, index, a.bits))];
            let second = lane(&b.net, lanes, index, b.bits);
            ports.push(match offset_bits {
                None => ("multiplier_i", second),
                Some(_) if b.signed => ("offset_i", second),
                Some(_) => ("offset_i", Expr::concat(vec![Expr::zero(1), second])),
            });
            ports.push(("code_o", lane(net, lanes, index, bits)));
            items.push(instance(&unit.spec().module_name, &format!("{suffix}_{index}"), Vec::new(), false, ports));
        }
        self.add_datapath(&unit.spec().module_name, unit.cost(), unit.modules());
        let node = Node { net: net.to_owned(), bits, signed: value.min() < 0, range: value };
        Ok((node, unit.latency_cycles()))
    }
}

/// The ports of a module that `inputs` streams enter, with `input_bits` together.
fn joined_ports(inputs: u32, input_bits: u32, output_bits: u32) -> Vec<Port> {
    let mut ports = stream_ports(input_bits, output_bits);
    for port in ports.iter_mut().filter(|port| ["s_valid_i", "s_ready_o", "s_last_i"].contains(&port.name.as_str())) {
        port.width = Port::input("", inputs).width;
    }
    ports
}
