//! Parameters and memory images of the threshold unit `hwgen_threshold`.
//!
//! Input: the thresholds of a layer's channels over the accumulator as the unit
//! sees it. Output: the unit's parameters, its latency, and the words of one
//! lane's image in the layout that the module's header states. Does not choose
//! thresholds. The same numbers as one image for each step of a chain of
//! `hwgen_search_stage`, for more thresholds and wider accumulators.

/// Most thresholds of a channel in a chain of search steps, of which there are at most 17; `hwgen_threshold` has 255 at
/// most.
pub const MOST_THRESHOLDS: usize = (1 << 17) - 1;
/// Most words of a search table that is read without a register, and most bits of a word.
const DIRECT_WORDS: usize = 64;
const DIRECT_BITS: u32 = 16;

/// Thresholds of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThresholdChannel<'a> {
    /// In ascending order; equal ones are allowed. The code is the number of
    /// values `t` with accumulator >= t, or <= t for a falling channel.
    pub values: &'a [i64],
    /// Whether the code falls while the accumulator rises.
    pub falling: bool,
}

/// The threshold units of one layer: equal parameters for every lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdUnit {
    accumulator_bits: u32,
    signed: bool,
    code_bits: u32,
    groups: usize,
    lanes: usize,
    extra_bit: bool,
    falling: bool,
    /// For each channel its direction and its thresholds in unsigned order,
    /// ascending; `None` beyond every accumulator.
    channels: Vec<(bool, Vec<Option<u64>>)>,
}

/// Why a layer cannot have threshold units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdError {
    /// Accumulator bits outside 1 to 62, or an accumulator range that does not fit them.
    Accumulator {
        /// Bits of the accumulator.
        bits: u32,
    },
    /// More thresholds in a channel than a search can have steps for.
    TooMany {
        /// Number of thresholds.
        thresholds: usize,
    },
    /// Lanes that do not divide the channels, or none of either.
    Lanes {
        /// Number of channels.
        channels: usize,
        /// Number of lanes.
        lanes: usize,
    },
    /// Thresholds that are not in ascending order.
    Order {
        /// The channel.
        channel: usize,
    },
}

impl std::fmt::Display for ThresholdError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ThresholdError::Accumulator { bits } => {
                write!(f, "the accumulator's range does not fit {bits} bits, or these are not 1 to 62")
            }
            ThresholdError::TooMany { thresholds } => {
                write!(f, "{thresholds} thresholds in a channel, at most {MOST_THRESHOLDS} are possible")
            }
            ThresholdError::Lanes { channels, lanes } => {
                write!(f, "{lanes} lanes do not divide {channels} channels")
            }
            ThresholdError::Order { channel } => {
                write!(f, "the thresholds of channel {channel} are not in ascending order")
            }
        }
    }
}

impl std::error::Error for ThresholdError {}

