//! Products of several lanes joining a heap: which rows join in which stage.
//!
//! A row of partial products costs nothing beyond the LUTs of the adder that it joins, as long as that adder has a
//! direct bit for each of its columns. So a few rows start as nets, further rows are added onto them in the same stage,
//! and the rest waits as operands (a lane's operands are no wider than its product) and joins the sums of the stages
//! after that.

use std::collections::{BTreeMap, BTreeSet};

use super::operand::Operand;
use super::recode::Digit;
use super::row::{Place, row, rows_as_nets, small_products, takes_bit};
use crate::heap::{Bit, Decided, Heap, Net, Netlist, ProductTable, Row, SignalId, Target, make_nets, stage};

/// What the lanes multiply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes<'a> {
    /// Number of lanes.
    pub count: u32,
    /// Digits of the recoded operand of a lane.
    pub digits: &'a [Digit],
    /// Format of the other operand.
    pub multiplicand: Operand,
    /// Wires of a recoded operand.
    pub recoded_bits: u32,
    pub target: Target,
}

/// Thresholds that are tried.
const THRESHOLDS_PERCENT: [u32; 4] = [100, 115, 130, 145];

/// When each row joins the heap. Rows are taken lane by lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// Rows whose partial products become nets in the first stage, so that others can be added onto them there.
    starts: usize,
    /// Rows that join in each stage, the starts included in the first.
    joins: Vec<usize>,
    /// Least number of bits that a carry chain removes per LUT, in percent; 0 leaves it to the target.
    threshold_percent: u32,
}

impl Order {
    /// Those of a heap without rows: the thresholds alone differ.
    pub fn of_thresholds(target: Target) -> Vec<Order> {
        match target {
            Target::Lut6 => {
                THRESHOLDS_PERCENT.map(|threshold_percent| Order { threshold_percent, ..Order::default() }).to_vec()
            }
            Target::Lut4 | Target::StandardCells => vec![Order::default()],
        }
    }

    /// A heap with the order's threshold.
    pub fn applied(&self, heap: Heap) -> Heap {
        match self.threshold_percent {
            0 => heap,
            percent => heap.with_threshold(percent),
        }
    }

    /// Whether another order differs in a larger threshold alone, which decides nothing else than this one's.
    pub fn decides_alike(&self, other: &Order, decided: Decided) -> bool {
        let same = (self.starts, &self.joins) == (other.starts, &other.joins);
        same && (1..=other.threshold_percent).contains(&self.threshold_percent)
            && decided.holds_to(other.threshold_percent)
    }
}

/// One row of partial products: its lane and digit.
#[derive(Clone, Copy, Debug)]
struct Unit {
    lane: u32,
    digit: usize,
}

impl Lanes<'_> {
    /// Worthwhile orders: how many stages take in rows, and how many rows start.
    pub fn orders(&self) -> Vec<Order> {
        let rows = self.count as usize * self.digits.len();
        let all = Order { starts: 0, joins: vec![rows], threshold_percent: 0 };
        if self.target != Target::Lut6 {
            return vec![all];
        }
        let mut shapes = vec![(0, all.joins)];
        for stages in 1..=4 {
            let found = (1..=rows).find_map(|starts| {
                let joins = self.fill(rows, starts, stages);
                (joins.iter().sum::<usize>() == rows).then_some((starts, joins))
            });
            if let Some(shape) = found
                && !shapes.contains(&shape)
            {
                shapes.push(shape);
            }
        }
        let orders = shapes.into_iter().flat_map(|(starts, joins)| {
            THRESHOLDS_PERCENT.map(|threshold_percent| Order { starts, joins: joins.clone(), threshold_percent })
        });
        orders.collect()
    }

    /// Whether a row is of two-input partial products, its columns, and the direct bits that it wants.
    fn kind(&self, row: usize) -> (bool, f64, f64) {
        let Some(digit) = self.digits.get(row % self.digits.len().max(1)) else { return (false, 1.0, 1.0) };
        let bits = f64::from(digit.row_bits(self.multiplicand));
        if digit.column_inputs() <= 2 {
            (true, bits, 1.5 * bits)
        } else if takes_bit(digit, self.multiplicand) {
            (false, bits, bits + 1.0)
        } else {
            (false, bits, bits)
        }
    }

    /// Rows that can join in each stage where every partial product is to find a direct bit.
    fn fill(&self, rows: usize, starts: usize, stages: usize) -> Vec<usize> {
        let starts = starts.min(rows);
        let started = |index: usize| match self.kind(index) {
            (true, bits, _) => bits * 2.0 / 3.0,
            (false, bits, _) => bits,
        };
        let mut next: f64 = (0..starts).map(started).sum();
        let mut at = starts;
        let mut joins = Vec::new();
        for _ in 0..stages {
            let before = at;
            let mut available = next;
            next = 0.0;
            while at < rows {
                let (_, bits, need) = self.kind(at);
                if available + 0.01 < need {
                    break;
                }
                available -= need;
                next += bits;
                at += 1;
            }
            next += available;
            joins.push(at - before);
        }
        if let Some(first) = joins.first_mut() {
            *first += starts;
        }
        joins
    }
}

