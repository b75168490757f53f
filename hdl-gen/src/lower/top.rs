//! The top module: AXI4-Stream ports and the graph of instances.

use crate::design::{Design, Stage, input_net, reading};
use crate::verilog::{Connection, Expr, Instance, Item, Module, ModuleText, Port};
use network::manifest::{LayerRow, StreamPort, input_prefix, output_prefix};

impl Design {
    /// The top module's text; the header names the plan by its hash.
    pub(crate) fn top_text(&self, plan_sha256: &str) -> ModuleText {
        let mut header = vec![
            format!("{}: the whole accelerator of the network {}.", self.top, self.name),
            format!("Made by hwgen {} from the plan with SHA-256 {plan_sha256}.", env!("CARGO_PKG_VERSION")),
            String::new(),
        ];
        header.extend(layer_table(&self.rows));
        header.extend([
            String::new(),
            "AXI4-Stream at all ends; aresetn is synchronous, active low. Tensors travel row by row, channels last;".to_owned(),
            "element 0 of a word is in its lowest bits; tdata is padded to whole bytes; tlast marks a frame's last word.".to_owned(),
        ]);
        let entering = |index: usize| input_prefix(index, self.inputs.len());
        header.extend(self.inputs.iter().enumerate().map(|(index, end)| {
            format!("{}, the input {}: {}.", entering(index), printable(&end.name), words_text(&end.port))
        }));
        if self.modes > 1 {
            header.push(format!(
                "s_axil, AXI4-Lite: the register at 0 is the mode of frames to come, 0 to {}; see hwgen_mode_register.",
                self.modes - 1
            ));
        }
        let prefix = |index: usize| output_prefix(index, self.outputs.len());
        for (index, end) in self.outputs.iter().enumerate() {
            header.push(format!("{}, the output {}: {};", prefix(index), printable(&end.name), words_text(&end.port)));
            for line in reading(&end.content) {
                header.extend(line.split("; ").map(|part| format!("  {part};")));
            }
            if let Some(last) = header.last_mut() {
                last.pop();
                last.push('.');
            }
        }
        let mut items = vec![Item::wire("rst", 1, Expr::name("aresetn").inverted())];
        items.push(Item::Blank);
        for (index, end) in self.inputs.iter().enumerate() {
            items.extend(stream_wires(&input_net(index, self.inputs.len()), end.port.word.bits()));
        }
        for stage in &self.stages {
            for port in 0..stage.ports {
                items.extend(stream_wires(&stage.stream(port), stage.port(port).0.bits()));
            }
        }
        items.push(Item::Blank);
        let mut unused = vec![Expr::zero(1)];
        let mut ports = vec![Port::input("aclk", 1), Port::input("aresetn", 1)];
        for (index, end) in self.inputs.iter().enumerate() {
            let (prefix, entering) = (entering(index), input_net(index, self.inputs.len()));
            let (bits, data_bits) = (end.port.word.bits(), end.port.tdata_bits);
            let port = |suffix: &str| format!("{prefix}_{suffix}");
            let net = |suffix: &str| Expr::name(format!("{entering}_{suffix}"));
            ports.extend([
                Port::input(&port("tvalid"), 1),
                Port::output(&port("tready"), 1),
                Port::input(&port("tdata"), data_bits),
                Port::input(&port("tlast"), 1),
            ]);
            items.extend([
                Item::Assign(net("valid"), Expr::name(port("tvalid"))),
                Item::Assign(Expr::name(port("tready")), net("ready")),
                Item::Assign(net("data"), Expr::part(&port("tdata"), data_bits, bits - 1, 0)),
                Item::Assign(net("last"), Expr::name(port("tlast"))),
            ]);
            if data_bits > bits {
                unused.push(Expr::part(&port("tdata"), data_bits, data_bits - 1, bits));
            }
        }
        if unused.len() > 1 {
            let unused = Expr::concat(unused).unary(crate::verilog::UnaryOp::ReduceAnd);
            items.push(Item::wire("unused_ok", 1, unused));
        }
        if self.modes > 1 {
            items.push(Item::Blank);
            items.extend(self.mode_register());
        }
        for stage in &self.stages {
            items.push(Item::Blank);
            items.push(Item::Instance(self.instance(stage)));
        }
        items.push(Item::Blank);
        if self.modes > 1 {
            ports.extend(register_ports().map(|(name, bits, enters)| {
                let name = format!("s_axil_{name}");
                if enters { Port::input(&name, bits) } else { Port::output(&name, bits) }
            }));
        }
        for (index, end) in self.outputs.iter().enumerate() {
            let (prefix, leaving, output) = (prefix(index), self.stream_name(end.stream), &end.port);
            let port = |suffix: &str| format!("{prefix}_{suffix}");
            ports.extend([
                Port::output(&port("tvalid"), 1),
                Port::input(&port("tready"), 1),
                Port::output(&port("tdata"), output.tdata_bits),
                Port::output(&port("tlast"), 1),
            ]);
            let net = |suffix: &str| Expr::name(format!("{leaving}_{suffix}"));
            let padding = output.tdata_bits - output.word.bits();
            let data = if padding > 0 { Expr::concat(vec![Expr::zero(padding), net("data")]) } else { net("data") };
            items.extend([
                Item::Assign(Expr::name(port("tvalid")), net("valid")),
                Item::Assign(net("ready"), Expr::name(port("tready"))),
                Item::Assign(Expr::name(port("tdata")), data),
                Item::Assign(Expr::name(port("tlast")), net("last")),
            ]);
        }
        Module { name: self.top.clone(), header, keep_hierarchy: false, parameters: Vec::new(), ports, items }.print()
    }

