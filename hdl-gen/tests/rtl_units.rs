//! Pooling, argmax, top-k, thresholds, border zones: RTL against definition and twin.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run has failed")]

#[path = "rtl_bench/harness.rs"]
mod harness;
#[path = "rtl_bench/thresholds.rs"]
mod thresholds;

use std::path::Path;
use std::process::Command;

use harness::{Device, Random, check, pack, work_folder};
use hdl_gen::timing::{Graph, MaxPool, Reduction, Twin};
use thresholds::{search, threshold, zone};

fn chain(twin: Twin, input_words: usize, output_words: usize) -> Graph {
    Graph::chain(vec![("dut".to_owned(), twin)], input_words as u64, output_words as u64).unwrap()
}

/// A code as the number it stands for.
fn number(code: u64, bits: usize, signed: bool) -> i64 {
    let code = code as i64;
    if signed && code >> (bits - 1) & 1 == 1 { code - (1 << bits) } else { code }
}

fn max_lanes(words: &[&Vec<u64>], bits: usize, signed: bool) -> Vec<u64> {
    (0..words[0].len())
        .map(|lane| words.iter().map(|word| word[lane]).max_by_key(|&code| number(code, bits, signed)).unwrap())
        .collect()
}

fn max_pool(index: usize, extent: [usize; 3], kernel: [usize; 2]) -> Device {
    let [channel_words, rows, columns] = extent;
    let (bits, lanes, signed, frames) = (1 + index % 16, 1 + index % 3, index.is_multiple_of(2), 3);
    let words: Vec<Vec<u64>> = {
        let mut random = Random::new(500 + index as u64);
        (0..frames * rows * columns * channel_words).map(|_| random.lanes(lanes, bits)).collect()
    };
    let mut expected = Vec::new();
    for frame in words.chunks(rows * columns * channel_words) {
        for row in 0..rows / kernel[0] {
            for column in 0..columns / kernel[1] {
                for c in 0..channel_words {
                    let mut window = Vec::new();
                    for i in 0..kernel[0] {
                        for j in 0..kernel[1] {
                            let pixel = (row * kernel[0] + i) * columns + column * kernel[1] + j;
                            window.push(&frame[pixel * channel_words + c]);
                        }
                    }
                    expected.push(pack(&max_lanes(&window, bits, signed), bits));
                }
            }
        }
    }
    let twin = MaxPool::new(channel_words as u32, rows as u32, columns as u32, kernel[0] as u32, kernel[1] as u32);
    Device {
        name: format!("max pool {extent:?} {kernel:?}"),
        module: "hwgen_max_pool",
        parameters: vec![
            ("LANE_BITS", bits.to_string()),
            ("SIGNED", u8::from(signed).to_string()),
            ("LANES", lanes.to_string()),
            ("CHANNEL_WORDS", channel_words.to_string()),
            ("ROWS", rows.to_string()),
            ("COLUMNS", columns.to_string()),
            ("KERNEL_ROWS", kernel[0].to_string()),
            ("KERNEL_COLUMNS", kernel[1].to_string()),
            ("MEMORY", ["\"distributed\"", "\"block\"", "\"auto\""][index % 3].to_owned()),
        ],
        in_bits: bits * lanes,
        out_bits: bits * lanes,
        frames,
        input: words.iter().map(|lanes| pack(lanes, bits)).collect(),
        graph: chain(Twin::MaxPool(twin.unwrap()), rows * columns * channel_words, expected.len() / frames),
        outputs: vec![expected],
    }
}

