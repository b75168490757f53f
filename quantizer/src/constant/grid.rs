//! Constants as integers times scales.

use super::Constant;
use super::shaping::broadcast_indices;
use crate::exact::{Exact, from_f32, gcd, integer, to_i64};
use network::{Format, Range};
use num_traits::{Signed, ToPrimitive, Zero};
use std::collections::BTreeMap;

/// Every element is `values[i] * scales[scale_of[i]]`.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub values: Vec<i32>,
    pub scale_of: Vec<u32>,
    pub scales: Vec<Exact>,
    /// A format that holds every value.
    pub format: Format,
}

impl Grid {
    /// The step of an element.
    pub fn scale(&self, index: usize) -> &Exact {
        &self.scales[self.scale_of[index] as usize]
    }

    /// The elements at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        Grid {
            values: indices.iter().map(|&index| self.values[index]).collect(),
            scale_of: indices.iter().map(|&index| self.scale_of[index]).collect(),
            scales: self.scales.clone(),
            format: self.format,
        }
    }
}

/// The grid of quantized numbers times (or over) others: the integers stay, the scales take up the factors. `None`
/// where the first is not quantized, the others are no finite numbers but 0, or the first has another shape than `dims`.
pub(super) fn rescale(quantized: &Constant, factors: &Constant, dims: &[usize], divide: bool) -> Option<Grid> {
    let grid = quantized.grid.as_ref().filter(|_| quantized.array.dims == dims && factors.grid.is_none())?;
    let mut scales = Vec::new();
    let mut known = BTreeMap::new();
    let factor_of = broadcast_indices(&factors.array.dims, dims);
    let mut scale_of = Vec::with_capacity(factor_of.len());
    for (&scale, factor) in grid.scale_of.iter().zip(factor_of) {
        let place = match known.get(&(scale, factor)) {
            Some(place) => *place,
            None => {
                let factor_value = from_f32(factors.array.f32(factor)).filter(|value| !value.is_zero())?;
                let scale_value = &grid.scales[scale as usize];
                scales.push(if divide { scale_value / factor_value } else { scale_value * factor_value });
                let place = u32::try_from(scales.len() - 1).ok()?;
                known.insert((scale, factor), place);
                place
            }
        };
        scale_of.push(place);
    }
    Some(Grid { values: grid.values.clone(), scale_of, scales, format: grid.format })
}

/// The narrowest format that holds every value: one plane where all are -1 or +1, else integers.
pub(crate) fn narrowest(values: &[i32]) -> Option<Format> {
    if values.iter().all(|value| value.abs() == 1) {
        return Format::bipolar(1);
    }
    let (min, max) = (values.iter().min()?, values.iter().max()?);
    Format::integer_for(Range::new(i64::from(*min), i64::from(*max)))
}

/// The grid of numbers that are already quantized, row by row (`row` elements each): exact, or `None`.
///
/// A row's step is the greatest number of which all its elements are integer multiples; where rounding to float32
/// hides it, a step of which every element is the float32 product with an integer.
pub(crate) fn find_grid(elements: &[f32], row: usize) -> Option<Grid> {
    let mut grid = Grid {
        values: Vec::with_capacity(elements.len()),
        scale_of: Vec::new(),
        scales: Vec::new(),
        format: Format::signed(1)?,
    };
    if elements.iter().all(|value| value.fract() == 0.0 && value.abs() <= 65535.0) {
        grid.values = elements.iter().map(|&value| value as i32).collect();
        grid.scale_of = vec![0; elements.len()];
        grid.scales.push(integer(1));
    } else {
        for row in elements.chunks(row.max(1)) {
            let (values, scale) = exact_row(row).or_else(|| product_row(row))?;
            grid.scale_of.extend(values.iter().map(|_| grid.scales.len() as u32));
            grid.values.extend(values);
            grid.scales.push(scale);
        }
    }
    grid.format = narrowest(&grid.values)?;
    Some(grid)
}

fn exact_row(row: &[f32]) -> Option<(Vec<i32>, Exact)> {
    let mut step = Exact::zero();
    let mut largest = Exact::zero();
    for &value in row {
        let value = from_f32(value)?.abs();
        step = gcd(&step, &value);
        largest = largest.max(value);
        if largest > &step * integer(65535) {
            return None;
        }
    }
    if step.is_zero() {
        return Some((vec![0; row.len()], integer(1)));
    }
    let values: Option<Vec<i32>> = row.iter().map(|&value| to_i64(&(from_f32(value)? / &step))?.to_i32()).collect();
    Some((values?, step))
}

fn product_row(row: &[f32]) -> Option<(Vec<i32>, Exact)> {
    let least = row.iter().map(|value| value.abs()).filter(|&value| value > 0.0).fold(f32::INFINITY, f32::min);
    for divisor in 1..=16 {
        let near = least / divisor as f32;
        for step in
            [near, f32::from_bits(near.to_bits().checked_add(1)?), f32::from_bits(near.to_bits().checked_sub(1)?)]
        {
            let integer = |value: f32| (value / step).round();
            if row.iter().all(|&value| integer(value).abs() <= 65535.0 && integer(value) * step == value) {
                return Some((row.iter().map(|&value| integer(value) as i32).collect(), from_f32(step)?));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::fraction;

    #[track_caller]
    fn check(elements: &[f32], expected: Option<(&[i32], &str)>) {
        let grid = find_grid(elements, 4);
        let got = grid.as_ref().map(|grid| (grid.values.as_slice(), grid.format.to_string()));
        assert_eq!(got.as_ref().map(|(values, format)| (*values, format.as_str())), expected);
    }

    #[test]
    fn grids_of_plain_numbers() {
        check(&[1.0, -1.0, 1.0, 1.0], Some((&[1, -1, 1, 1], "bipolar1")));
        check(&[0.25, -0.5, 0.0, 0.75], Some((&[1, -2, 0, 3], "s3")));
        check(&[3.0, 0.0, 6.0, 1.0], Some((&[3, 0, 6, 1], "u3")));
        check(&[0.1, 0.1 * 2.0, 0.1 * -3.0, 0.0], Some((&[1, 2, -3, 0], "s3")));
        check(&[0.1, 0.234, -3.7, 0.0111], None);
        check(&[f32::NAN, 0.0, 0.0, 0.5], None);
        assert_eq!(find_grid(&[0.25, 0.5], 2).unwrap().scales, [fraction(1, 4)]);
    }
}
