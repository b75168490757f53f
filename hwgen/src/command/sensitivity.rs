//! `hwgen sensitivity`: how sensitive each layer is, by every method's measure side by side.

mod compared;
mod picture;

use super::allocate::amount;
use super::plan::allocation::{Progress, ended, stem, study_options, without_frames};
use super::plan::quantize::post_training;
use crate::cli::SensitivityOptions;
use crate::failure::Outcome;
use crate::interrupt::Interrupt;
use crate::output::{print, write_files};
use crate::plan_file::read_model;
use crate::table::align;
use compared::Compared;
use quantizer::allocate::rank::spearman;
use quantizer::allocate::{Budget, Measure, Sensitivities, measured, study};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What was measured.
struct Report {
    layers: Vec<String>,
    /// For each measure, by layer and width.
    measures: Vec<(Measure, Vec<BTreeMap<u32, f64>>)>,
    /// Name and loss by width of each activation.
    activations: Vec<(String, BTreeMap<u32, f64>)>,
    frames: usize,
    loss: String,
    /// What methods choose for the budgets that were asked for.
    compared: Vec<Compared>,
}

/// Measures and reports.
pub fn run(options: &SensitivityOptions, as_json: bool) -> Outcome<()> {
    let interrupt = Interrupt::ending();
    let file = options.source.model.display().to_string();
    let allocation = &options.source.allocation;
    let (bytes, _) = read_model(&options.source.model)?;
    let Some(post_training) = post_training(&options.source, &bytes)? else {
        return Err(without_frames(&file).into());
    };
    let study_options = study_options(allocation, &post_training, options.source.reading.reading())?;
    let budget = |text: &String| Budget::parse(text).map(|budget| (text.clone(), budget));
    let budgets = options.compare.iter().map(budget).collect::<Result<Vec<_>, _>>()?;
    let watch = Progress::new(&interrupt, as_json);
    let known = Sensitivities::default();
    let report = study(&bytes, &file, &post_training, &study_options, &watch, &mut |study| {
        let mut measures = Vec::new();
        for &measure in Measure::ALL {
            measures.push((measure, known.weights(study, measure)?));
        }
        let base = study.tables(&stem(&file));
        let tables = measured(study, &base, &known)?;
        if let Some(path) = &allocation.save_tables {
            let text = tables.write();
            interrupt.writing(|| write_files(&[(path, text.as_bytes())]))?;
        }
        let compared = budgets.iter().map(|budget| Compared::of(study, budget, &base, &known));
        Ok(Report {
            compared: compared.collect::<Result<_, _>>()?,
            layers: study.layers(),
            measures,
            activations: tables.activations.into_iter().map(|table| (table.name, table.loss)).collect(),
            frames: study.frame_counts().0,
            loss: study.loss_kind().name(),
        })
    });
    watch.finish();
    let report = report.map_err(ended)?;
    if let Some(path) = &options.svg {
        let svg =
            picture::draw(&format!("{}: sensitivities of layers", stem(&file)), &report.layers, &report.panels())?;
        interrupt.writing(|| write_files(&[(path, svg.as_bytes())]))?;
    }
    if as_json {
        return Ok(print(&format!("{:#}\n", report.json()))?);
    }
    Ok(print(&report.text())?)
}

impl Report {
    /// Rank correlation of a measure with the loss change, over all layers and widths.
    fn correlation(&self, measure: &[BTreeMap<u32, f64>]) -> f64 {
        let flat = |of: &[BTreeMap<u32, f64>]| of.iter().flat_map(|own| own.values().copied()).collect::<Vec<f64>>();
        let truth = self.measures.iter().find(|(measure, _)| *measure == Measure::Loss);
        truth.map_or(0.0, |(_, truth)| spearman(&flat(measure), &flat(truth)))
    }

    /// A panel for each measure, with its rank correlation to the loss change of layers alone.
    fn panels(&self) -> Vec<picture::Panel<'_>> {
        let title = |measure: Measure, own: &[BTreeMap<u32, f64>]| match measure {
            Measure::Loss => format!("loss change of each layer alone ({})", self.loss),
            other => format!("{} (rank correlation {:.2})", other.name(), self.correlation(own)),
        };
        let panel = |(measure, own): &'_ (Measure, Vec<BTreeMap<u32, f64>>)| title(*measure, own);
        self.measures.iter().map(|pair| picture::Panel { title: panel(pair), layers: &pair.1 }).collect()
    }

    fn json(&self) -> Value {
        let by_width = |own: &BTreeMap<u32, f64>| -> serde_json::Map<String, Value> {
            own.iter().map(|(bits, value)| (bits.to_string(), json!(value))).collect()
        };
        let measures = self.measures.iter().map(|(measure, own)| {
            let layers = self.layers.iter().zip(own).map(|(name, own)| (name.clone(), Value::Object(by_width(own))));
            json!({
                "measure": measure.name(),
                "rank_correlation": self.correlation(own),
                "layers": layers.collect::<serde_json::Map<_, _>>(),
            })
        });
        let activations = self.activations.iter().map(|(name, own)| (name.clone(), Value::Object(by_width(own))));
        json!({
            "frames": self.frames,
            "loss_kind": self.loss,
            "measures": measures.collect::<Vec<_>>(),
            "activations": activations.collect::<serde_json::Map<_, _>>(),
            "budgets": self.compared.iter().map(Compared::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut header = vec!["layer".to_owned(), "bits".to_owned()];
        header.extend(self.measures.iter().map(|(measure, _)| measure.name().to_owned()));
        let mut lines = vec![header];
        for (layer, name) in self.layers.iter().enumerate() {
            let widths: Vec<u32> =
                self.measures.first().map(|(_, own)| own[layer].keys().copied().collect()).unwrap_or_default();
            for bits in widths {
                let mut line = vec![name.clone(), bits.to_string()];
                let value = |own: &BTreeMap<u32, f64>| own.get(&bits).map_or("-".to_owned(), |v| format!("{v:.3e}"));
                line.extend(self.measures.iter().map(|(_, own)| value(&own[layer])));
                lines.push(line);
            }
        }
        let mut last = vec!["rank correlation".to_owned(), String::new()];
        last.extend(self.measures.iter().map(|(_, own)| amount((self.correlation(own) * 1e3).round() / 1e3)));
        lines.push(last);
        let right: Vec<usize> = (1..lines[0].len()).collect();
        let mut text = align(&lines, &right);
        text.push('\n');
        let mut lines = vec![["activation", "bits", "loss"].map(str::to_owned).to_vec()];
        for (name, own) in &self.activations {
            lines.extend(own.iter().map(|(bits, loss)| vec![name.clone(), bits.to_string(), format!("{loss:.3e}")]));
        }
        text += &align(&lines, &[1, 2]);
        let _ = writeln!(text, "{} frames, loss: {}", self.frames, self.loss);
        self.compared.iter().for_each(|own| text += &format!("\n{}", own.text()));
        text
    }
}
