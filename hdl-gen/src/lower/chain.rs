//! The graph of streams while it is being built, layer by layer along its branches.

use super::burst::words_ahead;
use super::wiring::address_bits;
use crate::design::{Buffer, Stage, StreamId};
use crate::timing::{Fifo, Fork, LineWindow, ModeGate, SlidingWindow, TimingError, Twin, WidthAdapter, WindowShape};
use crate::verilog::Expr;
use network::graph::{Layer, Memory, WindowForm};
use network::manifest::{EdgeContent, EdgeOrder, Word};
use network::shape::{Shape, Window};

/// Bits of a buffer from which on it lies in block RAM when its words are few enough apart.
const BLOCK_BUFFER_BITS: u64 = 16 * 1024;

/// Frames between the input and a layer whose modes a FIFO holds; more frames of few words only wait at the input.
const MODE_FRAMES: u32 = 32;

/// All stages so far, and the stream that the next one continues.
pub(super) struct Chain {
    pub stages: Vec<Stage>,
    /// FIFOs in front of joins.
    pub buffers: Vec<Buffer>,
    /// The stream that is continued.
    pub stream: StreamId,
    pub word: Word,
    pub words_per_frame: u64,
    pub content: EdgeContent,
}

/// A stream that waits for its reader.
#[derive(Clone)]
pub(super) struct Flow {
    pub stream: StreamId,
    pub word: Word,
    pub words_per_frame: u64,
    pub content: EdgeContent,
}

/// What a module makes of the current stream.
pub(super) struct NewStage {
    /// Instance name without `u_`.
    pub name: String,
    pub module: String,
    pub parameters: Vec<(&'static str, Expr)>,
    /// The plan's layer.
    pub layer: String,
    pub word: Word,
    pub words_per_frame: u64,
    pub content: EdgeContent,
    pub twin: Twin,
}

/// A sliding window to be put into a chain.
pub(super) struct WindowStage<'a> {
    /// Legal name of the layer.
    pub name: &'a str,
    /// The plan's layer.
    pub layer: &'a str,
    pub window: &'a Window,
    pub input: Shape,
    pub form: WindowForm,
    /// The code that stands for a padded tap.
    pub padding_code: i64,
    /// Channel groups as the outer loop within a position.
    pub channels_outer: bool,
    /// Rows of the layers in front in which a row of the input comes ([`super::burst`]).
    pub rows_at_once: u64,
}

impl Chain {
    /// No stages yet; continues with a stream that enters.
    pub fn new(flow: Flow) -> Self {
        let Flow { stream, word, words_per_frame, content } = flow;
        Chain { stages: Vec::new(), buffers: Vec::new(), stream, word, words_per_frame, content }
    }

    /// Adds a stage behind the current stream and continues with its output.
    pub fn push(&mut self, stage: NewStage) {
        self.push_join(vec![self.stream], stage);
    }

    /// Adds a stage that several streams enter, and continues with its output.
    pub fn push_join(&mut self, inputs: Vec<StreamId>, stage: NewStage) {
        self.word = stage.word;
        self.words_per_frame = stage.words_per_frame;
        self.content = stage.content.clone();
        self.stream = StreamId::Stage { stage: self.stages.len(), port: 0 };
        let NewStage { name, module, parameters, layer, word, words_per_frame, content, twin } = stage;
        self.stages.push(Stage {
            name,
            module,
            inputs,
            ports: 1,
            mode_tokens: 0,
            parameters,
            layer,
            word,
            words_per_frame,
            content,
            twin,
        });
    }

    /// The current stream, for a reader to come.
    pub fn flow(&self) -> Flow {
        Flow {
            stream: self.stream,
            word: self.word,
            words_per_frame: self.words_per_frame,
            content: self.content.clone(),
        }
    }

    /// Continues with another stream.
    pub fn resume(&mut self, flow: Flow) {
        let Flow { stream, word, words_per_frame, content } = flow;
        (self.stream, self.word, self.words_per_frame, self.content) = (stream, word, words_per_frame, content);
    }

    /// The current stream for so many readers: behind a fork where there is more than one.
    pub fn fork(&mut self, name: &str, layer: &str, readers: usize) -> Result<Vec<Flow>, TimingError> {
        if readers <= 1 {
            return Ok(vec![self.flow(); readers]);
        }
        let outputs = u32::try_from(readers).unwrap_or(u32::MAX);
        self.push(NewStage {
            name: self.free_name(&format!("{name}_fork")),
            module: "hwgen_fork".to_owned(),
            parameters: vec![("DATA_BITS", number(self.word.bits())), ("OUTPUTS", number(outputs))],
            layer: layer.to_owned(),
            word: self.word,
            words_per_frame: self.words_per_frame,
            content: self.content.clone(),
            twin: Twin::Fork(Fork::new(outputs)?),
        });
        let stage = self.stages.len() - 1;
        if let Some(fork) = self.stages.last_mut() {
            fork.ports = readers;
        }
        let flow = self.flow();
        Ok((0..readers).map(|port| Flow { stream: StreamId::Stage { stage, port }, ..flow.clone() }).collect())
    }

