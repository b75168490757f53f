//! What an allocation may cost, as a user writes it: `size=1.5MB,bitops=50%,lut=20000`.

use network::{Code, Diagnostic, Place};

/// Limits, all of which hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    /// The limits in the order given.
    pub limits: Vec<Limit>,
}

/// At most so much of a cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Name of the cost.
    pub cost: String,
    /// How much.
    pub most: Amount,
}

/// A number, or a part of what the widest choice takes everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// In the cost's own unit.
    Absolute(f64),
    /// Part of the cost of the widest widths, 0 to 1.
    Share(f64),
}

/// Letters behind a number and what they multiply it by.
const UNITS: &[(&str, f64)] = &[
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("k", 1e3),
    ("K", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
];

impl Budget {
    /// Reads `name=amount` between commas. An amount is a number with k, M, G, T, P, Ki, Mi, Gi or Ti and perhaps B
    /// behind it, or a part in percent.
    ///
    /// # Errors
    /// E0902 for what is no limit, and for a cost that is limited twice.
    pub fn parse(text: &str) -> Result<Budget, Diagnostic> {
        let mut limits: Vec<Limit> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = |message: String| {
                let help = "write limits as in size=1.5MB,bitops=50%,lut=20000";
                Diagnostic::new(Code::AllocationBudget, Place::default(), message, help)
            };
            let (name, amount) =
                part.split_once('=').ok_or_else(|| wrong(format!("`{part}` of the budget is no limit")))?;
            let (name, amount) = (name.trim(), amount.trim());
            if name.is_empty() {
                return Err(wrong(format!("`{part}` names no cost")));
            }
            if limits.iter().any(|limit| limit.cost == name) {
                return Err(wrong(format!("`{name}` is limited twice")));
            }
            let most = parse_amount(amount).ok_or_else(|| match amount.strip_suffix('%').and_then(number) {
                Some(_) => wrong(format!("`{amount}` of {name} is more than the widest widths have")),
                None => wrong(format!("`{amount}` is no amount of {name}")),
            })?;
            limits.push(Limit { cost: name.to_owned(), most });
        }
        Ok(Budget { limits })
    }
}

fn number(text: &str) -> Option<f64> {
    let plain = text.trim();
    let is_number = plain.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    plain.parse::<f64>().ok().filter(|number| is_number && number.is_finite() && *number >= 0.0)
}

fn parse_amount(text: &str) -> Option<Amount> {
    if let Some(part) = text.strip_suffix('%') {
        return number(part).filter(|&part| part <= 100.0).map(|part| Amount::Share(part / 100.0));
    }
    let text = text.strip_suffix('B').unwrap_or(text);
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit));
    let (digits, factor) = unit.map_or((text, 1.0), |(unit, factor)| (&text[..text.len() - unit.len()], *factor));
    number(digits).map(|value| Amount::Absolute(value * factor)).filter(|amount| match amount {
        Amount::Absolute(value) => value.is_finite(),
        Amount::Share(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::{Amount::*, Budget};

    #[track_caller]
    fn check(text: &str, expected: Option<&[(&str, super::Amount)]>) {
        let found = Budget::parse(text).ok().map(|budget| budget.limits);
        let found = found.map(|limits| limits.into_iter().map(|limit| (limit.cost, limit.most)).collect::<Vec<_>>());
        let expected = expected.map(|list| list.iter().map(|&(name, most)| (name.to_owned(), most)).collect());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn budgets() {
        check("size=1.5MB", Some(&[("size", Absolute(1.5e6))]));
        check("size=2KiB, lut=20000", Some(&[("size", Absolute(2048.0)), ("lut", Absolute(2e4))]));
        check("bitops=50%,dsp=0", Some(&[("bitops", Share(0.5)), ("dsp", Absolute(0.0))]));
        check("bitops=1.2e9,bram=3k", Some(&[("bitops", Absolute(1.2e9)), ("bram", Absolute(3e3))]));
        check("", Some(&[]));
        for wrong in ["size", "size=", "=3", "size=-1", "size=nan", "size=inf", "size=1X", "lut=101%", "lut=1,lut=2"] {
            check(wrong, None);
        }
        check("size=1e999", None);
    }

    /// What is wrong is said for each kind of mistake.
    #[test]
    fn mistakes() {
        let said = |text: &str| Budget::parse(text).unwrap_err().to_string();
        assert!(said("lut=1,lut=2").contains("`lut` is limited twice"), "{}", said("lut=1,lut=2"));
        assert!(said("=3").contains("`=3` names no cost"), "{}", said("=3"));
        let large = said("fps=120%");
        assert!(large.contains("`120%` of fps is more than the widest widths have"), "{large}");
        assert!(said("fps=1Z").contains("`1Z` is no amount of fps"));
    }
}
