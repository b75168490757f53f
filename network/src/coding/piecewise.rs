//! Piecewise weights: a region tag and a code, after HMPTQ (Remote Sensing 2024, 16(21), 4042) and PWLQ (Fang et al.
//! 2020).
//!
//! Region `i` has codes of `widths[i]` bits, a step of `multipliers[i]` and, where it leaves out the middle, an offset
//! `offsets[i]`, both integer multiples of one base step. Its code c means c * multiplier where the offset is 0, else
//! offset + multiplier * c for c >= 0 and -(offset + multiplier * (-1 - c)) for c < 0: two tails that mirror each other.
//! So every weight is one exact integer, whatever hardware makes of it.

use super::StoredBits;
use crate::format::Format;
use crate::op::Weights;
use crate::range::Range;
use std::fmt;

/// Widest code of a region.
pub const MAX_CODE_BITS: u32 = 8;
/// Largest step and offset of a region.
pub const MAX_MULTIPLIER: i64 = 1 << 12;
/// Most weights that share a tag.
pub const MAX_GROUP: u64 = 4096;
/// Fewest and most regions.
const REGIONS: std::ops::RangeInclusive<usize> = 2..=4;

/// The regions of a layer's weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piecewise {
    widths: Vec<u32>,
    multipliers: Vec<i64>,
    offsets: Vec<i64>,
    group: u64,
    plain: Format,
}

impl Piecewise {
    /// Regions with a width, a multiplier and an offset each; `group` weights in a row of a dot product share a tag.
    ///
    /// # Errors
    /// What is wrong, in words: not 2 to 4 regions, lists of different lengths, a width outside 1 to 8, a multiplier
    /// that is not 1 to 4096, an offset that is not 0 to 4096, a group outside 1 to 4096, or weights that leave 16
    /// bits.
    pub fn new(widths: Vec<u32>, multipliers: Vec<i64>, offsets: Vec<i64>, group: u64) -> Result<Self, String> {
        let regions = widths.len();
        if !REGIONS.contains(&regions) {
            return Err(format!("{regions} regions, not {} to {}", REGIONS.start(), REGIONS.end()));
        }
        for (what, count) in [("multipliers", multipliers.len()), ("offsets", offsets.len())] {
            if count != regions {
                return Err(format!("{regions} regions but {count} {what}"));
            }
        }
        if let Some(width) = widths.iter().find(|width| !(1..=MAX_CODE_BITS).contains(width)) {
            return Err(format!("a region of {width} bits, outside 1 to {MAX_CODE_BITS}"));
        }
        if let Some(multiplier) = multipliers.iter().find(|multiplier| !(1..=MAX_MULTIPLIER).contains(multiplier)) {
            return Err(format!("a multiplier of {multiplier}, outside 1 to {MAX_MULTIPLIER}"));
        }
        if let Some(offset) = offsets.iter().find(|offset| !(0..=MAX_MULTIPLIER).contains(offset)) {
            return Err(format!("an offset of {offset}, outside 0 to {MAX_MULTIPLIER}"));
        }
        if !(1..=MAX_GROUP).contains(&group) {
            return Err(format!("groups of {group} weights, outside 1 to {MAX_GROUP}"));
        }
        let placeholder = Format::signed(1).ok_or("no format of 1 bit")?;
        let mut piecewise = Piecewise { widths, multipliers, offsets, group, plain: placeholder };
        let range = (0..regions).map(|region| piecewise.region_range(region)).reduce(Range::union);
        piecewise.plain = range.and_then(Format::integer_for).ok_or("weights of more than 16 bits")?;
        Ok(piecewise)
    }

    /// Number of regions.
    pub fn regions(&self) -> usize {
        self.widths.len()
    }

    /// Bits of a code of each region.
    pub fn widths(&self) -> &[u32] {
        &self.widths
    }

    /// Step of each region in base steps.
    pub fn multipliers(&self) -> &[i64] {
        &self.multipliers
    }

