//! The judge against hand-worked words, and against planted faults.

use super::{Judge, Verdict};
use golden_model::{LayerTrace, Trace};
use network::graph::{HardwareRequest, HostStep, Input, Layer, NetworkParts, Output, TensorId};
use network::manifest::{
    Edge, EdgeContent, EdgeOrder, EdgeTensor, InputPort, MANIFEST_VERSION, Manifest, OutputPort, StreamPort, Timing,
    Word,
};
use network::op::{Op, Weights};
use network::shape::{AxisOrder, Window};
use network::{Format, Network, Place, Shape};

/// Input 2x2x2 of u4; one output channel, kernel 2x2, padded above and to the left, all weights 1.
fn network() -> Network {
    let weights = Weights::plain(Format::signed(2).unwrap(), 1, 8, vec![1; 8]);
    let window =
        Window { kernel: [2, 2], stride: [1, 1], dilation: [1, 1], padding_before: [1, 1], padding_after: [0, 0] };
    Network::build(NetworkParts {
        name: "tiny".to_owned(),
        inputs: vec![Input {
            name: "x".to_owned(),
            shape: Shape::new(2, 2, 2).unwrap(),
            format: Format::unsigned(4).unwrap(),
            axes: AxisOrder::ChannelsLast,
            quantizer: None,
        }],
        layers: vec![Layer {
            name: "conv".to_owned(),
            place: Place::default(),
            inputs: vec![TensorId(0)],
            op: Op::Conv2d { weights, window, padding_value: 0, groups: 1 },
            requantization: None,
            modes: Vec::new(),
            hardware: HardwareRequest::default(),
        }],
        outputs: vec![Output {
            tensor: TensorId(1),
            name: "y".to_owned(),
            axes: AxisOrder::ChannelsLast,
            scales: vec![1.0],
            offsets: vec![0.0],
            modes: Vec::new(),
            host: HostStep::None,
        }],
    })
    .unwrap()
}

/// Frame 0 holds 1 to 8, frame 1 zeros; the sums are worked out by hand.
fn traces() -> Vec<Trace> {
    let trace = |input: [i64; 8], sums: [i64; 4]| Trace {
        inputs: vec![input.to_vec()],
        layers: vec![LayerTrace { sums: Some(sums.to_vec()), output: sums.to_vec() }],
        mode: 0,
    };
    vec![trace([1, 2, 3, 4, 5, 6, 7, 8], [3, 10, 14, 36]), trace([0; 8], [0; 4])]
}

fn content(tensor: EdgeTensor, order: EdgeOrder, gain: i64, offset: i64) -> EdgeContent {
    EdgeContent { tensor, order, gain, scale: vec![1], offset: vec![offset], modes: Vec::new() }
}

fn windows(channel_groups: u64, padding_code: i64) -> EdgeOrder {
    EdgeOrder::Windows {
        positions: [2, 2],
        kernel: [2, 2],
        stride: [1, 1],
        dilation: [1, 1],
        padding_before: [1, 1],
        padding_code,
        channel_groups,
    }
}

fn manifest(content: EdgeContent, lanes: u32, lane_bits: u32, signed: bool, words_per_frame: u64) -> Manifest {
    let sums = Word { lanes: 1, lane_bits: 9, signed: false };
    let edge = |name: &str, content, word, words_per_frame| Edge {
        name: name.to_owned(),
        layer: "conv".to_owned(),
        module: "tiny".to_owned(),
        path: Vec::new(),
        valid: String::new(),
        ready: None,
        data: String::new(),
        word,
        words_per_frame,
        content,
    };
    let last = content_of_sums();
    Manifest {
        hwgen: MANIFEST_VERSION,
        name: "tiny".to_owned(),
        plan_sha256: String::new(),
        top: "tiny".to_owned(),
        sources: Vec::new(),
        memories: Vec::new(),
        inputs: vec![InputPort {
            name: "x".to_owned(),
            prefix: "s_axis".to_owned(),
            port: StreamPort {
                word: Word { lanes: 1, lane_bits: 4, signed: false },
                tdata_bits: 8,
                words_per_frame: 8,
            },
        }],
        outputs: vec![OutputPort {
            name: "y".to_owned(),
            prefix: "m_axis".to_owned(),
            port: StreamPort { word: sums, tdata_bits: 16, words_per_frame: 4 },
            content: content_of_sums(),
        }],
        edges: vec![
            edge("under_test", content, Word { lanes, lane_bits, signed }, words_per_frame),
            edge("conv", last, sums, 4),
        ],
        modes: None,
        timing: Timing { first_frame_cycles: 0, initiation_interval_cycles: 0 },
        layers: Vec::new(),
    }
}

