//! The fast simulator against its definition: random graphs of all twins, with and without stalls, whole or standing
//! still, must give the same report word for word.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a graph that cannot be built has failed")]

use hdl_gen::timing::{
    Concat, Fifo, Fork, Graph, GraphBuilder, Join, LineWindow, Matrix, MaxPool, ModuleId, Rearrange, RearrangeShape,
    Reduction, Report, Run, RunError, SlidingWindow, Stalls, Twin, WidthAdapter, WindowShape,
};

/// A generator for graphs (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    /// A number from `least` to `most`.
    fn pick(&mut self, least: u32, most: u32) -> u32 {
        least + (self.next() % u64::from(most - least + 1)) as u32
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.pick(1, 100) <= percent
    }

    fn divisor(&mut self, number: u32) -> u32 {
        let divisors: Vec<u32> = (1..=number).filter(|d| number.is_multiple_of(*d)).collect();
        divisors[self.pick(0, divisors.len() as u32 - 1) as usize]
    }
}

/// A stream while a graph grows: where it comes from and its frame of rows x columns pixels of some words.
#[derive(Clone, Copy)]
struct Open {
    from: Option<(ModuleId, usize)>,
    rows: u32,
    columns: u32,
    words: u32,
}

impl Open {
    fn all(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns) * u64::from(self.words)
    }
}

struct Growth {
    random: Random,
    builder: GraphBuilder,
    modules: usize,
    input: Option<u64>,
    /// Numbers of the FIFOs and their depths, or 8.
    fifos: Vec<(usize, u32)>,
}

impl Growth {
    fn place(&mut self, twin: Twin, inputs: &[Open]) -> ModuleId {
        if let Twin::Fifo(fifo) = &twin {
            self.fifos.push((self.modules, fifo.depth().min(8)));
        }
        let id = self.builder.module(format!("m{}", self.modules), twin);
        self.modules += 1;
        for (port, input) in inputs.iter().enumerate() {
            match input.from {
                Some((from, from_port)) => self.builder.join(from, from_port, id, port),
                None => {
                    let number = if self.input.is_none() { 0 } else { 90 + self.modules as u64 };
                    self.input = Some(input.all());
                    self.builder.source(number, input.all(), id, port);
                }
            }
        }
        id
    }

    fn one(&mut self, twin: Twin, input: Open, rows: u32, columns: u32, words: u32) -> Open {
        let id = self.place(twin, &[input]);
        Open { from: Some((id, 0)), rows, columns, words }
    }

    fn fifo(&mut self, input: Open, least: u32, most: u32) -> Open {
        let words = self.random.pick(least, most);
        let words = if self.random.chance(5) { Fifo::ENDLESS } else { words };
        let twin = Twin::Fifo(Fifo::new(words).unwrap());
        self.one(twin, input, input.rows, input.columns, input.words)
    }

    fn matrix(&mut self, steps: u32, passes: u32) -> Matrix {
        Matrix::new(steps, passes, self.random.pick(1, 9), self.random.pick(1, 8)).unwrap()
    }

    fn shape(&mut self, input: Open, words: u32) -> Option<WindowShape> {
        let random = &mut self.random;
        let (kernel_rows, kernel_columns) = (random.pick(1, 3), random.pick(1, 3));
        let (dilation_rows, dilation_columns) = (random.pick(1, 2), random.pick(1, 2));
        let reach = [(kernel_rows - 1) * dilation_rows, (kernel_columns - 1) * dilation_columns];
        let mut pad = |reach: u32| if random.chance(60) { random.pick(0, reach) } else { 0 };
        let shape = WindowShape {
            channel_words: words,
            rows: input.rows,
            columns: input.columns,
            pad_top: pad(reach[0]),
            pad_left: pad(reach[1]),
            pad_bottom: pad(reach[0]),
            pad_right: pad(reach[1]),
            kernel_rows,
            kernel_columns,
            stride_rows: self.random.pick(1, 2),
            stride_columns: self.random.pick(1, 2),
            dilation_rows,
            dilation_columns,
        };
        (shape.out_rows() > 0 && shape.out_columns() > 0).then_some(shape)
    }

