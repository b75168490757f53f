//! Parts with their capacities, from data files.

use super::{Cells, Resources};
use std::collections::BTreeMap;

/// A family of devices: what Yosys maps to, and how memories are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Xilinx 7-series.
    Xc7,
    /// Xilinx UltraScale+.
    Xcup,
    /// Lattice ECP5.
    Ecp5,
    /// Lattice iCE40.
    Ice40,
    /// Gowin GW2A.
    Gowin,
    /// Standard cells.
    Asic,
}

impl Family {
    /// All families.
    pub const ALL: [Family; 6] = [Family::Xc7, Family::Xcup, Family::Ecp5, Family::Ice40, Family::Gowin, Family::Asic];

    /// The word in data files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Family::Xc7 => "xc7",
            Family::Xcup => "xcup",
            Family::Ecp5 => "ecp5",
            Family::Ice40 => "ice40",
            Family::Gowin => "gowin",
            Family::Asic => "asic",
        }
    }

    /// The Yosys commands that map a design to the family, behind the choice of its top, in the design's folder; none for
    /// standard cells, which take a library. Each design has them as `synth/map_FAMILY.ys`, for its own flow and for the fits.
    pub fn mapping(self) -> Option<Vec<String>> {
        let lines = |lines: &[&str]| Some(lines.iter().map(|&line| line.to_owned()).collect());
        // Something is done in front of the mapping to look-up tables.
        let parted = |command: &str, between: &[&str]| {
            let [first, last] = ["begin:map_luts", "map_luts:"].map(|part| format!("{command} -run {part}"));
            Some([first].into_iter().chain(between.iter().map(|&line| line.to_owned())).chain([last]).collect())
        };
        // Yosys 0.23 puts an inverter in front of every register's reset; those that invert the same are one.
        let merge = ["opt_merge", "clean"];
        match self {
            // Yosys 0.23 leaves large block RAMs with narrower ports than their cells have, on which abc9 ends by an
            // exception; `hierarchy` sets them right.
            Family::Xc7 => parted("synth_xilinx -family xc7 -flatten -noiopad -abc9", &["hierarchy"]),
            Family::Xcup => parted("synth_xilinx -family xcup -flatten -noiopad -abc9", &["hierarchy"]),
            Family::Ecp5 => parted("synth_ecp5", &merge),
            Family::Ice40 => lines(&[
                // There is no RAM in its look-up tables: memories for them may become block RAM or registers.
                "setattr -unset ram_style a:ram_style=distributed",
                "setattr -unset rom_style a:rom_style=distributed",
                "synth_ice40",
                // The placer finds no way to a look-up table with one net on both inputs that it shares with a carry cell.
                "techmap -map synth/ice40_carry.v",
                "clean",
            ]),
            Family::Gowin => {
                // It gives pads to every module that is kept.
                let whole = "setattr -mod -unset keep_hierarchy *".to_owned();
                parted("synth_gowin", &merge).map(|lines: Vec<String>| [whole].into_iter().chain(lines).collect())
            }
            Family::Asic => None,
        }
    }

    /// The clock in MHz that place and route aims at where clocks are measured; none where no open tool places and routes
    /// the family.
    pub fn aim_mhz(self) -> Option<f64> {
        match self {
            Family::Ecp5 => Some(200.0),
            // nextpnr-ice40 0.4 comes to no end now and then, aiming higher more often.
            Family::Ice40 => Some(100.0),
            Family::Gowin => Some(250.0),
            Family::Xc7 | Family::Xcup | Family::Asic => None,
        }
    }
}

/// A part with its capacities.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Name of the part.
    pub name: String,
    /// Its family.
    pub family: Family,
    /// What it has. Look-up tables that can be memory are among `lut`.
    pub capacity: Resources,
    /// Where the capacities are from.
    pub source: String,
    /// Areas of standard cells, which family `asic` is priced by.
    pub cells: Option<Cells>,
}

/// A part's file.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PartFile {
    name: String,
    family: Family,
    source: String,
    lut: u64,
    ff: u64,
    #[serde(default)]
    dsp: u64,
    #[serde(default)]
    bram36: Option<f64>,
    #[serde(default)]
    bram18: Option<u64>,
    #[serde(default)]
    uram: u64,
    #[serde(default)]
    nand2_um2: Option<f64>,
    #[serde(default)]
    register_um2: Option<f64>,
}

/// Why a part's file is wrong.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// It is not what a part's file must be, at a line and a column where they are known.
    #[error("{message}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// Line and column, from 1.
        at: Option<(u64, u64)>,
    },
    /// Both or neither of `bram36` and `bram18` are given.
    #[error("`bram36` or `bram18` must be given, one of them")]
    BlockRam,
    /// So many blocks are none.
    #[error("`bram36` is {0}, not a number of at least 0")]
    Blocks(f64),
    /// The areas of standard cells are missing for family `asic`, or given for another.
    #[error("`nand2_um2` and `register_um2`, both above 0, are given for family asic, and for no other")]
    Cells,
}

