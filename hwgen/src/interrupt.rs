//! Ctrl-C and termination: long work asks whether it should stop, and then ends cleanly; work that cannot ask ends at once.

use crate::failure::{Failure, Outcome};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether the user asked to stop; clones see the same request.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    is_asked: Arc<AtomicBool>,
    writing: Arc<Mutex<()>>,
}

impl Interrupt {
    /// Starts to listen to interrupt and termination signals; `on_signal` is called at each.
    pub fn listen(on_signal: impl Fn() + Send + 'static) -> Interrupt {
        let interrupt = Interrupt::default();
        let flag = interrupt.is_asked.clone();
        // Without a handler the signal ends the process at once, which leaves nothing half-written either.
        let _ = ctrlc::set_handler(move || {
            flag.store(true, Ordering::SeqCst);
            on_signal();
        });
        interrupt
    }

    /// Starts to listen for work of which parts ask nobody whether to stop, such as an exact search, and that has no
    /// children: a signal ends the process at once, but never amid [`Interrupt::writing`].
    pub fn ending() -> Interrupt {
        let writing = Arc::new(Mutex::new(()));
        let handler = writing.clone();
        let listening = Interrupt::listen(move || {
            let _whole = handler.lock().unwrap_or_else(PoisonError::into_inner);
            std::process::exit(Failure::Interrupted.exit_code().into());
        });
        Interrupt { writing, ..listening }
    }

    /// Writes what shall appear whole or not at all.
    pub fn writing<T>(&self, write: impl FnOnce() -> T) -> T {
        let _whole = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        write()
    }

    /// Fails once the user asked to stop.
    pub fn check(&self) -> Outcome<()> {
        if self.is_asked.load(Ordering::SeqCst) { Err(Failure::Interrupted) } else { Ok(()) }
    }
}
