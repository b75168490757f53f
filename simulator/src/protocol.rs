//! The binary protocol between this crate and a model: one process, one request, one stream of records.
//!
//! All numbers are little-endian. A text is `u32 length, bytes`.
//!
//! Request, on standard input: `u32 0x33475748`, `u32 design`, `u8 observe`, `f64 stall_probability`, `u64 stall_seed`,
//! `u32 random_seed`, `u64 idle_limit_cycles`, `u64 max_cycles`, `u64 drain_cycles`, text `trace_path` (empty: no trace),
//! `u64 trace_from_cycle`, `u64 trace_from_frame` (all ones: by cycle), `u64 trace_cycles`, text `modes` (a byte for each frame, over and
//! over). Then for each frame `u8 1` and
//! the words of each input of `tdata_bits / 8` bytes each; after the last `u8 0`. The model reads a frame when an input is about to offer it.
//!
//! Records, on standard output, each with a tag before it:
//!
//! | tag | record | fields |
//! | --- | --- | --- |
//! | 1 | cycle of the words that follow | `u64 cycle` |
//! | 2 | a word moved on an edge | `u16 edge`, the word in whole bytes |
//! | 3 | a word was taken at an output port | `u16 output`, `u8 tlast`, `tdata_bits / 8` bytes |
//! | 4 | an output finished a frame | `u16 output`, `u64 frame`, `u64 cycle` |
//! | 5 | a rule was broken | `u8 kind`, `u64 cycle`, `u16 place` (edge, c000 + output port, or ffff none), text |
//! | 6 | still alive | `u64 cycle`, `u64 frames` |
//! | 7 | end | `u8 reason`, `u64` cycle, first input cycle, last output cycle (all ones: none), violations; `u32 inputs`, `u32 outputs` and `u32 edges`, behind each count for each `u64 words`, `u8 valid`, `u8 ready` |
//!
//! The design's own output goes to standard error.

use std::io::{self, Read};

use crate::report::ViolationKind;

pub(crate) const MAGIC: u32 = 0x3347_5748;
pub(crate) const NEVER: u64 = u64::MAX;
/// Place of the first output in a violation; places below are edges.
pub(crate) const AT_OUTPUTS: u16 = 0xc000;
/// Edges that can be numbered.
pub(crate) const EDGES_MOST: usize = AT_OUTPUTS as usize;
/// Most inputs of a design.
pub(crate) const INPUTS_MOST: usize = 0x1000;
/// Outputs that can be numbered.
pub(crate) const OUTPUTS_MOST: usize = 0x1000;
/// Longest text that a model sends; more means that the stream is broken.
const TEXT_BYTES_MOST: u32 = 1 << 20;

/// The request without its frames.
pub(crate) struct RequestHeader {
    pub design: u32,
    pub observe: bool,
    pub stall_probability: f64,
    pub stall_seed: u64,
    pub random_seed: u32,
    pub idle_limit_cycles: u64,
    pub max_cycles: u64,
    pub drain_cycles: u64,
    pub trace_path: Vec<u8>,
    pub trace_from_cycle: u64,
    pub trace_from_frame: u64,
    pub trace_cycles: u64,
    pub modes: Vec<u8>,
}

impl RequestHeader {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC.to_le_bytes());
        out.extend(self.design.to_le_bytes());
        out.push(u8::from(self.observe));
        out.extend(self.stall_probability.to_le_bytes());
        out.extend(self.stall_seed.to_le_bytes());
        out.extend(self.random_seed.to_le_bytes());
        out.extend(self.idle_limit_cycles.to_le_bytes());
        out.extend(self.max_cycles.to_le_bytes());
        out.extend(self.drain_cycles.to_le_bytes());
        out.extend((self.trace_path.len() as u32).to_le_bytes());
        out.extend(&self.trace_path);
        out.extend(self.trace_from_cycle.to_le_bytes());
        out.extend(self.trace_from_frame.to_le_bytes());
        out.extend(self.trace_cycles.to_le_bytes());
        out.extend((self.modes.len() as u32).to_le_bytes());
        out.extend(&self.modes);
        out
    }
}

/// How the model says that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Complete,
    Hang,
    CycleLimit,
    DesignStopped,
    DesignFatal,
    BadModel,
}

/// The last record.
pub(crate) struct Summary {
    pub reason: Reason,
    pub cycle: u64,
    pub first_input_cycle: Option<u64>,
    pub last_output_cycle: Option<u64>,
    pub violations: u64,
    /// Words, valid and ready of each input.
    pub inputs: Vec<(u64, bool, bool)>,
    /// Words, valid and ready of each output.
    pub outputs: Vec<(u64, bool, bool)>,
    /// Words, valid and ready of each edge.
    pub edges: Vec<(u64, bool, bool)>,
}

