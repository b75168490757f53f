//! Dense and convolution layers: some rows of the input are staged into a padded image in the kernel's own integers, the
//! kernel gives the sums of one row of positions after another, and each row is requantized while it is warm.

mod geometry;
mod kernel;

use crate::kernel::instructions::for_each_instruction_set;
use crate::kernel::packed::{Positions, SLACK};
use crate::kernel::xnor::{PlaneImage, WindowPlanes};
use crate::kernel::{Instructions, depthwise, wide};
use crate::requantize::Requantizer;
use crate::tasks::{Rows, Space, Tasks};
use crate::tensor::Target;
use geometry::Geometry;
use kernel::{Choice, Kernel, Linear};
use network::graph::{Encoding, Tensor};
use network::op::Op;
use network::{Range, Shape};

/// A layer of dot products.
pub(crate) struct Product {
    geometry: Geometry,
    outputs: usize,
    groups: usize,
    /// Length of a dot product.
    length: usize,
    kernel: Kernel,
    requantizer: Option<Requantizer>,
}

/// The input of a layer of plane codes as bit planes, and one window of it.
#[derive(Debug)]
pub(crate) struct Planes {
    image: PlaneImage,
    window: Vec<u64>,
    valid: Vec<u64>,
    all: Vec<u64>,
    row: Vec<i64>,
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
        let (weights, geometry, padding, groups) = match op {
            Op::Conv2d { weights, window, padding_value, groups } => {
                let padding = window.is_padded().then_some(*padding_value);
                (weights, Geometry::conv2d(window, *groups, input.shape, output)?, padding, *groups as usize)
            }
            Op::Dense { weights } => (weights, Geometry::dense(input.shape)?, None, 1),
            _ => return Err(0),
        };
        let Encoding::Codes { format, range } = input.encoding else { return Err(0) };
        let choice = Choice { weights, groups, geometry: &geometry, format, range, padding, sums, instructions };
        let kernel = choice.kernel().ok_or(0u64)?;
        Ok(Product { outputs: weights.outputs, length: weights.length, geometry, groups, kernel, requantizer })
    }

    /// Room for bit planes, where the layer needs it.
    pub(crate) fn planes(&self) -> Option<Planes> {
        let Kernel::Planes { weights, planes, .. } = &self.kernel else { return None };
        let mut image = PlaneImage::new(self.geometry.image_elements(), *planes);
        for run in self.geometry.runs() {
            image.mark_valid(run.to, run.count);
        }
        Some(Planes {
            image,
            window: vec![0; weights.words() * *planes as usize],
            valid: vec![0; weights.words()],
            all: weights.all_valid(),
            row: vec![0; self.geometry.columns() * self.outputs],
        })
    }

    /// Evaluates one frame.
    pub(crate) fn run(
        &self,
        tasks: Tasks<'_>,
        input: &[i32],
        planes: Option<&mut Planes>,
        target: Target<'_>,
        keep: Option<&mut [i64]>,
    ) {
        if let Kernel::Planes { .. } = &self.kernel {
            if let Some(planes) = planes {
                self.run_planes(tasks.instructions, input, planes, target, keep);
            }
            return;
        }
        let row_elements = self.geometry.columns() * self.outputs;
        let rows = tasks.rows_at_once(self.geometry.rows(), row_elements * self.length, self.geometry.row_elements());
        tasks.run(target, keep, row_elements, rows, |rows, space| self.rows(tasks.instructions, input, rows, space));
    }

    /// Stages what some rows of positions read, and makes them.
    fn rows(&self, instructions: Instructions, input: &[i32], mut rows: Rows<'_>, space: &mut Space) {
        let row_elements = self.geometry.columns() * self.outputs;
        let count = rows.target.len() / row_elements.max(1);
        let made = rows.first..rows.first + count;
        let Space { bytes, words, integers, row, sums, .. } = space;
        match &self.kernel {
            Kernel::Bytes(_, linear) => stage(&self.geometry, &made, *linear, bytes, input, |codes, to| {
                stage_bytes(instructions, codes, linear.factor, linear.offset, to);
            }),
            Kernel::Words(_, linear) | Kernel::Depthwise { linear, .. } => {
                stage(&self.geometry, &made, *linear, words, input, |codes, to| {
                    stage_words(instructions, codes, linear.factor, linear.offset, to);
                });
            }
            Kernel::Wide(_, linear) => stage(&self.geometry, &made, *linear, integers, input, |codes, to| {
                for (staged, &code) in to.iter_mut().zip(codes) {
                    *staged = code * linear.factor + linear.offset;
                }
            }),
            Kernel::Planes { .. } => {}
        }
        for index in 0..count {
            let positions = self.geometry.positions(index);
            let elements = index * row_elements..(index + 1) * row_elements;
            let keep = rows.keep.as_mut().map(|keep| &mut keep[elements.clone()]);
            match (&self.kernel, &mut rows.target) {
                (Kernel::Bytes(packed, _), Target::Narrow(target)) => {
                    let target = &mut target[elements];
                    self.groups(positions, row, target, |group, positions, sums| {
                        packed[group].row(instructions, bytes, positions, sums);
                    });
                    self.finish(instructions, target, keep);
                }
                (Kernel::Words(packed, _), Target::Narrow(target)) => {
                    let target = &mut target[elements];
                    self.groups(positions, row, target, |group, positions, sums| {
                        packed[group].row(instructions, words, positions, sums);
                    });
                    self.finish(instructions, target, keep);
                }
                (Kernel::Depthwise { offsets, weights, .. }, Target::Narrow(target)) => {
                    let target = &mut target[elements];
                    depthwise::row(instructions, offsets, weights, self.outputs, words, positions, target);
                    self.finish(instructions, target, keep);
                }
                (Kernel::Wide(weights, _), target) => {
                    sums.resize(row_elements, 0);
                    // One group's sums lie behind those of the whole row.
                    let mut group_sums = std::mem::take(sums);
                    let mut all = vec![0; if self.groups > 1 { row_elements } else { 0 }];
                    let (segments, outputs) = (self.geometry.segments(), self.outputs / self.groups);
                    for (group, weights) in weights.iter().enumerate() {
                        let positions = self.group_positions(positions, group);
                        let sums = &mut group_sums[..positions.count * outputs];
                        wide::row(instructions, weights, segments, outputs, integers, positions, sums);
                        if self.groups > 1 {
                            scatter(sums, outputs, &mut all, self.outputs, group * outputs);
                        }
                    }
                    let made = if self.groups > 1 { &all } else { &group_sums };
                    self.finish_wide(instructions, made, target, elements.start, keep);
                    *sums = group_sums;
                }
                (Kernel::Bytes(..) | Kernel::Words(..) | Kernel::Depthwise { .. } | Kernel::Planes { .. }, _) => {}
            }
        }
    }

    /// Makes the sums of each group, which go between those of the others.
    fn groups(
        &self,
        positions: Positions,
        row: &mut Vec<i32>,
        target: &mut [i32],
        make: impl Fn(usize, Positions, &mut [i32]),
    ) {
        if self.groups == 1 {
            return make(0, positions, target);
        }
        let outputs = self.outputs / self.groups;
        row.resize(positions.count * outputs, 0);
        for group in 0..self.groups {
            make(group, self.group_positions(positions, group), row);
            scatter(row, outputs, target, self.outputs, group * outputs);
        }
    }

    fn group_positions(&self, positions: Positions, group: usize) -> Positions {
        Positions { base: positions.base + group * self.geometry.group(), ..positions }
    }

    /// Sums become what leaves.
    fn finish(&self, instructions: Instructions, sums: &mut [i32], keep: Option<&mut [i64]>) {
        if let Some(keep) = keep {
            keep.iter_mut().zip(&*sums).for_each(|(keep, &sum)| *keep = i64::from(sum));
        }
        if let Some(requantizer) = &self.requantizer {
            requantizer.narrow(instructions, sums);
        }
    }

    fn finish_wide(
        &self,
        instructions: Instructions,
        sums: &[i64],
        target: &mut Target<'_>,
        first: usize,
        keep: Option<&mut [i64]>,
    ) {
        if let Some(keep) = keep {
            keep.copy_from_slice(sums);
        }
        let elements = first..first + sums.len();
        match target {
            Target::Narrow(target) => match &self.requantizer {
                Some(requantizer) => requantizer.wide(instructions, sums, &mut target[elements]),
                None => target[elements].iter_mut().zip(sums).for_each(|(to, &sum)| *to = sum as i32),
            },
            Target::Wide(target) => target[elements].copy_from_slice(sums),
        }
    }

    fn run_planes(
        &self,
        instructions: Instructions,
        input: &[i32],
        planes: &mut Planes,
        mut target: Target<'_>,
        mut keep: Option<&mut [i64]>,
    ) {
        let Kernel::Planes { weights, half_range, .. } = &self.kernel else { return };
        let Planes { image, window, valid, all, row } = planes;
        image.clear();
        for run in self.geometry.runs() {
            image.write(instructions, run.to, &input[run.from..run.from + run.count]);
        }
        for output_row in 0..self.geometry.rows() {
            let positions = self.geometry.positions(output_row);
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
            let first = output_row * row.len();
            let keep = keep.as_mut().map(|keep| &mut keep[first..first + row.len()]);
            self.finish_wide(instructions, row, &mut target, first, keep);
        }
    }
}

/// Puts the outputs of one group in their places between those of all groups.
fn scatter<T: Copy>(from: &[T], outputs: usize, to: &mut [T], all: usize, first: usize) {
    for (from, to) in from.chunks_exact(outputs).zip(to.chunks_exact_mut(all)) {
        to[first..first + outputs].copy_from_slice(from);
    }
}

/// Stages the part of the input that the given rows of positions read.
fn stage<T: Copy + TryFrom<i32> + Default>(
    geometry: &Geometry,
    rows: &std::ops::Range<usize>,
    linear: Linear,
    image: &mut Vec<T>,
    input: &[i32],
    write: impl Fn(&[i32], &mut [T]),
) {
    let (elements, runs) = geometry.part(rows);
    let padding = T::try_from(linear.padding).unwrap_or_default();
    if geometry.is_padded() {
        image.clear();
        image.resize(elements.len(), padding);
    }
    // What lies behind the image is read, but meets weights of zero.
    image.resize(elements.len() + SLACK, padding);
    for run in runs {
        let to = run.to - elements.start;
        write(&input[run.from..run.from + run.count], &mut image[to..to + run.count]);
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
