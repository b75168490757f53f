//! Every `hwgen` command line of the help texts and of the README works as it stands.

use crate::place::{Folder, repository};

fn folder() -> Folder {
    let folder = Folder::new();
    std::os::unix::fs::symlink(repository().join("examples"), folder.join("examples")).unwrap();
    folder
}

#[track_caller]
fn run_lines(folder: &Folder, text: &str, source: &str) -> usize {
    let mut count = 0;
    for line in text.lines() {
        let line = line.trim().trim_start_matches("$ ");
        let Some(arguments) = line.strip_prefix("hwgen ").or_else(|| line.strip_prefix("target/release/hwgen ")) else {
            continue;
        };
        let arguments = arguments.split(" #").next().unwrap_or(arguments);
        let done = folder.run(arguments);
        assert_eq!(done.exit_code, 0, "{source}: hwgen {arguments}\n{}{}", done.stdout, done.stderr);
        count += 1;
    }
    count
}

/// What stands behind `Examples:` in a help text.
fn examples(help: &str) -> String {
    help.split_once("\nExamples:\n").map(|(_, examples)| examples.to_owned()).unwrap_or_default()
}

/// Lines that end in a backslash go on in the next one.
fn joined(text: &str) -> String {
    text.replace("\\\n", " ")
}

#[test]
fn help_texts() {
    let folder = folder();
    let mut count = 0;
    for command in ["", "plan", "check", "emit", "run", "simulate", "explain"] {
        let help = folder.run(&format!("{command} --help")).stdout;
        assert!(help.contains("Usage: hwgen"), "{command}: {help}");
        let ran = run_lines(&folder, &joined(&examples(&help)), command);
        assert!(ran > 0, "`hwgen {command} --help` has no example:\n{help}");
        count += ran;
    }
    assert!(count > 12, "{count}");
}

#[test]
fn readme() {
    let Ok(readme) = std::fs::read_to_string(repository().join("README.md")) else { return };
    let mut inside = false;
    let code: String = readme
        .lines()
        .filter(|line| {
            if line.trim_start().starts_with("```") {
                inside = !inside;
                return false;
            }
            inside
        })
        .map(|line| format!("{line}\n"))
        .collect();
    run_lines(&folder(), &joined(&code), "README.md");
}
