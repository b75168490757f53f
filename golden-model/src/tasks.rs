//! Rows of a tensor made side by side: on one core while other cores have frames of their own, else on all.

use crate::kernel::Instructions;
use crate::tensor::Target;
use rayon::prelude::*;
use std::sync::Mutex;

/// Products or moves below which a layer is not worth cutting.
const LEAST_WORK: usize = 1 << 16;
/// Bytes of working space that should stay in a core's cache.
const CACHE_BYTES: usize = 1 << 18;

/// Working space of one task, whose contents mean nothing between tasks.
#[derive(Debug, Default)]
pub(crate) struct Space {
    pub(crate) bytes: Vec<u8>,
    pub(crate) words: Vec<i16>,
    pub(crate) integers: Vec<i32>,
    pub(crate) row: Vec<i32>,
    pub(crate) sums: Vec<i64>,
}

/// Working spaces that no task uses.
#[derive(Debug, Default)]
pub(crate) struct Spaces(Mutex<Vec<Space>>);

/// How layers are run.
#[derive(Clone, Copy)]
pub(crate) struct Tasks<'s> {
    pub(crate) instructions: Instructions,
    pub(crate) spaces: &'s Spaces,
    /// Whether a layer may use all cores.
    pub(crate) is_parallel: bool,
}

/// Rows that one task makes.
pub(crate) struct Rows<'t> {
    /// The first one.
    pub(crate) first: usize,
    /// Their elements.
    pub(crate) target: Target<'t>,
    /// Where their exact sums are kept, if they are.
    pub(crate) keep: Option<&'t mut [i64]>,
}

impl Spaces {
    fn with(&self, work: impl FnOnce(&mut Space)) {
        // A poisoned lock only means that some other task panicked; spaces hold nothing of it.
        let lock = || self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut space = lock().pop().unwrap_or_default();
        work(&mut space);
        lock().push(space);
    }
}

impl Tasks<'_> {
    /// Rows of one task, where `rows` rows need `row_work` products or moves each and `row_bytes` of working space.
    pub(crate) fn rows_at_once(&self, rows: usize, row_work: usize, row_bytes: usize) -> usize {
        let tasks = if self.is_parallel && rows.saturating_mul(row_work) >= LEAST_WORK {
            2 * rayon::current_num_threads()
        } else {
            1
        };
        rows.div_ceil(tasks).min(CACHE_BYTES / row_bytes.max(1)).max(1)
    }

    /// Makes all rows of a tensor, `rows_at_once` in a task. Exact sums go to `keep`, which is as long as the tensor.
    pub(crate) fn run(
        &self,
        target: Target<'_>,
        keep: Option<&mut [i64]>,
        row_elements: usize,
        rows_at_once: usize,
        work: impl Fn(Rows<'_>, &mut Space) + Sync,
    ) {
        let elements = (row_elements * rows_at_once).max(1);
        if target.len() <= elements {
            self.spaces.with(|space| work(Rows { first: 0, target, keep }, space));
            return;
        }
        let mut kept = keep.map(|keep| keep.chunks_mut(elements));
        let targets: Vec<Target<'_>> = match target {
            Target::Narrow(integers) => integers.chunks_mut(elements).map(Target::Narrow).collect(),
            Target::Wide(integers) => integers.chunks_mut(elements).map(Target::Wide).collect(),
        };
        let rows = targets.into_iter().enumerate().map(|(index, target)| Rows {
            first: index * rows_at_once,
            target,
            keep: kept.as_mut().and_then(Iterator::next),
        });
        if self.is_parallel {
            let rows: Vec<Rows<'_>> = rows.collect();
            rows.into_par_iter().for_each(|rows| self.spaces.with(|space| work(rows, space)));
        } else {
            self.spaces.with(|space| rows.for_each(|rows| work(rows, space)));
        }
    }
}
