//! The layer table.

use network::manifest::LayerRow;

/// A text table with a header line, columns padded to their widest entry.
pub fn layer_table(rows: &[LayerRow]) -> String {
    let header =
        ["layer", "op", "output", "in", "weights", "out", "kind", "PE", "SIMD", "requantize", "cycles", "weight bits"];
    let dash = || "-".to_owned();
    let mut lines: Vec<Vec<String>> = vec![header.map(str::to_owned).to_vec()];
    for row in rows {
        let [height, width, channels] = row.shape;
        lines.push(vec![
            row.name.clone(),
            row.op.clone(),
            format!("{height}x{width}x{channels}"),
            row.input.clone(),
            row.weight.clone().unwrap_or_else(dash),
            row.output.clone(),
            row.kind.clone().unwrap_or_else(dash),
            row.pe.to_string(),
            row.simd.to_string(),
            row.requantize.clone().unwrap_or_else(dash),
            row.cycles.to_string(),
            row.weight_bits.to_string(),
        ]);
    }
    align(&lines, &[7, 8, 10, 11])
}

/// Lines of columns; those in `right` are aligned to the right.
pub fn align(lines: &[Vec<String>], right: &[usize]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(column, (cell, &width))| {
                    if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                },
            )
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::align;

    #[test]
    fn columns_are_aligned() {
        let lines = [vec!["a".to_owned(), "bits".to_owned()], vec!["layer".to_owned(), "8".to_owned()]];
        assert_eq!(align(&lines, &[1]), "a      bits\nlayer     8\n");
    }
}
