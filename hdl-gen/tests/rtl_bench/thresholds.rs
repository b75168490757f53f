//! Devices of units that requantize: thresholds, one search step, border zones.

use super::chain;
use super::harness::{Device, Random, pack, work_folder};
use hdl_gen::threshold::{ThresholdChannel, ThresholdUnit};
use hdl_gen::timing::{Matrix, Twin};

/// `counts`: thresholds of each channel; `full`: the accumulator uses its whole range.
pub(super) fn threshold(index: usize, bits: u32, signed: bool, counts: &[usize], falling: bool, full: bool) -> Device {
    let mut random = Random::new(800 + index as u64);
    let low = if signed { -(1i64 << (bits - 1)) } else { 0 };
    let range = (low + i64::from(!full), low + (1i64 << bits) - 1 - i64::from(!full));
    let range = if range.0 > range.1 { (low, low) } else { range };
    let span = (range.1 - range.0 + 1) as u64;
    let channels: Vec<(Vec<i64>, bool)> = counts
        .iter()
        .map(|&count| {
            // Some lie beyond the range on either side.
            let mut values: Vec<i64> = (0..count).map(|_| range.0 - 2 + random.below(span + 4) as i64).collect();
            values.sort_unstable();
            (values, falling && random.below(2) == 1)
        })
        .collect();
    let views: Vec<ThresholdChannel<'_>> =
        channels.iter().map(|(values, falling)| ThresholdChannel { values, falling: *falling }).collect();
    let unit = ThresholdUnit::new(&views, 1, bits, signed, range).unwrap();
    let mut image = String::from("// bench thresholds\n");
    for word in unit.lane_words(0) {
        image.push_str(&format!("{word:x}\n"));
    }
    let file = format!("thresholds_{index}.mem");
    std::fs::write(work_folder("units").join(&file), image).unwrap();

    let words = 600;
    let mut input = Vec::new();
    let mut expected = Vec::new();
    for _ in 0..words {
        let group = random.below(channels.len() as u64) as usize;
        let (values, falls) = &channels[group];
        // Half of the accumulators lie at a threshold or one beside it.
        let accumulator = if random.below(2) == 0 {
            values[random.below(values.len() as u64) as usize] + random.below(3) as i64 - 1
        } else {
            range.0 + random.below(span) as i64
        }
        .clamp(range.0, range.1);
        let code = values.iter().filter(|&&t| if *falls { accumulator <= t } else { accumulator >= t }).count();
        let mask = (1i64 << bits) - 1;
        input.push(pack(&[(group as u64) << bits | (accumulator & mask) as u64], 12 + bits as usize));
        expected.push(pack(&[code as u64], unit.code_bits() as usize));
    }
    let latency = unit.latency_cycles();
    Device {
        name: format!("threshold {index}: {bits} bits, {} groups, falling {falling}", counts.len()),
        module: "threshold_bench",
        parameters: vec![
            ("ACCUMULATOR_BITS", bits.to_string()),
            ("SIGNED", u8::from(signed).to_string()),
            ("THRESHOLD_BITS", unit.threshold_bits().to_string()),
            ("CODE_BITS", unit.code_bits().to_string()),
            ("GROUPS", unit.groups().to_string()),
            ("FALLING", u8::from(unit.falling()).to_string()),
            ("LATENCY", latency.to_string()),
            ("IMAGE", format!("{file:?}")),
        ],
        in_bits: 12 + bits as usize,
        out_bits: unit.code_bits() as usize,
        frames: 1,
        input,
        outputs: vec![expected],
        graph: chain(Twin::Matrix(Matrix::new(1, 1, latency + 1, 5).unwrap()), words, words),
    }
}

