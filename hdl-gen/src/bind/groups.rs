//! How the groups of a convolution lie in space and time.
//!
//! An array either works on one group at a time, its PEs sharing the group's activations, or on several groups side by
//! side, each PE then taking one tap of its own group in a step.

use network::Format;
use network::diagnostic::{Code, Diagnostic, Diagnostics};
use network::graph::Layer;
use network::op::{Op, Weights};
use network::shape::Shape;
use std::borrow::Cow;

/// Channels of the groups of a matrix layer; an ordinary layer is one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    /// Groups.
    pub count: u64,
    /// Input channels of a group.
    pub inputs: u64,
    /// Output channels of a group.
    pub outputs: u64,
}

impl Groups {
    /// The groups of a convolution over `input`, or the one group of any other operator.
    pub fn of(op: &Op, input: Shape, outputs: u64) -> Self {
        let count = match op {
            Op::Conv2d { groups, .. } => *groups,
            _ => 1,
        };
        Groups { count, inputs: input.channels / count, outputs: outputs / count }
    }

    /// Whether every input channel is a group of its own.
    pub fn is_depthwise(self) -> bool {
        self.count > 1 && self.inputs == 1
    }

    /// Groups side by side under `pe` PEs.
    pub fn side(self, pe: u64) -> u64 {
        (pe / self.outputs).max(1)
    }

    /// Whether `pe` PEs divide a group's outputs, or are those of several whole groups.
    pub fn takes_pe(self, pe: u64) -> bool {
        self.outputs.is_multiple_of(pe) || pe.is_multiple_of(self.outputs) && self.count.is_multiple_of(self.side(pe))
    }

    /// Whether an array of `pe` PEs, which the groups take, can have `simd` lanes: several groups side by side take
    /// one tap a step.
    pub fn takes_simd(self, pe: u64, simd: u64) -> bool {
        self.side(pe) == 1 || simd == self.inputs
    }
}

/// Faults of wishes that divide what they fold, but do not fit its groups.
pub(super) fn group_faults(layer: &Layer, groups: Groups, faults: &mut Diagnostics) {
    let Some(pe) = &layer.hardware.pe else { return };
    if pe.value == 0 || groups.count == 1 {
        return;
    }
    if !groups.takes_pe(pe.value) {
        faults.push(Diagnostic::new(
            Code::Folding,
            pe.place.clone(),
            format!(
                "`{}`: pe {} neither divides the {} outputs of a group nor makes up whole groups",
                layer.name, pe.value, groups.outputs
            ),
            format!("use a divisor of {0}, or {0} times a divisor of {1}", groups.outputs, groups.count),
        ));
    } else if let Some(simd) = layer.hardware.simd.as_ref().filter(|at| !groups.takes_simd(pe.value, at.value)) {
        faults.push(Diagnostic::new(
            Code::Folding,
            simd.place.clone(),
            format!("`{}`: pe {} works on several groups, with one tap of each in a step", layer.name, pe.value),
            format!("use `simd: {}`", groups.inputs),
        ));
    }
}

/// The operator as the array sees it: a sum over windows is a depthwise convolution whose weights are all 1.
pub(crate) fn as_convolution(op: &Op, input: Shape) -> Cow<'_, Op> {
    let Op::SumPool { window, padding_value, .. } = op else { return Cow::Borrowed(op) };
    let Some(format) = Format::unsigned(1) else { return Cow::Borrowed(op) };
    let (outputs, length) = (input.channels as usize, window.taps() as usize);
    Cow::Owned(Op::Conv2d {
        weights: Weights::plain(format, outputs, length, vec![1; outputs.saturating_mul(length)]),
        window: *window,
        padding_value: *padding_value,
        groups: input.channels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(groups: Groups, pe: u64, simd: u64, taken: bool, side: u64) {
        assert_eq!(groups.takes_pe(pe) && groups.takes_simd(pe, simd), taken);
        assert_eq!(groups.side(pe), side);
    }

    #[test]
    fn one_group_at_a_time_or_several_side_by_side() {
        let depthwise = Groups { count: 6, inputs: 1, outputs: 2 };
        check(depthwise, 1, 9, true, 1);
        check(depthwise, 2, 3, true, 1);
        check(depthwise, 4, 1, true, 2);
        check(depthwise, 4, 3, false, 2);
        check(depthwise, 8, 1, false, 4);
        check(depthwise, 3, 1, false, 1);
        check(depthwise, 12, 1, true, 6);
        let ordinary = Groups { count: 1, inputs: 4, outputs: 6 };
        check(ordinary, 3, 12, true, 1);
        check(ordinary, 6, 1, true, 1);
    }
}
