//! Tables and budgets: the optimum against exhaustive search and chain programming, published sizes, wrong input.

use crate::random::Random;
use network::Code;
use quantizer::allocate::problem::{Choice, Problem};
use quantizer::allocate::tables::{ActivationTable, LayerTable, OptionTable, PairTable, Reads};
use quantizer::allocate::{Budget, Tables};

/// A small network: activations that several layers read, layers of their own, ties, joint costs, pairs.
fn random_tables(random: &mut Random) -> Tables {
    let mut tables = Tables { name: "random".to_owned(), ..Tables::default() };
    let widths = |random: &mut Random| [vec![2, 4, 8], vec![1, 2], vec![3, 5, 6, 8]][random.below(3)].clone();
    for index in 0..1 + random.below(2) {
        let bits = widths(random);
        let loss = bits.iter().map(|&b| (b, random.next() * 0.5f64.powi(b as i32))).collect();
        let name = format!("act{index}");
        let elements = 1 + random.below(1000) as u64;
        tables.activations.push(ActivationTable { name, elements, bits, loss, ..ActivationTable::default() });
    }
    for index in 0..3 + random.below(2) {
        let bits = widths(random);
        let reads = match random.below(3) {
            0 => Reads::Fixed(8),
            1 => Reads::Own(vec![4, 8]),
            _ => Reads::Shared(random.below(tables.activations.len())),
        };
        let mut layer = LayerTable { name: format!("layer{index}"), bits, reads, ..LayerTable::default() };
        (layer.parameters, layer.macs) = (1 + random.below(5000) as u64, random.below(90_000) as u64);
        for &w in &layer.bits {
            layer.loss.by_weights.insert(w, random.next() * 0.6f64.powi(w as i32));
        }
        let mut lut = OptionTable::default();
        for a in tables.activation_bits(&layer) {
            for &w in &layer.bits {
                lut.by_both.insert((w, a), (w * a) as f64 * (1.0 + random.next()));
                if random.below(4) == 0 {
                    layer.loss.by_both.insert((w, a), random.next() * 0.1);
                }
            }
        }
        layer.costs.insert("lut".to_owned(), lut.clone());
        layer.costs.insert("interval".to_owned(), lut);
        tables.layers.push(layer);
    }
    tables.greatest = vec!["interval".to_owned()];
    if random.below(2) == 0 {
        let bits = tables.layers[0].bits.clone();
        tables.layers[1].bits = bits.clone();
        tables.layers[1].loss = tables.layers[0].loss.clone();
        tables.layers[1].reads = tables.layers[0].reads.clone();
        tables.layers[1].costs = tables.layers[0].costs.clone();
        (tables.layers[0].tied, tables.layers[1].tied) = (Some("tie".to_owned()), Some("tie".to_owned()));
    }
    let (a, b) = (tables.layers[1].clone(), tables.layers[2].clone());
    let both = a.bits.iter().flat_map(|&x| b.bits.iter().map(move |&y| (x, y)));
    let loss = both.map(|key| (key, random.next() * 0.05 - 0.01)).collect();
    tables.pairs.push(PairTable { between: [a.name, b.name], loss });
    tables
}

