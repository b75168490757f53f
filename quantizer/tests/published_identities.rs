//! What the publications state about plane codes and breakpoints, on the formats and quantizers that plans are made of.

use crate::builder::Net;
use network::graph::Encoding;
use network::modes::truncated_weights;
use network::op::Weights;
use network::random::Stream;
use network::{Format, Network, Range};
use quantizer::piecewise::{gaussian_breakpoint, laplace_breakpoint, normal_cdf};
use quantizer::{Calibration, ImportOptions, PostTraining, import};
use std::f64::consts::PI;

fn bipolar(planes: u32) -> Format {
    Format::bipolar(planes).unwrap()
}

/// arXiv 1905.13389, equations 11 and 15: the sine encoder gives the bits of the level index, and the planes add up to
/// the value.
#[test]
fn the_sine_encoder_gives_the_bits_of_the_level() {
    for planes in 1..=8u32 {
        let most = f64::from((1u32 << planes) - 1);
        for step in 0..2000 {
            // Between decision thresholds, where the sign is that of no zero.
            let x = -1.0 + (f64::from(step) + 0.497_313) / 1000.0;
            let level = (most * (x + 1.0) / 2.0 + 0.5).floor() as i64;
            let mut sum = 0;
            for plane in 1..=planes {
                let angle = most * PI * x / f64::from(1u32 << plane);
                let sine = if plane == planes { angle.sin() } else { -angle.sin() };
                let sign = if sine > 0.0 { 1 } else { -1 };
                assert_eq!(sign, 2 * (level >> (plane - 1) & 1) - 1, "{planes} planes, plane {plane}, {x}");
                sum += sign << (plane - 1);
            }
            assert_eq!(bipolar(planes).value(level), sum);
            // The weight grid of DoReFa without its rescale is the same one.
            let grid = 2.0 * (most * (x + 1.0) / 2.0 + 0.5).floor() / most - 1.0;
            assert!((grid - sum as f64 / most).abs() < 1e-12);
        }
    }
}

/// Equations 9, 17 and 18, and the closed form, for every pair of plane counts.
#[test]
fn branches_add_up_to_the_dot_product() {
    let mut stream = Stream::for_layer(5, "branches");
    for m in 1..=8u32 {
        for k in 1..=8u32 {
            let taps = 1 + (stream.next_word() % 40) as i64;
            let mut draw = |planes: u32| -> Vec<i64> {
                (0..taps).map(|_| (stream.next_word() >> 20) as i64 & ((1 << planes) - 1)).collect()
            };
            let (x, w) = (draw(m), draw(k));
            let exact: i64 = x.iter().zip(&w).map(|(x, w)| bipolar(m).value(*x) * bipolar(k).value(*w)).sum();
            let (mut counted, mut branches) = (0, 0);
            for (a, b) in (0..m).flat_map(|a| (0..k).map(move |b| (a, b))) {
                let matches = x.iter().zip(&w).filter(|(x, w)| *x >> a & 1 == *w >> b & 1).count() as i64;
                counted += matches << (a + b);
                branches += (2 * matches - taps) << (a + b);
            }
            let all = ((1 << m) - 1) * ((1 << k) - 1);
            assert_eq!((branches, 2 * counted - taps * all), (exact, exact));
            assert_eq!((exact - taps) % 2, 0, "the sum has the parity of the taps");
            let dot: i64 = x.iter().zip(&w).map(|(x, w)| x * w).sum();
            let (sum_x, sum_w) = (x.iter().sum::<i64>(), w.iter().sum::<i64>());
            let corrected = 4 * dot - 2 * ((1 << k) - 1) * sum_x - 2 * ((1 << m) - 1) * sum_w + taps * all;
            assert_eq!(corrected, exact);
        }
    }
}

/// Planes that are dropped: floor of the level, and the value less its dropped odd part.
#[test]
fn dropped_planes_leave_the_floor() {
    let values: Vec<i32> = (0..256).map(|level| 2 * level - 255).collect();
    let weights = Weights::plain(bipolar(8), 1, 256, values);
    for kept in 1..=8u32 {
        let cut = truncated_weights(&weights, kept);
        for (level, &value) in cut.row(0).iter().enumerate() {
            let own = i64::from(value);
            assert_eq!(bipolar(kept).code(own), Some(level as i64 >> (8 - kept)));
            let dropped = 2 * level as i64 - 255 - (own << (8 - kept));
            assert_eq!(dropped, 2 * (level as i64 & ((1 << (8 - kept)) - 1)) - ((1 << (8 - kept)) - 1));
        }
    }
}

/// HReLU: codes behind a Relu on the grid of planes never change their top plane.
#[test]
fn the_top_plane_is_constant_behind_a_relu() {
    for planes in 2..=8u32 {
        let bytes = Net::new(&[1, 4])
            .floats("w", &[4, 3], &[0.5, -0.25, 1.0, -1.0, 0.75, 0.25, 0.125, -0.5, 0.5, 1.0, -0.75, 0.25])
            .floats("v", &[3, 2], &[1.0, -0.5, 0.25, 0.75, -1.0, 0.5])
            .node("MatMul", &["x", "w"], "h", &[])
            .node("Relu", &["h"], "a", &[])
            .node("MatMul", &["a", "v"], "y", &[])
            .bytes();
        let values: Vec<f32> = (0..80).map(|index| (index as f32 * 0.37).sin()).collect();
        let post_training = Some(PostTraining {
            calibration: Calibration::Frames { values, shape: vec![20, 4], integers: false },
            activation_bits: planes,
            planes: true,
            ..PostTraining::default()
        });
        let options = ImportOptions { post_training, ..ImportOptions::default() };
        let imported = import(&bytes, "net.onnx", &options).unwrap_or_else(|faults| panic!("{faults}"));
        let network = Network::build(imported.parts).unwrap();
        let Encoding::Codes { format, range } = network.layer_input(&network.layers()[1]).encoding else { panic!() };
        assert_eq!((format, range), (bipolar(planes), Range::new(1 << (planes - 1), (1 << planes) - 1)));
    }
}

/// PWLQ's closed form for Laplace weights of unit variance is near the minimum of its error, found by trying.
#[test]
fn the_laplace_breakpoint_is_near_the_least_error() {
    let below = |x: f64| 1.0 - 0.5 * (-x * 2f64.sqrt()).exp();
    for m in [4.0, 6.0, 8.0, 10.0] {
        let error = |p: f64| (2.0 * below(p) - 1.0) * p * p + 2.0 * (1.0 - below(p)) * (m - p).powi(2);
        let best = (1..5000).map(|step| m * f64::from(step) / 10_000.0).min_by(|a, b| error(*a).total_cmp(&error(*b)));
        let (best, closed) = (best.unwrap(), laplace_breakpoint(m));
        assert!((closed - (0.80304483 * m.sqrt() - 0.3166786)).abs() < 1e-12);
        assert!((closed - best).abs() < 0.1 * best && error(closed) < 1.02 * error(best), "{m}: {closed}, {best}");
    }
    // The same for the normal distribution: the stationary point is the least error.
    for m in [3.0, 4.0, 6.0] {
        let error = |p: f64| (2.0 * normal_cdf(p) - 1.0) * p * p + 2.0 * (1.0 - normal_cdf(p)) * (m - p).powi(2);
        let best = (1..5000).map(|step| m * f64::from(step) / 10_000.0).min_by(|a, b| error(*a).total_cmp(&error(*b)));
        assert!((gaussian_breakpoint(m) - best.unwrap()).abs() < 1e-3);
    }
}
