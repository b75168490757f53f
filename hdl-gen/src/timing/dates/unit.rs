//! A module of a graph as the dates of its moves.

use super::channel::Channel;
use super::level::Level;
use super::pipe::{MatrixDates, PoolDates, ReductionDates};
use super::rearrange::RearrangeDates;
use super::stream::{AdapterDates, ConcatDates, FifoDates, ForkDates};
use super::visit::Visitor;
use super::window::{LineDates, SlidingDates};
use crate::timing::{Fork, Twin};

/// What of a twin decides dates.
#[derive(Clone, Debug)]
enum Rule {
    Fifo(FifoDates),
    Adapter(AdapterDates),
    Fork(ForkDates),
    Matrix(MatrixDates),
    Sliding(Box<SlidingDates>),
    Line(Box<LineDates>),
    Pool(PoolDates),
    Reduction(ReductionDates),
    Join(MatrixDates),
    Concat(ConcatDates),
    Rearrange(Box<RearrangeDates>),
}

impl Rule {
    /// The most words on one of its outputs that it has offered, or asks after.
    fn outstanding(&self) -> u64 {
        match self {
            Rule::Fifo(dates) => dates.outstanding(),
            Rule::Adapter(dates) => dates.outstanding(),
            Rule::Fork(dates) => dates.outstanding(),
            Rule::Matrix(dates) | Rule::Join(dates) => dates.outstanding(),
            Rule::Sliding(dates) => dates.outstanding(),
            Rule::Line(dates) => dates.outstanding(),
            Rule::Pool(dates) => dates.outstanding(),
            Rule::Reduction(dates) => dates.outstanding(),
            Rule::Concat(dates) => dates.outstanding(),
            Rule::Rearrange(dates) => dates.outstanding(),
        }
    }
}

/// A module with its streams.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    rule: Rule,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    level: Level,
}

impl Unit {
    /// The module after reset. `levels`: what it holds is kept.
    pub(super) fn new(twin: &Twin, inputs: &[usize], outputs: &[usize], levels: bool) -> Self {
        let (mut start, mut amounts, mut capacity) = (0, [1; 2], None);
        let mut on = levels;
        let rule = match twin {
            Twin::Fifo(twin) => Rule::Fifo(FifoDates::new(twin)),
            // Graphs with these are clocked, see `Graph::has_modes`, so that this rule is never asked.
            Twin::ModeGate(_) | Twin::Serial(_) => Rule::Fork(ForkDates::new(&Fork::default(), false)),
            Twin::WidthAdapter(twin) => {
                let dates = AdapterDates::new(twin);
                amounts = dates.amounts();
                // What is left over of a word, and the next one.
                capacity = Some(amounts[0] + amounts[1] - 1);
                Rule::Adapter(dates)
            }
            Twin::Fork(twin) => {
                on = false;
                Rule::Fork(ForkDates::new(twin, levels))
            }
            Twin::Matrix(twin) => Rule::Matrix(MatrixDates::new(twin)),
            Twin::SlidingWindow(twin) => {
                capacity = Some(twin.buffer_words);
                Rule::Sliding(Box::new(SlidingDates::new(twin)))
            }
            Twin::LineWindow(twin) => Rule::Line(Box::new(LineDates::new(twin))),
            Twin::MaxPool(twin) => Rule::Pool(PoolDates::new(twin)),
            Twin::Reduction(twin) => Rule::Reduction(ReductionDates::new(twin)),
            Twin::Join(twin) => Rule::Join(MatrixDates::new(&twin.pipeline)),
            Twin::Concat(twin) => Rule::Concat(ConcatDates::new(twin)),
            Twin::Rearrange(twin) => {
                (start, capacity) = (twin.fill, Some(i64::MAX));
                Rule::Rearrange(Box::new(RearrangeDates::new(twin)))
            }
        };
        let words = || i64::try_from(rule.outstanding()).ok().filter(|&words| words > 0);
        let level = Level::new(on, start, amounts, capacity.or_else(words).unwrap_or(i64::MAX));
        Self { rule, inputs: inputs.to_vec(), outputs: outputs.to_vec(), level }
    }

    /// The most words on one of its outputs that it has offered, or asks after.
    pub(super) fn outstanding(&self) -> u64 {
        self.rule.outstanding()
    }

    /// Goes on as far as its streams are known.
    pub(super) fn advance(&mut self, channels: &mut [Channel]) {
        let (Some(&first), Some(&last)) = (self.inputs.first(), self.outputs.first()) else { return };
        let level = &mut self.level;
        match &mut self.rule {
            Rule::Fork(dates) => return dates.advance(first, &self.outputs, channels),
            Rule::Join(dates) => {
                level.see(&channels[last]);
                return dates.advance_join(&self.inputs, last, channels, level);
            }
            Rule::Concat(dates) => {
                level.see(&channels[last]);
                return dates.advance(&self.inputs, last, channels, level);
            }
            _ => {}
        }
        let Ok([input, output]) = channels.get_disjoint_mut([first, last]) else { return };
        match &mut self.rule {
            // What these hold is words written and not yet passed, not results.
            Rule::Sliding(dates) => {
                dates.advance(input, output, level);
                return level.merge();
            }
            Rule::Rearrange(dates) => {
                dates.advance(input, output, level);
                return level.merge();
            }
            _ => level.see(output),
        }
        match &mut self.rule {
            Rule::Fifo(dates) => dates.advance(input, output, level),
            Rule::Adapter(dates) => dates.advance(input, output, level),
            Rule::Matrix(dates) => dates.advance(input, output, level),
            Rule::Line(dates) => dates.advance(input, output, level),
            Rule::Pool(dates) => dates.advance(input, output, level),
            Rule::Reduction(dates) => dates.advance(input, output, level),
            Rule::Fork(_) | Rule::Join(_) | Rule::Concat(_) | Rule::Sliding(_) | Rule::Rearrange(_) => {}
        }
    }

