//! Kinds and forms for coded weights: what their hardware takes, and where a coding pays.

use super::groups::Groups;
use super::{Bound, BoundLayer, serial_schedule};
use crate::weight_layout::{BlockLayout, TagLayout};
use network::coding::{Coding, Transform};
use network::diagnostic::{At, Code, Diagnostic, Diagnostics};
use network::graph::{Encoding, Layer, PeForm, PeKind};
use network::op::Weights;
use network::{Format, Place};

/// Widest activations whose sums of two still fit an operand.
const MAX_PAIRED_BITS: u32 = 15;

/// Which folding a wavelet array takes: whole blocks in every step, or what is left of the matrix.
pub(crate) fn takes_blocks(weights: &Weights, groups: Groups, pe: u64, simd: u64) -> bool {
    let rows = pe.is_multiple_of(2) || pe == weights.outputs as u64;
    let columns = simd.is_multiple_of(2) || simd == weights.length as u64;
    rows && columns && (groups.count == 1 || groups.outputs.is_multiple_of(2))
}

/// The kind for coded weights where the plan leaves it open; `None` for plain weights, or where none fits.
pub(super) fn default_kind(weights: &Weights, blocks_fit: bool) -> Option<PeKind> {
    match &weights.coding {
        Coding::Plain => None,
        Coding::Piecewise(_) => Some(PeKind::Piecewise),
        Coding::Wavelet(_) => blocks_fit.then_some(PeKind::Wavelet),
    }
}

/// Whether a memory of coded words has fewer bits than one of plain codes.
pub(super) fn pays(weights: &Weights, pe: u64, simd: u64) -> bool {
    let plain = pe * simd * u64::from(weights.format.bits());
    match &weights.coding {
        Coding::Plain => false,
        Coding::Piecewise(tagged) => TagLayout::new(&tagged.regions, pe, simd).word_bits() < plain,
        Coding::Wavelet(wavelet) => BlockLayout::new(wavelet, pe, simd).word_bits() < plain,
    }
}

/// The fault of a kind that the weights' coding does not go with.
pub(super) fn wrong_kind(layer: &Layer, weights: &Weights, kind: PeKind, place: &Place) -> Option<Diagnostic> {
    let wanted = match (kind, &weights.coding) {
        (PeKind::Piecewise, Coding::Plain | Coding::Wavelet(_)) => "piecewise",
        (PeKind::Wavelet, Coding::Plain | Coding::Piecewise(_)) => "wavelet",
        _ => return None,
    };
    let format = weights.weight_format();
    Some(Diagnostic::new(
        Code::PeKind,
        place.clone(),
        format!("`{}`: kind {} takes {wanted} weights, not {format}", layer.name, kind.name()),
        "use `kind: mac`, which takes any weights, or code the weights so",
    ))
}

/// The form of a kind for coded weights: as wished, else the one that is smallest as a rule.
pub(super) fn form(
    layer: &Layer,
    weights: &Weights,
    kind: PeKind,
    activation: Format,
    faults: &mut Diagnostics,
) -> Option<PeForm> {
    let is_haar = matches!(&weights.coding, Coding::Wavelet(wavelet) if wavelet.transform() == Transform::Haar);
    let reason = |form: PeForm| match (kind, form) {
        (PeKind::Piecewise, PeForm::Decompress | PeForm::Accumulators) | (PeKind::Wavelet, PeForm::Decompress) => None,
        (PeKind::Wavelet, PeForm::Products) if !is_haar => Some("lifting is not linear".to_owned()),
        (PeKind::Wavelet, PeForm::Products) if activation.bits() > MAX_PAIRED_BITS => {
            Some(format!("sums of two {activation} activations have more than 16 bits"))
        }
        (PeKind::Wavelet, PeForm::Products) => None,
        _ => Some(format!("kind {} has no such form", kind.name())),
    };
    let default = match kind {
        PeKind::Piecewise => PeForm::Decompress,
        PeKind::Wavelet if reason(PeForm::Products).is_none() => PeForm::Products,
        PeKind::Wavelet => PeForm::Decompress,
        PeKind::Mac | PeKind::Xnor | PeKind::Serial | PeKind::Depthwise => {
            if let Some(At { place, .. }) = &layer.hardware.form {
                faults.push(Diagnostic::new(
                    Code::PeKind,
                    place.clone(),
                    format!("`{}`: kind {} has no forms", layer.name, kind.name()),
                    "leave `form` out, or use `kind: piecewise` or `kind: wavelet`",
                ));
            }
            return None;
        }
    };
    let Some(At { value, place }) = &layer.hardware.form else { return Some(default) };
    if let Some(reason) = reason(*value) {
        faults.push(Diagnostic::new(
            Code::PeKind,
            place.clone(),
            format!("`{}`: form {} cannot be: {reason}", layer.name, value.name()),
            "leave `form` out to have it chosen",
        ));
    }
    Some(*value)
}