/// Lanes with the signals that carry their operands.
pub(super) struct Operands<'a> {
    pub lanes: Lanes<'a>,
    pub multiplicand: SignalId,
    pub recoded: SignalId,
}

impl Operands<'_> {
    /// Joins all rows to a heap of time 0, and `late` bits of weights 2^0 upwards that are there at time 1. Gives the
    /// time of the heap that is left; its last rows may still be unabsorbed.
    pub fn join(self, netlist: &mut Netlist, mut heap: Heap, order: &Order, mut late: Vec<Bit>) -> (u32, Heap) {
        let digits = self.lanes.digits.len();
        let units: Vec<Unit> =
            (0..self.lanes.count).flat_map(|lane| (0..digits).map(move |digit| Unit { lane, digit })).collect();
        let mut pending = units.as_slice();
        let mut moving = Moving { operands: self, multiplicand_from: 0, recoded_from: 0 };
        let mut time = 0;
        heap = order.applied(heap);
        for (index, &joining) in order.joins.iter().enumerate() {
            let (now, later) = pending.split_at(joining.min(pending.len()));
            pending = later;
            let starts = if index == 0 { order.starts.min(now.len()) } else { 0 };
            let (first, rest) = now.split_at(starts);
            if !first.is_empty() {
                moving.start(netlist, &mut heap, first);
            }
            for unit in rest {
                heap.push_row(moving.row(netlist, time, *unit));
            }
            if pending.is_empty() && late.is_empty() || netlist.is_beyond() {
                break;
            }
            heap = stage(netlist, time, heap, pending.is_empty());
            moving.advance(netlist, time, pending);
            (0..).zip(late.drain(..)).for_each(|(column, bit)| heap.push(column, bit));
            time += 1;
            if pending.is_empty() {
                break;
            }
        }
        (time, heap)
    }
}

/// The operands of the rows that have not joined the heap yet, as they move through the stages.
struct Moving<'a> {
    operands: Operands<'a>,
    /// Index in the input vector of the lowest bit that the signal still holds.
    multiplicand_from: u32,
    recoded_from: u32,
}

