//! Failing sketches made small.

use super::Sketch;

/// The smallest sketch found that still fails: first the fewest layers, then the fewest wishes for hardware. `fails` builds
/// and runs a sketch.
pub fn shrink(sketch: &Sketch, fails: &mut dyn FnMut(&Sketch) -> bool) -> Sketch {
    let mut best = sketch.clone();
    // What leads to one tensor alone; the first that fails has the fewest layers.
    let tensors = sketch.inputs.len()..sketch.inputs.len() + sketch.layers.len();
    let mut candidates: Vec<Sketch> = tensors.map(|tensor| sketch.leading_to(&[tensor])).collect();
    candidates.sort_by_key(|candidate| candidate.layers.len());
    if let Some(smaller) = candidates.into_iter().find(|candidate| *candidate != best && fails(candidate)) {
        best = smaller;
    }
    // A layer that changes no shape may be left out.
    let mut index = 0;
    while index < best.layers.len() {
        match without(&best, index).filter(|candidate| candidate.network().is_ok() && fails(candidate)) {
            Some(smaller) => best = smaller,
            None => index += 1,
        }
    }
    let plain = Sketch { extreme: false, ..best.clone() };
    if best.extreme && fails(&plain) {
        best = plain;
    }
    for index in 0..best.layers.len() {
        let mut candidate = best.clone();
        if candidate.layers[index].hardware.take().is_some() && fails(&candidate) {
            best = candidate;
        }
    }
    best
}

/// The sketch whose layer `index` is skipped: its readers read what it reads.
fn without(sketch: &Sketch, index: usize) -> Option<Sketch> {
    if sketch.layers.len() < 2 {
        return None;
    }
    let mut smaller = sketch.clone();
    let removed = smaller.layers.remove(index);
    let (source, made) = (*removed.inputs.first()?, sketch.inputs.len() + index);
    for layer in &mut smaller.layers {
        for input in &mut layer.inputs {
            *input = match *input {
                tensor if tensor == made => source,
                tensor if tensor > made => tensor - 1,
                tensor => tensor,
            };
        }
    }
    // Inputs that nobody reads any more go too.
    Some(smaller.leading_to(&smaller.ends()))
}
