//! Diagnostics as people and as programs read them.
//!
//! People get the code, the message, the place with the source line and a caret under it, and the help line, on standard
//! error. Programs (`--json`) get one object on standard output.

use crate::failure::Failure;
use network::{Diagnostic, Diagnostics};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

/// Longest part of a source line that is shown.
const MAX_SNIPPET_CHARACTERS: usize = 160;
/// Files up to this size are shown from.
const MAX_SNIPPET_FILE_BYTES: u64 = 16 << 20;

/// Prints a failure; with `as_json` as one object on standard output.
pub fn print_failure(failure: &Failure, as_json: bool) {
    let exit_code = failure.exit_code();
    let (document, text) = match failure {
        Failure::Check => return,
        Failure::Interrupted => {
            (json!({ "exit_code": exit_code, "interrupted": true }), "interrupted; nothing was written".to_owned())
        }
        Failure::Faults(faults) => (json!({ "exit_code": exit_code, "diagnostics": faults }), for_people(faults)),
    };
    // Where not even this can be written, the exit code still tells.
    let _ = if as_json { writeln!(std::io::stdout(), "{document:#}") } else { writeln!(std::io::stderr(), "{text}") };
}

/// All diagnostics with their source lines, separated by empty lines.
fn for_people(faults: &Diagnostics) -> String {
    let mut sources = BTreeMap::new();
    let mut text = String::new();
    for fault in &faults.0 {
        let snippet = snippet(fault, &mut sources).unwrap_or_default();
        let _ = writeln!(text, "error[{}]: {}", fault.code, fault.message);
        let place = fault.place.to_string();
        if !place.is_empty() {
            let _ = writeln!(text, "  --> {place}");
        }
        let _ = writeln!(text, "{snippet}  help: {}\n", fault.help);
    }
    let count = faults.0.len();
    let _ = write!(text, "{count} {} (`hwgen explain CODE` says more)", if count == 1 { "fault" } else { "faults" });
    text
}

/// The source line that a diagnostic points at, with a caret; `None` where there is none to show.
fn snippet(fault: &Diagnostic, sources: &mut BTreeMap<String, Vec<String>>) -> Option<String> {
    let (file, line) = (fault.place.file.as_ref()?, fault.place.line?);
    if !sources.contains_key(file) {
        let lines = std::fs::metadata(file)
            .ok()
            .filter(|metadata| metadata.is_file() && metadata.len() <= MAX_SNIPPET_FILE_BYTES)
            .and_then(|_| std::fs::read_to_string(file).ok())
            .map(|content| content.lines().map(str::to_owned).collect())
            .unwrap_or_default();
        sources.insert(file.clone(), lines);
    }
    let content = sources.get(file)?.get(usize::try_from(line).ok()?.checked_sub(1)?)?;
    Some(underlined(line, fault.place.column, content))
}

fn underlined(line: u64, column: Option<u64>, content: &str) -> String {
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let shown: String =
        content.chars().take(MAX_SNIPPET_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut text = format!("{margin} |\n{number} | {}\n", shown.trim_end());
    match column.and_then(|column| usize::try_from(column).ok()).filter(|column| *column <= shown.chars().count()) {
        Some(column) => {
            let _ = writeln!(text, "{margin} | {}^", " ".repeat(column.saturating_sub(1)));
        }
        None => {
            let _ = writeln!(text, "{margin} |");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::underlined;

    #[test]
    fn caret_stands_under_the_column() {
        assert_eq!(underlined(12, Some(3), "a: b"), "   |\n12 | a: b\n   |   ^\n");
        assert_eq!(underlined(1, None, "x\ty"), "  |\n1 | x y\n  |\n");
        assert_eq!(underlined(1, Some(99), "é"), "  |\n1 | é\n  |\n");
    }
}