impl ThresholdUnit {
    /// Units for `channels`, spread over `lanes`: lane p serves the channels
    /// n * lanes + p in turn, n being the group. `accumulator` is the reachable
    /// range of the accumulator, both ends included, in `accumulator_bits`.
    pub fn new(
        channels: &[ThresholdChannel<'_>],
        lanes: usize,
        accumulator_bits: u32,
        signed: bool,
        accumulator: (i64, i64),
    ) -> Result<Self, ThresholdError> {
        let (least, most) = accumulator;
        if !(1..=62).contains(&accumulator_bits) {
            return Err(ThresholdError::Accumulator { bits: accumulator_bits });
        }
        let fits = |value: i64| {
            let low = if signed { -(1i64 << (accumulator_bits - 1)) } else { 0 };
            (low..low + (1i64 << accumulator_bits)).contains(&value)
        };
        if least > most || !fits(least) || !fits(most) {
            return Err(ThresholdError::Accumulator { bits: accumulator_bits });
        }
        if channels.is_empty() || lanes == 0 || !channels.len().is_multiple_of(lanes) {
            return Err(ThresholdError::Lanes { channels: channels.len(), lanes });
        }
        let thresholds = channels.iter().map(|channel| channel.values.len()).max().unwrap_or(0);
        let code_bits = (usize::BITS - thresholds.leading_zeros()).max(1);
        if thresholds > MOST_THRESHOLDS {
            return Err(ThresholdError::TooMany { thresholds });
        }
        if let Some(channel) = channels.iter().position(|channel| !channel.values.is_sorted()) {
            return Err(ThresholdError::Order { channel });
        }
        let unit = Self {
            accumulator_bits,
            signed,
            code_bits,
            groups: channels.len() / lanes,
            lanes,
            extra_bit: false,
            falling: channels.iter().any(|channel| channel.falling),
            channels: Vec::new(),
        };
        let channels: Vec<(bool, Vec<Option<u64>>)> =
            channels.iter().map(|channel| (channel.falling, unit.ordered(channel, least, most))).collect();
        // All ones stand for "never": they need a bit of their own where an
        // accumulator can be all ones too.
        let ones = (1u64 << accumulator_bits) - 1;
        let extra_bit = channels.iter().any(|(falling, values)| {
            let greatest = if *falling { ones - unit.turned(least) } else { unit.turned(most) };
            let has_never = values.len() < (1 << code_bits) - 1 || values.iter().any(Option::is_none);
            has_never && greatest == ones
        });
        Ok(Self { extra_bit, channels, ..unit })
    }

    /// The thresholds of a channel in the unsigned order in which the unit compares.
    fn ordered(&self, channel: &ThresholdChannel<'_>, least: i64, most: i64) -> Vec<Option<u64>> {
        let ones = (1u64 << self.accumulator_bits) - 1;
        if channel.falling {
            let low = |&value: &i64| (value >= least).then(|| ones - self.turned(value.min(most)));
            channel.values.iter().rev().map(low).collect()
        } else {
            let high = |&value: &i64| (value <= most).then(|| self.turned(value.max(least)));
            channel.values.iter().map(high).collect()
        }
    }

    /// An accumulator as the unsigned number of the same order.
    fn turned(&self, value: i64) -> u64 {
        let offset = if self.signed { 1i64 << (self.accumulator_bits - 1) } else { 0 };
        (value + offset).unsigned_abs()
    }

    /// `CODE_BITS`: as many as the most thresholds of a channel need.
    pub fn code_bits(&self) -> u32 {
        self.code_bits
    }

    /// `THRESHOLD_BITS`: bits of an image word.
    pub fn threshold_bits(&self) -> u32 {
        self.accumulator_bits + u32::from(self.extra_bit)
    }

    /// `GROUPS`: channels that a lane serves in turn.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// `FALLING`.
    pub fn falling(&self) -> bool {
        self.falling
    }

    /// Cycles from the accumulator to its code.
    pub fn latency_cycles(&self) -> u32 {
        let group_bits = self.groups.next_power_of_two().trailing_zeros();
        self.code_bits + u32::from(self.falling || group_bits > 6)
    }

    /// The image of lane `lane`, `groups() << code_bits()` words; empty for a
    /// lane that does not exist.
    pub fn lane_words(&self, lane: usize) -> Vec<u64> {
        let never = (1u64 << self.threshold_bits()) - 1;
        let slots = 1usize << self.code_bits;
        self.channels
            .iter()
            .skip(lane)
            .step_by(self.lanes)
            .filter(|_| lane < self.lanes)
            .flat_map(|(falling, values)| {
                let thresholds = (1..slots).map(|code| values.get(code - 1).copied().flatten().unwrap_or(never));
                std::iter::once(u64::from(*falling)).chain(thresholds).collect::<Vec<u64>>()
            })
            .collect()
    }
}

impl ThresholdUnit {
    /// The image of step `stage`, below `code_bits()`, of lane `lane` in a chain of `hwgen_search_stage`:
    /// `groups() << stage` words.
    pub fn search_words(&self, lane: usize, stage: u32) -> Vec<u64> {
        let slots = 1usize << self.code_bits;
        let step = slots >> (stage + 1);
        let never = (1u64 << self.threshold_bits()) - 1;
        let of_lane = self.channels.iter().skip(lane).step_by(self.lanes).filter(|_| lane < self.lanes);
        of_lane
            .flat_map(|(_, values)| {
                let deciding = (step..slots).step_by(2 * step);
                deciding.map(|code| values.get(code - 1).copied().flatten().unwrap_or(never))
            })
            .collect()
    }

