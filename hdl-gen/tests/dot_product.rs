//! Generated dot products run in Icarus Verilog and must equal the sum of products by its definition, at the stated
//! latency: all formats at few lanes, extremes of every operand, gaps, back-to-back dot products, initial values.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;

use bench::{Bench, Random};
use hdl_gen::datapath::{DotProduct, DotProductForm, DotProductSpec, Multiplier, Operand};
use hdl_gen::heap::Target;

/// One device under test: a dot product and the steps it is given.
#[derive(Clone, Debug)]
struct Case {
    lanes: u32,
    activation: Operand,
    weight: Operand,
    steps: u32,
    initial_bits: Option<u32>,
    multiplier: Multiplier,
    target: Target,
}

fn unsigned(bits: u32) -> Operand {
    Operand::Unsigned { bits }
}

fn signed(bits: u32) -> Operand {
    Operand::Signed { bits }
}

fn bipolar(planes: u32) -> Operand {
    Operand::Bipolar { planes }
}

fn case(lanes: u32, activation: Operand, weight: Operand, steps: u32, initial_bits: Option<u32>) -> Case {
    Case { lanes, activation, weight, steps, initial_bits, multiplier: Multiplier::Lut, target: Target::Lut6 }
}

/// The value of a code by the definition of its format.
fn value(operand: Operand, code: u64) -> i64 {
    let code = code as i64;
    match operand {
        Operand::Unsigned { .. } => code,
        Operand::Signed { bits } => {
            if code >> (bits - 1) == 1 {
                code - (1 << bits)
            } else {
                code
            }
        }
        Operand::Bipolar { planes } => (0..planes).map(|m| if (code >> m) & 1 == 1 { 1 << m } else { -(1 << m) }).sum(),
    }
}

/// A random code that is often an extreme one.
fn code(operand: Operand, random: &mut Random) -> u64 {
    let bits = operand.bits();
    let mask = (1_u64 << bits) - 1;
    match random.below(6) {
        0 => 0,
        1 => mask,
        2 => 1 << (bits - 1),
        3 => mask >> 1,
        _ => random.next() & mask,
    }
}

/// Adds a case to a bench; afterwards each expected value is compared at its exact cycle.
fn add(bench: &mut Bench, index: usize, case: &Case, random: &mut Random) {
    let form = DotProductForm::new(case.activation, case.weight, case.multiplier, case.target).unwrap();
    let taps = case.lanes * case.steps;
    // The same weights in every dot product keep the reachable range, and so the accumulator, as narrow as it may be.
    let weights: Vec<u64> = (0..taps).map(|_| code(case.weight, random)).collect();
    let weight_values: Vec<i32> = weights.iter().map(|&code| value(case.weight, code) as i32).collect();
    let (mut low, mut high) = form.raw_range(&weight_values, case.activation.value_range());
    if let Some(bits) = case.initial_bits {
        low -= 1 << (bits - 1);
        high += (1 << (bits - 1)) - 1;
    }
    let name = format!("hwgen_dut{index}");
    let product = DotProduct::new(DotProductSpec {
        module_name: name.clone(),
        lanes: case.lanes,
        form,
        accumulate: case.steps > 1,
        initial_bits: case.initial_bits,
        result_range: (low, high),
    })
    .unwrap();
    let accumulates = case.steps > 1;
    let mut ports = Vec::new();
    if accumulates {
        ports.extend([("rst_i", 1), ("step_i", 1), ("last_i", 1)]);
    }
    ports.push(("activation_i", case.lanes * case.activation.bits()));
    ports.push(("weight_i", case.lanes * case.weight.bits()));
    if let Some(bits) = case.initial_bits {
        ports.push(("initial_i", bits));
    }
    let mut cycles = Vec::new();
    let mut expected = Vec::new();
    if accumulates {
        // A step before the reset must leave nothing behind.
        cycles.push(drive(&ports, case, None, random, (1, 0)));
        cycles.push(drive(&ports, case, None, random, (0, 0)));
        cycles[1].iter_mut().zip(&ports).filter(|(_, port)| port.0 == "rst_i").for_each(|(value, _)| value[0] = true);
    }
    for sample in 0..12 {
        let mut sum = 0;
        for step in 0..case.steps {
            while accumulates && sample % 3 == 2 && random.below(2) == 0 {
                let last = random.below(2);
                cycles.push(drive(&ports, case, None, random, (0, last)));
            }
            let taps = (step * case.lanes) as usize..((step + 1) * case.lanes) as usize;
            let weights = &weights[taps];
            let activations: Vec<u64> = weights
                .iter()
                .map(|&weight| match sample {
                    // The largest and the least sum that the weights allow.
                    0 | 1 => {
                        let (low, high) = case.activation.value_range();
                        let wants_high = (value(case.weight, weight) >= 0) == (sample == 0);
                        u64::from(case.activation.code(if wants_high { high } else { low }))
                    }
                    _ => code(case.activation, random),
                })
                .collect();
            sum += weights
                .iter()
                .zip(&activations)
                .map(|(&w, &x)| value(case.weight, w) * value(case.activation, x))
                .sum::<i64>();
            let last = u64::from(step + 1 == case.steps);
            cycles.push(drive(&ports, case, Some((&activations, weights)), random, (1, last)));
        }
        if let Some(bits) = case.initial_bits {
            let port = ports.iter().position(|port| port.0 == "initial_i").unwrap();
            let extreme = match sample {
                0 => (1 << (bits - 1)) - 1,
                1 => 1 << (bits - 1),
                _ => random.next() & ((1 << bits) - 1),
            };
            cycles.last_mut().unwrap()[port] = (0..bits).map(|bit| (extreme >> bit) & 1 == 1).collect();
            sum += product.gain() * value(Operand::Signed { bits }, extreme);
        }
        expected.push((cycles.len() - 1, sum));
    }
    let latency = product.latency_cycles() as usize;
    let offset = product.offset(&weight_values);
    let gain = product.gain();
    let (result_bits, result_signed) = (product.result_bits(), product.result_is_signed());
    let label = format!("{case:?}");
    let expected = expected
        .into_iter()
        .map(|(cycle, sum)| {
            assert_eq!((sum - offset).rem_euclid(gain), 0, "{label}: offset and gain do not reach the sum");
            let raw = (sum - offset) / gain;
            let (low, high) = product.output_range();
            assert!((low..=high).contains(&raw), "{label}: {raw} outside {low}..={high}");
            let low = if result_signed { -(1_i64 << (result_bits - 1)) } else { 0 };
            assert!(
                (low..low + (1_i64 << result_bits)).contains(&raw),
                "{label}: {raw} does not fit {result_bits} bits"
            );
            (cycle + latency, raw as u64 & ((1 << result_bits) - 1))
        })
        .collect();
    bench.add(&name, product.modules(), &ports, ("result_o", result_bits), cycles, expected, label);
}