fn content_of_sums() -> EdgeContent {
    content(EdgeTensor::Output("conv".to_owned()), EdgeOrder::Raster, 1, 0)
}

/// Judges two frames on the edge under test; the sums and the output port are always right.
fn judge(manifest: &Manifest, words: &[Vec<u8>]) -> Verdict {
    let network = network();
    let mut source = traces().into_iter();
    let mut judge = Judge::new(manifest, &network, || source.next()).unwrap();
    for (index, word) in words.iter().enumerate() {
        judge.word(0, index as u64, 100 + index as u64, word);
    }
    for (index, sum) in [3u16, 10, 14, 36, 0, 0, 0, 0].into_iter().enumerate() {
        judge.word(1, index as u64, 200 + index as u64, &sum.to_le_bytes());
        judge.output(0, index as u64, 300 + index as u64, &(sum | 0xfe00).to_le_bytes());
    }
    judge.finish(2)
}

/// The words of frame 0 are given, one byte or two each; those of frame 1 are `zero`.
#[track_caller]
fn check(content: EdgeContent, lanes: u32, lane_bits: u32, signed: bool, frame: &[&[u8]], zero: &[Vec<u8>]) {
    let manifest = manifest(content, lanes, lane_bits, signed, frame.len() as u64);
    let words: Vec<Vec<u8>> = frame.iter().map(|word| word.to_vec()).chain(zero.iter().cloned()).collect();
    let verdict = judge(&manifest, &words);
    assert!(verdict.is_good(), "{verdict}");
    assert_eq!(verdict.edges[0].words, words.len() as u64);
    for at in 0..words.len() {
        for bit in 0..lanes as usize * lane_bits as usize {
            let mut faulty = words.clone();
            faulty[at][bit / 8] ^= 1 << (bit % 8);
            let verdict = judge(&manifest, &faulty);
            assert_eq!(verdict.mismatches(), 1, "bit {bit} of word {at}");
            let (edge, first) = verdict.first().unwrap();
            assert_eq!((edge.name.as_str(), first.cycle), ("under_test", 100 + at as u64));
            assert_eq!(first.frame, u64::from(at >= frame.len()));
            let lane = bit as u64 / u64::from(lane_bits);
            assert_eq!(first.element, (at % frame.len()) as u64 * u64::from(lanes) + lane);
        }
    }
}

#[test]
fn raster_words() {
    let input = || content(EdgeTensor::Input(0), EdgeOrder::Raster, 1, 0);
    check(input(), 2, 4, false, &[&[0x21], &[0x43], &[0x65], &[0x87]], &vec![vec![0]; 4]);
    check(input(), 1, 4, false, &[&[1], &[2], &[3], &[4], &[5], &[6], &[7], &[8]], &vec![vec![0]; 8]);
    check(input(), 4, 4, false, &[&[0x21, 0x43], &[0x65, 0x87]], &vec![vec![0, 0]; 2]);
    check(input(), 2, 5, false, &[&[0x41, 0], &[0x83, 0], &[0xc5, 0], &[0x07, 1]], &vec![vec![0, 0]; 4]);
}

