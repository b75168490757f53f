//! Twins with a fault, so that tests of predictions can be seen to fail.

use super::credit::CreditPipe;
use super::{Fifo, Twin};

/// A fault of a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinFault {
    /// A FIFO holds a word less than its module.
    ShortFifo,
    /// A matrix layer gives each result a cycle late.
    LateResult,
    /// A sliding window offers its words a cycle late.
    LateWindow,
}

impl TwinFault {
    /// The twin with the fault; none where it has no place for it.
    pub fn plant(self, twin: &Twin) -> Option<Twin> {
        match (self, twin) {
            (Self::ShortFifo, Twin::Fifo(fifo)) => Fifo::new(fifo.depth() - 1).ok().map(Twin::Fifo),
            (Self::LateResult, Twin::Matrix(matrix)) => {
                let mut late = matrix.clone();
                late.pipe = later(&late.pipe)?;
                Some(Twin::Matrix(late))
            }
            (Self::LateWindow, Twin::SlidingWindow(window)) => {
                let mut late = window.clone();
                late.pipe = later(&late.pipe)?;
                Some(Twin::SlidingWindow(late))
            }
            _ => None,
        }
    }
}

/// The same pipe with a register more, as it is after reset.
fn later(pipe: &CreditPipe) -> Option<CreditPipe> {
    let latency = pipe.latency_cycles() + 1;
    (latency <= CreditPipe::LATENCY_LIMIT).then(|| CreditPipe::new(latency, pipe.credits()))
}
