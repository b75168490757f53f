//! Many sketches in one executable.

use super::Sketch;
use super::faults::{Change, PlantedFault};
use crate::cosimulate::{Settings, cosimulate};
use crate::vectors::{random_frames, test_vectors};
use hdl_gen::{Artifact, BindOptions, Design, EmitOptions, bind, lower};
use network::Network;
use network::random::Stream;
use simulator::{BuildOptions, CacheDir, DesignFolder, Model, Tools};
use std::path::{Path, PathBuf};

/// Stall probabilities of the runs of one sketch; two of them for each, chosen by its seed.
const STALLS: [f64; 4] = [0.0, 0.2, 0.5, 0.8];

/// What came of one sketch.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The sketch.
    pub sketch: Sketch,
    /// What was wrong; nothing where all runs were right.
    pub fault: Option<String>,
    /// Streams observed.
    pub edges: usize,
    /// Cycles simulated in all runs.
    pub cycles: u64,
}

/// Where sketches are built and run.
pub struct Bench {
    tools: Tools,
    cache: CacheDir,
    folder: PathBuf,
    /// Frames of each run.
    pub frames: usize,
}

struct Emitted {
    sketch: Sketch,
    network: Network,
    design: Design,
    folder: PathBuf,
}

impl Bench {
    /// A bench that works in `folder`.
    ///
    /// # Errors
    /// Verilator or the compiler is missing.
    pub fn new(folder: &Path) -> Result<Bench, String> {
        let tools = Tools::locate().map_err(|error| error.to_string())?;
        Ok(Bench { tools, cache: CacheDir::at(folder.join("models")), folder: folder.to_owned(), frames: 4 })
    }

    /// Emits, builds and runs sketches together, with a fault where one is given.
    ///
    /// # Errors
    /// A build that fails for all of them: the tool's own words.
    pub fn run(&self, sketches: &[Sketch], fault: Option<&PlantedFault>) -> Result<Vec<Outcome>, String> {
        let mut outcomes = Vec::new();
        let mut designs = Vec::new();
        for sketch in sketches {
            match self.emit(sketch, fault) {
                Ok(emitted) => designs.push(emitted),
                Err(fault) => {
                    outcomes.push(Outcome { sketch: sketch.clone(), fault: Some(fault), edges: 0, cycles: 0 })
                }
            }
        }
        if designs.is_empty() {
            return Ok(outcomes);
        }
        let folders = designs.iter().map(|emitted| DesignFolder::load(&emitted.folder));
        let folders = folders.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let options = BuildOptions { quick: true, ..BuildOptions::default() };
        let built = Model::build(&self.tools, folders, &self.cache, &options);
        let model = match built {
            Ok(model) => model,
            // One that Verilator refuses must not hide the others.
            Err(error) if designs.len() == 1 => {
                let sketch = designs[0].sketch.clone();
                outcomes.push(Outcome { sketch, fault: Some(error.to_string()), edges: 0, cycles: 0 });
                return Ok(outcomes);
            }
            Err(_) => {
                let sketches: Vec<Sketch> = designs.into_iter().map(|emitted| emitted.sketch).collect();
                let (first, second) = sketches.split_at(sketches.len() / 2);
                outcomes.extend(self.run(first, fault)?);
                outcomes.extend(self.run(second, fault)?);
                return Ok(outcomes);
            }
        };
        for (index, emitted) in designs.iter().enumerate() {
            outcomes.push(self.check(&model, index, emitted));
        }
        outcomes.sort_by_key(|outcome| outcome.sketch.seed);
        Ok(outcomes)
    }

    /// Whether a planted fault changes anything of a sketch's design.
    pub fn has_place(sketch: &Sketch, fault: &PlantedFault) -> bool {
        let Ok((_, design, artifact)) = made(sketch) else { return false };
        match fault.change {
            Change::Twin(fault) => design.with_twin_fault(fault).is_some(),
            Change::Text { .. } => {
                artifact.files.iter().any(|(path, bytes)| fault.plant(path, &String::from_utf8_lossy(bytes)).is_some())
            }
        }
    }