/// One record; the bytes of a word are in the decoder's buffer.
pub(crate) enum Record {
    Word { edge: usize },
    Output { output: usize, last: bool },
    FrameEnd { output: usize, frame: u64, cycle: u64 },
    Violation { kind: ViolationKind, cycle: u64, place: u16, text: String },
    Progress { cycle: u64, frames: u64 },
    End(Box<Summary>),
}

/// Reads records.
pub(crate) struct Decoder<R> {
    input: R,
    /// Inputs of the design.
    inputs: usize,
    edge_bytes: Vec<usize>,
    output_bytes: Vec<usize>,
    /// Cycle of the last word.
    pub cycle: u64,
    /// Bytes of the last word.
    pub word: Vec<u8>,
}

impl<R: Read> Decoder<R> {
    /// A decoder for a design with words of so many bytes on its edges and at its outputs.
    pub(crate) fn new(input: R, inputs: usize, edge_bytes: Vec<usize>, output_bytes: Vec<usize>) -> Self {
        Self { input, inputs, edge_bytes, output_bytes, cycle: 0, word: Vec::new() }
    }

    /// The next record; an error when the stream ends before its end record or makes no sense.
    pub(crate) fn next(&mut self) -> io::Result<Record> {
        loop {
            return Ok(match self.u8()? {
                1 => {
                    self.cycle = self.u64()?;
                    continue;
                }
                2 => {
                    let edge = usize::from(self.u16()?);
                    let bytes = *self.edge_bytes.get(edge).ok_or_else(|| broken("an unknown edge"))?;
                    self.read_word(bytes)?;
                    Record::Word { edge }
                }
                3 => {
                    let output = usize::from(self.u16()?);
                    let bytes = *self.output_bytes.get(output).ok_or_else(|| broken("an unknown output"))?;
                    let last = self.u8()? != 0;
                    self.read_word(bytes)?;
                    Record::Output { output, last }
                }
                4 => Record::FrameEnd { output: usize::from(self.u16()?), frame: self.u64()?, cycle: self.u64()? },
                5 => Record::Violation {
                    kind: violation_kind(self.u8()?)?,
                    cycle: self.u64()?,
                    place: self.u16()?,
                    text: self.text()?,
                },
                6 => Record::Progress { cycle: self.u64()?, frames: self.u64()? },
                7 => Record::End(Box::new(self.summary()?)),
                _ => return Err(broken("an unknown tag")),
            });
        }
    }

    fn read_word(&mut self, bytes: usize) -> io::Result<()> {
        self.word.resize(bytes, 0);
        self.input.read_exact(&mut self.word)
    }

    fn summary(&mut self) -> io::Result<Summary> {
        let reason = reason(self.u8()?)?;
        let some = |cycle: u64| (cycle != NEVER).then_some(cycle);
        let cycle = self.u64()?;
        let first_input_cycle = some(self.u64()?);
        let last_output_cycle = some(self.u64()?);
        let violations = self.u64()?;
        let inputs = self.streams(self.inputs)?;
        let outputs = self.streams(self.output_bytes.len())?;
        let edges = self.streams(self.edge_bytes.len())?;
        Ok(Summary { reason, cycle, first_input_cycle, last_output_cycle, violations, inputs, outputs, edges })
    }

    /// A count of at most `most`, and for each words, valid and ready.
    fn streams(&mut self, most: usize) -> io::Result<Vec<(u64, bool, bool)>> {
        let count = self.u32()? as usize;
        if count > most {
            return Err(broken("too many streams"));
        }
        (0..count).map(|_| Ok((self.u64()?, self.u8()? != 0, self.u8()? != 0))).collect()
    }

    fn text(&mut self) -> io::Result<String> {
        let length = self.u32()?;
        if length > TEXT_BYTES_MOST {
            return Err(broken("a text without end"));
        }
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn array<const BYTES: usize>(&mut self) -> io::Result<[u8; BYTES]> {
        let mut bytes = [0; BYTES];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u8(&mut self) -> io::Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> io::Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> io::Result<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

fn reason(code: u8) -> io::Result<Reason> {
    Ok(match code {
        0 => Reason::Complete,
        1 => Reason::Hang,
        2 => Reason::CycleLimit,
        3 => Reason::DesignStopped,
        4 => Reason::DesignFatal,
        5 => Reason::BadModel,
        _ => return Err(broken("an unknown reason")),
    })
}

fn violation_kind(code: u8) -> io::Result<ViolationKind> {
    Ok(match code {
        0 => ViolationKind::ValidDropped,
        1 => ViolationKind::DataChanged,
        2 => ViolationKind::LastChanged,
        3 => ViolationKind::LastWrong,
        4 => ViolationKind::ExtraWord,
        5 => ViolationKind::Assertion,
        6 => ViolationKind::Finished,
        7 => ViolationKind::Warning,
        8 => ViolationKind::Fatal,
        _ => return Err(broken("an unknown kind of violation")),
    })
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it sent {what}"))
}
