//! The blocks that designs are made of, with the parameters that their cost depends on.

use super::ThresholdRegisters;
use crate::heap::Cost;
use crate::image::TableContents;
use crate::verilog::{Part, Value};

/// One block. Bits are wires side by side, depths are words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "fields are the library modules' parameters, which their headers explain")]
pub enum Block {
    /// A generated netlist, as its schedule counted it.
    Datapath(Cost),
    /// Registers that only delay the operand which several netlists see alike: flip-flops, shift registers with what they
    /// hold, and bits that a register in front makes one.
    SharedOperand { registers: u64, dsp_registers: u64, shifts: u64, shifted: u64, edges: u64 },
    /// Control bits of netlists that work in step, over so many register stages.
    ControlStages { stages: u64 },
    /// `hwgen_delay`
    Delay { bits: u64, cycles: u64, reset: bool },
    /// `hwgen_rom`
    /// with what it holds, where the words are known.
    Rom { bits: u64, depth: u64, block: bool, cycles: u64, contents: Option<TableContents> },
    /// `hwgen_fifo`
    Fifo { bits: u64, depth: u64 },
    /// `hwgen_block_fifo`
    BlockFifo { bits: u64, depth: u64 },
    /// `hwgen_credit_fifo`
    CreditFifo { bits: u64, depth: u64 },
    /// `hwgen_width_adapter`
    Adapter { lane_bits: u64, from: u64, to: u64, words: u64 },
    /// `hwgen_fork`
    Fork { bits: u64, outputs: u64 },
    /// `hwgen_join`
    Join { inputs: u64 },
    /// `hwgen_concat`
    Concat { bits: u64, inputs: u64, most_words: u64 },
    /// `hwgen_sliding_window`
    Window(Box<WindowBlock>),
    /// `hwgen_line_window`
    LineWindow(Box<WindowBlock>),
    /// `hwgen_rearrange`
    Rearrange { bits: u64, counts: Vec<i64>, span: u64, most_jump: u64, words: u64, block: bool },
    /// `hwgen_matrix_control`
    Control {
        bits: u64,
        inputs: u64,
        outputs: u64,
        sets: u64,
        vectors: u64,
        block: bool,
        addressed: bool,
        stepped: bool,
    },
    /// `hwgen_serial_control`, with the registers that `hwgen_serial_schedule` makes addresses in.
    SerialControl(SerialBlock),
    /// The table of `hwgen_serial_schedule`, with what it holds.
    SerialSchedule { bits: u64, depth: u64, contents: Option<TableContents> },
    /// `hwgen_plane_select`
    PlaneSelect { lanes: u64, lane_bits: u64, cycles: u64 },
    /// `hwgen_shift_accumulate`
    ShiftAccumulate { count_bits: u64, bits: u64, most_shift: u64, negates: bool },
    /// What sums of planes side by side share: controls of a step in each of so many parts.
    ShiftControl { parts: u64, shift_bits: u64, negates: bool },
    /// `hwgen_border_add`
    BorderAdd { sum_bits: u64, low_bits: u64, constant_bits: u64 },
    /// `hwgen_mode_gate`
    ModeGate { bits: u64, mode_bits: u64, tokens: u64, frames: u64 },
    /// `hwgen_mode_register`
    ModeRegister { modes: u64 },
    /// `hwgen_threshold`
    /// with what each small table holds and the registers that are left, where the words are known.
    Threshold {
        sum_bits: u64,
        bits: u64,
        code_bits: u64,
        groups: u64,
        falling: bool,
        tables: Vec<TableContents>,
        registers: Option<ThresholdRegisters>,
    },
    /// Registers of the channel group beside the stages of threshold units.
    Groups { groups: u64, stages: u64 },
    /// `hwgen_search_stage`
    Search { bits: u64, stage: u64, groups: u64, block: bool },
    /// `hwgen_max_pool`
    MaxPool(PoolBlock),
    /// `hwgen_sum_pool`
    SumPool { pool: PoolBlock, sum_bits: u64, block: bool },
    /// `hwgen_max_reduce`
    MaxReduce { lane_bits: u64, lanes: u64, taps: u64 },
    /// `hwgen_argmax`
    Argmax { bits: u64, lanes: u64, words: u64, index_bits: u64 },
    /// `hwgen_top_k`
    TopK { bits: u64, count: u64, words: u64, positions: u64, index_bits: u64 },
    /// `hwgen_zone`
    Zone { rows: u64, columns: u64, zone_bits: u64 },
    /// A module that no model counts.
    Unknown { module: String },
}

/// Parameters of `hwgen_sliding_window`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "fields are the library module's parameters, which its header explains")]
pub struct WindowBlock {
    pub bits: u64,
    pub channel_words: u64,
    /// Rows and columns with padding.
    pub places: [u64; 2],
    /// Rows and columns that are padded.
    pub padded: [bool; 2],
    /// Rows and columns without padding in front.
    pub before: [u64; 2],
    pub kernel: [u64; 2],
    pub stride: [u64; 2],
    pub dilation: [u64; 2],
    pub out: [u64; 2],
    pub outer: bool,
    pub words: u64,
    pub block: bool,
}

