//! What a module instantiates, as numbers: what costs are counted from.

use super::{Expr, Instance, Item};

/// One instance inside a module: what it instantiates, with what parameters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The module.
    pub module: String,
    /// Parameters in the order given.
    pub parameters: Vec<(String, Value)>,
    /// Ports that drive nothing that is read.
    pub unread: Vec<String>,
    /// Ports that a constant drives.
    pub tied: Vec<String>,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A number.
    Number(i64),
    /// A text, without its quotation marks.
    Text(String),
    /// Several numbers, the first one lowest.
    List(Vec<i64>),
}

impl Part {
    /// The instances among a module's items, those of a loop as often as it runs.
    pub fn all(items: &[Item]) -> Vec<Part> {
        let parts = |item: &Item| match item {
            Item::Instance(instance) => vec![Part::of(instance)],
            Item::Repeat { count: Expr::Integer(count), items, .. } => {
                let once = Part::all(items);
                (0..*count).flat_map(|_| once.clone()).collect()
            }
            _ => Vec::new(),
        };
        items.iter().flat_map(parts).collect()
    }

    fn of(instance: &Instance) -> Part {
        let parameters =
            instance.parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.value.as_ref()));
        let unread = instance.ports.iter().filter(|port| match &port.value {
            None => true,
            Some(Expr::Name(name)) => name.starts_with("unused"),
            Some(_) => false,
        });
        let tied = instance.ports.iter().filter(|port| matches!(&port.value, Some(Expr::Const { .. })));
        Part {
            module: instance.module.clone(),
            unread: unread.map(|port| port.name.clone()).collect(),
            tied: tied.map(|port| port.name.clone()).collect(),
            parameters: values(parameters),
        }
    }

    /// A part with parameters as they stand in Verilog.
    pub fn new<'a>(module: &str, parameters: impl Iterator<Item = (&'a str, &'a Expr)>) -> Part {
        let parameters = values(parameters.map(|(name, value)| (name, Some(value))));
        Part { module: module.to_owned(), parameters, unread: Vec::new(), tied: Vec::new() }
    }

    /// A numeric parameter; `default` where it is not given.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        match self.parameter(name) {
            Some(Value::Number(number)) => number.cast_unsigned(),
            _ => default,
        }
    }

    /// A parameter.
    pub fn parameter(&self, name: &str) -> Option<&Value> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Whether somebody reads what a port drives.
    pub fn reads(&self, port: &str) -> bool {
        !self.unread.iter().any(|unread| unread == port)
    }

    /// Whether what enters a port may change.
    pub fn changes(&self, port: &str) -> bool {
        !self.tied.iter().any(|tied| tied == port)
    }
}

fn values<'a>(parameters: impl Iterator<Item = (&'a str, Option<&'a Expr>)>) -> Vec<(String, Value)> {
    let pair = |(name, value): (&str, Option<&Expr>)| value.and_then(value_of).map(|value| (name.to_owned(), value));
    parameters.filter_map(pair).collect()
}

fn value_of(expr: &Expr) -> Option<Value> {
    let number = |expr: &Expr| match expr {
        Expr::Integer(number) => Some(*number),
        Expr::Const { value, .. } => i64::try_from(*value).ok(),
        _ => None,
    };
    match expr {
        Expr::Name(text) => Some(Value::Text(text.trim_matches('"').to_owned())),
        Expr::Concat(parts) => parts.iter().rev().map(number).collect::<Option<Vec<i64>>>().map(Value::List),
        other => number(other).map(Value::Number),
    }
}
