//! The printer of the Verilog syntax tree.

use std::fmt::Write as _;

use super::{
    BinaryOp, Connection, Direction, Expr, Function, Instance, Item, Module, ModuleText, NetKind, Parameter, Part,
    Statement, UnaryOp, Width,
};

/// Longest line a concatenation keeps before it is broken into several.
const LINE_CHARS: usize = 118;

impl Module {
    /// Only what it instantiates, without a text.
    pub fn counted(&self) -> ModuleText {
        ModuleText { name: self.name.clone(), text: String::new(), parts: Part::all(&self.items) }
    }

    /// The whole file: SPDX line, header, module.
    pub fn print(&self) -> ModuleText {
        let mut out = String::from("// SPDX-License-Identifier: MIT OR Apache-2.0\n");
        for line in &self.header {
            out.push_str(if line.is_empty() { "//" } else { "// " });
            out.push_str(line);
            out.push('\n');
        }
        out.push_str("`default_nettype none\n\n");
        if self.keep_hierarchy {
            out.push_str("(* keep_hierarchy = \"yes\" *)\n");
        }
        out.push_str("module ");
        out.push_str(&self.name);
        if !self.parameters.is_empty() {
            out.push_str(" #(\n");
            print_parameters(&mut out, &self.parameters);
            out.push(')');
        }
        out.push_str(" (\n");
        self.print_ports(&mut out);
        out.push_str(");\n");
        print_items(&mut out, &self.items);
        out.push_str("endmodule\n\n`default_nettype wire\n");
        ModuleText { name: self.name.clone(), text: out, parts: Part::all(&self.items) }
    }

    fn print_ports(&self, out: &mut String) {
        let words: Vec<(String, String)> = self
            .ports
            .iter()
            .map(|port| {
                let word = match port.direction {
                    Direction::Input => "input  wire",
                    Direction::Output => "output wire",
                    Direction::OutputReg => "output reg",
                };
                let signed = if port.signed { " signed" } else { "" };
                (format!("{word}{signed}"), port.width.to_string())
            })
            .collect();
        let kind_chars = words.iter().map(|word| word.0.len()).max().unwrap_or(0);
        let width_chars = words.iter().map(|word| word.1.len()).max().unwrap_or(0);
        let last = self.ports.len().saturating_sub(1);
        for (index, (port, (kind, width))) in self.ports.iter().zip(&words).enumerate() {
            let comma = if index == last { "" } else { "," };
            let _ = writeln!(out, "  {kind:kind_chars$} {width:>width_chars$} {}{comma}", port.name);
        }
    }
}

fn print_parameters(out: &mut String, parameters: &[Parameter]) {
    let chars = parameters.iter().map(|parameter| parameter.name.len()).max().unwrap_or(0);
    for (index, parameter) in parameters.iter().enumerate() {
        let comma = if index + 1 == parameters.len() { "" } else { "," };
        let _ = writeln!(out, "  parameter {:chars$} = {}{comma}", parameter.name, parameter.value);
    }
}

fn print_items(out: &mut String, items: &[Item]) {
    let mut start = 0;
    while start < items.len() {
        let run = items[start..].iter().take_while(|item| matches!(item, Item::Net { .. })).count();
        if run > 0 {
            print_nets(out, &items[start..start + run]);
            start += run;
        } else {
            print_item(out, &items[start]);
            start += 1;
        }
    }
}

fn print_nets(out: &mut String, nets: &[Item]) {
    let mut lines = Vec::new();
    for item in nets {
        if let Item::Net { kind, signed, width, name, depth, value } = item {
            let kind = match kind {
                NetKind::Wire => "wire",
                NetKind::Reg => "reg ",
            };
            let signed = if *signed { " signed" } else { "" };
            let depth = depth.map(|words| format!(" [0:{}]", words.saturating_sub(1))).unwrap_or_default();
            lines.push((format!("{kind}{signed}"), width.to_string(), format!("{name}{depth}"), value));
        }
    }
    let kind_chars = lines.iter().map(|line| line.0.len()).max().unwrap_or(0);
    let width_chars = lines.iter().map(|line| line.1.len()).max().unwrap_or(0);
    for (kind, width, name, value) in lines {
        let head = if width_chars == 0 {
            format!("  {kind:kind_chars$} {name}")
        } else {
            format!("  {kind:kind_chars$} {width:>width_chars$} {name}")
        };
        match value {
            None => {
                let _ = writeln!(out, "{head};");
            }
            Some(value) => print_assignment(out, &head, "=", value, 2),
        }
    }
}

fn print_assignment(out: &mut String, head: &str, sign: &str, value: &Expr, indent: usize) {
    let line = format!("{head} {sign} {value};");
    if line.len() <= LINE_CHARS {
        out.push_str(&line);
        out.push('\n');
        return;
    }
    let _ = write!(out, "{head} {sign} ");
    print_long(out, value, indent);
    out.push_str(";\n");
}