/// All choices of a problem.
fn all(problem: &Problem<'_>) -> Vec<Choice> {
    let mut all = vec![Vec::new()];
    for decision in problem.decisions() {
        let longer = |choice: &Choice| {
            let choice = choice.clone();
            (0..decision.bits.len()).map(move |option| choice.iter().copied().chain([option]).collect::<Vec<_>>())
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

#[test]
fn the_optimum_is_that_of_exhaustive_search() {
    let (mut solved, mut refused) = (0, 0);
    for seed in 0..120 {
        let mut random = Random(seed * 7919 + 3);
        let tables = random_tables(&mut random);
        let share = |random: &mut Random| 20 + random.below(75);
        let mut text = format!("size={}%,bitops={}%", share(&mut random), share(&mut random));
        if seed % 3 == 0 {
            text += &format!(",lut={}%,interval={}%", share(&mut random), 40 + random.below(60));
        }
        if seed % 4 == 1 {
            text += &format!(",activations={}%", share(&mut random));
        }
        let problem = Problem::new(&tables, &Budget::parse(&text).unwrap()).unwrap();
        let feasible = all(&problem).into_iter().filter(|choice| problem.is_feasible(choice));
        let least = feasible.map(|choice| problem.loss(&choice)).reduce(f64::min);
        match (problem.solve(), least) {
            (Ok(found), Some(least)) => {
                assert!(problem.is_feasible(&found.choice), "seed {seed}: {text}");
                assert!((found.loss - least).abs() < 1e-9, "seed {seed}, {text}: {} for {least}", found.loss);
                assert!(found.proved && found.bound <= found.loss && found.bound > found.loss - 1e-6);
                solved += 1;
            }
            (Err(infeasible), None) => {
                let fault = infeasible.diagnostic();
                assert_eq!(fault.code, Code::AllocationInfeasible);
                refused += 1;
            }
            (found, least) => panic!("seed {seed}, {text}: {found:?} where the least is {least:?}"),
        }
    }
    assert!(solved > 40 && refused > 10, "{solved} solved, {refused} refused");
}

/// A chain of layers with losses of neighbours, by dynamic programming over (width of the last, size so far).
#[test]
fn a_chain_of_neighbours_is_that_of_dynamic_programming() {
    for seed in 0..10 {
        let mut random = Random(seed + 77);
        let count = 12;
        let mut tables = Tables::default();
        for index in 0..count {
            let bits = vec![2, 4, 8];
            let by_weights = bits.iter().map(|&b| (b, random.next() * 0.5f64.powi(b as i32))).collect();
            let loss = OptionTable { by_weights, ..OptionTable::default() };
            let parameters = 8 * (1 + random.below(9) as u64);
            tables.layers.push(LayerTable { name: format!("l{index}"), parameters, bits, loss, ..Default::default() });
        }
        for index in 1..count {
            let keys = [2, 4, 8].into_iter().flat_map(|a| [2, 4, 8].map(|b| (a, b)));
            let loss = keys.map(|key| (key, random.next() * 0.03)).collect();
            tables.pairs.push(PairTable { between: [format!("l{}", index - 1), format!("l{index}")], loss });
        }
        let most: u64 = tables.layers.iter().map(|layer| layer.parameters * 4 / 8).sum();
        let problem = Problem::new(&tables, &Budget::parse(&format!("size={most}")).unwrap()).unwrap();
        let found = problem.solve().unwrap();
        let mut states = std::collections::BTreeMap::from([((0u32, 0u64), 0.0f64)]);
        for (index, layer) in tables.layers.iter().enumerate() {
            let mut next = std::collections::BTreeMap::new();
            for (&(last, size), &loss) in &states {
                for &bits in &layer.bits {
                    let size = size + layer.parameters * u64::from(bits) / 8;
                    let pair = if index > 0 { tables.pairs[index - 1].loss[&(last, bits)] } else { 0.0 };
                    let loss = loss + layer.loss.by_weights[&bits] + pair;
                    let least = next.entry((bits, size)).or_insert(f64::INFINITY);
                    *least = least.min(loss);
                }
            }
            next.retain(|&(_, size), _| size <= most);
            states = next;
        }
        let least = states.values().copied().fold(f64::INFINITY, f64::min);
        assert!((found.loss - least).abs() < 1e-9 && found.proved, "seed {seed}: {} for {least}", found.loss);
    }
}

fn parsed(text: &str) -> Tables {
    Tables::parse(text, "tables.yaml").unwrap_or_else(|faults| panic!("{faults}"))
}

/// Sizes of the published models: 4 F + Q b / 8, with half the parameters at each of two widths.
#[test]
fn published_model_sizes() {
    #[track_caller]
    fn check(float: u64, quantized: u64, widths: [u32; 2], megabytes: f64, within: f64) {
        let layer = |name: &str, parameters: u64| {
            format!(
                "  - {{ name: {name}, parameters: {parameters}, bits: [2, 4, 8, 32], loss: {{ w2: 4, w4: 1, w8: 0, w32: 0 }} }}\n"
            )
        };
        let (half, rest) = (quantized / 2, quantized - quantized / 2);
        let text = format!(
            "hwgen_tables: 1\nfloat_parameters: {float}\nlayers:\n{}{}",
            layer("half", half),
            layer("rest", rest)
        );
        let tables = parsed(&text);
        let problem = Problem::new(&tables, &Budget::default()).unwrap();
        let choice = problem.choice(&|decision| widths[usize::from(decision.name == "rest")]);
        let size = problem.total(0, &choice) / 1e6;
        assert!((size / megabytes - 1.0).abs() < within, "{size} MB instead of {megabytes}");
    }
    // YOLOv5n of one class: 1,747,648 + 4,752 + 8,064 + 54 parameters in float are 7.042 MB; YOLOv9-C 100.911 MB.
    check(0, 1_747_648 + 4_752 + 8_064 + 54, [32, 32], 7.042, 1e-4);
    check(0, 25_227_859, [32, 32], 100.911, 1e-5);
    // From the table of 80 classes: one class instead (three heads of 256 channels, with bias), and the box branches'
    // second and third convolutions of 64 channels in four groups, as the original head has them.
    let one_class = 25_380_928 - 3 * 79 * (256 + 1) - 3 * (64 * 64 * 9 + 64 * 64) / 4 * 3;
    assert_eq!(one_class, 25_227_859);
    check(0, one_class, [32, 32], 100.911, 1e-5);
    let (float, quantized) = (86_200, 1_674_400);
    check(float, quantized, [8, 8], 2.02, 3e-3);
    check(float, quantized, [8, 4], 1.60, 3e-3);
    check(float, quantized, [4, 2], 0.97, 4e-3);
    let (float, quantized) = (2_758_000, 22_470_000);
    check(float, quantized, [8, 8], 33.50, 3e-3);
    check(float, quantized, [8, 4], 27.87, 3e-3);
    check(float, quantized, [4, 2], 19.45, 3e-3);
}

/// 32 bits over an average of 2.42 make the published thirteenth.
#[test]
fn an_average_of_widths_is_a_ratio_of_sizes() {
    let text = "hwgen_tables: 1\nlayers:\n\
        \x20 - { name: a, parameters: 58, bits: [2, 3, 32], loss: { w2: 1, w3: 0.5, w32: 0 } }\n\
        \x20 - { name: b, parameters: 42, bits: [2, 3, 32], loss: { w2: 1, w3: 0.5, w32: 0 } }\n";
    let tables = parsed(text);
    let problem = Problem::new(&tables, &Budget::parse("weight_bits=2.42").unwrap()).unwrap();
    let found = problem.solve().unwrap();
    let average = problem.costs().iter().position(|name| name == "weight_bits").unwrap();
    assert!((found.costs[average] - 2.42).abs() < 1e-12);
    assert_eq!(problem.widths(0, &found.choice).0, 2);
    let ratio = problem.total(0, &problem.widest()) / found.costs[0];
    assert!((ratio - 13.22).abs() < 0.005, "{ratio}");
}

#[test]
fn tables_are_written_as_they_are_read() {
    for seed in 0..20 {
        let tables = random_tables(&mut Random(seed));
        let mut read = parsed(&tables.write());
        let mut expected = tables.clone();
        for (layer, own) in read.layers.iter_mut().zip(&mut expected.layers) {
            layer.place = own.place.clone();
            if let Reads::Own(bits) = &own.reads
                && let [one] = bits.as_slice()
            {
                own.reads = Reads::Fixed(*one);
            }
        }
        read.activations.iter_mut().zip(&expected.activations).for_each(|(a, b)| a.place = b.place.clone());
        assert_eq!(read, expected);
        assert_eq!(read.write(), tables.write());
    }
}

#[test]
fn json_is_read_too() {
    let tables = parsed(
        r#"{"hwgen_tables":1,"weight_bits":[4,8],"layers":[{"name":"a","parameters":10,"macs":20,"loss":{"w4":1.5,"w8":0}}]}"#,
    );
    assert_eq!(tables.layers[0].bits, [4, 8]);
    assert_eq!(tables.layers[0].loss.value(4, 8), Some(1.5));
}

#[track_caller]
fn refused(text: &str, line: u64, part: &str) {
    let faults = Tables::parse(text, "t.yaml").expect_err("must be refused");
    let fault = faults.0.iter().find(|fault| fault.message.contains(part));
    let fault = fault.unwrap_or_else(|| panic!("no fault says `{part}`: {faults}"));
    assert_eq!((fault.code, fault.place.line), (Code::AllocationTable, Some(line)), "{fault}");
}

#[test]
fn wrong_tables_are_refused_at_their_place() {
    let layer = |rest: &str| format!("hwgen_tables: 1\nweight_bits: [4, 8]\nlayers:\n  - name: a\n    {rest}\n");
    refused("hwgen_tables: 2\nlayers: [{ name: a, parameters: 1, bits: [4], loss: { w4: 1 } }]", 1, "version 2");
    refused("layers: []", 1, "hwgen_tables");
    refused("hwgen_tables: 1\nlayers: []", 2, "0 layers");
    refused("hwgen_tables: 1\nlayers: [{ name: a }]", 2, "parameters");
    refused(&layer("parameters: 1\n    looss: { w4: 1 }"), 6, "looss");
    refused(&layer("parameters: 1\n    loss: { w4: 1 }"), 4, "option w8a8");
    refused(&layer("parameters: 1\n    loss: { w4: 1, w8: .nan }"), 4, "NaN");
    refused(&layer("parameters: 1\n    loss: { w4: 1, w6: 2, w8: 0 }"), 4, "`w6`");
    refused(&layer("parameters: 1\n    loss: { w4: 1, 8: 0 }"), 4, "`8`");
    refused(&layer("parameters: 1\n    costs: { lut: { w4: -1, w8: 3 } }"), 4, "is -1");
    refused(&layer("parameters: 1\n    costs: { size: { w4: 1, w8: 3 } }"), 4, "`size`");
    refused(&layer("parameters: 1\n    reads: x"), 4, "reads `x`");
    refused(&layer("parameters: 1\n    bits: [8, 8]"), 4, "[8, 8]");
    refused(&layer("parameters: 1\n    bits: [0, 8]"), 4, "[0, 8]");
    refused(&layer("parameters: 999999999999999999"), 4, "too many");
    refused(&layer("parameters: 1\n  - name: a\n    parameters: 2"), 6, "stands twice");
    refused(&layer("parameters: 1\n    tied: t\n  - { name: b, parameters: 2, bits: [2], tied: t }"), 7, "tied to `a`");
    refused(&(layer("parameters: 1") + "pairs: [{ between: [a, c], loss: {} }]"), 6, "`c`");
    refused("hwgen_tables: 1\nlayers: [{ name: a", 2, "no tables");
}

#[test]
fn budgets_that_fit_no_table_or_no_widths_are_refused() {
    let text = "hwgen_tables: 1\ngreatest: [interval]\nlayers:\n\
        \x20 - { name: a, parameters: 800, bits: [2, 4], loss: { w2: 1, w4: 0 }, costs: { interval: { w2: 7, w4: 9 } } }\n\
        \x20 - { name: b, parameters: 400, bits: [2, 4], loss: { w2: 1, w4: 0 }, costs: { interval: { w2: 5, w4: 6 } } }\n";
    let tables = parsed(text);
    let fault = Problem::new(&tables, &Budget::parse("lut=3").unwrap()).unwrap_err();
    assert_eq!(fault.code, Code::AllocationBudget);
    assert!(fault.help.contains("size, bitops, activations, weight_bits, activation_bits, energy, interval"));
    let solve = |budget: &str| Problem::new(&tables, &Budget::parse(budget).unwrap()).unwrap().solve();
    let fault = solve("size=250").unwrap_err().diagnostic();
    assert_eq!(fault.message, "no widths keep the budget size=250");
    assert!(fault.help.starts_with("the nearest that can be met is size=300;"), "{}", fault.help);
    let fault = solve("interval=6").unwrap_err().diagnostic();
    assert_eq!(fault.place.layer.as_deref(), Some("a"));
    // The greatest counts, not the sum: 9 takes a's four bits, 8 does not.
    assert_eq!(solve("interval=9").unwrap().choice, [1, 1]);
    assert_eq!(solve("interval=8").unwrap().choice, [0, 1]);
    let silent = parsed("hwgen_tables: 1\nlayers: [{ name: a, parameters: 1, bits: [2, 4] }]");
    assert_eq!(Problem::new(&silent, &Budget::default()).unwrap_err().code, Code::AllocationTable);
}

/// A network of YOLOv9-C's size: 145 layers, four widths, three limits.
#[test]
fn a_large_table_is_solved_to_proved_optimality() {
    let mut random = Random(9);
    let mut text = String::from("hwgen_tables: 1\nweight_bits: [2, 4, 6, 8]\nlayers:\n");
    for index in 0..145 {
        let parameters = 500 + random.below(700_000);
        let macs = parameters * [400, 1600, 6400, 25_600][random.below(4)];
        let scale = random.next() / (parameters as f64).sqrt();
        let loss = [2, 4, 6, 8].map(|b| format!("w{b}: {:e}", scale * 0.25f64.powi(b)));
        let lut = [2, 4, 6, 8].map(|b| format!("w{b}: {}", 100 + b as usize * (80 + random.below(60))));
        text += &format!(
            "  - {{ name: l{index}, parameters: {parameters}, macs: {macs}, loss: {{ {} }}, costs: {{ lut: {{ {} }} }} }}\n",
            loss.join(", "),
            lut.join(", ")
        );
    }
    let tables = parsed(&text);
    for budget in ["size=50%,bitops=55%,lut=60%", "size=60%,bitops=40%,lut=75%", "size=35%,bitops=90%,lut=90%"] {
        let problem = Problem::new(&tables, &Budget::parse(budget).unwrap()).unwrap();
        let found = problem.solve().unwrap();
        assert!(found.proved && problem.is_feasible(&found.choice), "{budget}: {} above {}", found.loss, found.bound);
    }
}
