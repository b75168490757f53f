//! Why a command ends badly, and with which exit code.

use golden_model::EvaluateError;
use network::{Code, Diagnostic, Diagnostics, Place};

/// The end of a command that did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// Faults with codes; the first decides between input and environment.
    Faults(Diagnostics),
    /// A check failed; its report is already printed.
    Check,
    /// The user interrupted.
    Interrupted,
}

/// Result of a command and of its steps.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// 1 a check failed, 2 the input is wrong, 3 a tool or the environment failed, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Faults(faults) => faults.0.first().map_or(2, |fault| exit_code(fault.code)),
            Failure::Check => 1,
            Failure::Interrupted => 130,
        }
    }
}

/// The exit code that a diagnostic of this code leads to.
pub fn exit_code(code: Code) -> u8 {
    match code {
        Code::SimulationHang => 1,
        Code::OutputWrite | Code::ToolMissing | Code::ToolFailed => 3,
        _ => 2,
    }
}

impl From<Diagnostics> for Failure {
    fn from(faults: Diagnostics) -> Self {
        Failure::Faults(faults)
    }
}

impl From<Diagnostic> for Failure {
    fn from(fault: Diagnostic) -> Self {
        Failure::Faults(fault.into())
    }
}

/// A frame that the golden model refuses.
pub fn cannot_evaluate(error: &EvaluateError) -> Diagnostic {
    let code = match error {
        EvaluateError::TooLarge { .. } => Code::LayerShape,
        _ => Code::FramesValue,
    };
    Diagnostic::new(code, Place::default(), error.to_string(), "make the network or its input smaller")
}
