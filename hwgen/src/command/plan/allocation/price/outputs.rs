//! What the width of a layer's readers takes in the layer itself: thresholds, multipliers and words of what it makes.
//!
//! Builds are priced in networks of one width for all activations. A layer whose readers take another width has a larger
//! or smaller requantization than there. What that takes is found in networks in which neighbouring activations have two
//! widths, and stands in the tables as a cost of the activation; a build keeps what it takes beside it. So a network of
//! one width costs what it was priced at, and every other one what both of a layer's widths take, as far as that is a sum.

use super::{BuildTable, Pair, builds, network};
use crate::command::plan::allocation::Job;
use crate::command::plan::allocation::study::{Progress, faults};
use hdl_gen::cost::Model;
use hdl_gen::datapath::Memo;
use hdl_gen::fold::RESOURCES;
use quantizer::PostTraining;
use quantizer::allocate::tables::Reads;
use quantizer::allocate::{Ended, Study, Tables, Watch};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Foldings of a layer that are priced to see what its outputs take.
const FOLDINGS: usize = 2;

/// Where products of a build and of its requantization are made: a build of the other sort has other outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// In look-up tables.
    Lut,
    /// In DSP blocks.
    Dsp,
}

impl Home {
    /// Of a build of the tables.
    fn of(build: &BuildTable) -> Home {
        if build.costs.get("dsp").is_some_and(|&dsp| dsp > 0.0) { Home::Dsp } else { Home::Lut }
    }

    /// That of most builds under a limit of DSP blocks: in look-up tables where the limit is less than two for a layer.
    pub fn under(limit: Option<f64>, layers: usize) -> Home {
        if limit.is_some_and(|most| most < 2.0 * layers as f64) { Home::Lut } else { Home::Dsp }
    }
}

/// What the outputs of one layer take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Index of the activation that they end in, among [`Tables::activations`].
    pub makes: usize,
    /// Look-up tables and flip-flops that each of its widths takes more than the one that takes least: in builds whose
    /// products are in look-up tables, and in the others.
    pub by_home: [BTreeMap<u32, [f64; 2]>; 2],
}

impl Output {
    fn of(&self, home: Home) -> &BTreeMap<u32, [f64; 2]> {
        &self.by_home[match home {
            Home::Lut => 0,
            Home::Dsp => 1,
        }]
    }
}

/// A network in which each of the tables' activations has its width.
struct Mixed {
    bits: Vec<u32>,
    layers: Vec<(String, Vec<BuildTable>)>,
}

/// For each layer of the tables what its outputs take; nothing where no width of them is chosen, or where it reads what
/// it makes.
pub fn outputs(
    job: &Job<'_>,
    (model, target): (&Model, u64),
    study: &Study<'_>,
    (tables, pairs): (&Tables, &[Pair]),
    watch: &Progress<'_>,
) -> Result<Vec<Option<Output>>, Ended> {
    let widths = |of: fn(&Pair) -> u32| {
        let mut widths: Vec<u32> = pairs.iter().map(of).collect();
        widths.sort_unstable();
        widths.dedup();
        widths
    };
    let (weights, activations) = (widths(|pair| pair.weights), widths(|pair| pair.activations));
    let (Some(&weight), Some(&middle)) = (weights.get(weights.len() / 2), activations.get(activations.len() / 2))
    else {
        return Ok(vec![None; tables.layers.len()]);
    };
    let edges: Vec<(Option<usize>, usize)> = (0..tables.layers.len())
        .filter_map(|layer| Some((read_place(tables, layer), study.makes_place(layer)?)))
        .filter(|(reads, makes)| *reads != Some(*makes))
        .collect();
    let colours = colours(tables.activations.len(), &edges);
    let digits = usize::BITS - colours.iter().copied().max().unwrap_or(0).leading_zeros();
    let mut wanted: Vec<Vec<u32>> = Vec::new();
    for &other in activations.iter().filter(|&&bits| bits != middle) {
        for digit in 0..digits {
            for flip in [0, 1] {
                let of = |colour: &usize| if (colour >> digit & 1) ^ flip == 1 { other } else { middle };
                wanted.push(colours.iter().map(of).collect());
            }
        }
    }
    watch.begin("pricing outputs", wanted.len() as u64);
    let memo = Memo::default();
    let of_mixed = |bits: Vec<u32>| -> Result<Mixed, Ended> {
        watch.interrupt.check().map_err(faults)?;
        let layer_bits = study.layer_bits(&study.with_activations(weight, &|place| bits[place]));
        let chosen = PostTraining { layer_bits, ..job.post_training.clone() };
        let network = network(job, &chosen).map_err(faults)?;
        let layers = builds(&network, model, &memo, target, FOLDINGS).map_err(faults)?;
        watch.step();
        Ok(Mixed { bits, layers })
    };
    let mixed: Vec<Mixed> = wanted.into_par_iter().map(of_mixed).collect::<Result<_, _>>()?;
    let own: Vec<&Pair> = pairs.iter().filter(|pair| pair.weights == weight).collect();
    let found = (0..tables.layers.len()).map(|layer| {
        let makes = study.makes_place(layer)?;
        let reads = read_place(tables, layer);
        if reads == Some(makes) {
            return None;
        }
        let name = &tables.layers[layer].name;
        let of = |list: &'_ [(String, Vec<BuildTable>)]| -> Option<Vec<BuildTable>> {
            list.iter().find(|(own, _)| own == name).map(|(_, builds)| builds.clone())
        };
        let whole = |bits: u32| own.iter().find(|pair| pair.activations == bits).and_then(|pair| of(&pair.layers));
        let pair = |read: u32, made: u32| {
            let fits =
                |mixed: &&Mixed| reads.is_some_and(|reads| mixed.bits[reads] == read) && mixed.bits[makes] == made;
            mixed.iter().find(fits).and_then(|mixed| of(&mixed.layers))
        };
        let change = |other: u32, home: Home| -> Option<[f64; 2]> {
            let (before, after) = (whole(middle)?, whole(other)?);
            match reads {
                // What it reads has one width in all networks.
                None => difference(&before, &after, home),
                // Both ways: the same reading with two widths of what is made.
                Some(_) => {
                    let there = difference(&before, &pair(middle, other)?, home)?;
                    let back = difference(&pair(other, middle)?, &after, home)?;
                    Some([0, 1].map(|resource| (there[resource] + back[resource]) / 2.0))
                }
            }
        };
        let of_home = |home: Home| {
            let others = activations.iter().filter(|&&bits| bits != middle);
            let changes = others.filter_map(|&bits| Some((bits, change(bits, home)?)));
            from_least(changes.chain([(middle, [0.0; 2])]).collect())
        };
        Some(Output { makes, by_home: [of_home(Home::Lut), of_home(Home::Dsp)] })
    });
    Ok(found.collect())
}