    /// A module or a few behind a stream.
    fn grow(&mut self, input: Open) -> Open {
        let Open { rows, columns, words, .. } = input;
        match self.random.pick(0, 9) {
            0 => self.fifo(input, 1, 6),
            1 => {
                // Words of other widths: `in_lanes` to `out_lanes`, where whole words come out.
                let (from, to) = (self.random.pick(1, 6), self.random.pick(1, 6));
                if !(words * from).is_multiple_of(to) {
                    return self.fifo(input, 1, 3);
                }
                let twin = Twin::WidthAdapter(WidthAdapter::new(from, to).unwrap());
                self.one(twin, input, rows, columns, words * from / to)
            }
            2 | 3 => {
                let Some(shape) = self.shape(input, words) else { return self.fifo(input, 1, 3) };
                let least = shape.minimum_buffer_words().unwrap();
                let buffer = if self.random.chance(50) {
                    shape.recommended_buffer_words().unwrap()
                } else {
                    self.random.pick(least, least + 9)
                };
                let twin = Twin::SlidingWindow(SlidingWindow::new(&shape, buffer).unwrap());
                let taps = shape.kernel_rows * shape.kernel_columns * words;
                let windows = self.one(twin, input, shape.out_rows(), shape.out_columns(), taps);
                if self.random.chance(30) {
                    return windows;
                }
                let passes = self.random.pick(1, 4);
                let matrix = Twin::Matrix(self.matrix(taps, passes));
                let buffered = if self.random.chance(40) { self.fifo(windows, 2, 12) } else { windows };
                self.one(matrix, buffered, windows.rows, windows.columns, passes)
            }
            4 => {
                let Some(shape) = self.shape(input, 1).filter(|_| words == 1) else { return self.fifo(input, 1, 3) };
                let twin = Twin::LineWindow(LineWindow::new(&shape).unwrap());
                self.one(twin, input, shape.out_rows(), shape.out_columns(), 1)
            }
            5 => {
                let steps = self.random.divisor(words);
                let passes = self.random.pick(1, 4);
                let twin = Twin::Matrix(self.matrix(steps, passes));
                self.one(twin, input, rows, columns, words / steps * passes)
            }
            6 => {
                let (down, across) = (self.random.pick(1, rows.min(3)), self.random.pick(1, columns.min(3)));
                let twin = if self.random.chance(50) {
                    MaxPool::new(words, rows, columns, down, across).unwrap()
                } else {
                    MaxPool::of_sums([words, rows, columns], [down, across], self.random.pick(8, 40)).unwrap()
                };
                self.one(Twin::MaxPool(twin), input, rows / down, columns / across, words)
            }
            7 => {
                let taps = self.random.divisor(words);
                let lanes = self.random.pick(1, 9);
                let twin =
                    if self.random.chance(50) { Reduction::max_reduce(taps) } else { Reduction::argmax(taps, lanes) };
                self.one(Twin::Reduction(twin.unwrap()), input, rows, columns, words / taps)
            }
            8 => {
                // Each row twice (or a part of it): blocks that repeat or leave words out.
                let (times, row) = (self.random.pick(1, 2), columns * words);
                let start = self.random.pick(0, row - 1).min(row / 2);
                let shape = RearrangeShape {
                    outer_counts: vec![rows, times],
                    block_words: row - start,
                    jumps: vec![row, 0, row],
                    first: start,
                    span: row - start,
                    buffer_words: row + self.random.pick(1, 2 * row),
                };
                let twin = Twin::Rearrange(Rearrange::new(&shape).unwrap());
                self.one(twin, input, rows * times, 1, row - start)
            }
            _ => self.branches(input),
        }
    }

