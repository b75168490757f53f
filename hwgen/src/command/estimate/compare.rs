//! Estimate and truth side by side.

use super::pnr::Routed;
use crate::table::align;
use hdl_gen::cost::Resources;

/// A table of the estimate beside what synthesis found, and beside the routed clock.
pub fn comparison(estimate: &Resources, fmax_mhz: Option<f64>, found: &Resources, routed: Option<&Routed>) -> String {
    let mut lines = vec![["", "estimate", "truth", "difference"].map(str::to_owned).to_vec()];
    let difference = |estimate: f64, truth: f64| match truth {
        0.0 => "-".to_owned(),
        _ => format!("{:+.1} %", 100.0 * (estimate - truth) / truth),
    };
    let pairs = [
        ("LUT", estimate.lut.round(), found.lut),
        ("memory LUT", estimate.lut_memory.round(), found.lut_memory),
        ("FF", estimate.ff.round(), found.ff),
        ("carry", estimate.carry.round(), found.carry),
        ("DSP", estimate.dsp, found.dsp),
        ("BRAM36", estimate.bram36(), found.bram36()),
    ];
    for (name, estimate, truth) in pairs {
        lines.push(vec![name.to_owned(), estimate.to_string(), truth.to_string(), difference(estimate, truth)]);
    }
    let Some(routed) = routed else { return align(&lines, &[1, 2, 3]) };
    let truth = routed.median_mhz();
    let (shown, apart) = match fmax_mhz {
        Some(mhz) => (format!("{mhz:.1}"), difference(mhz, truth)),
        None => ("-".to_owned(), "-".to_owned()),
    };
    lines.push(vec!["fmax MHz".to_owned(), shown, format!("{truth:.1}"), apart]);
    align(&lines, &[1, 2, 3]) + &routed.lines()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_stands_beside_the_estimate() {
        let estimate = Resources { lut: 110.0, ff: 90.0, ..Resources::default() };
        let found = Resources { lut: 100.0, ff: 100.0, ..Resources::default() };
        let routed = Routed { mhz: [90.0, 100.0, 120.0], aim_mhz: 200.0, cells: vec![("COMB".to_owned(), 3, 9)] };
        let text = comparison(&estimate, Some(95.0), &found, Some(&routed));
        for part in ["+10.0 %", "-10.0 %", "95.0  100.0      -5.0 %", "from 90.0 to 120.0", "COMB 3 of 9"] {
            assert!(text.contains(part), "no `{part}`: {text}");
        }
        assert!(!comparison(&estimate, Some(95.0), &found, None).contains("fmax"));
    }
}
