//! Sliding window, serial and parallel: RTL against the definition of a window and the twin.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run has failed")]

#[path = "rtl_bench/harness.rs"]
mod harness;

use harness::{Device, Random, check, pack};
use hdl_gen::timing::{Graph, LineWindow, SlidingWindow, Twin, WindowShape};

struct Case {
    lane_bits: usize,
    lanes: usize,
    shape: WindowShape,
    channel_outer: bool,
    buffer_words: u32,
    memory: &'static str,
}

/// Kernel, stride, dilation down and across; channel words, rows, columns;
/// padding top, left, bottom, right.
fn shape(k: [u32; 2], s: [u32; 2], d: [u32; 2], extent: [u32; 3], pad: [u32; 4]) -> WindowShape {
    WindowShape {
        channel_words: extent[0],
        rows: extent[1],
        columns: extent[2],
        pad_top: pad[0],
        pad_left: pad[1],
        pad_bottom: pad[2],
        pad_right: pad[3],
        kernel_rows: k[0],
        kernel_columns: k[1],
        stride_rows: s[0],
        stride_columns: s[1],
        dilation_rows: d[0],
        dilation_columns: d[1],
    }
}

/// The window words of one frame, `pixel(row, column, word)` giving lanes.
fn definition(case: &Case, frame: &[Vec<u64>], pad_code: u64) -> Vec<Vec<u64>> {
    let s = &case.shape;
    let tap = |oy: u32, ox: u32, ky: u32, kx: u32, c: u32| {
        let row = i64::from(oy * s.stride_rows + ky * s.dilation_rows) - i64::from(s.pad_top);
        let column = i64::from(ox * s.stride_columns + kx * s.dilation_columns) - i64::from(s.pad_left);
        if (0..i64::from(s.rows)).contains(&row) && (0..i64::from(s.columns)).contains(&column) {
            let pixel = row * i64::from(s.columns) + column;
            frame[(pixel * i64::from(s.channel_words) + i64::from(c)) as usize].clone()
        } else {
            vec![pad_code; case.lanes]
        }
    };
    let mut words = Vec::new();
    for oy in 0..s.out_rows() {
        for ox in 0..s.out_columns() {
            let mut window = Vec::new();
            for ky in 0..s.kernel_rows {
                for kx in 0..s.kernel_columns {
                    for c in 0..s.channel_words {
                        window.push((c, tap(oy, ox, ky, kx, c)));
                    }
                }
            }
            if case.channel_outer {
                window.sort_by_key(|&(c, _)| c);
            }
            words.extend(window.into_iter().map(|(_, lanes)| lanes));
        }
    }
    words
}