/// `extent`: channel words, rows, columns; `bits` of a lane, `sum_bits` enough for every sum.
fn sum_pool(index: usize, extent: [usize; 3], kernel: [usize; 2], bits: usize) -> Device {
    let [channel_words, rows, columns] = extent;
    let (lanes, signed, frames) = (1 + index % 3, index % 2 == 1, 3);
    let sum_bits = bits + (kernel[0] * kernel[1]).next_power_of_two().trailing_zeros() as usize;
    let mut random = Random::new(550 + index as u64);
    let words: Vec<Vec<u64>> =
        (0..frames * rows * columns * channel_words).map(|_| random.lanes(lanes, bits)).collect();
    let mut expected = Vec::new();
    for frame in words.chunks(rows * columns * channel_words) {
        for (row, column) in (0..rows / kernel[0]).flat_map(|row| (0..columns / kernel[1]).map(move |c| (row, c))) {
            for c in 0..channel_words {
                let mut sums = vec![0i64; lanes];
                for tap in 0..kernel[0] * kernel[1] {
                    let (i, j) = (tap / kernel[1], tap % kernel[1]);
                    let pixel = (row * kernel[0] + i) * columns + column * kernel[1] + j;
                    for (sum, &code) in sums.iter_mut().zip(&frame[pixel * channel_words + c]) {
                        *sum += number(code, bits, signed);
                    }
                }
                let codes: Vec<u64> = sums.iter().map(|sum| (sum & ((1 << sum_bits) - 1)) as u64).collect();
                expected.push(pack(&codes, sum_bits));
            }
        }
    }
    let twin = MaxPool::of_sums(extent.map(|n| n as u32), kernel.map(|n| n as u32), sum_bits as u32);
    Device {
        name: format!("sum pool {extent:?} {kernel:?} {bits} bits"),
        module: "hwgen_sum_pool",
        parameters: vec![
            ("LANE_BITS", bits.to_string()),
            ("SIGNED", u8::from(signed).to_string()),
            ("SUM_BITS", sum_bits.to_string()),
            ("LANES", lanes.to_string()),
            ("CHANNEL_WORDS", channel_words.to_string()),
            ("ROWS", rows.to_string()),
            ("COLUMNS", columns.to_string()),
            ("KERNEL_ROWS", kernel[0].to_string()),
            ("KERNEL_COLUMNS", kernel[1].to_string()),
            ("MEMORY", ["\"distributed\"", "\"block\"", "\"auto\""][index % 3].to_owned()),
        ],
        in_bits: bits * lanes,
        out_bits: sum_bits * lanes,
        frames,
        input: words.iter().map(|lanes| pack(lanes, bits)).collect(),
        graph: chain(Twin::MaxPool(twin.unwrap()), rows * columns * channel_words, expected.len() / frames),
        outputs: vec![expected],
    }
}

fn max_reduce(index: usize, taps: usize) -> Device {
    let (bits, lanes, signed, frames, results) =
        (1 + 5 * index % 16 + index / 6 * 30, 1 + index % 4, index % 2 == 1, 4, 6);
    let mut random = Random::new(600 + index as u64);
    let words: Vec<Vec<u64>> = (0..frames * results * taps).map(|_| random.lanes(lanes, bits)).collect();
    let expected = words
        .chunks(taps)
        .map(|words| pack(&max_lanes(&words.iter().collect::<Vec<_>>(), bits, signed), bits))
        .collect();
    Device {
        name: format!("max reduce {taps}"),
        module: "hwgen_max_reduce",
        parameters: vec![
            ("LANE_BITS", bits.to_string()),
            ("SIGNED", u8::from(signed).to_string()),
            ("LANES", lanes.to_string()),
            ("TAPS", taps.to_string()),
        ],
        in_bits: bits * lanes,
        out_bits: bits * lanes,
        frames,
        input: words.iter().map(|lanes| pack(lanes, bits)).collect(),
        outputs: vec![expected],
        graph: chain(Twin::Reduction(Reduction::max_reduce(taps as u32).unwrap()), taps * results, results),
    }
}

