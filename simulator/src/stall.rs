//! The stall pattern of all ends, as a function of a seed, the end and the cycle alone.
//!
//! The C++ harness holds the same function; a test compares them through the cycles of a run. Anyone who predicts cycles
//! states it again for himself: nothing here is shared with a predictor.

/// The end that offers input words.
pub const SOURCE: u64 = 0;
/// The end that takes the first output's words; output k has the number `SINK + k`.
pub const SINK: u64 = 1;

/// Whether `endpoint` does nothing in `cycle` (0 is the first rising edge with reset released).
///
/// A source that holds no offered word offers the next one in this cycle if and only if it is not stalled; once offered
/// the word stays. A sink is ready in this cycle if and only if it is not stalled. `probability` is in 0..=1.
pub fn is_stalled(seed: u64, endpoint: u64, cycle: u64, probability: f64) -> bool {
    let mixed = splitmix64(
        seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(endpoint.wrapping_mul(0xD1B5_4A32_D192_ED03))
            .wrapping_add(cycle),
    );
    ((mixed >> 11) as f64) * (1.0 / (1u64 << 53) as f64) < probability
}

/// Sebastiano Vigna's SplitMix64 output function for the state `x`.
fn splitmix64(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs of the published generator for the seed 1234567.
    #[test]
    fn splitmix64_is_the_published_generator() {
        let gamma = 0x9E37_79B9_7F4A_7C15u64;
        let outputs: Vec<u64> =
            (0..3u64).map(|step| splitmix64(1_234_567u64.wrapping_add(step.wrapping_mul(gamma)))).collect();
        assert_eq!(outputs, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn probability_bounds_never_and_always_stall() {
        for cycle in 0..1000 {
            assert!(!is_stalled(7, SOURCE, cycle, 0.0));
            assert!(is_stalled(7, SINK, cycle, 1.0));
        }
    }

    #[test]
    fn about_the_asked_share_of_cycles_stalls_and_ends_differ() {
        let source: Vec<bool> = (0..10_000).map(|cycle| is_stalled(3, SOURCE, cycle, 0.3)).collect();
        let sink: Vec<bool> = (0..10_000).map(|cycle| is_stalled(3, SINK, cycle, 0.3)).collect();
        let share = source.iter().filter(|&&stalled| stalled).count();
        assert!((2_800..3_200).contains(&share), "{share}");
        assert_ne!(source, sink);
    }
}
