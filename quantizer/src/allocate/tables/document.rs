//! Reading tables: every wrong or missing number is a fault with its place, and reading goes on.

use super::{ActivationTable, BuildTable, LayerTable, MAX_BITS, OptionTable, PairTable, Reads, TABLES_VERSION, Tables};
use crate::allocate::problem::DERIVED_COSTS;
use network::{Code, Diagnostic, Diagnostics, Place};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};

/// Longest text in bytes.
const MAX_TEXT_BYTES: usize = 64 << 20;
/// Most layers or activations.
const MAX_ENTRIES: usize = 65_536;
/// Largest count of parameters, operations or elements.
const MAX_COUNT: u64 = 1 << 48;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    hwgen_tables: Spanned<u32>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    float_parameters: u64,
    #[serde(default)]
    weight_bits: Option<Vec<u32>>,
    #[serde(default)]
    activation_bits: Option<Vec<u32>>,
    #[serde(default)]
    greatest: Vec<String>,
    #[serde(default)]
    activations: Vec<Spanned<Activation>>,
    layers: Spanned<Vec<Spanned<Layer>>>,
    #[serde(default)]
    pairs: Vec<Spanned<Pair>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Activation {
    name: String,
    #[serde(default)]
    elements: u64,
    #[serde(default)]
    bits: Option<Vec<u32>>,
    #[serde(default)]
    loss: BTreeMap<String, f64>,
    #[serde(default)]
    costs: BTreeMap<String, BTreeMap<String, f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    name: String,
    parameters: u64,
    #[serde(default)]
    macs: u64,
    #[serde(default)]
    outputs: u64,
    #[serde(default)]
    bits: Option<Vec<u32>>,
    #[serde(default)]
    payload_bits: BTreeMap<String, f64>,
    #[serde(default)]
    activation_bits: Option<Vec<u32>>,
    #[serde(default)]
    reads: Option<String>,
    #[serde(default)]
    tied: Option<String>,
    #[serde(default)]
    loss: BTreeMap<String, f64>,
    #[serde(default)]
    costs: BTreeMap<String, BTreeMap<String, f64>>,
    #[serde(default)]
    builds: BTreeMap<String, Vec<Build>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    #[serde(default)]
    name: String,
    costs: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    between: [String; 2],
    loss: BTreeMap<String, f64>,
}

/// Faults with their file.
struct Reader<'a> {
    file: &'a str,
    faults: Diagnostics,
}

impl Reader<'_> {
    fn place(&self, at: (u64, u64), entry: &str) -> Place {
        let place = Place { line: Some(at.0), column: Some(at.1), ..Place::file(self.file) };
        if entry.is_empty() { place } else { place.in_layer(entry) }
    }

    fn fault(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        if self.faults.0.len() < 1000 {
            self.faults.push(Diagnostic::new(Code::AllocationTable, place.clone(), message, help));
        }
    }

    /// Widths, ascending and once each.
    fn bits(&mut self, place: &Place, stated: Option<&Vec<u32>>, what: &str) -> Vec<u32> {
        let Some(stated) = stated else {
            self.fault(place, format!("no widths of {what} to choose from"), "write them as in `bits: [2, 4, 8]`");
            return Vec::new();
        };
        let mut bits = stated.clone();
        bits.sort_unstable();
        bits.dedup();
        let is_legal = bits.first().is_some_and(|&least| least > 0) && bits.iter().all(|&bits| bits <= MAX_BITS);
        if !is_legal || bits.len() != stated.len() {
            let help = format!("each width stands once and is 1 to {MAX_BITS}, as in [2, 4, 8]");
            self.fault(place, format!("widths {stated:?} of {what}"), help);
        }
        bits
    }

    fn count(&mut self, place: &Place, value: u64, what: &str) -> u64 {
        if value > MAX_COUNT {
            self.fault(place, format!("{value} {what} are too many"), format!("at most {MAX_COUNT}"));
        }
        value.min(MAX_COUNT)
    }

    fn number(&mut self, place: &Place, key: &str, value: f64, may_be_negative: bool) {
        if !value.is_finite() || value < 0.0 && !may_be_negative {
            let help = if may_be_negative { "give a finite number" } else { "give a finite number of at least 0" };
            self.fault(place, format!("`{key}` is {value}"), help);
        }
    }

    /// A map from `w4`, `a8` and `w4a8` to numbers.
    fn options(
        &mut self,
        place: &Place,
        map: &BTreeMap<String, f64>,
        [weights, activations]: [&[u32]; 2],
        what: (&str, bool),
    ) -> OptionTable {
        let mut table = OptionTable::default();
        for (key, &value) in map {
            self.number(place, &format!("{} of {key}", what.0), value, what.1);
            let known = |bits: Option<u32>, of: &[u32]| bits.is_none_or(|bits| of.contains(&bits));
            match option_key(key) {
                Some((w, a)) if known(w, weights) && known(a, activations) => match (w, a) {
                    (Some(w), Some(a)) => drop(table.by_both.insert((w, a), value)),
                    (Some(w), None) => drop(table.by_weights.insert(w, value)),
                    (None, Some(a)) => drop(table.by_activations.insert(a, value)),
                    (None, None) => {}
                },
                _ => self.fault(
                    place,
                    format!("{} has an entry `{key}`, but the widths are {weights:?} and {activations:?}", what.0),
                    "keys are widths to choose from: w4 of weights, a8 of activations, w4a8 of both",
                ),
            }
        }
        table
    }
}

