//! The reading side of a run: turns records into events and keeps what the report needs.

use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;

use network::manifest::Manifest;

use super::Event;
use crate::protocol::{AT_OUTPUT, Decoder, Reason, Record, Summary};
use crate::report::{EdgeReport, End, Hang, SimReport, StreamState, Violation, constant_distance};
use crate::words::word_bytes;

/// What has been read so far.
pub(super) struct Session<'a> {
    manifest: &'a Manifest,
    event: &'a mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    edge_words: Vec<u64>,
    output_words: u64,
    frame_end_cycles: Vec<u64>,
    violations: Vec<Violation>,
    cycle: u64,
}

impl<'a> Session<'a> {
    pub(super) fn new(manifest: &'a Manifest, event: &'a mut dyn FnMut(Event<'_>) -> ControlFlow<()>) -> Self {
        let edge_words = vec![0; manifest.edges.len()];
        Self {
            manifest,
            event,
            edge_words,
            output_words: 0,
            frame_end_cycles: Vec::new(),
            violations: Vec::new(),
            cycle: 0,
        }
    }

    /// Reads to the end record; `None` when the caller broke off.
    pub(super) fn follow(&mut self, from_child: impl Read) -> io::Result<Option<Box<Summary>>> {
        let edge_bytes = self.manifest.edges.iter().map(|edge| word_bytes(&edge.word)).collect();
        let output_bytes = self.manifest.output.tdata_bits as usize / 8;
        let mut decoder = Decoder::new(BufReader::with_capacity(1 << 18, from_child), edge_bytes, output_bytes);
        loop {
            let flow = match decoder.next()? {
                Record::Word { edge } => {
                    self.cycle = decoder.cycle;
                    let Some(words) = self.edge_words.get_mut(edge) else { continue };
                    let index = *words;
                    *words += 1;
                    (self.event)(Event::Word { edge, index, cycle: decoder.cycle, data: &decoder.word })
                }
                Record::Output { last } => {
                    self.cycle = decoder.cycle;
                    let index = self.output_words;
                    self.output_words += 1;
                    (self.event)(Event::Output { index, cycle: decoder.cycle, data: &decoder.word, last })
                }
                Record::FrameEnd { frame, cycle } => {
                    self.frame_end_cycles.push(cycle);
                    (self.event)(Event::FrameEnd { frame, cycle })
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
        if place == AT_OUTPUT {
            return Some("m_axis".into());
        }
        self.manifest.edges.get(usize::from(place)).map(|edge| edge.name.clone())
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
        SimReport {
            design: self.manifest.name.clone(),
            end,
            frames: self.frame_end_cycles.len() as u64,
            input_words: summary.map_or(0, |summary| summary.input_words),
            output_words: self.output_words,
            cycles,
            first_input_cycle,
            initiation_interval: constant_distance(&self.frame_end_cycles),
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
    let [(s_valid, s_ready), (m_valid, m_ready)] = summary.ports;
    let port = |name: &str, valid, ready, words, words_per_frame| StreamState {
        name: name.into(),
        valid,
        ready,
        words,
        words_per_frame,
    };
    let mut streams = vec![port("s_axis", s_valid, s_ready, summary.input_words, manifest.input.words_per_frame)];
    for (edge, &(words, valid, ready)) in manifest.edges.iter().zip(&summary.edges) {
        streams.push(port(&edge.name, valid, ready, words, edge.words_per_frame));
    }
    streams.push(port("m_axis", m_valid, m_ready, summary.output_words, manifest.output.words_per_frame));
    Hang { cycle: summary.cycle, streams }
}