/// One cycle's port values; idle cycles carry random lanes.
fn drive(
    ports: &[(&str, u32)],
    case: &Case,
    lanes: Option<(&[u64], &[u64])>,
    random: &mut Random,
    (step, last): (u64, u64),
) -> Vec<Vec<bool>> {
    let spread = |codes: &[u64], bits: u32| {
        codes.iter().flat_map(|code| (0..bits).map(move |bit| (code >> bit) & 1 == 1)).collect::<Vec<bool>>()
    };
    ports
        .iter()
        .map(|&(name, bits)| match (name, lanes) {
            ("rst_i", _) => vec![false],
            ("step_i", _) => vec![step == 1],
            ("last_i", _) => vec![last == 1],
            ("activation_i", Some((activations, _))) => spread(activations, case.activation.bits()),
            ("weight_i", Some((_, weights))) => spread(weights, case.weight.bits()),
            _ => (0..bits).map(|_| random.below(2) == 1).collect(),
        })
        .collect()
}

fn cases(random: &mut Random) -> Vec<Case> {
    let mut list = Vec::new();
    let formats: Vec<Operand> = [1, 2, 3, 4, 5, 8, 16]
        .into_iter()
        .flat_map(|bits| [unsigned(bits), signed(bits)])
        .chain([1, 2, 3, 8].map(bipolar))
        .collect();
    for &activation in &formats {
        for &weight in &formats {
            let lanes = 1 + random.below(4) as u32;
            let steps = 1 + random.below(4) as u32;
            let initial = [None, Some(1 + random.below(14) as u32)][random.below(2) as usize];
            list.push(case(lanes, activation, weight, steps, initial));
        }
    }
    for lanes in [1, 2, 3, 5, 9, 16, 27, 64, 128, 200] {
        for (activation, weight) in [
            (bipolar(1), bipolar(1)),
            (unsigned(2), signed(2)),
            (unsigned(4), signed(4)),
            (signed(8), signed(8)),
            (bipolar(2), bipolar(2)),
            (unsigned(8), bipolar(1)),
        ] {
            if lanes * activation.bits() * weight.bits() > 1100 {
                continue;
            }
            for steps in [1, 3] {
                list.push(case(lanes, activation, weight, steps, [None, Some(9)][random.below(2) as usize]));
            }
        }
    }
    for target in [Target::Lut4, Target::StandardCells] {
        for lanes in [1, 6, 40] {
            for (activation, weight) in
                [(bipolar(1), bipolar(1)), (unsigned(3), signed(3)), (signed(5), unsigned(4)), (bipolar(2), bipolar(3))]
            {
                for steps in [1, 2] {
                    list.push(Case {
                        target,
                        ..case(lanes, activation, weight, steps, [None, Some(6)][random.below(2) as usize])
                    });
                }
            }
        }
    }
    for lanes in [1, 3, 8] {
        for (activation, weight) in [
            (unsigned(8), signed(8)),
            (unsigned(4), signed(4)),
            (bipolar(2), bipolar(3)),
            (signed(12), unsigned(5)),
            (unsigned(1), signed(1)),
            (unsigned(16), unsigned(16)),
            (signed(1), signed(1)),
            (unsigned(5), unsigned(5)),
            (signed(6), signed(6)),
            (signed(4), signed(7)),
        ] {
            for steps in [1, 3] {
                list.push(Case {
                    multiplier: Multiplier::Dsp,
                    ..case(lanes, activation, weight, steps, [None, Some(7)][random.below(2) as usize])
                });
            }
        }
    }
    list
}

#[test]
fn dot_products_equal_their_definition() {
    let mut random = Random::from_environment(0x5eed_0001);
    let mut bench = Bench::new("dot_product");
    let cases = cases(&mut random);
    for (index, case) in cases.iter().enumerate() {
        add(&mut bench, index, case, &mut random);
    }
    bench.run();
}
