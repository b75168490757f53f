//! Random frames, and the vectors that an emitted design carries with it: frames with what the golden model makes of them.

use golden_model::{EvaluateError, Evaluator};
use hdl_gen::TestVector;
use network::Network;
use network::random::Stream;

/// Frames that an emitted testbench sends.
const EMITTED_FRAMES: usize = 3;
/// Seed of those frames: a design's bytes depend on nothing but its plan.
const EMITTED_SEED: u64 = 1;

/// One frame of codes in hardware order, one input after the other, each code that an input can take equally likely.
pub fn random_frame(network: &Network, stream: &mut Stream) -> Vec<i32> {
    let mut frame = Vec::new();
    for input in network.input_tensors() {
        let range = input.encoding.integers();
        let count = (range.max() - range.min() + 1).unsigned_abs();
        let code = |_| (range.min() + (stream.next_word() % count) as i64) as i32;
        frame.extend((0..input.shape.elements()).map(code));
    }
    frame
}

/// `frames` random frames of a seed.
pub fn random_frames(network: &Network, seed: u64, frames: usize) -> Vec<Vec<i32>> {
    let mut stream = Stream::for_layer(seed, "input");
    (0..frames).map(|_| random_frame(network, &mut stream)).collect()
}

/// The vectors that go into an emitted design, in mode 0 where there are modes.
///
/// # Errors
/// A network whose tensors are too large to be evaluated.
pub fn test_vectors(network: &Network) -> Result<Vec<TestVector>, EvaluateError> {
    let mode = network.in_mode(0).map_or_else(|_| network.clone(), |mode| mode.network);
    let evaluator = Evaluator::new(&mode);
    let vector = |frame: &Vec<i32>| {
        let trace = evaluator.evaluate(frame)?;
        Ok(TestVector { output: trace.outputs(evaluator.network()), input: trace.frame() })
    };
    random_frames(network, EMITTED_SEED, EMITTED_FRAMES).iter().map(vector).collect()
}
