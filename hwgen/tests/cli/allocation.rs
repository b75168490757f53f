//! Widths chosen from tables and for float networks.

use crate::place::{Folder, repository};
use serde_json::Value;

const TABLES: &str = "\
hwgen_tables: 1
weight_bits: [2, 4, 8]
layers:
  - { name: a, parameters: 1000, macs: 10, loss: { w2: 0.9, w4: 0.3, w8: 0.1 } }
  - { name: b, parameters: 1000, macs: 20, loss: { w2: 0.5, w4: 0.1, w8: 0.0 } }
";

#[test]
fn tables_are_solved() {
    let folder = Folder::new();
    folder.write("t.yaml", TABLES.as_bytes());
    // 1500 bytes leave 12 bits for both layers: a's 8 and b's 4 lose 0.2, the other way 0.3.
    let report = json(&folder, "allocate --tables t.yaml --budget size=1.5kB");
    assert_eq!(report["layers"][0]["weight_bits"], 8);
    assert_eq!(report["layers"][1]["weight_bits"], 4);
    assert_eq!((report["proved"].as_bool(), report["costs"]["size"].as_f64()), (Some(true), Some(1500.0)));
    let text = good(&folder, "allocate --tables t.yaml --budget size=1.5kB");
    assert!(text.contains("loss 0.2, proved to be the least"), "{text}");
    folder.refuses("allocate --tables t.yaml --budget size=400", 2, "E0903", "size=500");
    folder.refuses("allocate --tables t.yaml --budget lut=400", 2, "E0902", "lut");
    folder.refuses("allocate --tables t.yaml --budget size", 2, "E0902", "size");
    folder.refuses("allocate --tables t.yaml --budget sise=40%", 2, "E0902", "did you mean `size`?");
    folder.refuses("allocate --tables none.yaml", 2, "E0703", "none.yaml");
    folder.write("t.yaml", TABLES.replace("w8: 0.0", "w8: x").as_bytes());
    folder.refuses("allocate --tables t.yaml", 2, "E0901", "t.yaml:5");
}

#[track_caller]
fn good(folder: &Folder, arguments: &str) -> String {
    let done = folder.run(arguments);
    assert_eq!(done.exit_code, 0, "{arguments}\n{}{}", done.stdout, done.stderr);
    done.stdout
}

#[track_caller]
fn json(folder: &Folder, arguments: &str) -> Value {
    let (exit_code, report) = folder.json(arguments);
    assert_eq!(exit_code, 0, "{arguments}\n{report:#}");
    report
}

/// The help of a refusal.
#[track_caller]
fn refusal(folder: &Folder, arguments: &str) -> String {
    let (exit_code, report) = folder.json(arguments);
    assert_eq!(exit_code, 2, "{arguments}\n{report:#}");
    report["diagnostics"][0]["help"].as_str().unwrap().to_owned()
}

#[track_caller]
fn planned(folder: &Folder, name: &str, rest: &str) -> Value {
    let example = repository().join("examples/digits-mlp").display().to_string();
    let command = format!(
        "plan {example}/digits-mlp.float.onnx -o {name} --calibration {example}/calib.npz:x_u8 --input-scale 1/16 \
         --study-frames 24 --calibration-frames 48 --weight-widths 2,4,8 --activation-widths 2,4,8 {rest}"
    );
    json(folder, &command)["allocation"].clone()
}

/// Every method that applies to a chain of dense layers leaves a plan within the budget, whose Verilog equals its model.
#[test]
fn every_method_keeps_the_budget() {
    let mut simulated: Vec<Value> = Vec::new();
    let folder = Folder::new();
    let methods = [
        "uniform",
        "pdb",
        "pdb-separability",
        "hmptq",
        "hmptq-ratio",
        "hmptq-a",
        "dhmq",
        "hawq-v1",
        "hawq-v2",
        "hawq-v3",
        "zeroq",
        "first-order",
        "adaquant-ip",
        "ssps",
    ];
    for method in methods {
        let allocation = planned(&folder, "plan.yaml", &format!("--method {method} --budget size=80%,bitops=80%"));
        assert_eq!(allocation["method"], method);
        // 4096 + 3072 + 2304 + 480 weights, each of which multiplies once.
        let size = allocation["costs"]["size"].as_f64().unwrap();
        let bitops = allocation["costs"]["bitops"].as_f64().unwrap();
        assert!(size <= 0.8 * 9952.0 && bitops <= 0.8 * 9952.0 * 64.0, "{method}: {size} {bitops}");
        let layers = allocation["layers"].as_array().unwrap();
        let payload: f64 = layers
            .iter()
            .zip([4096.0, 3072.0, 2304.0, 480.0])
            .map(|(layer, weights)| weights * layer["weight_bits"].as_f64().unwrap() / 8.0)
            .sum();
        assert_eq!(payload, size, "{method}");
        good(&folder, "check plan.yaml");
        // Methods that choose the same widths share a plan, and one simulation of it.
        if !simulated.contains(&allocation["layers"]) {
            let done = json(&folder, "simulate plan.yaml --frames 2");
            assert_eq!(done["ok"], true, "{method}: {done:#}");
            simulated.push(allocation["layers"].clone());
        }
    }
}

