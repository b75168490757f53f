//! Stall patterns: which endpoint pauses in which cycle.
//!
//! A pattern is a stateless hash of (seed, endpoint, cycle), so a simulator in
//! another language can follow the same rule and every pattern repeats from its
//! seed. Endpoint 0 is the source and 1 the sink of a chain; further sources
//! and sinks take further numbers. Cycle 0 is the first rising edge with reset
//! low.

/// How often the two kinds of endpoints pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stalls {
    /// Seed of the pattern.
    pub seed: u64,
    /// Share of cycles, 0 to below 1, in which a source that holds no word offers none.
    pub source_probability: f64,
    /// Share of cycles, 0 to below 1, in which a sink is not ready.
    pub sink_probability: f64,
}

impl Stalls {
    /// The pattern in which sources and sinks pause equally often.
    pub fn uniform(seed: u64, probability: f64) -> Self {
        Self { seed, source_probability: probability, sink_probability: probability }
    }
}

/// Whether `endpoint` pauses in `cycle`: the hash, as a number in [0, 1), is
/// below `probability`. All arithmetic wraps at 64 bits.
pub fn stalled(seed: u64, endpoint: u64, cycle: u64, probability: f64) -> bool {
    let key = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(endpoint.wrapping_mul(0xD1B5_4A32_D192_ED03))
        .wrapping_add(cycle);
    let fraction = (splitmix64(key) >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
    fraction < probability
}

/// One output of the SplitMix64 generator (Steele, Lea, Flood 2014) at state `x`.
fn splitmix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs for seed 0 and seed 1234567, as published with the generator.
    #[test]
    fn splitmix64_gives_the_published_sequence() {
        assert_eq!(splitmix64(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(splitmix64(0x9E37_79B9_7F4A_7C15), 0x6E78_9E6A_A1B9_65F4);
        assert_eq!(splitmix64(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn stalls_come_as_often_as_asked() {
        for probability in [0.0, 0.1, 0.5, 0.9] {
            let count = (0..100_000).filter(|&cycle| stalled(7, 1, cycle, probability)).count();
            let share = count as f64 / 100_000.0;
            assert!((share - probability).abs() < 0.01, "{probability}: {share}");
        }
    }

    #[test]
    fn endpoints_and_seeds_differ() {
        let pattern =
            |seed, endpoint| -> Vec<bool> { (0..200).map(|cycle| stalled(seed, endpoint, cycle, 0.5)).collect() };
        assert_ne!(pattern(1, 0), pattern(1, 1));
        assert_ne!(pattern(1, 0), pattern(2, 0));
    }
}
