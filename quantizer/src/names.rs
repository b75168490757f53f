//! Names: short, legal in Verilog and YAML, and unique.

use std::collections::BTreeMap;

/// Numbers layers by kind: conv1, conv2, pool1, fc1.
#[derive(Debug, Default)]
pub(crate) struct Names {
    counts: BTreeMap<&'static str, usize>,
    taken: Vec<String>,
}

impl Names {
    /// Names that are none of those that are taken.
    pub fn beside(taken: Vec<String>) -> Self {
        Names { counts: BTreeMap::new(), taken }
    }

    /// The next name of a kind.
    pub fn next(&mut self, kind: &'static str) -> String {
        let count = self.counts.entry(kind).or_insert(0);
        loop {
            *count += 1;
            let name = format!("{kind}{count}");
            if !self.taken.contains(&name) {
                return name;
            }
        }
    }
}

/// A network's name from its file's: the stem, with letters, digits, `-` and `_` kept.
pub(crate) fn network_name(file: &str) -> String {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = base.strip_suffix(".onnx").unwrap_or(base);
    let stem = stem.strip_suffix(".qonnx").unwrap_or(stem);
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let name: String = stem.chars().take(64).map(legal).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("net_{name}") }
}

/// Characters of an input's or output's name in a plan.
const PORT_CHARACTERS: usize = 256;

/// The name of a model's input or output as a plan can have it: its printable characters, of a longer name both ends.
pub(crate) fn port_name(name: &str) -> String {
    let printable: Vec<char> = name.chars().filter(|c| !c.is_control()).collect();
    let Some(extra) = printable.len().checked_sub(PORT_CHARACTERS).filter(|&extra| extra > 0) else {
        return printable.into_iter().collect();
    };
    let (first, last) = (&printable[..PORT_CHARACTERS / 2], &printable[PORT_CHARACTERS / 2 + extra + 1..]);
    first.iter().chain(&['…']).chain(last).collect()
}

#[cfg(test)]
mod tests {
    use super::{network_name, port_name};

    #[test]
    fn port_names() {
        assert_eq!(port_name("x;y/z:0"), "x;y/z:0");
        assert_eq!(port_name("a\nb"), "ab");
        let at_most = "k".repeat(256);
        assert_eq!(port_name(&at_most), at_most);
        let long: String = (0..400).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
        let short = port_name(&long);
        assert_eq!(short.chars().count(), 256);
        assert!(short.starts_with(&long[..128]) && short.ends_with(&long[400 - 127..]), "{short}");
        // Names that differ at one end alone stay different.
        assert_ne!(port_name(&format!("{long}0")), port_name(&format!("{long}1")));
        assert_ne!(port_name(&format!("0{long}")), port_name(&format!("1{long}")));
    }

    #[test]
    fn network_names() {
        assert_eq!(network_name("a/b/mnist-cnn.qonnx.onnx"), "mnist-cnn");
        assert_eq!(network_name("1 läufer.onnx"), "net_1_l_ufer");
        assert_eq!(network_name(""), "net_");
    }
}