    /// Samples the mode of each frame; the streams of modes for so many layers.
    pub fn mode_gate(&mut self, modes: u32, layers: usize) -> Result<Vec<StreamId>, TimingError> {
        let tokens = u32::try_from(layers).unwrap_or(u32::MAX);
        self.push(NewStage {
            name: "mode_gate".to_owned(),
            module: "hwgen_mode_gate".to_owned(),
            parameters: vec![
                ("DATA_BITS", number(self.word.bits())),
                ("MODE_BITS", number(address_bits(u64::from(modes)))),
                ("TOKENS", number(tokens)),
                ("FRAMES", number(MODE_FRAMES)),
                ("WORDS_PER_FRAME", number(self.words_per_frame)),
            ],
            layer: "input".to_owned(),
            word: self.word,
            words_per_frame: self.words_per_frame,
            content: self.content.clone(),
            twin: Twin::ModeGate(ModeGate::new(tokens, MODE_FRAMES, self.words_per_frame)?),
        });
        let stage = self.stages.len() - 1;
        if let Some(gate) = self.stages.last_mut() {
            gate.ports = 1 + layers;
            gate.mode_tokens = layers;
        }
        Ok((1..=layers).map(|port| StreamId::Stage { stage, port }).collect())
    }

    /// Bridges to words of `lanes` elements where they differ.
    pub fn adapt(&mut self, name: &str, layer: &str, lanes: u64) -> Result<(), TimingError> {
        let (from, to) = (self.word.lanes, lanes as u32);
        if from == to {
            return Ok(());
        }
        let word = Word { lanes: to, ..self.word };
        let words_per_frame = self.words_per_frame * u64::from(from) / lanes;
        let name = self.free_name(&format!("{name}_adapter"));
        self.push(NewStage {
            name,
            module: "hwgen_width_adapter".to_owned(),
            parameters: vec![
                ("LANE_BITS", number(word.lane_bits)),
                ("IN_LANES", number(from)),
                ("OUT_LANES", number(to)),
                ("WORDS_PER_FRAME", number(words_per_frame)),
            ],
            layer: layer.to_owned(),
            word,
            words_per_frame,
            content: self.content.clone(),
            twin: Twin::WidthAdapter(WidthAdapter::new(from, to)?),
        });
        Ok(())
    }

    /// Adds a FIFO of `depth_words`, at least 2.
    pub fn buffer(&mut self, name: &str, layer: &str, depth_words: u64) -> Result<(), TimingError> {
        self.fifo(self.free_name(&format!("{name}_buffer")), layer, small(depth_words.max(2)))
    }

    fn fifo(&mut self, name: String, layer: &str, depth: u32) -> Result<(), TimingError> {
        self.push(NewStage {
            name,
            module: "hwgen_fifo".to_owned(),
            parameters: vec![("DATA_BITS", number(self.word.bits())), ("DEPTH", number(depth))],
            layer: layer.to_owned(),
            word: self.word,
            words_per_frame: self.words_per_frame,
            content: self.content.clone(),
            twin: Twin::Fifo(Fifo::new(depth)?),
        });
        Ok(())
    }

    /// Adds a FIFO in front of an input of a join; where the plan gives no depth, it is found later.
    pub fn skew_buffer(&mut self, name: &str, layer: &Layer, input: usize) -> Result<(), TimingError> {
        let name = self.free_name(&format!("{name}_skew"));
        let wish = layer.hardware.fifo.as_ref().and_then(|depths| depths.value.get(input));
        let depth = wish.map(|&depth| small(depth));
        self.buffers.push(Buffer { stage: self.stages.len(), input, depth });
        self.fifo(name, &layer.name, 2)
    }

    /// Whether words may come slower than one a cycle: the last stage is neither the input nor a window.
    pub fn is_slow(&self) -> bool {
        match self.stream {
            StreamId::Input(_) => false,
            StreamId::Stage { stage, .. } => self
                .stages
                .get(stage)
                .is_some_and(|stage| stage.module != "hwgen_sliding_window" && stage.module != "hwgen_line_window"),
        }
    }