/// An expression that does not fit its line: concatenations are broken, anything else goes on.
fn print_long(out: &mut String, value: &Expr, indent: usize) {
    let Expr::Concat(parts) = value else {
        let _ = write!(out, "{value}");
        return;
    };
    let pad = " ".repeat(indent + 2);
    out.push_str("{\n");
    let mut line = String::new();
    for (index, part) in parts.iter().enumerate() {
        let comma = if index + 1 == parts.len() { "" } else { "," };
        let text = format!("{part}{comma}");
        if !line.is_empty() && pad.len() + line.len() + 1 + text.len() > LINE_CHARS {
            let _ = writeln!(out, "{pad}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&text);
    }
    let _ = write!(out, "{pad}{line}\n{}}}", " ".repeat(indent));
}

fn print_item(out: &mut String, item: &Item) {
    match item {
        Item::Blank => out.push('\n'),
        Item::Comment(text) => {
            let _ = writeln!(out, "  // {text}");
        }
        Item::Localparam(parameter) => {
            let _ = writeln!(out, "  localparam {} = {};", parameter.name, parameter.value);
        }
        Item::Net { .. } => print_nets(out, std::slice::from_ref(item)),
        Item::Assign(target, value) => print_assignment(out, &format!("  assign {target}"), "=", value, 2),
        Item::Function(function) => print_function(out, function),
        Item::Clocked(clock, body) => {
            let _ = writeln!(out, "  always @(posedge {clock}) begin");
            print_statements(out, body, 4);
            out.push_str("  end\n");
        }
        Item::Instance(instance) => print_instance(out, instance),
        Item::Repeat { variable, count, label, items } => {
            let _ = writeln!(out, "  genvar {variable};");
            out.push_str("  generate\n");
            let _ = writeln!(
                out,
                "    for ({variable} = 0; {variable} < {}; {variable} = {variable} + 1) begin : {label}",
                Operand(count)
            );
            let mut inner = String::new();
            print_items(&mut inner, items);
            for line in inner.lines() {
                let _ = writeln!(out, "    {line}");
            }
            out.push_str("    end\n  endgenerate\n");
        }
    }
}

fn print_function(out: &mut String, function: &Function) {
    let width = Width::Bits(function.bits).to_string();
    let space = if width.is_empty() { "" } else { " " };
    let _ = writeln!(out, "  function {width}{space}{};", function.name);
    for (word, list) in [("input", &function.inputs), ("reg  ", &function.variables)] {
        for (name, bits) in list {
            let width = Width::Bits(*bits).to_string();
            let space = if width.is_empty() { "" } else { " " };
            let _ = writeln!(out, "    {word} {width}{space}{name};");
        }
    }
    out.push_str("    begin\n");
    print_statements(out, &function.body, 6);
    out.push_str("    end\n  endfunction\n");
}

fn print_statements(out: &mut String, statements: &[Statement], indent: usize) {
    let assigned = |statement: &Statement| match statement {
        Statement::Blocking(target, _) | Statement::NonBlocking(target, _) => Some(target.to_string().len()),
        Statement::If(..) | Statement::Case(..) => None,
    };
    let mut start = 0;
    while start < statements.len() {
        let chars: Vec<usize> = statements[start..].iter().map_while(assigned).collect();
        if chars.is_empty() {
            print_statement(out, &statements[start], indent, 0);
            start += 1;
        } else {
            let widest = chars.iter().copied().max().unwrap_or(0);
            for statement in &statements[start..start + chars.len()] {
                print_statement(out, statement, indent, widest);
            }
            start += chars.len();
        }
    }
}

fn print_statement(out: &mut String, statement: &Statement, indent: usize, target_chars: usize) {
    let pad = " ".repeat(indent);
    match statement {
        Statement::Blocking(target, value) => {
            let target = target.to_string();
            print_assignment(out, &format!("{pad}{target:target_chars$}"), "=", value, indent);
        }
        Statement::NonBlocking(target, value) => {
            let target = target.to_string();
            print_assignment(out, &format!("{pad}{target:target_chars$}"), "<=", value, indent);
        }
        Statement::If(condition, yes, no) => {
            let _ = writeln!(out, "{pad}if ({condition}) begin");
            print_statements(out, yes, indent + 2);
            if !no.is_empty() {
                let _ = writeln!(out, "{pad}end else begin");
                print_statements(out, no, indent + 2);
            }
            let _ = writeln!(out, "{pad}end");
        }
        Statement::Case(selector, arms) => {
            let _ = writeln!(out, "{pad}case ({selector})");
            for arm in arms {
                let labels: Vec<String> = arm.labels.iter().map(ToString::to_string).collect();
                let labels = if labels.is_empty() { "default".to_owned() } else { labels.join(", ") };
                let mut inner = String::new();
                print_statement(&mut inner, &arm.statement, indent + 2, 0);
                let _ = writeln!(out, "{pad}  {labels}: {}", inner.trim());
            }
            let _ = writeln!(out, "{pad}endcase");
        }
    }
}

fn print_instance(out: &mut String, instance: &Instance) {
    let _ = write!(out, "  {}", instance.module);
    if !instance.parameters.is_empty() {
        out.push_str(" #(\n");
        print_connections(out, &instance.parameters);
        out.push_str("  )");
    }
    let _ = writeln!(out, " {} (", instance.name);
    print_connections(out, &instance.ports);
    out.push_str("  );\n");
}

fn print_connections(out: &mut String, connections: &[Connection]) {
    let chars = connections.iter().map(|connection| connection.name.len()).max().unwrap_or(0);
    for (index, connection) in connections.iter().enumerate() {
        let comma = if index + 1 == connections.len() { "" } else { "," };
        let _ = write!(out, "    .{:chars$} (", connection.name);
        if let Some(value) = &connection.value {
            if value.to_string().len() + chars + 10 > LINE_CHARS {
                print_long(out, value, 4);
            } else {
                let _ = write!(out, "{value}");
            }
        }
        let _ = writeln!(out, "){comma}");
    }
}

impl std::fmt::Display for Width {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Width::Bits(0 | 1) => Ok(()),
            Width::Bits(bits) => write!(f, "[{}:0]", bits - 1),
            Width::Top(top) => write!(f, "[{top}:0]"),
        }
    }
}

