//! A layer priced alone costs what it costs inside a design.

#![allow(clippy::unwrap_used, clippy::panic)]

use hdl_gen::cost::{Block, Estimate, Family, LayerCosts, Model, Resources};
use hdl_gen::datapath::Memo;
use hdl_gen::{BindOptions, bind, lower, lower_counted};
use network::Plan;

/// No width adapters stand between the layers, nothing forks, and no weights lie in look-up tables.
const PLAN: &str = "\
hwgen: 1
name: costs
random: { seed: 3 }
input: { shape: [8, 8, 2], format: u4 }
layers:
  - { name: conv1, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, output: u4, hw: { pe: 2, simd: 2, memory: block, window: 2, requantize: rescale } }
  - { name: pool1, op: max_pool, kernel: [2, 2], hw: { pe: 2 } }
  - { name: conv2, op: conv2d, outputs: 8, kernel: [3, 3], weight: s3, output: u2, hw: { pe: 4, simd: 4, memory: block, window: 2, requantize: thresholds } }
  - { name: codes, op: requantize, output: u2, hw: { pe: 4, requantize: rescale } }
  - { name: fc, op: dense, outputs: 6, weight: s4, hw: { pe: 3, simd: 4, memory: block, multiplier: dsp } }
";

fn figures(used: &Resources) -> [i64; 5] {
    [used.lut, used.lut_memory, used.ff, used.dsp, used.bram18].map(|figure| (100.0 * figure).round() as i64)
}

/// Bit planes in time, with and without modes, bipolar and integer. Without borders, whose constants lie in look-up tables.
const SERIAL: &str = "\
hwgen: 1
name: costs
random: { seed: 4 }
input: { shape: [6, 6, 2], format: bipolar3 }
layers:
  - { name: conv1, op: conv2d, outputs: 4, kernel: [3, 3], weight: bipolar2, output: u4, MODES1 hw: { kind: serial, pe: 4, simd: 6, memory: block, window: 2, requantize: rescale } }
  - { name: conv2, op: conv2d, outputs: 6, kernel: [2, 2], weight: s5, output: s6, MODES2 hw: { kind: serial, pe: 6, simd: 4, memory: block, window: 4, requantize: rescale } }
  - { name: fc, op: dense, outputs: 3, weight: s8, MODES3 hw: { kind: serial, pe: 3, simd: 6, memory: block } }
";

#[test]
fn a_layer_alone_costs_what_it_costs_in_the_design() {
    assert!(check_alone(PLAN).dsp > 0.0);
    check_alone(&SERIAL.replace("MODES1", "").replace("MODES2", "").replace("MODES3", ""));
}

/// Tables and netlists of a layer that rescales.
fn rescaled(input: &str, layer: &str) -> [u64; 2] {
    let text = format!(
        "hwgen: 1\nname: costs\nrandom: {{ seed: 5 }}\ninput: {{ shape: [2, 2, 4], format: {input} }}\nlayers:\n  - {{ name: l, {layer} }}\n"
    );
    let network = Plan::parse(&text, "plan.yaml").unwrap().build(None).unwrap();
    let design = lower(&bind(&network, &BindOptions::default()).unwrap()).unwrap();
    let mut found = [0; 2];
    for (block, count) in design.inventory().iter().flat_map(|stage| stage.inventory.blocks()) {
        match block {
            Block::Rom { .. } => found[0] += count,
            Block::Datapath(_) => found[1] += count,
            _ => {}
        }
    }
    found
}

/// Narrow sums are looked up, constants of all channels or of a lane's one channel stand in its netlist; others come from a memory.
#[test]
fn constants_that_never_change_need_no_memory() {
    let alike = |input: &str| rescaled(input, "op: requantize, output: u3, hw: { pe: 2, requantize: rescale }");
    assert_eq!(alike("u4"), [2, 0]);
    assert_eq!(alike("u12"), [0, 2]);
    let dense = |pe: u32| {
        let hardware = format!("hw: {{ pe: {pe}, simd: 2, memory: block, requantize: rescale }}");
        rescaled("s8", &format!("op: dense, outputs: 4, weight: s8, output: u8, {hardware}"))
    };
    // The weights' memory stands beside a netlist for each product and each rescaler.
    assert_eq!(dense(2), [2, 4]);
    assert_eq!(dense(4), [1, 8]);
}

