//! Which kernel a layer's sums are made by: the narrowest one that is exact for its weights, codes and sums.

use super::geometry::Geometry;
use crate::kernel::Instructions;
use crate::kernel::instructions::Level;
use crate::kernel::packed::{Narrow, Packed, Segment};
use crate::kernel::xnor::PackedPlanes;
use crate::tensor::fits_32_bits;
use network::Range;
use network::format::{Format, Kind};
use network::op::Weights;

/// How sums are made. `Linear` maps a code to the staged integer; a vector has an entry for each group of channels.
pub(super) enum Kernel {
    Bytes(Vec<Packed<i8>>, Linear),
    Words(Vec<Packed<i16>>, Linear),
    Wide(Vec<Vec<i32>>, Linear),
    /// A group for each channel, weights as [tap][channel].
    Depthwise {
        offsets: Vec<usize>,
        weights: Vec<i32>,
        linear: Linear,
    },
    Planes {
        weights: PackedPlanes,
        planes: u32,
        half_range: bool,
    },
}

/// staged = code * factor + offset; `padding` is what a padded tap is staged as.
#[derive(Clone, Copy)]
pub(super) struct Linear {
    pub(super) factor: i32,
    pub(super) offset: i32,
    pub(super) padding: i32,
}

/// What the choice depends on.
pub(super) struct Choice<'a> {
    pub(super) weights: &'a Weights,
    pub(super) groups: usize,
    pub(super) geometry: &'a Geometry,
    pub(super) format: Format,
    /// Codes that occur.
    pub(super) range: Range,
    /// Value of a padded tap, where there is padding.
    pub(super) padding: Option<i64>,
    pub(super) sums: Range,
    pub(super) instructions: Instructions,
}

impl Choice<'_> {
    /// The kernel with its weights; `None` where parts disagree, which a checked network excludes.
    pub(super) fn kernel(&self) -> Option<Kernel> {
        let Choice { weights, groups, geometry, format, range, padding, sums, .. } = *self;
        if format.kind() == Kind::Bipolar && weights.format.kind() == Kind::Bipolar && groups == 1 {
            return self.planes();
        }
        // value = code * factor + start; staged = value - base, and base * (sum of weights) is added to every sum.
        let factor = if format.kind() == Kind::Bipolar { 2 } else { 1 };
        let start = format.value(range.min()) - factor * range.min();
        let values = Range::new(format.value(range.min()), format.value(range.max()));
        let values = padding.map_or(values, |padding| values.union(Range::new(padding, padding)));
        let linear = |base: i64| Linear {
            factor: factor as i32,
            offset: (start - base) as i32,
            padding: padding.map_or(0, |padding| (padding - base) as i32),
        };
        let words = Range::new(i16::MIN.into(), i16::MAX.into());
        let span = values.max() - values.min();
        if fits_32_bits(sums) {
            if groups > 1 && groups == weights.outputs && geometry.group() == 1 && words.contains_range(values) {
                let taps = (0..weights.length).flat_map(|tap| (0..weights.outputs).map(move |o| (tap, o)));
                let by_tap = taps.map(|(tap, output)| weights.row(output).get(tap).copied());
                return Some(Kernel::Depthwise {
                    offsets: geometry.segments().iter().map(|segment| segment.offset).collect(),
                    weights: by_tap.collect::<Option<_>>()?,
                    linear: linear(0),
                });
            }
            let has_byte_kernel = self.instructions.level() == Level::Avx512;
            if has_byte_kernel
                && span <= 255
                && let Some(packed) = self.pack::<i8>(values.min())
            {
                return Some(Kernel::Bytes(packed, linear(values.min())));
            }
            let base = if words.contains_range(values) { 0 } else { values.min() + 32768 };
            if span <= 65535
                && let Some(packed) = self.pack::<i16>(base)
            {
                return Some(Kernel::Words(packed, linear(base)));
            }
        }
        let rows = weights.values.chunks(weights.outputs / groups * weights.length).map(<[i32]>::to_vec);
        Some(Kernel::Wide(rows.collect(), linear(0)))
    }

    /// The weights of each group; `None` where one does not fit.
    fn pack<W: Narrow + num_traits::FromPrimitive>(&self, base: i64) -> Option<Vec<Packed<W>>> {
        let segments: &[Segment] = self.geometry.segments();
        let outputs = self.weights.outputs / self.groups;
        let group = |group: usize| {
            let rows: Vec<&[i32]> = (0..outputs).map(|output| self.weights.row(group * outputs + output)).collect();
            let sum = |row: &&[i32]| row.iter().map(|&weight| i64::from(weight)).sum::<i64>();
            let initial: Vec<i32> = rows.iter().map(|row| sum(row).wrapping_mul(base) as i32).collect();
            Packed::new(&rows, segments, &initial)
        };
        (0..self.groups).map(group).collect()
    }

    fn planes(&self) -> Option<Kernel> {
        let weights = self.weights;
        let code = |&value: &i32| weights.format.code(i64::from(value)).map(|code| code as i32);
        let rows = (0..weights.outputs).map(|output| weights.row(output).iter().map(code).collect());
        let codes: Vec<Vec<i32>> = rows.collect::<Option<_>>()?;
        Some(Kernel::Planes {
            weights: PackedPlanes::new(&codes, weights.format.bits())?,
            planes: self.format.bits(),
            half_range: self.range.min() >= 1i64 << (self.format.bits() - 1),
        })
    }
}

const _: () = assert!(<u8 as Narrow>::GROUP == <i8 as Narrow>::GROUP);
