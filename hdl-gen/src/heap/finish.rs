//! The last adder of a heap, cut into segments of a carry chain each, with or without an accumulator.

use super::compress::{StageOptions, stage_with};
use super::group;
use super::netlist::{Netlist, SignalId};
use super::{Bit, CHAIN_BITS, Heap, Net, Row};
use crate::verilog::{Expr, Statement};

/// The accumulator around the last adder.
#[derive(Clone, Debug)]
pub struct Accumulator {
    /// Value the accumulator starts from, modulo 2^width.
    pub start: u128,
    /// One bit at time 0: this cycle's bits count.
    pub step: Bit,
    /// One bit at time 0: the accumulator starts anew after this cycle.
    pub clear: Bit,
}

/// The finished sum.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Result bits, lowest first, all at the same time.
    pub result: Vec<Option<Bit>>,
    /// Register stages from the inputs to the result.
    pub latency: u32,
}

/// One column range of the last adder.
#[derive(Clone, Debug)]
struct Segment {
    columns: std::ops::Range<usize>,
    /// Column counts of the groups inside.
    groups: Vec<usize>,
    carry_in: bool,
    carry_out: bool,
}

/// Compresses a heap that no partial products will join any more, and adds it up. Without an accumulator, result bits
/// below column `needed_from` are left out.
pub fn finish(
    netlist: &mut Netlist,
    mut time: u32,
    mut heap: Heap,
    accumulator: Option<Accumulator>,
    needed_from: u32,
) -> Option<Finished> {
    let mut control = accumulator.as_ref().map(|accumulator| vec![accumulator.clear, accumulator.step]);
    for at in 0..time {
        advance_control(netlist, at, &mut control);
    }
    let mut rounds = 0;
    loop {
        if let Some(segments) = plan(&heap, accumulator.is_some()) {
            return Some(match (&accumulator, control) {
                (Some(accumulator), Some(control)) => {
                    accumulate(netlist, time, heap, &segments, accumulator.start, control)
                }
                _ => add(netlist, time, heap, &segments, needed_from as usize),
            });
        }
        let before = heap.direct_bits() + heap.soft_bits();
        let shape: Vec<usize> = heap.direct.iter().map(Vec::len).collect();
        let heap_threshold = heap.threshold;
        let mut next = stage_with(netlist, time, heap, StageOptions { direct: true, threshold: heap_threshold });
        time += 1;
        advance_control(netlist, time - 1, &mut control);
        if next.direct_bits() >= before && next.direct.iter().map(Vec::len).eq(shape) {
            next = stage_with(netlist, time, next, StageOptions { direct: true, threshold: 0.0 });
            time += 1;
            advance_control(netlist, time - 1, &mut control);
        }
        heap = next;
        rounds += 1;
        if rounds > 200 || netlist.is_beyond() {
            return None;
        }
    }
}

fn advance_control(netlist: &mut Netlist, time: u32, control: &mut Option<Vec<Bit>>) {
    if let Some(bits) = control {
        let value: Vec<Option<Bit>> = bits.iter().rev().map(|bit| Some(*bit)).collect();
        let value = netlist.vector(&value);
        netlist.cost.control_stages += 1;
        let register = netlist.register(time, &format!("s{}_control_q", time + 1), 2, value);
        for (index, bit) in (0..).zip(bits.iter_mut()) {
            let next = Bit::direct(register, index);
            netlist.note_delay(bit.net, next.net);
            *bit = next;
        }
    }
}

/// All bits of a column.
fn column_bits(heap: &Heap, column: usize) -> impl Iterator<Item = Bit> + '_ {
    let of_row =
        move |row: &Row| column.checked_sub(row.column as usize).and_then(|index| row.bits.get(index)).copied();
    heap.direct[column].iter().chain(&heap.small[column]).copied().chain(heap.rows.iter().filter_map(of_row))
}

/// Segments of the last adder, or none where a column is too tall for it.
fn plan(heap: &Heap, accumulates: bool) -> Option<Vec<Segment>> {
    let width = heap.direct.len();
    let tall = |column: &usize| column_bits(heap, *column).nth(1).is_some();
    let first = if accumulates { 0 } else { (0..width).find(tall).unwrap_or(width) };
    for carry in [false, true] {
        if first < width && carry && !column_bits(heap, first).next().is_some_and(Bit::is_direct) {
            continue;
        }
        if let Some(groups) = grouping(heap, first, carry, accumulates) {
            return segments(first, &groups, carry, width);
        }
    }
    None
}