    /// Two or three ways that meet again.
    fn branches(&mut self, input: Open) -> Open {
        let ways = self.random.pick(2, 3);
        let fork = self.place(Twin::Fork(Fork::new(ways).unwrap()), &[input]);
        let together = self.random.chance(50);
        let mut ends = Vec::new();
        for port in 0..ways {
            let mut way = Open { from: Some((fork, port as usize)), ..input };
            for _ in 0..self.random.pick(0, 2) {
                way = self.fifo(way, 1, 4);
                if self.random.chance(50) {
                    let matrix = Twin::Matrix(self.matrix(way.words, way.words));
                    way = self.one(matrix, way, way.rows, way.columns, way.words);
                }
            }
            // Sometimes too shallow, so that the graph stands still.
            let least = if self.random.chance(85) { 3 * input.words + 12 } else { 1 };
            ends.push(self.fifo(way, least, least + 8));
        }
        let twin = if together {
            Twin::Join(Join::new(ways, self.matrix(1, 1)).unwrap())
        } else {
            Twin::Concat(Concat::new(vec![input.words; ways as usize]).unwrap())
        };
        let id = self.place(twin, &ends);
        let words = if together { input.words } else { input.words * ways };
        Open { from: Some((id, 0)), words, ..input }
    }
}

fn graph(seed: u64) -> Graph {
    graph_and_fifos(seed).0
}

fn graph_and_fifos(seed: u64) -> (Graph, Vec<(usize, u32)>) {
    let random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut growth = Growth { random, builder: GraphBuilder::default(), modules: 0, input: None, fifos: Vec::new() };
    let random = &mut growth.random;
    let mut stream = Open { from: None, rows: random.pick(1, 7), columns: random.pick(1, 7), words: random.pick(1, 4) };
    stream = growth.fifo(stream, 1, 3);
    let mut sinks = 0;
    for _ in 0..growth.random.pick(1, 7) {
        if growth.random.chance(15) {
            let fork = growth.place(Twin::Fork(Fork::new(2).unwrap()), &[stream]);
            sinks += 1;
            growth.builder.sink(sinks, stream.all(), fork, 1);
            stream = Open { from: Some((fork, 0)), ..stream };
        }
        stream = growth.grow(stream);
        if stream.all() > 3000 {
            break;
        }
    }
    // Now and then more words are wanted than come.
    let wanted = if growth.random.chance(5) { stream.all() + 1 } else { stream.all() };
    let (from, port) = stream.from.unwrap();
    growth.builder.sink(sinks + 1, wanted, from, port);
    (growth.builder.build().unwrap(), growth.fifos)
}

fn check(seed: u64) -> Result<(), String> {
    let graph = graph(seed);
    let mut random = Random(seed ^ 0x5555_5555_5555);
    for stall in [None, Some((0.3, 0.3)), Some((0.0, 0.8)), Some((0.7, 0.1))] {
        let mut run = Run::frames(u64::from(random.pick(1, if stall.is_none() { 14 } else { 3 })));
        run.stalls =
            stall.map(|(source_probability, sink_probability)| Stalls { seed, source_probability, sink_probability });
        run.keep_words = random.chance(50);
        if random.chance(30) {
            let steps = (0..run.frames).map(|_| u64::from(random.pick(0, 2000)));
            run.frame_starts = steps.scan(0, |start, step| Some(std::mem::replace(start, *start + step))).collect();
        }
        let (by_cycle, fast) = (graph.run_by_cycle(&run), graph.run(&run));
        if by_cycle != fast {
            return Err(format!("seed {seed}, {run:?}:\n{by_cycle:?}\n{fast:?}\n{graph:?}"));
        }
        // Without occupancy words are passed many at a time.
        let bare = |report: Report| Report { occupancy_max: Vec::new(), ..report };
        let (expected, quick) = (by_cycle.clone().map(bare), graph.run_cycles(&run).map(bare));
        if expected != quick {
            return Err(format!("seed {seed}, {run:?}, without occupancy:\n{expected:?}\n{quick:?}\n{graph:?}"));
        }
        if stall.is_none() && run.frames > 1 {
            // A run that ends when frames repeat tells the same rate.
            let short = graph.run_cycles(&Run { stops_when_regular: true, keep_words: false, ..run.clone() });
            let rate = |report: Result<Report, RunError>| {
                report.ok().map(|report| (report.complete_frame_ends().first().copied(), report.complete_interval()))
            };
            if rate(by_cycle.clone()) != rate(short.clone()) {
                return Err(format!("seed {seed}, {run:?}:\n{by_cycle:?}\n{short:?}\n{graph:?}"));
            }
        }
        if let Ok(report) = &by_cycle {
            // Limits cut both runs off alike.
            run.cycle_limit = report.last_output_cycle + 1;
            assert!(graph.run(&run).is_ok(), "seed {seed}");
            run.cycle_limit -= 1;
            assert_eq!(graph.run(&run), Err(RunError::CycleLimit(run.cycle_limit)), "seed {seed}");
            run.cycle_limit = u64::MAX;
            run.latest_ends = report.frame_end_cycles.clone();
            assert_eq!(graph.run(&run), Ok(report.clone()), "seed {seed}");
            let last = run.latest_ends[0].last_mut().unwrap();
            *last -= 1;
            let late = graph.run(&run);
            // Frames that are counted and not run are not compared with their limits.
            if run.keep_words || stall.is_some() {
                assert_eq!(late, graph.run_by_cycle(&run), "seed {seed}");
            }
        }
    }
    Ok(())
}

