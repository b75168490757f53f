//! Dense and convolution layers: the input is staged into a padded image in the kernel's own integers, the kernel
//! gives the sums of one row of positions after another, and each row is requantized while it is warm.

mod geometry;

use crate::kernel::instructions::{Level, for_each_instruction_set};
use crate::kernel::packed::{Narrow, Packed, SLACK};
use crate::kernel::xnor::{PackedPlanes, PlaneImage, WindowPlanes};
use crate::kernel::{Instructions, wide};
use crate::layer::{Integers, fits_32_bits};
use crate::requantize::Requantizer;
use geometry::Geometry;
use network::format::{Format, Kind};
use network::graph::{Encoding, Tensor};
use network::op::{Op, Weights};
use network::{Range, Shape};

/// A layer of dot products.
pub(crate) struct Product {
    geometry: Geometry,
    outputs: usize,
    kernel: Kernel,
    narrow_sums: bool,
    requantizer: Option<Requantizer>,
}

/// How its sums are made. `Linear` maps a code to the staged integer.
enum Kernel {
    Bytes(Packed<i8>, Linear),
    Words(Packed<i16>, Linear),
    Wide(Vec<i32>, Linear),
    Planes { weights: PackedPlanes, planes: u32, half_range: bool },
}

/// staged = code * factor + offset; `padding` is what a padded tap is staged as.
#[derive(Clone, Copy)]
struct Linear {
    factor: i32,
    offset: i32,
    padding: i32,
}

/// The padded image of one layer's input and a row of its sums.
#[derive(Debug)]
pub(crate) enum Staging {
    Bytes(Vec<u8>),
    Words(Vec<i16>),
    Wide { image: Vec<i32>, sums: Vec<i64> },
    Planes { image: PlaneImage, window: Vec<u64>, valid: Vec<u64>, all: Vec<u64>, row: Vec<i64> },
}

impl Product {
    /// Packs the weights of a dense or convolution layer. The error is the number of elements that staging would need.
    pub(crate) fn new(
        op: &Op,
        input: &Tensor,
        output: Shape,
        sums: Range,
        requantizer: Option<Requantizer>,
        instructions: Instructions,
    ) -> Result<Self, u64> {
        let (weights, geometry, padding) = match op {
            Op::Conv2d { weights, window, padding_value, groups: 1 } => {
                let padding = window.is_padded().then_some(*padding_value);
                (weights, Geometry::conv2d(window, input.shape, output)?, padding)
            }
            Op::Dense { weights } => (weights, Geometry::dense(input.shape)?, None),
            _ => return Err(0),
        };
        let kernel = match input.encoding {
            Encoding::Codes { format, range } => {
                Kernel::new(weights, &geometry, format, range, padding, sums, instructions).ok_or(0u64)?
            }
            Encoding::Sums { .. } => return Err(0),
        };
        Ok(Product { geometry, outputs: weights.outputs, kernel, narrow_sums: fits_32_bits(sums), requantizer })
    }

    /// A staging image with its padding in place.
    pub(crate) fn staging(&self) -> Staging {
        let elements = self.geometry.image_elements();
        match &self.kernel {
            Kernel::Bytes(_, linear) => Staging::Bytes(vec![linear.padding as u8; elements + SLACK]),
            Kernel::Words(_, linear) => Staging::Words(vec![linear.padding as i16; elements + SLACK]),
            Kernel::Wide(_, linear) => {
                Staging::Wide { image: vec![linear.padding; elements + SLACK], sums: Vec::new() }
            }
            Kernel::Planes { weights, planes, .. } => {
                let mut image = PlaneImage::new(elements, *planes);
                for run in self.geometry.runs() {
                    image.mark_valid(run.to, run.count);
                }
                let words = weights.words();
                let window = vec![0; words * *planes as usize];
                let row = vec![0; self.geometry.columns() * self.outputs];
                Staging::Planes { image, window, valid: vec![0; words], all: weights.all_valid(), row }
            }
        }
    }

    /// Evaluates one frame.
    pub(crate) fn run(
        &self,
        instructions: Instructions,
        input: &[i32],
        staging: &mut Staging,
        output: &mut Integers,
        mut keep: Option<&mut Vec<i64>>,
    ) {
        self.stage(instructions, input, staging);
        let columns = self.geometry.columns();
        for output_row in 0..self.geometry.rows() {
            let elements = output_row * columns * self.outputs..(output_row + 1) * columns * self.outputs;
            let positions = self.geometry.positions(output_row);
            match (&self.kernel, &mut *staging, &mut *output) {
                (Kernel::Bytes(packed, _), Staging::Bytes(image), Integers::Narrow(output)) => {
                    let sums = &mut output[elements];
                    packed.row(instructions, image, positions, sums);
                    self.finish(instructions, sums, &mut keep);
                }
                (Kernel::Words(packed, _), Staging::Words(image), Integers::Narrow(output)) => {
                    let sums = &mut output[elements];
                    packed.row(instructions, image, positions, sums);
                    self.finish(instructions, sums, &mut keep);
                }
                (Kernel::Wide(weights, _), Staging::Wide { image, sums }, output) => {
                    sums.resize(columns * self.outputs, 0);
                    let segments = self.geometry.segments();
                    wide::row(instructions, weights, segments, self.outputs, image, positions, sums);
                    self.finish_wide(instructions, sums, output, elements.start, &mut keep);
                }
                (
                    Kernel::Planes { weights, half_range, .. },
                    Staging::Planes { image, window, valid, all, row },
                    output,
                ) => {
                    let segments = self.geometry.segments();
                    for (position, sums) in row.chunks_exact_mut(self.outputs).enumerate() {
                        let base = positions.base + position * positions.step;
                        image.window(base, segments, window);
                        let valid = if self.geometry.is_inside(output_row, position) {
                            &*all
                        } else {
                            image.window_valid(base, segments, valid);
                            &*valid
                        };
                        let window = WindowPlanes { planes: window, valid, half_range: *half_range };
                        weights.sums(instructions, window, sums);
                    }
                    self.finish_wide(instructions, row, output, elements.start, &mut keep);
                }
                (Kernel::Bytes(..) | Kernel::Words(..) | Kernel::Wide(..) | Kernel::Planes { .. }, ..) => {}
            }
        }
    }

