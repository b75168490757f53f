//! Requantizations move ahead of rearrangements: codes are moved instead of wide sums, and the requantization becomes
//! part of the layer that makes the sums.

use super::super::Walk;
use network::graph::{Encoding, Layer};
use network::op::{Op, Rearrangement};
use network::requantization::{Form, RealRule, Requantization, Shift, Table, Thresholds, per_channel};

/// Most elements that a rearrangement is followed for.
const MAX_FOLLOWED: u64 = 1 << 24;

impl Walk<'_> {
    /// Exchanges every requantization with the rearrangement of sums that it alone reads.
    pub(super) fn requantize_ahead(&self, layers: &mut [Option<Layer>], readers: &[usize]) {
        for index in (0..layers.len()).rev() {
            let Some(layer) = layers[index].as_ref().filter(|layer| matches!(layer.op, Op::Identity)) else { continue };
            let (Some(mover), Some(requantization)) = (self.maker(layer.input()), &layer.requantization) else {
                continue;
            };
            let Some((Op::Rearrange(arrangement), source)) =
                layers[mover].as_ref().map(|mover| (&mover.op, mover.input().0))
            else {
                continue;
            };
            let from = &self.tensors[source];
            if readers[self.plans.len() + mover] != 1 || !matches!(from.encoding, Encoding::Sums { .. }) {
                continue;
            }
            let ahead = match requantization.channels() {
                1 => Some(requantization.clone()),
                _ => new_channels(arrangement, from.shape.channels).map(|channels| select(requantization, &channels)),
            };
            let Some(ahead) = ahead else { continue };
            let arrangement = Op::Rearrange(arrangement.clone());
            if let Some(layer) = &mut layers[mover] {
                (layer.op, layer.requantization) = (Op::Identity, Some(ahead));
            }
            if let Some(layer) = &mut layers[index] {
                (layer.op, layer.requantization) = (arrangement, None);
            }
        }
    }
}

/// For each old channel the new channel that its elements go to, 0 where they go nowhere; `None` where they go to
/// several.
fn new_channels(arrangement: &Rearrangement, old_channels: u64) -> Option<Vec<usize>> {
    if arrangement.shape.elements() > MAX_FOLLOWED {
        return None;
    }
    let mut found = vec![None; usize::try_from(old_channels).ok()?];
    for (index, element) in arrangement.elements().enumerate() {
        let new = index as u64 % arrangement.shape.channels;
        let place = found.get_mut((element % old_channels) as usize)?;
        if place.replace(new as usize).is_some_and(|other| other != new as usize) {
            return None;
        }
    }
    Some(found.into_iter().map(|channel| channel.unwrap_or(0)).collect())
}

/// The requantization with the entries of other channels.
fn select(requantization: &Requantization, channels: &[usize]) -> Requantization {
    fn entries<T: Copy>(old: &[T], channels: &[usize]) -> Vec<T> {
        if old.len() == 1 {
            return old.to_vec();
        }
        channels.iter().filter_map(|&channel| per_channel(old, channel)).collect()
    }
    let form = match &requantization.form {
        Form::Shift(shift) => Form::Shift(Shift {
            multipliers: entries(&shift.multipliers, channels),
            offsets: entries(&shift.offsets, channels),
            ..*shift
        }),
        Form::Thresholds(old) => Form::Thresholds(Thresholds {
            values: channels.iter().flat_map(|&channel| old.row(channel).iter().copied()).collect(),
            count: old.count,
            falling: channels.iter().filter_map(|&channel| per_channel(&old.falling, channel)).collect(),
        }),
        Form::Table(old) => Form::Table(Table {
            values: channels.iter().flat_map(|&channel| old.row(channel).0.iter().copied()).collect(),
            count: old.count,
            codes: channels.iter().flat_map(|&channel| old.row(channel).1.iter().copied()).collect(),
        }),
    };
    let rule = requantization
        .rule
        .as_ref()
        .map(|rule| RealRule { gains: entries(&rule.gains, channels), offsets: entries(&rule.offsets, channels) });
    Requantization { output: requantization.output, codes: requantization.codes, form, rule }
}
