//! A proxy of the energy for a frame, from the counts of a table.
//!
//! Figures are those of Horowitz, "Computing's energy problem", ISSCC 2014, for 45 nm and 0.9 V: an integer product of
//! 32 bits takes 3.1 pJ, a sum of 32 bits 0.1 pJ, and reading 64 bits of a memory of 8 KiB takes 10 pJ. Products are
//! taken to grow with both widths, sums and reads with one. What is counted is what generated arrays do: each product
//! fetches its weight and adds to a sum; each activation is written once and read once. It orders choices of widths; it
//! is no measurement of a device.

use super::super::tables::LayerTable;

/// Picojoules of a product, for each pair of bits.
const PRODUCT_PJ: f64 = 3.1 / (32.0 * 32.0);
/// Picojoules of an addition, for each bit of the sum.
const SUM_PJ: f64 = 0.1 / 32.0;
/// Picojoules of reading or writing a bit of a small memory.
const MEMORY_PJ: f64 = 10.0 / 64.0;

/// What the products, sums and weight reads of a layer take for a frame, in picojoules.
pub(super) fn of_layer(layer: &LayerTable, weights: f64, activations: f64) -> f64 {
    let length = layer.macs.checked_div(layer.outputs).unwrap_or(1).max(1);
    let sum_bits = weights + activations + (length as f64).log2().ceil();
    let each = PRODUCT_PJ * weights * activations + SUM_PJ * sum_bits + MEMORY_PJ * weights;
    layer.macs as f64 * each
}

/// What writing and reading activations takes for a frame, in picojoules.
pub(super) fn of_activations(elements: u64, bits: f64) -> f64 {
    2.0 * MEMORY_PJ * elements as f64 * bits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 products of 8 by 8 bits in dot products of 16: 100 * (3.1 / 16 + (8 + 8 + 4) / 320 + 8 * 10 / 64) pJ.
    #[test]
    fn a_layer_worked_out_by_hand() {
        let layer = LayerTable { macs: 6400, outputs: 400, ..LayerTable::default() };
        let expected = 6400.0 * (0.19375 + 0.0625 + 1.25);
        assert!((of_layer(&layer, 8.0, 8.0) - expected).abs() < 1e-6);
        // The product alone is a quarter at half the widths; a layer without counts takes nothing.
        assert!((of_layer(&layer, 4.0, 4.0) - 6400.0 * (0.0484375 + 0.0375 + 0.625)).abs() < 1e-6);
        assert_eq!(of_layer(&LayerTable::default(), 8.0, 8.0), 0.0);
        assert_eq!(of_activations(64, 4.0), 80.0);
    }
}
