//! Widths and builds chosen at once: the optimum against exhaustive search over both, and builds in files.

use crate::random::Random;
use network::Code;
use quantizer::allocate::problem::Problem;
use quantizer::allocate::tables::{ActivationTable, BuildTable, LayerTable, OptionTable, Reads};
use quantizer::allocate::{Budget, Tables};

/// Three layers, two of which read one activation; each has one to four builds at each pair of widths.
fn random_tables(random: &mut Random) -> Tables {
    let bits = vec![2, 8];
    let loss = bits.iter().map(|&b| (b, random.next() * 0.5f64.powi(b as i32))).collect();
    let shared = ActivationTable { name: "act".to_owned(), elements: 64, bits, loss, ..ActivationTable::default() };
    let mut tables = Tables { activations: vec![shared], greatest: vec!["interval".to_owned()], ..Tables::default() };
    for index in 0..3 {
        let bits = if index == 0 { vec![2, 4, 8] } else { vec![3, 6] };
        let reads = if index == 0 { Reads::Fixed(8) } else { Reads::Shared(0) };
        let mut layer = LayerTable { name: format!("layer{index}"), bits, reads, ..LayerTable::default() };
        (layer.parameters, layer.macs) = (1 + random.below(500) as u64, random.below(9000) as u64);
        let by_weights = layer.bits.iter().map(|&w| (w, random.next() * 0.6f64.powi(w as i32))).collect();
        layer.loss = OptionTable { by_weights, ..OptionTable::default() };
        for a in tables.activation_bits(&layer) {
            for &w in &layer.bits {
                let builds = (0..1 + random.below(4)).map(|place| {
                    let speed = f64::from(1 << place);
                    let costs = [
                        ("lut", f64::from(w * a) * speed * (0.5 + random.next())),
                        ("dsp", if random.below(2) == 0 { 0.0 } else { speed }),
                        ("interval", 100.0 / speed * (0.8 + 0.4 * random.next())),
                    ];
                    let costs = costs.map(|(name, value)| (name.to_owned(), value)).into();
                    BuildTable { name: format!("build{place}"), costs }
                });
                layer.builds.insert((w, a), builds.collect());
                // What widths alone decide stands beside.
                let lut = layer.costs.entry("lut".to_owned()).or_default();
                lut.by_both.insert((w, a), f64::from(w));
            }
        }
        tables.layers.push(layer);
    }
    tables
}

/// The least loss over all widths and all builds within limits of LUT, DSP, interval and bytes, by trying.
fn exhaustive(tables: &Tables, limits: [f64; 4]) -> Option<f64> {
    fn descend(
        tables: &Tables,
        at: usize,
        read: u32,
        sums: [f64; 4],
        loss: f64,
        limits: [f64; 4],
        best: &mut Option<f64>,
    ) {
        if sums.iter().zip(limits).any(|(sum, most)| *sum > most * (1.0 + 1e-9)) {
            return;
        }
        let Some(layer) = tables.layers.get(at) else {
            *best = Some(best.map_or(loss, |least| least.min(loss)));
            return;
        };
        let a = if at == 0 { 8 } else { read };
        for &w in &layer.bits {
            let own = layer.loss.by_weights[&w];
            for build in &layer.builds[&(w, a)] {
                let mut next = sums;
                next[0] += build.costs["lut"] + f64::from(w);
                next[1] += build.costs["dsp"];
                next[2] = next[2].max(build.costs["interval"]);
                next[3] += layer.parameters as f64 * f64::from(w) / 8.0;
                descend(tables, at + 1, read, next, loss + own, limits, best);
            }
        }
    }
    let mut best = None;
    for (&read, &loss) in &tables.activations[0].loss {
        descend(tables, 0, read, [0.0; 4], loss, limits, &mut best);
    }
    best
}

