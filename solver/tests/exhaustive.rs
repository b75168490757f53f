//! The solver against exhaustive search on thousands of small random problems.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use solver::{Choice, Effort, Outcome, Pair, Problem};

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn seed() -> u64 {
    std::env::var("HWGEN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[derive(Clone, Copy)]
enum Pairs {
    None,
    Chain,
    Any,
}

/// A random problem of few choices; small whole numbers, so that ties and zeros happen.
fn problem(random: &mut Random, pairs: Pairs, with_peak: bool) -> Problem {
    let resources = 1 + random.below(4) as usize;
    let groups = 1 + random.below(5) as usize;
    let span = if random.chance(50) { 6 } else { 1000 };
    let mut problem = Problem::new(resources);
    let mut sizes = Vec::new();
    for _ in 0..groups {
        let size = 1 + random.below(5) as usize;
        let options = (0..size).map(|_| Choice {
            cost: random.below(span) as f64 - if random.chance(20) { 3.0 } else { 0.0 },
            usage: (0..resources)
                .map(|_| random.below(span) as f64 / if random.chance(10) { 3.0 } else { 1.0 })
                .collect(),
        });
        problem.group(options.collect()).unwrap();
        sizes.push(size);
    }
    for resource in 0..resources {
        if random.chance(70) {
            let mean = (span as f64 - 1.0) / 2.0 * groups as f64;
            let limit = mean * random.below(150) as f64 / 100.0;
            problem.limit(resource, if random.chance(5) { 0.0 } else { limit }).unwrap();
        }
    }
    let edges: Vec<(usize, usize)> = match pairs {
        Pairs::None => vec![],
        Pairs::Chain => (1..groups).map(|group| (group, group - 1)).collect(),
        Pairs::Any => (0..groups).flat_map(|a| (0..groups).map(move |b| (a, b))).filter(|(a, b)| a != b).collect(),
    };
    for (first, second) in edges {
        if matches!(pairs, Pairs::Any) && !random.chance(40) {
            continue;
        }
        let cost = (0..sizes[first] * sizes[second]).map(|_| random.below(span) as f64 - span as f64 / 4.0).collect();
        problem.pair(Pair { first, second, cost }).unwrap();
    }
    if with_peak {
        let capacity = |random: &mut Random| match random.below(10) {
            0 => None,
            1 => Some(0.0),
            _ => Some(1.0 + random.below(2 * span) as f64),
        };
        problem.peak((0..resources).map(|_| capacity(random)).collect()).unwrap();
    }
    problem
}

/// Every choice, by counting.
fn choices(problem: &Problem) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for group in problem.groups() {
        all = all.iter().flat_map(|c: &Vec<usize>| (0..group.len()).map(move |o| [&c[..], &[o]].concat())).collect();
    }
    all
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-7 * (1.0 + a.abs().max(b.abs()))
}

#[track_caller]
fn check(pairs: Pairs, with_peak: bool, count: u64) {
    let (mut solved, mut infeasible) = (0, 0);
    for number in 0..count {
        let mut random = Random(seed().wrapping_mul(1_000_003) + number);
        let problem = problem(&mut random, pairs, with_peak);
        let barred = |usage: &[f64]| {
            let capacities = problem.capacities().unwrap_or_default();
            capacities.iter().zip(usage).any(|(capacity, &used)| *capacity == Some(0.0) && used > 0.0)
        };
        let feasible: Vec<Vec<usize>> = choices(&problem)
            .into_iter()
            .filter(|choice| problem.is_feasible(choice) && !barred(&problem.usage(choice)))
            .collect();
        let at = format!("HWGEN_SEED={} problem {number}: {problem:?}", seed());
        let peak_of = |choice: &Vec<usize>| problem.peak_of(&problem.usage(choice));
        let least_peak = feasible.iter().map(peak_of).fold(f64::INFINITY, f64::min);
        let best = feasible
            .iter()
            .filter(|choice| peak_of(choice) <= least_peak + 1e-9)
            .map(|choice| problem.cost(choice))
            .fold(f64::INFINITY, f64::min);
        match problem.solve(&Effort::default()) {
            Outcome::Solved(solution) => {
                solved += 1;
                assert!(problem.is_feasible(&solution.choice), "{at}");
                assert!(near(solution.cost, best), "{} is not {best}: {at}", solution.cost);
                assert!(near(solution.cost, problem.cost(&solution.choice)), "{at}");
                assert!(solution.proved && near(solution.bound, best), "bound {}: {at}", solution.bound);
                assert_eq!(solution.usage, problem.usage(&solution.choice), "{at}");
                if let Some(peak) = solution.peak {
                    assert!(near(peak.value, least_peak) && near(peak.bound, least_peak), "{peak:?}: {at}");
                }
            }
            Outcome::Infeasible(why) => {
                infeasible += 1;
                assert!(feasible.is_empty(), "said to be impossible: {at}");
                for (resource, least) in why.least.iter().enumerate() {
                    let all = choices(&problem).into_iter().map(|choice| problem.usage(&choice)[resource]);
                    assert!(near(*least, all.fold(f64::INFINITY, f64::min)), "{why:?}: {at}");
                }
                assert!(!why.broken.is_empty(), "{why:?}: {at}");
            }
            Outcome::Unknown { .. } => panic!("no answer: {at}"),
        }
    }
    println!("{solved} solved, {infeasible} infeasible");
    assert!(solved > count / 4 && infeasible > count / 50, "{solved} solved, {infeasible} infeasible");
}

#[test]
fn plain() {
    check(Pairs::None, false, 3000);
}

#[test]
fn chains() {
    check(Pairs::Chain, false, 2000);
}

#[test]
fn any_pairs() {
    check(Pairs::Any, false, 1500);
}

#[test]
fn peaks() {
    check(Pairs::None, true, 3000);
}

#[test]
fn peaks_with_pairs() {
    check(Pairs::Any, true, 1000);
}
