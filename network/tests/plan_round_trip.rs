//! Whatever network is written down, the same network is read back; whatever text is read, nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "random_parts/parts.rs"]
mod random_parts;

use network::graph::{HardwareRequest, NetworkParts};
use network::plan::{Provenance, Target, WriteOptions, Written, write};
use network::{Arrays, At, Network, Place, Plan};
use proptest::prelude::*;
use random_parts::random_parts;

fn options() -> WriteOptions {
    let at = |value| Some(At::new(value, Place::default()));
    let mut target = Target { clock_mhz: at(200.0), fps: at(29.97), ..Target::default() };
    target.device = Some(At::new("xc7z020 clg400-1".to_owned(), Place::default()));
    target.budget.lut = Some(At::new(20_000, Place::default()));
    target.budget.bram36 = Some(At::new(60, Place::default()));
    WriteOptions {
        arrays_file: "net.arrays.safetensors".to_owned(),
        model: Some(Provenance { file: "net.onnx".to_owned(), sha256: Some("ab".repeat(32)) }),
        target,
        random: None,
        origins: vec!["/conv: float, \"weights\"\n{ 4 bits".to_owned()],
    }
}

/// The parts without the places of the plan they came from.
fn without_places(mut parts: NetworkParts) -> NetworkParts {
    fn bare<T>(wish: &mut Option<At<T>>) {
        if let Some(at) = wish {
            at.place = Place::default();
        }
    }
    for layer in &mut parts.layers {
        layer.place = Place::default();
        let HardwareRequest { kind, form, pe, simd, multiplier, memory, requantize, window, fifo } =
            &mut layer.hardware;
        bare(kind);
        bare(form);
        bare(pe);
        bare(simd);
        bare(multiplier);
        bare(memory);
        bare(requantize);
        bare(window);
        bare(fifo);
    }
    parts
}

fn read(written: &Written) -> Network {
    let plan = Plan::parse(&written.plan, "plan.yaml").unwrap_or_else(|faults| panic!("{faults}\n{}", written.plan));
    let arrays = Arrays::parse(written.arrays.clone(), "net.arrays.safetensors").unwrap();
    assert_eq!(plan.arrays_file().unwrap().value, "net.arrays.safetensors");
    plan.build(Some(&arrays)).unwrap_or_else(|faults| panic!("{faults}\n{}", written.plan))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn networks_come_back(seed: u64, layers in 1usize..7) {
        let parts = random_parts(seed, layers);
        let written = write(&parts, &options()).unwrap();
        let again = write(&read(&written).into_parts(), &options()).unwrap();
        prop_assert_eq!(&again.plan, &written.plan);
        prop_assert!(again.arrays == written.arrays);
        prop_assert_eq!(without_places(read(&written).into_parts()), parts, "{}", written.plan);
    }

    #[test]
    fn every_network_can_be_made_from_a_seed(seed: u64, layers in 1usize..7, stated: u32) {
        let parts = random_parts(seed, layers);
        let text = write(&parts, &options()).unwrap().plan;
        let text = text.replace("arrays: {", &format!("random: {{ seed: {stated} }} #"));
        let plan = Plan::parse(&text, "plan.yaml").unwrap();
        match plan.build(None) {
            Ok(network) => {
                prop_assert_eq!(&network, &plan.build(None).unwrap());
                for (made, wanted) in network.layers().iter().zip(&parts.layers) {
                    prop_assert_eq!(made.op.weights().map(|w| (w.format, w.outputs, w.length)), wanted.op.weights().map(|w| (w.format, w.outputs, w.length)));
                }
            }
            Err(faults) => prop_assert!(false, "{}\n{}", faults, text),
        }
    }

    #[test]
    fn broken_plans_never_panic(seed: u64, cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), put in "[ -~\n]{0,6}") {
        let text = write(&random_parts(seed, 4), &options()).unwrap().plan;
        let cut_short = &text[..cut.index(text.len())];
        let _ = Plan::parse(cut_short, "plan.yaml");
        let at = at.index(text.len());
        let mut mutated = text.clone();
        mutated.replace_range(at..(at + put.len()).min(text.len()), &put);
        if let Ok(plan) = Plan::parse(&mutated.replace("arrays: {", "random: { seed: 1 } #"), "plan.yaml") {
            let _ = plan.build(None);
        }
    }

    #[test]
    fn broken_sidecars_never_panic(seed: u64, cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8) {
        let Written { plan, arrays, .. } = write(&random_parts(seed, 3), &options()).unwrap();
        prop_assert!(Arrays::parse(arrays[..cut.index(arrays.len())].to_vec(), "a").is_err());
        let mut mutated = arrays.clone();
        let at = at.index(arrays.len());
        mutated[at] = byte;
        if let Ok(parsed) = Arrays::parse(mutated.clone(), "a") {
            let same = mutated == arrays;
            let plan = Plan::parse(&plan, "plan.yaml").unwrap();
            prop_assert_eq!(plan.build(Some(&parsed)).is_ok(), same);
            let mut forged = plan.clone();
            if let network::plan::Constants::Arrays { sha256, .. } = &mut forged.constants {
                sha256.value = parsed.sha256().to_owned();
            }
            let _ = forged.build(Some(&parsed));
        }
    }
}