#[test]
fn window_words() {
    let input = |groups, padding| content(EdgeTensor::Input(0), windows(groups, padding), 1, 0);
    let frame: [&[u8]; 16] = [
        &[0],
        &[0],
        &[0],
        &[0x21],
        &[0],
        &[0],
        &[0x21],
        &[0x43],
        &[0],
        &[0x21],
        &[0],
        &[0x65],
        &[0x21],
        &[0x43],
        &[0x65],
        &[0x87],
    ];
    check(input(1, 0), 2, 4, false, &frame, &vec![vec![0]; 16]);
    let grouped: [&[u8]; 16] = [
        &[0xff],
        &[0x1f],
        &[0xff],
        &[0x2f],
        &[0xff],
        &[0x31],
        &[0xff],
        &[0x42],
        &[0x1f],
        &[0x5f],
        &[0x2f],
        &[0x6f],
        &[0x31],
        &[0x75],
        &[0x42],
        &[0x86],
    ];
    let zeros: Vec<Vec<u8>> = vec![
        vec![0xff],
        vec![0x0f],
        vec![0xff],
        vec![0x0f],
        vec![0xff],
        vec![0x00],
        vec![0xff],
        vec![0x00],
        vec![0x0f],
        vec![0x0f],
        vec![0x0f],
        vec![0x0f],
        vec![0],
        vec![0],
        vec![0],
        vec![0],
    ];
    check(input(2, -1), 2, 4, false, &grouped, &zeros);
}

#[test]
fn gain_and_offset() {
    let sums = |scale, offset| EdgeContent {
        scale: vec![scale],
        ..content(EdgeTensor::Accumulator("conv".to_owned()), EdgeOrder::Raster, 1, offset)
    };
    let halves = EdgeContent { gain: 3, ..sums(6, -3) };
    check(halves, 1, 8, false, &[&[7], &[21], &[29], &[73]], &vec![vec![1]; 4]);
    check(sums(1, -1), 1, 8, false, &[&[4], &[11], &[15], &[37]], &vec![vec![1]; 4]);
    check(sums(-1, -36), 1, 6, false, &[&[33], &[26], &[22], &[0]], &vec![vec![36]; 4]);
    check(sums(-1, 0), 1, 7, true, &[&[0x7d], &[0x76], &[0x72], &[0x5c]], &vec![vec![0]; 4]);
}

#[test]
fn integers_that_an_edge_cannot_carry() {
    let sums = |gain, offset| content(EdgeTensor::Accumulator("conv".to_owned()), EdgeOrder::Raster, gain, offset);
    for (content, lane_bits) in [(sums(2, 0), 8), (sums(1, 0), 5), (sums(1, 5), 8)] {
        let manifest = manifest(content, 1, lane_bits, false, 4);
        let verdict = judge(&manifest, &[]);
        assert!(!verdict.is_good());
        assert_eq!(verdict.edges[0].missing_words, 8);
        let words = vec![vec![0u8]; 8];
        assert!(judge(&manifest, &words).edges[0].problem.is_some());
    }
}

/// The same network with its input as a second output, which travels in words of two.
#[test]
fn every_output_is_judged() {
    let one = network();
    let parts = NetworkParts {
        name: "tiny".to_owned(),
        inputs: one.inputs().to_vec(),
        layers: one.layers().to_vec(),
        outputs: vec![
            one.outputs()[0].clone(),
            Output { tensor: TensorId(0), name: "x".to_owned(), ..one.outputs()[0].clone() },
        ],
    };
    let network = Network::build(parts).unwrap();
    let input = || content(EdgeTensor::Input(0), EdgeOrder::Raster, 1, 0);
    let mut manifest = manifest(input(), 2, 4, false, 4);
    manifest.edges.clear();
    assert!(Judge::new(&manifest, &network, || None).is_err(), "an output is missing");
    manifest.outputs.push(OutputPort {
        name: "x".to_owned(),
        prefix: "m1_axis".to_owned(),
        port: StreamPort { word: Word { lanes: 2, lane_bits: 4, signed: false }, tdata_bits: 8, words_per_frame: 4 },
        content: input(),
    });
    let judged = |codes: [u8; 4]| {
        let mut source = traces().into_iter();
        let mut judge = Judge::new(&manifest, &network, || source.next()).unwrap();
        for (index, code) in codes.into_iter().enumerate() {
            judge.output(1, index as u64, index as u64, &[code]);
        }
        for (index, sum) in [3u16, 10, 14, 36].into_iter().enumerate() {
            judge.output(0, index as u64, 9 + index as u64, &sum.to_le_bytes());
        }
        judge.output(2, 0, 0, &[0]);
        judge.finish(1)
    };
    let good = judged([0x21, 0x43, 0x65, 0x87]);
    assert!(good.is_good(), "{good}");
    assert_eq!(good.edges.iter().map(|edge| edge.words).collect::<Vec<_>>(), [4, 4]);
    let bad = judged([0x21, 0x43, 0x75, 0x87]);
    let (edge, first) = bad.first().unwrap();
    assert_eq!((bad.mismatches(), edge.name.as_str(), edge.layer.as_str()), (1, "m1_axis", "input"));
    assert_eq!((first.element, first.expected, first.got, first.cycle), (5, 6, 7, 2));
}

