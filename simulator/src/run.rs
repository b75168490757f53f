//! One run of one design: frames in, events and a report out.

mod partial_file;
mod session;

use std::io::{self, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use self::partial_file::PartialFile;
use self::session::Session;
use crate::process::tail;
use crate::protocol::{NEVER, RequestHeader};
use crate::report::{SimReport, Violation};
use crate::words::frame_bytes;
use crate::{Cancel, DesignFolder, Model, SimulatorError, TraceFormat};

/// Bytes of the design's own output that are kept.
const MESSAGE_BYTES: usize = 64 << 10;

/// What to run.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Index of the design in the model.
    pub design: usize,
    /// Send every word of every edge as an event; without, only the outputs'.
    pub observe_edges: bool,
    /// When the ends do nothing.
    pub stalls: Stalls,
    /// Modes of the frames, over and over; empty: mode 0. The mode of a frame that differs from that of the frame before
    /// (0 before the first) is written to the mode register in the cycle after the first word of the frame before, or in
    /// cycle 0, and the frame is offered a cycle later at the earliest.
    pub modes: Vec<u8>,
    /// Seed of what flip-flops and memories hold before reset.
    pub random_seed: u32,
    /// The run is a hang when no word has moved anywhere for so many cycles while work is pending.
    pub idle_limit_cycles: u64,
    /// The run ends after so many cycles.
    pub max_cycles: Option<u64>,
    /// Cycles after the last word in which any further word is a violation.
    pub drain_cycles: u64,
    /// Where to write a trace; the model must have been built for its format.
    pub trace: Option<Trace>,
    /// Ends the run.
    pub cancel: Cancel,
}

impl RunRequest {
    /// All edges observed, no stalls, a generous limit on idle cycles, no trace.
    pub fn new(design: usize) -> Self {
        Self {
            design,
            observe_edges: true,
            stalls: Stalls::default(),
            modes: Vec::new(),
            random_seed: 1,
            idle_limit_cycles: 200_000,
            max_cycles: None,
            drain_cycles: 64,
            trace: None,
            cancel: Cancel::new(),
        }
    }
}

/// The stall pattern of [`crate::stall::is_stalled`] at all ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stalls {
    /// Share of stalled cycles, in 0..=1.
    pub probability: f64,
    /// Seed of the pattern.
    pub seed: u64,
}

/// A window of a run to trace.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The file; its ending chooses the format. It appears whole, when the run ends.
    pub path: PathBuf,
    /// Where the window begins.
    pub from: TraceFrom,
    /// Its length; the whole rest where absent.
    pub cycles: Option<u64>,
}

/// Where a trace begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFrom {
    /// With the reset.
    Reset,
    /// With this cycle.
    Cycle(u64),
    /// When the source has fetched this frame, counted from 0, to offer its first word.
    Frame(u64),
}

/// What happened during a run, in the order of cycles.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// A word moved on an edge.
    Word {
        /// Index in the manifest's `edges`.
        edge: usize,
        /// Number of the word on this edge, from 0.
        index: u64,
        /// The rising edge at which it moved.
        cycle: u64,
        /// The word, little-endian; bits above its width are 0.
        data: &'a [u8],
    },
    /// A word was taken at an output.
    Output {
        /// Index in the manifest's `outputs`.
        output: usize,
        /// Number of the word at this output, from 0.
        index: u64,
        /// The rising edge at which it moved.
        cycle: u64,
        /// Its `tdata`.
        data: &'a [u8],
        /// Its `tlast`.
        last: bool,
    },
    /// An output has finished a frame.
    FrameEnd {
        /// Index in the manifest's `outputs`.
        output: usize,
        /// Number of the frame, from 0.
        frame: u64,
        /// The cycle of its last word.
        cycle: u64,
    },
    /// A rule was broken; it is in the report too.
    Violation(&'a Violation),
    /// Nothing but time has passed.
    Progress {
        /// The current cycle.
        cycle: u64,
        /// Frames that every output has finished.
        frames: u64,
    },
}

