//! The network's end: sums or codes that leave, ArgMax, and steps that stay on the host.

mod argmax;

use super::stream::{Base, Stream, widen};
use super::{Stopped, Walk};
use crate::exact::{Piece, integer, to_f64};
use crate::fault::{Checked, Fault};
use crate::import::Imported;
use crate::layout::Layout;
use crate::model::{Node, ValueId};
use crate::names::port_name;
use crate::solve::collapse;
use network::Diagnostics;
use network::format::Kind;
use network::graph::{Encoding, HostStep, NetworkParts, Output, TensorId};
use network::op::{Loop, Op, Rearrangement};
use network::shape::AxisOrder;
use num_traits::Zero;

impl Walk<'_> {
    /// Softmax at the end of the network.
    pub(super) fn softmax(&mut self, node: &Node, mut stream: Stream) -> Checked<Stream> {
        stream.host = HostStep::Softmax;
        {
            let dims = stream.layout.dims();
            let old_default = dims.len().min(2) as i64 - 1;
            let axis = node.attributes.int("axis", if dims.len() <= 2 { -1 } else { old_default })?;
            let axis = stream.layout.axis_index(axis)?;
            if dims[axis] != stream.shape.channels {
                return Err(Fault::operator(
                    format!("a Softmax over axis {axis} of {dims:?}"),
                    "only a Softmax over the channels can be left to the host",
                ));
            }
        }
        self.notes.push(format!("`{}` ({}) stays on the host: the hardware sends what it reads", node.name, node.op));
        Ok(stream)
    }

    /// Collects the network; a fault comes with the input's shape where another would help.
    pub(super) fn finish(mut self, file: &str, name: &str) -> Result<Imported, Stopped> {
        let mut faults = Diagnostics::default();
        let mut outputs = Vec::new();
        for output in self.hardware_outputs() {
            match self.output(output) {
                Ok(output) => outputs.push(output),
                Err(fault) => faults.push(fault.at(file, &self.model.names[output])),
            }
        }
        let collected = faults.or(()).and_then(|()| {
            self.collect(name, outputs).map_err(|fault| {
                fault.at(file, self.model.outputs.first().map_or("", |&id| &self.model.names[id])).into()
            })
        });
        collected.map_err(|faults| Stopped { faults, wanted: self.wanted })
    }

    /// What leaves the network as one of the model's outputs.
    fn output(&mut self, output: ValueId) -> Checked<Output> {
        let mut stream = self.stream(output)?;
        if let Some(function) = stream.under_sigmoid().filter(|_| stream.host == HostStep::None) {
            stream.function = function.to_vec();
            (stream.curve, stream.host) = (None, HostStep::Sigmoid);
            self.notes.push("the last Sigmoid stays on the host: the hardware sends what it reads".to_owned());
        }
        let relu = self.host_relu(&mut stream)?;
        let host = match (relu, stream.host) {
            (false, host) => host,
            (true, HostStep::None) => HostStep::Relu,
            (true, other) => {
                return Err(Fault::operator(format!("a Relu before {other:?} at the end"), "leave the Relu out"));
            }
        };
        let (tensor, stream) = self.affine(stream, "the output")?;
        let (axes, tensor, mut stream) = match output_axes(&stream) {
            Some(axes) => (axes, tensor, stream),
            None => {
                let (tensor, stream) = (tensor, self.orderly(stream)?);
                let axes = output_axes(&stream).ok_or_else(|| {
                    Fault::shape(
                        format!("the output's order of elements ({:?}) is no order of hardware", stream.layout.dims()),
                        "leave out the last Transpose or Reshape",
                    )
                })?;
                let tensor = if let Base::Tensor(id) = stream.base { id } else { tensor };
                (axes, tensor, stream)
            }
        };
        let tensor = if self.is_input(tensor) { self.passed_through(tensor, output) } else { tensor };
        self.mean_codes(&mut stream);
        let numbers = |f: fn(&Piece) -> f64| stream.function.iter().map(f).collect::<Vec<f64>>();
        let (scales, offsets) = (numbers(|piece| to_f64(&piece.gain)), numbers(|piece| to_f64(&piece.offset)));
        let (scales, offsets) = (collapse(scales), collapse(offsets));
        let name = port_name(&self.model.names[output]);
        Ok(Output { tensor, name, axes, scales, offsets, modes: Vec::new(), host })
    }

    /// An input that leaves as it enters: a layer that moves nothing stands between.
    fn passed_through(&mut self, id: TensorId, output: ValueId) -> TensorId {
        let tensor = self.tensor(id).clone();
        let shape = tensor.shape;
        let loops = vec![Loop { count: shape.elements(), stride: 1 }];
        let arrangement = Rearrangement { shape, start: 0, loops };
        let origin = self.model.names[output].clone();
        self.add_layer("move", vec![id], Op::Rearrange(arrangement), None, tensor, &origin)
    }

    fn collect(&mut self, name: &str, mut outputs: Vec<Output>) -> Checked<Imported> {
        let inputs = self.inputs().map_err(|input| {
            Fault::quantizer(
                format!("the input `{input}` has no format"),
                "put a Quant on the input, or state what its codes are (--input-format u8 --input-scale S)",
            )
        })?;
        let (layers, origins) = self.tidied(&mut outputs);
        Ok(Imported {
            parts: NetworkParts { name: name.to_owned(), inputs, layers, outputs },
            origins,
            notes: std::mem::take(&mut self.notes),
        })
    }

    /// Makes the functions those of the integers on the wires, which for plane codes are not the values.
    fn mean_codes(&self, stream: &mut Stream) {
        let Base::Tensor(id) = stream.base else { return };
        let Encoding::Codes { format, .. } = self.tensor(id).encoding else { return };
        if format.kind() != Kind::Bipolar {
            return;
        }
        // X = 2 q - (2^M - 1).
        for piece in &mut stream.function {
            piece.offset += &piece.gain * integer(format.value(0));
            piece.gain *= integer(2);
        }
    }

    /// A Relu over the last sums stays on the host; any other clamp there cannot be built.
    fn host_relu(&mut self, stream: &mut Stream) -> Checked<bool> {
        let is_sums = match stream.base {
            Base::Input(_) | Base::Joined(_) => false,
            Base::Tensor(id) => matches!(self.tensor(id).encoding, Encoding::Sums { .. }),
        };
        if !is_sums || stream.function.iter().all(Piece::is_affine) {
            return Ok(false);
        }
        let is_relu = |piece: &Piece| piece.low.as_ref().is_some_and(Zero::is_zero) && piece.high.is_none();
        if !stream.function.iter().all(is_relu) {
            return Err(Fault::operator("a Clip at the end of the network", "put a Quant after it, or leave it out"));
        }
        let after = stream.pooled.as_mut().map(|pooled| &mut pooled.after);
        for piece in stream.function.iter_mut().chain(after.into_iter().flatten()) {
            piece.low = None;
        }
        self.notes.push("the last Relu stays on the host: the hardware sends the sums before it".to_owned());
        Ok(true)
    }
}

/// The order in which the model gives its results, where it is one of hardware.
fn output_axes(stream: &Stream) -> Option<AxisOrder> {
    let elements = [stream.shape.elements()];
    let flat = |layout: &Layout| layout.reshape(&elements).ok();
    let own = flat(&stream.layout);
    if own == flat(&Layout::channels_first(stream.shape)) {
        Some(AxisOrder::ChannelsFirst)
    } else if own == flat(&Layout::channels_last(stream.shape)) {
        Some(AxisOrder::ChannelsLast)
    } else {
        None
    }
}

/// Functions with one entry for each of `channels`.
fn widened(stream: &Stream) -> Vec<Piece> {
    let mut functions = stream.function.clone();
    widen(&mut functions, stream.channels());
    functions
}