/// Index of the activation that a layer reads, where its width is chosen.
fn read_place(tables: &Tables, layer: usize) -> Option<usize> {
    match tables.layers[layer].reads {
        Reads::Shared(place) => Some(place),
        Reads::Fixed(_) | Reads::Own(_) => None,
    }
}

/// A number for each activation, another one for those that a layer stands between.
fn colours(count: usize, edges: &[(Option<usize>, usize)]) -> Vec<usize> {
    let mut made: Vec<usize> = Vec::new();
    for place in 0..count {
        let beside = |&(reads, makes): &(Option<usize>, usize)| match reads {
            Some(reads) if reads == place => Some(makes),
            Some(reads) if makes == place => Some(reads),
            _ => None,
        };
        let taken: Vec<usize> = edges.iter().filter_map(beside).filter_map(|other| made.get(other).copied()).collect();
        made.push((0..).find(|colour| !taken.contains(colour)).unwrap_or(0));
    }
    made
}

/// Look-up tables and flip-flops that the build of fewest tables takes more in `after` than in `before`: of those whose
/// products have this home, and the same build of both where it is there.
fn difference(before: &[BuildTable], after: &[BuildTable], home: Home) -> Option<[f64; 2]> {
    let of_home = |list: &'_ [BuildTable]| -> Vec<BuildTable> {
        list.iter().filter(|build| Home::of(build) == home).cloned().collect()
    };
    let (before, after) = (of_home(before), of_home(after));
    let same = before.iter().find_map(|own| Some((own, after.iter().find(|other| other.name == own.name)?)));
    let (first, second) = same.or_else(|| Some((before.first()?, after.first()?)))?;
    let used = |build: &BuildTable, name: &str| build.costs.get(name).copied().unwrap_or(0.0);
    Some([0, 1].map(|resource| used(second, RESOURCES[resource]) - used(first, RESOURCES[resource])))
}

/// The same counted from the least of each resource.
fn from_least(mut by_bits: BTreeMap<u32, [f64; 2]>) -> BTreeMap<u32, [f64; 2]> {
    for resource in 0..2 {
        let least = by_bits.values().map(|usage| usage[resource]).fold(f64::INFINITY, f64::min);
        by_bits.values_mut().for_each(|usage| usage[resource] -= least);
    }
    by_bits
}

