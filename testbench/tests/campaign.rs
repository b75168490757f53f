//! Random networks of a seed through the whole chain, and faults that a few of them must show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use testbench::campaign::Sketch;
use testbench::campaign::faults::FAULTS;
use testbench::campaign::run::Bench;

fn first_seed() -> u64 {
    let seed = std::env::var("HWGEN_SEED").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(1);
    1 + (seed - 1).wrapping_mul(1000)
}

fn bench(name: &str) -> Bench {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("campaign").join(name);
    Bench::new(&folder).unwrap_or_else(|error| panic!("{error} (scripts/setup installs it)"))
}

#[test]
fn thirty_random_networks_equal_the_golden_model_at_predicted_cycles() {
    let first = first_seed();
    let sketches: Vec<Sketch> = (first..first + 30).map(Sketch::random).collect();
    let operators: std::collections::BTreeSet<&str> = sketches
        .iter()
        .flat_map(|sketch| &sketch.layers)
        .filter_map(|layer| layer.keys.strip_prefix("op: ")?.split([',', ' ']).next())
        .collect();
    assert!(operators.len() >= 6, "only {operators:?}");
    let outcomes = bench("networks").run(&sketches, None).unwrap();
    assert_eq!(outcomes.len(), sketches.len());
    for outcome in outcomes {
        if let Some(fault) = outcome.fault {
            panic!("seed {}:\n{fault}\n{}", outcome.sketch.seed, outcome.sketch.plan());
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    for seed in 1..20 {
        assert_eq!(Sketch::random(seed).plan(), Sketch::random(seed).plan());
        assert!(Sketch::random(seed).network().is_ok());
    }
}

/// Each planted fault changes some file of some network: a fault whose text has gone from the design tests nothing.
#[test]
fn every_fault_of_the_list_can_still_be_planted() {
    let sketches: Vec<Sketch> = (1..80).map(Sketch::random).collect();
    for fault in FAULTS {
        assert!(sketches.iter().any(|sketch| Bench::has_place(sketch, fault)), "{}", fault.what);
    }
}

/// One fault of the timing model and one of requantization; the command finds all of the list.
#[test]
fn planted_faults_are_found() {
    let bench = bench("faults");
    for what in ["the model of a matrix layer gives each result a cycle late", "a threshold one too low"] {
        let fault = FAULTS.iter().find(|fault| fault.what == what).unwrap();
        let sketches: Vec<Sketch> =
            (1..80).map(Sketch::random).filter(|sketch| Bench::has_place(sketch, fault)).take(3).collect();
        let outcomes = bench.run(&sketches, Some(fault)).unwrap();
        assert!(outcomes.iter().any(|outcome| outcome.fault.is_some()), "{what}");
    }
}