/// The largest values or their indices: a stable sort is the definition.
fn top_k(index: usize, [bits, count, words, positions]: [usize; 4], indices: bool) -> Device {
    let (frames, index_bits) = (20, 7);
    let mut random = Random::new(760 + index as u64);
    let mut values = random.lanes(frames * positions * words, bits);
    // Ties: in every second position the values are few.
    for values in values.chunks_mut(words).step_by(2) {
        let base = values[0];
        for value in values {
            *value = base ^ (*value & 1);
        }
    }
    let expected = values.chunks(words).map(|position| {
        let mut order: Vec<usize> = (0..words).collect();
        order.sort_by_key(|&place| -i128::from(number(position[place], bits, true)));
        let items: Vec<u64> =
            order[..count].iter().map(|&place| if indices { place as u64 } else { position[place] }).collect();
        pack(&items, if indices { index_bits } else { bits })
    });
    let expected = expected.collect();
    let twin = Twin::Reduction(Reduction::argmax(words as u32, 1).unwrap());
    Device {
        name: format!("top {count} of {words} values of {bits} bits, {positions} positions"),
        module: "hwgen_top_k",
        parameters: vec![
            ("VALUE_BITS", bits.to_string()),
            ("COUNT", count.to_string()),
            ("WORDS", words.to_string()),
            ("POSITIONS", positions.to_string()),
            ("INDEX_BITS", index_bits.to_string()),
            ("INDICES", u8::from(indices).to_string()),
        ],
        in_bits: bits,
        out_bits: count * if indices { index_bits } else { bits },
        frames,
        input: values.iter().map(|&value| pack(&[value], bits)).collect(),
        outputs: vec![expected],
        graph: chain(twin, words * positions, positions),
    }
}

fn argmax(index: usize, bits: usize, lanes: usize, words: usize) -> Device {
    let frames = 20;
    let mut random = Random::new(700 + index as u64);
    let mut values = random.lanes(frames * lanes * words, bits);
    // Ties: in every second frame the values are few.
    for frame in values.chunks_mut(lanes * words).step_by(2) {
        let base = frame[0];
        for value in frame {
            *value = base ^ (*value & 1);
        }
    }
    let expected = values
        .chunks(lanes * words)
        .map(|frame| {
            let best = frame.iter().map(|&code| number(code, bits, true)).max();
            let at = frame.iter().position(|&code| Some(number(code, bits, true)) == best).unwrap();
            pack(&[at as u64], 9)
        })
        .collect();
    Device {
        name: format!("argmax {bits} bits, {lanes} lanes, {words} words"),
        module: "hwgen_argmax",
        parameters: vec![
            ("VALUE_BITS", bits.to_string()),
            ("LANES", lanes.to_string()),
            ("WORDS", words.to_string()),
            ("INDEX_BITS", 9.to_string()),
        ],
        in_bits: bits * lanes,
        out_bits: 9,
        frames,
        input: values.chunks(lanes).map(|lanes| pack(lanes, bits)).collect(),
        outputs: vec![expected],
        graph: chain(Twin::Reduction(Reduction::argmax(words as u32, lanes as u32).unwrap()), words, 1),
    }
}

