//! The multipliers: a small linear program over mixtures of whole choices, whose dual they are.
//!
//! Minimise the cost of a mixture of columns (one for each choice seen so far) so that its usage keeps the limits; limits
//! may be broken at a high price, so that there is always a solution. One row for each limit or peak and one for the
//! mixture: the basis has a handful of rows, and its inverse is computed anew at each step.

use crate::instance::Row;
use std::rc::Rc;

/// A choice as a column: its scaled cost (without peak) and its usage in each row.
#[derive(Debug)]
pub(crate) struct Column {
    pub cost: f64,
    pub used: Vec<f64>,
    pub choice: Vec<usize>,
}

/// What stands in the basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Column(usize),
    Slack(usize),
    Excess(usize),
    Peak,
}

/// The program with its present basis.
#[derive(Debug)]
pub(crate) struct Master<'a> {
    rows: &'a [Row],
    peak_weight: f64,
    /// Price of breaking a limit by its whole amount.
    pub penalty: f64,
    pub columns: Vec<Rc<Column>>,
    basis: Vec<Variable>,
}

/// An optimal mixture.
#[derive(Debug)]
pub(crate) struct Mixture {
    pub value: f64,
    /// At least 0, one for each row.
    pub multipliers: Vec<f64>,
    /// Share of each column.
    pub shares: Vec<f64>,
    /// By how much limits are broken.
    pub excess: f64,
}

const MAX_STEPS: usize = 2000;
const TOLERANCE: f64 = 1e-11;

impl<'a> Master<'a> {
    /// Starts from at least one column.
    pub fn new(rows: &'a [Row], peak_weight: f64, penalty: f64, columns: Vec<Rc<Column>>) -> Self {
        let used = &columns[0].used;
        let mut top: Option<usize> = None;
        for row in (0..rows.len()).filter(|&row| rows[row] == Row::Peak) {
            if top.is_none_or(|top| used[row] > used[top]) {
                top = Some(row);
            }
        }
        let mut basis: Vec<Variable> = (0..rows.len())
            .map(|row| match rows[row] {
                Row::Limit if used[row] > 1.0 => Variable::Excess(row),
                Row::Peak if top == Some(row) => Variable::Peak,
                Row::Limit | Row::Peak => Variable::Slack(row),
            })
            .collect();
        basis.push(Variable::Column(0));
        Master { rows, peak_weight, penalty, columns, basis }
    }

    /// The best mixture of the columns; `None` where numbers fail.
    pub fn solve(&mut self) -> Option<Mixture> {
        for step in 0..MAX_STEPS {
            let inverse = self.inverse()?;
            let size = self.basis.len();
            let right: Vec<f64> = (0..size).map(|row| self.right(row)).collect();
            let now: Vec<f64> = inverse.iter().map(|line| dot(line, &right).max(0.0)).collect();
            let duals: Vec<f64> = (0..size)
                .map(|row| (0..size).map(|place| self.cost(self.basis[place]) * inverse[place][row]).sum())
                .collect();
            let Some(entering) = self.entering(&duals, step > 200) else {
                return Some(self.mixture(&now, &duals));
            };
            let column = self.column(entering);
            let direction: Vec<f64> = inverse.iter().map(|line| dot(line, &column)).collect();
            let mut leaving: Option<(f64, usize)> = None;
            for place in (0..size).filter(|&place| direction[place] > 1e-10) {
                let ratio = now[place] / direction[place];
                let better = leaving.is_none_or(|(least, at)| {
                    ratio < least - 1e-14 || (ratio <= least + 1e-14 && direction[place] > direction[at])
                });
                if better {
                    leaving = Some((ratio, place));
                }
            }
            self.basis[leaving?.1] = entering;
        }
        None
    }