/// Parameters of `hwgen_serial_control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "fields are the library module's parameters, which its header explains")]
pub struct SerialBlock {
    pub bits: u64,
    pub inputs: u64,
    pub outputs: u64,
    pub sets: u64,
    pub vectors: u64,
    pub modes: u64,
    pub passes: u64,
    /// Weight words of one output step.
    pub stride: u64,
    pub block: bool,
    pub stepped: bool,
}

/// Parameters of a pool in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "fields are the library module's parameters, which its header explains")]
pub struct PoolBlock {
    pub lane_bits: u64,
    pub lanes: u64,
    pub channel_words: u64,
    pub places: [u64; 2],
    pub kernel: [u64; 2],
}

/// Stands among the parameters of a memory whose words are known: the numbers of [`TableContents`], for each of its tables.
pub(super) const LIVE: &str = "contents";

impl Block {
    /// The block that an instance of a library module is.
    pub fn of(part: &Part) -> Block {
        let number = |name: &str| part.number(name, 1);
        let block = |name: &str| part.parameter(name) == Some(&Value::Text("block".to_owned()));
        let pool = || PoolBlock {
            lane_bits: number("LANE_BITS"),
            lanes: number("LANES"),
            channel_words: number("CHANNEL_WORDS"),
            places: [number("ROWS"), number("COLUMNS")],
            kernel: [number("KERNEL_ROWS"), number("KERNEL_COLUMNS")],
        };
        match part.module.as_str() {
            "hwgen_delay" => {
                Block::Delay { bits: number("BITS"), cycles: number("CYCLES"), reset: number("RESET") != 0 }
            }
            "hwgen_rom" => Block::Rom {
                bits: number("DATA_BITS"),
                depth: number("DEPTH"),
                block: block("STYLE"),
                cycles: number("CYCLES"),
                contents: contents(part).first().copied(),
            },
            "hwgen_fifo" => Block::Fifo { bits: number("DATA_BITS"), depth: number("DEPTH") },
            "hwgen_block_fifo" => Block::BlockFifo { bits: number("DATA_BITS"), depth: number("DEPTH") },
            "hwgen_credit_fifo" => Block::CreditFifo { bits: number("DATA_BITS"), depth: number("DEPTH") },
            "hwgen_width_adapter" => Block::Adapter {
                lane_bits: number("LANE_BITS"),
                from: number("IN_LANES"),
                to: number("OUT_LANES"),
                words: number("WORDS_PER_FRAME"),
            },
            "hwgen_fork" => Block::Fork { bits: number("DATA_BITS"), outputs: number("OUTPUTS") },
            "hwgen_join" => Block::Join { inputs: number("INPUTS") },
            "hwgen_concat" => Block::Concat {
                bits: number("DATA_BITS"),
                inputs: number("INPUTS"),
                most_words: list(part, "WORDS").into_iter().max().unwrap_or(1).cast_unsigned(),
            },
            "hwgen_sliding_window" => Block::Window(Box::new(window(part))),
            "hwgen_line_window" => Block::LineWindow(Box::new(window(part))),
            "hwgen_rearrange" => Block::Rearrange {
                bits: number("DATA_BITS"),
                counts: list(part, "COUNTS"),
                span: number("SPAN"),
                most_jump: number("MOST_JUMP"),
                words: number("BUFFER_WORDS"),
                block: block("MEMORY"),
            },
            "hwgen_matrix_control" => Block::Control {
                bits: number("DATA_BITS"),
                inputs: number("INPUT_STEPS"),
                outputs: number("OUTPUT_STEPS"),
                sets: number("SETS"),
                vectors: number("VECTORS_PER_FRAME"),
                block: block("MEMORY"),
                addressed: part.reads("weight_address_o"),
                stepped: part.reads("output_step_o"),
            },
            "hwgen_serial_control" => Block::SerialControl(SerialBlock {
                bits: number("DATA_BITS"),
                inputs: number("INPUT_STEPS"),
                outputs: number("OUTPUT_STEPS"),
                sets: number("SETS"),
                vectors: number("VECTORS_PER_FRAME"),
                modes: number("MODES"),
                passes: number("PASSES"),
                stride: number("WEIGHT_STRIDE"),
                block: block("MEMORY"),
                stepped: part.reads("output_step_o"),
            }),
            "hwgen_serial_schedule" => {
                let index = |used: &str, bits: &str| if number(used) == 0 { 0 } else { number(bits) };
                let entries = index("USE_MODE", "MODE_BITS") + index("USE_PASS", "PASS_BITS");
                Block::SerialSchedule {
                    bits: 1 + number("SHIFT_BITS") + number("PLANE_BITS") + number("ADDRESS_BITS"),
                    depth: 1 << entries.min(32),
                    contents: contents(part).first().copied(),
                }
            }
            "hwgen_plane_select" => {
                Block::PlaneSelect { lanes: number("LANES"), lane_bits: number("LANE_BITS"), cycles: number("CYCLES") }
            }
            "hwgen_shift_accumulate" => Block::ShiftAccumulate {
                count_bits: number("COUNT_BITS"),
                bits: number("RESULT_BITS"),
                most_shift: if part.changes("shift_i") { number("SHIFT_MOST") } else { 0 },
                negates: part.changes("negate_i"),
            },
            "hwgen_border_add" => Block::BorderAdd {
                sum_bits: number("SUM_BITS"),
                low_bits: part.number("LOW_BITS", 0),
                constant_bits: number("CONSTANT_BITS"),
            },
            "hwgen_mode_gate" => Block::ModeGate {
                bits: number("DATA_BITS"),
                mode_bits: number("MODE_BITS"),
                tokens: number("TOKENS"),
                frames: number("FRAMES"),
            },
            "hwgen_mode_register" => Block::ModeRegister { modes: number("MODES") },
            "hwgen_threshold" => {
                let (registers, tables) = threshold_parts(part);
                Block::Threshold {
                    sum_bits: number("ACCUMULATOR_BITS"),
                    bits: number("THRESHOLD_BITS"),
                    code_bits: number("CODE_BITS"),
                    groups: number("GROUPS"),
                    falling: part.number("FALLING", 0) != 0,
                    tables,
                    registers,
                }
            }
            "hwgen_search_stage" => Block::Search {
                bits: number("VALUE_BITS"),
                stage: part.number("STAGE", 0),
                groups: number("GROUPS"),
                block: block("STYLE"),
            },
            "hwgen_max_pool" => Block::MaxPool(pool()),
            "hwgen_sum_pool" => Block::SumPool { pool: pool(), sum_bits: number("SUM_BITS"), block: block("MEMORY") },
            "hwgen_max_reduce" => {
                Block::MaxReduce { lane_bits: number("LANE_BITS"), lanes: number("LANES"), taps: number("TAPS") }
            }
            "hwgen_argmax" => Block::Argmax {
                bits: number("VALUE_BITS"),
                lanes: number("LANES"),
                words: number("WORDS"),
                index_bits: number("INDEX_BITS"),
            },
            "hwgen_top_k" => Block::TopK {
                bits: number("VALUE_BITS"),
                count: number("COUNT"),
                words: number("WORDS"),
                positions: number("POSITIONS"),
                index_bits: if part.number("INDICES", 1) != 0 { number("INDEX_BITS") } else { 0 },
            },
            "hwgen_zone" => {
                Block::Zone { rows: number("ROWS"), columns: number("COLUMNS"), zone_bits: number("ZONE_BITS") }
            }
            other => Block::Unknown { module: other.to_owned() },
        }
    }
}