/// `w4`, `a8` or `w4a8`.
fn option_key(key: &str) -> Option<(Option<u32>, Option<u32>)> {
    let number = |text: &str| {
        let is_plain = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_plain { text.parse::<u32>().ok() } else { None }
    };
    if let Some(rest) = key.strip_prefix('w') {
        return match rest.split_once('a') {
            Some((w, a)) => Some((Some(number(w)?), Some(number(a)?))),
            None => Some((Some(number(rest)?), None)),
        };
    }
    key.strip_prefix('a').and_then(number).map(|a| (None, Some(a)))
}

impl Tables {
    /// Reads YAML or JSON.
    ///
    /// # Errors
    /// E0901 for every fault with its place: keys that do not exist, options without a loss, names that stand twice,
    /// numbers that are none.
    pub fn parse(text: &str, file: &str) -> Result<Tables, Diagnostics> {
        let document = decode(text, file)?;
        let mut reader = Reader { file, faults: Diagnostics::default() };
        let version = document.hwgen_tables;
        if version.value != TABLES_VERSION {
            let place = reader.place(at(&version), "");
            let message = format!("tables of version {}; this hwgen reads version {TABLES_VERSION}", version.value);
            reader.fault(&place, message, format!("write `hwgen_tables: {TABLES_VERSION}`"));
            return Err(reader.faults);
        }
        let layers_place = reader.place(at(&document.layers), "");
        let (layers, activations) = (document.layers.value, document.activations);
        if layers.is_empty() || layers.len().max(activations.len()) > MAX_ENTRIES {
            let message = format!("{} layers and {} activations", layers.len(), activations.len());
            reader.fault(&layers_place, message, format!("one to {MAX_ENTRIES} layers can be allocated"));
            return Err(reader.faults);
        }
        let mut names: BTreeSet<String> = BTreeSet::new();
        let mut tables = Tables {
            name: document.name,
            float_parameters: reader.count(&layers_place, document.float_parameters, "float parameters"),
            greatest: document.greatest,
            ..Tables::default()
        };
        for spanned in &activations {
            let place = reader.place(at(spanned), &spanned.value.name);
            once(&mut reader, &place, &mut names, &spanned.value.name);
            let read = activation(&mut reader, place, &spanned.value, document.activation_bits.as_ref());
            tables.activations.push(read);
        }
        for spanned in &layers {
            let place = reader.place(at(spanned), &spanned.value.name);
            once(&mut reader, &place, &mut names, &spanned.value.name);
            let common = [document.weight_bits.as_ref(), document.activation_bits.as_ref()];
            let read = layer(&mut reader, place, &spanned.value, common, &tables.activations);
            tables.layers.push(read);
        }
        check_ties(&mut reader, &tables.layers);
        check_costs(&mut reader, &tables);
        for spanned in &document.pairs {
            let place = reader.place(at(spanned), "");
            if let Some(read) = pair(&mut reader, &place, &spanned.value, &tables) {
                tables.pairs.push(read);
            }
        }
        reader.faults.or(tables)
    }
}

fn at<T>(spanned: &Spanned<T>) -> (u64, u64) {
    (spanned.referenced.line(), spanned.referenced.column())
}

fn decode(text: &str, file: &str) -> Result<Document, Diagnostic> {
    let fault = |place: Place, message: String| {
        Diagnostic::new(Code::AllocationTable, place, message, "compare the file with docs/allocate.md")
    };
    if text.len() > MAX_TEXT_BYTES {
        return Err(fault(Place::file(file), format!("longer than {MAX_TEXT_BYTES} bytes")));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            flow_nesting_limit: 16,
            max_nodes: 8_000_000,
            max_documents: 1,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let mut place = Place::file(file);
        if let Some(location) = error.location().filter(|location| location.line() > 0) {
            (place.line, place.column) = (Some(location.line()), Some(location.column()));
        }
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        let end = line.rfind(" at line ").unwrap_or(line.len());
        fault(place, format!("these are no tables that hwgen reads: {}", line.get(..end).unwrap_or(line)))
    })
}

