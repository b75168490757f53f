//! Bit planes of {-1,+1} codes and the definition of their product.
//!
//! The bits of a bipolar code q are its planes: bit m is 1 where c_(m+1) = +1, and the value is
//! X = sum of 2^(m-1) c_m = 2q - (2^M - 1) (arXiv 1905.13389, equations 10 to 20).

use bitvec::prelude::{BitSlice, BitVec, Lsb0};

/// One plane of a vector of codes: bit n belongs to code n.
pub type Plane = BitVec<u64, Lsb0>;

/// The planes of codes, least significant first.
pub fn pack(codes: &[i32], planes: u32) -> Vec<Plane> {
    (0..planes).map(|plane| codes.iter().map(|code| code >> plane & 1 == 1).collect()).collect()
}

/// The codes of planes; what [`pack`] undoes.
pub fn unpack(planes: &[Plane]) -> Vec<i32> {
    let length = planes.first().map_or(0, |plane| plane.len());
    let code = |element: usize| planes.iter().enumerate().map(|(plane, bits)| i32::from(bits[element]) << plane).sum();
    (0..length).map(code).collect()
}

/// The multi-branch product over the elements that are `valid`:
/// S = sum of 2^(m+k-2) P_mk with P_mk = popcount(xnor(plane m, plane k)), A = 2S - N_valid (2^M-1)(2^K-1).
///
/// An element that is not valid (a padded tap) contributes zero. All lengths are equal.
pub fn product(activations: &[Plane], weights: &[Plane], valid: &BitSlice<u64, Lsb0>) -> i64 {
    let branches =
        activations.iter().enumerate().flat_map(|(m, a)| weights.iter().enumerate().map(move |(k, w)| (m, a, k, w)));
    let matches: i64 = branches
        .map(|(m, activation, k, weight)| {
            let equal = !(activation.clone() ^ weight) & valid;
            (equal.count_ones() as i64) << (m + k)
        })
        .sum();
    let most = ((1i64 << activations.len()) - 1) * ((1i64 << weights.len()) - 1);
    2 * matches - valid.count_ones() as i64 * most
}
