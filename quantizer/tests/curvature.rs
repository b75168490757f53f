//! Curvature of known networks, mixtures of widths, and reconstruction of blocks.

use crate::builder::Net;
use quantizer::allocate::problem::{Problem, Subject};
use quantizer::allocate::{
    Budget, Ended, LossKind, Measure, Method, Sensitivities, Study, StudyOptions, Unwatched, allocate, study,
};
use quantizer::{Calibration, ImportOptions, Imported, PostTraining, Reconstruct, ReconstructRule, import};

/// Random numbers that are the same everywhere, from -1 to 1.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f32 / (1u64 << 30) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn post_training(shape: &[u64], values: Vec<f32>) -> PostTraining {
    let calibration = Calibration::Frames { values, shape: shape.to_vec(), integers: false };
    PostTraining { calibration, ..PostTraining::default() }
}

fn options(frames: usize) -> StudyOptions {
    StudyOptions {
        weight_bits: vec![2, 4, 8],
        activation_bits: vec![8],
        loss: Some(LossKind::Squares),
        labels: None,
        frames,
        seed: 3,
        reading: quantizer::Reading::default(),
    }
}

#[track_caller]
fn studied<T>(
    bytes: &[u8],
    post_training: &PostTraining,
    frames: usize,
    work: &mut dyn FnMut(&Study<'_>) -> Result<T, Ended>,
) -> T {
    let made = study(bytes, "net.onnx", post_training, &options(frames), &Unwatched, work);
    made.unwrap_or_else(|ended| panic!("{ended:?}"))
}

/// y = W x of 3 outputs and 4 inputs, under the mean square error to the float network: the Hessian is 2/3 of the mean
/// of x x' for each row of W. Frames a_i e_i make it diagonal, so that one probe is exact; frames of two elements each
/// are told by their products.
#[test]
fn traces_and_eigenvalues_of_a_linear_layer_are_those_of_its_inputs() {
    #[track_caller]
    fn check(frames: &[[f32; 4]], square: f64, largest: f64, within: f64) {
        let weights: Vec<f32> = numbers(5, 12);
        let net = Net::new(&[1, 4]).floats("w", &[3, 4], &weights);
        let bytes = net.node("Gemm", &["x", "w"], "y", &[("transB", crate::builder::Value::Int(1))]).bytes();
        // The first half is measured on; the rest of the frames is the same again.
        let values: Vec<f32> = frames.iter().chain(frames).flatten().copied().collect();
        let given = post_training(&[2 * frames.len() as u64, 4], values);
        studied(&bytes, &given, frames.len(), &mut |study| {
            let known = Sensitivities::default();
            let traces = known.weights(study, Measure::Trace)?;
            let eigenvalues = known.weights(study, Measure::Eigenvalue)?;
            for bits in [2, 4] {
                // Both count the same square of the change, the trace in parts of the 12 weights.
                let ratio = traces[0][&bits] / eigenvalues[0][&bits];
                let expected = (3.0 * 2.0 / 3.0 * square / 12.0) / (2.0 / 3.0 * largest);
                assert!((ratio / expected - 1.0).abs() < within, "{bits} bits: {ratio} instead of {expected}");
                assert!(traces[0][&bits] > 0.0);
            }
            Ok(())
        });
    }
    // E|x|^2 = (4 + 1 + 1 + 0.25) / 4, the largest of the mean products 4/4.
    check(
        &[[2.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.5]],
        6.25 / 4.0,
        1.0,
        0.03,
    );
    // One direction alone: x = (1, 1, 0, 0) twice and (0, 0, 1, 0): mean products (2/3) [[1,1],[1,1]] and 1/3.
    check(&[[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]], 5.0 / 3.0, 4.0 / 3.0, 0.4);
}

/// Two layers with a Relu between; the first one's weights lie on the grid of 2 bits already.
fn two_layers() -> (Vec<u8>, PostTraining) {
    let coarse: Vec<f32> = numbers(7, 32).iter().map(|value| value.clamp(-0.99, 0.99).round()).collect();
    let net = Net::new(&[1, 8]).floats("a", &[8, 4], &coarse).floats("b", &[4, 3], &numbers(8, 12));
    let bytes = net.node("MatMul", &["x", "a"], "s", &[]).node("Relu", &["s"], "r", &[]);
    let bytes = bytes.node("MatMul", &["r", "b"], "y", &[]).bytes();
    (bytes, post_training(&[16, 8], numbers(9, 128)))
}

/// A search by mixtures on a toy whose best choice is plain: that of trying every pair of widths.
#[test]
fn mixtures_find_what_exhaustive_search_finds() {
    let (bytes, given) = two_layers();
    studied(&bytes, &given, 8, &mut |study| {
        // 32 and 12 weights: 8 and 8 bits take 44 bytes; 22 bytes leave 2 bits for a and 8 for b, or 4 and 4.
        let budget = Budget::parse("size=22").map_err(Ended::from)?;
        let known = Sensitivities::default();
        let found = allocate(study, Method::Ssps, &budget, &study.tables("toy"), &known)?;
        let mut best = (f64::INFINITY, (0, 0));
        for a in [2u32, 4, 8] {
            for b in [2u32, 4, 8] {
                if 32 * a + 12 * b > 8 * 22 {
                    continue;
                }
                let mut widths = study.uniform(8, 8);
                (widths.weights[0], widths.weights[1]) = (Some(a), Some(b));
                let loss = study.loss(&widths)?;
                if loss < best.0 {
                    best = (loss, (a, b));
                }
            }
        }
        assert_eq!(best.1, (2, 8));
        assert_eq!(found.widths.weights, [Some(2), Some(8)]);
        assert_eq!(found.loss, best.0);
        Ok(())
    });
}

/// A mixture in which every decision is certain is the network of that choice, weights and activations, for every
/// choice; and the loss of a mixture changes with the probabilities of the last layer's widths as its gradient says.
#[test]
fn certain_mixtures_are_the_networks_of_their_choices() {
    let (bytes, given) = two_layers();
    let options = StudyOptions { activation_bits: vec![2, 8], ..options(8) };
    let checked = study(&bytes, "net.onnx", &given, &options, &Unwatched, &mut |study| {
        let mut tables = study.tables("toy");
        for layer in &mut tables.layers {
            layer.loss.by_weights = layer.bits.iter().map(|&bits| (bits, 1.0)).collect();
        }
        let problem = Problem::new(&tables, &Budget::default()).map_err(Ended::from)?;
        let sizes: Vec<usize> = problem.decisions().iter().map(|decision| decision.bits.len()).collect();
        assert_eq!(sizes.iter().product::<usize>(), 2 * 3 * 3);
        let mut losses = Vec::new();
        for code in 0..sizes.iter().product::<usize>() {
            let mut rest = code;
            let choice: Vec<usize> = sizes.iter().map(|size| (rest % size, rest /= size).0).collect();
            let hot = |(&size, &option): (&usize, &usize)| -> Vec<f64> {
                (0..size).map(|at| if at == option { 1.0 } else { 0.0 }).collect()
            };
            let p: Vec<Vec<f64>> = sizes.iter().zip(&choice).map(hot).collect();
            let (mixed, _) = study.mixture(&problem, &p)?;
            let plain = study.loss(&study.widths(&problem, &choice))?;
            assert!((mixed - plain).abs() <= 1e-5 * plain, "{choice:?}: {mixed} instead of {plain}");
            losses.push(plain);
        }
        losses.sort_by(f64::total_cmp);
        assert!(losses.windows(2).filter(|pair| pair[1] > 1.01 * pair[0]).count() >= 4, "{losses:?}");
        let p: Vec<Vec<f64>> = sizes.iter().map(|&size| vec![1.0 / size as f64; size]).collect();
        let (_, gradient) = study.mixture(&problem, &p)?;
        for (decision, own) in problem.decisions().iter().enumerate() {
            // Behind the last layer nothing is rounded, so that differences have the gradient's slope.
            let is_last = matches!(&own.subject, Subject::Weights(layers) if layers.contains(&1));
            for option in (0..sizes[decision]).filter(|_| is_last) {
                let at = |step: f64| {
                    let mut moved = p.clone();
                    moved[decision][option] += step;
                    study.mixture(&problem, &moved).map(|(loss, _)| loss)
                };
                let slope = (at(0.01)? - at(-0.01)?) / 0.02;
                let found = gradient[decision][option];
                assert!(
                    (found - slope).abs() <= 0.05 * slope.abs().max(0.02),
                    "{} {option}: {found}, {slope}",
                    own.name
                );
            }
        }
        Ok(())
    });
    checked.unwrap_or_else(|ended| panic!("{ended:?}"));
}

/// The joint choice never judges worse than any of its rivals, and it names the budget that could be kept.
#[test]
fn budgets_that_nothing_keeps_name_the_nearest() {
    let (bytes, given) = two_layers();
    for method in Method::ALL.iter().filter(|method| !matches!(method, Method::Spmix | Method::PdbSeparability)) {
        let refused = study(&bytes, "net.onnx", &given, &options(8), &Unwatched, &mut |study| {
            let budget = Budget::parse("size=10").map_err(Ended::from)?;
            allocate(study, *method, &budget, &study.tables("toy"), &Sensitivities::default())
        });
        let Err(Ended::Faults(faults)) = refused else { panic!("{}: {refused:?}", method.name()) };
        let fault = &faults.0[0];
        assert_eq!(fault.code, network::Code::AllocationInfeasible, "{}", method.name());
        // All at 2 bits: 44 weights take 11 bytes. First and last layer are all there is, and hawq-v3 keeps them at 8.
        let nearest = if *method == Method::HawqV3 { "size=44" } else { "size=11" };
        assert!(fault.help.contains(nearest), "{}: {}", method.name(), fault.help);
    }
}

/// Frames so large that squares of differences are beyond all floats: every method says so instead of choosing by nothing.
#[test]
fn losses_beyond_all_numbers_are_refused() {
    let (bytes, given) = two_layers();
    let Calibration::Frames { values, shape, integers } = given.calibration else { panic!() };
    let values = values.into_iter().map(|value| value * 1e25).collect();
    let given =
        PostTraining { calibration: Calibration::Frames { values, shape, integers }, ..PostTraining::default() };
    // Three of them have no choice here, or no classes.
    let apart = |method: &Method| matches!(method, Method::Spmix | Method::PdbSeparability | Method::HawqV3);
    for method in Method::ALL.iter().filter(|method| !apart(method)) {
        let refused = study(&bytes, "net.onnx", &given, &options(8), &Unwatched, &mut |study| {
            let budget = Budget::parse("size=50%").map_err(Ended::from)?;
            allocate(study, *method, &budget, &study.tables("toy"), &Sensitivities::default())
        });
        let Err(Ended::Faults(faults)) = refused else { panic!("{}: {refused:?}", method.name()) };
        assert_eq!(faults.0[0].code, network::Code::AllocationMethod, "{}: {faults}", method.name());
        assert!(faults.0[0].message.contains("no finite number"), "{}: {faults}", method.name());
    }
}

/// A residual sum, and a layer whose weights are all the same: every method chooses, and what it chooses is imported.
#[test]
fn residual_sums_and_constant_layers_are_allocated() {
    let net = Net::new(&[1, 8]).floats("a", &[8, 6], &numbers(31, 48)).floats("b", &[6, 6], &[0.25; 36]);
    let net = net.floats("c", &[6, 3], &numbers(33, 18));
    let net = net.node("MatMul", &["x", "a"], "s", &[]).node("Relu", &["s"], "r", &[]);
    let net = net.node("MatMul", &["r", "b"], "t", &[]).node("Relu", &["t"], "u", &[]);
    let bytes = net.node("Add", &["r", "u"], "v", &[]).node("MatMul", &["v", "c"], "y", &[]).bytes();
    let given = post_training(&[16, 8], numbers(34, 128));
    for method in Method::ALL.iter().filter(|method| !matches!(method, Method::Spmix | Method::PdbSeparability)) {
        let mut layer_bits = Vec::new();
        let options = StudyOptions { activation_bits: vec![4, 8], ..options(8) };
        let made = study(&bytes, "net.onnx", &given, &options, &Unwatched, &mut |study| {
            let budget = Budget::parse("size=90%").map_err(Ended::from)?;
            let found = allocate(study, *method, &budget, &study.tables("toy"), &Sensitivities::default())?;
            layer_bits = study.layer_bits(&found.widths);
            Ok((found.loss, found.held_out))
        });
        let (loss, held_out) = made.unwrap_or_else(|ended| panic!("{}: {ended:?}", method.name()));
        assert!(loss.is_finite() && held_out.is_finite(), "{}", method.name());
        let chosen = PostTraining { layer_bits, ..given.clone() };
        let options = ImportOptions { post_training: Some(chosen), ..ImportOptions::default() };
        let made = import(&bytes, "net.onnx", &options).unwrap_or_else(|faults| panic!("{}: {faults}", method.name()));
        network::Network::build(made.parts).unwrap_or_else(|faults| panic!("{}: {faults}", method.name()));
    }
}

fn reconstructed(bytes: &[u8], given: &PostTraining, rule: Option<ReconstructRule>, seed: u64) -> Imported {
    let reconstruct = rule.map(|rule| Reconstruct { rule, steps: 120, seed });
    let given = PostTraining { reconstruct, weight_bits: 3, activation_bits: 4, ..given.clone() };
    let options = ImportOptions { post_training: Some(given), ..ImportOptions::default() };
    import(bytes, "net.onnx", &options).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Blocks come nearer to the float network than nearest codes, the same for a seed, and plans say so.
#[test]
fn reconstruction_is_nearer_than_nearest_codes_and_repeats() {
    let net = Net::new(&[1, 16]).floats("a", &[16, 12], &numbers(21, 192)).floats("b", &[12, 10], &numbers(22, 120));
    let net = net.floats("c", &[10, 4], &numbers(23, 40));
    let net = net.node("MatMul", &["x", "a"], "s", &[]).node("Relu", &["s"], "r", &[]);
    let net = net.node("MatMul", &["r", "b"], "t", &[]).node("Relu", &["t"], "u", &[]);
    let bytes = net.node("MatMul", &["u", "c"], "y", &[]).bytes();
    let given = post_training(&[24, 16], numbers(24, 24 * 16));
    let plain = reconstructed(&bytes, &given, None, 1);
    let weights = |made: &Imported| -> Vec<Vec<i32>> {
        let own = made.parts.layers.iter().filter_map(|layer| layer.op.weights());
        own.map(|weights| (0..weights.outputs).flat_map(|row| weights.row(row).to_vec()).collect()).collect()
    };
    for &rule in ReconstructRule::ALL {
        let made = reconstructed(&bytes, &given, Some(rule), 1);
        let notes: Vec<&String> = made.notes.iter().filter(|note| note.contains(rule.name())).collect();
        assert_eq!(notes.len(), 2, "{:?}", made.notes);
        for note in notes {
            let share = note.split(" leaves ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
            assert!(share.is_some_and(|share| share < 90.0), "{note}");
        }
        let (before, after) = (weights(&plain), weights(&made));
        assert_ne!(before, after, "{}", rule.name());
        let farthest = before.iter().zip(&after).flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| (a - b).abs()).max();
        if rule != ReconstructRule::BitShrinking {
            // Nearest codes and fitted ones are both neighbours of the float weight.
            assert_eq!(farthest, Some(1), "{}", rule.name());
        }
        assert_eq!(weights(&reconstructed(&bytes, &given, Some(rule), 1)), after, "{}", rule.name());
        assert!(made.origins.iter().all(|origin| origin.contains("reconstructed")), "{:?}", made.origins);
    }
}