    fn finish(&self, instructions: Instructions, sums: &mut [i32], keep: &mut Option<&mut Vec<i64>>) {
        if let Some(keep) = keep {
            keep.extend(sums.iter().copied().map(i64::from));
        }
        if let Some(requantizer) = &self.requantizer {
            requantizer.narrow(instructions, sums);
        }
    }

    fn finish_wide(
        &self,
        instructions: Instructions,
        sums: &[i64],
        output: &mut Integers,
        first: usize,
        keep: &mut Option<&mut Vec<i64>>,
    ) {
        if let Some(keep) = keep {
            keep.extend_from_slice(sums);
        }
        match (output, &self.requantizer) {
            (Integers::Narrow(output), Some(requantizer)) if !self.narrow_sums => {
                requantizer.wide(sums, &mut output[first..first + sums.len()]);
            }
            (Integers::Narrow(output), requantizer) => {
                let output = &mut output[first..first + sums.len()];
                for (output, &sum) in output.iter_mut().zip(sums) {
                    *output = sum as i32;
                }
                if let Some(requantizer) = requantizer {
                    requantizer.narrow(instructions, output);
                }
            }
            (Integers::Wide(output), _) => output[first..first + sums.len()].copy_from_slice(sums),
        }
    }

    fn stage(&self, instructions: Instructions, input: &[i32], staging: &mut Staging) {
        if let Staging::Planes { image, .. } = staging {
            image.clear();
        }
        for run in self.geometry.runs() {
            let codes = &input[run.from..run.from + run.count];
            match (&self.kernel, &mut *staging) {
                (Kernel::Bytes(_, linear), Staging::Bytes(image)) => {
                    stage_bytes(instructions, codes, linear.factor, linear.offset, &mut image[run.to..]);
                }
                (Kernel::Words(_, linear), Staging::Words(image)) => {
                    stage_words(instructions, codes, linear.factor, linear.offset, &mut image[run.to..]);
                }
                (Kernel::Wide(_, linear), Staging::Wide { image, .. }) => {
                    for (staged, &code) in image[run.to..].iter_mut().zip(codes) {
                        *staged = code * linear.factor + linear.offset;
                    }
                }
                (Kernel::Planes { .. }, Staging::Planes { image, .. }) => image.write(instructions, run.to, codes),
                (Kernel::Bytes(..) | Kernel::Words(..) | Kernel::Wide(..) | Kernel::Planes { .. }, _) => {}
            }
        }
    }
}

for_each_instruction_set! {
    fn stage_bytes(codes: &[i32], factor: i32, offset: i32, image: &mut [u8]) {
        for (staged, &code) in image.iter_mut().zip(codes) {
            *staged = (code * factor + offset) as u8;
        }
    }
}

for_each_instruction_set! {
    fn stage_words(codes: &[i32], factor: i32, offset: i32, image: &mut [i16]) {
        for (staged, &code) in image.iter_mut().zip(codes) {
            *staged = (code * factor + offset) as i16;
        }
    }
}

impl Kernel {
    /// The narrowest kernel that is exact for these weights, codes and sums.
    fn new(
        weights: &Weights,
        geometry: &Geometry,
        format: Format,
        range: Range,
        padding: Option<i64>,
        sums: Range,
        instructions: Instructions,
    ) -> Option<Self> {
        let rows: Vec<&[i32]> = (0..weights.outputs).map(|output| weights.row(output)).collect();
        if format.kind() == Kind::Bipolar && weights.format.kind() == Kind::Bipolar {
            let code = |&value: &i32| weights.format.code(i64::from(value)).map(|code| code as i32);
            let codes: Option<Vec<Vec<i32>>> = rows.iter().map(|row| row.iter().map(code).collect()).collect();
            let half_range = range.min() >= 1i64 << (format.bits() - 1);
            let weights = PackedPlanes::new(&codes?, weights.format.bits())?;
            return Some(Kernel::Planes { weights, planes: format.bits(), half_range });
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
        let initial = |base: i64| -> Vec<i32> {
            let sum = |row: &&[i32]| row.iter().map(|&weight| i64::from(weight)).sum::<i64>();
            rows.iter().map(|row| sum(row).wrapping_mul(base) as i32).collect()
        };
        let span = values.max() - values.min();
        let segments = geometry.segments();
        if fits_32_bits(sums) {
            let has_byte_kernel = instructions.level() == Level::Avx512;
            let base = values.min();
            if has_byte_kernel
                && span <= 255
                && let Some(packed) = Packed::<i8>::new(&rows, segments, &initial(base))
            {
                return Some(Kernel::Bytes(packed, linear(base)));
            }
            let fits_words = Range::new(i16::MIN.into(), i16::MAX.into()).contains_range(values);
            let base = if fits_words { 0 } else { values.min() + 32768 };
            if span <= 65535
                && let Some(packed) = Packed::<i16>::new(&rows, segments, &initial(base))
            {
                return Some(Kernel::Words(packed, linear(base)));
            }
        }
        Some(Kernel::Wide(weights.values.clone(), linear(0)))
    }
}

const _: () = assert!(<u8 as Narrow>::GROUP == <i8 as Narrow>::GROUP);
