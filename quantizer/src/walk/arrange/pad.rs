//! Padding of rows and columns: part of the convolutions that read it, or a layer of its own.

use crate::constant::Constant;
use crate::exact::{Exact, from_f32};
use crate::fault::{Checked, Fault};
use crate::model::{Node, ValueId};
use crate::walk::Walk;
use crate::walk::convolution::of_rank;
use crate::walk::stream::Stream;
use num_traits::Zero;

impl Walk<'_> {
    /// Pad with a constant.
    pub(in crate::walk) fn pad(
        &mut self,
        node: &Node,
        stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        let dims = stream.layout.dims();
        let (pads, real) = padding(node, constants, dims.len())?;
        if pads == [0; 4] {
            return Ok(stream);
        }
        if let Some(&output) = node.outputs.first().filter(|output| real.is_zero() && self.convolutions_pad(**output)) {
            self.pads.insert(output, pads);
            return Ok(stream);
        }
        let (stream, rank) = self.image(stream, "Pad")?;
        let mut made = self.padded(stream, pads, &real, &node.name)?;
        made.layout = of_rank(&made, rank)?;
        Ok(made)
    }

    /// Whether convolutions alone read a value, which can pad it themselves.
    fn convolutions_pad(&self, value: ValueId) -> bool {
        let reads = |node: &&Node| node.inputs.contains(&Some(value));
        let pads = |node: &Node| {
            let is_free = matches!(node.attributes.text("auto_pad", "NOTSET"), Ok("NOTSET" | ""));
            node.op == "Conv" && is_free && node.inputs.first() == Some(&Some(value))
        };
        !self.model.outputs.contains(&value) && self.model.nodes.iter().filter(reads).all(pads)
    }
}

/// Top, left, bottom and right, and the real number that is put there.
fn padding(node: &Node, constants: &[Option<&Constant>], rank: usize) -> Checked<([u64; 4], Exact)> {
    let refuse = |what: String| Fault::operator(what, "constant padding of rows and columns can be built");
    let mode = node.attributes.text("mode", "constant")?;
    if mode != "constant" {
        return Err(refuse(format!("a Pad in mode `{mode}`")));
    }
    let constant = |index: usize| constants.get(index).copied().flatten();
    let old = node.attributes.ints("pads")?.or(node.attributes.ints("paddings")?);
    let pads = match (constant(1), old) {
        (Some(pads), _) => pads.ints()?,
        (None, Some(pads)) => pads.to_vec(),
        (None, None) => return Err(Fault::constant("a Pad without constant pads", "store them in the model")),
    };
    let real = match constant(2) {
        Some(value) => value.scalar()?,
        None => from_f32(node.attributes.float("value", 0.0)?).unwrap_or_else(Exact::zero),
    };
    let axes = match constant(3) {
        Some(axes) => axes.ints()?,
        None => (0..rank as i64).collect(),
    };
    if pads.len() != 2 * axes.len() || !(3..=4).contains(&rank) {
        return Err(refuse(format!("a Pad of {rank} axes by {pads:?}")));
    }
    let mut made = [0; 4];
    for (index, &axis) in axes.iter().enumerate() {
        let axis = crate::layout::axis_index(axis, rank)?;
        for (pad, half) in [(pads[index], 0), (pads[index + axes.len()], 2)] {
            let pad = u64::try_from(pad).ok().filter(|pad| *pad <= 4096);
            let pad = pad.ok_or_else(|| refuse(format!("a Pad by {pads:?}")))?;
            // The last axis is the columns.
            match rank - axis {
                1 => made[half + 1] = pad,
                2 if rank == 4 => made[half] = pad,
                _ if pad == 0 => {}
                _ => return Err(refuse(format!("a Pad of axis {axis} by {pads:?}"))),
            }
        }
    }
    Ok((made, real))
}
