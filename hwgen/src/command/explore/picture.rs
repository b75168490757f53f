//! The front as a picture: LUT, DSP blocks and block RAM over the rate, side by side.

use super::Rate;
use crate::failure::Outcome;
use hdl_gen::fold::Usage;
use network::{Code, Diagnostic, Place};
use plotters::prelude::*;

const PANEL: (u32, u32) = (430, 400);
const COLOURS: [RGBColor; 3] = [RGBColor(31, 90, 160), RGBColor(190, 90, 20), RGBColor(40, 120, 60)];

/// The picture as SVG.
pub fn draw(title: &str, rates: &[Rate], capacity: &Usage) -> Outcome<String> {
    let mut svg = String::new();
    let failed = |error: String| {
        let help = "leave --svg out; the table has the same figures";
        Diagnostic::new(Code::ToolFailed, Place::default(), format!("the picture cannot be drawn: {error}"), help)
    };
    panels(&mut svg, title, rates, capacity).map_err(|error| failed(error.to_string()))?;
    Ok(svg)
}

fn panels(svg: &mut String, title: &str, rates: &[Rate], capacity: &Usage) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, (3 * PANEL.0, PANEL.1 + 40)).into_drawing_area();
    root.fill(&WHITE)?;
    let body = root.titled(title, ("sans-serif", 20))?;
    let panels = body.split_evenly((1, 3));
    let most_fps = rates.iter().map(|rate| rate.fps).fold(1.0, f64::max);
    let least_fps = rates.iter().map(|rate| rate.fps).fold(most_fps, f64::min);
    let names = [("LUT", 0), ("DSP blocks", 2), ("block RAM of 36 Kibit", 3)];
    for ((panel, (name, resource)), colour) in panels.iter().zip(names).zip(COLOURS) {
        let amount = |rate: &Rate| rate.usage.0[resource];
        let most = rates.iter().map(amount).fold(0.0, f64::max);
        let top = if most > 0.0 { most * 1.08 } else { 1.0 };
        let share = if capacity.0[resource] > 0.0 {
            format!("{name} (part: {:.0})", capacity.0[resource])
        } else {
            name.to_owned()
        };
        let mut chart = ChartBuilder::on(panel)
            .caption(share, ("sans-serif", 15))
            .margin(12)
            .x_label_area_size(38)
            .y_label_area_size(62)
            .build_cartesian_2d((least_fps * 0.9..most_fps * 1.1).log_scale(), 0.0..top)?;
        chart
            .configure_mesh()
            .x_desc("frames/s")
            .x_labels(5)
            .y_labels(8)
            .x_label_formatter(&|fps| short(*fps))
            .y_label_formatter(&|amount| short(*amount))
            .light_line_style(RGBColor(240, 240, 240))
            .label_style(("sans-serif", 12))
            .draw()?;
        chart
            .draw_series(LineSeries::new(rates.iter().map(|rate| (rate.fps, amount(rate))), colour.stroke_width(2)))?;
        chart.draw_series(rates.iter().map(|rate| Circle::new((rate.fps, amount(rate)), 3, colour.filled())))?;
    }
    root.present()?;
    Ok(())
}

/// A number in few letters.
fn short(number: f64) -> String {
    match number.abs() {
        large if large >= 1e6 => format!("{}M", trimmed(number / 1e6)),
        large if large >= 1e4 => format!("{}k", trimmed(number / 1e3)),
        large if large >= 10.0 || large == 0.0 => format!("{number:.0}"),
        _ => trimmed(number),
    }
}

fn trimmed(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_short() {
        let shown: Vec<String> = [0.0, 1.5, 42.0, 9999.0, 12_500.0, 2_000_000.0].map(short).to_vec();
        assert_eq!(shown, ["0", "1.5", "42", "9999", "12.5k", "2M"]);
    }
}
