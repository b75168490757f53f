//! A user's frames become codes, and the network's integers become real results.
//!
//! Users hold tensors in the model's axis order ([`network::shape::AxisOrder`]); evaluation and hardware use rows,
//! columns, channels.

use crate::trace::EvaluateError;
use network::graph::{HostStep, Input, Output};
use network::requantization::per_channel;
use network::shape::AxisOrder;
use network::{Network, Shape};

/// Why a user's frame has no codes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FrameFault {
    /// The frame has the wrong number of elements, or an integer is no input code.
    #[error(transparent)]
    Codes(#[from] EvaluateError),
    /// Real numbers were given but the network has no input quantizer.
    #[error("the network takes input codes: it has no quantizer for real numbers")]
    NoQuantizer,
    /// A real number that cannot be quantized.
    #[error("element {element} is {value} and has no code")]
    NoCode {
        /// Index in the user's order.
        element: usize,
        /// The number.
        value: f32,
    },
}

/// The codes in hardware order of one input's tensor of codes in the model's axis order.
pub fn codes_from_integers(input: &Input, frame: &[i64]) -> Result<Vec<i32>, FrameFault> {
    let range = input.tensor().encoding.integers();
    to_hardware_order(input, frame.len(), |element, index| {
        let code = frame[index];
        if !range.contains(code) {
            return Err(EvaluateError::InputCode { element, code, range }.into());
        }
        Ok(code as i32)
    })
}

/// The codes in hardware order of one input's tensor of real numbers in the model's axis order, through its quantizer.
pub fn codes_from_reals(input: &Input, frame: &[f32]) -> Result<Vec<i32>, FrameFault> {
    let quantizer = input.quantizer.ok_or(FrameFault::NoQuantizer)?;
    let range = input.tensor().encoding.integers();
    to_hardware_order(input, frame.len(), |_, index| {
        let value = frame[index];
        // A quantizer with crossed ends or an infinite step has no codes either.
        let is_sound = quantizer.code_min <= quantizer.code_max;
        let code = if is_sound { quantizer.code(value) } else { None };
        match code.filter(|code| range.contains(*code)) {
            Some(code) => Ok(code as i32),
            None => Err(FrameFault::NoCode { element: index, value }),
        }
    })
}

fn to_hardware_order(
    input: &Input,
    found: usize,
    mut code: impl FnMut(usize, usize) -> Result<i32, FrameFault>,
) -> Result<Vec<i32>, FrameFault> {
    let expected = input.shape.elements();
    if found as u64 != expected {
        return Err(EvaluateError::InputLength { expected, found: found as u64 }.into());
    }
    input.axes.model_indices(input.shape).enumerate().map(|(element, index)| code(element, index as usize)).collect()
}

/// The real results of one frame in the model's axis order: real = scale * integer + offset for each channel, then the
/// step that stays on the host. `integers` holds the output tensors in hardware order, one after the other, and so do
/// the results.
pub fn reals(network: &Network, integers: &[i64]) -> Vec<f64> {
    let mut all = Vec::with_capacity(integers.len());
    let mut rest = integers;
    for output in network.outputs() {
        let shape = network.output_tensor(output).shape;
        let Some((integers, others)) = rest.split_at_checked(shape.elements() as usize) else { break };
        all.extend(output_reals(output, shape, integers));
        rest = others;
    }
    all
}

/// The real results of one output.
fn output_reals(output: &Output, shape: Shape, integers: &[i64]) -> Vec<f64> {
    let channels = shape.channels as usize;
    let mut reals: Vec<f64> = integers
        .iter()
        .enumerate()
        .map(|(element, &integer)| {
            let scale = per_channel(&output.scales, element % channels).unwrap_or(1.0);
            let offset = per_channel(&output.offsets, element % channels).unwrap_or(0.0);
            scale * integer as f64 + offset
        })
        .collect();
    host_step(output, channels, &mut reals);
    to_model_order(output.axes, shape, &reals)
}

/// A tensor in the model's axis order; `elements` is in hardware order.
pub fn to_model_order<T: Copy + Default>(axes: AxisOrder, shape: Shape, elements: &[T]) -> Vec<T> {
    let mut ordered = vec![T::default(); elements.len()];
    for (&element, index) in elements.iter().zip(axes.model_indices(shape)) {
        if let Some(place) = ordered.get_mut(index as usize) {
            *place = element;
        }
    }
    ordered
}

fn host_step(output: &Output, channels: usize, reals: &mut [f64]) {
    match output.host {
        HostStep::None => {}
        HostStep::Relu => reals.iter_mut().for_each(|real| *real = real.max(0.0)),
        HostStep::Sigmoid => reals.iter_mut().for_each(|real| *real = 1.0 / (1.0 + (-*real).exp())),
        HostStep::Softmax => {
            for position in reals.chunks_mut(channels) {
                let greatest = position.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                position.iter_mut().for_each(|real| *real = (*real - greatest).exp());
                let sum: f64 = position.iter().sum();
                position.iter_mut().for_each(|real| *real /= sum);
            }
        }
    }
}
