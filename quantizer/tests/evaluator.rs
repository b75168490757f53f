//! Networks evaluated by the golden model's plain definition, with results as real numbers in the model's order.

use network::Network;
use network::graph::{Encoding, HostStep, Tensor};
use network::requantization::{Form, Requantization, per_channel};

/// What a frame gave.
pub struct Outcome {
    /// Real results of each output, in the model's order.
    pub outputs: Vec<Vec<f64>>,
    /// Sums within 1e-6 (relative) of a code boundary.
    pub near: usize,
}

/// Evaluates one frame given as codes in the model's order, one input after the other.
pub fn evaluate(network: &Network, codes: &[i64]) -> Outcome {
    let (mut frame, mut rest): (Vec<i32>, &[i64]) = (Vec::new(), codes);
    for input in network.inputs() {
        let (own, others) = rest.split_at(input.shape.elements() as usize);
        frame.extend(input.axes.model_indices(input.shape).map(|index| own[index as usize] as i32));
        rest = others;
    }
    let trace = golden_model::define::evaluate(network, &frame).unwrap();
    let mut near = 0;
    for (index, layer) in network.layers().iter().enumerate() {
        let made = &trace.layers[index];
        let tensor = network.layer_output(index);
        for &integer in &made.output {
            assert!(
                tensor.encoding.integers().contains(integer),
                "{}: {integer} outside {:?}",
                layer.name,
                tensor.encoding
            );
        }
        let (Some(requantization), Some(sums)) = (&layer.requantization, &made.sums) else { continue };
        let channels = tensor.shape.channels as usize;
        near += sums.iter().enumerate().filter(|(place, sum)| is_near(requantization, place % channels, **sum)).count();
    }
    let outputs = network.outputs().iter().map(|output| {
        let shape = network.output_tensor(output).shape;
        let hardware = trace.tensor(output.tensor.0).unwrap();
        let mut reals = vec![0.0; hardware.len()];
        for (place, index) in output.axes.model_indices(shape).enumerate() {
            let channel = place % shape.channels as usize;
            let scale = per_channel(&output.scales, channel).unwrap();
            let real = scale * hardware[place] as f64 + per_channel(&output.offsets, channel).unwrap();
            reals[index as usize] = match output.host {
                HostStep::None | HostStep::Softmax => real,
                HostStep::Relu => real.max(0.0),
                HostStep::Sigmoid => 1.0 / (1.0 + (-real).exp()),
            };
        }
        if output.host == HostStep::Softmax {
            let total: f64 = reals.iter().map(|real| real.exp()).sum();
            reals.iter_mut().for_each(|real| *real = real.exp() / total);
        }
        reals
    });
    Outcome { outputs: outputs.collect(), near }
}

/// Whether a sum lies within 1e-6 (relative) of a boundary of the codes.
fn is_near(requantization: &Requantization, channel: usize, sum: i64) -> bool {
    let Some(rule) = &requantization.rule else {
        // A curve, whose boundaries are decided in double precision: the sums beside them.
        let code = |sum| golden_model::define::requantize(requantization, channel, sum);
        return matches!(requantization.form, Form::Table(_))
            && (code(sum) != code(sum - 1) || code(sum) != code(sum + 1));
    };
    let offset = per_channel(&rule.offsets, channel).unwrap();
    let scaled = per_channel(&rule.gains, channel).unwrap() * sum as f64;
    let value = scaled + offset;
    let boundary = value.floor() + 0.5;
    let inside = boundary > requantization.codes.min() as f64 && boundary < requantization.codes.max() as f64;
    inside && (value - boundary).abs() <= 1e-6 * scaled.abs().max(offset.abs()).max(1.0)
}

/// Codes of a float frame.
pub fn codes_of(network: &Network, frame: &[f32]) -> Vec<i64> {
    let mut rest = frame;
    let mut codes = Vec::new();
    for input in network.inputs() {
        let (own, others) = rest.split_at(input.shape.elements() as usize);
        match input.quantizer {
            None => codes.extend(own.iter().map(|&value| value as i64)),
            Some(quantizer) => codes.extend(own.iter().map(|&value| quantizer.code(value).unwrap())),
        }
        rest = others;
    }
    codes
}

/// How many elements of the network's tensors there are of each kind, for reports.
pub fn labels(network: &Network) -> Vec<String> {
    network.tensors().iter().map(|tensor: &Tensor| Encoding::label(tensor.encoding)).collect()
}
