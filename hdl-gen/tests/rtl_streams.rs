//! FIFO, register slice, width adapter, fork: RTL against definition and twin.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run has failed")]

#[path = "rtl_bench/harness.rs"]
mod harness;

use harness::{Device, Random, check, pack};
use hdl_gen::rearrange::{Reorder, most_lanes};
use hdl_gen::timing::{Fifo, Fork, Graph, GraphBuilder, Twin, WidthAdapter};
use network::Shape;
use network::op::{Loop, Rearrangement};

fn chain(twin: Twin, input_words: usize, output_words: usize) -> Graph {
    Graph::chain(vec![("dut".to_owned(), twin)], input_words as u64, output_words as u64).unwrap()
}

fn fifo(bits: usize, depth: u32, slice: bool) -> Device {
    let mut random = Random::new(u64::from(depth) * 100 + bits as u64);
    let words: Vec<_> = (0..3 * 70).map(|_| pack(&random.lanes(1, bits), bits)).collect();
    let mut parameters = vec![("DATA_BITS", bits.to_string())];
    if !slice {
        parameters.push(("DEPTH", depth.to_string()));
    }
    Device {
        name: format!("fifo {bits} bits, {depth} words"),
        module: if slice { "hwgen_register_slice" } else { "hwgen_fifo" },
        parameters,
        in_bits: bits,
        out_bits: bits,
        frames: 3,
        input: words.clone(),
        outputs: vec![words],
        graph: chain(Twin::Fifo(Fifo::new(depth).unwrap()), 70, 70),
    }
}

/// The same twin, the words behind the first in block RAM; long enough to fill and to run empty several times.
fn block_fifo(bits: usize, depth: u32) -> Device {
    let (frames, words_per_frame) = (3usize, 1500usize);
    let mut random = Random::new((bits * 10_000) as u64 + u64::from(depth));
    let words: Vec<harness::Word> = (0..frames * words_per_frame).map(|_| pack(&random.lanes(1, bits), bits)).collect();
    Device {
        name: format!("block FIFO {bits} bits, {depth} words"),
        module: "hwgen_block_fifo",
        parameters: vec![("DATA_BITS", bits.to_string()), ("DEPTH", depth.to_string())],
        in_bits: bits,
        out_bits: bits,
        frames,
        input: words.clone(),
        outputs: vec![words],
        graph: chain(Twin::Fifo(Fifo::new(depth).unwrap()), words_per_frame, words_per_frame),
    }
}

fn adapter(lane_bits: usize, in_lanes: usize, out_lanes: usize, out_words: usize) -> Device {
    let frames = 4;
    let lanes_per_frame = out_lanes * out_words;
    assert_eq!(lanes_per_frame % in_lanes, 0);
    let mut random = Random::new((lane_bits * 10_000 + in_lanes * 100 + out_lanes) as u64);
    let lanes = random.lanes(frames * lanes_per_frame, lane_bits);
    let split = |count: usize| lanes.chunks(count).map(|word| pack(word, lane_bits)).collect();
    Device {
        name: format!("adapter {in_lanes} to {out_lanes} lanes of {lane_bits} bits"),
        module: "hwgen_width_adapter",
        parameters: vec![
            ("LANE_BITS", lane_bits.to_string()),
            ("IN_LANES", in_lanes.to_string()),
            ("OUT_LANES", out_lanes.to_string()),
            ("WORDS_PER_FRAME", out_words.to_string()),
        ],
        in_bits: lane_bits * in_lanes,
        out_bits: lane_bits * out_lanes,
        frames,
        input: split(in_lanes),
        outputs: vec![split(out_lanes)],
        graph: chain(
            Twin::WidthAdapter(WidthAdapter::new(in_lanes as u32, out_lanes as u32).unwrap()),
            lanes_per_frame / in_lanes,
            out_words,
        ),
    }
}

fn fork(bits: usize, outputs: usize) -> Device {
    let (frames, words_per_frame) = (3, 40);
    let mut random = Random::new(3000 + outputs as u64);
    let words: Vec<_> = (0..frames * words_per_frame).map(|_| pack(&random.lanes(1, bits), bits)).collect();
    let mut builder = GraphBuilder::default();
    let dut = builder.module("dut", Twin::Fork(Fork::new(outputs as u32).unwrap()));
    builder.source(0, words_per_frame as u64, dut, 0);
    for output in 0..outputs {
        builder.sink(1 + output as u64, words_per_frame as u64, dut, output);
    }
    Device {
        name: format!("fork {bits} bits to {outputs}"),
        module: "hwgen_fork",
        parameters: vec![("DATA_BITS", bits.to_string()), ("OUTPUTS", outputs.to_string())],
        in_bits: bits,
        out_bits: bits,
        frames,
        input: words.clone(),
        outputs: vec![words; outputs],
        graph: builder.build().unwrap(),
    }
}