#[test]
fn missing_and_extra_words() {
    let manifest = manifest(content(EdgeTensor::Input(0), EdgeOrder::Raster, 1, 0), 2, 4, false, 4);
    let words: Vec<Vec<u8>> = [0x21, 0x43, 0x65, 0x87, 0, 0, 0, 0, 0, 0].into_iter().map(|byte| vec![byte]).collect();
    assert!(judge(&manifest, &words[..8]).is_good());
    let short = judge(&manifest, &words[..7]);
    assert_eq!((short.mismatches(), short.edges[0].missing_words), (1, 1));
    let long = judge(&manifest, &words);
    assert_eq!((long.mismatches(), long.edges[0].extra_words), (2, 2));
}

#[test]
fn a_mismatch_names_its_element() {
    let manifest = manifest(content(EdgeTensor::Input(0), windows(1, 0), 1, 0), 2, 4, false, 16);
    let mut words = vec![vec![0u8]; 32];
    for (at, byte) in
        [(3, 0x21), (6, 0x21), (7, 0x43), (9, 0x21), (11, 0x65), (12, 0x21), (13, 0x4f), (14, 0x65), (15, 0x87)]
    {
        words[at] = vec![byte];
    }
    let verdict = judge(&manifest, &words);
    assert_eq!(
        verdict.to_string().lines().nth(1).unwrap().trim(),
        "frame 0, element 26 (row 0, column 1, channel 0 (window 1,1, tap 0,1)): expected 3, got 15, in cycle 113"
    );
}

#[test]
fn cycles_must_be_equal() {
    let mut verdict = Verdict::default();
    verdict.compare_cycles("m_axis", &[9, 19], &[9, 19]);
    assert!(verdict.is_good());
    verdict.compare_cycles("m_axis", &[9, 19, 29], &[9, 20]);
    assert_eq!(verdict.cycle_differences.len(), 2);
    assert!(verdict.to_string().starts_with("m_axis: frame 1 ends in cycle 20, predicted 19\n"), "{verdict}");
    assert!(!verdict.is_good());
}

#[test]
fn foreign_manifests_are_refused() {
    let network = network();
    let refused = |manifest: Manifest| Judge::new(&manifest, &network, || None).err().unwrap().problem;
    let input = || content(EdgeTensor::Input(0), EdgeOrder::Raster, 1, 0);
    assert!(refused(manifest(input(), 2, 4, false, 5)).contains("are not the 8 elements"));
    assert!(
        refused(manifest(content(EdgeTensor::Output("fc".to_owned()), EdgeOrder::Raster, 1, 0), 2, 4, false, 4))
            .contains("`fc`")
    );
    assert!(
        refused(manifest(content(EdgeTensor::Input(0), EdgeOrder::Raster, 0, 0), 2, 4, false, 4)).contains("gain 0")
    );
    assert!(refused(manifest(content(EdgeTensor::Input(0), windows(3, 0), 1, 0), 2, 4, false, 16)).contains("window"));
    assert!(refused(manifest(input(), 0, 4, false, 4)).contains("0 lanes"));
}
