//! One pipeline stage of a heap: rows and bits become sums on carry chains, and everything is registered.

use std::collections::BTreeMap;

use super::decided::Decided;
use super::group::{self, Group};
use super::netlist::Netlist;
use super::{Bit, CHAIN_BITS, Heap, Net, ProductTable, Row};

/// Columns of a chain that leaves room for its carry-in and carry-out positions.
pub(super) const CHAIN_COLUMNS: usize = CHAIN_BITS as usize - 2;

/// What a stage may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct StageOptions {
    /// Direct bits may be compressed on their own, not only serve partial products.
    pub direct: bool,
    /// Least number of bits that a chain removes per LUT.
    pub threshold: f64,
}

/// Bits of the next stage with their columns.
type Next = Vec<(u32, Bit)>;

/// Performs one stage at `time` and gives the heap of the next one. `direct` bits are compressed on their own too, not
/// only where they help partial products.
pub fn stage(netlist: &mut Netlist, time: u32, heap: Heap, direct: bool) -> Heap {
    let threshold = heap.threshold;
    stage_with(netlist, time, heap, StageOptions { direct, threshold })
}

/// [`stage`] with a threshold; at 0 two rows are added where nothing better is found.
pub(super) fn stage_with(netlist: &mut Netlist, time: u32, mut heap: Heap, options: StageOptions) -> Heap {
    let mut next = Next::new();
    for row in std::mem::take(&mut heap.rows) {
        absorb_row(netlist, time, &mut heap, row, &mut next);
    }
    let mut progress = true;
    let mut chains = 0;
    while progress {
        progress = false;
        for column in 0..heap.direct.len() {
            while let Some(groups) = chain(&heap, column, options, &mut netlist.decided) {
                emit_chain(netlist, time, &mut heap, column, &groups, &mut next);
                progress = true;
                chains += 1;
            }
        }
    }
    make_small_nets(netlist, time, &mut heap, &mut next);
    if chains == 0 && options.direct && options.threshold <= 0.0 {
        add_two_rows(netlist, time, &mut heap, &mut next);
    }
    netlist.cost.end_stage(time);
    let mut result = Heap { threshold: heap.threshold, ..Heap::new(heap.width(), heap.target) };
    for (column, bits) in (0..).zip(heap.direct) {
        next.extend(bits.into_iter().map(|bit| (column, bit)));
    }
    let heap_width = result.direct.len();
    let (constants, nets): (Next, Next) = next.into_iter().partition(|(_, bit)| bit.net == Net::One);
    let bits: Vec<Bit> = nets.iter().map(|(_, bit)| *bit).collect();
    let mut heights = vec![0; heap_width];
    next_columns(&nets).chain(next_columns(&constants)).for_each(|column| heights[column] += 1);
    result.direct.iter_mut().zip(heights).for_each(|(column, height)| column.reserve_exact(height));
    for (bit, (column, _)) in netlist.advance(time, &bits).into_iter().zip(nets) {
        result.push(column, bit);
    }
    for (column, bit) in constants {
        result.push(column, bit);
    }
    result
}

/// Columns of bits that lie within the heap.
fn next_columns(next: &Next) -> impl Iterator<Item = usize> {
    next.iter().map(|(column, _)| *column as usize)
}

/// Turns partial products into nets of the same stage, so that they serve as direct bits: three small ones of a column
/// share two LUTs, the rest take one each.
pub fn make_nets(netlist: &mut Netlist, time: u32, heap: &mut Heap) {
    for row in std::mem::take(&mut heap.rows) {
        row.bits.iter().for_each(|bit| netlist.cost.add_luts(1, bit.inputs));
        for (column, bit) in (row.column..).zip(row.bits) {
            heap.push(column, Bit { inputs: 1, ..bit });
        }
    }
    let mut next = Next::new();
    make_small_nets(netlist, time, heap, &mut next);
    for (column, bit) in next {
        heap.push(column, Bit { inputs: 1, ..bit });
    }
}

fn make_small_nets(netlist: &mut Netlist, time: u32, heap: &mut Heap, next: &mut Next) {
    let triples = heap.target.function_inputs() > 1;
    for column in 0..heap.small.len() {
        let mut bits = std::mem::take(&mut heap.small[column]);
        let position = u32::try_from(column).unwrap_or(u32::MAX);
        let count = if triples { bits.len() / 3 } else { 0 };
        let rest = bits.split_off(3 * count);
        let mut counted: BTreeMap<ProductTable, Vec<[(Bit, Bit); 3]>> = BTreeMap::new();
        for index in 0..count {
            let three = [bits[index], bits[count + index], bits[2 * count + index]];
            match three.map(|bit| netlist.product(bit)) {
                [Some((table, x0, w0)), Some((second, x1, w1)), Some((third, x2, w2))]
                    if table == second && table == third =>
                {
                    counted.entry(table).or_default().push([(x0, w0), (x1, w1), (x2, w2)]);
                }
                _ => {
                    let digits = group::digits(netlist, time, &[three.to_vec()], 2);
                    netlist.cost.add_luts(2, 6);
                    next.extend((position..).zip(digits.into_iter().flatten()));
                }
            }
        }
        for (table, triples) in counted {
            let (sums, carries) = netlist.product_counter(time, table, &triples);
            for index in 0..u32::try_from(triples.len()).unwrap_or(0) {
                next.extend([(position, Bit::direct(sums, index)), (position + 1, Bit::direct(carries, index))]);
            }
        }
        let bits = rest;
        netlist.cost.add_luts(u32::try_from(bits.len()).unwrap_or(0), 2);
        next.extend(bits.into_iter().map(|bit| (position, Bit { inputs: 1, ..bit })));
    }
    next.retain(|(column, _)| *column < heap.width());
}

