//! Every vector kernel of packed dot products equals its scalar twin, and the twin a dot product written out.

use crate::build::{self, Random};
use golden_model::kernel::packed::{Narrow, Packed, Positions, SLACK, Segment};
use golden_model::kernel::{Instructions, wide};
use network::Range;
use proptest::prelude::*;

/// Segments without overlap in an image, positions over it.
#[derive(Clone, Debug)]
struct Case {
    segments: Vec<Segment>,
    positions: Positions,
    outputs: usize,
    elements: usize,
}

fn any_case() -> impl Strategy<Value = Case> {
    (proptest::collection::vec((0usize..9, 1usize..40), 1..5), 1usize..30, 0usize..50, 1usize..40, 0usize..12).prop_map(
        |(runs, count, step, outputs, base)| {
            let mut offset = 0;
            let segments = runs
                .into_iter()
                .map(|(gap, length)| {
                    let segment = Segment { offset: offset + gap, length };
                    offset += gap + length;
                    segment
                })
                .collect();
            let positions = Positions { base, step, count };
            Case { segments, positions, outputs, elements: base + count * step + offset }
        },
    )
}

impl Case {
    fn length(&self) -> usize {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// The sums written out, modulo 2^32.
    fn expected<X: Narrow>(&self, image: &[X], rows: &[Vec<i32>], initial: &[i32]) -> Vec<i32> {
        let mut sums = Vec::new();
        for position in 0..self.positions.count {
            for (row, &initial) in rows.iter().zip(initial) {
                let base = self.positions.base + position * self.positions.step;
                let inputs = self.segments.iter().flat_map(|s| &image[base + s.offset..base + s.offset + s.length]);
                let sum: i128 = inputs.zip(row).map(|(&x, &w)| i128::from(x.as_()) * i128::from(w)).sum();
                sums.push((sum + i128::from(initial)) as i32);
            }
        }
        sums
    }
}

proptest! {
    #![proptest_config(build::config(300))]

    #[test]
    fn bytes(case in any_case(), seed in any::<u64>()) {
        let random = &mut Random(seed);
        let image: Vec<u8> = random.codes(Range::new(0, 255), case.elements + SLACK).iter().map(|&v| v as u8).collect();
        let rows: Vec<Vec<i32>> = (0..case.outputs).map(|_| random.codes(Range::new(-128, 127), case.length())).collect();
        let initial = random.codes(Range::new(i32::MIN.into(), i32::MAX.into()), case.outputs);
        let packed = Packed::<i8>::new(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>(), &case.segments, &initial).unwrap();
        let expected = case.expected(&image, &rows, &initial);
        let mut sums = vec![0; expected.len()];
        packed.row_scalar(&image, case.positions, &mut sums);
        prop_assert_eq!(&sums, &expected);
        for instructions in Instructions::available() {
            sums.fill(77);
            packed.row(instructions, &image, case.positions, &mut sums);
            prop_assert_eq!(&sums, &expected, "{:?}", instructions);
        }
    }

    #[test]
    fn words(case in any_case(), seed in any::<u64>()) {
        let random = &mut Random(seed);
        let all = Range::new(-32768, 32767);
        let image: Vec<i16> = random.codes(all, case.elements + SLACK).iter().map(|&v| v as i16).collect();
        let rows: Vec<Vec<i32>> = (0..case.outputs).map(|_| random.codes(all, case.length())).collect();
        let initial = random.codes(Range::new(i32::MIN.into(), i32::MAX.into()), case.outputs);
        let packed = Packed::<i16>::new(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>(), &case.segments, &initial).unwrap();
        let expected = case.expected(&image, &rows, &initial);
        let mut sums = vec![0; expected.len()];
        packed.row_scalar(&image, case.positions, &mut sums);
        prop_assert_eq!(&sums, &expected);
        for instructions in Instructions::available() {
            sums.fill(77);
            packed.row(instructions, &image, case.positions, &mut sums);
            prop_assert_eq!(&sums, &expected, "{:?}", instructions);
        }
    }

    #[test]
    fn wide_sums(case in any_case(), seed in any::<u64>()) {
        let random = &mut Random(seed);
        let all = Range::new(-65535, 65535);
        let image = random.codes(all, case.elements + SLACK);
        let rows: Vec<Vec<i32>> = (0..case.outputs).map(|_| random.codes(all, case.length())).collect();
        let mut expected = Vec::new();
        for position in 0..case.positions.count {
            for row in &rows {
                let base = case.positions.base + position * case.positions.step;
                let inputs = case.segments.iter().flat_map(|s| &image[base + s.offset..base + s.offset + s.length]);
                expected.push(inputs.zip(row).map(|(&x, &w)| i64::from(x) * i64::from(w)).sum::<i64>());
            }
        }
        for instructions in Instructions::available() {
            let mut sums = vec![0; expected.len()];
            wide::row(instructions, &rows.concat(), &case.segments, case.outputs, &image, case.positions, &mut sums);
            prop_assert_eq!(&sums, &expected, "{:?}", instructions);
        }
    }
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let segments = [Segment { offset: 0, length: 2 }];
    assert!(Packed::<i8>::new(&[&[127, -128]], &segments, &[0]).is_some());
    assert!(Packed::<i8>::new(&[&[128, 0]], &segments, &[0]).is_none());
    assert!(Packed::<i16>::new(&[&[0, -32769]], &segments, &[0]).is_none());
    assert!(Packed::<i16>::new(&[&[0, 0, 0]], &segments, &[0]).is_none());
    assert!(Packed::<i16>::new(&[&[0, 0]], &segments, &[]).is_none());
}
