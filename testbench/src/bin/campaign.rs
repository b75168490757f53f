//! Runs the campaign: `campaign FIRST COUNT [--batch N] [--faults] [--only TEXT] [--record FILE]`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use testbench::campaign::Sketch;
use testbench::campaign::faults::{FAULTS, PlantedFault};
use testbench::campaign::run::{Bench, Outcome};
use testbench::campaign::shrink::shrink;

/// Networks that a planted fault is looked for in at once.
const FAULT_BATCH: usize = 6;

struct Options {
    first: u64,
    count: u64,
    batch: u64,
    faults: bool,
    /// What the description of a fault is to hold.
    only: String,
    record: Option<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut numbers = Vec::new();
    let mut options = Options { first: 1, count: 30, batch: 30, faults: false, only: String::new(), record: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
        match argument.as_str() {
            "--batch" => options.batch = number(&value()?)?.max(1),
            "--record" => options.record = Some(value()?.into()),
            "--faults" => options.faults = true,
            "--only" => options.only = value()?,
            text => numbers.push(number(text)?),
        }
    }
    if let [first, count, ..] = numbers[..] {
        (options.first, options.count) = (first, count);
    }
    Ok(options)
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("campaign: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool, String> {
    let folder = std::env::temp_dir().join("hwgen-campaign");
    let bench = Bench::new(&folder)?;
    if options.faults {
        return faults(&bench, options);
    }
    let mut record = String::from("seed\tlayers\tedges\tcycles\tverdict\n");
    let (mut networks, mut failed) = (0, 0);
    let mut seed = options.first;
    let end = options.first + options.count;
    while seed < end {
        let sketches: Vec<Sketch> = (seed..end.min(seed + options.batch)).map(Sketch::random).collect();
        for Outcome { sketch, fault, edges, cycles } in bench.run(&sketches, None)? {
            networks += 1;
            let verdict = if fault.is_none() { "equal" } else { "DIFFERS" };
            let _ = writeln!(record, "{}\t{}\t{edges}\t{cycles}\t{verdict}", sketch.seed, sketch.layers.len());
            let Some(fault) = fault else { continue };
            failed += 1;
            println!("seed {} fails:\n{fault}\n{}", sketch.seed, sketch.plan());
            let mut fails = |candidate: &Sketch| {
                let outcomes = bench.run(std::slice::from_ref(candidate), None).unwrap_or_default();
                outcomes.iter().any(|outcome| outcome.fault.is_some())
            };
            println!("smallest plan that fails:\n{}", shrink(&sketch, &mut fails).plan());
        }
        seed += options.batch;
        println!("{networks} networks, {failed} failed");
    }
    if let Some(path) = &options.record {
        std::fs::write(path, record).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(failed == 0)
}

/// For each planted fault the seed that shows it, as rows of a table.
fn faults(bench: &Bench, options: &Options) -> Result<bool, String> {
    let mut all = true;
    let sketches: Vec<Sketch> = (options.first..options.first + options.count).map(Sketch::random).collect();
    println!(
        "| where | fault | networks with a place for it | networks tried | found by seed |\n| --- | --- | --- | --- | --- |"
    );
    for fault in FAULTS.iter().filter(|fault| fault.what.contains(&options.only)) {
        let places: Vec<Sketch> = sketches.iter().filter(|sketch| Bench::has_place(sketch, fault)).cloned().collect();
        let (tried, found) = find(bench, &places, fault)?;
        all &= found.is_some();
        let found = found.map_or("NOT FOUND".to_owned(), |seed| seed.to_string());
        println!("| {} | {} | {} | {tried} | {found} |", fault.origin.name(), fault.what, places.len());
    }
    Ok(all)
}

/// How many of the sketches were tried until one showed the fault, and which it was.
fn find(bench: &Bench, sketches: &[Sketch], fault: &PlantedFault) -> Result<(usize, Option<u64>), String> {
    for (number, sketches) in sketches.chunks(FAULT_BATCH).enumerate() {
        let outcomes = bench.run(sketches, Some(fault))?;
        if let Some(at) = outcomes.iter().position(|outcome| outcome.fault.is_some()) {
            return Ok((number * FAULT_BATCH + at + 1, Some(outcomes[at].sketch.seed)));
        }
    }
    Ok((sketches.len(), None))
}