/// Input elements, lanes, target cycles, start and loops over elements.
fn rearrange(index: usize, elements: u64, lanes: u64, target: u64, start: u64, loops: &[(u64, i64)]) -> Device {
    let loops: Vec<Loop> = loops.iter().map(|&(count, stride)| Loop { count, stride }).collect();
    let count = loops.iter().map(|turn| turn.count).product();
    let rearrangement = Rearrangement { shape: Shape::new(1, 1, count).unwrap(), start, loops };
    assert_eq!(most_lanes(&rearrangement, elements) % lanes, 0);
    let reorder = Reorder::new(&rearrangement, elements, lanes, target);
    let (frames, lane_bits) = (4, 1 + index % 7);
    let mut random = Random::new(4000 + index as u64);
    let values = random.lanes(frames * elements as usize, lane_bits);
    let words =
        |elements: &[u64]| elements.chunks(lanes as usize).map(|word| pack(word, lane_bits)).collect::<Vec<_>>();
    let mut expected = Vec::new();
    for frame in values.chunks(elements as usize) {
        // By definition: the index of an output element in mixed radix, last loop fastest.
        for number in 0..count {
            let (mut rest, mut address) = (number, start as i64);
            for turn in rearrangement.loops.iter().rev() {
                address += (rest % turn.count) as i64 * turn.stride;
                rest /= turn.count;
            }
            expected.push(frame[address as usize]);
        }
    }
    let vector = |values: Vec<u64>| {
        let parts: Vec<String> = values.iter().rev().map(|value| format!("32'd{value}")).collect();
        format!("{{{}}}", parts.join(", "))
    };
    Device {
        name: format!("rearrange {index}: {reorder:?}"),
        module: "hwgen_rearrange",
        parameters: vec![
            ("DATA_BITS", (lanes as usize * lane_bits).to_string()),
            ("LOOPS", reorder.counts().count().to_string()),
            ("COUNTS", vector(reorder.counts().collect())),
            ("ADDS", vector(reorder.adds())),
            ("JUMPS", vector(reorder.padded_jumps())),
            ("BLOCK_LOOP", reorder.block_loop().to_string()),
            ("START", reorder.start().to_string()),
            ("FIRST", reorder.first().to_string()),
            ("SPAN", reorder.span().to_string()),
            ("MOST_JUMP", reorder.most_jump().to_string()),
            ("BUFFER_WORDS", reorder.buffer_words().to_string()),
            ("WORDS_PER_FRAME", reorder.input_words().to_string()),
            ("MEMORY", ["\"distributed\"", "\"block\"", "\"auto\""][index % 3].to_owned()),
        ],
        in_bits: lanes as usize * lane_bits,
        out_bits: lanes as usize * lane_bits,
        frames,
        input: words(&values),
        outputs: vec![words(&expected)],
        graph: chain(Twin::Rearrange(reorder.twin().unwrap()), (elements / lanes) as usize, (count / lanes) as usize),
    }
}

#[test]
fn streams_equal_definition_and_twin() {
    let mut devices = Vec::new();
    for (index, depth) in [1, 2, 3, 4, 5, 16, 17, 33, 64].into_iter().enumerate() {
        devices.push(fifo([1, 8, 13, 33, 2, 7, 16, 1, 40][index], depth, false));
    }
    devices.push(fifo(9, 2, true));
    for (bits, depth) in [(8, 32), (1, 33), (17, 40), (5, 100)] {
        devices.push(block_fifo(bits, depth));
    }
    for (bits, outputs) in [(1, 1), (8, 2), (13, 3), (5, 7)] {
        devices.push(fork(bits, outputs));
    }
    for in_lanes in 1..=9 {
        for out_lanes in 1..=9 {
            devices.push(adapter(1 + (in_lanes + 2 * out_lanes) % 5, in_lanes, out_lanes, in_lanes * 2));
        }
    }
    for (bits, in_lanes, out_lanes, words) in [
        (16, 3, 8, 3),
        (8, 1, 16, 1),
        (4, 16, 1, 16),
        (1, 12, 18, 2),
        (3, 18, 12, 3),
        (1, 64, 7, 64),
        (2, 7, 31, 7),
        (8, 1, 1, 1),
    ] {
        devices.push(adapter(bits, in_lanes, out_lanes, words));
    }
    for (index, (elements, lanes, target, start, loops)) in [
        // Nearest upsampling, slices of channels, columns, rows; depth to space; transpositions; turned around.
        (64, 2, 200, 0, vec![(4, 16), (2, 0), (4, 4), (2, 0), (4, 1)]),
        (64, 1, 300, 0, vec![(4, 16), (2, 0), (4, 4), (2, 0), (4, 1)]),
        (300, 4, 1000, 4, vec![(25, 12), (4, 1)]),
        (300, 1, 330, 4, vec![(25, 12), (4, 1)]),
        (60, 1, 1000, 2, vec![(10, 6), (2, 3)]),
        (60, 1, 65, 20, vec![(40, 1)]),
        (60, 1, 200, 59, vec![(60, -1)]),
        (60, 1, 60, 59, vec![(60, -1)]),
        (30, 1, 1000, 0, vec![(6, 1), (5, 6)]),
        (30, 1, 31, 0, vec![(6, 1), (5, 6)]),
        (72, 2, 1000, 0, vec![(2, 36), (2, 4), (3, 12), (2, 6), (2, 1)]),
        (96, 4, 1000, 0, vec![(2, 48), (2, 8), (3, 16), (8, 1)]),
        (7, 1, 100, 3, vec![(1, 1)]),
        (1, 1, 100, 0, vec![(5, 0)]),
        (64, 1, 70, 3, vec![(8, 8), (2, 2), (3, 1)]),
        (128, 8, 20, 96, vec![(4, -32), (32, 1)]),
        (36, 1, 40, 5, vec![(6, 6), (6, -1)]),
        (16, 1, 300, 0, vec![(3, 0), (16, 1)]),
        (81, 1, 200, 10, vec![(3, 9), (2, 27), (2, 0), (2, 3), (2, 1), (2, 0)]),
    ]
    .into_iter()
    .enumerate()
    {
        devices.push(rearrange(index, elements, lanes, target, start, &loops));
    }
    check("streams", &devices, &[]);
}