/// One search step over `groups` tables of 2^`stage` random thresholds.
pub(super) fn search(index: usize, bits: usize, stage: usize, groups: usize) -> Device {
    let mut random = Random::new(900 + index as u64);
    let thresholds = random.lanes(groups << stage, bits);
    let mut image = String::from("// bench thresholds\n");
    thresholds.iter().for_each(|threshold| image.push_str(&format!("{threshold:x}\n")));
    let file = format!("search_{index}.mem");
    std::fs::write(work_folder("units").join(&file), image).unwrap();
    let words = 500;
    let (mut input, mut expected) = (Vec::new(), Vec::new());
    let mask = (1u64 << bits) - 1;
    for _ in 0..words {
        let (group, prefix) = (random.below(groups as u64), random.below(1 << stage));
        let threshold = thresholds[((group as usize) << stage) + prefix as usize];
        // Half of the values lie at the threshold, one beside it, or differ in one bit.
        let value = match random.below(4) {
            0 => threshold.wrapping_add(random.below(3)).wrapping_sub(1) & mask,
            1 => threshold ^ (1 << random.below(bits as u64)),
            _ => random.lanes(1, bits)[0],
        };
        let bit = |of: u64, at: usize| of >> at & 1;
        let concatenated = |parts: &[(u64, usize)]| {
            let bits: Vec<u64> = parts.iter().flat_map(|&(of, bits)| (0..bits).map(move |at| bit(of, at))).collect();
            pack(&bits, 1)
        };
        input.push(concatenated(&[(value, bits), (prefix, 12), (group, 12)]));
        expected.push(concatenated(&[(value, bits), (u64::from(value >= threshold), 1), (prefix, stage)]));
    }
    let latency = 1 + u32::from(bits > 16 || groups << stage > 64);
    Device {
        name: format!("search {index}: {bits} bits, stage {stage}, {groups} groups"),
        module: "search_bench",
        parameters: vec![
            ("VALUE_BITS", bits.to_string()),
            ("STAGE", stage.to_string()),
            ("GROUPS", groups.to_string()),
            ("LATENCY", latency.to_string()),
            ("IMAGE", format!("{file:?}")),
            ("STYLE", ["\"distributed\"", "\"block\""][index % 2].to_owned()),
        ],
        in_bits: 24 + bits,
        out_bits: bits + stage + 1,
        frames: 1,
        input,
        outputs: vec![expected],
        graph: chain(Twin::Matrix(Matrix::new(1, 1, latency + 1, 5).unwrap()), words, words),
    }
}

/// Numbers of border zones; of rows and of columns: places, classes before and behind.
pub(super) fn zone(rows: [usize; 3], columns: [usize; 3]) -> Device {
    let class = |[places, before, after]: [usize; 3], place: usize| {
        if place < before {
            place
        } else if place >= places - after {
            (before + after + usize::from(places > before + after)) - (places - place)
        } else {
            before
        }
    };
    let classes = columns[1] + columns[2] + usize::from(columns[0] > columns[1] + columns[2]);
    let frames = 3;
    let mut expected = Vec::new();
    for _ in 0..frames {
        for row in 0..rows[0] {
            for column in 0..columns[0] {
                expected.push(pack(&[(class(rows, row) * classes + class(columns, column)) as u64], 8));
            }
        }
    }
    let words = rows[0] * columns[0];
    Device {
        name: format!("zone {rows:?} {columns:?}"),
        module: "zone_bench",
        parameters: vec![
            ("ROWS", rows[0].to_string()),
            ("ROWS_BEFORE", rows[1].to_string()),
            ("ROWS_AFTER", rows[2].to_string()),
            ("COLUMNS", columns[0].to_string()),
            ("COLUMNS_BEFORE", columns[1].to_string()),
            ("COLUMNS_AFTER", columns[2].to_string()),
        ],
        in_bits: 1,
        out_bits: 8,
        frames,
        input: vec![vec![1]; frames * words],
        outputs: vec![expected],
        graph: chain(Twin::Matrix(Matrix::new(1, 1, 1, 3).unwrap()), words, words),
    }
}
