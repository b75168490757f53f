//! A design for its figures alone: what it takes and how fast it is, without what only emission needs.

use super::alone::count_ahead;
use super::{Images, LowerError, lower_with};
use crate::bind::Bound;
use crate::cost::{Estimate, Model, StageInventory};
use crate::datapath::Memo;
use crate::design::{Design, PredictError};
use network::manifest::{LayerRow, Timing};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A lowered network that can be counted and predicted as the whole design would be, but not emitted.
#[derive(Clone, Debug)]
pub struct CountedDesign(Design);

/// Lowers a bound network without texts and without the images that only emission needs; every figure equals that of
/// [`super::lower`]. The memo keeps what was counted for the next one.
///
/// # Errors
/// As [`super::lower`].
pub fn lower_counted(bound: &Bound, memo: &Memo) -> Result<CountedDesign, LowerError> {
    counted(bound, memo, None)
}

/// The same at once, with FIFOs in front of joins as deep as in another design of the network, without a timed run: for
/// designs that are compared and not kept.
///
/// # Errors
/// As [`super::lower`].
pub fn lower_counted_like(bound: &Bound, memo: &Memo, like: &CountedDesign) -> Result<CountedDesign, LowerError> {
    counted(bound, memo, Some(&like.0))
}

/// Lowers from the first layer on, while another thread counts datapaths from the last layer on if none was counted before.
fn counted(bound: &Bound, memo: &Memo, like: Option<&Design>) -> Result<CountedDesign, LowerError> {
    let begun = AtomicUsize::new(0);
    let count_others = || {
        let is_ahead = |index: &usize| *index > begun.load(Ordering::Relaxed);
        (0..bound.layers().len()).rev().take_while(is_ahead).for_each(|index| count_ahead(bound, index, memo));
    };
    let design = std::thread::scope(|scope| {
        if memo.is_empty() {
            scope.spawn(count_others);
        }
        let design = lower_with(bound, Images::Counted, Some(memo), like, &begun);
        begun.store(usize::MAX, Ordering::Relaxed);
        design
    });
    design.map(CountedDesign)
}

impl CountedDesign {
    /// The layer table.
    pub fn rows(&self) -> &[LayerRow] {
        self.0.rows()
    }

    /// Words that move between modules in one frame: what a prediction takes time for.
    pub fn frame_words(&self) -> u64 {
        self.0.frame_words()
    }

    /// Whether a prediction takes so long that it is made only where it is asked for.
    pub fn is_long(&self) -> bool {
        self.0.is_long()
    }

    /// Predicted timing of an undisturbed run.
    ///
    /// # Errors
    /// As [`Design::timing`].
    pub fn timing(&self) -> Result<Timing, PredictError> {
        self.0.timing()
    }

    /// The blocks of every module of the top.
    pub fn inventory(&self) -> Vec<StageInventory> {
        self.0.inventory()
    }

    /// What it takes of a family's devices.
    pub fn estimate(&self, model: &Model) -> Estimate {
        Estimate::of(&self.0, model)
    }

    /// The design itself, for what a fault's text needs.
    pub fn design(&self) -> &Design {
        &self.0
    }
}
