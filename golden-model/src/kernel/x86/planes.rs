//! Bit planes with x86 vector instructions: VPOPCNTQ for the branches of a product, and planes gathered from codes.
//!
//! Scalar twins: [`PackedPlanes::sums_scalar`](crate::kernel::xnor::PackedPlanes::sums_scalar) and
//! [`plane_word_scalar`](crate::kernel::xnor::plane_word_scalar).

use crate::kernel::instructions::{Instructions, Level};
use crate::kernel::xnor::{Branches, LANES};
use std::arch::x86_64::*;

/// The branches of a multi-branch product with VPOPCNTQ; `false` where the instructions have no kernel for them.
pub(in crate::kernel) fn matches(instructions: Instructions, branches: Branches<'_>, sums: &mut [i64]) -> bool {
    let words = branches.valid.len();
    if instructions.level() != Level::Avx512 || words == 0 {
        return false;
    }
    let planes = branches.activations.len() / words;
    let blocks = sums.len().div_ceil(LANES);
    if branches.weights.len() < blocks * branches.weight_planes * words * LANES || planes > 8 {
        return false;
    }
    // SAFETY: the level proves the features; the lengths were compared above.
    unsafe {
        match planes {
            0 => matches512::<0>(branches, sums),
            1 => matches512::<1>(branches, sums),
            2 => matches512::<2>(branches, sums),
            3 => matches512::<3>(branches, sums),
            4 => matches512::<4>(branches, sums),
            5 => matches512::<5>(branches, sums),
            6 => matches512::<6>(branches, sums),
            7 => matches512::<7>(branches, sums),
            _ => matches512::<8>(branches, sums),
        }
    }
    true
}

/// # Safety
/// The machine has the features; `branches` has `M` activation planes of as many words as `valid`, and weights for
/// every block of eight sums.
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
unsafe fn matches512<const M: usize>(branches: Branches<'_>, sums: &mut [i64]) {
    /// Where the first two agree and the third is set: bits 1 and 7 of the truth table.
    const XNOR_AND: i32 = 0x82;
    let Branches { activations, valid, weight_planes, .. } = branches;
    let words = valid.len();
    let activations: [&[u64]; M] = std::array::from_fn(|plane| &activations[plane * words..(plane + 1) * words]);
    for (block, sums) in sums.chunks_mut(LANES).enumerate() {
        // SAFETY: an array of eight words.
        let mut total = unsafe { _mm512_loadu_si512(branches.start(block).as_ptr().cast()) };
        for plane in 0..weight_planes {
            let first = (block * weight_planes + plane) * words * LANES;
            let weights = branches.weights[first..first + words * LANES].as_ptr();
            let mut counts = [_mm512_setzero_si512(); M];
            for word in 0..words {
                // SAFETY: `weights` has `words` times eight words, every plane and `valid` have `words`.
                unsafe {
                    let weights = _mm512_loadu_si512(weights.add(word * LANES).cast());
                    let valid = _mm512_set1_epi64(*valid.get_unchecked(word) as i64);
                    for (count, activation) in counts.iter_mut().zip(&activations) {
                        let activation = _mm512_set1_epi64(*activation.get_unchecked(word) as i64);
                        let equal = _mm512_ternarylogic_epi64::<XNOR_AND>(activation, weights, valid);
                        *count = _mm512_add_epi64(*count, _mm512_popcnt_epi64(equal));
                    }
                }
            }
            for (m, count) in counts.into_iter().enumerate() {
                let shift = _mm_cvtsi64_si128((m + plane) as i64);
                total = _mm512_add_epi64(total, _mm512_sll_epi64(count, shift));
            }
        }
        let doubled = _mm512_add_epi64(total, total);
        let result = _mm512_add_epi64(doubled, _mm512_set1_epi64(branches.offset));
        let mask = 0xff_u8 >> (LANES - sums.len());
        // SAFETY: the mask has one bit for each of the sums.
        unsafe { _mm512_mask_storeu_epi64(sums.as_mut_ptr(), mask, result) };
    }
}

/// One plane of 64 codes, or `None` where the instructions have no kernel for it.
pub(in crate::kernel) fn plane_word(instructions: Instructions, codes: &[i32; 64], plane: u32) -> Option<u64> {
    // SAFETY: the level proves the features.
    match instructions.level() {
        Level::Portable => None,
        Level::Avx2 => Some(unsafe { plane_word256(codes, plane) }),
        Level::Avx512 => Some(unsafe { plane_word512(codes, plane) }),
    }
}

#[target_feature(enable = "avx512f")]
fn plane_word512(codes: &[i32; 64], plane: u32) -> u64 {
    let bit = _mm512_set1_epi32(1 << plane);
    let (quarters, _) = codes.as_chunks::<16>();
    quarters.iter().enumerate().fold(0, |word, (quarter, codes)| {
        // SAFETY: an array of sixteen integers.
        let codes = unsafe { _mm512_loadu_si512(codes.as_ptr().cast()) };
        word | u64::from(_mm512_test_epi32_mask(codes, bit)) << (16 * quarter)
    })
}

#[target_feature(enable = "avx2")]
fn plane_word256(codes: &[i32; 64], plane: u32) -> u64 {
    // The plane's bit becomes the sign, which `vmovmskps` collects.
    let shift = _mm_cvtsi32_si128(31 - plane as i32);
    let (eighths, _) = codes.as_chunks::<8>();
    eighths.iter().enumerate().fold(0, |word, (eighth, codes)| {
        // SAFETY: an array of eight integers.
        let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
        let signs = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_sll_epi32(codes, shift)));
        word | u64::from(signs as u8) << (8 * eighth)
    })
}