#[test]
fn modes_cost_their_gate_and_their_register() {
    let text = SERIAL
        .replace("MODES1", "modes: [[2, 3], [1, 1]],")
        .replace("MODES2", "")
        .replace("MODES3", "modes: [[8, 6], [1, 2]],");
    let network = Plan::parse(&text, "plan.yaml").unwrap().build(None).unwrap();
    let bound = bind(&network, &BindOptions::default()).unwrap();
    let design = lower(&bound).unwrap();
    let names: Vec<String> = design.inventory().into_iter().map(|stage| stage.name).collect();
    assert!(names.iter().any(|name| name == "mode_gate") && names.last().unwrap() == "mode_register", "{names:?}");
    let estimate = Estimate::of(&design, &Model::of(Family::Ecp5).unwrap());
    assert!(estimate.unknown.is_empty(), "{:?}", estimate.unknown);
    // Of the register itself, as its header has it: mode, two answers with a fault each, and two bits to read.
    let input = estimate.layers.iter().find(|layer| layer.layer == "input").unwrap().resources;
    assert!(input.ff > 7.0 && input.lut > 0.0 && input.lut_memory > 0.0, "{input:?}");
}

/// Compares each layer alone with the layer inside its design; what all take together.
#[track_caller]
fn check_alone(plan: &str) -> Resources {
    let network = Plan::parse(plan, "plan.yaml").unwrap().build(None).unwrap();
    let bound = bind(&network, &BindOptions::default()).unwrap();
    let model = Model::of(Family::Xc7).unwrap();
    let estimate = Estimate::of(&lower(&bound).unwrap(), &model);
    let memo = Memo::default();
    let costs = LayerCosts::new(&bound, &model, &memo);
    assert!(estimate.unknown.is_empty(), "{:?}", estimate.unknown);
    let mut sum = Resources::default();
    for (index, layer) in network.layers().iter().enumerate() {
        let alone = costs.layer(index, &bound.layers()[index]).unwrap();
        let inside = estimate.layers.iter().find(|inside| inside.layer == layer.name).unwrap().resources;
        assert_eq!(figures(&alone), figures(&inside), "{}", layer.name);
        assert!(alone.lut > 0.0 && alone.ff > 0.0, "{}", layer.name);
        sum.add(&alone, 1.0);
    }
    assert_eq!(figures(&sum), figures(&estimate.total));
    assert!(sum.bram18 >= 3.0);
    sum
}

#[test]
fn weights_in_look_up_tables_cost_what_they_hold() {
    let plan = |memory: &str| {
        PLAN.replace("pe: 3, simd: 4, memory: block, multiplier: dsp", &format!("pe: 1, simd: 1, memory: {memory}"))
    };
    let lut = |memory: &str| {
        let network = Plan::parse(&plan(memory), "plan.yaml").unwrap().build(None).unwrap();
        let bound = bind(&network, &BindOptions::default()).unwrap();
        let model = Model::of(Family::Xc7).unwrap();
        let last = network.layers().len() - 1;
        LayerCosts::new(&bound, &model, &Memo::default()).layer(last, &bound.layers()[last]).unwrap().lut
    };
    // 192 words of 4 bits; a table of 64 words takes at least half a look-up table for each bit.
    let (tables, block) = (lut("lut"), lut("block"));
    assert!(tables - block > 0.5 * 4.0 * 192.0 / 64.0, "{tables} {block}");
}

#[test]
fn an_adapter_costs_nothing_where_lanes_agree() {
    let network = Plan::parse(PLAN, "plan.yaml").unwrap().build(None).unwrap();
    let bound = bind(&network, &BindOptions::default()).unwrap();
    let model = Model::of(Family::Xc7).unwrap();
    let memo = Memo::default();
    let costs = LayerCosts::new(&bound, &model, &memo);
    assert_eq!(costs.adapter(4, 2, 2, 64), Resources::default());
    // 8 lanes of 4 bits are held, and what counts them and the words of a frame.
    assert!(costs.adapter(4, 2, 8, 64).ff > 32.0);
}

/// What is counted without texts is what the design with its texts instantiates, on every case of the regression.
#[test]
fn counted_designs_cost_and_take_what_whole_ones_do() {
    let cases = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../testbench/cases");
    let model = Model::of(Family::Xc7).unwrap();
    let memo = Memo::default();
    let mut compared = 0;
    for entry in std::fs::read_dir(cases).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let Ok(network) = Plan::parse(&text, "plan.yaml").unwrap().build(None) else { continue };
        let bound = bind(&network, &BindOptions::default()).unwrap();
        let (whole, counted) = (lower(&bound).unwrap(), lower_counted(&bound, &memo).unwrap());
        let name = path.display();
        assert!(counted.estimate(&model).unknown.is_empty(), "{name}: {:?}", counted.estimate(&model).unknown);
        assert_eq!(Estimate::of(&whole, &model), counted.estimate(&model), "{name}");
        assert_eq!(whole.timing().unwrap(), counted.timing().unwrap(), "{name}");
        assert_eq!(whole.rows(), counted.rows(), "{name}");
        compared += 1;
    }
    assert!(compared > 20, "{compared} cases");
}
