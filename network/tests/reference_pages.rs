//! The reference pages are true: every example is read and, where it needs no sidecar file, built; every key that the
//! reader knows is described; the catalogue of diagnostics is the one in the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use network::{Code, Plan};
use std::path::Path;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The YAML blocks of a page.
fn examples(page: &str) -> Vec<String> {
    let mut examples = Vec::new();
    for block in page.split("```yaml\n").skip(1) {
        examples.push(block.split("```").next().unwrap().to_owned());
    }
    examples
}

/// Top-level keys with their lines.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with(' ') {
            sections.last_mut().unwrap().1.push_str(&format!("{line}\n"));
        } else {
            sections.push((line.split(':').next().unwrap().to_owned(), format!("{line}\n")));
        }
    }
    sections
}

#[test]
fn every_example_of_the_plan_page_is_right() {
    let examples = examples(&page("plan.md"));
    assert!(examples.len() >= 6);
    let base = sections(&examples[0]);
    let mut built = 0;
    for example in &examples {
        let mut text = example.clone();
        if !example.starts_with("hwgen:") {
            let own = sections(example);
            let rest = base.iter().filter(|(key, _)| own.iter().all(|(other, _)| other != key));
            text = rest.chain(&own).map(|(_, lines)| lines.as_str()).collect();
        }
        let plan = Plan::parse(&text, "plan.md").unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        if plan.arrays_file().is_none() {
            plan.build(None).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
            built += 1;
        }
    }
    assert!(built >= 5);
}

/// The keys that the reader offers for a wrong key.
fn keys(text: &str) -> Vec<String> {
    let faults = Plan::parse(text, "plan.yaml").unwrap_err();
    let fault = faults.0.iter().find(|fault| fault.code == Code::PlanUnknownKey).unwrap();
    fault.help.strip_prefix("the keys are ").unwrap().split(", ").map(str::to_owned).collect()
}

#[test]
fn every_key_and_word_is_described() {
    let page = page("plan.md");
    let wrong = "zzzzzzzz: 1";
    let mut found = keys(&format!("hwgen: 1\n{wrong}\n"));
    for part in ["model", "arrays", "random", "target", "input", "output"] {
        found.extend(keys(&format!("hwgen: 1\n{part}: {{ {wrong} }}\n")));
    }
    found.extend(keys(&format!("hwgen: 1\ntarget: {{ budget: {{ {wrong} }} }}\n")));
    found.extend(keys(&format!("hwgen: 1\nlayers: [{{ {wrong} }}]\n")));
    found.extend(keys(&format!("hwgen: 1\nlayers: [{{ op: dense, hw: {{ {wrong} }} }}]\n")));
    found.extend(keys(&format!("hwgen: 1\nlayers: [{{ op: dense, weight: {{ {wrong} }} }}]\n")));
    let words = [
        ("op", "layers: [{ op: zzzzzzzz }]"),
        ("rounding", "input: { rounding: zzzzzzzz }"),
        ("host", "output: { host: zzzzzzzz }"),
    ];
    for (_, text) in words {
        let faults = Plan::parse(&format!("hwgen: 1\n{text}\n"), "plan.yaml").unwrap_err();
        let help = faults.0.iter().find_map(|fault| fault.help.strip_prefix("the words are ")).unwrap();
        found.extend(help.split(", ").map(str::to_owned));
    }
    assert!(found.len() > 55, "{found:?}");
    for word in found {
        assert!(page.contains(&format!("`{word}`")), "`{word}` is not described");
    }
}

#[test]
fn the_catalogue_lists_every_code() {
    let page = page("diagnostics.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| E")).collect();
    let expected: Vec<String> =
        Code::ALL.iter().map(|code| format!("| {code} | {} |", code.meaning().trim())).collect();
    assert_eq!(rows, expected, "\n{}\n", expected.join("\n"));
}
