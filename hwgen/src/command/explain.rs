//! `hwgen explain`: what a diagnostic code means.

use crate::cli::ExplainOptions;
use crate::failure::{Outcome, exit_code};
use crate::output::print;
use network::{Code, Diagnostic, Place};
use serde_json::json;

/// Prints one code or all.
pub fn run(options: &ExplainOptions, as_json: bool) -> Outcome<()> {
    let wanted = options.code.trim().to_ascii_uppercase();
    let codes: Vec<Code> =
        Code::ALL.iter().copied().filter(|code| wanted == "ALL" || code.as_str() == wanted).collect();
    if codes.is_empty() {
        return Err(Diagnostic::new(
            Code::PlanReference,
            Place::default(),
            format!("there is no code `{}`", options.code),
            "`hwgen explain all` lists all codes",
        )
        .into());
    }
    if as_json {
        let rows: Vec<_> = codes
            .iter()
            .map(|code| json!({ "code": code, "meaning": code.meaning().trim(), "exit_code": exit_code(*code) }))
            .collect();
        return Ok(print(&format!("{:#}\n", json!(rows)))?);
    }
    let lines: String = codes.iter().map(|code| format!("{code}  {}\n", code.meaning().trim())).collect();
    Ok(print(&lines)?)
}
