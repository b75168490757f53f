//! Where the frames of a simulation come from.

use crate::frames::Frames;
use network::random::Stream;
use network::{Diagnostic, Network};
use std::sync::{Arc, Mutex, PoisonError};
use testbench::vectors::random_frame;

/// Frames of input codes in hardware order; a file that turns out damaged ends them early and leaves its fault.
pub struct FrameSource<'a> {
    kind: Kind<'a>,
    left: usize,
    fault: Fault,
}

enum Kind<'a> {
    File(Frames<'a>),
    Random(&'a Network, Stream),
}

/// The place where a damaged file leaves its fault.
#[derive(Clone, Debug, Default)]
pub struct Fault(Arc<Mutex<Option<Diagnostic>>>);

impl Fault {
    /// The fault, once.
    pub fn take(&self) -> Option<Diagnostic> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<'a> FrameSource<'a> {
    /// Frames from a file.
    pub fn file(frames: Frames<'a>) -> FrameSource<'a> {
        let left = usize::try_from(frames.count()).unwrap_or(usize::MAX);
        FrameSource { kind: Kind::File(frames), left, fault: Fault::default() }
    }

    /// `frames` frames of random codes.
    pub fn random(network: &'a Network, seed: u64, frames: u64) -> FrameSource<'a> {
        let left = usize::try_from(frames).unwrap_or(usize::MAX);
        FrameSource { kind: Kind::Random(network, Stream::for_layer(seed, "input")), left, fault: Fault::default() }
    }

    /// Where a fault will be left.
    pub fn fault(&self) -> Fault {
        self.fault.clone()
    }
}

impl Iterator for FrameSource<'_> {
    type Item = Vec<i32>;

    fn next(&mut self) -> Option<Vec<i32>> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.kind {
            Kind::Random(network, stream) => Some(random_frame(network, stream)),
            Kind::File(frames) => match frames.next_frame() {
                Ok(frame) => frame,
                Err(fault) => {
                    *self.fault.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                    None
                }
            },
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for FrameSource<'_> {}