#[test]
fn widths_and_builds_are_those_of_exhaustive_search() {
    let (mut solved, mut refused) = (0, 0);
    for seed in 0..200 {
        let mut random = Random(seed * 6151 + 11);
        let tables = random_tables(&mut random);
        let size: f64 = tables.layers.iter().map(|layer| layer.parameters as f64).sum();
        let lut = 40.0 + random.next() * 250.0;
        let (dsp, interval) = (random.below(12) as f64, 20.0 + random.next() * 80.0);
        let bytes = size * (0.3 + 0.6 * random.next());
        let text = format!("lut={lut},dsp={dsp},interval={interval},size={bytes}");
        let problem = Problem::new(&tables, &Budget::parse(&text).unwrap()).unwrap();
        match (problem.solve(), exhaustive(&tables, [lut, dsp, interval, bytes])) {
            (Ok(found), Some(least)) => {
                assert!((found.loss - least).abs() < 1e-9, "seed {seed}, {text}: {} for {least}", found.loss);
                assert!(found.proved && problem.is_feasible(&found.choice), "seed {seed}");
                // The builds that are told keep the limits with what widths alone take.
                for (name, most) in [("lut", lut), ("dsp", dsp), ("interval", interval), ("size", bytes)] {
                    let cost = problem.costs().iter().position(|own| own == name).unwrap();
                    let used = problem.total_with(cost, &found.choice, &found.builds);
                    assert!(used <= most * (1.0 + 1e-9) && used == found.costs[cost], "seed {seed}: {name} {used}");
                }
                solved += 1;
            }
            (Err(infeasible), None) => {
                assert_eq!(infeasible.diagnostic().code, Code::AllocationInfeasible);
                // The nearest that is named breaks a limit, and asked for as a budget it can be met.
                if infeasible.nearest.is_some() {
                    assert!(infeasible.limits.iter().any(|(_, most, used)| used > most), "seed {seed}: {infeasible:?}");
                    let named =
                        infeasible.limits.iter().map(|(name, most, used)| format!("{name}={}", used.max(*most) + 1e-6));
                    let named = named.collect::<Vec<_>>().join(",");
                    let problem = Problem::new(&tables, &Budget::parse(&named).unwrap()).unwrap();
                    assert!(problem.solve().is_ok(), "seed {seed}: {text}, named {named}");
                }
                refused += 1;
            }
            (found, least) => panic!("seed {seed}, {text}: {found:?} where the least is {least:?}"),
        }
    }
    assert!(solved > 60 && refused > 20, "{solved} solved, {refused} refused");
}

#[test]
fn builds_are_written_as_they_are_read() {
    for seed in 0..10 {
        let tables = random_tables(&mut Random(seed));
        let mut read = Tables::parse(&tables.write(), "t.yaml").unwrap_or_else(|faults| panic!("{faults}"));
        read.layers.iter_mut().for_each(|layer| layer.place = Default::default());
        read.activations.iter_mut().for_each(|activation| activation.place = Default::default());
        assert_eq!(read, tables);
    }
}

#[test]
fn wrong_builds_are_refused() {
    #[track_caller]
    fn check(builds: &str, part: &str) {
        let text = format!(
            "hwgen_tables: 1\nlayers:\n  - {{ name: a, parameters: 8, bits: [4, 8], loss: {{ w4: 1, w8: 0 }}, builds: {{ {builds} }} }}\n"
        );
        let faults = Tables::parse(&text, "t.yaml").expect_err(builds);
        assert!(faults.0.iter().any(|fault| fault.message.contains(part)), "{builds}: {faults}");
    }
    check("w4: [{ costs: { lut: 3 } }]", "none for w8a8");
    check("w5: [{ costs: { lut: 3 } }]", "`w5`");
    check("a8: [{ costs: { lut: 3 } }]", "`a8`");
    check("w4: [{ costs: { lut: -3 } }], w8: [{ costs: { lut: 3 } }]", "lut of build w4");
    check("w4: [{ costs: { size: 3 } }], w8: [{ costs: { lut: 3 } }]", "`size`");
    check("w4: [], w8: [{ costs: { lut: 3 } }]", "none for w4a8");
}
