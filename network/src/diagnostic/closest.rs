//! Words that were perhaps meant.

/// The word that is at most two edits away, the nearest first.
pub fn closest<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    if text.chars().count() > 40 {
        return None;
    }
    let distances = words.iter().map(|word| (edits(text, word), *word));
    distances.filter(|(distance, word)| *distance <= 2 && *distance < word.len()).min().map(|(_, word)| word)
}

/// A line of help that lists words, behind the one of them that was perhaps meant; upper case is taken for lower.
pub fn with_closest(text: &str, words: &[&str], listed: &str) -> String {
    match closest(&text.to_lowercase(), words) {
        Some(word) => format!("did you mean `{word}`? {listed}"),
        None => listed.to_owned(),
    }
}

/// Insertions, deletions and replacements between two texts.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((&y, &diagonal), &above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(0);
            next.push((diagonal + usize::from(x != y)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances() {
        for (a, b, expected) in
            [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("kernel", "kernal", 1), ("ab", "ba", 2)]
        {
            assert_eq!(edits(a, b), expected, "{a} {b}");
            assert_eq!(edits(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn nearest_words() {
        let words = ["name", "op", "kernel", "pe", "simd"];
        assert_eq!(closest("kernal", &words), Some("kernel"));
        assert_eq!(closest("nmae", &words), Some("name"));
        assert_eq!(closest("xyz", &words), None);
        assert_eq!(closest("q", &words), None);
    }
}
