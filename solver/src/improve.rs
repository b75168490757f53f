//! Good choices without proof: repair of broken limits, and exchanges of one or two options.

use crate::instance::{Instance, Live, Row};

/// Most exchanges of one option that are tried two at a time.
const MOST_PAIRED: usize = 160;

/// A choice that is being changed, with its sums.
struct Draft<'a> {
    instance: &'a Instance,
    live: &'a Live,
    choice: Vec<usize>,
    used: Vec<f64>,
}

/// From any choice to one that keeps the limits and that no exchange makes better; `None` where repair fails.
/// `multipliers` tell how dear each row is. `steps` counts options looked at.
pub(crate) fn improve(
    instance: &Instance,
    live: &Live,
    choice: &[usize],
    multipliers: &[f64],
    thorough: bool,
    steps: &mut u64,
) -> Option<Vec<usize>> {
    let mut draft = Draft { instance, live, choice: choice.to_vec(), used: instance.used(choice) };
    draft.repair(multipliers, steps)?;
    loop {
        draft.descend(steps);
        if !thorough || !draft.exchange_two(multipliers, steps) {
            return Some(draft.choice);
        }
    }
}

impl Draft<'_> {
    fn moves(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.instance.groups()).flat_map(move |group| {
            let options = self.instance.range(group);
            options.filter(move |&o| o != self.choice[group] && self.live.has(o)).map(move |o| (group, o))
        })
    }

    fn after(&self, group: usize, option: usize) -> Vec<f64> {
        let (new, old) = (self.instance.usage_of(option), self.instance.usage_of(self.choice[group]));
        self.used.iter().zip(new.iter().zip(old)).map(|(used, (new, old))| used + new - old).collect()
    }

    /// What a move adds to the cost of options and pairs.
    fn added(&self, group: usize, option: usize) -> f64 {
        let (instance, old) = (self.instance, self.choice[group]);
        let own = instance.cost[option] - instance.cost[old];
        if !instance.forest.ties(group) {
            return own;
        }
        let tied = instance.forest.edges().map(|edge| {
            edge.with(instance, &self.choice, group, option) - edge.with(instance, &self.choice, group, old)
        });
        own + tied.sum::<f64>()
    }

    fn take(&mut self, group: usize, option: usize) {
        self.choice[group] = option;
        self.used = self.instance.used(&self.choice);
    }

    fn repair(&mut self, multipliers: &[f64], steps: &mut u64) -> Option<()> {
        for _ in 0..2 * self.instance.groups() + 8 {
            let excess = self.instance.excess(&self.used);
            if excess == 0.0 {
                return Some(());
            }
            *steps += self.instance.options() as u64;
            let mut best: Option<(f64, usize, usize)> = None;
            for (group, option) in self.moves() {
                let used = self.after(group, option);
                let gain = excess - self.instance.excess(&used);
                if gain <= 1e-12 {
                    continue;
                }
                let dearer: f64 = used.iter().zip(&self.used).zip(multipliers).map(|((n, o), l)| (n - o) * l).sum();
                // A price of zero or less is settled by what is gained.
                let price = (self.added(group, option) + dearer).max(1e-12) / gain;
                if best.is_none_or(|(least, ..)| price < least) {
                    best = Some((price, group, option));
                }
            }
            let (_, group, option) = best?;
            self.take(group, option);
        }
        None
    }

    fn descend(&mut self, steps: &mut u64) {
        for _ in 0..4 * self.instance.groups() {
            *steps += self.instance.options() as u64;
            let peak = self.instance.peak_cost(&self.used);
            let mut best: Option<(f64, usize, usize)> = None;
            for (group, option) in self.moves() {
                let own = self.added(group, option);
                if self.instance.peak_weight == 0.0 && own >= best.map_or(-1e-12, |(least, ..)| least) {
                    continue;
                }
                let used = self.after(group, option);
                if self.instance.excess(&used) > 0.0 {
                    continue;
                }
                let change = own + self.instance.peak_cost(&used) - peak;
                if change < -1e-12 && best.is_none_or(|(least, ..)| change < least) {
                    best = Some((change, group, option));
                }
            }
            let Some((_, group, option)) = best else { return };
            self.take(group, option);
        }
    }

    /// Makes the first pair of moves that betters the choice, among those that the multipliers find cheapest.
    fn exchange_two(&mut self, multipliers: &[f64], steps: &mut u64) -> bool {
        let instance = self.instance;
        let peak = instance.peak_cost(&self.used);
        let mut moves: Vec<(f64, usize, usize, f64, Vec<f64>)> = self
            .moves()
            .map(|(group, option)| {
                let own = self.added(group, option);
                let change: Vec<f64> = self.after(group, option).iter().zip(&self.used).map(|(n, o)| n - o).collect();
                let dear: f64 = change.iter().zip(multipliers).map(|(c, l)| c * l).sum();
                (own + dear, group, option, own, change)
            })
            .collect();
        moves.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        moves.truncate(MOST_PAIRED);
        *steps += (instance.options() + moves.len() * moves.len() / 4) as u64;
        let mut best: Option<(f64, usize, usize)> = None;
        for (first, a) in moves.iter().enumerate() {
            for (second, b) in moves.iter().enumerate().skip(first + 1) {
                if a.1 == b.1 || (instance.peak_weight == 0.0 && a.3 + b.3 >= best.map_or(-1e-12, |(l, ..)| l)) {
                    continue;
                }
                let used: Vec<f64> = (0..instance.rows.len()).map(|row| self.used[row] + a.4[row] + b.4[row]).collect();
                if used.iter().zip(&instance.rows).any(|(&used, row)| *row == Row::Limit && used > 1.0 + 1e-12) {
                    continue;
                }
                let change = a.3 + b.3 + instance.peak_cost(&used) - peak;
                if change < -1e-12 && best.is_none_or(|(least, ..)| change < least) {
                    best = Some((change, first, second));
                }
            }
        }
        let Some((_, first, second)) = best else { return false };
        let before = instance.cost_of(&self.choice) + peak;
        let (a, b) = ((moves[first].1, moves[first].2), (moves[second].1, moves[second].2));
        let old = (self.choice[a.0], self.choice[b.0]);
        self.take(a.0, a.1);
        self.take(b.0, b.1);
        // Two moves of neighbours change their pair cost in a way that neither of them knows.
        let after = instance.cost_of(&self.choice) + instance.peak_cost(&self.used);
        if after >= before - 1e-12 || instance.excess(&self.used) > 0.0 {
            self.take(a.0, old.0);
            self.take(b.0, old.1);
            return false;
        }
        true
    }
}
