//! Writes one generated datapath module and the modules it instantiates into a folder: what `scripts/area` synthesises.
//!
//! `datapath DIR NAME LANES ACTIVATION WEIGHT [STEPS [lut|dsp [lut6|lut4|cells]]]` is a dot product, formats being `u4`,
//! `s8`, `b2` (bipolar); `datapath DIR NAME rescale ACCUMULATOR FACTOR OFFSET_BITS SHIFT CODE [lut|dsp]` a rescaler,
//! whose factor may be `1`. Prints latency, counted LUTs and registers.

use std::process::ExitCode;

use hdl_gen::datapath::{
    DotProduct, DotProductForm, DotProductSpec, Multiplier, Operand, Rescale, RescaleFactor, RescaleSpec, ShiftRounding,
};
use hdl_gen::heap::Target;
use hdl_gen::verilog::ModuleText;

type Outcome = Result<String, Box<dyn std::error::Error>>;

fn operand(text: &str) -> Option<Operand> {
    let bits = text.get(1..)?.parse().ok()?;
    match text.get(..1)? {
        "u" => Some(Operand::Unsigned { bits }),
        "s" => Some(Operand::Signed { bits }),
        "b" => Some(Operand::Bipolar { planes: bits }),
        _ => None,
    }
}

fn multiplier(word: Option<&String>) -> Multiplier {
    if word.is_some_and(|word| word == "dsp") { Multiplier::Dsp } else { Multiplier::Lut }
}

fn write(directory: &str, modules: &[ModuleText]) -> std::io::Result<()> {
    modules.iter().try_for_each(|module| std::fs::write(format!("{directory}/{}.v", module.name), &module.text))
}

fn dot_product(directory: &str, name: &str, arguments: &[String]) -> Outcome {
    let [lanes, activation, weight, rest @ ..] = arguments else { return Err("too few arguments".into()) };
    let lanes: u32 = lanes.parse()?;
    let steps: u32 = rest.first().map_or(Ok(1), |steps| steps.parse())?;
    let target = match rest.get(2).map(String::as_str) {
        Some("lut4") => Target::Lut4,
        Some("cells") => Target::StandardCells,
        _ => Target::Lut6,
    };
    let activation = operand(activation).ok_or("activation format")?;
    let weight = operand(weight).ok_or("weight format")?;
    let form = DotProductForm::new(activation, weight, multiplier(rest.get(1)), target)?;
    let product = DotProduct::new(DotProductSpec {
        module_name: name.to_owned(),
        lanes,
        result_range: form.widest_raw_range(lanes * steps),
        form,
        accumulate: steps > 1,
        initial_bits: None,
    })?;
    write(directory, product.modules())?;
    let (latency, lut, ff) = (product.latency_cycles(), product.lut_estimate(), product.ff_estimate());
    Ok(format!("latency {latency} lut {lut} ff {ff}"))
}

fn rescale(directory: &str, name: &str, arguments: &[String]) -> Outcome {
    let [accumulator, factor, offset_bits, shift, code, rest @ ..] = arguments else {
        return Err("too few arguments".into());
    };
    let accumulator = operand(accumulator).ok_or("accumulator format")?;
    let factor_operand = operand(factor);
    let offset_bits: u32 = offset_bits.parse()?;
    let (low, high) = accumulator.value_range();
    let largest = factor_operand.map_or(1, |factor| factor.value_range().1);
    let offset = 1_i64 << (offset_bits - 1);
    let rescale = Rescale::new(RescaleSpec {
        module_name: name.to_owned(),
        accumulator_bits: accumulator.bits(),
        accumulator_signed: low < 0,
        factor: factor_operand.map_or(RescaleFactor::One, |factor| RescaleFactor::Port {
            bits: factor.bits(),
            signed: factor.value_range().0 < 0,
        }),
        offset_bits: Some(offset_bits),
        constant: 0,
        value_range: (low * largest - offset, high * largest + offset),
        shift: shift.parse()?,
        rounding: ShiftRounding::Floor,
        code_range: operand(code).ok_or("code format")?.value_range(),
        multiplier: multiplier(rest.first()),
        target: Target::Lut6,
    })?;
    write(directory, rescale.modules())?;
    let (latency, lut, ff) = (rescale.latency_cycles(), rescale.lut_estimate(), rescale.ff_estimate());
    Ok(format!("latency {latency} lut {lut} ff {ff}"))
}

fn run(arguments: &[String]) -> Outcome {
    match arguments {
        [directory, name, word, rest @ ..] if word == "rescale" => rescale(directory, name, rest),
        [directory, name, rest @ ..] => dot_product(directory, name, rest),
        _ => Err("usage: datapath DIR NAME LANES ACTIVATION WEIGHT [STEPS [lut|dsp [lut6|lut4|cells]]]".into()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("datapath: {error}");
            ExitCode::from(2)
        }
    }
}
