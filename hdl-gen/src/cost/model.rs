//! Fitted coefficients of one family, with the error that was measured on designs that no coefficient saw.

use super::{Counts, Family, Inventory, Resources, TERMS};

/// Coefficients of one family.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    family: Family,
    /// For each term: look-up tables, registers beyond the counted ones, carry cells, look-up tables that are memory beyond
    /// the counted ones.
    terms: Vec<[f64; 4]>,
    errors: Vec<StatedError>,
}

/// How far estimates were from synthesis, in percent.
#[derive(Clone, Debug, PartialEq)]
pub struct StatedError {
    /// What is estimated: `lut`, `ff` and so on.
    pub figure: String,
    /// Mean of the absolute errors.
    pub mean_percent: f64,
    /// Nine of ten are at or below it.
    pub percentile_90: f64,
    /// Designs that it was measured on.
    pub designs: u64,
}

/// Why a family's figures cannot be given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// There is no fitted model.
    #[error("no model of family {} has been fitted", .0.name())]
    Unfitted(Family),
    /// A model's file is wrong.
    #[error("the model of family {}, line {line}: {what}", .family.name())]
    File {
        /// The family.
        family: Family,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

impl Model {
    /// The fitted model of a family.
    ///
    /// # Errors
    /// The family has none.
    pub fn of(family: Family) -> Result<Self, Fault> {
        let text = match family {
            Family::Xc7 => include_str!("../../fit/xc7-model.csv"),
            Family::Ecp5 => include_str!("../../fit/ecp5-model.csv"),
            Family::Xcup => include_str!("../../fit/xcup-model.csv"),
            Family::Ice40 => include_str!("../../fit/ice40-model.csv"),
            Family::Gowin => include_str!("../../fit/gowin-model.csv"),
            Family::Asic => include_str!("../../fit/asic-model.csv"),
        };
        if !text.lines().any(|line| line.starts_with("error lut,")) {
            return Err(Fault::Unfitted(family));
        }
        Model::parse(family, text)
    }

    /// Reads `term,lut,ff,carry,lut_memory` lines, and `error FIGURE,mean,percentile 90,designs` lines.
    ///
    /// # Errors
    /// A line is neither.
    pub fn parse(family: Family, text: &str) -> Result<Self, Fault> {
        let mut model = Model { family, terms: vec![[0.0; 4]; TERMS.len()], errors: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            let wrong = |what: &str| Fault::File { family, line: index + 1, what: what.to_owned() };
            if line.is_empty() || line.starts_with('#') || line.starts_with("term,") {
                continue;
            }
            let (name, numbers) = line.split_once(',').ok_or_else(|| wrong("no comma"))?;
            let numbers: Vec<f64> =
                numbers.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong("not a number"))?;
            if let Some(figure) = name.strip_prefix("error ") {
                let [first, second, third] = numbers[..] else { return Err(wrong("three numbers are needed")) };
                model.errors.push(StatedError {
                    figure: figure.to_owned(),
                    mean_percent: first,
                    percentile_90: second,
                    designs: third as u64,
                });
            } else {
                let place = TERMS.iter().position(|term| *term == name).ok_or_else(|| wrong("no such term"))?;
                let Ok(coefficients) = numbers.try_into() else { return Err(wrong("four numbers are needed")) };
                model.terms[place] = coefficients;
            }
        }
        Ok(model)
    }

    /// The family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The errors measured on designs that were never fitted.
    pub fn errors(&self) -> &[StatedError] {
        &self.errors
    }

    /// What an inventory takes.
    pub fn price(&self, inventory: &Inventory) -> Resources {
        self.price_counts(&Counts::of(inventory, self.family))
    }

    /// What counted terms take.
    pub fn price_counts(&self, counts: &Counts) -> Resources {
        let mut resources = counts.exact;
        for (count, [lut, ff, carry, memory]) in counts.terms.iter().zip(&self.terms) {
            resources.lut += count * lut;
            resources.ff += count * ff;
            resources.carry += count * carry;
            resources.lut_memory += count * memory;
        }
        let parts = [&mut resources.lut, &mut resources.ff, &mut resources.carry, &mut resources.lut_memory];
        parts.into_iter().for_each(|part| *part = part.max(0.0));
        resources
    }
}
