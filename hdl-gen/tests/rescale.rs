//! Generated rescalers run in Icarus Verilog and must equal the exact integer rule at the stated latency.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;

use bench::{Bench, Random};
use hdl_gen::datapath::{Multiplier, Rescale, RescaleFactor, RescaleSpec, ShiftRounding};
use hdl_gen::heap::Target;

/// Bits and signedness of a number on wires.
type Wires = (u32, bool);

/// The range of a number on wires.
fn range((bits, signed): Wires) -> (i64, i64) {
    if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// A number of a range, often an end of it.
fn number((low, high): (i64, i64), random: &mut Random) -> i64 {
    match random.below(5) {
        0 => low,
        1 => high,
        _ => low + (random.next() % ((high - low) as u64 + 1)) as i64,
    }
}

/// The rule: floor, or nearest with ties to even, by division with remainder.
fn expected(value: i64, shift: u32, rounding: ShiftRounding, (low, high): (i64, i64)) -> i64 {
    let divisor = 1_i64 << shift;
    let (quotient, rest) = (value.div_euclid(divisor), value.rem_euclid(divisor));
    let up = match rounding {
        ShiftRounding::Floor => false,
        ShiftRounding::HalfEven => 2 * rest > divisor || (2 * rest == divisor && quotient % 2 != 0),
    };
    (quotient + i64::from(up)).clamp(low, high)
}

fn add(
    bench: &mut Bench,
    index: usize,
    accumulator: Wires,
    factor: Option<Wires>,
    spec: RescaleSpec,
    random: &mut Random,
) {
    let label = format!("{spec:?}");
    let rescale = Rescale::new(spec).unwrap();
    let spec = rescale.spec().clone();
    let mut ports = vec![("accumulator_i", accumulator.0)];
    ports.extend(factor.map(|wires| ("multiplier_i", wires.0)));
    ports.extend(spec.offset_bits.map(|bits| ("offset_i", bits)));
    let mut cycles = Vec::new();
    let mut results = Vec::new();
    let spread = |value: i64, bits: u32| (0..bits).map(|bit| (value >> bit) & 1 == 1).collect::<Vec<bool>>();
    for cycle in 0..60 {
        let mut x = number(range(accumulator), random);
        let constant = if let RescaleFactor::Constant(factor) = spec.factor { factor } else { 1 };
        let mut m = factor.map_or(constant, |wires| number(range(wires), random));
        let mut b = spec.offset_bits.map_or(0, |bits| number(range((bits, true)), random));
        // Small sums, so that codes inside the range and ties are seen too.
        if cycle % 2 == 1 {
            x = x.clamp(-3, 3);
            if factor.is_some() {
                m = m.clamp(-40, 40);
            }
            if let Some(bits) = spec.offset_bits {
                let (low, high) = range((bits, true));
                let near = (number(spec.code_range, random) << spec.shift)
                    + if spec.shift > 0 { 1 << (spec.shift - 1) } else { 0 };
                b = (near - x * m - spec.constant).clamp(low, high);
            }
        }
        let value = x * m + b + spec.constant;
        let (low, high) = spec.value_range;
        let legal = (low..=high).contains(&value);
        let mut word = vec![spread(x, accumulator.0)];
        word.extend(factor.map(|wires| spread(m, wires.0)));
        word.extend(spec.offset_bits.map(|bits| spread(b, bits)));
        if legal {
            let code = expected(value, spec.shift, spec.rounding, spec.code_range);
            let mask = (1_i64 << rescale.code_bits()) - 1;
            results.push((cycles.len() + rescale.latency_cycles() as usize, (code & mask) as u64));
        }
        cycles.push(word);
    }
    assert!(results.len() > 5, "{label}: hardly any legal value");
    let name = format!("hwgen_rescale{index}");
    bench.add(&name, rescale.modules(), &ports, ("code_o", rescale.code_bits()), cycles, results, label);
}

#[test]
fn rescalers_equal_the_rule() {
    let mut random = Random::from_environment(0x5eed_0002);
    let mut bench = Bench::new("rescale");
    let mut index = 0;
    let accumulators = [(1, false), (6, true), (9, false), (13, true), (21, true), (30, true)];
    let factors = [
        None,
        Some((1, false)),
        Some((2, true)),
        Some((7, false)),
        Some((12, true)),
        Some((19, false)),
        Some((27, false)),
    ];
    let codes = [(0, 1), (0, 15), (-8, 7), (-127, 127), (0, 255), (3, 12), (-1, 1)];
    for accumulator in accumulators {
        for factor in factors {
            for multiplier in [Multiplier::Lut, Multiplier::Dsp] {
                for rounding in [ShiftRounding::Floor, ShiftRounding::HalfEven] {
                    if factor.is_none() && multiplier == Multiplier::Dsp {
                        continue;
                    }
                    let (low, high) = range(accumulator);
                    let (least, largest) = factor.map_or((1, 1), range);
                    let corners = [low * least, low * largest, high * least, high * largest];
                    let product = (*corners.iter().min().unwrap(), *corners.iter().max().unwrap());
                    let product_bits = 64 - (product.1.max(-product.0) as u64).leading_zeros();
                    let shift = random.below(u64::from(product_bits) + 2) as u32;
                    let offset_bits = if random.below(4) == 0 {
                        None
                    } else {
                        Some(1 + random.below(u64::from(product_bits)) as u32)
                    };
                    let (offset_low, offset_high) = offset_bits.map_or((0, 0), |bits| range((bits, true)));
                    let code_range = codes[random.below(codes.len() as u64) as usize];
                    let target =
                        [Target::Lut6, Target::Lut6, Target::Lut4, Target::StandardCells][random.below(4) as usize];
                    let spec = RescaleSpec {
                        module_name: format!("hwgen_rescale{index}"),
                        accumulator_bits: accumulator.0,
                        accumulator_signed: accumulator.1,
                        factor: factor
                            .map_or(RescaleFactor::One, |(bits, signed)| RescaleFactor::Port { bits, signed }),
                        offset_bits,
                        constant: 0,
                        value_range: (product.0 + offset_low, product.1 + offset_high),
                        shift,
                        rounding,
                        code_range,
                        multiplier,
                        target,
                    };
                    add(&mut bench, index, accumulator, factor, spec, &mut random);
                    index += 1;
                }
            }
        }
    }
    bench.run();
}

/// A constant factor of any sign, with an offset from outside, a constant or none.
#[test]
fn rescalers_by_a_constant_equal_the_rule() {
    let mut random = Random::from_environment(0x5eed_0003);
    let mut bench = Bench::new("rescale_constant");
    let mut index = 0;
    let factors = [-1, 2, 3, -8, 11, 45, -77, 1023, 4097, -52_429, 715_827_883];
    let codes = [(0, 1), (0, 15), (-8, 7), (-127, 127), (0, 255), (3, 12), (-(1 << 50), 1 << 50)];
    for accumulator in [(1, false), (2, true), (6, true), (9, false), (13, true), (20, true)] {
        for factor in factors {
            for rounding in [ShiftRounding::Floor, ShiftRounding::HalfEven] {
                let (low, high) = range(accumulator);
                let product = ((low * factor).min(high * factor), (low * factor).max(high * factor));
                let product_bits = 64 - (product.1.max(-product.0) as u64).leading_zeros();
                let shift = random.below(u64::from(product_bits) + 2) as u32;
                let offset_bits =
                    [None, Some(1 + random.below(u64::from(product_bits)) as u32)][random.below(2) as usize];
                let constant =
                    [0, number((-(1 << product_bits), 1 << product_bits), &mut random)][random.below(2) as usize];
                let (offset_low, offset_high) = offset_bits.map_or((0, 0), |bits| range((bits, true)));
                let target =
                    [Target::Lut6, Target::Lut6, Target::Lut4, Target::StandardCells][random.below(4) as usize];
                let spec = RescaleSpec {
                    module_name: format!("hwgen_rescale{index}"),
                    accumulator_bits: accumulator.0,
                    accumulator_signed: accumulator.1,
                    factor: RescaleFactor::Constant(factor),
                    offset_bits,
                    constant,
                    value_range: (product.0 + offset_low + constant, product.1 + offset_high + constant),
                    shift,
                    rounding,
                    code_range: codes[random.below(codes.len() as u64) as usize],
                    multiplier: Multiplier::Lut,
                    target,
                };
                add(&mut bench, index, accumulator, None, spec, &mut random);
                index += 1;
            }
        }
    }
    bench.run();
}
