//! Resize and Upsample by whole factors: to the nearest element, or linearly between neighbours.

mod linear;

use crate::constant::Constant;
use crate::fault::{Checked, Fault};
use crate::float::Rules;
use crate::layout::axis_index;
use crate::model::Node;
use crate::walk::Walk;
use crate::walk::convolution::of_rank;
use crate::walk::stream::Stream;
use network::Shape;
use network::op::Loop;

/// Lengths that a resized axis can have.
const LENGTHS: std::ops::RangeInclusive<u64> = 1..=1_000_000_000;

impl Walk<'_> {
    /// Resize (or the older Upsample) of rows and columns.
    pub(in crate::walk) fn resize(
        &mut self,
        node: &Node,
        stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        let refuse = |what: String| {
            Fault::operator(what, "nearest and linear resizing of rows and columns by whole factors can be built")
        };
        let mode = node.attributes.text("mode", "nearest")?;
        let is_linear = matches!(mode, "linear" | "bilinear");
        if mode != "nearest" && !is_linear {
            return Err(refuse(format!("`{}` in mode `{mode}`", node.op)));
        }
        let rank = stream.layout.dims().len();
        let mut made = sizes(node, &stream.layout.dims(), constants)?;
        let (stream, _) = self.image(stream, &node.op)?;
        let dims = stream.layout.dims();
        if rank == 3 {
            made.0.insert(2, 1);
            made.1.insert(2, 1.0);
        }
        let (&[batch, channels, rows, columns], &[_, old_channels, old_rows, old_columns]) =
            (made.0.as_slice(), dims.as_slice())
        else {
            return Err(refuse(format!("`{}` of {dims:?} to {:?}", node.op, made.0)));
        };
        if batch != 1 || channels != old_channels {
            return Err(refuse(format!("`{}` of {dims:?} to {:?}", node.op, made.0)));
        }
        if is_linear {
            let rows = linear::Axis::new(node, old_rows, rows, made.1[2])?;
            let columns = linear::Axis::new(node, old_columns, columns, made.1[3])?;
            let mut stream = self.resize_linear(node, stream, rows, columns)?;
            stream.layout = of_rank(&stream, rank)?;
            return Ok(stream);
        }
        let width = old_columns * channels;
        let mut loops = axis(node, old_rows, rows, made.1[2], width)?;
        loops.extend(axis(node, old_columns, columns, made.1[3], channels)?);
        loops.push(Loop { count: channels, stride: 1 });
        let shape = Shape::new(rows, columns, channels).ok_or_else(|| refuse("a resize to nothing".to_owned()))?;
        let mut stream = self.move_positions(stream, shape, 0, loops, &node.name)?;
        stream.layout = of_rank(&stream, rank)?;
        Ok(stream)
    }
}

/// The target lengths and the scales of all axes.
fn sizes(node: &Node, dims: &[u64], constants: &[Option<&Constant>]) -> Checked<(Vec<u64>, Vec<f64>)> {
    let wrong =
        || Fault::shape(format!("`{}` without constant scales or sizes above 0", node.op), "export the model again");
    if node.attributes.text("keep_aspect_ratio_policy", "stretch")? != "stretch" {
        return Err(Fault::operator(
            format!("`{}` that keeps the aspect ratio", node.op),
            "state both lengths as they come out, with the policy stretch",
        ));
    }
    let axes: Vec<usize> = match node.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|&axis| axis_index(axis, dims.len())).collect::<Checked<_>>()?,
        None => (0..dims.len()).collect(),
    };
    let constant = |index: usize| constants.get(index).copied().flatten().filter(|c| c.array.len() == axes.len());
    if let Some(given) = constant(3) {
        let mut sizes = dims.to_vec();
        for (&axis, size) in axes.iter().zip(given.ints()?) {
            sizes[axis] = u64::try_from(size).ok().filter(|size| LENGTHS.contains(size)).ok_or_else(wrong)?;
        }
        let scales = sizes.iter().zip(dims).map(|(&size, &dim)| size as f64 / dim as f64).collect();
        return Ok((sizes, scales));
    }
    let scales: Vec<f64> = match (constant(2), constant(1), node.attributes.get("scales")) {
        (Some(scales), _, _) | (None, Some(scales), _) => {
            let mut all = vec![1.0; dims.len()];
            axes.iter().enumerate().for_each(|(index, &axis)| all[axis] = f64::from(scales.array.f32(index)));
            all
        }
        (None, None, Some(crate::model::Attribute::Floats(scales))) if scales.len() == dims.len() => {
            scales.iter().map(|&scale| f64::from(scale)).collect()
        }
        _ => return Err(wrong()),
    };
    let size = |(&dim, scale): (&u64, &f64)| (dim as f64 * scale).floor();
    let sizes: Vec<f64> = dims.iter().zip(&scales).map(size).collect();
    let sizes: Vec<u64> = sizes.into_iter().map(|size| size as u64).collect();
    if sizes.iter().all(|size| LENGTHS.contains(size)) { Ok((sizes, scales)) } else { Err(wrong()) }
}

/// Loops over one axis: each element several times, or each of several elements once.
fn axis(node: &Node, from: u64, to: u64, scale: f64, stride: u64) -> Checked<Vec<Loop>> {
    let refuse = || {
        Fault::operator(
            format!("`{}` of {from} to {to} elements, which is no whole factor in this mode", node.op),
            "nearest resizing by whole factors can be built (asymmetric with floor, or half_pixel)",
        )
    };
    if to > 1 << 20 || from > 1 << 20 {
        return Err(refuse());
    }
    let places = Rules::of(node)?.nearest(from as usize, to as usize, scale as f32)?;
    let repeats = places.iter().take_while(|place| **place == places[0]).count() as u64;
    let step = places.get(repeats as usize).map_or(1, |place| (place - places[0]) as u64);
    let regular = places.iter().enumerate().all(|(index, &place)| place as u64 == index as u64 / repeats * step);
    let (Ok(stride), true) = (i64::try_from(stride * step), regular && to.is_multiple_of(repeats)) else {
        return Err(refuse());
    };
    Ok(vec![Loop { count: to / repeats, stride }, Loop { count: repeats, stride: 0 }])
}
