//! Functions of one integer that are not clamped lines: activation functions, their products and sums.
//!
//! A curve is evaluated in double precision: the code of a sum is what rounding the curve's double gives, which differs
//! from the real function's code only where the function lies within some 1e-15 (relative) of a boundary.
//! [`Curve::over`] bounds the curve and its slope over an interval of integers, so that its monotone pieces are found
//! without guessing.

mod interval;
mod kind;
mod steps;

pub(crate) use kind::Kind;
pub(crate) use steps::{MAX_STEPS, Staircase, steps};

use crate::exact::{Functions, Piece, to_f64};
use interval::{Interval, Tangent};
use std::sync::Arc;

/// A function of a tensor's integers for each channel.
#[derive(Clone, Debug)]
pub(crate) enum Curve {
    /// An exact clamped line.
    Leaf(Arc<Leaf>),
    /// gain * x + offset, one pair for each channel or one for all.
    Affine(Arc<Curve>, Vec<(f64, f64)>),
    /// min(max(x, low), high).
    Clamp(Arc<Curve>, f64, f64),
    /// An activation function.
    Apply(Arc<Curve>, Kind),
    Add(Arc<Curve>, Arc<Curve>),
    Multiply(Arc<Curve>, Arc<Curve>),
    Divide(Arc<Curve>, Arc<Curve>),
    /// The channels of several curves one after the other, each with its number.
    Parts(Vec<(usize, Arc<Curve>)>),
    /// For each channel the channel of another curve.
    Channels(Arc<Curve>, Arc<Vec<usize>>),
}

/// Exact functions, and the same in double precision.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub exact: Functions,
    lines: Vec<Line>,
}

/// min(max(gain * x + offset, low), high).
#[derive(Clone, Copy, Debug)]
struct Line {
    gain: f64,
    offset: f64,
    low: f64,
    high: f64,
}

fn entry<T>(entries: &[T], channel: usize) -> &T {
    &entries[if entries.len() == 1 { 0 } else { channel }]
}

impl Curve {
    /// Exact functions as a curve.
    pub fn leaf(exact: Functions) -> Arc<Self> {
        let line = |piece: &Piece| Line {
            gain: to_f64(&piece.gain),
            offset: to_f64(&piece.offset),
            low: piece.low.as_ref().map_or(f64::NEG_INFINITY, to_f64),
            high: piece.high.as_ref().map_or(f64::INFINITY, to_f64),
        };
        let lines = exact.iter().map(line).collect();
        Arc::new(Curve::Leaf(Arc::new(Leaf { exact, lines })))
    }

    /// Channels that the curve has parameters for: 1 stands for any number.
    pub fn channels(&self) -> usize {
        match self {
            Curve::Leaf(leaf) => leaf.lines.len(),
            Curve::Affine(inner, pairs) => inner.channels().max(pairs.len()),
            Curve::Clamp(inner, _, _) => inner.channels(),
            Curve::Apply(inner, kind) => inner.channels().max(kind.channels()),
            Curve::Add(a, b) | Curve::Multiply(a, b) | Curve::Divide(a, b) => a.channels().max(b.channels()),
            Curve::Parts(parts) => parts.iter().map(|(count, _)| count).sum(),
            Curve::Channels(_, channels) => channels.len(),
        }
    }

    /// Nodes of the curve: what one evaluation costs.
    pub fn weight(&self) -> usize {
        match self {
            Curve::Leaf(_) => 1,
            Curve::Affine(inner, _)
            | Curve::Clamp(inner, _, _)
            | Curve::Apply(inner, _)
            | Curve::Channels(inner, _) => inner.weight().saturating_add(1),
            Curve::Add(a, b) | Curve::Multiply(a, b) | Curve::Divide(a, b) => {
                a.weight().saturating_add(b.weight()).saturating_add(1)
            }
            Curve::Parts(parts) => parts.iter().map(|(_, part)| part.weight()).max().unwrap_or(0).saturating_add(1),
        }
    }

    /// The curve's value.
    pub fn at(&self, channel: usize, integer: f64) -> f64 {
        match self {
            Curve::Leaf(leaf) => {
                let Line { gain, offset, low, high } = *entry(&leaf.lines, channel);
                (gain * integer + offset).max(low).min(high)
            }
            Curve::Affine(inner, pairs) => {
                let (gain, offset) = *entry(pairs, channel);
                gain * inner.at(channel, integer) + offset
            }
            Curve::Clamp(inner, low, high) => inner.at(channel, integer).max(*low).min(*high),
            Curve::Apply(inner, kind) => kind.at(channel, inner.at(channel, integer)),
            Curve::Add(a, b) => a.at(channel, integer) + b.at(channel, integer),
            Curve::Multiply(a, b) => a.at(channel, integer) * b.at(channel, integer),
            Curve::Divide(a, b) => a.at(channel, integer) / b.at(channel, integer),
            Curve::Parts(parts) => match part(parts, channel) {
                Some((part, channel)) => part.at(channel, integer),
                None => f64::NAN,
            },
            Curve::Channels(inner, channels) => inner.at(*entry(channels, channel), integer),
        }
    }

    /// Bounds of the curve and its slope over an interval of integers.
    pub fn over(&self, channel: usize, integers: Interval) -> Tangent {
        match self {
            Curve::Leaf(leaf) => {
                let Line { gain, offset, low, high } = *entry(&leaf.lines, channel);
                Tangent::identity(integers).affine(gain, offset).clamp(low, high)
            }
            Curve::Affine(inner, pairs) => {
                let (gain, offset) = *entry(pairs, channel);
                inner.over(channel, integers).affine(gain, offset)
            }
            Curve::Clamp(inner, low, high) => inner.over(channel, integers).clamp(*low, *high),
            Curve::Apply(inner, kind) => kind.over(channel, inner.over(channel, integers)),
            Curve::Add(a, b) => a.over(channel, integers).plus(b.over(channel, integers)),
            Curve::Multiply(a, b) => a.over(channel, integers).times(b.over(channel, integers)),
            Curve::Divide(a, b) => a.over(channel, integers).over(b.over(channel, integers)),
            Curve::Parts(parts) => match part(parts, channel) {
                Some((part, channel)) => part.over(channel, integers),
                None => Tangent::unknown(),
            },
            Curve::Channels(inner, channels) => inner.over(*entry(channels, channel), integers),
        }
    }
}

/// The part that a channel belongs to, and its number there.
fn part(parts: &[(usize, Arc<Curve>)], mut channel: usize) -> Option<(&Curve, usize)> {
    for (count, part) in parts {
        if channel < *count {
            return Some((part, channel));
        }
        channel -= count;
    }
    None
}
