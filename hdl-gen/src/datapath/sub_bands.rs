//! Modules around wavelet weights: sums and differences of pairs of activations, and blocks of weights from sub-band
//! codes.

use super::combination::{Combination, CombinationSpec, CombinationTerm};
use super::operand::DatapathError;
use crate::heap::{Cost, Target};
use crate::verilog::{BinaryOp, Connection, Expr, Instance, Item, Module, ModuleText, Port, Statement};
use network::Range;
use network::coding::{Transform, Wavelet};

/// Names of the sub-bands' ports.
pub const BANDS: [&str; 4] = ["a", "h", "v", "d"];
/// Names of a block's weights.
const CORNERS: [&str; 4] = ["upper_left", "upper_right", "lower_left", "lower_right"];

/// What [`pairs`] is generated for.
#[derive(Clone, Copy, Debug)]
pub struct PairsSpec {
    /// Bits of an activation.
    pub bits: u32,
    /// Two's complement.
    pub signed: bool,
    /// Activations that pairs are made of; an odd last one has a partner of 0.
    pub lanes: u32,
    /// Vectors of so many lanes side by side.
    pub sides: u32,
    /// Whether differences are wanted, too.
    pub differences: bool,
}

/// Sums and differences of neighbouring activations, in one register stage.
pub fn pairs(module_name: &str, spec: PairsSpec) -> ModuleText {
    let PairsSpec { bits, lanes, sides, .. } = spec;
    let (count, wide) = (sides * lanes.div_ceil(2), bits + 1);
    let mut ports = vec![
        Port::input("clk_i", 1),
        Port::input("activation_i", sides * lanes * bits),
        Port::output("sum_o", count * wide),
    ];
    let mut outputs = vec![("sum", BinaryOp::Add)];
    if spec.differences {
        ports.push(Port::output("difference_o", count * wide));
        outputs.push(("difference", BinaryOp::Subtract));
    }
    let (mut items, mut statements, mut assigns) = (Vec::new(), Vec::new(), Vec::new());
    for (name, op) in outputs {
        let register = format!("{name}_q");
        items.push(Item::reg(&register, count * wide));
        for (pair, lane) in (0..sides).flat_map(|side| (0..lanes).step_by(2).map(move |lane| (side, lane))).enumerate()
        {
            let operand = |lane: u32| {
                let at = lane * bits;
                let code = Expr::part("activation_i", sides * lanes * bits, at + bits - 1, at);
                let top = Expr::part("activation_i", sides * lanes * bits, at + bits - 1, at + bits - 1);
                Expr::concat(vec![if spec.signed { top } else { Expr::zero(1) }, code])
            };
            let (side, lane) = lane;
            let first = operand(side * lanes + lane);
            let value = if lane + 1 < lanes { first.binary(op, operand(side * lanes + lane + 1)) } else { first };
            let at = pair as u32 * wide;
            statements.push(Statement::NonBlocking(Expr::part(&register, count * wide, at + wide - 1, at), value));
        }
        assigns.push(Item::Assign(Expr::name(format!("{name}_o")), Expr::name(register)));
    }
    items.push(Item::Blank);
    items.push(Item::Clocked(Expr::name("clk_i"), statements));
    items.extend(assigns);
    let header = vec![
        "Sums and differences of neighbouring activations x0 and x1.".to_owned(),
        "sum_o = x0 + x1, difference_o = x0 - x1 for lanes 2j and 2j + 1; a last lane without partner stands alone."
            .to_owned(),
        "Latency: 1 cycle; a word every cycle; no stall; inputs come from registers.".to_owned(),
    ];
    Module { name: module_name.to_owned(), header, keep_hierarchy: false, parameters: Vec::new(), ports, items }.print()
}

/// Sub-band codes to the four weights of a block.
#[derive(Clone, Debug)]
pub struct BlockModule {
    /// The module and those it instantiates.
    pub modules: Vec<ModuleText>,
    /// Cycles from codes to weights.
    pub latency_cycles: u32,
    /// Whether `hwgen_delay` is instantiated.
    pub uses_delay: bool,
    /// What all of it costs.
    pub cost: Cost,
}

