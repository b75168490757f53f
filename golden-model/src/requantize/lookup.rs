//! Search among many thresholds: a bucket of sums tells where to begin, a few steps without branches find the count.

use network::Range;
use num_traits::PrimInt;

/// Thresholds and codes of all channels, laid out for the search.
pub(crate) struct Lookup<T> {
    channels: Vec<Channel<T>>,
    /// For each bucket of each row the first place in `thresholds` that it may hold.
    first: Vec<u32>,
    /// Ascending in each row, then enough of the greatest number to let every search end there.
    thresholds: Vec<T>,
    /// The code behind as many thresholds.
    codes: Vec<i32>,
    /// Places of the first step of a search: a power of two, or 0.
    step: usize,
}

/// A channel's buckets: sums are clamped between its thresholds and counted from the first one.
#[derive(Clone, Copy)]
struct Channel<T> {
    least: T,
    most: T,
    bucket_bits: u32,
    bucket: usize,
}

/// Steps of one row: ascending thresholds that lie apart, and one code more than thresholds.
struct Steps {
    thresholds: Vec<i64>,
    codes: Vec<i64>,
}

impl<T: PrimInt + TryFrom<i64>> Lookup<T> {
    /// Lays out `rows` of (thresholds in ascending order, codes) for so many channels, where a single row stands for
    /// all, over sums in `sums`. `None` where a number does not fit, or a row has no codes.
    pub(crate) fn new(rows: &[(Vec<i64>, Vec<i64>)], channels: usize, sums: Range) -> Option<Self> {
        let rows: Vec<Steps> =
            rows.iter().map(|(thresholds, codes)| Steps::new(thresholds, codes, sums)).collect::<Option<_>>()?;
        let mut lookup = Lookup {
            channels: Vec::with_capacity(channels),
            first: Vec::new(),
            thresholds: Vec::new(),
            codes: Vec::new(),
            step: 0,
        };
        let mut laid = Vec::with_capacity(rows.len());
        let mut starts = Vec::with_capacity(rows.len());
        let mut most_in_bucket = 0;
        for row in &rows {
            let (Some(&least), Some(&most)) = (row.thresholds.first(), row.thresholds.last()) else {
                laid.push((0, 0, 0));
                starts.push(vec![0]);
                continue;
            };
            let span = most.abs_diff(least);
            let buckets_log2 = row.thresholds.len().next_power_of_two().ilog2() + 1;
            let bucket_bits = (64 - span.leading_zeros()).saturating_sub(buckets_log2);
            let mut reached = 0;
            let mut start = Vec::with_capacity((span >> bucket_bits) as usize + 1);
            for bucket in 0..=span >> bucket_bits {
                let begin = reached;
                while row.thresholds.get(reached).is_some_and(|t| t.abs_diff(least) >> bucket_bits == bucket) {
                    reached += 1;
                }
                most_in_bucket = most_in_bucket.max(reached - begin);
                start.push(begin as u32);
            }
            laid.push((least, most, bucket_bits));
            starts.push(start);
        }
        let places = (most_in_bucket + 1).next_power_of_two();
        lookup.step = places / 2;
        let mut own = Vec::with_capacity(rows.len());
        for ((row, (least, most, bucket_bits)), start) in rows.iter().zip(laid).zip(starts) {
            let base = u32::try_from(lookup.thresholds.len()).ok()?;
            own.push(Channel {
                least: T::try_from(least).ok()?,
                most: T::try_from(most).ok()?,
                bucket_bits,
                bucket: lookup.first.len(),
            });
            lookup.first.extend(start.iter().map(|start| base + start));
            for &threshold in &row.thresholds {
                lookup.thresholds.push(T::try_from(threshold).ok()?);
            }
            lookup.thresholds.resize(lookup.thresholds.len() + places, T::max_value());
            for &code in &row.codes {
                lookup.codes.push(i32::try_from(code).ok()?);
            }
            lookup.codes.resize(lookup.thresholds.len(), 0);
        }
        lookup.channels = match &own[..] {
            [one] => vec![*one; channels],
            _ => own,
        };
        (lookup.channels.len() == channels).then_some(lookup)
    }

    /// The code of a sum, which lies below the greatest number of its type.
    #[inline(always)]
    fn code(&self, channel: &Channel<T>, sum: T) -> i32 {
        let inside = sum.max(channel.least).min(channel.most) - channel.least;
        let bucket = (inside >> channel.bucket_bits as usize).to_usize().unwrap_or(0);
        let mut place = self.first[channel.bucket + bucket] as usize;
        let mut step = self.step;
        while step > 0 {
            place += if self.thresholds[place + step - 1] <= sum { step } else { 0 };
            step >>= 1;
        }
        self.codes[place]
    }

    /// The codes of whole positions.
    pub(crate) fn codes(&self, sums: &[T], codes: &mut [i32]) {
        let positions = sums.chunks(self.channels.len()).zip(codes.chunks_mut(self.channels.len()));
        for (sums, codes) in positions {
            for ((sum, code), channel) in sums.iter().zip(codes).zip(&self.channels) {
                *code = self.code(channel, *sum);
            }
        }
    }
}

impl Lookup<i32> {
    /// Replaces the sums of whole positions by their codes.
    pub(crate) fn replace(&self, sums: &mut [i32]) {
        for sums in sums.chunks_mut(self.channels.len()) {
            for (sum, channel) in sums.iter_mut().zip(&self.channels) {
                *sum = self.code(channel, *sum);
            }
        }
    }
}

impl Steps {
    /// Drops thresholds that every sum or no sum reaches, and joins equal ones.
    fn new(thresholds: &[i64], codes: &[i64], sums: Range) -> Option<Self> {
        let always = thresholds.partition_point(|&threshold| threshold <= sums.min());
        let mut steps = Steps { thresholds: Vec::new(), codes: vec![*codes.get(always)?] };
        for (index, &threshold) in thresholds.iter().enumerate().skip(always) {
            if threshold > sums.max() {
                break;
            }
            let code = *codes.get(index + 1)?;
            if steps.thresholds.last() == Some(&threshold) {
                *steps.codes.last_mut()? = code;
            } else {
                steps.thresholds.push(threshold);
                steps.codes.push(code);
            }
        }
        Some(steps)
    }
}