#[test]
fn units_equal_definition_and_twin() {
    let mut devices = Vec::new();
    for (index, (extent, kernel)) in [
        ([1, 1, 1], [1, 1]),
        ([3, 2, 2], [1, 1]),
        ([1, 4, 4], [2, 2]),
        ([2, 4, 6], [2, 2]),
        ([1, 7, 5], [2, 2]),
        ([3, 5, 7], [2, 3]),
        ([1, 9, 3], [3, 3]),
        ([4, 6, 6], [3, 2]),
        ([1, 4, 3], [4, 3]),
        ([1, 5, 1], [2, 1]),
        ([2, 1, 9], [1, 4]),
        ([5, 8, 8], [4, 4]),
        ([1, 6, 2], [1, 2]),
        ([1, 3, 11], [1, 5]),
        ([1, 13, 13], [2, 2]),
        ([7, 3, 3], [3, 3]),
    ]
    .into_iter()
    .enumerate()
    {
        devices.push(max_pool(index, extent, kernel));
    }
    for (index, (extent, kernel, bits)) in [
        ([1, 1, 1], [1, 1], 1),
        ([2, 4, 6], [2, 2], 8),
        ([1, 7, 5], [2, 2], 15),
        ([3, 5, 7], [2, 3], 16),
        ([1, 9, 9], [9, 9], 20),
        ([4, 6, 6], [6, 6], 16),
        ([1, 13, 3], [1, 3], 31),
        ([2, 3, 3], [3, 3], 40),
        ([1, 4, 1], [2, 1], 14),
    ]
    .into_iter()
    .enumerate()
    {
        devices.push(sum_pool(index, extent, kernel, bits));
    }
    for (index, taps) in [1, 2, 3, 4, 9, 25, 49, 1].into_iter().enumerate() {
        devices.push(max_reduce(index, taps));
    }
    for (index, (bits, lanes, words)) in [
        (8, 1, 10),
        (8, 10, 1),
        (1, 2, 5),
        (22, 5, 2),
        (17, 3, 4),
        (32, 1, 1),
        (16, 7, 3),
        (12, 16, 4),
        (9, 1, 300),
        (31, 2, 2),
        (3, 4, 1),
        (45, 3, 4),
        (52, 1, 7),
    ]
    .into_iter()
    .enumerate()
    {
        devices.push(argmax(index, bits, lanes, words));
    }
    for (index, (bits, count, words, positions, indices)) in [
        (8, 1, 10, 1, true),
        (8, 3, 10, 4, true),
        (8, 3, 10, 4, false),
        (1, 5, 5, 2, true),
        (17, 2, 2, 3, false),
        (33, 7, 9, 1, true),
        (5, 1, 1, 6, true),
        (12, 40, 100, 1, false),
    ]
    .into_iter()
    .enumerate()
    {
        devices.push(top_k(index, [bits, count, words, positions], indices));
    }
    for (index, (bits, signed, counts, falling, full)) in [
        (8, true, vec![15], false, false),
        (8, true, vec![15; 4], false, true),
        (9, true, vec![7, 7, 3, 1, 5], true, true),
        (12, false, vec![15; 10], true, false),
        (1, true, vec![1], false, true),
        (1, false, vec![1, 1], true, true),
        (2, true, vec![3, 2, 1], true, true),
        (16, true, vec![15; 16], false, true),
        (17, true, vec![15; 16], true, true),
        (22, true, vec![255; 3], false, false),
        (31, true, vec![31; 8], true, true),
        (20, true, vec![3; 100], false, true),
        (14, true, vec![1; 65], true, false),
        (13, true, vec![1; 64], false, true),
        (10, true, vec![255, 100, 17], true, true),
        (18, false, vec![3; 130], false, true),
    ]
    .into_iter()
    .enumerate()
    {
        devices.push(threshold(index, bits, signed, &counts, falling, full));
    }
    for (index, (bits, stage, groups)) in [
        (1, 0, 1),
        (8, 3, 1),
        (16, 0, 5),
        (17, 6, 1),
        (31, 7, 1),
        (32, 5, 7),
        (33, 9, 2),
        (48, 1, 40),
        (49, 12, 1),
        (52, 2, 3),
    ]
    .into_iter()
    .enumerate()
    {
        devices.push(search(index, bits, stage, groups));
    }
    for (rows, columns) in [
        ([1, 0, 0], [1, 0, 0]),
        ([1, 1, 0], [1, 1, 0]),
        ([4, 1, 1], [5, 1, 1]),
        ([3, 1, 1], [2, 1, 1]),
        ([7, 2, 3], [9, 0, 2]),
        ([4, 4, 0], [6, 2, 0]),
        ([2, 0, 0], [8, 3, 3]),
        ([6, 0, 1], [1, 0, 1]),
    ] {
        devices.push(zone(rows, columns));
    }
    let bench = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtl_bench").join(name);
    check("units", &devices, &[bench("threshold_bench.v"), bench("search_bench.v"), bench("zone_bench.v")]);
}

/// The AXI4-Lite register and the gate that samples it: the bench knows what every access answers and which mode each
/// frame gets, with writes in mid-frame and streams of modes without room.
#[test]
fn mode_registers_answer_every_access_and_frames_keep_their_modes() {
    let (folder, bench) =
        (work_folder("modes"), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtl_bench/mode_bench.v"));
    let simulation = folder.join("modes.vvp");
    let mut compile = Command::new("iverilog");
    compile.args(["-g2005", "-s", "mode_bench", "-o"]).arg(&simulation).arg(bench).args(harness::rtl_files());
    harness::must_pass(compile);
    let said = Command::new("vvp").arg("-n").arg(&simulation).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.lines().collect::<Vec<_>>(), ["PASS"]);
}
