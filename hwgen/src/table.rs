//! The layer table, and the table of FIFOs in front of joins.

use hdl_gen::JoinBuffer;
use network::manifest::LayerRow;
use serde_json::{Value, json};

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

/// The FIFOs in front of joins with what they cost; nothing where there are none.
pub fn buffer_table(buffers: &[JoinBuffer]) -> String {
    if buffers.is_empty() {
        return String::new();
    }
    let header =
        ["join", "FIFO in front", "words", "bits a word", "bits", "in", "holds", "while it waits for", "since", "by"];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    for buffer in buffers {
        let (depth, word_bits) = (buffer.depth.to_string(), buffer.word_bits.to_string());
        let memory = if buffer.block { "block RAM" } else { "LUTs" }.to_owned();
        let mut line =
            vec![buffer.join.clone(), buffer.name.clone(), depth, word_bits, buffer.bits().to_string(), memory];
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let cause = buffer.cause.as_ref();
        line.push(or_dash(cause.map(|cause| cause.waiting.clone())));
        line.push(or_dash(cause.map(|cause| cause.late.clone())));
        line.push(or_dash(cause.and_then(|cause| cause.parted.clone())));
        line.push(or_dash(cause.and_then(|cause| cause.collector.clone())));
        lines.push(line);
    }
    let bits: u64 = buffers.iter().map(JoinBuffer::bits).sum();
    let count = buffers.len();
    let what = if count == 1 { "FIFO" } else { "FIFOs" };
    format!("\n{}{count} {what} in front of joins, {bits} bits\n\n", align(&lines, &[2, 3, 4]))
}

/// The same as JSON; the field names are stable.
pub fn buffers_json(buffers: &[JoinBuffer]) -> Value {
    let row = |buffer: &JoinBuffer| {
        json!({
            "name": buffer.name,
            "join": buffer.join,
            "depth_words": buffer.depth,
            "word_bits": buffer.word_bits,
            "bits": buffer.bits(),
            "input": buffer.input,
            "memory": if buffer.block { "block" } else { "lut" },
            "cause": buffer.cause.as_ref().map(|cause| json!({
                "waiting": cause.waiting,
                "late": cause.late,
                "parted_behind": cause.parted,
                "collector": cause.collector,
            })),
        })
    };
    buffers.iter().map(row).collect()
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