    /// The register that chooses the mode, and the net that carries it.
    fn mode_register(&self) -> [Item; 2] {
        let mode_bits = super::wiring::address_bits(u64::from(self.modes));
        let mut ports = vec![Connection::new("clk_i", Expr::name("aclk")), Connection::new("rst_i", Expr::name("rst"))];
        ports.extend(register_ports().map(|(name, _, enters)| {
            let port = format!("{name}_{}", if enters { "i" } else { "o" });
            Connection::new(&port, Expr::name(format!("s_axil_{name}")))
        }));
        ports.push(Connection::new("mode_o", Expr::name("mode")));
        let instance = Instance {
            module: "hwgen_mode_register".to_owned(),
            name: "u_mode_register".to_owned(),
            parameters: vec![
                Connection::new("MODES", Expr::Integer(i64::from(self.modes))),
                Connection::new("MODE_BITS", Expr::Integer(i64::from(mode_bits))),
            ],
            ports,
        };
        [Item::open_wire("mode", mode_bits), Item::Instance(instance)]
    }

    /// A stage's instance; several streams on one side are joined to vectors, the first one lowest.
    fn instance(&self, stage: &Stage) -> Instance {
        let entering: Vec<String> = stage.inputs.iter().map(|&stream| self.stream_name(stream)).collect();
        let leaving: Vec<String> = (0..stage.ports).map(|port| stage.stream(port)).collect();
        let mut ports = vec![Connection::new("clk_i", Expr::name("aclk")), Connection::new("rst_i", Expr::name("rst"))];
        for (side, nets) in [("s", entering), ("m", leaving)] {
            let [valid, ready] = if side == "s" { ["i", "o"] } else { ["o", "i"] };
            for (signal, way) in [("valid", valid), ("ready", ready), ("data", valid), ("last", valid)] {
                let mut names = nets.iter().rev().map(|name| Expr::name(format!("{name}_{signal}")));
                let value = match (names.len(), names.next()) {
                    (1, Some(name)) => name,
                    (_, first) => Expr::concat(first.into_iter().chain(names).collect()),
                };
                ports.push(Connection::new(&format!("{side}_{signal}_{way}"), value));
            }
        }
        if stage.mode_tokens > 0 {
            ports.push(Connection::new("mode_i", Expr::name("mode")));
        }
        Instance {
            module: stage.module.clone(),
            name: format!("u_{}", stage.name),
            parameters: stage.parameters.iter().map(|(name, value)| Connection::new(name, value.clone())).collect(),
            ports,
        }
    }
}

/// The AXI4-Lite ports behind `s_axil_` of a top with several modes: name, bits, whether it enters.
pub(crate) fn register_ports() -> [(&'static str, u32, bool); 17] {
    [
        ("awaddr", 4, true),
        ("awvalid", 1, true),
        ("awready", 1, false),
        ("wdata", 32, true),
        ("wstrb", 4, true),
        ("wvalid", 1, true),
        ("wready", 1, false),
        ("bresp", 2, false),
        ("bvalid", 1, false),
        ("bready", 1, true),
        ("araddr", 4, true),
        ("arvalid", 1, true),
        ("arready", 1, false),
        ("rdata", 32, false),
        ("rresp", 2, false),
        ("rvalid", 1, false),
        ("rready", 1, true),
    ]
}

/// How a port packs its frames.
fn words_text(port: &StreamPort) -> String {
    format!("{} words a frame of {} x {} bits", port.words_per_frame, port.word.lanes, port.word.lane_bits)
}

/// A free name as part of a comment of one line.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// The four nets of a stream.
pub(super) fn stream_wires(name: &str, data_bits: u32) -> [Item; 4] {
    [
        Item::open_wire(&format!("{name}_valid"), 1),
        Item::open_wire(&format!("{name}_ready"), 1),
        Item::open_wire(&format!("{name}_data"), data_bits),
        Item::open_wire(&format!("{name}_last"), 1),
    ]
}

/// The layer table as aligned lines.
fn layer_table(rows: &[LayerRow]) -> Vec<String> {
    let mut cells: Vec<[String; 8]> =
        vec![["layer", "op", "output", "in", "weights", "out", "PE", "cycles a frame"].map(str::to_owned)];
    for row in rows {
        let folding = match &row.kind {
            Some(kind) => format!("{kind} {}x{}", row.pe, row.simd),
            None if row.pe == 1 => "1 lane".to_owned(),
            None => format!("{} lanes", row.pe),
        };
        cells.push([
            row.name.clone(),
            row.op.clone(),
            format!("{}x{}x{}", row.shape[0], row.shape[1], row.shape[2]),
            row.input.clone(),
            row.weight.clone().unwrap_or_else(|| "-".to_owned()),
            row.output.clone(),
            folding,
            row.cycles.to_string(),
        ]);
    }
    let mut widths = [0; 8];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    cells
        .iter()
        .map(|row| {
            let padded: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            padded.join("  ").trim_end().to_owned()
        })
        .collect()
}
