//! Speed of the solver: bit widths of 145 layers under three limits to proved optimality, and foldings of 300 layers
//! with 64 options under four resources to a gap of 1e-3; run with `cargo bench -p solver`.

use criterion::{Criterion, criterion_group, criterion_main};
use solver::{Choice, Effort, Outcome, Pair, Problem};
use std::hint::black_box;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Between 1 and `ratio`, evenly on a logarithmic scale.
    fn magnitude(&mut self, ratio: f64) -> f64 {
        ratio.powf(self.unit())
    }
}

/// Widths 2, 4, 6, 8 of each layer: loss falls with the bits; size, operations and tables grow.
fn widths(layers: usize, chained: bool, seed: u64) -> Problem {
    let mut random = Random(seed);
    let mut problem = Problem::new(3);
    let mut sums = [0.0; 3];
    for _ in 0..layers {
        let (sensitivity, weights) = (random.magnitude(1e4), random.magnitude(1e3));
        let (work, area) = (weights * random.magnitude(1e2), random.magnitude(1e2));
        let options = [2.0f64, 4.0, 6.0, 8.0].map(|bits| {
            let usage = vec![
                (weights * bits * 1e3).round(),
                (work * bits * bits * 1e3).round(),
                (area * bits.powf(1.7) * 10.0).round(),
            ];
            Choice { cost: sensitivity * 0.25f64.powf(bits) * (0.7 + 0.6 * random.unit()), usage }
        });
        for (sum, usage) in sums.iter_mut().zip(&options[1].usage) {
            *sum += usage;
        }
        problem.group(options.to_vec()).unwrap_or_default();
    }
    for (resource, sum) in sums.iter().enumerate() {
        problem.limit(resource, (sum * 1.05).round()).unwrap_or_default();
    }
    if chained {
        for first in 1..layers {
            let cost = (0..16).map(|_| random.unit() * 0.5).collect();
            problem.pair(Pair { first, second: first - 1, cost }).unwrap_or_default();
        }
    }
    problem
}

/// Foldings of each layer: LUT, FF, DSP, BRAM of 64 ways to meet a rate; the least peak, then the least LUT.
fn foldings(layers: usize, options: usize, peak: bool, seed: u64) -> Problem {
    let mut random = Random(seed);
    let mut problem = Problem::new(4);
    let mut sums = [0.0; 4];
    for _ in 0..layers {
        let size = random.magnitude(100.0);
        let choices: Vec<Choice> = (0..options)
            .map(|_| {
                let in_dsp = random.unit();
                let lut = (size * (60.0 * (1.0 - in_dsp) + 20.0 * random.unit()) + 40.0).round();
                let block = random.unit() < 0.5;
                let bram = if block { (size / 6.0 * random.unit()).ceil() } else { 0.0 };
                let lut = lut + if block { 0.0 } else { (size * 12.0 * random.unit()).round() };
                Choice {
                    cost: lut,
                    usage: vec![lut, (lut * (0.8 + 0.3 * random.unit())).round(), (size * in_dsp).round(), bram],
                }
            })
            .collect();
        for (resource, sum) in sums.iter_mut().enumerate() {
            *sum += choices.iter().map(|choice| choice.usage[resource]).sum::<f64>() / options as f64;
        }
        problem.group(choices).unwrap_or_default();
    }
    if peak {
        problem.peak(sums.iter().map(|sum| Some(sum * 1.2)).collect()).unwrap_or_default();
    } else {
        for (resource, sum) in sums.iter().enumerate().skip(1) {
            problem.limit(resource, (sum * [1.0, 1.1, 0.8, 0.7][resource]).round()).unwrap_or_default();
        }
    }
    problem
}

fn solver(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("solver");
    group.sample_size(10);
    let mut bench = |name: &str, problem: &Problem, gap: f64| {
        let effort = Effort { gap, ..Effort::default() };
        match problem.solve(&effort) {
            Outcome::Solved(s) => {
                println!("{name}: gap {:.1e}, proved {}, {} steps, peak {:?}", s.gap(), s.proved, s.steps, s.peak)
            }
            other => println!("{name}: {other:?}"),
        }
        group.bench_function(name, |bencher| bencher.iter(|| black_box(problem.solve(&effort))));
    };
    for seed in 1..=3 {
        bench(&format!("145 layers x 4 widths, 3 limits, seed {seed}"), &widths(145, false, seed), 0.0);
        bench(&format!("145 layers x 4 widths, 3 limits, chained, seed {seed}"), &widths(145, true, seed), 1e-4);
        bench(&format!("300 layers x 64 foldings, 3 limits, seed {seed}"), &foldings(300, 64, false, seed), 1e-3);
        bench(&format!("300 layers x 64 foldings, least peak, seed {seed}"), &foldings(300, 64, true, seed), 1e-3);
    }
    group.finish();
}

criterion_group!(benches, solver);
criterion_main!(benches);