    /// Offset of each region in base steps; 0 where the region holds the middle.
    pub fn offsets(&self) -> &[i64] {
        &self.offsets
    }

    /// Weights in a row that share a tag.
    pub fn group(&self) -> u64 {
        self.group
    }

    /// Bits of a tag.
    pub fn tag_bits(&self) -> u32 {
        if self.regions() > 2 { 2 } else { 1 }
    }

    /// Bits of the widest code.
    pub fn code_bits(&self) -> u32 {
        self.widths.iter().copied().max().unwrap_or(1)
    }

    /// The narrowest plain format that holds every weight.
    pub fn plain(&self) -> Format {
        self.plain
    }

    /// The weight that a code of a region means; `None` beyond the regions or outside the region's codes.
    pub fn value(&self, region: usize, code: i64) -> Option<i64> {
        let half = 1i64 << (self.widths.get(region)? - 1);
        if code < -half || code >= half {
            return None;
        }
        let (multiplier, offset) = (*self.multipliers.get(region)?, *self.offsets.get(region)?);
        Some(match (offset, code < 0) {
            (0, _) => multiplier * code,
            (_, false) => offset + multiplier * code,
            (_, true) => -(offset + multiplier * (-1 - code)),
        })
    }

    /// The code of a weight in a region, or `None` where the region does not have it.
    pub fn code(&self, region: usize, value: i64) -> Option<i64> {
        let (multiplier, offset) = (*self.multipliers.get(region)?, *self.offsets.get(region)?);
        let code = if offset == 0 {
            value / multiplier
        } else {
            let magnitude = (value.abs() - offset).max(0) / multiplier;
            if value < 0 { -1 - magnitude } else { magnitude }
        };
        (self.value(region, code) == Some(value)).then_some(code)
    }

    /// The region of fewest bits that has all of these weights; the first of several.
    pub fn region_of(&self, values: &[i32]) -> Option<usize> {
        let has = |&region: &usize| values.iter().all(|&value| self.code(region, i64::from(value)).is_some());
        (0..self.regions()).filter(has).min_by_key(|&region| self.widths[region])
    }

    /// Least and greatest weight of a region.
    fn region_range(&self, region: usize) -> Range {
        let half = 1i64 << (self.widths[region] - 1);
        let ends = [-half, half - 1].map(|code| self.value(region, code).unwrap_or(0));
        Range::new(ends[0], ends[1])
    }
}

impl fmt::Display for Piecewise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<String> = self.widths.iter().map(u32::to_string).collect();
        write!(f, "piecewise{}", widths.join("/"))
    }
}

/// Regions and the tag of each group of weights, row after row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The regions.
    pub regions: Piecewise,
    /// One tag for each group; every row starts a new group.
    pub tags: Vec<u8>,
}

impl Tagged {
    /// The tags of fewest bits for a matrix of weights.
    ///
    /// # Errors
    /// Row and place of the first group that no region has.
    pub fn fewest_bits(regions: Piecewise, length: usize, values: &[i32]) -> Result<Self, (usize, usize)> {
        let group = regions.group as usize;
        let mut tags = Vec::new();
        for (row, values) in values.chunks(length.max(1)).enumerate() {
            for (index, values) in values.chunks(group).enumerate() {
                tags.push(regions.region_of(values).ok_or((row, index * group))? as u8);
            }
        }
        Ok(Tagged { regions, tags })
    }

    /// Groups of a row of `length` weights.
    pub fn row_groups(&self, length: usize) -> usize {
        length.div_ceil(self.regions.group as usize)
    }

    /// The region of a weight.
    pub fn region(&self, row: usize, place: usize, length: usize) -> usize {
        let index = row * self.row_groups(length) + place / self.regions.group as usize;
        self.tags.get(index).copied().map_or(0, usize::from)
    }

