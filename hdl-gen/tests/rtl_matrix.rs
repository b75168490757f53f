//! Loop control, weight ROM, delay and credit FIFO as one matrix layer: RTL
//! against a matrix product and the twin.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run has failed")]

#[path = "rtl_bench/harness.rs"]
mod harness;

use std::path::Path;

use harness::{Device, Random, check, pack, work_folder};
use hdl_gen::timing::{Graph, Matrix, Twin};

const STEPS_LIMIT: usize = 4096;

struct Case {
    bits: usize,
    input_steps: usize,
    output_steps: usize,
    vectors: usize,
    delay: usize,
    fifo_words: usize,
    memory: &'static str,
}

fn device(case: &Case, weights: &[u64]) -> Device {
    let frames = 3;
    let mut random = Random::new((case.input_steps * 1000 + case.output_steps) as u64);
    let values = random.lanes(frames * case.vectors * case.input_steps, case.bits);
    let mut results = Vec::new();
    for vector in values.chunks(case.input_steps) {
        for (n, row) in weights.chunks(case.input_steps).take(case.output_steps).enumerate() {
            let sum: u64 = vector.iter().zip(row).map(|(value, weight)| value * weight).sum();
            results.push(vec![sum as u32, n as u32 & 0xFF]);
        }
    }
    // The control's register, the accumulator's, the delay.
    let latency = 2 + case.delay as u32;
    let twin = Matrix::new(case.input_steps as u32, case.output_steps as u32, latency, case.fifo_words as u32).unwrap();
    Device {
        name: format!(
            "matrix SF {} NF {} delay {} fifo {} {}",
            case.input_steps, case.output_steps, case.delay, case.fifo_words, case.memory
        ),
        module: "matrix_bench",
        parameters: vec![
            ("DATA_BITS", case.bits.to_string()),
            ("INPUT_STEPS", case.input_steps.to_string()),
            ("OUTPUT_STEPS", case.output_steps.to_string()),
            ("VECTORS_PER_FRAME", case.vectors.to_string()),
            ("MEMORY", format!("{:?}", case.memory)),
            ("DELAY_CYCLES", case.delay.to_string()),
            ("FIFO_WORDS", case.fifo_words.to_string()),
            ("IMAGE", format!("{:?}", image_name(case.input_steps * case.output_steps))),
        ],
        in_bits: case.bits,
        out_bits: 40,
        frames,
        input: values.iter().map(|&value| pack(&[value], case.bits)).collect(),
        outputs: vec![results],
        graph: Graph::chain(
            vec![("dut".to_owned(), Twin::Matrix(twin))],
            (case.vectors * case.input_steps) as u64,
            (case.vectors * case.output_steps) as u64,
        )
        .unwrap(),
    }
}

fn image_name(steps: usize) -> String {
    format!("weights_{steps}.mem")
}

#[test]
fn matrix_equals_definition_and_twin() {
    let weights = Random::new(99).lanes(STEPS_LIMIT, 16);
    let mut devices = Vec::new();
    for memory in ["distributed", "block"] {
        for (bits, input_steps, output_steps, vectors, delay, fifo_words) in [
            (8, 1, 1, 5, 0, 1),
            (8, 1, 1, 50, 3, 7),
            (1, 1, 1, 20, 9, 4),
            (4, 1, 4, 7, 0, 4),
            (4, 1, 7, 3, 5, 2),
            (8, 5, 1, 6, 0, 4),
            (8, 2, 2, 9, 1, 1),
            (16, 2, 5, 4, 4, 3),
            (7, 3, 5, 7, 2, 4),
            (8, 9, 16, 2, 6, 8),
            (3, 16, 3, 1, 0, 2),
            (8, 17, 8, 3, 20, 2),
            (12, 100, 4, 2, 7, 2),
            (8, 64, 10, 1, 3, 4),
        ] {
            let case = Case { bits, input_steps, output_steps, vectors, delay, fifo_words, memory };
            devices.push(device(&case, &weights));
            let mut image = String::from("// bench weights: output step, input step; 16 bits\n");
            for weight in &weights[..input_steps * output_steps] {
                image.push_str(&format!("{weight:04x}\n"));
            }
            let file = work_folder("matrix").join(image_name(input_steps * output_steps));
            std::fs::write(file, image).unwrap();
        }
    }
    let wrapper = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtl_bench/matrix_bench.v");
    check("matrix", &devices, &[wrapper]);
}
