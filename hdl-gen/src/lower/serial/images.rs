//! Memory images of a bit-serial array.

use super::{SerialSite, Sizes};
use crate::image::Image;
use crate::serial::Schedule;

/// One bit plane a word, in the order output step, stored plane, input step.
pub(super) fn weight_image(layer: &str, site: &SerialSite<'_>, schedule: &Schedule, sizes: &Sizes) -> String {
    let (pe, simd) = (site.matrix.pe as usize, site.matrix.simd as usize);
    let format = site.weights.format;
    let title = format!(
        "layer {layer}, weights [{}, {}] as {format}: {} output steps x {} planes {:?} x {} input steps; a word holds {pe} PEs x {simd} lanes x 1 bit",
        site.weights.outputs,
        site.weights.length,
        sizes.result_steps,
        schedule.stored.len(),
        schedule.stored,
        sizes.input_steps,
    );
    let mut image = Image::new(&title, pe * simd, 1);
    for output_step in 0..sizes.result_steps as usize {
        for plane in &schedule.stored {
            for input_step in 0..sizes.input_steps as usize {
                let lanes = (0..pe).flat_map(|index| {
                    let row = site.weights.row(output_step * pe + index);
                    row.iter().skip(input_step * simd).take(simd)
                });
                image.push(lanes.map(|&value| format.code(i64::from(value)).unwrap_or(0) >> plane & 1));
            }
        }
    }
    image.into_text()
}

/// The table of `hwgen_serial_schedule`.
pub(super) fn schedule_image(layer: &str, schedule: &Schedule, sizes: &Sizes) -> String {
    let Sizes { address_bits, plane_bits, shift_bits, pass_bits, .. } = *sizes;
    let title = format!(
        "layer {layer}, passes of {} modes: from above negate, shift {shift_bits} bits, activation plane {plane_bits} bits, first weight word of the plane {address_bits} bits",
        schedule.modes.len()
    );
    let mut image = Image::new(&title, 1, 1 + shift_bits + plane_bits + address_bits);
    let filled = if schedule.most_passes() > 1 { 1usize << pass_bits } else { 1 };
    let modes = if schedule.modes.len() > 1 { schedule.modes.len().next_power_of_two() } else { 1 };
    for mode in 0..modes {
        let passes = schedule.modes.get(mode).map_or(&[][..], |mode| &mode.passes);
        for pass in 0..filled {
            let entry = passes.get(pass).map_or(0, |pass| {
                let base = pass.weight as i64 * sizes.input_steps as i64;
                (((i64::from(pass.negate) << shift_bits | i64::from(pass.shift)) << plane_bits
                    | i64::from(pass.activation))
                    << address_bits)
                    | base
            });
            image.push([entry]);
        }
    }
    image.into_text()
}
