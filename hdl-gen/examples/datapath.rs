//! Writes one generated datapath module and the adder it instantiates into a folder: what `scripts/area` synthesises.
//!
//! `datapath DIR NAME LANES ACTIVATION WEIGHT [STEPS]` with formats `u4`, `s8`, `b2` (bipolar), 1 step by default;
//! prints latency, LUT and FF estimates.

use std::process::ExitCode;

use hdl_gen::datapath::{DotProduct, DotProductForm, DotProductSpec, Multiplier, Operand};
use hdl_gen::heap::Target;

fn operand(text: &str) -> Option<Operand> {
    let bits = text.get(1..)?.parse().ok()?;
    match text.get(..1)? {
        "u" => Some(Operand::Unsigned { bits }),
        "s" => Some(Operand::Signed { bits }),
        "b" => Some(Operand::Bipolar { planes: bits }),
        _ => None,
    }
}

fn run(arguments: &[String]) -> Result<String, Box<dyn std::error::Error>> {
    let [directory, name, lanes, activation, weight, rest @ ..] = arguments else {
        return Err("usage: datapath DIR NAME LANES ACTIVATION WEIGHT [STEPS [lut|dsp [TARGET]]]".into());
    };
    let lanes: u32 = lanes.parse()?;
    let steps: u32 = rest.first().map_or(Ok(1), |steps| steps.parse())?;
    let multiplier = if rest.get(1).is_some_and(|word| word == "dsp") { Multiplier::Dsp } else { Multiplier::Lut };
    let target = match rest.get(2).map(String::as_str) {
        Some("lut4") => Target::Lut4,
        Some("cells") => Target::StandardCells,
        _ => Target::Lut6,
    };
    let activation = operand(activation).ok_or("activation format")?;
    let weight = operand(weight).ok_or("weight format")?;
    let form = DotProductForm::new(activation, weight, multiplier, target)?;
    let spec = DotProductSpec {
        module_name: name.clone(),
        lanes,
        result_range: form.widest_raw_range(lanes * steps),
        form,
        accumulate: steps > 1,
        initial_bits: None,
    };
    let product = DotProduct::new(spec)?;
    for module in product.modules() {
        std::fs::write(format!("{directory}/{}.v", module.name), &module.text)?;
    }
    Ok(format!(
        "latency {} lut {} ff {} result {}",
        product.latency_cycles(),
        product.lut_estimate(),
        product.ff_estimate(),
        product.result_bits()
    ))
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
