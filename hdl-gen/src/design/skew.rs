//! Why a FIFO in front of a join is as deep as it is: where the branches part, and what on the other one is late.

use super::{Design, StreamId};
use crate::timing::Twin;
use std::collections::{BTreeMap, BTreeSet};

/// The cause of a skew between two inputs of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkewCause {
    /// The plan's layer whose words wait, or `input`.
    pub waiting: String,
    /// The plan's layer whose words come later, or `input`.
    pub late: String,
    /// The plan's layer behind which the two branches part; none where they begin at different inputs.
    pub parted: Option<String>,
    /// The module of the late branch that has to collect the largest part of a frame before its first word leaves.
    pub collector: Option<String>,
}

/// A branch that ends at a stage: how much of a frame is collected on it, in millionths, and by whom most.
#[derive(Clone, Copy, Default)]
struct Lag {
    all: u64,
    most: u64,
    by: Option<usize>,
}

impl Design {
    /// The cause of the skew at the FIFO that is stage `buffer`; none where the join has nothing to compare with.
    pub(super) fn skew_cause(&self, buffer: usize) -> Option<SkewCause> {
        let join = self.stages.iter().find(|stage| stage.inputs.len() > 1 && self.stands_before(buffer, stage))?;
        let own = self.ancestors(buffer);
        let others = join.inputs.iter().filter_map(|input| self.stage_of(*input)).map(|end| self.buffer_behind(end));
        let late = others
            .filter(|&other| other != buffer)
            .map(|other| {
                let theirs = self.ancestors(other);
                let fork = own.intersection(&theirs).max().copied();
                (self.lag(other, fork), other, fork)
            })
            .max_by_key(|(lag, _, _)| lag.all)?;
        let (lag, other, fork) = late;
        Some(SkewCause {
            waiting: self.layer_before(buffer),
            late: self.layer_before(other),
            parted: fork.and_then(|fork| self.stages.get(fork)).map(|stage| stage.layer.clone()),
            collector: lag.by.and_then(|stage| self.stages.get(stage)).map(|stage| stage.name.clone()),
        })
    }

    fn stage_of(&self, stream: StreamId) -> Option<usize> {
        match stream {
            StreamId::Input(_) => None,
            StreamId::Stage { stage, .. } => Some(stage),
        }
    }

    /// The FIFO in front of a join's input that ends at `end`: an adapter may stand between.
    fn buffer_behind(&self, end: usize) -> usize {
        let is_buffer = |stage: usize| self.buffers.iter().any(|buffer| buffer.stage == stage);
        let mut stage = end;
        while !is_buffer(stage) {
            match self.stages.get(stage).map(|stage| stage.inputs.as_slice()) {
                Some(&[StreamId::Stage { stage: before, .. }]) => stage = before,
                _ => return end,
            }
        }
        stage
    }

    fn stands_before(&self, buffer: usize, join: &super::Stage) -> bool {
        join.inputs.iter().filter_map(|input| self.stage_of(*input)).any(|end| self.buffer_behind(end) == buffer)
    }

    /// The layer that makes what enters a FIFO.
    fn layer_before(&self, buffer: usize) -> String {
        let own = self.stages.get(buffer).map_or("", |stage| &stage.layer);
        let mut stage = buffer;
        loop {
            let Some(row) = self.stages.get(stage) else { return own.to_owned() };
            if row.layer != own {
                return row.layer.clone();
            }
            match row.inputs.first() {
                Some(&StreamId::Stage { stage: before, .. }) => stage = before,
                _ => return "input".to_owned(),
            }
        }
    }

    /// Everything that feeds a stage, itself included.
    fn ancestors(&self, stage: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut open = vec![stage];
        while let Some(stage) = open.pop() {
            if seen.insert(stage) {
                let inputs = self.stages.get(stage).map_or(&[][..], |stage| &stage.inputs);
                open.extend(inputs.iter().filter_map(|input| self.stage_of(*input)));
            }
        }
        seen
    }

    /// What is collected on the way from behind `fork` (or from the beginning) to `end`.
    fn lag(&self, end: usize, fork: Option<usize>) -> Lag {
        let mut lags: BTreeMap<usize, Lag> = BTreeMap::new();
        // Each stage stands behind those that feed it.
        for stage in self.ancestors(end) {
            if fork.is_some_and(|fork| stage <= fork) {
                continue;
            }
            let Some(row) = self.stages.get(stage) else { continue };
            let inputs = row.inputs.iter().filter_map(|input| self.stage_of(*input));
            let before = inputs.filter_map(|input| lags.get(&input)).max_by_key(|lag| lag.all);
            let mut lag = before.copied().unwrap_or_default();
            let own = self.collected(stage);
            lag.all += own;
            if own > lag.most {
                (lag.most, lag.by) = (own, Some(stage));
            }
            lags.insert(stage, lag);
        }
        lags.get(&end).copied().unwrap_or_default()
    }

    /// How much of a frame a stage takes before its first word leaves, in millionths.
    fn collected(&self, stage: usize) -> u64 {
        let Some(row) = self.stages.get(stage) else { return 0 };
        let arriving = match row.inputs.first() {
            Some(&StreamId::Stage { stage, .. }) => self.stages.get(stage).map_or(1, |stage| stage.words_per_frame),
            Some(&StreamId::Input(input)) => self.inputs.get(input).map_or(1, |end| end.port.words_per_frame),
            None => 1,
        };
        let words = match &row.twin {
            Twin::SlidingWindow(twin) => twin.first_words(),
            Twin::LineWindow(twin) => twin.first_words(),
            Twin::Rearrange(twin) => twin.first_words(),
            Twin::Fifo(_)
            | Twin::WidthAdapter(_)
            | Twin::Fork(_)
            | Twin::Matrix(_)
            | Twin::MaxPool(_)
            | Twin::Reduction(_)
            | Twin::Join(_)
            | Twin::Concat(_)
            | Twin::ModeGate(_)
            | Twin::Serial(_) => arriving.div_ceil(row.words_per_frame.max(1)),
        };
        words.saturating_mul(1_000_000) / arriving.max(1)
    }
}