    /// Cycles from the accumulator to its code in a chain of `hwgen_search_stage`.
    pub fn search_latency_cycles(&self) -> u32 {
        let wide = self.threshold_bits() > DIRECT_BITS;
        (0..self.code_bits).map(|stage| 1 + u32::from(wide || self.groups << stage > DIRECT_WORDS)).sum()
    }

    /// Whether the channels of lane `lane` fall, group by group.
    pub fn lane_falling(&self, lane: usize) -> Vec<bool> {
        self.channels.iter().skip(lane).step_by(self.lanes).map(|(falling, _)| *falling).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rising_and_a_falling_channel_make_a_hand_worked_image() {
        // Accumulators -4..=3 in 3 bits: turned, -4 is 0 and 3 is 7.
        let channels = [
            ThresholdChannel { values: &[-1, 2], falling: false },
            ThresholdChannel { values: &[-2, 0], falling: true },
        ];
        let unit = ThresholdUnit::new(&channels, 1, 3, true, (-4, 3)).unwrap();
        assert_eq!((unit.code_bits(), unit.threshold_bits(), unit.latency_cycles()), (2, 4, 3));
        // Rising: -1 -> 3, 2 -> 6, then never. Falling: ~0 -> 7 - 4 = 3, ~-2 -> 7 - 2 = 5, never.
        assert_eq!(unit.lane_words(0), [0, 3, 6, 15, 1, 3, 5, 15]);
    }

    #[test]
    fn all_ones_need_no_bit_of_their_own_below_the_full_range() {
        let channels = [ThresholdChannel { values: &[0, 1], falling: false }];
        let unit = ThresholdUnit::new(&channels, 1, 3, true, (-4, 2)).unwrap();
        assert_eq!((unit.threshold_bits(), unit.lane_words(0)), (3, vec![0, 4, 5, 7]));
        let full = [ThresholdChannel { values: &[0, 1, 3], falling: false }];
        assert_eq!(ThresholdUnit::new(&full, 1, 3, true, (-4, 3)).unwrap().threshold_bits(), 3);
    }

    #[test]
    fn steps_of_a_search_have_the_thresholds_that_decide() {
        // Five thresholds 1 to 5 of unsigned accumulators: the search asks for 4, then 2 or never, then 1, 3, 5.
        let channels = [ThresholdChannel { values: &[1, 2, 3, 4, 5], falling: false }];
        let unit = ThresholdUnit::new(&channels, 1, 4, false, (0, 9)).unwrap();
        assert_eq!((unit.code_bits(), unit.search_latency_cycles()), (3, 3));
        assert_eq!(unit.search_words(0, 0), [4]);
        assert_eq!(unit.search_words(0, 1), [2, 15]);
        assert_eq!(unit.search_words(0, 2), [1, 3, 5, 15]);
    }

    #[test]
    fn wrong_layers_are_refused() {
        let one = [ThresholdChannel { values: &[0], falling: false }];
        assert!(ThresholdUnit::new(&one, 2, 8, true, (-4, 3)).is_err());
        assert!(ThresholdUnit::new(&one, 1, 8, true, (-129, 3)).is_err());
        assert!(ThresholdUnit::new(&one, 1, 0, true, (0, 0)).is_err());
        assert!(ThresholdUnit::new(&one, 1, 63, true, (0, 0)).is_err());
        let many = vec![0; MOST_THRESHOLDS + 1];
        let many = [ThresholdChannel { values: &many, falling: false }];
        assert!(ThresholdUnit::new(&many, 1, 8, true, (0, 3)).is_err());
        let wild = [ThresholdChannel { values: &[1, 0], falling: false }];
        assert!(ThresholdUnit::new(&wild, 1, 8, true, (0, 3)).is_err());
    }
}
