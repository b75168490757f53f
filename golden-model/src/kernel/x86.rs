//! The packed dot products with x86 vector instructions: `vpdpbusd` and `vpdpwssd` of AVX-512 VNNI, `vpmaddwd` of AVX2.
//!
//! With [`planes`] the only module with pointer arithmetic. Each function checks once that all it reads and writes is there, and has
//! [`Packed::row_scalar`] as its scalar twin.

#![allow(unsafe_code)]

pub(super) mod planes;

use super::instructions::{Instructions, Level};
use super::packed::{LANES, Narrow, Packed, Positions};
use std::arch::x86_64::*;

/// Bytes times signed bytes; `false` where the instructions have no kernel for them.
pub(super) fn bytes_row(
    instructions: Instructions,
    packed: &Packed<i8>,
    image: &[u8],
    positions: Positions,
    sums: &mut [i32],
) -> bool {
    match instructions.level() {
        Level::Portable | Level::Avx2 => false,
        Level::Avx512 => {
            let work = Work::new(packed, image, positions, sums);
            // SAFETY: the level proves the features, `Work::new` the bounds.
            work.is_some_and(|work| unsafe {
                bytes_avx512::row(work);
                true
            })
        }
    }
}

/// 16-bit words times 16-bit words; `false` where the instructions have no kernel for them.
pub(super) fn words_row(
    instructions: Instructions,
    packed: &Packed<i16>,
    image: &[i16],
    positions: Positions,
    sums: &mut [i32],
) -> bool {
    let work = match instructions.level() {
        Level::Portable => return false,
        Level::Avx2 | Level::Avx512 => Work::new(packed, image, positions, sums),
    };
    // SAFETY: the level proves the features, `Work::new` the bounds.
    work.is_some_and(|work| unsafe {
        match instructions.level() {
            Level::Avx512 => words_avx512::row(work),
            Level::Portable | Level::Avx2 => words_avx2::row(work),
        }
        true
    })
}

/// A call with its bounds checked: every group of every position lies in `image`, every sum in `sums`.
struct Work<'a, X, W> {
    packed: &'a Packed<W>,
    image: &'a [X],
    positions: Positions,
    sums: &'a mut [i32],
}

impl<'a, X: Narrow, W: Narrow> Work<'a, X, W> {
    fn new(packed: &'a Packed<W>, image: &'a [X], positions: Positions, sums: &'a mut [i32]) -> Option<Self> {
        let same_group = X::GROUP == W::GROUP;
        (same_group && packed.fits(image.len(), positions, sums.len())).then_some(Work {
            packed,
            image,
            positions,
            sums,
        })
    }
}

