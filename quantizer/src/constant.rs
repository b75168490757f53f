//! Constants of a model on their way to weights: float32 arrays, with the grid that a quantizer put them on.

pub(crate) mod evaluate;
mod grid;
mod numbers;
mod parts;
pub(crate) mod shaping;

pub(crate) use evaluate::{evaluate, evaluate_all};
pub(crate) use grid::{Grid, find_grid, narrowest};

use crate::exact::{Exact, from_f32, integer};
use crate::fault::{Checked, Fault};
use crate::model::Array;
use num_traits::Signed;

/// A constant, and its exact integers where a quantizer made it.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    pub array: Array,
    pub grid: Option<Grid>,
}

impl Constant {
    /// A constant that no quantizer made.
    pub fn plain(array: Array) -> Self {
        Constant { array, grid: None }
    }

    /// The exact value of an element: integer times scale where there is a grid, else the stored float.
    pub fn exact(&self, index: usize) -> Checked<Exact> {
        if let Some(grid) = &self.grid {
            return Ok(grid.scale(index) * integer(grid.values[index]));
        }
        from_f32(self.array.f32(index)).ok_or_else(|| {
            Fault::constant(format!("a constant holds {}", self.array.f32(index)), "only finite numbers can be built")
        })
    }

    /// The only element.
    pub fn scalar(&self) -> Checked<Exact> {
        if self.array.len() != 1 {
            return Err(Fault::constant(
                format!("a constant of shape {:?} stands where one number is expected", self.array.dims),
                "use a scalar",
            ));
        }
        self.exact(0)
    }

    /// All elements, as a list of integers (for shapes and axes).
    pub fn ints(&self) -> Checked<Vec<i64>> {
        self.array.ints().ok_or_else(|| Fault::constant("a shape or axis is no integer", "store it as int64"))
    }
}

/// Whether every scale is positive, as quantizers need.
pub(crate) fn check_scales(scales: &Array) -> Checked<()> {
    for index in 0..scales.len() {
        let scale = scales.f32(index);
        if !from_f32(scale).is_some_and(|scale| scale.is_positive()) {
            return Err(Fault::quantizer(
                format!("scale {scale} at place {index}"),
                "a scale must be positive and finite; retrain or repair the export",
            ));
        }
    }
    Ok(())
}