/// Adds a row of partial products to direct bits of the heap, where there are any.
fn absorb_row(netlist: &mut Netlist, time: u32, heap: &mut Heap, row: Row, next: &mut Next) {
    let absorbs = heap.target.function_inputs() >= 5;
    row.bits.iter().for_each(|bit| netlist.cost.add_luts(1, bit.inputs));
    let mut start = 0;
    while start < row.bits.len() {
        let column = row.column as usize + start;
        if !absorbs || heap.height(column) == 0 {
            next.push((row.column + u32::try_from(start).unwrap_or(0), Bit { inputs: 1, ..row.bits[start] }));
            start += 1;
            continue;
        }
        let end = row.bits.len().min(start + CHAIN_COLUMNS);
        let mut direct: Vec<Option<Bit>> = (start..end).map(|at| heap.direct[row.column as usize + at].pop()).collect();
        let carry = heap.direct[column].pop();
        let mut other: Vec<Option<Bit>> = row.bits[start..end].iter().map(|bit| Some(*bit)).collect();
        if row.takes_bit
            && start == 0
            && end == row.bits.len()
            && let Some(bit) = heap.direct[column].pop()
        {
            other = group::incremented(netlist, time, &other, bit);
        }
        let base = row.column + u32::try_from(start).unwrap_or(0);
        finish_chain(netlist, time, heap, base, &mut direct, &mut other, carry, next);
        start = end;
    }
}

/// The groups of a worthwhile chain that starts at a column.
fn chain(heap: &Heap, column: usize, options: StageOptions, decided: &mut Decided) -> Option<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut at = column;
    let mut gain = -1.0;
    while at < heap.direct.len() && at - column < CHAIN_COLUMNS {
        let room = CHAIN_COLUMNS - (at - column);
        let found = group::best(heap, at, room, !options.direct).filter(|group| {
            let rate = group.gain() / f64::from(u32::try_from(group.columns).unwrap_or(1));
            decided.note(rate >= options.threshold.max(0.5), rate, options.threshold)
        });
        let Some(group) = found else { break };
        if groups.is_empty() {
            let used = group.function[0] + usize::from(group.direct[0]);
            if heap.height(column) > used {
                gain += 1.0;
            }
        }
        gain += group.gain();
        at += group.columns;
        groups.push(group);
    }
    if at == heap.direct.len() {
        gain += 1.0;
    }
    let columns = f64::from(u32::try_from(at - column).unwrap_or(0));
    let worth = !groups.is_empty() && gain > 0.0;
    let enough = gain >= columns * options.threshold * 0.8;
    (worth && decided.note(enough, gain / (columns * 0.8), options.threshold)).then_some(groups)
}

fn emit_chain(netlist: &mut Netlist, time: u32, heap: &mut Heap, column: usize, groups: &[Group], next: &mut Next) {
    let mut direct = Vec::with_capacity(CHAIN_COLUMNS + 1);
    let mut other = Vec::with_capacity(CHAIN_COLUMNS + 1);
    let mut at = column;
    let mut functions: [Vec<Bit>; 3] = Default::default();
    for group in groups {
        functions.iter_mut().for_each(Vec::clear);
        let function = &mut functions[..group.columns];
        function[0].extend(take(&mut heap.small[at], group.small));
        for (index, bits) in function.iter_mut().enumerate() {
            bits.extend(take(&mut heap.direct[at + index], group.function[index]));
            direct.push(if group.direct[index] { heap.direct[at + index].pop() } else { None });
        }
        let inputs = function.iter().flatten().map(|bit| bit.inputs).sum();
        netlist.cost.add_luts(u32::try_from(group.columns).unwrap_or(0), inputs);
        other.extend(group::digits(netlist, time, function, group.columns));
        at += group.columns;
    }
    let carry = heap.direct[column].pop();
    finish_chain(netlist, time, heap, u32::try_from(column).unwrap_or(0), &mut direct, &mut other, carry, next);
}

/// Takes the oldest bits of a column, so that neighbours stay neighbours.
fn take(bits: &mut Vec<Bit>, count: usize) -> impl Iterator<Item = Bit> {
    bits.drain(..count.min(bits.len()))
}

#[allow(clippy::too_many_arguments)]
fn finish_chain(
    netlist: &mut Netlist,
    time: u32,
    heap: &Heap,
    column: u32,
    direct: &mut Vec<Option<Bit>>,
    other: &mut Vec<Option<Bit>>,
    carry: Option<Bit>,
    next: &mut Next,
) {
    if column as usize + direct.len() < heap.direct.len() {
        direct.push(None);
        other.push(None);
    }
    let bits = u32::try_from(direct.len()).unwrap_or(0);
    let sum = netlist.carry_adder(time, direct, other, carry);
    next.extend((0..bits).map(|index| (column + index, Bit::direct(sum, index))));
}

/// The last resort of a stage: one chain over two rows from the lowest column that has two bits.
fn add_two_rows(netlist: &mut Netlist, time: u32, heap: &mut Heap, next: &mut Next) {
    let mut column = 0;
    while column < heap.direct.len() {
        if heap.height(column) < 2 {
            column += 1;
            continue;
        }
        let mut direct = Vec::new();
        let mut other = Vec::new();
        let mut carry = None;
        let mut at = column;
        while at < heap.direct.len() && at - column < CHAIN_COLUMNS && heap.height(at) > 0 {
            direct.push(heap.direct[at].pop());
            other.push(heap.direct[at].pop());
            if at == column {
                carry = heap.direct[at].pop();
            }
            at += 1;
        }
        netlist.cost.lut += u32::try_from(other.iter().flatten().count()).unwrap_or(0);
        finish_chain(netlist, time, heap, u32::try_from(column).unwrap_or(0), &mut direct, &mut other, carry, next);
        column = at;
    }
}
