//! Typed access to the maps of a plan: every wrong key or value becomes a fault and reading goes on.

use super::node::{Content, Node};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics, Place, closest};
use crate::format::{Format, FormatError};
use std::ops::RangeInclusive;

/// Most faults that are reported of one text.
const MAX_FAULTS: usize = 1000;

/// Collects faults and knows where reading stands.
pub(super) struct Reader<'a> {
    pub file: &'a str,
    pub layer: Option<String>,
    pub faults: Diagnostics,
}

/// The entries of one map whose keys are all known and stand once.
pub(super) struct Fields<'n> {
    /// What the map describes, as in "`kernel` of layer conv1".
    pub what: String,
    at: (u64, u64),
    entries: Vec<(&'n str, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// The value under `key`; a key without a value counts as absent.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, node)| *node)
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }
}

impl Reader<'_> {
    /// The place of a node.
    pub fn place(&self, at: (u64, u64)) -> Place {
        Place { file: Some(self.file.to_owned()), line: Some(at.0), column: Some(at.1), layer: self.layer.clone() }
    }

    /// Adds a fault at a node.
    pub fn fault(&mut self, code: Code, at: (u64, u64), message: impl Into<String>, help: impl Into<String>) {
        self.fault_at(code, self.place(at), message, help);
    }

    /// Adds a fault, up to [`MAX_FAULTS`].
    pub fn fault_at(&mut self, code: Code, place: Place, message: impl Into<String>, help: impl Into<String>) {
        if self.faults.0.len() < MAX_FAULTS {
            self.faults.push(Diagnostic::new(code, place, message, help));
        }
    }

    /// The entries of a map that may have the keys `known`; faults for all others and for duplicates.
    pub fn fields<'n>(&mut self, node: &'n Node, what: impl Into<String>, known: &[&str]) -> Option<Fields<'n>> {
        let what = what.into();
        let Content::Map(pairs) = &node.content else {
            let message = format!("{what} must be a map, not {}", node.content.kind());
            self.fault(
                Code::PlanValue,
                node.at,
                message,
                format!("write {{ {}: … }}", known.first().unwrap_or(&"key")),
            );
            return None;
        };
        let mut entries: Vec<(&str, &Node)> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let Content::Text(name) = &key.content else {
                let message = format!("a key of {what} must be text, not {}", key.content.kind());
                self.fault(Code::PlanUnknownKey, key.at, message, format!("the keys are {}", list(known)));
                continue;
            };
            if !known.contains(&name.as_str()) {
                let help = match closest(name, known) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => format!("the keys are {}", list(known)),
                };
                self.fault(Code::PlanUnknownKey, key.at, format!("{what} has no key `{}`", shown(name)), help);
            } else if entries.iter().any(|(earlier, _)| earlier == name) {
                self.fault(
                    Code::PlanDuplicateKey,
                    key.at,
                    format!("`{name}` stands twice in {what}"),
                    "keep one of the two",
                );
            } else {
                entries.push((name, value));
            }
        }
        Some(Fields { what, at: node.at, entries })
    }

    /// The value under a required key.
    pub fn required<'n>(&mut self, fields: &Fields<'n>, key: &str, example: &str) -> Option<&'n Node> {
        let node = fields.get(key);
        if node.is_none() {
            self.fault(
                Code::PlanMissingKey,
                fields.at,
                format!("{} has no `{key}`", fields.what),
                format!("add `{key}: {example}`"),
            );
        }
        node
    }

    fn wrong(&mut self, key: &str, what: &str, node: &Node, needed: &str) {
        let message = format!("`{key}` of {what} must be {needed}, not {}", node.content.kind());
        let help = match node.content {
            Content::Integer(_) | Content::Float(_) | Content::Bool(_) if needed.contains("text") => {
                "put it in quotes".to_owned()
            }
            _ => format!("write {needed}"),
        };
        self.fault(Code::PlanValue, node.at, message, help);
    }

    /// Text without control characters, 1 to 256 characters.
    pub fn text(&mut self, fields: &Fields<'_>, key: &str) -> Option<At<String>> {
        let node = fields.get(key)?;
        let Content::Text(text) = &node.content else {
            self.wrong(key, &fields.what, node, "text");
            return None;
        };
        if text.is_empty() || text.chars().count() > 256 || text.chars().any(char::is_control) {
            let message = format!("`{key}` of {} is empty, too long, or has control characters", fields.what);
            self.fault(Code::PlanValue, node.at, message, "write 1 to 256 printable characters");
            return None;
        }
        Some(At::new(text.clone(), self.place(node.at)))
    }

    /// A name that can become part of file and module names.
    pub fn name(&mut self, fields: &Fields<'_>, key: &str, more: &[char]) -> Option<At<String>> {
        let text = self.text(fields, key)?;
        if let Err(help) = check_name(&text.value, more) {
            let message = format!("`{}` is no legal `{key}` of {}", shown(&text.value), fields.what);
            self.fault_at(Code::PlanValue, text.place, message, help);
            return None;
        }
        Some(text)
    }

    /// 64 hexadecimal digits, made lower case.
    pub fn sha256(&mut self, fields: &Fields<'_>, key: &str) -> Option<At<String>> {
        let text = self.text(fields, key)?;
        if text.value.len() != 64 || !text.value.bytes().all(|b| b.is_ascii_hexdigit()) {
            let message = format!("`{key}` of {} is no SHA-256", fields.what);
            let help = "write 64 hexadecimal digits, as sha256sum prints them";
            self.fault_at(Code::PlanValue, text.place, message, help);
            return None;
        }
        Some(At::new(text.value.to_ascii_lowercase(), text.place))
    }

    fn integer(&mut self, key: &str, what: &str, node: &Node, range: &RangeInclusive<i64>) -> Option<i64> {
        let value = match node.content {
            Content::Integer(value) => i64::try_from(value).ok(),
            Content::Float(value) if value.fract() == 0.0 && value.abs() > 9e15 => None,
            _ => {
                self.wrong(key, what, node, "a whole number");
                return None;
            }
        };
        match value.filter(|value| range.contains(value)) {
            Some(value) => Some(value),
            None => {
                let (least, most) = (range.start(), range.end());
                let shown = match node.content {
                    Content::Integer(value) => value.to_string(),
                    _ => "too large".to_owned(),
                };
                self.fault(
                    Code::PlanRange,
                    node.at,
                    format!("`{key}` of {what} is {shown}, outside {least} to {most}"),
                    format!("write a whole number from {least} to {most}"),
                );
                None
            }
        }
    }

    /// A whole number inside `range`.
    pub fn signed(&mut self, fields: &Fields<'_>, key: &str, range: RangeInclusive<i64>) -> Option<At<i64>> {
        let node = fields.get(key)?;
        let value = self.integer(key, &fields.what, node, &range)?;
        Some(At::new(value, self.place(node.at)))
    }

    /// A whole number that is not negative, inside `range`.
    pub fn count(&mut self, fields: &Fields<'_>, key: &str, range: RangeInclusive<i64>) -> Option<At<u64>> {
        let At { value, place } = self.signed(fields, key, range)?;
        Some(At::new(u64::try_from(value).ok()?, place))
    }

    /// A list of whole numbers inside `range`, as long as one of `lengths`.
    pub fn numbers(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        lengths: &[usize],
        form: &str,
        range: RangeInclusive<i64>,
    ) -> Option<At<Vec<i64>>> {
        let node = fields.get(key)?;
        let Content::List(items) = &node.content else {
            self.wrong(key, &fields.what, node, form);
            return None;
        };
        if !lengths.contains(&items.len()) {
            let message = format!("`{key}` of {} has {} entries", fields.what, items.len());
            self.fault(Code::PlanValue, node.at, message, format!("write {form}"));
            return None;
        }
        let values: Vec<Option<i64>> = items.iter().map(|item| self.integer(key, &fields.what, item, &range)).collect();
        let values = values.into_iter().collect::<Option<Vec<i64>>>()?;
        Some(At::new(values, self.place(node.at)))
    }

    /// A finite number, positive where `positive` says so.
    pub fn real(&mut self, fields: &Fields<'_>, key: &str, positive: bool) -> Option<At<f64>> {
        let node = fields.get(key)?;
        let value = match node.content {
            Content::Integer(value) => value as f64,
            Content::Float(value) => value,
            _ => {
                self.wrong(key, &fields.what, node, "a number");
                return None;
            }
        };
        if !value.is_finite() || (positive && value <= 0.0) {
            let needed = if positive { "a positive finite number" } else { "a finite number" };
            let message = format!("`{key}` of {} is {value}", fields.what);
            self.fault(Code::PlanRange, node.at, message, format!("write {needed}"));
            return None;
        }
        Some(At::new(value, self.place(node.at)))
    }

    /// One of several words.
    pub fn word<T: Copy>(&mut self, fields: &Fields<'_>, key: &str, words: &[(&str, T)]) -> Option<At<T>> {
        let node = fields.get(key)?;
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let Content::Text(text) = &node.content else {
            self.wrong(key, &fields.what, node, &format!("one of {}", list(&names)));
            return None;
        };
        if let Some((_, value)) = words.iter().find(|(name, _)| name == text) {
            return Some(At::new(*value, self.place(node.at)));
        }
        let help = match closest(text, &names) {
            Some(word) => format!("did you mean `{word}`? The words are {}", list(&names)),
            None => format!("the words are {}", list(&names)),
        };
        self.fault(Code::PlanValue, node.at, format!("`{}` is no `{key}` of {}", shown(text), fields.what), help);
        None
    }

    /// A number format.
    pub fn format(&mut self, fields: &Fields<'_>, key: &str) -> Option<At<Format>> {
        let node = fields.get(key)?;
        let Content::Text(text) = &node.content else {
            self.wrong(key, &fields.what, node, "a number format");
            return None;
        };
        match text.parse() {
            Ok(format) => Some(At::new(format, self.place(node.at))),
            Err(_) => {
                let message = format!("`{key}` of {}: `{}` is no number format", fields.what, shown(text));
                let known = ["u", "s", "bipolar"].iter().any(|prefix| {
                    text.strip_prefix(prefix)
                        .is_some_and(|bits| !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit()))
                });
                let code = if known { Code::PlanRange } else { Code::PlanValue };
                self.fault(code, node.at, message, FormatError::HELP);
                None
            }
        }
    }
}

/// Whether a text can be part of file and module names: a letter or `_`, then letters, digits, `_` and the
/// characters of `more`, at most 64. The error is the help line.
pub(super) fn check_name(text: &str, more: &[char]) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || more.contains(&c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && text.len() <= 64 && text.chars().all(legal) {
        return Ok(());
    }
    let extra: String = more.iter().map(|c| format!(", `{c}`")).collect();
    Err(format!("write a letter, then letters, digits, `_`{extra}: at most 64 characters"))
}

/// A text of the user, cut for messages.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().count() > 40 {
        short.push('…');
    }
    short
}

fn list(words: &[&str]) -> String {
    words.join(", ")
}
