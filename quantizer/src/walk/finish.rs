//! The network's end: sums or codes that leave, ArgMax, and steps that stay on the host.

mod argmax;

use super::stream::{Base, InputPlan, Stream, widen};
use super::{Value, Walk};
use crate::exact::{Piece, integer, to_f64};
use crate::fault::{Checked, Fault};
use crate::import::Imported;
use crate::layout::Layout;
use crate::model::Node;
use crate::solve::collapse;
use network::format::Kind;
use network::graph::{Encoding, HostStep, NetworkParts, Output, TensorId};
use network::shape::AxisOrder;
use network::{Code, Shape};
use num_traits::Zero;

impl Walk<'_> {
    /// Softmax and Sigmoid at the end of the network.
    pub(super) fn host_step(&mut self, node: &Node, mut stream: Stream) -> Checked<Stream> {
        stream.host = if node.op == "Sigmoid" { HostStep::Sigmoid } else { HostStep::Softmax };
        if stream.host == HostStep::Softmax {
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

    /// Closes the last layer and collects the network; a fault comes with the input's shape where another would help.
    pub(super) fn finish(
        mut self,
        name: &str,
        plan: InputPlan,
    ) -> Result<Imported, (Fault, Option<(Shape, AxisOrder)>)> {
        self.finished(name, plan).map_err(|fault| (fault, self.wanted))
    }

    fn finished(&mut self, name: &str, plan: InputPlan) -> Checked<Imported> {
        let output = self.model.output;
        let Value::Stream(stream) = std::mem::replace(&mut self.values[output], Value::Taken) else {
            return Err(Fault::new(
                Code::ModelGraph,
                "the output does not depend on the input",
                "cut the model so that its output follows from its input",
            ));
        };
        let mut stream = *stream;
        let relu = self.host_relu(&mut stream)?;
        let host = match (relu, stream.host) {
            (false, host) => host,
            (true, HostStep::None) => HostStep::Relu,
            (true, other) => {
                return Err(Fault::operator(format!("a Relu before {other:?} at the end"), "leave the Relu out"));
            }
        };
        self.close_last(&mut stream)?;
        if self.layers.is_empty() {
            return Err(Fault::new(
                Code::ModelGraph,
                "the model has no layer to build",
                "give it at least one dense or convolution layer",
            ));
        }
        let axes = output_axes(&stream)?;
        self.mean_codes(&mut stream);
        let numbers = |f: fn(&Piece) -> f64| stream.function.iter().map(f).collect::<Vec<f64>>();
        let (scales, offsets) = (numbers(|piece| to_f64(&piece.gain)), numbers(|piece| to_f64(&piece.offset)));
        let (scales, offsets) = (collapse(scales), collapse(offsets));
        let input_axes = match plan {
            InputPlan::Image { axes, .. } => axes,
            InputPlan::Flat => AxisOrder::ChannelsLast,
        };
        let input = self.input(input_axes).ok_or_else(|| {
            Fault::quantizer(
                "the input has no format",
                "put a Quant on the input, or state what its codes are (--input-format u8 --input-scale S)",
            )
        })?;
        let tensor = TensorId(self.layers.len());
        let output = Output { tensor, name: self.model.names[output].clone(), axes, scales, offsets, host };
        let layers = std::mem::take(&mut self.layers);
        Ok(Imported {
            parts: NetworkParts { name: name.to_owned(), input, layers, outputs: vec![output] },
            origins: std::mem::take(&mut self.origins),
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
        if !matches!(stream.base, Base::Sums(_)) || stream.function.iter().all(Piece::is_affine) {
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

    /// Makes the stream's base a finished tensor.
    fn close_last(&mut self, stream: &mut Stream) -> Checked<TensorId> {
        match std::mem::replace(&mut stream.base, Base::Input) {
            Base::Input => Err(Fault::quantizer(
                "the model does nothing that hardware could do",
                "give it at least one quantized layer",
            )),
            Base::Tensor(id) => {
                if stream.pooled.is_some() {
                    return Err(Fault::operator(
                        "pooled values whose sign was changed leave the network",
                        "put a Quant before the MaxPool",
                    ));
                }
                stream.base = Base::Tensor(id);
                if stream.function.iter().all(Piece::is_affine) {
                    return Ok(id);
                }
                let id = self.clamp_codes(id, stream, "the output")?;
                stream.base = Base::Tensor(id);
                Ok(id)
            }
            Base::Sums(pending) => {
                let id = match stream.pooled.take() {
                    None => self.close(*pending, None),
                    Some(pooled) => {
                        let (id, function) = self.close_and_pool(*pending, &pooled)?;
                        stream.function = function;
                        id
                    }
                };
                stream.base = Base::Tensor(id);
                Ok(id)
            }
        }
    }
}

/// The order in which the model gives its results.
fn output_axes(stream: &Stream) -> Checked<AxisOrder> {
    let elements = [stream.shape.elements()];
    let flat = |layout: &Layout| layout.reshape(&elements).ok();
    let own = flat(&stream.layout);
    if own == flat(&Layout::channels_first(stream.shape)) {
        Ok(AxisOrder::ChannelsFirst)
    } else if own == flat(&Layout::channels_last(stream.shape)) {
        Ok(AxisOrder::ChannelsLast)
    } else {
        Err(Fault::shape(
            format!(
                "the output's order of elements ({:?}) is neither channels first nor channels last",
                stream.layout.dims()
            ),
            "leave out the last Transpose or Reshape",
        ))
    }
}

/// Functions with one entry for each of `channels`.
fn widened(stream: &Stream) -> Vec<Piece> {
    let mut functions = stream.function.clone();
    widen(&mut functions, stream.channels());
    functions
}