fn device(index: usize, case: &Case) -> Device {
    let frames = 3;
    let s = &case.shape;
    let mut random = Random::new(index as u64);
    let pad_code = random.next() & ((1 << case.lane_bits) - 1);
    let frame_words = s.input_words_per_frame() as usize;
    let words: Vec<Vec<u64>> = (0..frames * frame_words).map(|_| random.lanes(case.lanes, case.lane_bits)).collect();
    let expected: Vec<Vec<u64>> =
        words.chunks(frame_words).flat_map(|frame| definition(case, frame, pad_code)).collect();
    assert_eq!(expected.len() as u64, frames as u64 * s.output_words_per_frame());
    let twin = SlidingWindow::new(s, case.buffer_words).unwrap();
    Device {
        name: format!("window {index}: {s:?}, outer {}, buffer {}", case.channel_outer, case.buffer_words),
        module: "hwgen_sliding_window",
        parameters: [
            ("LANE_BITS", case.lane_bits as u64),
            ("LANES", case.lanes as u64),
            ("CHANNEL_WORDS", s.channel_words.into()),
            ("ROWS", s.rows.into()),
            ("COLUMNS", s.columns.into()),
            ("PAD_TOP", s.pad_top.into()),
            ("PAD_LEFT", s.pad_left.into()),
            ("PAD_BOTTOM", s.pad_bottom.into()),
            ("PAD_RIGHT", s.pad_right.into()),
            ("PAD_CODE", pad_code),
            ("KERNEL_ROWS", s.kernel_rows.into()),
            ("KERNEL_COLUMNS", s.kernel_columns.into()),
            ("STRIDE_ROWS", s.stride_rows.into()),
            ("STRIDE_COLUMNS", s.stride_columns.into()),
            ("DILATION_ROWS", s.dilation_rows.into()),
            ("DILATION_COLUMNS", s.dilation_columns.into()),
            ("OUT_ROWS", s.out_rows().into()),
            ("OUT_COLUMNS", s.out_columns().into()),
            ("CHANNEL_OUTER", case.channel_outer.into()),
            ("BUFFER_WORDS", case.buffer_words.into()),
        ]
        .into_iter()
        .map(|(name, value)| (name, value.to_string()))
        .chain([("MEMORY", format!("{:?}", case.memory))])
        .collect(),
        in_bits: case.lane_bits * case.lanes,
        out_bits: case.lane_bits * case.lanes,
        frames,
        input: words.iter().map(|lanes| pack(lanes, case.lane_bits)).collect(),
        outputs: vec![expected.iter().map(|lanes| pack(lanes, case.lane_bits)).collect()],
        graph: Graph::chain(
            vec![("dut".to_owned(), Twin::SlidingWindow(twin))],
            s.input_words_per_frame(),
            s.output_words_per_frame(),
        )
        .unwrap(),
    }
}

/// The parallel window of a shape with one word a pixel.
fn parallel(index: usize, shape: WindowShape) -> Device {
    let case = Case {
        lane_bits: 1 + index % 8,
        lanes: 1 + index % 2,
        shape,
        channel_outer: false,
        buffer_words: 0,
        memory: "",
    };
    let frames = 3;
    let s = &case.shape;
    let mut random = Random::new(9000 + index as u64);
    let pad_code = random.next() & ((1 << case.lane_bits) - 1);
    let frame_words = s.input_words_per_frame() as usize;
    let words: Vec<Vec<u64>> = (0..frames * frame_words).map(|_| random.lanes(case.lanes, case.lane_bits)).collect();
    let taps = (s.kernel_rows * s.kernel_columns) as usize;
    let expected: Vec<_> = words
        .chunks(frame_words)
        .flat_map(|frame| definition(&case, frame, pad_code))
        .collect::<Vec<_>>()
        .chunks(taps)
        .map(|window| pack(&window.concat(), case.lane_bits))
        .collect();
    let in_bits = case.lane_bits * case.lanes;
    Device {
        name: format!("line window {index}: {s:?}"),
        module: "hwgen_line_window",
        parameters: [
            ("LANE_BITS", case.lane_bits as u64),
            ("LANES", case.lanes as u64),
            ("ROWS", s.rows.into()),
            ("COLUMNS", s.columns.into()),
            ("PAD_TOP", s.pad_top.into()),
            ("PAD_LEFT", s.pad_left.into()),
            ("PAD_BOTTOM", s.pad_bottom.into()),
            ("PAD_RIGHT", s.pad_right.into()),
            ("PAD_CODE", pad_code),
            ("KERNEL_ROWS", s.kernel_rows.into()),
            ("KERNEL_COLUMNS", s.kernel_columns.into()),
            ("STRIDE_ROWS", s.stride_rows.into()),
            ("STRIDE_COLUMNS", s.stride_columns.into()),
            ("DILATION_ROWS", s.dilation_rows.into()),
            ("DILATION_COLUMNS", s.dilation_columns.into()),
            ("OUT_ROWS", s.out_rows().into()),
            ("OUT_COLUMNS", s.out_columns().into()),
        ]
        .into_iter()
        .map(|(name, value)| (name, value.to_string()))
        .chain([("MEMORY", format!("{:?}", ["distributed", "block", "auto"][index % 3]))])
        .collect(),
        in_bits,
        out_bits: in_bits * taps,
        frames,
        input: words.iter().map(|lanes| pack(lanes, case.lane_bits)).collect(),
        graph: Graph::chain(
            vec![("dut".to_owned(), Twin::LineWindow(LineWindow::new(s).unwrap()))],
            frame_words as u64,
            (expected.len() / frames) as u64,
        )
        .unwrap(),
        outputs: vec![expected],
    }
}

