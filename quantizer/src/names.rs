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

#[cfg(test)]
mod tests {
    use super::network_name;

    #[test]
    fn network_names() {
        assert_eq!(network_name("a/b/mnist-cnn.qonnx.onnx"), "mnist-cnn");
        assert_eq!(network_name("1 läufer.onnx"), "net_1_l_ufer");
        assert_eq!(network_name(""), "net_");
    }
}