/// The fault of a wavelet array whose steps would cut blocks.
pub(super) fn blocks_fault(layer: &Layer, weights: &Weights, groups: Groups) -> Diagnostic {
    let place = layer.hardware.simd.as_ref().or(layer.hardware.pe.as_ref()).map_or(&layer.place, |at| &at.place);
    Diagnostic::new(
        Code::Folding,
        place.clone(),
        format!(
            "`{}`: steps would cut blocks of two output channels by two inputs ({} outputs in {} groups, {} inputs)",
            layer.name, weights.outputs, groups.count, weights.length
        ),
        "use an even pe or all output channels, and an even simd or all inputs; or `kind: mac`",
    )
}

impl Bound {
    /// Bits of a layer's weights as its memory holds them: of coded weights codes and tags of every word, of bit planes
    /// those that a mode reads.
    pub fn weight_memory_bits(&self, index: usize) -> u64 {
        let network = self.network();
        let layer = &network.layers()[index];
        let (Some(weights), BoundLayer::Matrix(matrix)) = (layer.op.weights(), &self.layers()[index]) else { return 0 };
        let count = weights.outputs as u64 * weights.length as u64;
        let words = count / (matrix.pe * matrix.simd);
        match (&weights.coding, matrix.kind, network.layer_input(layer).encoding) {
            (Coding::Piecewise(tagged), PeKind::Piecewise, _) => {
                words * TagLayout::new(&tagged.regions, matrix.pe, matrix.simd).word_bits()
            }
            (Coding::Wavelet(wavelet), PeKind::Wavelet, _) => {
                words * BlockLayout::new(wavelet, matrix.pe, matrix.simd).word_bits()
            }
            (_, PeKind::Serial, Encoding::Codes { format, .. }) => {
                let schedule = serial_schedule(network, index, &layer.op, weights, format);
                count * schedule.stored.len() as u64
            }
            _ => count * u64::from(weights.format.bits()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{BindOptions, bind};
    use network::Plan;

    /// Four outputs of eight inputs; the expected bits are counted by hand.
    #[track_caller]
    fn check(weight: &str, hardware: &str, expected: u64) {
        let plan = format!(
            "hwgen: 1\nname: stored\nrandom: {{ seed: 4 }}\ninput: {{ shape: [8], format: u4 }}\nlayers:\n  \
             - {{ name: fc, op: dense, outputs: 4, weight: {weight}, hw: {{ {hardware}, pe: 2, simd: 4 }} }}\n"
        );
        let network = Plan::parse(&plan, "plan.yaml").unwrap().build(None).unwrap();
        let bound = bind(&network, &BindOptions::default()).unwrap();
        assert_eq!(bound.weight_memory_bits(0), expected, "{weight}, {hardware}");
    }

    #[test]
    fn weights_are_counted_as_their_memory_holds_them() {
        check("s5", "kind: mac", 32 * 5);
        // Four words of eight codes, and of a tag for each PE.
        let regions = "{ piecewise: [2, 4], multipliers: [3, 1], group: 4 }";
        check(regions, "kind: piecewise", 4 * (8 * 4 + 2));
        check(regions, "kind: mac", 32 * 4);
        // Four words of two blocks.
        check("{ wavelet: [4, 3, 3, 2] }", "kind: wavelet", 4 * 2 * 12);
        check("bipolar4, modes: [[2, 4], [1, 1]]", "kind: serial", 32 * 2);
    }
}