fn shapes() -> Vec<WindowShape> {
    let one = [1, 1];
    let none = [0; 4];
    vec![
        shape(one, one, one, [1, 1, 1], none),
        shape(one, one, one, [3, 4, 5], none),
        shape(one, [2, 2], one, [2, 5, 5], none),
        shape(one, [3, 2], one, [1, 7, 5], none),
        shape([3, 3], one, one, [1, 3, 3], none),
        shape([3, 3], one, one, [1, 6, 7], none),
        shape([3, 3], one, one, [2, 5, 5], [1, 1, 1, 1]),
        shape([3, 3], one, one, [1, 1, 1], [1, 1, 1, 1]),
        shape([3, 3], [2, 2], one, [1, 8, 8], [0, 0, 1, 1]),
        shape([3, 3], [2, 2], one, [2, 7, 9], [1, 1, 1, 1]),
        shape([2, 2], [2, 2], one, [2, 7, 7], none),
        shape([2, 2], [3, 4], one, [1, 9, 11], none),
        shape([1, 1], [4, 4], one, [1, 11, 9], [0, 1, 2, 0]),
        shape([3, 3], one, [2, 2], [1, 7, 8], [2, 2, 2, 2]),
        shape([2, 3], [1, 2], [3, 1], [2, 6, 6], [0, 2, 1, 0]),
        shape([5, 5], one, one, [1, 8, 8], [2, 2, 2, 2]),
        shape([1, 5], one, one, [1, 3, 9], [0, 2, 0, 2]),
        shape([5, 1], [2, 1], one, [3, 9, 3], [2, 0, 2, 0]),
        shape([3, 3], one, one, [1, 5, 1], [1, 1, 1, 1]),
        shape([3, 3], one, one, [1, 1, 6], [1, 1, 1, 1]),
        shape([2, 2], one, one, [1, 2, 2], [3, 0, 0, 3]),
        shape([4, 4], [4, 4], one, [2, 8, 8], none),
        shape([1, 1], [1, 1], [5, 7], [1, 3, 3], none),
        shape([3, 3], [5, 5], one, [1, 12, 12], [1, 0, 0, 1]),
        shape([2, 2], [1, 1], one, [5, 4, 4], none),
        shape([7, 7], [2, 2], one, [1, 12, 12], [3, 3, 3, 3]),
    ]
}

#[test]
fn window_equals_definition_and_twin() {
    let mut devices = Vec::new();
    for (number, shape) in shapes().into_iter().enumerate() {
        let least = shape.minimum_buffer_words().unwrap();
        let recommended = shape.recommended_buffer_words().unwrap();
        let sizes = [least, recommended, least + 1, recommended.next_power_of_two(), least + 7];
        for (variant, channel_outer) in [(0, false), (1, true), (2 + number % 3, number.is_multiple_of(2))] {
            let index = devices.len();
            devices.push(device(
                index,
                &Case {
                    lane_bits: 1 + index % 16,
                    lanes: 1 + index % 3,
                    shape,
                    channel_outer,
                    buffer_words: sizes[variant],
                    memory: ["distributed", "block", "auto"][index % 3],
                },
            ));
        }
    }
    check("window", &devices, &[]);
}

#[test]
fn line_window_equals_definition_and_twin() {
    // Every word of a build is as wide as the widest: no larger kernels here.
    let small = shapes().into_iter().filter(|shape| shape.kernel_rows * shape.kernel_columns <= 9);
    let devices: Vec<Device> =
        small.enumerate().map(|(number, shape)| parallel(number, WindowShape { channel_words: 1, ..shape })).collect();
    check("line_window", &devices, &[]);
}
