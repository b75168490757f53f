//! Figures of datapaths that were counted before, so that layers alike are counted once.
//!
//! What a figure depends on is its key: formats, lanes and widths, not names and exact ranges.

use super::dot_product::DotProductSpec;
use super::product::Order;
use super::rescale::RescaleSpec;
use crate::heap::{Cost, Decided};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The best order of rows with its latency and cost.
pub(super) type Found = (Order, u32, Cost);

/// Rows of partial products of all orders together from which on threads share them.
const SHARED_FROM: usize = 512;

/// What an order comes to: its weight and figures, or nothing where it weighs too much; and how far its threshold decided that.
pub(super) type Counted<T> = (Option<(u32, T)>, Decided);

/// The order of least weight, the first of several, by trying all; threads share the work where there is much. `count`
/// may give up where an order weighs more than its second argument. An order is left out where the one before decided all as
/// its larger threshold would, since the first of several counts.
pub(super) fn best_order<T: Send>(
    orders: &[Order],
    rows: usize,
    count: impl Fn(&Order, u32) -> Counted<T> + Sync,
) -> Option<T> {
    let threads = match orders.len() * rows >= SHARED_FROM {
        true => std::thread::available_parallelism().map_or(1, usize::from),
        false => 1,
    };
    let best = |orders: &[Order]| {
        let (mut best, mut before) = (None, None::<(&Order, Decided)>);
        for order in orders {
            if before.is_some_and(|(before, decided)| before.decides_alike(order, decided)) {
                continue;
            }
            let limit = best.as_ref().map_or(u32::MAX, |best: &(u32, T)| best.0);
            let (found, decided) = count(order, limit);
            before = Some((order, decided));
            best = found.filter(|found| best.is_none() || found.0 < limit).or(best);
        }
        best
    };
    let found = std::thread::scope(|scope| {
        let mut parts = orders.chunks(orders.len().div_ceil(threads).max(1));
        let first = parts.next();
        let others: Vec<_> = parts.map(|part| scope.spawn(move || best(part))).collect();
        let own = first.and_then(best);
        let others = others.into_iter().filter_map(|thread| thread.join().ok().flatten());
        own.into_iter().chain(others).min_by_key(|found| found.0)
    });
    found.map(|found| found.1)
}

/// Figures by what they depend on.
#[derive(Debug, Default)]
pub struct Memo(Mutex<BTreeMap<String, Found>>);

impl Memo {
    /// Whether nothing was counted yet.
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_ok_and(|known| known.is_empty())
    }

    pub(super) fn dot_product(
        &self,
        spec: &DotProductSpec,
        result_bits: u32,
        find: impl FnOnce() -> Option<Found>,
    ) -> Option<Found> {
        let DotProductSpec { lanes, form, accumulate, initial_bits, .. } = spec;
        let (activation, weight, multiplier) = (form.activation, form.weight, form.multiplier);
        self.get(
            format!("dot {lanes} {activation:?} {weight:?} {multiplier:?} {accumulate} {initial_bits:?} {result_bits}"),
            find,
        )
    }

    pub(super) fn rescale(
        &self,
        spec: &RescaleSpec,
        width: u32,
        clamps: (bool, bool),
        find: impl FnOnce() -> Option<Found>,
    ) -> Option<Found> {
        let general = RescaleSpec { module_name: String::new(), value_range: (0, 0), ..spec.clone() };
        self.get(format!("rescale {general:?} {width} {clamps:?}"), find)
    }

    fn get(&self, key: String, find: impl FnOnce() -> Option<Found>) -> Option<Found> {
        let known = self.0.lock().ok().and_then(|known| known.get(&key).cloned());
        known.or_else(|| {
            let found = find()?;
            if let Ok(mut known) = self.0.lock() {
                known.insert(key, found.clone());
            }
            Some(found)
        })
    }
}