impl BlockModule {
    /// A module with a code port for each sub-band that has bits, and one output `weight_o` of a b c d, a lowest.
    ///
    /// # Errors
    /// Numbers beyond what a combination takes.
    pub fn new(module_name: &str, wavelet: &Wavelet, target: Target) -> Result<Self, DatapathError> {
        let bits = wavelet.plain().bits();
        let mut builder = Builder { items: Vec::new(), modules: Vec::new(), uses_delay: false, cost: Cost::default() };
        let bands: Vec<usize> = (0..4).filter(|&band| wavelet.widths()[band] > 0).collect();
        let latency = match wavelet.transform() {
            Transform::Haar => builder.haar(module_name, wavelet, &bands, target)?,
            Transform::Lifting => builder.lifting(module_name, wavelet, &bands, target)?,
        };
        let corners = CORNERS.iter().rev().map(|name| Expr::name(*name)).collect();
        builder.items.push(Item::Blank);
        builder.items.push(Item::Assign(Expr::name("weight_o"), Expr::concat(corners)));
        let mut ports = Vec::new();
        if latency > 0 {
            ports.push(Port::input("clk_i", 1));
        }
        for &band in &bands {
            let width = wavelet.widths()[band];
            let port = Port::input(&format!("{}_i", BANDS[band]), width);
            ports.push(if width > 1 { port.signed() } else { port });
        }
        ports.push(Port::output("weight_o", 4 * bits));
        let rule = match wavelet.transform() {
            Transform::Haar => "a = A+H+V+D, b = A-H+V-D, c = A+H-V-D, d = A-H-V+D",
            Transform::Lifting => {
                "pairs x = l + ceil(h/2), y = l - floor(h/2): (A, V) and (H, D) down, then their results across"
            }
        };
        let header = vec![
            "Four weights a b (upper row) and c d (lower row) of four sub-band codes.".to_owned(),
            format!("{rule}; sub-bands are their codes times {:?}.", wavelet.multipliers()),
            format!("Latency: {latency} cycles; a block every cycle; no stall; inputs come from registers."),
        ];
        let module = Module {
            name: module_name.to_owned(),
            header,
            keep_hierarchy: false,
            parameters: Vec::new(),
            ports,
            items: builder.items,
        };
        let mut modules = vec![module.print()];
        modules.extend(builder.modules);
        Ok(BlockModule { modules, latency_cycles: latency, uses_delay: builder.uses_delay, cost: builder.cost })
    }
}

/// The body of a block's module under construction.
struct Builder {
    items: Vec<Item>,
    modules: Vec<ModuleText>,
    uses_delay: bool,
    cost: Cost,
}