    /// The region and the code of a weight.
    pub fn tag_and_code(&self, weights: &Weights, row: usize, place: usize) -> Option<(usize, i64)> {
        let region = self.region(row, place, weights.length);
        let value = weights.row(row).get(place).copied()?;
        Some((region, self.regions.code(region, i64::from(value))?))
    }

    /// Bits of codes and tags, every code as wide as its region and every tag of fixed width.
    pub fn stored_bits(&self, outputs: usize, length: usize) -> StoredBits {
        let groups = self.row_groups(length);
        let group = self.regions.group as usize;
        let bits = self.tags.iter().enumerate().map(|(index, &tag)| {
            let weights = (length - (index % groups.max(1)) * group).min(group);
            weights as u64 * u64::from(self.regions.widths.get(usize::from(tag)).copied().unwrap_or(0))
        });
        StoredBits { payload: bits.sum(), tags: (outputs * groups) as u64 * u64::from(self.regions.tag_bits()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(widths: &[u32], multipliers: &[i64], offsets: &[i64]) -> Result<Piecewise, String> {
        Piecewise::new(widths.to_vec(), multipliers.to_vec(), offsets.to_vec(), 1)
    }

    #[test]
    fn codes_mean_multiples_and_mirrored_tails() {
        // By hand: region 0 is {-2..1} * 3; region 1 starts at 5 on both sides with step 4.
        let piecewise = regions(&[2, 3], &[3, 4], &[0, 5]).unwrap();
        let values = |region, codes: std::ops::Range<i64>| -> Vec<i64> {
            codes.map(|code| piecewise.value(region, code).unwrap()).collect()
        };
        assert_eq!(values(0, -2..2), [-6, -3, 0, 3]);
        assert_eq!(values(1, -4..4), [-17, -13, -9, -5, 5, 9, 13, 17]);
        assert_eq!((piecewise.value(0, 2), piecewise.value(1, -5), piecewise.value(2, 0)), (None, None, None));
        assert_eq!(piecewise.plain().to_string(), "s6");
        for region in 0..2 {
            for value in -40..40 {
                if let Some(code) = piecewise.code(region, value) {
                    assert_eq!(piecewise.value(region, code), Some(value));
                }
            }
        }
        assert_eq!(piecewise.code(1, 7), None);
        assert_eq!(piecewise.code(1, 0), None);
        assert_eq!(piecewise.region_of(&[3, -6]), Some(0));
        assert_eq!(piecewise.region_of(&[5, -17]), Some(1));
        assert_eq!(piecewise.region_of(&[3, 5]), None);
    }

    #[test]
    fn wrong_regions_are_told() {
        for (found, text) in [
            (regions(&[2], &[1], &[0]), "1 regions, not 2 to 4"),
            (regions(&[2, 4], &[1], &[0, 0]), "2 regions but 1 multipliers"),
            (regions(&[2, 9], &[1, 1], &[0, 0]), "a region of 9 bits"),
            (regions(&[2, 4], &[0, 1], &[0, 0]), "a multiplier of 0"),
            (regions(&[2, 4], &[1, 1], &[0, -1]), "an offset of -1"),
            (regions(&[2, 8], &[1, 4096], &[0, 0]), "weights of more than 16 bits"),
        ] {
            assert!(found.unwrap_err().contains(text), "{text}");
        }
    }

    #[test]
    fn stored_bits_count_ragged_groups_and_tags() {
        // Rows of 5 weights in groups of 2: 3 tags a row. Widths 2 and 4.
        let piecewise = Piecewise::new(vec![2, 4], vec![1, 1], vec![0, 0], 2).unwrap();
        let tagged = Tagged::fewest_bits(piecewise, 5, &[1, 0, 1, 5, 1, 7, 0, 0, 0, 7]).unwrap();
        assert_eq!(tagged.tags, [0, 1, 0, 1, 0, 1]);
        let bits = tagged.stored_bits(2, 5);
        assert_eq!((bits.payload, bits.tags), ((2 * 2 + 2 * 4 + 2) + (2 * 4 + 2 * 2 + 4), 6));
    }
}
