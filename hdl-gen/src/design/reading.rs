//! What the elements of a stream mean, in words for whoever reads or writes it.

use network::manifest::EdgeContent;

/// Letters that a list of numbers may take; a longer one is left to the manifest.
const LIST_LETTERS: usize = 80;

/// How the network's integers follow from the elements `x` of a stream, a line for each mode where modes differ; nothing
/// where they are the same.
pub(crate) fn reading(content: &EdgeContent) -> Vec<String> {
    if content.modes.is_empty() {
        let formula = formula(content.gain, &content.offset, &content.scale);
        return if formula == "x" {
            Vec::new()
        } else {
            vec![format!("element x of channel c is the integer {formula}")]
        };
    }
    let modes = content.modes.iter().enumerate();
    modes
        .map(|(number, mode)| {
            let formula = formula(mode.gain, &mode.offset, &content.scale);
            format!("in mode {number} element x of channel c is the integer {formula}")
        })
        .collect()
}

/// (gain * x + offset) / scale with whatever the lists of numbers allow to be left out.
fn formula(gain: i64, offset: &[i64], scale: &[i64]) -> String {
    let product = if gain == 1 { "x".to_owned() } else { format!("{gain} * x") };
    let mut lists = String::new();
    let sum = match shared(offset) {
        Some(0) => product,
        Some(offset) if offset < 0 => format!("{product} - {}", offset.unsigned_abs()),
        Some(offset) => format!("{product} + {offset}"),
        None => {
            lists += &list("offset", offset);
            format!("{product} + offset[c]")
        }
    };
    let dividend = || if sum == "x" { sum.clone() } else { format!("({sum})") };
    let quotient = match shared(scale) {
        Some(1) => sum,
        Some(scale) => format!("{} / {scale}", dividend()),
        None => {
            lists += &list("scale", scale);
            format!("{} / scale[c]", dividend())
        }
    };
    quotient + &lists
}

/// The number that all channels share.
fn shared(numbers: &[i64]) -> Option<i64> {
    let first = *numbers.first()?;
    numbers.iter().all(|&number| number == first).then_some(first)
}

fn list(name: &str, numbers: &[i64]) -> String {
    let text = numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    if text.len() > LIST_LETTERS { format!("; {name} in manifest.json") } else { format!("; {name}: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::manifest::{EdgeTensor, ModeContent};

    fn lines(gain: i64, offset: Vec<i64>, scale: Vec<i64>) -> Vec<String> {
        reading(&EdgeContent { gain, offset, scale, ..EdgeContent::plain(EdgeTensor::Input(0)) })
    }

    #[test]
    fn formulas_say_what_differs_from_the_element() {
        assert!(lines(1, vec![0], vec![1]).is_empty());
        assert!(lines(1, vec![0, 0], vec![1, 1]).is_empty());
        for (gain, offset, scale, formula) in [
            (1, vec![-24, -33], vec![1], "x + offset[c]; offset: -24, -33"),
            (2, vec![-5], vec![1], "2 * x - 5"),
            (3, vec![7, 7], vec![6], "(3 * x + 7) / 6"),
            (1, vec![0], vec![2, 3], "x / scale[c]; scale: 2, 3"),
            (1, (0..40).map(|c| c * 1000).collect(), vec![1], "x + offset[c]; offset in manifest.json"),
            (1, vec![i64::MIN], vec![1], "x - 9223372036854775808"),
        ] {
            assert_eq!(lines(gain, offset, scale), [format!("element x of channel c is the integer {formula}")]);
        }
    }

    #[test]
    fn modes_have_a_line_each() {
        let mode = |gain, offset| ModeContent { gain, offset: vec![offset] };
        let modes = vec![mode(1, 0), mode(16, -3)];
        let content = EdgeContent { modes, ..EdgeContent::plain(EdgeTensor::Input(0)) };
        let expected = [
            "in mode 0 element x of channel c is the integer x",
            "in mode 1 element x of channel c is the integer 16 * x - 3",
        ];
        assert_eq!(reading(&content), expected);
    }
}
