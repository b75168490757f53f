//! Index arithmetic of constants: broadcasting, transposing, gathering.

use super::Constant;
use crate::fault::{Checked, Fault};
use crate::model::{Array, Data, elements};

/// The shape that two shapes broadcast to, as numpy has it.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Checked<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| if axis + dims.len() < rank { 1 } else { dims[axis + dims.len() - rank] };
    let dims: Option<Vec<usize>> = (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect();
    let dims =
        dims.ok_or_else(|| Fault::shape(format!("{a:?} and {b:?} do not broadcast"), "check the operator's shapes"))?;
    elements(&dims)?;
    Ok(dims)
}

/// For each element of an array of shape `to` the element of an array of shape `from` that is broadcast to it.
pub(crate) fn broadcast_indices(from: &[usize], to: &[usize]) -> Vec<usize> {
    let skipped = to.len() - from.len();
    let mut strides = vec![0; to.len()];
    let mut stride = 1;
    for axis in (0..from.len()).rev() {
        strides[axis + skipped] = if from[axis] == 1 { 0 } else { stride };
        stride *= from[axis];
    }
    strided_indices(to, &strides)
}

/// For each element of a row-major array of shape `dims` the sum of its places times `strides`.
pub(crate) fn strided_indices(dims: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut indices = vec![0];
    for (&dim, &stride) in dims.iter().zip(strides) {
        indices = indices.iter().flat_map(|&index| (0..dim).map(move |place| index + place * stride)).collect();
    }
    indices
}

impl Constant {
    /// The elements at `indices` in a new shape; a grid stays.
    pub fn select(&self, dims: Vec<usize>, indices: &[usize]) -> Self {
        let data = match &self.array.data {
            Data::Float(data) => Data::Float(indices.iter().map(|&index| data[index]).collect()),
            Data::Int(data) => Data::Int(indices.iter().map(|&index| data[index]).collect()),
        };
        Constant { array: Array { dims, data }, grid: self.grid.as_ref().map(|grid| grid.select(indices)) }
    }

    /// Elements at `places` in a new shape, zeros where there is none; quantized elements stay so.
    pub fn spread(&self, dims: Vec<usize>, places: &[Option<usize>]) -> Checked<Self> {
        if elements(&dims)? != places.len() {
            return Err(Fault::shape("weights of another shape than their places", "export the model again"));
        }
        // Zeros take the step of an element beside them.
        let any = places.iter().flatten().next().copied().unwrap_or(0);
        let mut last = any;
        let indices: Vec<usize> = places
            .iter()
            .map(|place| {
                last = place.unwrap_or(last);
                last
            })
            .collect();
        let mut made = self.select(dims, &indices);
        let holes = || places.iter().enumerate().filter(|(_, place)| place.is_none()).map(|(index, _)| index);
        match &mut made.array.data {
            Data::Float(data) => holes().for_each(|index| data[index] = 0.0),
            Data::Int(data) => holes().for_each(|index| data[index] = 0),
        }
        if let Some(grid) = &mut made.grid {
            holes().for_each(|index| grid.values[index] = 0);
            if holes().next().is_some() && grid.format.code(0).is_none() {
                grid.format = super::narrowest(&grid.values)
                    .ok_or_else(|| Fault::quantizer("weights of more than 16 bits", "use narrower weights"))?;
            }
        }
        Ok(made)
    }

    /// The same elements in another shape of as many.
    pub fn with_dims(&self, dims: Vec<usize>) -> Checked<Self> {
        if elements(&dims)? != self.array.len() {
            return Err(Fault::shape(
                format!("{:?} cannot be reshaped to {dims:?}: other numbers of elements", self.array.dims),
                "check the model's Reshape",
            ));
        }
        let mut made = self.clone();
        made.array.dims = dims;
        Ok(made)
    }

    /// Axes exchanged: axis `i` of the result is axis `permutation[i]`.
    pub fn transpose(&self, permutation: &[usize]) -> Self {
        let dims = &self.array.dims;
        let mut strides = vec![1; dims.len()];
        for axis in (1..dims.len()).rev() {
            strides[axis - 1] = strides[axis] * dims[axis];
        }
        let new_dims: Vec<usize> = permutation.iter().map(|&axis| dims[axis]).collect();
        let new_strides: Vec<usize> = permutation.iter().map(|&axis| strides[axis]).collect();
        let indices = strided_indices(&new_dims, &new_strides);
        self.select(new_dims, &indices)
    }

    /// The places `chosen` of an axis.
    pub fn take(&self, axis: usize, chosen: &[usize]) -> Self {
        let dims = &self.array.dims;
        let (outer, inner): (usize, usize) = (dims[..axis].iter().product(), dims[axis + 1..].iter().product());
        let mut indices = Vec::new();
        for block in 0..outer {
            for &place in chosen {
                let start = (block * dims[axis] + place) * inner;
                indices.extend(start..start + inner);
            }
        }
        let mut new_dims = dims.clone();
        new_dims[axis] = chosen.len();
        self.select(new_dims, &indices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(dims: &[usize]) -> Constant {
        let n: usize = dims.iter().product();
        Constant::plain(Array::int(dims.to_vec(), (0..n as i64).collect()))
    }

    #[test]
    fn transposes_and_takes() {
        assert_eq!(count(&[2, 3]).transpose(&[1, 0]).array, Array::int(vec![3, 2], vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(count(&[2, 3]).take(1, &[2, 0]).array, Array::int(vec![2, 2], vec![2, 0, 5, 3]));
        assert_eq!(count(&[2, 2, 2]).transpose(&[2, 0, 1]).array.ints().unwrap(), [0, 2, 4, 6, 1, 3, 5, 7]);
    }

    #[test]
    fn broadcasts() {
        assert_eq!(broadcast(&[4, 1], &[3]).unwrap(), [4, 3]);
        assert!(broadcast(&[4, 2], &[3]).is_err());
        assert_eq!(broadcast_indices(&[2, 1], &[2, 2]), [0, 0, 1, 1]);
        assert_eq!(broadcast_indices(&[], &[2]), [0, 0]);
        assert!(broadcast(&[1 << 20, 1], &[1 << 20]).is_err());
    }
}
