//! Everything that can go wrong with a build or a run, in words that say what to do next.

use std::path::PathBuf;

/// Why a model could not be built or a run could not be finished.
///
/// What a design does wrong during a run is not an error but part of the [`crate::SimReport`].
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// A program that the simulator needs is not there or cannot be used.
    #[error("{program} {problem}; {help}")]
    Tool {
        /// Name of the program.
        program: String,
        /// What is wrong with it.
        problem: String,
        /// What to install.
        help: String,
    },
    /// The manifest or a file that it names cannot be used.
    #[error("{path}: {problem}")]
    Design {
        /// The manifest or the file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Verilator or the compiler refused a design; warnings count.
    #[error("{program} refused {design}:\n{text}")]
    Refused {
        /// `verilator` or the compiler.
        program: String,
        /// The design, or the build of several.
        design: String,
        /// The end of what it printed.
        text: String,
    },
    /// A file or a folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The caller asked for something that cannot be run.
    #[error("{0}")]
    Request(String),
    /// The model ended without a report: it crashed, was killed, or broke the protocol.
    #[error("the simulation of {design} broke off: {problem}\n{text}")]
    Broken {
        /// The design's name.
        design: String,
        /// How it ended.
        problem: String,
        /// The end of what it printed.
        text: String,
    },
    /// The caller cancelled.
    #[error("interrupted")]
    Cancelled,
}

/// Who has to act on an error; the command line turns it into an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The input is wrong: exit code 2.
    Input,
    /// A tool or the environment failed: exit code 3.
    Tool,
    /// Interrupted: exit code 130.
    Interrupted,
}

impl SimulatorError {
    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Design { .. } | Self::Request(_) => ErrorClass::Input,
            Self::Tool { .. } | Self::Refused { .. } | Self::Io { .. } | Self::Broken { .. } => ErrorClass::Tool,
            Self::Cancelled => ErrorClass::Interrupted,
        }
    }

    /// The exit code of a program that ends because of this error.
    pub fn exit_code(&self) -> u8 {
        match self.class() {
            ErrorClass::Input => 2,
            ErrorClass::Tool => 3,
            ErrorClass::Interrupted => 130,
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