impl Moving<'_> {
    /// Makes nets of the rows that start, in the stage of time 0: small products by counters of three, other rows bit by
    /// bit.
    fn start(&self, netlist: &mut Netlist, heap: &mut Heap, units: &[Unit]) {
        let mut small: BTreeMap<(ProductTable, u32), Vec<(Bit, Bit)>> = BTreeMap::new();
        let mut wide: BTreeMap<usize, Vec<(Place, Place)>> = BTreeMap::new();
        for unit in units {
            let (digit, operand, x, recoded) = self.places(*unit);
            match small_products(digit, operand, x, recoded) {
                Some(products) => {
                    for product in products.into_iter().filter(|product| product.column < heap.width()) {
                        small.entry((product.table, product.column)).or_default().push((product.x, product.w));
                    }
                }
                None if digit.inputs.is_empty() => heap.push_row(row(netlist, 0, digit, operand, x, recoded)),
                None => wide.entry(unit.digit).or_default().push((x, recoded)),
            }
        }
        make_nets(netlist, 0, heap);
        for (index, places) in wide {
            let lanes = &self.operands.lanes;
            for row in rows_as_nets(netlist, &lanes.digits[index], lanes.multiplicand, &places) {
                let inputs = lanes.digits[index].column_inputs();
                netlist.cost.add_kept_luts(u32::try_from(row.bits.len()).unwrap_or(0), inputs);
                heap.push_row(row);
            }
        }
        let tables: BTreeSet<ProductTable> = small.keys().map(|key| key.0).collect();
        for table in tables {
            let mut triples = Vec::new();
            let mut columns = Vec::new();
            for ((_, column), products) in small.range((table, 0)..=(table, u32::MAX)) {
                let count = products.len() / 3;
                for index in 0..count {
                    triples.push([products[index], products[count + index], products[2 * count + index]]);
                    columns.push(*column);
                }
                for (x, w) in &products[3 * count..] {
                    let value = table.apply(netlist.bit(*x), netlist.bit(*w));
                    let product = Bit { inputs: 2, ..Bit::direct(netlist.wire(0, "product", 1, value), 0) };
                    netlist.note_product(product, table, *x, *w);
                    heap.push(*column, product);
                }
            }
            if triples.is_empty() {
                continue;
            }
            let (sums, carries) = netlist.product_counter(0, table, &triples);
            for (index, column) in (0..).zip(columns) {
                heap.push(column, Bit::direct(sums, index));
                heap.push(column + 1, Bit::direct(carries, index));
            }
        }
    }

    fn places(&self, unit: Unit) -> (&Digit, Operand, Place, Place) {
        let lanes = &self.operands.lanes;
        let x = Place {
            signal: self.operands.multiplicand,
            low: unit.lane * lanes.multiplicand.bits(),
            from: self.multiplicand_from,
        };
        let recoded =
            Place { signal: self.operands.recoded, low: unit.lane * lanes.recoded_bits, from: self.recoded_from };
        (&lanes.digits[unit.digit], lanes.multiplicand, x, recoded)
    }

    fn row(&self, netlist: &mut Netlist, time: u32, unit: Unit) -> Row {
        let (digit, operand, x, recoded) = self.places(unit);
        row(netlist, time, digit, operand, x, recoded)
    }

    /// Registers what the pending rows need.
    fn advance(&mut self, netlist: &mut Netlist, time: u32, pending: &[Unit]) {
        let Some(first) = pending.first() else { return };
        let lanes = self.operands.lanes;
        let lowest = |unit: &Unit| {
            let input = lanes.digits[unit.digit].inputs.iter().copied().min().unwrap_or(0);
            unit.lane * lanes.recoded_bits + input
        };
        let multiplicand_from = first.lane * lanes.multiplicand.bits();
        let recoded_from = pending.iter().take(lanes.digits.len() + 1).map(lowest).min().unwrap_or(0);
        let mut shorten = |signal: SignalId, stem: &str, by: u32| {
            let bits = netlist.bits(signal);
            let value = netlist.slice(signal, bits - 1, by);
            let register = netlist.register(time, &format!("s{}_{stem}_q", time + 1), bits - by, value);
            (by..bits).for_each(|bit| netlist.note_delay(Net::Signal(signal, bit), Net::Signal(register, bit - by)));
            register
        };
        self.operands.multiplicand =
            shorten(self.operands.multiplicand, "multiplicand", multiplicand_from - self.multiplicand_from);
        self.operands.recoded = shorten(self.operands.recoded, "recoded", recoded_from - self.recoded_from);
        self.multiplicand_from = multiplicand_from;
        self.recoded_from = recoded_from;
    }
}