/// Column counts of groups from `first` to the top with the least columns per group, by dynamic programming.
fn grouping(heap: &Heap, first: usize, carry: bool, accumulates: bool) -> Option<Vec<usize>> {
    let width = heap.direct.len();
    let inputs = heap.target.function_inputs();
    let functions: Vec<(u32, usize)> =
        (0..width).map(|column| function_bits(heap, column, carry && column == first, accumulates)).collect();
    let mut choice: Vec<Option<usize>> = vec![None; width + 1];
    let mut reached = vec![false; width + 1];
    reached[width] = true;
    for start in (first..width).rev() {
        for length in 1..=5.min(width - start) {
            if !reached[start + length] {
                continue;
            }
            let mut cost = 0;
            let mut value = 0_usize;
            for (index, (bit_inputs, bits)) in functions[start..start + length].iter().enumerate() {
                cost += bit_inputs;
                value += bits << index;
            }
            let single = length == 1 && value <= 1;
            if (cost <= inputs || (single && heap.target == super::Target::Lut6))
                && (value < 1 << length || start + length == width && cost <= inputs)
            {
                choice[start] = Some(length);
                reached[start] = true;
                break;
            }
        }
    }
    let mut groups = Vec::new();
    let mut at = first;
    while at < width {
        let length = choice[at]?;
        groups.push(length);
        at += length;
    }
    Some(groups)
}

/// Inputs and number of the bits of a column that neither the carry-in nor, where nothing accumulates, the carry multiplexer takes.
fn function_bits(heap: &Heap, column: usize, carry: bool, accumulates: bool) -> (u32, usize) {
    let mut direct_taken = accumulates;
    let left = column_bits(heap, column).skip(usize::from(carry)).filter(|bit| {
        let taken = !direct_taken && bit.is_direct();
        direct_taken |= taken;
        !taken
    });
    left.fold((0, 0), |(inputs, bits), bit| (inputs + bit.inputs, bits + 1))
}

fn segments(first: usize, groups: &[usize], carry: bool, width: usize) -> Option<Vec<Segment>> {
    let mut list: Vec<Segment> = Vec::new();
    let mut at = first;
    for &length in groups {
        let positions = |segment: &Segment, end: usize| {
            usize::from(segment.carry_in) + (end - segment.columns.start) + usize::from(end < width)
        };
        let fits = list.last().is_some_and(|segment| positions(segment, at + length) <= CHAIN_BITS as usize);
        match list.last_mut() {
            Some(segment) if fits => {
                segment.columns.end = at + length;
                segment.groups.push(length);
            }
            _ => {
                let carry_in = if list.is_empty() { carry } else { true };
                list.push(Segment { columns: at..at + length, groups: vec![length], carry_in, carry_out: false });
            }
        }
        at += length;
    }
    for segment in &mut list {
        segment.carry_out = segment.columns.end < width;
    }
    Some(list)
}

/// Takes a segment's operands out of the heap: direct bits, function digits, carry-in.
fn operands(
    netlist: &mut Netlist,
    time: u32,
    heap: &mut [Vec<Bit>],
    segment: &Segment,
    accumulates: bool,
    takes_carry: bool,
) -> (Vec<Option<Bit>>, Vec<Option<Bit>>, Option<Bit>) {
    let mut direct = Vec::new();
    let mut other = Vec::new();
    let start = segment.columns.start;
    let carry = if takes_carry { Some(heap[start].remove(0)) } else { None };
    let mut at = start;
    for &length in &segment.groups {
        let mut function = Vec::new();
        for bits in heap.iter_mut().skip(at).take(length) {
            let mut bits = std::mem::take(bits);
            if !accumulates {
                let position = bits.iter().position(|bit| bit.is_direct());
                direct.push(position.map(|position| bits.remove(position)));
            }
            function.push(bits);
        }
        let inputs = function.iter().flatten().map(|bit| bit.inputs).sum();
        let digits = group::digits(netlist, time, &function, length);
        netlist.cost.add_luts(u32::try_from(digits.iter().flatten().count()).unwrap_or(0), inputs);
        netlist.cost.end_stage(time);
        other.extend(digits);
        at += length;
    }
    (direct, other, carry)
}

fn all_columns(heap: &Heap) -> Vec<Vec<Bit>> {
    (0..heap.direct.len()).map(|column| column_bits(heap, column).collect()).collect()
}

/// Registers all bits that are still waiting in columns.
fn wait(netlist: &mut Netlist, time: u32, columns: &mut [Vec<Bit>]) {
    let bits: Vec<Bit> = columns.iter().flatten().copied().filter(|bit| bit.net != Net::One).collect();
    let mut moved = netlist.advance(time, &bits).into_iter();
    for bit in columns.iter_mut().flatten().filter(|bit| bit.net != Net::One) {
        if let Some(next) = moved.next() {
            *bit = next;
        }
    }
}

