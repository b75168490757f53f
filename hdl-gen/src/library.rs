//! The hand-written RTL library as it is compiled into hwgen.
//!
//! A design copies the modules it instantiates, and the modules those instantiate, into its own folder.

use std::collections::BTreeSet;

/// One library module.
#[derive(Clone, Copy, Debug)]
pub struct LibraryModule {
    /// Module name; the file is `<name>.v`.
    pub name: &'static str,
    /// Verilog text.
    pub text: &'static str,
}

macro_rules! library {
    ($($folder:literal / $name:literal),+ $(,)?) => {
        /// Every module of the library, in an order in which each comes after the ones it instantiates.
        pub const LIBRARY: &[LibraryModule] = &[
            $(LibraryModule {
                name: $name,
                text: include_str!(concat!("../rtl/", $folder, "/", $name, ".v")),
            }),+
        ];
    };
}

library! {
    "include" / "hwgen_stream_check",
    "mem" / "hwgen_ram",
    "mem" / "hwgen_table",
    "mem" / "hwgen_rom",
    "stream" / "hwgen_counter",
    "include" / "hwgen_frame_check",
    "stream" / "hwgen_delay",
    "stream" / "hwgen_fifo",
    "stream" / "hwgen_credit_fifo",
    "stream" / "hwgen_block_fifo",
    "stream" / "hwgen_register_slice",
    "stream" / "hwgen_width_adapter",
    "stream" / "hwgen_fork",
    "stream" / "hwgen_mode_register",
    "stream" / "hwgen_mode_gate",
    "stream" / "hwgen_join",
    "stream" / "hwgen_concat",
    "stream" / "hwgen_padded_axis",
    "stream" / "hwgen_pool_axis",
    "stream" / "hwgen_window_address",
    "stream" / "hwgen_sliding_window",
    "stream" / "hwgen_rearrange",
    "stream" / "hwgen_stride_axis",
    "stream" / "hwgen_line_window",
    "pe" / "hwgen_at_least",
    "pe" / "hwgen_replay",
    "pe" / "hwgen_matrix_control",
    "pe" / "hwgen_serial_passes",
    "pe" / "hwgen_serial_control",
    "pe" / "hwgen_serial_schedule",
    "pe" / "hwgen_plane_select",
    "pe" / "hwgen_shift_accumulate",
    "pe" / "hwgen_border_add",
    "pe" / "hwgen_threshold_stage",
    "pe" / "hwgen_threshold",
    "pe" / "hwgen_search_stage",
    "pe" / "hwgen_greater",
    "pe" / "hwgen_argmax",
    "pe" / "hwgen_top_k",
    "pe" / "hwgen_lane_max",
    "pe" / "hwgen_pool_place",
    "pe" / "hwgen_max_pool",
    "pe" / "hwgen_sum_store",
    "pe" / "hwgen_sum_pool",
    "pe" / "hwgen_max_reduce",
    "pe" / "hwgen_zone_axis",
    "pe" / "hwgen_zone",
}

/// The named modules and everything they instantiate, in the library's order.
pub fn closure<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<LibraryModule> {
    let mut wanted: BTreeSet<&str> = names.into_iter().collect();
    // Modules come after the ones they instantiate, so one pass from the end finds them all.
    for module in LIBRARY.iter().rev() {
        if wanted.contains(module.name) {
            wanted.extend(instances(module.text));
        }
    }
    LIBRARY.iter().filter(|module| wanted.contains(module.name)).copied().collect()
}

/// The first words of all lines of a text that begin an instance.
fn instances(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let (module, rest) = line.split_at(line.find([' ', '#'])?);
        (rest.trim_start().starts_with("#(") || rest.starts_with(" u_")).then_some(module)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_after_the_ones_they_instantiate() {
        for (index, module) in LIBRARY.iter().enumerate() {
            for later in &LIBRARY[index + 1..] {
                let is_inside = instances(module.text).any(|name| name == later.name);
                assert!(!is_inside, "{} stands before {}", module.name, later.name);
            }
        }
    }

    #[test]
    fn every_file_is_listed() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rtl");
        let mut files = BTreeSet::new();
        for folder in std::fs::read_dir(root).unwrap() {
            for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                files.insert(file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned());
            }
        }
        let listed: BTreeSet<String> = LIBRARY.iter().map(|module| module.name.to_owned()).collect();
        assert_eq!(listed, files);
    }

    #[test]
    fn a_closure_holds_what_is_instantiated() {
        let names: Vec<&str> = closure(["hwgen_credit_fifo"]).iter().map(|module| module.name).collect();
        assert!(names.contains(&"hwgen_fifo") && names.contains(&"hwgen_counter"), "{names:?}");
    }
}
