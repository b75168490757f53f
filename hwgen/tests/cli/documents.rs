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
    for command in ["", "plan", "check", "emit", "estimate", "run", "simulate", "explain"] {
        let help = folder.run(&format!("{command} --help")).stdout;
        assert!(help.contains("Usage: hwgen"), "{command}: {help}");
        let ran = run_lines(&folder, &joined(&examples(&help)), command);
        assert!(ran > 0, "`hwgen {command} --help` has no example:\n{help}");
        count += ran;
    }
    assert!(count > 12, "{count}");
}

/// The lines of a document that stand inside fences, or are indented as code.
fn code(document: &str) -> String {
    let mut inside = false;
    let is_code = |line: &&str| {
        if line.trim_start().starts_with("```") {
            inside = !inside;
            return false;
        }
        inside || line.starts_with("    ")
    };
    document.lines().filter(is_code).map(|line| format!("{line}\n")).collect()
}

#[test]
fn readme() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let count = run_lines(&folder(), &joined(&code(&readme)), "README.md");
    assert!(count >= 5, "the README shows only {count} commands");
}

#[test]
fn readmes_of_the_examples() {
    for example in ["digits-mlp", "irst-unet", "mnist-cnn", "mnist-mbn", "ship-yolo-tiny"] {
        let name = format!("examples/{example}/README.md");
        let text = std::fs::read_to_string(repository().join(&name)).unwrap();
        assert!(run_lines(&folder(), &joined(&code(&text)), &name) >= 2, "{name}");
    }
}

/// Every relative link of every document leads to a file.
#[test]
fn links() {
    let mut documents = vec![];
    let examples = ["digits-mlp", "irst-unet", "mnist-cnn", "mnist-mbn", "ship-yolo-tiny"];
    let examples = examples.map(|name| format!("examples/{name}"));
    for folder in ["", "docs"].into_iter().chain(examples.iter().map(String::as_str)) {
        let entries = std::fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        documents.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    assert!(documents.len() >= 6, "{documents:?}");
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = document.parent().unwrap().join(target);
            assert!(path.exists(), "{} links to {link}", document.display());
        }
    }
}