/// The first seed is `HWGEN_SEED`, or 1.
#[test]
fn random_graphs_give_the_same_report_as_cycle_by_cycle() {
    let first: u64 = std::env::var("HWGEN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let count: u64 = std::env::var("HWGEN_GRAPHS").ok().and_then(|count| count.parse().ok()).unwrap_or(400);
    let mut standstills = 0;
    for seed in first..first + count {
        if let Err(text) = check(seed) {
            panic!("{text}");
        }
        standstills += u64::from(matches!(graph(seed).run(&Run::frames(1)), Err(RunError::Deadlock { .. })));
    }
    assert!(standstills > 0 || count < 100, "no graph stands still");
    assert!(standstills < count / 2, "{standstills} of {count} graphs stand still");
}

/// A FIFO that never fills holds as much as comes, far more words than a stream keeps dates of at first: here all words of a
/// frame, until those of the other branch have passed.
#[test]
fn a_fifo_without_an_end_holds_a_frame() {
    let mut growth =
        Growth { random: Random(9), builder: GraphBuilder::default(), modules: 0, input: None, fifos: Vec::new() };
    let words = Open { from: None, rows: 40, columns: 30, words: 1 };
    let fork = growth.place(Twin::Fork(Fork::new(2).unwrap()), &[words]);
    let branch = |port| Open { from: Some((fork, port)), ..words };
    let held = growth.one(Twin::Fifo(Fifo::new(Fifo::ENDLESS).unwrap()), branch(0), 40, 30, 1);
    let joined = growth.place(Twin::Concat(Concat::new(vec![1200, 1200]).unwrap()), &[branch(1), held]);
    growth.builder.sink(1, 2 * words.all(), joined, 0);
    let graph = growth.builder.build().unwrap();
    for frames in [1, 2, 5] {
        let run = Run { keep_words: true, ..Run::frames(frames) };
        let report = graph.run(&run).unwrap();
        assert_eq!(Ok(&report), graph.run_by_cycle(&run).as_ref());
        assert!(report.occupancy_max[1] >= 1200, "{:?}", report.occupancy_max);
    }
}

/// Where the words around a part keep their cycles with another FIFO in it, so do all words of the whole but those inside, which
/// are as the part says; in the frames that are looked at.
#[test]
fn a_part_that_keeps_its_border_leaves_the_whole_as_it_is() {
    const FRAMES: u64 = 3;
    let run = |frames| Run { keep_words: true, ..Run::frames(frames) };
    let (mut kept, mut changed, mut inside, mut later) = (0, 0, 0, 0);
    for seed in 1..200 {
        let (mut graph, fifos) = graph_and_fifos(seed);
        for &(fifo, depth) in &fifos {
            graph.set_twin(fifo, Twin::Fifo(Fifo::new(depth + 20).unwrap()));
        }
        let Ok(before) = graph.run_by_cycle(&run(FRAMES)) else { continue };
        let mut random = Random(seed ^ 0x3333_3333);
        for &(fifo, depth) in &fifos {
            let region = graph.region_around(fifo, random.pick(0, 6) as usize);
            // All streams, those inside too.
            let streams: Vec<usize> = (0..graph.stream_count()).collect();
            let mut recording = graph.record(&run(FRAMES), &streams).unwrap();
            let same = Twin::Fifo(Fifo::new(depth + 20).unwrap());
            assert!(region.keeps(&recording, fifo, same, FRAMES).is_some(), "seed {seed}");
            let other = Twin::Fifo(Fifo::new(random.pick(1, depth + 10)).unwrap());
            let mut whole = graph.clone();
            whole.set_twin(fifo, other.clone());
            match region.keeps(&recording, fifo, other.clone(), FRAMES) {
                Some(change) => {
                    kept += 1;
                    let after = whole.run_by_cycle(&run(FRAMES)).unwrap();
                    assert_eq!(after.word_cycles, before.word_cycles, "seed {seed}: FIFO {fifo}");
                    recording.apply(change);
                    let again = whole.record(&run(FRAMES), &streams).unwrap();
                    assert_eq!(recording, again, "seed {seed}: FIFO {fifo}");
                }
                None if region.keeps(&recording, fifo, other, 1).is_some() => {
                    later += 1;
                    let words = |graph: &Graph| graph.run_by_cycle(&run(1)).unwrap().word_cycles;
                    assert_eq!(words(&whole), words(&graph), "seed {seed}: FIFO {fifo}");
                }
                None => {
                    let after = whole.run_by_cycle(&run(FRAMES)).ok();
                    let same = after.is_some_and(|after| after.word_cycles == before.word_cycles);
                    *if same { &mut inside } else { &mut changed } += 1;
                }
            }
        }
    }
    let counts = format!("{kept} kept, {later} in the first frame alone, {changed} changed, {inside} inside alone");
    assert!(kept > 50 && changed > 50 && later > 5, "{counts}");
}

/// With shallower FIFOs no frame ends later in a cone than in the whole, and as late where what lies before has no part in it.
#[test]
fn a_cone_is_never_later_than_the_whole() {
    const FRAMES: u64 = 3;
    let run = Run::frames(FRAMES);
    let (mut cones, mut equal, mut earlier, mut stuck) = (0, 0, 0, 0);
    for seed in 1..300 {
        let (mut graph, fifos) = graph_and_fifos(seed);
        for &(fifo, depth) in &fifos {
            graph.set_twin(fifo, Twin::Fifo(Fifo::new(depth + 20).unwrap()));
        }
        if graph.run_by_cycle(&run).is_err() {
            continue;
        }
        let mut random = Random(seed ^ 0x5555_5555);
        for &(fifo, _) in &fifos {
            let Some(cone) = graph.cone_around(fifo, random.pick(0, 6) as usize) else { continue };
            cones += 1;
            let recording = graph.record(&run, &cone.entries().collect::<Vec<_>>()).unwrap();
            let mut whole = graph.clone();
            for &(other, depth) in &fifos {
                if other == fifo || random.pick(0, 3) == 0 {
                    whole.set_twin(other, Twin::Fifo(Fifo::new(random.pick(1, depth + 20)).unwrap()));
                }
            }
            let Ok(report) = whole.run_by_cycle(&run) else {
                // Perhaps outside of the cone.
                stuck += usize::from(cone.run(&whole, &recording, &run).is_err());
                continue;
            };
            let mut limits = Run { latest_ends: report.frame_end_cycles.clone(), ..run.clone() };
            assert_eq!(cone.run(&whole, &recording, &limits), Ok(()), "seed {seed}: FIFO {fifo}");
            limits.latest_ends.iter_mut().flatten().for_each(|end| *end -= 1);
            match cone.run(&whole, &recording, &limits) {
                Ok(()) => earlier += 1,
                Err(RunError::Late { sink, frame: 0, cycles: 1 }) => {
                    equal += 1;
                    assert!(sink < report.frame_end_cycles.len(), "seed {seed}");
                }
                Err(fault) => {
                    assert!(matches!(fault, RunError::Late { cycles: 1, .. }), "seed {seed}: {fault:?}");
                    earlier += 1;
                }
            }
        }
    }
    let counts = format!("{cones} cones, {equal} as late, {earlier} earlier, {stuck} stand still");
    assert!(cones > 100 && equal > 50, "{counts}");
    assert!(stuck > 3, "{counts}");
}