fn once(reader: &mut Reader<'_>, place: &Place, names: &mut BTreeSet<String>, name: &str) {
    if name.is_empty() || !names.insert(name.to_owned()) {
        let message = if name.is_empty() { "an empty name".to_owned() } else { format!("`{name}` stands twice") };
        reader.fault(place, message, "give every layer and every activation a name of its own");
    }
}

fn activation(
    reader: &mut Reader<'_>,
    place: Place,
    stated: &Activation,
    common: Option<&Vec<u32>>,
) -> ActivationTable {
    let bits = reader.bits(&place, stated.bits.as_ref().or(common), "activations");
    let loss = reader.options(&place, &stated.loss, [&[], &bits], ("`loss`", true)).by_activations;
    if !loss.is_empty() && bits.iter().any(|width| !loss.contains_key(width)) {
        reader.fault(&place, "`loss` does not state every width", format!("the widths are {bits:?}"));
    }
    let mut costs = BTreeMap::new();
    for (name, map) in &stated.costs {
        let read = reader.options(&place, map, [&[], &bits], (&format!("cost `{name}`"), false)).by_activations;
        if bits.iter().any(|width| !read.contains_key(width)) {
            reader.fault(&place, format!("cost `{name}` does not state every width"), format!("they are {bits:?}"));
        }
        costs.insert(name.clone(), read);
    }
    let elements = reader.count(&place, stated.elements, "elements");
    ActivationTable { name: stated.name.clone(), elements, bits, loss, costs, place }
}

fn layer(
    reader: &mut Reader<'_>,
    place: Place,
    stated: &Layer,
    [weights, activations]: [Option<&Vec<u32>>; 2],
    shared: &[ActivationTable],
) -> LayerTable {
    let bits = reader.bits(&place, stated.bits.as_ref().or(weights), "weights");
    let reads = match (&stated.reads, &stated.activation_bits) {
        (Some(name), None) => match shared.iter().position(|entry| entry.name == *name) {
            Some(index) => Reads::Shared(index),
            None => {
                let help = "name one of `activations`, or write `activation_bits`";
                reader.fault(&place, format!("reads `{name}`, which is no activation of the file"), help);
                Reads::default()
            }
        },
        (Some(_), Some(_)) => {
            reader.fault(&place, "both `reads` and `activation_bits`", "state one: what is read has its own widths");
            Reads::default()
        }
        (None, own) => match own.as_ref().or(activations) {
            None => Reads::default(),
            Some(stated) => match reader.bits(&place, Some(stated), "activations").as_slice() {
                &[one] => Reads::Fixed(one),
                several => Reads::Own(several.to_vec()),
            },
        },
    };
    let made = LayerTable {
        name: stated.name.clone(),
        parameters: reader.count(&place, stated.parameters, "parameters"),
        macs: reader.count(&place, stated.macs, "multiply-accumulates"),
        outputs: reader.count(&place, stated.outputs, "outputs"),
        bits,
        reads,
        tied: stated.tied.clone(),
        ..LayerTable::default()
    };
    let widths = match &made.reads {
        Reads::Fixed(bits) => vec![*bits],
        Reads::Own(bits) => bits.clone(),
        Reads::Shared(index) => shared[*index].bits.clone(),
    };
    let legal = [made.bits.as_slice(), widths.as_slice()];
    let payload_bits =
        reader.options(&place, &stated.payload_bits, [&made.bits, &[]], ("`payload_bits`", false)).by_weights;
    let loss = reader.options(&place, &stated.loss, legal, ("`loss`", true));
    let missing = |table: &OptionTable| {
        let options = made.bits.iter().flat_map(|&w| widths.iter().map(move |&a| (w, a)));
        options.filter(|&(w, a)| table.value(w, a).is_none()).map(|(w, a)| format!("w{w}a{a}")).next()
    };
    if let Some(option) = missing(&loss).filter(|_| !loss.is_empty()) {
        reader.fault(&place, format!("`loss` does not state option {option}"), "state every option, or none");
    }
    let mut costs = BTreeMap::new();
    for (name, map) in &stated.costs {
        if DERIVED_COSTS.contains(&name.as_str()) {
            reader.fault(
                &place,
                format!("cost `{name}` follows from the counts and cannot be stated"),
                "give it another name, or leave it out",
            );
        }
        let read = reader.options(&place, map, legal, (&format!("cost `{name}`"), false));
        if let Some(option) = missing(&read) {
            reader.fault(&place, format!("cost `{name}` does not state option {option}"), "state every option");
        }
        costs.insert(name.clone(), read);
    }
    let builds = builds(reader, &place, &stated.builds, legal);
    LayerTable { payload_bits, loss, costs, builds, place, ..made }
}