/// A row kernel: tiles of eight, four and one positions by one block of 16 outputs.
///
/// `$vector` holds the 16 sums; `$load` and `$store` move them; `$weights` reads the weights of a group;
/// `$step` adds the products of one group of inputs, broadcast to all lanes.
macro_rules! row_kernel {
    ($name:ident, $features:literal, $input:ty, $weight:ty, $vector:ty, $load:ident, $store:ident, $step:ident) => {
        mod $name {
            use super::*;

            /// # Safety
            /// The machine has the features; `work` was made by [`Work::new`].
            #[target_feature(enable = $features)]
            pub(super) unsafe fn row(work: Work<'_, $input, $weight>) {
                let Work { packed, image, positions, sums } = work;
                let size = packed.groups.len() * LANES * <$weight as Narrow>::GROUP;
                for block in 0..packed.initial.len() / LANES {
                    let weights = packed.weights[block * size..(block + 1) * size].as_ptr();
                    let initial = packed.initial[block * LANES..(block + 1) * LANES].as_ptr();
                    let lanes = (packed.outputs - block * LANES).min(LANES);
                    let mut position = 0;
                    while position < positions.count {
                        let first = positions.base + position * positions.step;
                        // SAFETY: `Work::new` proved that every position's groups and sums are inside.
                        unsafe {
                            let input = image.as_ptr().add(first);
                            let sum = sums.as_mut_ptr().add(position * packed.outputs + block * LANES);
                            let left = positions.count - position;
                            let tile =
                                Tile { groups: &packed.groups, step: positions.step, outputs: packed.outputs, lanes };
                            if left >= 8 {
                                tile.positions::<8>(input, weights, initial, sum);
                                position += 8;
                            } else if left >= 4 {
                                tile.positions::<4>(input, weights, initial, sum);
                                position += 4;
                            } else if left >= 2 {
                                tile.positions::<2>(input, weights, initial, sum);
                                position += 2;
                            } else {
                                tile.one(input, weights, initial, sum);
                                position += 1;
                            }
                        }
                    }
                }
            }

            struct Tile<'a> {
                groups: &'a [usize],
                step: usize,
                outputs: usize,
                lanes: usize,
            }

            impl Tile<'_> {
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn positions<const P: usize>(
                    &self,
                    input: *const $input,
                    weights: *const $weight,
                    initial: *const i32,
                    sums: *mut i32,
                ) {
                    // SAFETY: the caller's pointers reach every group of P positions.
                    unsafe {
                        let mut acc: [$vector; P] = [$load(initial.cast()); P];
                        for (group, &offset) in self.groups.iter().enumerate() {
                            let weights = weights.add(group * LANES * <$weight as Narrow>::GROUP);
                            let weights = $load(weights.cast());
                            let input = input.add(offset);
                            for (position, acc) in acc.iter_mut().enumerate() {
                                let inputs = input.add(position * self.step).cast::<i32>().read_unaligned();
                                *acc = $step(*acc, inputs, weights);
                            }
                        }
                        for (position, acc) in acc.iter().enumerate() {
                            $store(sums.add(position * self.outputs), *acc, self.lanes);
                        }
                    }
                }

                /// One position with four chains of sums, so that a long dot product does not wait for itself.
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn one(
                    &self,
                    input: *const $input,
                    weights: *const $weight,
                    initial: *const i32,
                    sums: *mut i32,
                ) {
                    // SAFETY: the caller's pointers reach every group of one position.
                    unsafe {
                        let zero = [0i32; LANES];
                        let mut acc: [$vector; 4] = [$load(zero.as_ptr().cast()); 4];
                        acc[0] = $load(initial.cast());
                        let size = LANES * <$weight as Narrow>::GROUP;
                        let mut weights = weights;
                        let mut chunks = self.groups.chunks_exact(4);
                        for chunk in &mut chunks {
                            for (chain, acc) in acc.iter_mut().enumerate() {
                                let inputs = input.add(chunk[chain]).cast::<i32>().read_unaligned();
                                *acc = $step(*acc, inputs, $load(weights.add(chain * size).cast()));
                            }
                            weights = weights.add(4 * size);
                        }
                        for &offset in chunks.remainder() {
                            let inputs = input.add(offset).cast::<i32>().read_unaligned();
                            acc[0] = $step(acc[0], inputs, $load(weights.cast()));
                            weights = weights.add(size);
                        }
                        let mut chains = [[0i32; LANES]; 4];
                        for (chain, acc) in chains.iter_mut().zip(acc) {
                            $store(chain.as_mut_ptr(), acc, LANES);
                        }
                        for lane in 0..self.lanes {
                            let sum = chains.iter().fold(0i32, |sum, chain| sum.wrapping_add(chain[lane]));
                            sums.add(lane).write(sum);
                        }
                    }
                }
            }
        }
    };
}

row_kernel!(bytes_avx512, "avx512f,avx512bw,avx512vl,avx512vnni", u8, i8, __m512i, load512, store512, bytes_step512);
row_kernel!(words_avx512, "avx512f,avx512bw,avx512vl,avx512vnni", i16, i16, __m512i, load512, store512, words_step512);
row_kernel!(words_avx2, "avx2", i16, i16, [__m256i; 2], load256, store256, words_step256);

/// # Safety
/// 64 bytes can be read.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load512(from: *const __m512i) -> __m512i {
    // SAFETY: as promised by the caller; the load needs no alignment.
    unsafe { _mm512_loadu_si512(from) }
}

/// # Safety
/// `lanes` integers, at most 16, can be written.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store512(to: *mut i32, sums: __m512i, lanes: usize) {
    let mask = (0xffff_u32 >> (LANES - lanes)) as __mmask16;
    // SAFETY: as promised by the caller; masked lanes are not touched.
    unsafe { _mm512_mask_storeu_epi32(to, mask, sums) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn bytes_step512(sums: __m512i, inputs: i32, weights: __m512i) -> __m512i {
    _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(inputs), weights)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn words_step512(sums: __m512i, inputs: i32, weights: __m512i) -> __m512i {
    _mm512_dpwssd_epi32(sums, _mm512_set1_epi32(inputs), weights)
}

/// # Safety
/// 64 bytes can be read.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load256(from: *const __m256i) -> [__m256i; 2] {
    // SAFETY: as promised by the caller; the loads need no alignment.
    unsafe { [_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1))] }
}

/// # Safety
/// `lanes` integers, at most 16, can be written.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store256(to: *mut i32, sums: [__m256i; 2], lanes: usize) {
    let mut all = [0i32; LANES];
    // SAFETY: `all` has 16 places; the caller promises `lanes` at `to`.
    unsafe {
        _mm256_storeu_si256(all.as_mut_ptr().cast(), sums[0]);
        _mm256_storeu_si256(all.as_mut_ptr().add(8).cast(), sums[1]);
        std::ptr::copy_nonoverlapping(all.as_ptr(), to, lanes);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn words_step256(sums: [__m256i; 2], inputs: i32, weights: [__m256i; 2]) -> [__m256i; 2] {
    let inputs = _mm256_set1_epi32(inputs);
    [
        _mm256_add_epi32(sums[0], _mm256_madd_epi16(inputs, weights[0])),
        _mm256_add_epi32(sums[1], _mm256_madd_epi16(inputs, weights[1])),
    ]
}