    fn emit(&self, sketch: &Sketch, fault: Option<&PlantedFault>) -> Result<Emitted, String> {
        let (network, mut design, artifact) = made(sketch)?;
        let folder = self.folder.join("designs").join(sketch.seed.to_string());
        let _ = std::fs::remove_dir_all(&folder);
        for (path, bytes) in &artifact.files {
            let changed = fault.and_then(|fault| fault.plant(path, &String::from_utf8_lossy(bytes)));
            let path = folder.join(path);
            let write = || -> std::io::Result<()> {
                std::fs::create_dir_all(path.parent().unwrap_or(&folder))?;
                std::fs::write(&path, changed.as_deref().map_or(bytes.as_slice(), str::as_bytes))
            };
            write().map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if let Some(PlantedFault { change: Change::Twin(fault), .. }) = fault {
            design = design.with_twin_fault(*fault).unwrap_or(design);
        }
        Ok(Emitted { sketch: sketch.clone(), network, design, folder })
    }

    fn check(&self, model: &Model, index: usize, emitted: &Emitted) -> Outcome {
        let Emitted { sketch, network, design, .. } = emitted;
        let mut outcome = Outcome { sketch: sketch.clone(), fault: None, edges: 0, cycles: 0 };
        let modes = design.modes();
        // Each run of a network with modes has a sequence of its own, long enough that modes meet.
        let count = if modes > 1 { 3 * self.frames } else { self.frames };
        let frames = random_frames(network, sketch.seed, count);
        let mut dice = Stream::for_layer(sketch.seed, "campaign mode sequence");
        let first = STALLS[(sketch.seed % STALLS.len() as u64) as usize];
        for stall in [0.0, first] {
            let mut settings = Settings::new().with_stalls(stall, sketch.seed);
            settings.design = index;
            settings.modes = random_modes(&mut dice, modes, count);
            let result = match cosimulate(network, design, model, &settings, frames.iter().cloned(), &mut |_| {}) {
                Ok(result) => result,
                Err(error) => {
                    outcome.fault = Some(error.to_string());
                    return outcome;
                }
            };
            outcome.edges = result.verdict.edges.len();
            outcome.cycles += result.report.cycles;
            if !result.is_good() {
                let hang = result.report.hang.as_ref().map(ToString::to_string).unwrap_or_default();
                outcome.fault = Some(format!(
                    "stall {stall}: {} cycles, {} predicted\n{}{:?}\n{hang}{}",
                    result.report.cycles,
                    result.predicted.cycles(),
                    result.verdict,
                    result.report.violations.first(),
                    result.report.messages,
                ));
                return outcome;
            }
        }
        outcome
    }
}

/// A mode for each of so many frames, any of them with the same chance; none where there is one mode.
fn random_modes(dice: &mut Stream, modes: u32, frames: usize) -> Vec<u8> {
    let count = if modes > 1 { frames } else { 0 };
    (0..count).map(|_| ((dice.next_word() >> 33) % u64::from(modes)) as u8).collect()
}

/// A sketch as network, design and files.
fn made(sketch: &Sketch) -> Result<(Network, Design, Artifact), String> {
    let network = sketch.network().map_err(|faults| faults.to_string())?;
    let bound = bind(&network, &BindOptions::default()).map_err(|faults| faults.to_string())?;
    let design = lower(&bound).map_err(|error| error.to_string())?;
    let vectors = test_vectors(&network).map_err(|error| error.to_string())?;
    let options = EmitOptions { plan_sha256: "0".repeat(64), clock_mhz: 200.0, vectors };
    let artifact = design.emit(&options).map_err(|error| error.to_string())?;
    Ok((network, design, artifact))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn any_mode_may_follow_any_other() {
        let mut seen: BTreeSet<(u8, u8)> = BTreeSet::new();
        for seed in 1..40 {
            let mut dice = Stream::for_layer(seed, "campaign mode sequence");
            let (first, second) = (random_modes(&mut dice, 4, 12), random_modes(&mut dice, 4, 12));
            assert_ne!(first, second, "both runs of seed {seed}");
            seen.extend(first.windows(2).map(|pair| (pair[0], pair[1])));
        }
        assert_eq!(seen.len(), 16, "{seen:?}");
        assert!(random_modes(&mut Stream::for_layer(1, "x"), 1, 12).is_empty());
    }
}