fn window(part: &Part) -> WindowBlock {
    let number = |name: &str| part.number(name, 1);
    let pads = |name: &str| part.number(name, 0);
    let (before, after) = ([pads("PAD_TOP"), pads("PAD_LEFT")], [pads("PAD_BOTTOM"), pads("PAD_RIGHT")]);
    let inside = [number("ROWS"), number("COLUMNS")];
    WindowBlock {
        bits: number("LANE_BITS") * number("LANES"),
        channel_words: number("CHANNEL_WORDS"),
        places: [0, 1].map(|axis| before[axis] + inside[axis] + after[axis]),
        padded: [0, 1].map(|axis| before[axis] + after[axis] > 0),
        before,
        kernel: [number("KERNEL_ROWS"), number("KERNEL_COLUMNS")],
        stride: [number("STRIDE_ROWS"), number("STRIDE_COLUMNS")],
        dilation: [number("DILATION_ROWS"), number("DILATION_COLUMNS")],
        out: [number("OUT_ROWS"), number("OUT_COLUMNS")],
        outer: part.number("CHANNEL_OUTER", 0) != 0,
        words: number("BUFFER_WORDS"),
        block: part.parameter("MEMORY") == Some(&Value::Text("block".to_owned())),
    }
}

fn contents(part: &Part) -> Vec<TableContents> {
    tables(&list(part, LIVE))
}

fn tables(numbers: &[i64]) -> Vec<TableContents> {
    numbers.chunks(TableContents::NUMBERS).filter_map(TableContents::of_numbers).collect()
}

/// The registers of a threshold unit, and what its tables hold, where its words are known.
fn threshold_parts(part: &Part) -> (Option<ThresholdRegisters>, Vec<TableContents>) {
    let numbers = list(part, LIVE);
    match numbers.split_at_checked(ThresholdRegisters::NUMBERS) {
        Some((registers, rest)) => (ThresholdRegisters::of_numbers(registers), tables(rest)),
        None => (None, Vec::new()),
    }
}

fn list(part: &Part, name: &str) -> Vec<i64> {
    match part.parameter(name) {
        Some(Value::List(list)) => list.clone(),
        Some(Value::Number(number)) => vec![*number],
        _ => Vec::new(),
    }
}