/// The accumulating adder: segment `j` works `j` cycles after the first.
fn accumulate(
    netlist: &mut Netlist,
    mut time: u32,
    heap: Heap,
    segments: &[Segment],
    start: u128,
    control: Vec<Bit>,
) -> Finished {
    let width = heap.direct.len();
    let mut columns = all_columns(&heap);
    let mut control = Some(control);
    let mut result: Vec<Option<Bit>> = vec![None; width];
    let mut carry_register = None;
    netlist.comment(
        time,
        "The last adder accumulates; the finished sum leaves while the accumulator starts anew.".to_owned(),
    );
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        let takes_carry = segment.carry_in && index == 0;
        let (_, mut other, heap_carry) = operands(netlist, time, &mut columns, segment, true, takes_carry);
        let bits = u32::try_from(segment.columns.len()).unwrap_or(0);
        let name = format!("accumulator{index}_q");
        let accumulator = netlist.port(&name, bits);
        let mut direct: Vec<Option<Bit>> = (0..bits).map(|bit| Some(Bit::direct(accumulator, bit))).collect();
        if segment.carry_out {
            direct.push(None);
            other.push(None);
        }
        let sum = netlist.carry_adder(time, &direct, &other, heap_carry.or(carry_register));
        let value = netlist.slice(sum, bits - 1, 0);
        let (clear, step) = match control.as_deref() {
            Some([clear, step]) => (netlist.bit(*clear), netlist.bit(*step)),
            _ => (Expr::zero(1), Expr::constant(1, 1)),
        };
        let from = (start >> segment.columns.start) & ((1 << bits) - 1);
        let update = value.clone();
        netlist.register_with(time, &name, bits, |target| {
            vec![Statement::If(
                clear,
                vec![Statement::NonBlocking(target.clone(), Expr::constant(bits, from))],
                vec![Statement::If(step, vec![Statement::NonBlocking(target, update)], vec![])],
            )]
        });
        let sum_register: SignalId = netlist.register(time, &format!("result{index}_q"), bits, value);
        carry_register = segment.carry_out.then(|| {
            let value = netlist.slice(sum, bits, bits);
            Bit::direct(netlist.register(time, &format!("carry{index}_q"), 1, value), 0)
        });
        if !last {
            advance_control(netlist, time, &mut control);
            wait(netlist, time, &mut columns);
        }
        if index > 0 {
            delay_result(netlist, time, &mut result);
        }
        for bit in 0..bits {
            result[segment.columns.start + bit as usize] = Some(Bit::direct(sum_register, bit));
        }
        time += 1;
    }
    Finished { result, latency: time }
}

/// Registers the result bits that are known so far.
fn delay_result(netlist: &mut Netlist, time: u32, result: &mut [Option<Bit>]) {
    let bits: Vec<Bit> = result.iter().flatten().copied().collect();
    let mut moved = netlist.advance(time, &bits).into_iter();
    for bit in result.iter_mut().flatten() {
        if let Some(next) = moved.next() {
            *bit = next;
        }
    }
}

/// The plain last adder.
fn add(netlist: &mut Netlist, mut time: u32, heap: Heap, segments: &[Segment], needed_from: usize) -> Finished {
    let width = heap.direct.len();
    let mut columns = all_columns(&heap);
    let mut result: Vec<Option<Bit>> = vec![None; width];
    let mut carry_register = None;
    let below = segments.first().map_or(width, |segment| segment.columns.start);
    for column in 0..below {
        let bit = columns[column].pop();
        if column >= needed_from {
            result[column] = bit;
        }
    }
    for (index, segment) in segments.iter().enumerate() {
        let takes_carry = segment.carry_in && index == 0;
        let (mut direct, mut other, heap_carry) = operands(netlist, time, &mut columns, segment, false, takes_carry);
        if segment.carry_out {
            direct.push(None);
            other.push(None);
        }
        let bits = u32::try_from(segment.columns.len()).unwrap_or(0);
        let sum = netlist.carry_adder(time, &direct, &other, heap_carry.or(carry_register));
        for bit in 0..bits {
            if segment.columns.start + bit as usize >= needed_from {
                result[segment.columns.start + bit as usize] = Some(Bit::direct(sum, bit));
            }
        }
        let carry = segment.carry_out.then(|| Bit::direct(sum, bits));
        let mut live: Vec<Option<Bit>> = vec![carry];
        live.extend(result.iter().copied());
        delay_result(netlist, time, &mut live);
        carry_register = live[0];
        result.copy_from_slice(&live[1..]);
        wait(netlist, time, &mut columns);
        time += 1;
    }
    if segments.is_empty() && time == 0 {
        delay_result(netlist, time, &mut result);
        time += 1;
    }
    Finished { result, latency: time }
}