    /// The variable with the most negative reduced cost; with `first` the first one that has one.
    fn entering(&self, duals: &[f64], first: bool) -> Option<Variable> {
        let rows = self.rows.len();
        let columns = (0..self.columns.len()).map(Variable::Column);
        let slacks = (0..rows).map(Variable::Slack);
        let limits = (0..rows).filter(|&row| self.rows[row] == Row::Limit).map(Variable::Excess);
        let peak = (self.peak_weight > 0.0).then_some(Variable::Peak);
        let mut best: Option<(f64, Variable)> = None;
        for variable in columns.chain(slacks).chain(limits).chain(peak) {
            if self.basis.contains(&variable) {
                continue;
            }
            let reduced = match variable {
                Variable::Column(index) => {
                    self.columns[index].cost - dot(&self.columns[index].used, &duals[..rows]) - duals[rows]
                }
                Variable::Slack(row) => -duals[row],
                Variable::Excess(row) => self.penalty + duals[row],
                Variable::Peak => {
                    let peaks = (0..rows).filter(|&row| self.rows[row] == Row::Peak);
                    self.peak_weight + peaks.map(|row| duals[row]).sum::<f64>()
                }
            };
            if reduced < -TOLERANCE && best.is_none_or(|(least, _)| reduced < least) {
                best = Some((reduced, variable));
                if first {
                    break;
                }
            }
        }
        best.map(|(_, variable)| variable)
    }

    fn mixture(&self, now: &[f64], duals: &[f64]) -> Mixture {
        let mut shares = vec![0.0; self.columns.len()];
        let (mut excess, mut value) = (0.0, 0.0);
        for (&variable, &amount) in self.basis.iter().zip(now) {
            value += self.cost(variable) * amount;
            match variable {
                Variable::Column(index) => shares[index] = amount,
                Variable::Excess(_) => excess += amount,
                Variable::Slack(_) | Variable::Peak => {}
            }
        }
        let mut multipliers: Vec<f64> = duals[..self.rows.len()].iter().map(|dual| (-dual).max(0.0)).collect();
        let peaks = || (0..self.rows.len()).filter(|&row| self.rows[row] == Row::Peak);
        let sum: f64 = peaks().map(|row| multipliers[row]).sum();
        if sum > self.peak_weight {
            peaks().for_each(|row| multipliers[row] *= self.peak_weight / sum);
        }
        Mixture { value, multipliers, shares, excess }
    }

    fn cost(&self, variable: Variable) -> f64 {
        match variable {
            Variable::Column(index) => self.columns[index].cost,
            Variable::Slack(_) => 0.0,
            Variable::Excess(_) => self.penalty,
            Variable::Peak => self.peak_weight,
        }
    }

    fn right(&self, row: usize) -> f64 {
        if self.rows.get(row) == Some(&Row::Peak) { 0.0 } else { 1.0 }
    }

    fn column(&self, variable: Variable) -> Vec<f64> {
        let rows = self.rows.len();
        let mut column = vec![0.0; rows + 1];
        match variable {
            Variable::Column(index) => {
                column[..rows].copy_from_slice(&self.columns[index].used);
                column[rows] = 1.0;
            }
            Variable::Slack(row) => column[row] = 1.0,
            Variable::Excess(row) => column[row] = -1.0,
            Variable::Peak => {
                for row in (0..rows).filter(|&row| self.rows[row] == Row::Peak) {
                    column[row] = -1.0;
                }
            }
        }
        column
    }

    /// The inverse of the basis, by elimination with row pivoting.
    fn inverse(&self) -> Option<Vec<Vec<f64>>> {
        let size = self.basis.len();
        let columns: Vec<Vec<f64>> = self.basis.iter().map(|&variable| self.column(variable)).collect();
        let mut work: Vec<Vec<f64>> = (0..size)
            .map(|row| {
                let left = columns.iter().map(|column| column[row]);
                left.chain((0..size).map(|other| if other == row { 1.0 } else { 0.0 })).collect()
            })
            .collect();
        for pivot in 0..size {
            let mut at = pivot;
            for row in pivot..size {
                if work[row][pivot].abs() > work[at][pivot].abs() {
                    at = row;
                }
            }
            work.swap(pivot, at);
            let by = work[pivot][pivot];
            if by.abs() < 1e-13 {
                return None;
            }
            work[pivot].iter_mut().for_each(|number| *number /= by);
            let line = work[pivot].clone();
            for (row, other) in work.iter_mut().enumerate() {
                let factor = other[pivot];
                if row != pivot && factor != 0.0 {
                    other.iter_mut().zip(&line).for_each(|(number, by)| *number -= factor * by);
                }
            }
        }
        Some(work.into_iter().map(|row| row[size..].to_vec()).collect())
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}