impl Device {
    /// Reads the text of a part's file.
    ///
    /// # Errors
    /// The text is not such a file.
    pub fn parse(text: &str) -> Result<Self, DeviceError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let part: PartFile = serde_saphyr::from_str_with_options(text, options).map_err(|fault| syntax(&fault))?;
        let bram18 = match (part.bram36, part.bram18) {
            (Some(whole), None) if whole.is_finite() && whole >= 0.0 => 2.0 * whole,
            (Some(whole), None) => return Err(DeviceError::Blocks(whole)),
            (None, Some(halves)) => halves as f64,
            _ => return Err(DeviceError::BlockRam),
        };
        let capacity = Resources {
            lut: part.lut as f64,
            ff: part.ff as f64,
            dsp: part.dsp as f64,
            bram18,
            uram: part.uram as f64,
            ..Resources::default()
        };
        let cells = match (part.family, part.nand2_um2, part.register_um2) {
            (Family::Asic, Some(nand2_um2), Some(register_um2))
                if [nand2_um2, register_um2].iter().all(|area| area.is_finite() && *area > 0.0) =>
            {
                Some(Cells { nand2_um2, register_um2 })
            }
            (Family::Asic, ..) | (_, Some(_), _) | (_, _, Some(_)) => return Err(DeviceError::Cells),
            _ => None,
        };
        Ok(Device { name: part.name, family: part.family, capacity, source: part.source, cells })
    }
}

/// The fault in the words of a part's file, without what the reader's own words say to those who program it.
fn syntax(fault: &serde_saphyr::Error) -> DeviceError {
    let text = fault.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.rfind(" at line ").and_then(|end| line.get(..end)).unwrap_or(line);
    let message = match line.split_once(", set DuplicateKeyPolicy").map_or(line, |(own, _)| own) {
        "invalid u64" => "this is no whole number from 0 to 2^64",
        own => own,
    };
    let at = fault.location().map(|location| (location.line(), location.column())).filter(|at| at.0 > 0);
    DeviceError::Syntax { message: message.to_owned(), at }
}

macro_rules! parts {
    ($($name:literal),+ $(,)?) => {
        const PARTS: &[&str] = &[$(include_str!(concat!("../../../constraints/parts/", $name, ".yaml"))),+];
    };
}

parts!(
    "xc7a35t",
    "xc7a100t",
    "xc7z020",
    "xczu3eg",
    "xcu250",
    "lfe5u-25f",
    "lfe5u-45f",
    "lfe5u-85f",
    "ice40hx8k",
    "ice40up5k",
    "gw2a-18",
    "osu018",
);

/// The parts that hwgen knows.
#[derive(Clone, Debug, Default)]
pub struct Devices {
    parts: BTreeMap<String, Device>,
}

impl Devices {
    /// The parts in `constraints/parts`.
    ///
    /// # Errors
    /// One of their files is wrong.
    pub fn known() -> Result<Self, DeviceError> {
        let parts = PARTS.iter().map(|text| Device::parse(text).map(|device| (device.name.clone(), device)));
        Ok(Devices { parts: parts.collect::<Result<_, _>>()? })
    }

    /// A part by its name, in any case.
    pub fn get(&self, name: &str) -> Option<&Device> {
        self.parts.get(&name.to_lowercase())
    }

    /// Names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_read() {
        let devices = Devices::known().unwrap();
        assert_eq!(devices.names().count(), PARTS.len());
        let part = devices.get("XC7Z020").unwrap();
        assert_eq!((part.family, part.capacity.lut, part.capacity.bram36()), (Family::Xc7, 53_200.0, 140.0));
    }

    #[test]
    fn inverters_are_merged_before_look_up_tables_are_mapped() {
        for family in [Family::Ecp5, Family::Gowin] {
            let commands = family.mapping().unwrap();
            let place = |part: &str| commands.iter().position(|command| command.contains(part)).unwrap();
            assert!(place("begin:map_luts") < place("opt_merge") && place("opt_merge") < place("-run map_luts:"));
        }
    }

    #[test]
    fn cells_have_areas() {
        let devices = Devices::known().unwrap();
        let cells = devices.get("osu018").unwrap().cells.unwrap();
        assert_eq!((cells.nand2_um2, cells.register_um2), (24.0, 96.0));
    }

    #[test]
    fn a_wrong_file_is_refused() {
        assert!(Device::parse("name: x\nfamily: xc7\nsource: none\nlut: 1\nff: 1\n").is_err());
        assert!(Device::parse("name: x\nfamily: asic\nsource: none\nlut: 0\nff: 0\nbram36: 0\n").is_err());
        assert!(Device::parse("name: x\nfamily: xc7\nsource: none\nlut: 1\nff: 1\nbram36: 0\nnand2_um2: 3\n").is_err());
        assert!(Device::parse("name: x\nfamily: xc9\nsource: none\nlut: 1\nff: 1\nbram36: 1\n").is_err());
        for bram36 in ["-1", ".inf", ".nan"] {
            let text = format!("name: x\nfamily: xc7\nsource: none\nlut: 1\nff: 1\nbram36: {bram36}\n");
            assert!(matches!(Device::parse(&text), Err(DeviceError::Blocks(_))), "{bram36}");
        }
    }
}
