//! FIFO, register slice, width adapter, fork: RTL against definition and twin.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run has failed")]

#[path = "rtl_bench/harness.rs"]
mod harness;

use harness::{Device, Random, check, pack};
use hdl_gen::timing::{Fifo, Fork, Graph, GraphBuilder, Twin, WidthAdapter};

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

#[test]
fn streams_equal_definition_and_twin() {
    let mut devices = Vec::new();
    for (index, depth) in [1, 2, 3, 4, 5, 16, 17, 33, 64].into_iter().enumerate() {
        devices.push(fifo([1, 8, 13, 33, 2, 7, 16, 1, 40][index], depth, false));
    }
    devices.push(fifo(9, 2, true));
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
    check("streams", &devices, &[]);
}