/// Takes what outputs of these widths take from the builds, and gives it to the activations that they end in: there what
/// they take in builds of this home. DSP blocks and memories stay with the builds.
pub fn divide(tables: &mut Tables, outputs: &[Option<Output>], home: Home, priced_at: &dyn Fn(u32) -> u32) {
    let names = &RESOURCES[..2];
    for activation in &mut tables.activations {
        names.iter().for_each(|name| drop(activation.costs.remove(*name)));
    }
    for (layer, output) in tables.layers.iter_mut().zip(outputs) {
        let Some(output) = output else { continue };
        for (&(_, read), builds) in &mut layer.builds {
            let at = priced_at(read);
            for build in builds {
                let own = output.of(Home::of(build)).get(&at).copied().unwrap_or_default();
                let given = output.of(home).get(&at).copied().unwrap_or_default();
                for (resource, name) in names.iter().enumerate() {
                    if let Some(cost) = build.costs.get_mut(*name) {
                        // No more than what comes back with the activation.
                        *cost = (*cost - own[resource].min(given[resource])).max(0.0);
                    }
                }
            }
        }
        let activation = &mut tables.activations[output.makes];
        for (resource, name) in names.iter().enumerate() {
            let costs = activation.costs.entry((*name).to_owned()).or_default();
            for &bits in &activation.bits {
                *costs.entry(bits).or_default() += output.of(home).get(&bits).map_or(0.0, |usage| usage[resource]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(name: &str, lut: f64) -> BuildTable {
        BuildTable { name: name.to_owned(), costs: [("lut".to_owned(), lut), ("ff".to_owned(), 2.0 * lut)].into() }
    }

    /// A chain takes two colours; a layer over a skip takes a third.
    #[test]
    fn neighbours_have_different_colours() {
        assert_eq!(colours(4, &[(None, 0), (Some(0), 1), (Some(1), 2), (Some(2), 3)]), [0, 1, 0, 1]);
        assert_eq!(colours(3, &[(Some(0), 1), (Some(1), 2), (Some(0), 2)]), [0, 1, 2]);
        assert_eq!(colours(2, &[]), [0, 0]);
    }

    #[test]
    fn the_same_build_is_compared() {
        let found = |before: &[BuildTable], after: &[BuildTable]| difference(before, after, Home::Lut);
        let (before, after) = ([build("b", 10.0), build("a", 20.0)], [build("a", 26.0), build("c", 3.0)]);
        assert_eq!(found(&before, &after), Some([6.0, 12.0]));
        assert_eq!(found(&before[..1], &after), Some([16.0, 32.0]));
        assert_eq!(found(&before, &[]), None);
        assert_eq!(difference(&before, &after, Home::Dsp), None);
        let mut with_dsp = build("a dsp", 5.0);
        with_dsp.costs.insert("dsp".to_owned(), 2.0);
        assert_eq!(found(&[with_dsp, build("b", 10.0)], &[build("b", 11.0)]), Some([1.0, 2.0]));
    }

    /// A network of one width costs as before; where reader and layer differ, the outputs cost what the reader's width says.
    #[test]
    fn costs_of_outputs_follow_the_reader() {
        use quantizer::allocate::tables::{ActivationTable, LayerTable};
        use quantizer::allocate::{Budget, Problem};
        let bits = vec![2, 8];
        let activation = |name: &str| ActivationTable {
            name: name.to_owned(),
            bits: bits.clone(),
            loss: [(2, 1.0), (8, 0.0)].into(),
            ..ActivationTable::default()
        };
        let layer = |name: &str, reads: usize| LayerTable {
            name: name.to_owned(),
            bits: vec![4],
            reads: Reads::Shared(reads),
            builds: [((4, 2), vec![build("a", 30.0)]), ((4, 8), vec![build("a", 100.0)])].into(),
            ..LayerTable::default()
        };
        let mut tables = Tables {
            activations: vec![activation("x"), activation("y")],
            layers: vec![layer("first", 0), layer("second", 1)],
            ..Tables::default()
        };
        let by_bits: BTreeMap<u32, [f64; 2]> = [(2, [0.0; 2]), (8, [40.0, 80.0])].into();
        let output = Output { makes: 1, by_home: [by_bits.clone(), by_bits] };
        divide(&mut tables, &[Some(output), None], Home::Lut, &|read| read);
        let problem = Problem::new(&tables, &Budget::default()).unwrap();
        let lut = problem.costs().iter().position(|name| name == "lut").unwrap();
        let of = |x: usize, y: usize| problem.total(lut, &[x, y, 0, 0]);
        assert_eq!((of(0, 0), of(1, 1)), (60.0, 200.0));
        // The first layer reads 8 bits and makes 2: its outputs take 40 less than with 8.
        assert_eq!(of(1, 0), 100.0 - 40.0 + 30.0);
        assert_eq!(of(0, 1), 30.0 + 40.0 + 100.0);
    }
}