impl std::fmt::Display for Expr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expr::Name(name) => f.write_str(name),
            Expr::Bit(name, index) => write!(f, "{name}[{index}]"),
            Expr::Slice { name, high, low } => write!(f, "{name}[{high}:{low}]"),
            Expr::Index(name, index) => write!(f, "{name}[{index}]"),
            Expr::IndexedPart { name, low, bits } => write!(f, "{name}[{low} +: {bits}]"),
            Expr::Const { bits, value } if *bits <= 8 => {
                write!(f, "{bits}'b{value:0digits$b}", digits = *bits as usize)
            }
            Expr::Const { bits, value } => write!(f, "{bits}'h{value:0digits$x}", digits = bits.div_ceil(4) as usize),
            Expr::Integer(value) => write!(f, "{value}"),
            Expr::Concat(parts) => {
                f.write_str("{")?;
                for (index, part) in parts.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{part}")?;
                }
                f.write_str("}")
            }
            Expr::Repeat(count, expr) => write!(f, "{{{count}{{{expr}}}}}"),
            Expr::Unary(op, operand) => write!(f, "{}{}", op.sign(), Operand(operand)),
            Expr::Binary(op, left, right) => write!(f, "{} {} {}", Operand(left), op.sign(), Operand(right)),
            Expr::Select(condition, yes, no) => {
                write!(f, "{} ? {} : {}", Operand(condition), Operand(yes), Operand(no))
            }
            Expr::Call(name, arguments) => {
                write!(f, "{name}(")?;
                for (index, argument) in arguments.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{argument}")?;
                }
                f.write_str(")")
            }
        }
    }
}

/// An operand: an atom as it is, anything else in parentheses.
struct Operand<'a>(&'a Expr);

impl std::fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Expr::Unary(..) | Expr::Binary(..) | Expr::Select(..) => write!(f, "({})", self.0),
            Expr::Integer(value) if *value < 0 => write!(f, "({value})"),
            Expr::Name(_)
            | Expr::Bit(..)
            | Expr::Slice { .. }
            | Expr::Index(..)
            | Expr::IndexedPart { .. }
            | Expr::Const { .. }
            | Expr::Integer(_)
            | Expr::Concat(_)
            | Expr::Repeat(..)
            | Expr::Call(..) => write!(f, "{}", self.0),
        }
    }
}

impl UnaryOp {
    fn sign(self) -> &'static str {
        match self {
            UnaryOp::Not => "~",
            UnaryOp::Negate => "-",
            UnaryOp::ReduceAnd => "&",
            UnaryOp::ReduceOr => "|",
            UnaryOp::ReduceXor => "^",
        }
    }
}

impl BinaryOp {
    fn sign(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::And => "&",
            BinaryOp::Or => "|",
            BinaryOp::Xor => "^",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Less => "<",
            BinaryOp::Greater => ">",
            BinaryOp::LessOrEqual => "<=",
            BinaryOp::GreaterOrEqual => ">=",
            BinaryOp::ShiftLeft => "<<",
            BinaryOp::ShiftRight => ">>",
            BinaryOp::ArithmeticShiftRight => ">>>",
        }
    }
}
