//! Ctrl-C and termination: long work asks whether it should stop, and then ends cleanly.

use crate::failure::{Failure, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the user asked to stop; clones see the same request.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to listen to interrupt and termination signals; `on_signal` is called at each.
    pub fn listen(on_signal: impl Fn() + Send + 'static) -> Interrupt {
        let interrupt = Interrupt::default();
        let flag = interrupt.0.clone();
        // Without a handler the signal ends the process at once, which leaves nothing half-written either.
        let _ = ctrlc::set_handler(move || {
            flag.store(true, Ordering::SeqCst);
            on_signal();
        });
        interrupt
    }

    /// Fails once the user asked to stop.
    pub fn check(&self) -> Outcome<()> {
        if self.0.load(Ordering::SeqCst) { Err(Failure::Interrupted) } else { Ok(()) }
    }
}
