//! Rounding modes of quantizers, under QONNX's names and with QONNX's meanings.

use serde::{Deserialize, Serialize};

/// How a real number becomes an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To nearest, ties to even (QONNX `ROUND`).
    #[default]
    HalfEven,
    /// To nearest, ties away from zero (`HALF_UP`).
    HalfUp,
    /// To nearest, ties towards zero (`HALF_DOWN`).
    HalfDown,
    /// Towards positive infinity (`CEIL`).
    Ceil,
    /// Towards negative infinity (`FLOOR`).
    Floor,
    /// Away from zero (`UP`).
    Up,
    /// Towards zero (`DOWN`, `ROUND_TO_ZERO`).
    Down,
}

impl Rounding {
    /// The mode of a QONNX attribute, in any case of letters.
    pub fn from_qonnx(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "ROUND" | "HALF_EVEN" => Rounding::HalfEven,
            "HALF_UP" => Rounding::HalfUp,
            "HALF_DOWN" => Rounding::HalfDown,
            "CEIL" => Rounding::Ceil,
            "FLOOR" => Rounding::Floor,
            "UP" => Rounding::Up,
            "DOWN" | "ROUND_TO_ZERO" => Rounding::Down,
            _ => return None,
        })
    }

    /// Rounds a float; exact, since every float of this size is a multiple of its last place.
    pub fn apply(self, value: f32) -> f32 {
        let towards_zero = value.trunc();
        let fraction = (value - towards_zero).abs();
        let away = towards_zero + value.signum() * f32::from(u8::from(fraction > 0.0));
        match self {
            Rounding::HalfEven => value.round_ties_even(),
            Rounding::HalfUp => value.round(),
            Rounding::HalfDown => {
                if fraction > 0.5 {
                    away
                } else {
                    towards_zero
                }
            }
            Rounding::Ceil => value.ceil(),
            Rounding::Floor => value.floor(),
            Rounding::Up => away,
            Rounding::Down => towards_zero,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rounding::{self, *};

    #[track_caller]
    fn check(mode: Rounding, expected: [f32; 8]) {
        let values = [-2.5, -1.5, -1.2, -0.5, 0.5, 1.2, 1.5, 2.5];
        assert_eq!(values.map(|value| mode.apply(value)), expected, "{mode:?}");
    }

    #[test]
    fn ties_and_signs() {
        check(HalfEven, [-2.0, -2.0, -1.0, 0.0, 0.0, 1.0, 2.0, 2.0]);
        check(HalfUp, [-3.0, -2.0, -1.0, -1.0, 1.0, 1.0, 2.0, 3.0]);
        check(HalfDown, [-2.0, -1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 2.0]);
        check(Ceil, [-2.0, -1.0, -1.0, 0.0, 1.0, 2.0, 2.0, 3.0]);
        check(Floor, [-3.0, -2.0, -2.0, -1.0, 0.0, 1.0, 1.0, 2.0]);
        check(Up, [-3.0, -2.0, -2.0, -1.0, 1.0, 2.0, 2.0, 3.0]);
        check(Down, [-2.0, -1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 2.0]);
    }
}