    /// Whether it may go on when words of its outputs move.
    pub(super) fn is_held(&self, channels: &[Channel]) -> bool {
        match &self.rule {
            Rule::Matrix(dates) | Rule::Join(dates) if dates.replays() => true,
            Rule::Sliding(dates) => dates.is_held(),
            Rule::Rearrange(dates) => dates.is_held(),
            Rule::Line(_) => true,
            Rule::Fifo(_)
            | Rule::Adapter(_)
            | Rule::Fork(_)
            | Rule::Matrix(_)
            | Rule::Join(_)
            | Rule::Pool(_)
            | Rule::Reduction(_)
            | Rule::Concat(_) => self.inputs.iter().any(|&input| channels[input].waits()),
        }
    }

    /// Whether what it can promise follows from what it is promised.
    pub(super) fn hands_on(&self) -> bool {
        match &self.rule {
            Rule::Fifo(_) | Rule::Adapter(_) | Rule::Fork(_) | Rule::Pool(_) | Rule::Reduction(_) | Rule::Concat(_) => {
                true
            }
            Rule::Join(_) => true,
            Rule::Matrix(dates) => dates.passes_once(),
            Rule::Sliding(_) | Rule::Line(_) | Rule::Rearrange(_) => false,
        }
    }

    /// Promises room at an input, all of whose words it has come to.
    pub(super) fn open(&self, port: usize, channels: &mut [Channel]) {
        let Some(&last) = self.outputs.first() else { return };
        match &self.rule {
            Rule::Fork(dates) => return dates.open(port, &self.outputs, channels),
            Rule::Join(dates) => return dates.open_join(&self.inputs, last, channels),
            Rule::Concat(dates) => return dates.open(&self.inputs, last, channels),
            _ => {}
        }
        let Ok([input, output]) = channels.get_disjoint_mut([port, last]) else { return };
        match &self.rule {
            Rule::Fifo(dates) => dates.open(input, output),
            Rule::Adapter(dates) => dates.open(input, output),
            Rule::Matrix(dates) => dates.open(input, output),
            Rule::Sliding(dates) => dates.open(input),
            Rule::Pool(dates) => dates.open(input, output),
            Rule::Reduction(dates) => dates.open(input, output),
            Rule::Fork(_) | Rule::Join(_) | Rule::Concat(_) | Rule::Line(_) | Rule::Rearrange(_) => {}
        }
    }

    /// Whether it would take a word at a port, when nothing moves any more.
    pub(super) fn is_ready(&self, port: usize, channels: &[Channel]) -> bool {
        let Some(output) = self.outputs.first().map(|&output| &channels[output]) else { return false };
        match &self.rule {
            Rule::Fifo(dates) => dates.is_ready(output),
            Rule::Adapter(dates) => dates.is_ready(output),
            Rule::Fork(dates) => dates.is_ready(&self.outputs, channels),
            Rule::Matrix(dates) => dates.is_ready(output),
            Rule::Sliding(dates) => dates.is_ready(),
            Rule::Line(dates) => dates.is_ready(output),
            Rule::Pool(dates) => dates.is_ready(output),
            Rule::Reduction(dates) => dates.is_ready(output),
            Rule::Join(dates) => dates.is_ready(output) && self.inputs.iter().all(|&input| channels[input].is_full()),
            Rule::Concat(dates) => dates.is_ready(port, output),
            Rule::Rearrange(dates) => dates.is_ready(),
        }
    }

    /// The most it held up to the edge that ends `cycle`; only when nothing comes any more.
    pub(super) fn most(&mut self, cycle: u64, channels: &[Channel]) -> u32 {
        if let Rule::Fork(dates) = &mut self.rule {
            return dates.most(cycle, &self.outputs, channels);
        }
        if !matches!(self.rule, Rule::Sliding(_) | Rule::Rearrange(_)) {
            for &output in &self.outputs {
                self.level.see(&channels[output]);
            }
        }
        self.level.most(cycle)
    }

    /// All that later dates depend on, its outputs included.
    pub(super) fn visit(&mut self, channels: &mut [Channel], visitor: &mut Visitor<'_>) {
        let arrived = self.inputs.iter().map(|&input| channels[input].next).min().unwrap_or(0);
        let since = match &self.rule {
            Rule::Fifo(_) | Rule::Adapter(_) | Rule::Fork(_) | Rule::Pool(_) | Rule::Reduction(_) => arrived,
            Rule::Matrix(dates) | Rule::Join(dates) => dates.next(),
            Rule::Sliding(dates) => dates.next(),
            Rule::Line(dates) => dates.next(),
            Rule::Concat(dates) => dates.next(),
            Rule::Rearrange(dates) => dates.next(),
        };
        for &output in &self.outputs {
            channels[output].visit(since, visitor);
        }
        match &mut self.rule {
            Rule::Fifo(_) => {}
            Rule::Adapter(dates) => dates.visit(visitor),
            Rule::Fork(dates) => dates.visit(visitor),
            Rule::Matrix(dates) | Rule::Join(dates) => dates.visit(visitor),
            Rule::Sliding(dates) => dates.visit(visitor),
            Rule::Line(dates) => dates.visit(visitor),
            Rule::Pool(dates) => dates.visit(visitor),
            Rule::Reduction(dates) => dates.visit(visitor),
            Rule::Concat(dates) => dates.visit(visitor),
            Rule::Rearrange(dates) => dates.visit(visitor),
        }
        self.level.visit(visitor);
    }
}