impl Builder {
    /// Four combinations side by side.
    fn haar(&mut self, name: &str, wavelet: &Wavelet, bands: &[usize], target: Target) -> Result<u32, DatapathError> {
        let signs = [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]];
        let range = wavelet.plain().value_range();
        let mut made = Vec::new();
        for (corner, signs) in CORNERS.iter().zip(signs) {
            let terms = bands.iter().map(|&band| CombinationTerm {
                name: BANDS[band].to_owned(),
                bits: wavelet.widths()[band],
                signed: true,
                coefficient: signs[band] * wavelet.multipliers()[band],
            });
            let spec = CombinationSpec {
                module_name: format!("{name}_{corner}"),
                terms: terms.collect(),
                result_range: (range.min(), range.max()),
                target,
            };
            made.push((*corner, spec.module_name.clone(), Combination::new(&spec)?));
        }
        let latency = made.iter().map(|(.., combination)| combination.latency_cycles()).max().unwrap_or(0);
        for (corner, module, combination) in made {
            let own = combination.latency_cycles();
            let ports = bands.iter().map(|&band| {
                let port = format!("{}_i", BANDS[band]);
                (port.clone(), Expr::name(port))
            });
            self.combination(corner, &module, combination, ports.collect(), latency - own);
        }
        Ok(latency)
    }

    /// Codes times multipliers, then two register stages of pairs.
    fn lifting(
        &mut self,
        name: &str,
        wavelet: &Wavelet,
        bands: &[usize],
        target: Target,
    ) -> Result<u32, DatapathError> {
        // A difference of differences of weights has two bits more than a weight.
        let bits = wavelet.plain().bits() + 2;
        let mut made = Vec::new();
        for &band in bands {
            let (width, multiplier) = (wavelet.widths()[band], wavelet.multipliers()[band]);
            let half = 1i64 << (width - 1);
            let range = Range::new(-half * multiplier, (half - 1) * multiplier);
            let term = CombinationTerm { name: "code".to_owned(), bits: width, signed: true, coefficient: multiplier };
            let spec = CombinationSpec {
                module_name: format!("{name}_{}", BANDS[band]),
                terms: vec![term],
                result_range: (range.min(), range.max()),
                target,
            };
            made.push((band, spec.module_name.clone(), Combination::new(&spec)?));
        }
        let latency = made.iter().map(|(.., combination)| combination.latency_cycles()).max().unwrap_or(0);
        let mut numbers = [0, 1, 2, 3].map(|_| Expr::zero(bits));
        for (band, module, combination) in made {
            let (own, result) = (combination.latency_cycles(), combination.result_bits());
            let ports = vec![("code_i".to_owned(), Expr::name(format!("{}_i", BANDS[band])))];
            let net = format!("{}_scaled", BANDS[band]);
            self.combination(&net, &module, combination, ports, latency - own);
            numbers[band] = extended(&net, result, bits);
        }
        let [a, h, v, d] = numbers;
        let (low, high) = (self.unlift("low", a, v, bits), self.unlift("high", h, d, bits));
        let upper = self.unlift("upper", Expr::name(low.0), Expr::name(high.0), bits);
        let lower = self.unlift("lower", Expr::name(low.1), Expr::name(high.1), bits);
        let own = wavelet.plain().bits();
        for (corner, register) in CORNERS.iter().zip([upper.0, upper.1, lower.0, lower.1]) {
            // The top bits repeat the sign.
            self.items.push(Item::wire(
                &format!("{corner}_sign_unused"),
                bits - own,
                Expr::part(&register, bits, bits - 1, own),
            ));
            self.items.push(Item::wire(corner, own, Expr::part(&register, bits, own - 1, 0)));
        }
        Ok(latency + 2)
    }

    /// Registers x = l + ceil(h / 2) and y = l - floor(h / 2), as halves of 2l + 1 + h and 2l + 1 - h.
    fn unlift(&mut self, name: &str, low: Expr, high: Expr, bits: u32) -> (String, String) {
        let mut pair = [String::new(), String::new()];
        self.cost.lut += 2 * (bits + 1);
        self.cost.carry += 2 * (bits + 1).div_ceil(4);
        self.cost.ff += 2 * bits;
        for ((made, end), op) in pair.iter_mut().zip(["first", "second"]).zip([BinaryOp::Add, BinaryOp::Subtract]) {
            let (sum, register, high_net) =
                (format!("{name}_{end}"), format!("{name}_{end}_q"), format!("{name}_{end}_high"));
            self.items.push(Item::wire(&high_net, bits, high.clone()));
            let wide = Expr::concat(vec![low.clone(), Expr::constant(1, 1)]);
            let sign = Expr::part(&high_net, bits, bits - 1, bits - 1);
            let other = Expr::concat(vec![sign, Expr::name(high_net.as_str())]);
            self.items.push(Item::wire(&sum, bits + 1, wide.binary(op, other)));
            self.items.push(Item::wire(&format!("{sum}_half_unused"), 1, Expr::part(&sum, bits + 1, 0, 0)));
            self.items.push(Item::reg(&register, bits));
            let half = Statement::NonBlocking(Expr::name(register.as_str()), Expr::part(&sum, bits + 1, bits, 1));
            self.items.push(Item::Clocked(Expr::name("clk_i"), vec![half]));
            *made = register;
        }
        let [first, second] = pair;
        (first, second)
    }

    /// An instance of a combination whose result stands on `net`, `late` cycles after it is made.
    fn combination(
        &mut self,
        net: &str,
        module: &str,
        combination: Combination,
        ports: Vec<(String, Expr)>,
        late: u32,
    ) {
        let bits = combination.result_bits();
        let own = combination.cost();
        self.cost.lut += own.lut;
        self.cost.carry += own.carry;
        self.cost.shift += own.shift;
        self.cost.shift_ff += own.shift_ff;
        self.cost.ff += own.ff + bits * late;
        let early = if late > 0 { format!("{net}_early") } else { net.to_owned() };
        self.items.push(Item::open_wire(&early, bits));
        let mut connections = Vec::new();
        if combination.latency_cycles() > 0 {
            connections.push(Connection::new("clk_i", Expr::name("clk_i")));
        }
        connections.extend(ports.into_iter().map(|(port, value)| Connection::new(&port, value)));
        connections.push(Connection::new("result_o", Expr::name(early.as_str())));
        self.items.push(Item::Instance(Instance {
            module: module.to_owned(),
            name: format!("u_{net}"),
            parameters: Vec::new(),
            ports: connections,
        }));
        if late > 0 {
            self.uses_delay = true;
            self.items.push(Item::open_wire(net, bits));
            let parameter = |name: &str, value: u32| Connection::new(name, Expr::Integer(i64::from(value)));
            self.items.push(Item::Instance(Instance {
                module: "hwgen_delay".to_owned(),
                name: format!("u_{net}_delay"),
                parameters: vec![parameter("BITS", bits), parameter("CYCLES", late), parameter("RESET", 0)],
                ports: vec![
                    Connection::new("clk_i", Expr::name("clk_i")),
                    Connection::new("rst_i", Expr::zero(1)),
                    Connection::new("data_i", Expr::name(early)),
                    Connection::new("data_o", Expr::name(net)),
                ],
            }));
        }
        self.modules.extend(combination.modules().iter().cloned());
    }
}

/// A two's complement number with its sign repeated.
fn extended(name: &str, from: u32, to: u32) -> Expr {
    if from >= to {
        return Expr::part(name, from, to - 1, 0);
    }
    let sign = Expr::part(name, from, from - 1, from - 1);
    Expr::concat(vec![Expr::Repeat(to - from, Box::new(sign)), Expr::name(name)])
}