    /// Adds a sliding window; the stream must already have the window's lanes.
    pub fn window(&mut self, stage: &WindowStage<'_>) -> Result<(), TimingError> {
        let WindowStage { name, layer, window, input, form, padding_code, channels_outer, rows_at_once } = *stage;
        let lanes = match form {
            WindowForm::Serial(lanes) => lanes,
            WindowForm::Parallel => input.channels,
        };
        let channel_words = input.channels / lanes;
        let shape = WindowShape {
            channel_words: small(channel_words),
            rows: small(input.rows),
            columns: small(input.columns),
            pad_top: small(window.padding_before[0]),
            pad_left: small(window.padding_before[1]),
            pad_bottom: small(window.padding_after[0]),
            pad_right: small(window.padding_after[1]),
            kernel_rows: small(window.kernel[0]),
            kernel_columns: small(window.kernel[1]),
            stride_rows: small(window.stride[0]),
            stride_columns: small(window.stride[1]),
            dilation_rows: small(window.dilation[0]),
            dilation_columns: small(window.dilation[1]),
        };
        let [out_rows, out_columns] = [u64::from(shape.out_rows()), u64::from(shape.out_columns())];
        let mask = (1i64 << self.word.lane_bits) - 1;
        let mut parameters = vec![
            ("LANE_BITS", number(self.word.lane_bits)),
            ("LANES", number(lanes)),
            ("ROWS", number(input.rows)),
            ("COLUMNS", number(input.columns)),
            ("PAD_TOP", number(window.padding_before[0])),
            ("PAD_LEFT", number(window.padding_before[1])),
            ("PAD_BOTTOM", number(window.padding_after[0])),
            ("PAD_RIGHT", number(window.padding_after[1])),
            ("PAD_CODE", number((padding_code & mask) as u64)),
            ("KERNEL_ROWS", number(window.kernel[0])),
            ("KERNEL_COLUMNS", number(window.kernel[1])),
            ("STRIDE_ROWS", number(window.stride[0])),
            ("STRIDE_COLUMNS", number(window.stride[1])),
            ("DILATION_ROWS", number(window.dilation[0])),
            ("DILATION_COLUMNS", number(window.dilation[1])),
            ("OUT_ROWS", number(out_rows)),
            ("OUT_COLUMNS", number(out_columns)),
        ];
        let word_bits = self.word.bits();
        let (module, word, words_per_frame, twin, memory) = match form {
            WindowForm::Serial(_) => {
                let row = (window.padding_before[1] + input.columns + window.padding_after[1]) * channel_words;
                let ahead = words_ahead(row, rows_at_once);
                let buffer_words = shape.recommended_buffer_words()?.saturating_add(small(ahead));
                parameters.insert(2, ("CHANNEL_WORDS", number(channel_words)));
                parameters.push(("CHANNEL_OUTER", number(u8::from(channels_outer))));
                parameters.push(("BUFFER_WORDS", number(buffer_words)));
                let twin = Twin::SlidingWindow(SlidingWindow::new(&shape, buffer_words)?);
                let memory = buffer_memory(u64::from(buffer_words), word_bits);
                ("hwgen_sliding_window", self.word, shape.output_words_per_frame(), twin, memory)
            }
            WindowForm::Parallel => {
                let word = Word { lanes: small(u64::from(self.word.lanes) * window.taps()), ..self.word };
                let lines = (window.kernel[0] - 1) * window.dilation[0];
                let places = window.padding_before[1] + input.columns + window.padding_after[1];
                let memory = buffer_memory(places, small(lines * u64::from(word_bits)));
                ("hwgen_line_window", word, out_rows * out_columns, Twin::LineWindow(LineWindow::new(&shape)?), memory)
            }
        };
        parameters.push(("MEMORY", memory_style(memory)));
        let content = EdgeContent {
            order: EdgeOrder::Windows {
                positions: [out_rows, out_columns],
                kernel: window.kernel,
                stride: window.stride,
                dilation: window.dilation,
                padding_before: window.padding_before,
                padding_code,
                channel_groups: if channels_outer { channel_words } else { 1 },
            },
            ..self.content.clone()
        };
        self.push(NewStage {
            name: format!("{name}_window"),
            module: module.to_owned(),
            parameters,
            layer: layer.to_owned(),
            word,
            words_per_frame,
            content,
            twin,
        });
        Ok(())
    }

    /// `name`, or the first of `name_2`, `name_3`, ... that no stage has.
    pub fn free_name(&self, name: &str) -> String {
        let taken = |candidate: &str| self.stages.iter().any(|stage| stage.name == candidate);
        if !taken(name) {
            return name.to_owned();
        }
        (2..).map(|number| format!("{name}_{number}")).find(|candidate| !taken(candidate)).unwrap_or_default()
    }
}

/// Where a buffer of so many words lies.
pub(super) fn buffer_memory(words: u64, word_bits: u32) -> Memory {
    if words * u64::from(word_bits) >= BLOCK_BUFFER_BITS { Memory::Block } else { Memory::Lut }
}

/// The Verilog value of a memory style parameter.
pub(super) fn memory_style(memory: Memory) -> Expr {
    match memory {
        Memory::Lut => string("distributed"),
        Memory::Block => string("block"),
    }
}

/// A string parameter; names and paths of hwgen need no escapes.
pub(super) fn string(text: &str) -> Expr {
    Expr::name(format!("\"{text}\""))
}

/// A plain decimal parameter.
pub(super) fn number(value: impl Into<u64>) -> Expr {
    Expr::Integer(value.into() as i64)
}

/// A side of a shape as the timing model takes it; sides beyond 32 bits are refused there.
fn small(side: u64) -> u32 {
    u32::try_from(side).unwrap_or(u32::MAX)
}