/// HMPTQ's piecewise weights and activations (WP42AP42) leave a plan whose Verilog equals its model; the size that was
/// asked for is that of the codes, and it is told with tags.
#[test]
fn piecewise_weights_and_activations_are_simulated() {
    let folder = Folder::new();
    let example = repository().join("examples/digits-mlp").display().to_string();
    let report = json(
        &folder,
        &format!(
            "plan {example}/digits-mlp.float.onnx -o plan.yaml --calibration {example}/calib.npz:x_u8 --input-scale 1/16 \
             --study-frames 24 --calibration-frames 48 --weight-widths 2,4,8 --activation-widths 2,4,8 \
             --weight-quantizer piecewise --free-tags --activation-quantizer piecewise --method hmptq-a \
             --budget size=50%,activations=60%"
        ),
    );
    let bytes = &report["bytes"];
    let figure = |name: &str| bytes[name].as_f64().unwrap();
    assert!(figure("weights") <= figure("with_tags") && figure("with_tags") < figure("with_constants"), "{bytes:#}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("activation levels"), "{notes}");
    assert!(folder.read("plan.yaml").contains("piecewise: [2, 4, 8]"), "{notes}");
    // 9952 weights: half of their bytes at 8 bits. What the regions take is neither 2 nor 4 bits a weight.
    let size = report["allocation"]["costs"]["size"].as_f64().unwrap();
    assert!(figure("weights") == size && size <= 0.5 * 9952.0, "{bytes:#} {size}");
    let widths = report["allocation"]["layers"].as_array().unwrap().iter().map(|layer| layer["weight_bits"].as_f64());
    let by_width: f64 =
        widths.zip([4096.0, 3072.0, 2304.0, 480.0]).map(|(bits, weights)| weights * bits.unwrap() / 8.0).sum();
    assert!(size > 1.05 * by_width, "{size} {by_width}");
    let done = json(&folder, "simulate plan.yaml --frames 2");
    assert_eq!(done["ok"], true, "{done:#}");
}

/// Kinds and foldings are chosen with the widths: the written plan states them, keeps every limit by the estimate and by
/// the timing model, and runs so.
#[test]
fn a_rate_and_resources_choose_foldings_with_the_widths() {
    let folder = Folder::new();
    let rest = "--budget lut=2000,dsp=8,bram=3,fps=200000 --clock 100 --save-tables t.yaml";
    let allocation = planned(&folder, "plan.yaml", rest);
    let hardware = &allocation["hardware"];
    let figure = |name: &str| hardware[name].as_f64().unwrap();
    assert!(figure("lut") <= 2000.0 && figure("dsp") <= 8.0 && figure("bram36") <= 3.0, "{hardware:#}");
    // 100 MHz and 200000 frames/s leave 500 cycles.
    assert!(figure("interval") <= 500.0 && figure("fps") >= 200_000.0, "{hardware:#}");
    let plan = folder.read("plan.yaml");
    assert_eq!(plan.matches(" pe: ").count(), 4, "{plan}");
    assert!(plan.contains("fps: 200000") && plan.contains("clock_mhz: 100"), "{plan}");
    let estimate = json(&folder, "estimate plan.yaml");
    let total = &estimate["total"];
    let lut = total["lut"].as_f64().unwrap() + total["lut_memory"].as_f64().unwrap();
    // The report of an estimate is in whole look-up tables.
    assert!((lut - figure("lut")).abs() <= 1.0, "{total:#} {hardware:#}");
    assert_eq!(total["dsp"].as_f64(), Some(figure("dsp")));
    let done = json(&folder, "simulate plan.yaml --frames 3");
    assert_eq!(done["ok"], true, "{done:#}");
    // The tables that were saved hold the builds, and are solved alone.
    let solved = json(&folder, "allocate --tables t.yaml --budget lut=2000,dsp=8,bram36=3,interval=500");
    assert_eq!(solved["proved"], true);
    assert!(solved["layers"][0]["build"].as_str().is_some_and(|build| build.contains("pe ")), "{solved:#}");
    // Fewer look-up tables leave less of the widths; a latency is kept, too.
    let tight = planned(&folder, "tight.yaml", "--budget lut=1800,dsp=0,latency=60 --clock 100");
    assert!(tight["hardware"]["lut"].as_f64().unwrap() <= 1800.0);
    assert!(tight["hardware"]["latency"].as_f64().unwrap() <= 60.0);
    assert_eq!(tight["hardware"]["dsp"], 0.0);
}

/// Layers whose readers take narrower activations than they read themselves are cheaper than in any network of one
/// width: the first layer reads 8 bits, and only what it makes can be narrow.
#[test]
fn budgets_that_only_narrow_outputs_keep_are_kept() {
    let folder = Folder::new();
    let allocation = planned(&folder, "plan.yaml", "--budget lut=900,dsp=0,fps=100000 --clock 100");
    let lut = allocation["hardware"]["lut"].as_f64().unwrap();
    assert!(lut <= 900.0 && allocation["hardware"]["dsp"] == 0.0, "{lut}");
    let reads: Vec<u64> = allocation["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["activation_bits"].as_u64().unwrap())
        .collect();
    assert_eq!(reads[0], 8);
    assert!(reads[1..].contains(&2), "{reads:?}");
    // What the tables say is near to what the folded whole takes.
    let by_table = allocation["costs"]["lut"].as_f64().unwrap();
    assert!((by_table / lut - 1.0).abs() < 0.15, "{by_table} {lut}");
    assert!(allocation["hardware"]["interval"].as_f64().unwrap() <= 1000.0);
    let estimate = json(&folder, "estimate plan.yaml");
    let total = estimate["total"]["lut"].as_f64().unwrap() + estimate["total"]["lut_memory"].as_f64().unwrap();
    assert!(total <= 901.0, "{total}");
}

/// The joint plan is the best of its candidates on held-out frames, the same again, and Verilog that equals its model.
#[test]
fn the_joint_plan_is_simulated() {
    let folder = Folder::new();
    let allocation = planned(&folder, "plan.yaml", "--budget size=45%,bitops=40%,lut=70% --save-tables tables.yaml");
    let held_out = allocation["held_out"].as_f64().unwrap();
    let candidates = allocation["candidates"].as_array().unwrap();
    assert!(candidates.len() > 8, "{candidates:#?}");
    assert!(candidates.iter().all(|candidate| candidate["held_out"].as_f64().unwrap() >= held_out));
    assert!(allocation["costs"]["lut"].as_f64().unwrap() > 0.0);
    let again = planned(&folder, "again.yaml", "--budget size=45%,bitops=40%,lut=70%");
    assert_eq!(again, allocation);
    assert_eq!(folder.read("again.yaml").replace("again", "plan"), folder.read("plan.yaml"));
    good(&folder, "allocate --tables tables.yaml --budget size=45%,bitops=40%,lut=70%");
    let done = json(&folder, "simulate plan.yaml --frames 3 --stall 0.2");
    assert_eq!(done["ok"], true, "{done:#}");
}

/// One measurement serves several budgets: what `--compare` tells is what plans of these budgets choose.
#[test]
fn budgets_are_compared_on_one_measurement() {
    let folder = Folder::new();
    let example = repository().join("examples/digits-mlp").display().to_string();
    let command = format!(
        "sensitivity {example}/digits-mlp.float.onnx --calibration {example}/calib.npz:x_u8 --input-scale 1/16 \
         --study-frames 24 --calibration-frames 48 --weight-widths 2,4,8 --activation-widths 2,4,8 \
         --compare size=70%,bitops=60% --compare size=45%,bitops=40%"
    );
    let report = json(&folder, &command);
    for (place, budget) in ["size=70%,bitops=60%", "size=45%,bitops=40%"].into_iter().enumerate() {
        let own = &report["budgets"][place];
        assert_eq!(own["budget"], budget);
        let planned = planned(&folder, "plan.yaml", &format!("--budget {budget}"));
        let candidates = own["candidates"].as_array().unwrap();
        let names = |list: &[Value]| list.iter().map(|own| own["name"].to_string()).collect::<Vec<_>>();
        assert_eq!(names(candidates), names(planned["candidates"].as_array().unwrap()));
        let taken: Vec<&Value> = candidates.iter().filter(|candidate| candidate["taken"] == true).collect();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0]["held_out"], planned["held_out"]);
        assert!(candidates.iter().all(|other| other["held_out"].as_f64() >= planned["held_out"].as_f64()));
    }
    folder.refuses(&command.replace("size=45%", "size=1"), 2, "E0903", "size=");
    folder.refuses(&command.replace("size=45%", "sizes=45%"), 2, "E0902", "sizes");
}

