//! Wrong problems, impossible ones, and large ones within a fixed effort.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use solver::{Choice, Effort, Outcome, Pair, Problem, ProblemError};

fn choice(cost: f64, usage: &[f64]) -> Choice {
    Choice { cost, usage: usage.to_vec() }
}

#[test]
fn wrong_problems_are_refused() {
    let mut problem = Problem::new(1);
    assert_eq!(problem.group(vec![]), Err(ProblemError::NoOptions(0)));
    assert_eq!(problem.group(vec![choice(0.0, &[])]), Err(ProblemError::Usage { group: 0, found: 0, expected: 1 }));
    for bad in [choice(f64::NAN, &[0.0]), choice(0.0, &[-1.0]), choice(0.0, &[f64::INFINITY])] {
        assert!(matches!(problem.group(vec![bad]), Err(ProblemError::Number(_))));
    }
    problem.group(vec![choice(0.0, &[1.0])]).unwrap();
    assert!(matches!(problem.limit(1, 3.0), Err(ProblemError::Reference(_))));
    assert!(matches!(problem.limit(0, -3.0), Err(ProblemError::Number(_))));
    assert!(matches!(problem.pair(Pair { first: 0, second: 0, cost: vec![0.0] }), Err(ProblemError::Reference(_))));
    assert!(matches!(problem.peak(vec![]), Err(ProblemError::Reference(_))));
}

#[test]
fn a_problem_without_groups_costs_nothing() {
    match Problem::new(2).solve(&Effort::default()) {
        Outcome::Solved(solution) => assert_eq!((solution.cost, solution.proved), (0.0, true)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_resource_that_is_impossible_is_named() {
    let mut problem = Problem::new(2);
    for _ in 0..3 {
        problem.group(vec![choice(1.0, &[10.0, 4.0]), choice(2.0, &[2.0, 5.0])]).unwrap();
    }
    problem.limit(0, 100.0).unwrap();
    problem.limit(1, 11.0).unwrap();
    let Outcome::Infeasible(why) = problem.solve(&Effort::default()) else { panic!("it is impossible") };
    assert_eq!((why.resource, why.least, why.broken), (Some(1), vec![6.0, 12.0], vec![1]));
    assert_eq!(why.nearest, [0, 0, 0]);
}

#[test]
fn limits_that_are_impossible_together_are_named() {
    let mut problem = Problem::new(2);
    for _ in 0..4 {
        problem.group(vec![choice(1.0, &[10.0, 0.0]), choice(2.0, &[0.0, 10.0])]).unwrap();
    }
    problem.limit(0, 19.0).unwrap();
    problem.limit(1, 19.0).unwrap();
    let Outcome::Infeasible(why) = problem.solve(&Effort::default()) else { panic!("it is impossible") };
    assert_eq!((why.resource, why.broken, why.usage), (None, vec![0, 1], vec![20.0, 20.0]));
}

/// 145 groups of 4 widths under 3 limits, as a published network has them; the effort is a tenth of a second's work.
#[test]
fn many_groups_are_proved_within_a_fixed_effort() {
    let mut state = 7u64;
    let mut next = |span: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % span
    };
    let mut problem = Problem::new(3);
    for _ in 0..145 {
        let (loss, size, work, area) = (1 + next(9999), 1 + next(900), 1 + next(40_000), 1 + next(300));
        let width = |bits: u64| {
            let usage = [size * bits, work * bits * bits, area * bits];
            choice(loss as f64 / 4f64.powf(bits as f64), &usage.map(|u| u as f64))
        };
        problem.group([2, 4, 6, 8].map(width).to_vec()).unwrap();
    }
    for (resource, limit) in [(0, 290_000.0), (1, 58_000_000.0), (2, 92_000.0)] {
        problem.limit(resource, limit).unwrap();
    }
    let effort = Effort { steps: 30_000_000, ..Effort::default() };
    let Outcome::Solved(solution) = problem.solve(&effort) else { panic!("it is possible") };
    assert!(solution.proved && solution.gap() < 1e-9, "gap {}", solution.gap());
    assert!(problem.is_feasible(&solution.choice));
    assert_eq!(problem.solve(&effort), Outcome::Solved(solution), "the same again");
}

#[test]
fn an_effort_that_ends_early_leaves_an_honest_gap() {
    let mut problem = Problem::new(2);
    for group in 0..16u32 {
        let option = |o: u32| {
            let mixed = |by: u32| f64::from((group * 31 + o * 17).wrapping_mul(by) % 997);
            choice(mixed(7), &[mixed(13), mixed(29)])
        };
        problem.group((0..8).map(option).collect()).unwrap();
    }
    problem.limit(0, 5_600.0).unwrap();
    problem.limit(1, 5_600.0).unwrap();
    let Outcome::Solved(best) = problem.solve(&Effort::default()) else { panic!("it is possible") };
    let Outcome::Solved(early) = problem.solve(&Effort { steps: 1, ..Effort::default() }) else { panic!("a start") };
    assert!(best.proved);
    assert!(early.bound <= best.cost + 1e-9 && early.cost >= best.cost - 1e-9);
    assert!(!early.proved || early.cost - best.cost < 1e-9);
}
