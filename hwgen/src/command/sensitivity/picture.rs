//! Sensitivities as a picture: a panel for each measure, layers from left to right, a line for each width.

use crate::failure::Outcome;
use network::{Code, Diagnostic, Place};
use plotters::prelude::*;
use std::collections::BTreeMap;

const PANEL: (u32, u32) = (440, 300);
const COLUMNS: usize = 2;
const COLOURS: [RGBColor; 6] = [
    RGBColor(170, 30, 40),
    RGBColor(190, 110, 20),
    RGBColor(60, 130, 50),
    RGBColor(30, 110, 150),
    RGBColor(60, 60, 160),
    RGBColor(110, 60, 130),
];

/// A panel: its title, and by layer the sensitivity of each width.
pub struct Panel<'a> {
    /// Title.
    pub title: String,
    /// Sensitivities by layer.
    pub layers: &'a [BTreeMap<u32, f64>],
}

/// The picture as SVG; sensitivities of 0 and below lie at the bottom of their logarithmic scale.
pub fn draw(title: &str, names: &[String], panels: &[Panel<'_>]) -> Outcome<String> {
    let mut svg = String::new();
    let failed = |error: String| {
        let help = "leave --svg out; the table has the same figures";
        Diagnostic::new(Code::ToolFailed, Place::default(), format!("the picture cannot be drawn: {error}"), help)
    };
    all(&mut svg, title, names, panels).map_err(|error| failed(error.to_string()))?;
    Ok(svg)
}

fn all(
    svg: &mut String,
    title: &str,
    names: &[String],
    panels: &[Panel<'_>],
) -> Result<(), Box<dyn std::error::Error>> {
    let rows = panels.len().div_ceil(COLUMNS).max(1);
    let size = (COLUMNS as u32 * PANEL.0, rows as u32 * PANEL.1 + 40);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let body = root.titled(title, ("sans-serif", 20))?;
    for (area, panel) in body.split_evenly((rows, COLUMNS)).iter().zip(panels) {
        let (low, high) = bounds(panel.layers);
        let last = names.len().saturating_sub(1).max(1) as f64;
        // The legend stands right of the last layer.
        let mut chart = ChartBuilder::on(area)
            .caption(&panel.title, ("sans-serif", 15))
            .margin(10)
            .x_label_area_size(46)
            .y_label_area_size(62)
            .build_cartesian_2d(-0.3..last * 1.25 + 0.3, (low..high).log_scale())?;
        let named = |place: &f64| {
            let is_whole = (place - place.round()).abs() < 1e-6 && *place >= 0.0;
            names.get(place.round().max(0.0) as usize).filter(|_| is_whole).cloned().unwrap_or_default()
        };
        chart
            .configure_mesh()
            .x_labels(names.len().min(12))
            .y_labels(6)
            .x_label_formatter(&named)
            .y_label_formatter(&|value| format!("{value:.0e}"))
            .light_line_style(RGBColor(245, 245, 245))
            .label_style(("sans-serif", 11))
            .draw()?;
        let widths: Vec<u32> = panel.layers.first().map(|own| own.keys().copied().collect()).unwrap_or_default();
        for (index, bits) in widths.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let points = panel
                .layers
                .iter()
                .enumerate()
                .filter_map(|(layer, own)| own.get(bits).map(|&value| (layer as f64, value.clamp(low, high))));
            let points: Vec<(f64, f64)> = points.collect();
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
                .label(format!("{bits} bits"))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2)));
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 2, colour.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.8))
            .label_font(("sans-serif", 11))
            .draw()?;
    }
    root.present()?;
    Ok(())
}

/// The reach of a logarithmic scale: six decades below the greatest at most.
fn bounds(layers: &[BTreeMap<u32, f64>]) -> (f64, f64) {
    let positive =
        || layers.iter().flat_map(BTreeMap::values).copied().filter(|value| value.is_finite() && *value > 0.0);
    let high = positive().fold(f64::MIN_POSITIVE, f64::max);
    if high <= f64::MIN_POSITIVE {
        return (1e-6, 1.0);
    }
    let low = positive().fold(high, f64::min).max(high * 1e-8);
    (low / 1.5, high * 1.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_what_is_positive() {
        let layers = [BTreeMap::from([(2, 4.0), (8, 0.5)]), BTreeMap::from([(2, 0.0), (8, -1.0)])];
        assert_eq!(bounds(&layers), (0.5 / 1.5, 6.0));
        assert_eq!(bounds(&[BTreeMap::from([(2, 0.0)])]), (1e-6, 1.0));
        let far = [BTreeMap::from([(2, 1.0), (8, 1e-30)])];
        assert_eq!(bounds(&far), (1e-8 / 1.5, 1.5));
    }
}