/// Ways to build a layer at each pair of widths; `w4` stands for all widths of activations.
fn builds(
    reader: &mut Reader<'_>,
    place: &Place,
    stated: &BTreeMap<String, Vec<Build>>,
    [weights, activations]: [&[u32]; 2],
) -> BTreeMap<(u32, u32), Vec<BuildTable>> {
    let mut made: BTreeMap<(u32, u32), Vec<BuildTable>> = BTreeMap::new();
    for (key, list) in stated {
        let widths = option_key(key)
            .filter(|(w, a)| w.is_some_and(|w| weights.contains(&w)) && a.is_none_or(|a| activations.contains(&a)));
        let Some((Some(w), a)) = widths else {
            let help = "keys are widths to choose from: w4 of weights, or w4a8 of both";
            reader.fault(place, format!("`builds` has an entry `{key}`"), help);
            continue;
        };
        for build in list {
            for (name, &value) in &build.costs {
                reader.number(place, &format!("{name} of build {key}"), value, false);
                if DERIVED_COSTS.contains(&name.as_str()) {
                    let help = "give it another name, or leave it out";
                    reader.fault(place, format!("cost `{name}` follows from the counts and cannot be stated"), help);
                }
            }
        }
        let list = list.iter().map(|build| BuildTable { name: build.name.clone(), costs: build.costs.clone() });
        let list: Vec<BuildTable> = list.collect();
        let read = a.map_or_else(|| activations.to_vec(), |a| vec![a]);
        read.into_iter().for_each(|a| made.entry((w, a)).or_default().extend(list.clone()));
    }
    let mut all = weights.iter().flat_map(|&w| activations.iter().map(move |&a| (w, a)));
    let missing = all.find(|key| !made.is_empty() && made.get(key).is_none_or(Vec::is_empty));
    if let Some((w, a)) = missing {
        reader.fault(place, format!("`builds` has none for w{w}a{a}"), "state a build for every option, or none");
    }
    made
}

fn check_ties(reader: &mut Reader<'_>, layers: &[LayerTable]) {
    let mut first: BTreeMap<&str, &LayerTable> = BTreeMap::new();
    for layer in layers {
        let Some(tied) = &layer.tied else { continue };
        let other = *first.entry(tied).or_insert(layer);
        if other.bits != layer.bits {
            let message =
                format!("tied to `{}`, but with widths {:?} instead of {:?}", other.name, layer.bits, other.bits);
            reader.fault(&layer.place, message, "tied layers choose from the same widths");
        }
    }
}

fn check_costs(reader: &mut Reader<'_>, tables: &Tables) {
    let names = tables.cost_names();
    for name in &tables.greatest {
        if !names.contains(name) {
            let place = Place::file(reader.file);
            let known = if names.is_empty() { "it states none".to_owned() } else { names.join(", ") };
            let help = format!("the costs of the file: {known}");
            reader.fault(&place, format!("`greatest` names `{name}`, which no layer states"), help);
        }
    }
}

fn pair(reader: &mut Reader<'_>, place: &Place, stated: &Pair, tables: &Tables) -> Option<PairTable> {
    let mut widths: Vec<Vec<u32>> = Vec::new();
    for name in &stated.between {
        let layer = tables.layers.iter().find(|layer| layer.name == *name).map(|layer| layer.bits.clone());
        let shared = || tables.activations.iter().find(|entry| entry.name == *name).map(|entry| entry.bits.clone());
        match layer.or_else(shared) {
            Some(bits) => widths.push(bits),
            None => {
                let help = "a pair is between two layers or activations of the file";
                reader.fault(place, format!("`{name}` is neither a layer nor an activation"), help);
            }
        }
    }
    let [first, second] = widths.as_slice() else { return None };
    if stated.between[0] == stated.between[1] {
        reader.fault(place, format!("a pair of `{}` with itself", stated.between[0]), "name two");
        return None;
    }
    let mut loss = BTreeMap::new();
    for (key, &value) in &stated.loss {
        reader.number(place, key, value, true);
        let parsed = key.split_once('/').and_then(|(a, b)| Some((a.parse::<u32>().ok()?, b.parse::<u32>().ok()?)));
        match parsed.filter(|(a, b)| first.contains(a) && second.contains(b)) {
            Some(parsed) => drop(loss.insert(parsed, value)),
            None => {
                let help = format!("keys are widths of both, as in \"4/8\"; they are {first:?} and {second:?}");
                reader.fault(place, format!("an entry `{key}`"), help);
            }
        }
    }
    Some(PairTable { between: stated.between.clone(), loss })
}