#[test]
fn wrong_wishes_are_refused() {
    let folder = Folder::new();
    let example = repository().join("examples/digits-mlp").display().to_string();
    let plan = |rest: &str| format!("plan {example}/digits-mlp.float.onnx -o p.yaml {rest}");
    let frames = format!("--calibration {example}/calib.npz:x_u8 --input-scale 1/16");
    folder.refuses(&plan("--budget size=50%"), 2, "E0904", "frames");
    folder.refuses(&plan(&format!("{frames} --budget size=1 --method uniform")), 2, "E0903", "size=");
    folder.refuses(&plan(&format!("{frames} --budget sizes=50% --method uniform")), 2, "E0902", "sizes");
    folder.refuses(
        &plan(&format!("{frames} --budget latncy=9 --method uniform")),
        2,
        "E0902",
        "did you mean `latency`?",
    );
    let done = folder.run(&plan(&format!("{frames} --method Hawqv2")));
    assert_eq!(done.exit_code, 2, "{}", done.stderr);
    assert!(
        done.stderr.contains("did you mean `hawq-v2`?") && done.stderr.contains("pdb-separability"),
        "{}",
        done.stderr
    );
    // What hardware cannot do is refused with what it can.
    folder.refuses(&plan(&format!("{frames} --budget fps=1G --method uniform")), 2, "E0903", "interval=");
    folder.refuses(&plan(&format!("{frames} --budget lut=100,dsp=0,fps=10k --method uniform")), 2, "E0903", "lut=");
    folder.refuses(&plan(&format!("{frames} --budget fps=0 --method uniform")), 2, "E0902", "fps");
    // A latency that no folding has is refused as such, and what can be limited is listed whole.
    folder.refuses(&plan(&format!("{frames} --budget latency=0.01 --method uniform")), 2, "E0903", "is latency=");
    folder.refuses(&plan(&format!("{frames} --budget luts=9 --method uniform")), 2, "E0902", "bram36, bram, bram18");
    // What is named as the nearest can be asked for.
    let few = format!("{frames} --weight-widths 2,8 --activation-widths 2,8 --method uniform");
    let help = refusal(&folder, &plan(&format!("{few} --budget lut=1,size=50%")));
    let nearest = help.split("lut=").nth(1).and_then(|rest| rest.split(';').next()).unwrap().to_owned();
    good(&folder, &plan(&format!("{few} --budget lut={nearest},size=50%")));
    folder.refuses(&plan(&format!("{frames} --method spmix --budget size=50%")), 2, "E0904", "encoder");
    folder.refuses(&plan(&format!("{frames} --method uniform --weight-widths 0,4")), 2, "E0904", "[0, 4]");
    folder.refuses(
        &plan(&format!("{frames} --method uniform --labels {example}/calib.npz:x_u8")),
        2,
        "E0904",
        "labels",
    );
    folder.refuses(&plan(&format!("{frames} --method uniform --loss detection=5")), 2, "E0904", "head");
    // One image serves for both measuring and judging, which is said.
    let text = good(
        &folder,
        &plan(&format!("{frames} --calibration-frames 1 --budget size=60% --weight-widths 4,8 --activation-widths 8")),
    );
    assert!(text.contains("too few calibration frames"), "{text}");
}
