//! Exact numbers: rationals of any size, made from float32 constants without rounding.

mod piece;

pub(crate) use piece::{Functions, Piece};

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_rational::Ratio;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// A rational number.
pub(crate) type Exact = Ratio<BigInt>;

/// Bits behind the leading one that [`sqrt`] keeps: more than 80 decimal digits.
const ROOT_BITS: u64 = 272;

/// The exact value of a float, or `None` where it is not finite.
pub(crate) fn from_f32(value: f32) -> Option<Exact> {
    if !value.is_finite() {
        return None;
    }
    let bits = value.to_bits();
    let exponent = i32::from(((bits >> 23) & 0xff) as u8);
    let fraction = i64::from(bits & 0x7f_ffff);
    let magnitude = if exponent == 0 { fraction } else { fraction | 0x80_0000 };
    let mantissa = BigInt::from(if value.is_sign_negative() { -magnitude } else { magnitude });
    let power = exponent.max(1) - 150;
    Some(if power >= 0 {
        Ratio::from_integer(mantissa << power.unsigned_abs())
    } else {
        Ratio::new(mantissa, BigInt::one() << power.unsigned_abs())
    })
}

/// An integer as a rational.
pub(crate) fn integer(value: impl Into<BigInt>) -> Exact {
    Ratio::from_integer(value.into())
}

/// A fraction; `denominator` must not be zero.
pub(crate) fn fraction(numerator: i64, denominator: i64) -> Exact {
    Ratio::new(BigInt::from(numerator), BigInt::from(denominator))
}

/// The square root of a number that is not negative: exact where it is rational, else to more than 80 digits.
pub(crate) fn sqrt(value: &Exact) -> Exact {
    let (numerator, denominator) = (value.numer(), value.denom());
    if !numerator.is_positive() {
        return Exact::zero();
    }
    // sqrt(n / d) = sqrt(n d) / d, with the radicand scaled by an even power of two.
    let radicand = numerator * denominator;
    let shift = ROOT_BITS.saturating_sub(radicand.bits() / 2);
    let root = (radicand << (2 * shift)).sqrt();
    Ratio::new(root, denominator << shift)
}

/// The nearest double (ties are not decided exactly); infinite where the number is too large.
pub(crate) fn to_f64(value: &Exact) -> f64 {
    if value.is_zero() {
        return 0.0;
    }
    let (numerator, denominator) = (value.numer().magnitude(), value.denom().magnitude());
    let clamp = |bits: u64| i64::try_from(bits).unwrap_or(i64::MAX / 4);
    let shift = 64 - (clamp(numerator.bits()) - clamp(denominator.bits()));
    let quotient = if shift >= 0 {
        (numerator << shift.unsigned_abs()) / denominator
    } else {
        numerator / (denominator << shift.unsigned_abs())
    };
    let mut result = quotient.to_f64().unwrap_or(f64::INFINITY);
    let mut power = -shift;
    while power != 0 && result.is_finite() && result != 0.0 {
        let step = power.clamp(-1000, 1000);
        result *= 2f64.powi(step as i32);
        power -= step;
    }
    if value.numer().sign() == Sign::Minus { -result } else { result }
}

/// The greatest positive number of which both are integer multiples; the other one where one is zero.
pub(crate) fn gcd(a: &Exact, b: &Exact) -> Exact {
    let numerator = (a.numer() * b.denom()).gcd(&(b.numer() * a.denom()));
    let denominator = a.denom() * b.denom();
    Ratio::new(numerator, denominator)
}

/// The integer that the number is, where it is one and fits 64 bits.
pub(crate) fn to_i64(value: &Exact) -> Option<i64> {
    if value.is_integer() { value.numer().to_i64() } else { None }
}

/// The exponent `n` for which the number is an integer over 2^n, where there is one.
pub(crate) fn dyadic_exponent(value: &Exact) -> Option<u64> {
    let exponent = value.denom().trailing_zeros().unwrap_or(0);
    (value.denom().bits() == exponent + 1).then_some(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_exact() {
        for value in [0.0f32, 1.0, -0.1, 3.4e38, 1e-45, 1.1754944e-38, -16777217.0] {
            assert_eq!(to_f64(&from_f32(value).unwrap()), f64::from(value));
        }
        assert_eq!(from_f32(f32::NAN), None);
        assert_eq!(from_f32(f32::INFINITY), None);
    }

    #[test]
    fn roots() {
        assert_eq!(sqrt(&fraction(9, 4)), fraction(3, 2));
        let root = sqrt(&fraction(2, 3));
        let error = (&root * &root / fraction(2, 3) - Exact::one()).abs();
        assert!(error < Ratio::new(BigInt::one(), BigInt::from(10).pow(80)));
        let tiny = from_f32(1e-38).unwrap();
        let root = sqrt(&tiny);
        assert!((&root * &root / tiny - Exact::one()).abs() < Ratio::new(BigInt::one(), BigInt::from(10).pow(80)));
    }

    #[test]
    fn common_measures() {
        assert_eq!(gcd(&fraction(3, 4), &fraction(1, 6)), fraction(1, 12));
        assert_eq!(gcd(&Exact::zero(), &fraction(-1, 6)), fraction(1, 6));
        assert_eq!(dyadic_exponent(&fraction(3, 8)), Some(3));
        assert_eq!(dyadic_exponent(&fraction(1, 6)), None);
        assert_eq!(dyadic_exponent(&fraction(5, 1)), Some(0));
    }
}
