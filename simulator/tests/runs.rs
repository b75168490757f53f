//! Runs of small hand-written designs, all in one build: words, cycles, stalls, rules, hangs, assertions.
//!
//! Expected cycles are worked out by hand from the designs, or by the queue model of a register slice in this file.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use simulator::{
    BuildOptions, CacheDir, DesignFolder, End, Event, Model, RunRequest, SimReport, Stalls, Tools, ViolationKind,
};

const DESIGNS: [&str; 10] =
    ["slice", "wide", "deadlock", "dropper", "wronglast", "asserting", "lookup", "restless", "stutter", "split"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/designs").join(name)
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let designs = DESIGNS.iter().map(|name| DesignFolder::load(&folder(name)).unwrap()).collect();
        let cache = CacheDir::at(Path::new(env!("CARGO_TARGET_TMPDIR")).join("models"));
        Model::build(&Tools::locate().unwrap(), designs, &cache, &BuildOptions::default()).unwrap()
    })
}

fn request(name: &str) -> RunRequest {
    RunRequest::new(DESIGNS.iter().position(|design| *design == name).unwrap())
}

/// What moved: per edge and then per output the cycle and the word.
type Moved = Vec<Vec<(u64, Vec<u8>)>>;

fn run(request: &RunRequest, frames: Vec<Vec<u8>>) -> (SimReport, Moved) {
    let manifest = model().designs()[request.design].manifest();
    let edges = manifest.edges.len();
    let mut moved: Moved = vec![Vec::new(); edges + manifest.outputs.len()];
    let report = model()
        .run(request, frames.into_iter(), &mut |event| {
            match event {
                Event::Word { edge, index, cycle, data } => {
                    assert_eq!(index as usize, moved[edge].len());
                    moved[edge].push((cycle, data.to_vec()));
                }
                Event::Output { output, index, cycle, data, .. } => {
                    assert_eq!(index as usize, moved[edges + output].len());
                    moved[edges + output].push((cycle, data.to_vec()));
                }
                Event::FrameEnd { .. } | Event::Violation(_) | Event::Progress { .. } => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    (report, moved)
}

/// Frames of `words` bytes with different values.
fn byte_frames(frames: usize, words: usize) -> Vec<Vec<u8>> {
    (0..frames).map(|frame| (0..words).map(|word| (frame * words + word) as u8).collect()).collect()
}

#[test]
fn slice_takes_one_word_a_cycle_and_adds_one() {
    let (report, moved) = run(&request("slice"), byte_frames(3, 4));
    assert!(report.is_clean(), "{report:?}");
    let expected = |delay| (0..12u64).map(|word| (word + delay, vec![word as u8])).collect::<Vec<_>>();
    assert_eq!(moved, [expected(0), expected(1), expected(1)]);
    assert_eq!(report.frames, 3);
    assert_eq!(report.first_input_cycle, Some(0));
    assert_eq!(report.cycles, 13);
    assert_eq!(report.frame_end_cycles, [[4, 8, 12]]);
    assert_eq!(report.initiation_interval, Some(4));
    assert_eq!(report.edges.iter().map(|edge| edge.words).collect::<Vec<_>>(), [12, 12]);
}

#[test]
fn no_frames_is_a_run_of_nothing() {
    let (report, moved) = run(&request("slice"), Vec::new());
    assert!(report.is_clean());
    assert_eq!(
        (report.frames, report.cycles, report.first_input_cycle, report.initiation_interval),
        (0, 0, None, None)
    );
    assert_eq!(moved, [[], [], []] as [[(u64, Vec<u8>); 0]; 3]);
}

/// Cycles at which words enter and leave a register slice, from its definition and the definition of the stalls.
fn slice_twin(words: usize, seed: u64, probability: f64) -> (Vec<u64>, Vec<u64>) {
    fn stalled(seed: u64, endpoint: u64, cycle: u64, probability: f64) -> bool {
        let x = u128::from(seed) * 0x9E3779B97F4A7C15
            + u128::from(endpoint) * 0xD1B54A32D192ED03
            + u128::from(cycle)
            + 0x9E3779B97F4A7C15;
        let mut z = x as u64;
        z = ((u128::from(z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % (1 << 64)) as u64;
        z = ((u128::from(z ^ (z >> 27)) * 0x94D049BB133111EB) % (1 << 64)) as u64;
        z ^= z >> 31;
        (z / 2048) as f64 / 9007199254740992.0 < probability
    }
    let (mut entered, mut left) = (Vec::new(), Vec::new());
    let (mut offered, mut full) = (false, false);
    let mut cycle = 0;
    while left.len() < words {
        offered |= entered.len() < words && !stalled(seed, 0, cycle, probability);
        let leaves = full && !stalled(seed, 1, cycle, probability);
        let ready = !full || !stalled(seed, 1, cycle, probability);
        if leaves {
            left.push(cycle);
            full = false;
        }
        if offered && ready {
            entered.push(cycle);
            offered = false;
            full = true;
        }
        cycle += 1;
    }
    (entered, left)
}

#[test]
fn stalls_are_those_of_the_definition() {
    for (seed, probability) in [(1, 0.3), (2, 0.3), (u64::MAX, 0.9), (0x1234_5678_9abc_def0, 0.05)] {
        let mut request = request("slice");
        request.stalls = Stalls { probability, seed };
        let (report, moved) = run(&request, byte_frames(16, 4));
        assert!(report.is_clean(), "{report:?}");
        let (entered, left) = slice_twin(64, seed, probability);
        assert_eq!(moved[0].iter().map(|(cycle, _)| *cycle).collect::<Vec<_>>(), entered);
        assert_eq!(moved[1].iter().map(|(cycle, _)| *cycle).collect::<Vec<_>>(), left);
        assert_eq!(moved[1], moved[2]);
        assert!(moved[1].iter().enumerate().all(|(word, (_, data))| *data == [word as u8]));
        assert_eq!(report.cycles, left[63] - entered[0] + 1);
        assert_eq!(report.frame_end_cycles[0], left.chunks(4).map(|frame| frame[3]).collect::<Vec<_>>());
        assert_eq!(report.initiation_interval, None);
    }
}

#[test]
fn wide_words_and_edges_of_submodules_arrive_whole() {
    for probability in [0.0, 0.4] {
        let frames: Vec<Vec<u8>> =
            (0..5u32).map(|frame| (0..51u32).map(|byte| (frame * 97 + byte * 31) as u8).collect()).collect();
        let words: Vec<Vec<u8>> = frames.concat().chunks(17).map(<[u8]>::to_vec).collect();
        let mut request = request("wide");
        request.stalls = Stalls { probability, seed: 5 };
        let (report, moved) = run(&request, frames);
        assert!(report.is_clean(), "{report:?}");
        let data = |edge: usize| moved[edge].iter().map(|(_, data)| data.clone()).collect::<Vec<_>>();
        assert_eq!(data(2), words);
        assert_eq!(data(3), words);
        let first: Vec<Vec<u8>> = (words.iter().enumerate())
            .map(|(at, word)| {
                [word.clone(), word.iter().map(|byte| !byte).collect(), vec![u8::from(at % 3 == 2)]].concat()
            })
            .collect();
        assert_eq!(data(0), first);
        let second: Vec<Vec<u8>> =
            words.iter().enumerate().map(|(at, word)| [word.clone(), vec![u8::from(at % 3 == 2)]].concat()).collect();
        assert_eq!(data(1), second);
        if probability == 0.0 {
            assert_eq!(report.cycles, 15 + 2);
            assert_eq!(report.frame_end_cycles, [[4, 7, 10, 13, 16]]);
        }
    }
}

#[test]
fn two_outputs_have_words_frames_and_cycles_of_their_own() {
    let (report, moved) = run(&request("split"), byte_frames(3, 4));
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(moved[0], (0..12u64).map(|word| (word + 1, vec![word as u8])).collect::<Vec<_>>());
    let pair = |at: u64| (2 * at + 2, vec![2 * at as u8, 2 * at as u8 + 1]);
    assert_eq!(moved[1], (0..6).map(pair).collect::<Vec<_>>());
    assert_eq!(report.frame_end_cycles, [[4, 8, 12], [4, 8, 12]]);
    assert_eq!((report.frames, report.output_words, report.cycles), (3, 18, 13));
    assert_eq!(report.initiation_interval, Some(4));
}

/// Endpoint 1 + k stalls output k, and a run lasts until every output has all its frames.
#[test]
fn each_output_has_a_stall_pattern_of_its_own() {
    let mut request = request("split");
    request.stalls = Stalls { probability: 0.6, seed: 9 };
    let (report, moved) = run(&request, byte_frames(20, 4));
    assert!(report.is_clean(), "{report:?}");
    for (output, words) in [(0, 80), (1, 40)] {
        assert_eq!(moved[output].len(), words);
        let sink = simulator::stall::SINK + output as u64;
        let stalled = |cycle: u64| simulator::stall::is_stalled(9, sink, cycle, 0.6);
        assert!(moved[output].iter().all(|(cycle, _)| !stalled(*cycle)), "output {output}");
        let ends: Vec<u64> =
            moved[output].iter().skip(words / 20 - 1).step_by(words / 20).map(|moved| moved.0).collect();
        assert_eq!(report.frame_end_cycles[output], ends);
    }
    let last = moved.iter().filter_map(|words| words.last()).map(|moved| moved.0).max().unwrap();
    assert_eq!(report.cycles, last - report.first_input_cycle.unwrap() + 1);
}

#[test]
fn a_wrong_word_of_the_second_output_is_seen() {
    let (report, moved) = run(&request("split"), vec![vec![1, 2, 0xc0, 7]]);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(moved[1], [(2, vec![1, 2]), (4, vec![0xc1, 7])]);
}

#[test]
fn a_hang_names_every_output() {
    let mut request = request("split");
    request.stalls = Stalls { probability: 1.0, seed: 1 };
    request.idle_limit_cycles = 100;
    let (report, _) = run(&request, byte_frames(1, 4));
    let names: Vec<String> = report.hang.unwrap().streams.iter().map(|stream| stream.name.clone()).collect();
    assert_eq!(names, ["s_axis", "m0_axis", "m1_axis"]);
}

#[test]
fn edges_are_counted_but_not_sent_when_not_asked_for() {
    let mut request = request("slice");
    request.observe_edges = false;
    let (report, moved) = run(&request, byte_frames(2, 4));
    assert_eq!((moved[0].len(), moved[1].len(), moved[2].len()), (0, 0, 8));
    assert_eq!(report.edges[1].words, 8);
}

#[test]
fn a_hang_shows_who_waits() {
    let mut request = request("deadlock");
    request.idle_limit_cycles = 100;
    let (report, moved) = run(&request, byte_frames(2, 4));
    assert_eq!(report.end, End::Hang);
    assert_eq!(moved[2].len(), 3);
    let hang = report.hang.unwrap();
    assert_eq!(hang.cycle, 3 + 99);
    assert_eq!(
        hang.to_string(),
        "no word has moved up to cycle 102:\n\
         \x20 s_axis offers a word that its consumer does not take, after 0 frames and 3 of 4 words\n\
         \x20 input offers a word that its consumer does not take, after 0 frames and 3 of 4 words\n\
         \x20 gate has no word, and its consumer is not ready, after 0 frames and 3 of 4 words\n\
         \x20 m_axis waits for its producer, after 0 frames and 3 of 4 words\n"
    );
}

#[test]
fn a_dropped_valid_is_seen_on_the_edge_and_on_the_port() {
    let mut request = request("dropper");
    request.idle_limit_cycles = 100;
    assert!(run(&request, byte_frames(2, 4)).0.is_clean());
    request.stalls = Stalls { probability: 0.5, seed: 1 };
    let (report, _) = run(&request, byte_frames(2, 4));
    assert_eq!(report.end, End::Hang);
    let places: Vec<_> =
        report.violations.iter().filter(|violation| violation.kind == ViolationKind::ValidDropped).collect();
    assert!(places.iter().any(|violation| violation.edge.as_deref() == Some("output")), "{places:?}");
    assert!(places.iter().any(|violation| violation.edge.as_deref() == Some("m_axis")), "{places:?}");
    // The first word that the sink does not take is lost one cycle later.
    let sink_stalls = |cycle: &u64| simulator::stall::is_stalled(1, simulator::stall::SINK, *cycle, 0.5);
    let source_offers = |cycle: u64| !simulator::stall::is_stalled(1, simulator::stall::SOURCE, cycle, 0.5);
    let refused = (1..).filter(sink_stalls).find(|cycle| source_offers(cycle - 1)).unwrap();
    let first = report.violations[0].clone();
    assert!(first.cycle == refused + 1, "{first:?} {refused}");
}

#[test]
fn a_wrong_tlast_is_seen_at_its_word() {
    let (report, _) = run(&request("wronglast"), byte_frames(1, 4));
    assert_eq!(report.end, End::Complete);
    let seen: Vec<_> =
        report.violations.iter().map(|violation| (violation.kind, violation.cycle, violation.text.as_str())).collect();
    assert_eq!(
        seen,
        [
            (ViolationKind::LastWrong, 3, "m_axis_tlast is high at word 2 of 4"),
            (ViolationKind::LastWrong, 4, "m_axis_tlast is low at word 3 of 4"),
        ]
    );
}

#[test]
fn a_word_that_changes_while_it_waits_is_seen() {
    assert!(run(&request("restless"), byte_frames(2, 4)).0.is_clean());
    let mut request = request("restless");
    request.stalls = Stalls { probability: 0.5, seed: 2 };
    let (report, _) = run(&request, byte_frames(2, 4));
    // The first word stands at the output one cycle after it was offered; it changes after the first stall there.
    let offered = (0..).find(|cycle| !simulator::stall::is_stalled(2, simulator::stall::SOURCE, *cycle, 0.5)).unwrap();
    let refused =
        (offered + 1..).find(|cycle| simulator::stall::is_stalled(2, simulator::stall::SINK, *cycle, 0.5)).unwrap();
    assert_eq!(refused, offered + 1, "choose a seed that stalls the first word");
    let seen: Vec<_> =
        report.violations.iter().take(3).map(|seen| (seen.kind, seen.cycle, seen.edge.as_deref())).collect();
    let expected = [
        (ViolationKind::DataChanged, refused + 1, Some("output")),
        (ViolationKind::DataChanged, refused + 1, Some("m_axis")),
        (ViolationKind::LastChanged, refused + 1, Some("m_axis")),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_word_too_many_is_seen() {
    let (report, _) = run(&request("stutter"), byte_frames(1, 4));
    assert_eq!(report.end, End::Complete);
    let seen: Vec<_> = report
        .violations
        .iter()
        .map(|seen| (seen.kind, seen.cycle, seen.edge.as_deref(), seen.text.as_str()))
        .collect();
    // Words at cycles 1 to 4; the fifth follows at once, with a tlast that marks no word of the second frame.
    let expected = [
        (ViolationKind::LastWrong, 5, Some("m_axis"), "m_axis_tlast is high at word 0 of 4"),
        (ViolationKind::ExtraWord, 5, None, "a word moved after all frames had passed every edge"),
        (ViolationKind::ExtraWord, 5 + 63, Some("m_axis"), "5 words moved, not 4"),
        (ViolationKind::ExtraWord, 5 + 63, Some("output"), "5 words moved, not 4"),
    ];
    assert_eq!(seen, expected);
}

#[track_caller]
fn check_stop(word: u8, kind: ViolationKind, line: &str, message: &str) {
    let (report, _) = run(&request("asserting"), vec![vec![1, 2, word, 4]]);
    assert_eq!(report.end, End::DesignStopped, "{report:?}");
    let violation = &report.violations[0];
    assert_eq!((violation.kind, violation.cycle), (kind, 3), "{violation:?}");
    assert!(violation.text.contains(line), "{violation:?}");
    assert!(report.messages.contains(message), "{report:?}");
}

#[test]
fn assertions_end_the_run_with_their_place() {
    check_stop(0xee, ViolationKind::Assertion, "asserting.v:37", "word ee is forbidden");
    check_stop(0xef, ViolationKind::Finished, "asserting.v:39", "");
    check_stop(0xed, ViolationKind::Assertion, "asserting.v:40", "word ed");
}

#[test]
fn memory_images_are_those_of_the_design_folder() {
    let (report, moved) = run(&request("lookup"), vec![vec![0, 3, 16, 15]]);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(moved[0].iter().map(|(_, data)| data[0]).collect::<Vec<_>>(), [0, 9, 0, 225]);
}

#[test]
fn a_caller_who_has_seen_enough_ends_the_run() {
    let endless = std::iter::repeat(vec![1, 2, 3, 4]);
    let report = model()
        .run(&request("slice"), endless, &mut |event| match event {
            Event::Output { index: 9, .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .unwrap();
    assert_eq!((report.end, report.frames, report.output_words), (End::Stopped, 2, 10));
}

#[test]
fn a_cancel_ends_an_endless_run() {
    let request = request("slice");
    let cancel = request.cancel.clone();
    let endless = std::iter::repeat(vec![1, 2, 3, 4]);
    let ended = model().run(&request, endless, &mut |event| {
        if matches!(event, Event::Output { index: 1000, .. }) {
            cancel.cancel();
        }
        ControlFlow::Continue(())
    });
    assert_eq!(ended.unwrap_err().exit_code(), 130);
}

#[test]
fn a_cycle_limit_ends_the_run() {
    let mut request = request("slice");
    request.max_cycles = Some(6);
    let (report, moved) = run(&request, byte_frames(3, 4));
    assert_eq!((report.end, report.simulated_cycles), (End::CycleLimit, 6));
    assert_eq!((moved[0].len(), moved[1].len()), (6, 5));
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let refused = |request: &RunRequest, frames: Vec<Vec<u8>>| {
        let error = model().run(request, frames.into_iter(), &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert_eq!(refused(&RunRequest::new(99), vec![]), "the model holds no design 99");
    assert_eq!(refused(&request("slice"), vec![vec![0; 4], vec![0; 5]]), "frame 1 has 5 bytes, not 4");
    let mut stalls = request("slice");
    stalls.stalls.probability = f64::NAN;
    assert_eq!(refused(&stalls, vec![]), "a stall probability is in 0..=1, not NaN");
}

#[test]
fn reports_survive_json() {
    let mut request = request("deadlock");
    request.idle_limit_cycles = 100;
    let (report, _) = run(&request, byte_frames(2, 4));
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<SimReport>(&text).unwrap(), report);
}
