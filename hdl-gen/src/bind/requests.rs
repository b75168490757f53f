//! A layer's hardware as the wishes that ask for it.

use super::BoundLayer;
use network::diagnostic::At;
use network::graph::{HardwareRequest, Layer, PeKind};

/// Wishes that bind the layer to this hardware again.
pub(super) fn request(layer: &Layer, bound: &BoundLayer) -> HardwareRequest {
    let place = &layer.place;
    fn at<T>(value: T, place: &network::Place) -> Option<At<T>> {
        Some(At::new(value, place.clone()))
    }
    match bound {
        BoundLayer::Matrix(matrix) if layer.op.weights().is_none() => HardwareRequest {
            pe: at(matrix.pe, place),
            simd: at(matrix.simd, place),
            requantize: matrix.unit.and_then(|unit| at(unit, place)),
            ..HardwareRequest::default()
        },
        BoundLayer::Matrix(matrix) => HardwareRequest {
            kind: at(matrix.kind, place),
            form: matrix.form.and_then(|form| at(form, place)),
            pe: at(matrix.pe, place),
            simd: at(matrix.simd, place),
            multiplier: if matches!(matrix.kind, PeKind::Xnor | PeKind::Serial) {
                None
            } else {
                at(matrix.multiplier, place)
            },
            memory: at(matrix.memory, place),
            requantize: matrix.unit.and_then(|unit| at(unit, place)),
            window: if matrix.side * matrix.sets > 1 { None } else { matrix.window.and_then(|form| at(form, place)) },
            fifo: None,
        },
        BoundLayer::Join { lanes, unit, .. } => HardwareRequest {
            pe: at(*lanes, place),
            requantize: unit.and_then(|unit| at(unit, place)),
            ..HardwareRequest::default()
        },
        BoundLayer::Rearrange { lanes, .. } => HardwareRequest { pe: at(*lanes, place), ..HardwareRequest::default() },
        BoundLayer::SumPool { lanes, unit } => HardwareRequest {
            pe: at(*lanes, place),
            requantize: unit.and_then(|unit| at(unit, place)),
            ..HardwareRequest::default()
        },
        BoundLayer::Pool { lanes } | BoundLayer::Argmax { lanes } | BoundLayer::Concat { lanes } => {
            HardwareRequest { pe: at(*lanes, place), ..HardwareRequest::default() }
        }
        BoundLayer::Requantize { lanes, unit, multiplier } => HardwareRequest {
            pe: at(*lanes, place),
            multiplier: at(*multiplier, place),
            requantize: at(*unit, place),
            ..HardwareRequest::default()
        },
    }
}
