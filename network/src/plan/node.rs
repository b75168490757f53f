//! YAML text to a tree of nodes that keeps every entry and its place.
//!
//! Typed documents stop at their first fault; this tree lets the reader above report all of them. Nothing of the
//! plan's meaning is known here. Aliases, nesting and sizes are limited, so that no text can exhaust memory.

use crate::diagnostic::{Code, Diagnostic, Place};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};
use std::fmt;

/// Longest plan text in bytes.
const MAX_TEXT_BYTES: usize = 16 << 20;
/// Deepest nesting of maps and lists.
const MAX_DEPTH: usize = 16;
/// Most nodes, those behind aliases included.
const MAX_NODES: usize = 500_000;

/// One node of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub content: Content,
    /// Line and column, both from 1.
    pub at: (u64, u64),
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// All entries in order, duplicates included.
    Map(Vec<(Node, Node)>),
}

impl Content {
    /// The kind of node as messages name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Null => "nothing",
            Content::Bool(_) => "true or false",
            Content::Integer(_) => "a whole number",
            Content::Float(_) => "a number with a fraction",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }
}

/// The tree of one document, or the place where the text stops being one.
pub(super) fn parse(text: &str, file: &str) -> Result<Node, Diagnostic> {
    let syntax = |place: Place, message: String, help: &str| Diagnostic::new(Code::PlanSyntax, place, message, help);
    if text.len() > MAX_TEXT_BYTES {
        return Err(syntax(
            Place::file(file),
            format!("the plan has {} bytes, more than {MAX_TEXT_BYTES}", text.len()),
            "arrays belong into the sidecar file",
        ));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_buffered_comment_events: 100_000,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
            max_replay_stack_depth: MAX_DEPTH,
        },
        emit_comments: false,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let mut place = Place::file(file);
        if let Some(location) = error.location().filter(|location| location.line() > 0) {
            place.line = Some(location.line());
            place.column = Some(location.column());
        }
        let message = message(&error);
        syntax(
            place,
            format!("the plan is no YAML that hwgen reads: {message}"),
            "correct the text here or just before",
        )
    })
}

/// The error's own words, without the place that its display adds.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let end = line.rfind(" at line ").unwrap_or(line.len());
    line.get(..end).unwrap_or(line).to_owned()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Node { content: spanned.value, at: (spanned.referenced.line(), spanned.referenced.column()) })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Integer(i128::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Integer(i128::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Content, E> {
        Ok(Content::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Content::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(node: &Node, out: &mut Vec<String>) {
        let (line, column) = node.at;
        match &node.content {
            Content::Map(entries) => {
                out.push(format!("{line}:{column} map"));
                for (key, value) in entries {
                    flat(key, out);
                    flat(value, out);
                }
            }
            Content::List(items) => {
                out.push(format!("{line}:{column} list"));
                items.iter().for_each(|item| flat(item, out));
            }
            other => out.push(format!("{line}:{column} {other:?}")),
        }
    }

    #[test]
    fn places_and_kinds() {
        let text = "a: 1\nb:\n  - { c: -2, c: x } # twice\n  - [~, true, .nan, 1.5e-3]\nü: { d: &x yes }\ne: *x\n";
        let mut out = Vec::new();
        flat(&parse(text, "p").unwrap(), &mut out);
        assert_eq!(
            out,
            [
                "1:1 map",
                "1:1 Text(\"a\")",
                "1:4 Integer(1)",
                "2:1 Text(\"b\")",
                "3:3 list",
                "3:5 map",
                "3:7 Text(\"c\")",
                "3:10 Integer(-2)",
                "3:14 Text(\"c\")",
                "3:17 Text(\"x\")",
                "4:5 list",
                "4:6 Null",
                "4:9 Bool(true)",
                "4:15 Float(NaN)",
                "4:21 Float(0.0015)",
                "5:1 Text(\"ü\")",
                "5:4 map",
                "5:6 Text(\"d\")",
                "5:12 Text(\"yes\")",
                "6:1 Text(\"e\")",
                "6:4 Text(\"yes\")",
            ]
        );
    }

    #[track_caller]
    fn check_fault(text: &str, place: &str) {
        let fault = parse(text, "p").unwrap_err();
        assert_eq!(fault.code, Code::PlanSyntax);
        assert_eq!(fault.place.to_string(), place, "{fault}");
    }

    #[test]
    fn texts_that_are_no_yaml() {
        check_fault("a: [1, 2\nb: 3\n", "p:2:2");
        check_fault("a: {b: 1\n", "p:1:4");
        check_fault("a: \"b\n", "p:1:4");
        check_fault("a: *nothing\n", "p:1:4");
        check_fault("a: 1\n---\nb: 2\n", "p:2:1");
        check_fault(&"[".repeat(1000), "p:1:17");
    }

    #[test]
    fn alias_bombs_end() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let alias = format!("*a{}, ", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
        }
        assert_eq!(parse(&text, "p").unwrap_err().code, Code::PlanSyntax);
    }
}