impl Model {
    /// Runs one design on `frames` (of each input `words_per_frame` words of `tdata_bits / 8` bytes, as
    /// [`crate::words::pack_frame`] makes them, one input after the other), taken one by one as the design takes them, back to back.
    ///
    /// The model runs in the design's folder. When `event` breaks, the run ends as [`End::Stopped`].
    ///
    /// # Errors
    /// A frame of the wrong length, a missing memory image, a model that breaks off, or a cancel. A design that misbehaves
    /// is no error: see the report.
    pub fn run(
        &self,
        request: &RunRequest,
        frames: impl Iterator<Item = Vec<u8>> + Send,
        event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<SimReport, SimulatorError> {
        let design = self
            .designs
            .get(request.design)
            .ok_or_else(|| SimulatorError::Request(format!("the model holds no design {}", request.design)))?;
        let trace = request.trace.as_ref().map(|trace| PartialFile::new(&trace.path)).transpose()?;
        let modes = design.manifest().modes.unwrap_or(1);
        if let Some(mode) = request.modes.iter().find(|mode| u32::from(**mode) >= modes) {
            return Err(SimulatorError::Request(format!("the design has {modes} modes, none is {mode}")));
        }
        let header = self.header(request, trace.as_ref())?;
        check_memories(design)?;
        request.cancel.check()?;
        let mut child = Command::new(&self.executable)
            .current_dir(design.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(SimulatorError::io(&self.executable))?;
        let (Some(to_child), Some(from_child), Some(messages)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(SimulatorError::Request("the model has no pipes".into()));
        };
        let child = Mutex::new(KillOnDrop(child));
        let kill = || child.lock().unwrap_or_else(PoisonError::into_inner).kill();
        let report = std::thread::scope(|scope| {
            let (done, waits) = mpsc::channel();
            scope.spawn(|| watch(waits, &request.cancel, kill));
            let bytes = design.manifest().inputs.iter().map(|input| frame_bytes(&input.port)).sum();
            let sender = scope.spawn(move || send(to_child, &header, bytes, frames));
            let listener = scope.spawn(move || listen(messages));
            let mut session = Session::new(design.manifest(), event);
            let outcome = session.follow(from_child);
            if !matches!(outcome, Ok(Some(_))) {
                kill();
            }
            let messages = listener.join().unwrap_or_default();
            let sent = sender.join().unwrap_or(Ok(()));
            drop(done);
            request.cancel.check()?;
            sent?;
            let summary = outcome.map_err(|error| SimulatorError::Broken {
                design: design.manifest().name.clone(),
                problem: child.lock().unwrap_or_else(PoisonError::into_inner).ended(&error),
                text: messages.clone(),
            })?;
            Ok(session.report(summary.as_deref(), messages))
        })?;
        if let Some(trace) = trace {
            trace.publish()?;
        }
        Ok(report)
    }

    fn header(&self, request: &RunRequest, trace: Option<&PartialFile>) -> Result<RequestHeader, SimulatorError> {
        if !(0.0..=1.0).contains(&request.stalls.probability) {
            return Err(SimulatorError::Request(format!(
                "a stall probability is in 0..=1, not {}",
                request.stalls.probability
            )));
        }
        if let Some(trace) = &request.trace
            && self.trace != Some(TraceFormat::of(&trace.path)?)
        {
            return Err(SimulatorError::Request(format!(
                "{}: the model was not built to write it",
                trace.path.display()
            )));
        }
        let (trace_from_cycle, trace_from_frame) = match request.trace.as_ref().map(|trace| trace.from) {
            None | Some(TraceFrom::Reset) => (0, NEVER),
            Some(TraceFrom::Cycle(cycle)) => (cycle, NEVER),
            Some(TraceFrom::Frame(frame)) => (0, frame),
        };
        Ok(RequestHeader {
            design: request.design as u32,
            observe: request.observe_edges,
            stall_probability: request.stalls.probability,
            stall_seed: request.stalls.seed,
            random_seed: request.random_seed,
            idle_limit_cycles: request.idle_limit_cycles.max(1),
            max_cycles: request.max_cycles.unwrap_or(u64::MAX),
            drain_cycles: request.drain_cycles.max(1),
            trace_path: trace.map(|trace| trace.partial.as_os_str().as_encoded_bytes().to_vec()).unwrap_or_default(),
            trace_from_cycle,
            trace_from_frame,
            trace_cycles: request.trace.as_ref().and_then(|trace| trace.cycles).unwrap_or(u64::MAX).max(1),
            modes: request.modes.clone(),
        })
    }
}

fn check_memories(design: &DesignFolder) -> Result<(), SimulatorError> {
    for name in &design.manifest().memories {
        let path = design.folder().join(name);
        path.metadata().map_err(SimulatorError::io(path))?;
    }
    Ok(())
}

/// Kills the model when the caller cancels; ends when the run does.
fn watch(done: Receiver<()>, cancel: &Cancel, kill: impl Fn()) {
    while done.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
        if cancel.is_cancelled() {
            kill();
            return;
        }
    }
}

/// Writes the request; a model that has ended early is no error here.
fn send(
    to_child: impl Write,
    header: &RequestHeader,
    bytes: usize,
    frames: impl Iterator<Item = Vec<u8>>,
) -> Result<(), SimulatorError> {
    let mut out = BufWriter::with_capacity(1 << 18, to_child);
    if out.write_all(&header.to_bytes()).is_err() {
        return Ok(());
    }
    for (number, frame) in frames.enumerate() {
        if frame.len() != bytes {
            return Err(SimulatorError::Request(format!("frame {number} has {} bytes, not {bytes}", frame.len())));
        }
        if out.write_all(&[1]).and_then(|()| out.write_all(&frame)).is_err() {
            return Ok(());
        }
    }
    let _ = out.write_all(&[0]).and_then(|()| out.flush());
    Ok(())
}

/// Reads the design's own output and keeps its end.
fn listen(mut messages: impl Read) -> String {
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = messages.read(&mut chunk) {
        kept.extend_from_slice(&chunk[..count]);
        if kept.len() > 2 * MESSAGE_BYTES {
            kept.drain(..kept.len() - MESSAGE_BYTES);
        }
    }
    tail(&kept, MESSAGE_BYTES)
}

/// A child that does not outlive the run.
struct KillOnDrop(Child);

impl KillOnDrop {
    fn kill(&mut self) {
        let _ = self.0.kill();
    }

    fn ended(&mut self, error: &io::Error) -> String {
        match self.0.wait() {
            Ok(status) if error.kind() == io::ErrorKind::UnexpectedEof => format!("it ended with {status}"),
            Ok(_) | Err(_) => error.to_string(),
        }
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.kill();
        let _ = self.0.wait();
    }
}
