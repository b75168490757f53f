//! The reading side of a run: turns records into events and keeps what the report needs.

use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;

use network::manifest::Manifest;

use super::Event;
use crate::protocol::{AT_OUTPUTS, Decoder, Reason, Record, Summary};
use crate::report::{EdgeReport, End, Hang, SimReport, StreamState, Violation, complete_ends, constant_distance};
use crate::words::word_bytes;

/// What has been read so far.
pub(super) struct Session<'a> {
    manifest: &'a Manifest,
    event: &'a mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    edge_words: Vec<u64>,
    output_words: Vec<u64>,
    frame_end_cycles: Vec<Vec<u64>>,
    violations: Vec<Violation>,
    cycle: u64,
}

impl<'a> Session<'a> {
    pub(super) fn new(manifest: &'a Manifest, event: &'a mut dyn FnMut(Event<'_>) -> ControlFlow<()>) -> Self {
        let (edge_words, outputs) = (vec![0; manifest.edges.len()], manifest.outputs.len());
        Self {
            manifest,
            event,
            edge_words,
            output_words: vec![0; outputs],
            frame_end_cycles: vec![Vec::new(); outputs],
            violations: Vec::new(),
            cycle: 0,
        }
    }

    /// Reads to the end record; `None` when the caller broke off.
    pub(super) fn follow(&mut self, from_child: impl Read) -> io::Result<Option<Box<Summary>>> {
        let edge_bytes = self.manifest.edges.iter().map(|edge| word_bytes(&edge.word)).collect();
        let output_bytes = self.manifest.outputs.iter().map(|output| output.port.tdata_bits as usize / 8).collect();
        let mut decoder = Decoder::new(
            BufReader::with_capacity(1 << 18, from_child),
            self.manifest.inputs.len(),
            edge_bytes,
            output_bytes,
        );
        loop {
            let flow = match decoder.next()? {
                Record::Word { edge } => {
                    self.cycle = decoder.cycle;
                    let Some(words) = self.edge_words.get_mut(edge) else { continue };
                    let index = *words;
                    *words += 1;
                    (self.event)(Event::Word { edge, index, cycle: decoder.cycle, data: &decoder.word })
                }
                Record::Output { output, last } => {
                    self.cycle = decoder.cycle;
                    let Some(words) = self.output_words.get_mut(output) else { continue };
                    let index = *words;
                    *words += 1;
                    (self.event)(Event::Output { output, index, cycle: decoder.cycle, data: &decoder.word, last })
                }
                Record::FrameEnd { output, frame, cycle } => {
                    let Some(ends) = self.frame_end_cycles.get_mut(output) else { continue };
                    ends.push(cycle);
                    (self.event)(Event::FrameEnd { output, frame, cycle })
                }
                Record::Violation { kind, cycle, place, text } => {
                    let violation = Violation { kind, cycle, edge: self.place(place), text };
                    let flow = (self.event)(Event::Violation(&violation));
                    self.violations.push(violation);
                    flow
                }
                Record::Progress { cycle, frames } => {
                    self.cycle = cycle;
                    (self.event)(Event::Progress { cycle, frames })
                }
                Record::End(summary) => return Ok(Some(summary)),
            };
            if flow.is_break() {
                return Ok(None);
            }
        }
    }

    fn place(&self, place: u16) -> Option<String> {
        match place.checked_sub(AT_OUTPUTS) {
            Some(output) => self.manifest.outputs.get(usize::from(output)).map(|output| output.prefix.clone()),
            None => self.manifest.edges.get(usize::from(place)).map(|edge| edge.name.clone()),
        }
    }

    pub(super) fn report(self, summary: Option<&Summary>, messages: String) -> SimReport {
        let end = summary.map_or(End::Stopped, |summary| match summary.reason {
            Reason::Complete => End::Complete,
            Reason::Hang => End::Hang,
            Reason::CycleLimit => End::CycleLimit,
            Reason::DesignStopped => End::DesignStopped,
            Reason::DesignFatal | Reason::BadModel => End::ModelFailed,
        });
        let words = |position: usize| match summary.and_then(|summary| summary.edges.get(position)) {
            Some((words, _, _)) => *words,
            None => self.edge_words.get(position).copied().unwrap_or(0),
        };
        let edges: Vec<EdgeReport> = (self.manifest.edges.iter().enumerate())
            .map(|(position, edge)| EdgeReport { name: edge.name.clone(), words: words(position) })
            .collect();
        let first_input_cycle = summary.and_then(|summary| summary.first_input_cycle);
        let last_output_cycle = summary.and_then(|summary| summary.last_output_cycle);
        let cycles = match (first_input_cycle, last_output_cycle) {
            (Some(first), Some(last)) if last >= first => last - first + 1,
            _ => 0,
        };
        let complete = complete_ends(&self.frame_end_cycles);
        SimReport {
            design: self.manifest.name.clone(),
            end,
            frames: complete.len() as u64,
            input_words: summary.map_or(0, |summary| summary.inputs.iter().map(|(words, _, _)| words).sum()),
            output_words: self.output_words.iter().sum(),
            cycles,
            first_input_cycle,
            initiation_interval: constant_distance(&complete),
            frame_end_cycles: self.frame_end_cycles,
            simulated_cycles: summary.map_or(self.cycle, |summary| summary.cycle) + 1,
            edges,
            violations_count: summary.map_or(self.violations.len() as u64, |summary| summary.violations),
            violations: self.violations,
            hang: summary.filter(|_| end == End::Hang).map(|summary| hang(self.manifest, summary)),
            messages,
        }
    }
}

fn hang(manifest: &Manifest, summary: &Summary) -> Hang {
    let port = |name: &str, valid, ready, words, words_per_frame| StreamState {
        name: name.into(),
        valid,
        ready,
        words,
        words_per_frame,
    };
    let mut streams = Vec::new();
    for (input, &(words, valid, ready)) in manifest.inputs.iter().zip(&summary.inputs) {
        streams.push(port(&input.prefix, valid, ready, words, input.port.words_per_frame));
    }
    for (edge, &(words, valid, ready)) in manifest.edges.iter().zip(&summary.edges) {
        streams.push(port(&edge.name, valid, ready, words, edge.words_per_frame));
    }
    for (output, &(words, valid, ready)) in manifest.outputs.iter().zip(&summary.outputs) {
        streams.push(port(&output.prefix, valid, ready, words, output.port.words_per_frame));
    }
    Hang { cycle: summary.cycle, streams }
}
