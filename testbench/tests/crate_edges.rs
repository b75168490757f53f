//! The workspace's crates see each other only along the allowed edges.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};

/// Crate and what it may use; golden model and generator share nothing but the network.
const ALLOWED: &[(&str, &[&str])] = &[
    ("network", &[]),
    ("quantizer", &["network", "solver"]),
    ("golden-model", &["network"]),
    ("solver", &[]),
    ("hdl-gen", &["network", "solver"]),
    ("simulator", &["network"]),
    ("testbench", &["network", "quantizer", "golden-model", "hdl-gen", "simulator"]),
    ("hwgen", &["network", "quantizer", "golden-model", "solver", "hdl-gen", "simulator", "testbench"]),
];

/// What a crate's tests alone may use.
const ALLOWED_IN_TESTS: &[(&str, &str)] = &[("quantizer", "golden-model")];

#[test]
fn crates_see_only_allowed_crates() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .unwrap();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let members: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(members, allowed.keys().copied().collect(), "a crate is missing from the list, or from the workspace");
    for package in &metadata.packages {
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let in_tests = dependency.kind == DependencyKind::Development;
            if members.contains(name) {
                assert!(
                    allowed[package.name.as_str()].contains(&name)
                        || (in_tests && ALLOWED_IN_TESTS.contains(&(package.name.as_str(), name))),
                    "{} must not depend on {name} ({:?})",
                    package.name,
                    dependency.kind
                );
            }
        }
        let source = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Build);
        assert_eq!(source.count(), 0, "{} has build dependencies", package.name);
    }
}
