//! Standard-cell libraries in the Liberty format, as far as areas need them: the smallest NAND gate of two inputs and the
//! smallest flip-flop.
//!
//! Read are groups `name (..) { .. }` and attributes `name : value;`; everything else is passed over.

/// Areas of a library's cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cells {
    /// Area of a NAND gate of two inputs, in um2.
    pub nand2_um2: f64,
    /// Area of a flip-flop, in um2.
    pub register_um2: f64,
}

/// Why a Liberty file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LibertyError {
    /// It is not what a Liberty file must be.
    #[error("line {line}: {what}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// There is no `library` group.
    #[error("it has no group `library`")]
    NoLibrary,
    /// No cell has a flip-flop.
    #[error("none of its {0} cells is a flip-flop with an area, so nothing can be mapped to it")]
    NoRegister(usize),
    /// No cell is a NAND gate.
    #[error("none of its {0} cells is a NAND gate of two inputs with an area")]
    NoNand2(usize),
}

/// Groups inside groups that are followed.
const MOST_NESTED: usize = 64;

impl Cells {
    /// Reads the text of a Liberty file.
    ///
    /// # Errors
    /// It is broken, or has no flip-flop or NAND gate.
    pub fn parse(text: &str) -> Result<Self, LibertyError> {
        let mut reader = Reader { tokens: tokens(text)?, at: 0 };
        let mut found: Option<Group> = None;
        while let Some(item) = reader.item(0)? {
            if let Item::Group(group) = item
                && group.kind == "library"
            {
                found = Some(group);
            }
        }
        let library = found.ok_or(LibertyError::NoLibrary)?;
        let cells: Vec<&Group> = library.groups.iter().filter(|group| group.kind == "cell").collect();
        let least = |is: &dyn Fn(&Group) -> bool| {
            let areas = cells.iter().filter(|cell| is(cell)).filter_map(|cell| cell.area());
            areas.filter(|area| *area > 0.0).reduce(f64::min)
        };
        let register_um2 = least(&|cell| cell.groups.iter().any(|group| group.kind == "ff"));
        let nand2_um2 = least(&Group::is_nand2);
        Ok(Cells {
            register_um2: register_um2.ok_or(LibertyError::NoRegister(cells.len()))?,
            nand2_um2: nand2_um2.ok_or(LibertyError::NoNand2(cells.len()))?,
        })
    }
}

/// A word or a mark, with its line.
#[derive(Clone, Debug, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

fn tokens(text: &str) -> Result<Vec<Token>, LibertyError> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    let mut line = 1;
    while let Some(letter) = letters.next() {
        let start = line;
        let word = match letter {
            '\n' => {
                line += 1;
                continue;
            }
            // A line that goes on, or white space.
            '\\' => continue,
            _ if letter.is_whitespace() => continue,
            '/' if letters.peek() == Some(&'*') => {
                letters.next();
                let mut last = ' ';
                let ended = letters.by_ref().any(|letter| {
                    line += usize::from(letter == '\n');
                    let ends = last == '*' && letter == '/';
                    last = letter;
                    ends
                });
                if !ended {
                    return Err(LibertyError::Syntax { line: start, what: "a comment does not end".to_owned() });
                }
                continue;
            }
            '"' => {
                let mut word = String::from("\"");
                let ended = letters.by_ref().any(|letter| {
                    line += usize::from(letter == '\n');
                    if letter != '"' {
                        word.push(letter);
                    }
                    letter == '"'
                });
                if !ended {
                    return Err(LibertyError::Syntax { line: start, what: "a text does not end".to_owned() });
                }
                word
            }
            '{' | '}' | '(' | ')' | ':' | ';' | ',' => letter.to_string(),
            _ => {
                let mut word = letter.to_string();
                while let Some(&next) = letters.peek() {
                    if next.is_whitespace() || "{}():;,\"\\".contains(next) {
                        break;
                    }
                    word.push(next);
                    letters.next();
                }
                word
            }
        };
        tokens.push(Token { text: word, line: start });
    }
    Ok(tokens)
}

/// A group with what it holds.
#[derive(Debug, Default)]
struct Group {
    kind: String,
    attributes: Vec<(String, String)>,
    groups: Vec<Group>,
}

enum Item {
    Group(Group),
    Attribute(String, String),
    /// `name (..);`
    Other,
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(|token| token.text.as_str())
    }

    fn fault(&self, what: &str) -> LibertyError {
        let line = self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.line);
        LibertyError::Syntax { line, what: what.to_owned() }
    }

    fn next(&mut self, wanted: &str) -> Result<String, LibertyError> {
        let text =
            self.peek().map(str::to_owned).ok_or_else(|| self.fault(&format!("the file ends before {wanted}")))?;
        self.at += 1;
        Ok(text)
    }

    /// The next group or attribute; none at the end of the file or in front of a closing brace.
    fn item(&mut self, depth: usize) -> Result<Option<Item>, LibertyError> {
        if depth > MOST_NESTED {
            return Err(self.fault("groups are nested too deep"));
        }
        while self.peek() == Some(";") {
            self.at += 1;
        }
        if matches!(self.peek(), None | Some("}")) {
            return if depth == 0 && self.peek().is_some() {
                Err(self.fault("a brace closes nothing"))
            } else {
                Ok(None)
            };
        }
        let kind = self.next("a name")?;
        if "{():,".contains(&kind) {
            self.at -= 1;
            return Err(self.fault(&format!("a name was expected, not `{kind}`")));
        }
        match self.next("a `(` or a `:`")?.as_str() {
            ":" => {
                let mut value = String::new();
                while !matches!(self.peek(), Some(";" | "}")) {
                    let line = self.tokens.get(self.at).map_or(0, |token| token.line);
                    value.push_str(self.next("the end of an attribute")?.trim_start_matches('"'));
                    // Some libraries leave out the semicolon at the end of a line.
                    if self.tokens.get(self.at).is_some_and(|token| token.line != line) {
                        break;
                    }
                }
                Ok(Some(Item::Attribute(kind, value)))
            }
            "(" => {
                while self.next("a `)`")? != ")" {}
                if self.peek() != Some("{") {
                    return Ok(Some(Item::Other));
                }
                self.at += 1;
                let mut group = Group { kind, ..Group::default() };
                while let Some(item) = self.item(depth + 1)? {
                    match item {
                        Item::Group(inner) => group.groups.push(inner),
                        Item::Attribute(name, value) => group.attributes.push((name, value)),
                        Item::Other => {}
                    }
                }
                if self.peek() != Some("}") {
                    return Err(self.fault(&format!("the group `{}` is not closed", group.kind)));
                }
                self.at += 1;
                Ok(Some(Item::Group(group)))
            }
            other => {
                let [kind, other] = [&kind, other].map(|word| word.escape_debug().to_string());
                let what = format!("`{kind}` is followed by `{other}`, not by a `(` or a `:`");
                self.at -= 1;
                Err(self.fault(&what))
            }
        }
    }
}

impl Group {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn area(&self) -> Option<f64> {
        self.attribute("area")?.trim().parse().ok()
    }

    /// Whether it is a cell whose one output is low where both of its two inputs are high.
    fn is_nand2(&self) -> bool {
        if self.groups.iter().any(|group| group.kind == "ff" || group.kind == "latch") {
            return false;
        }
        let pins: Vec<&Group> = self.groups.iter().filter(|group| group.kind == "pin").collect();
        let directed = |way: &str| pins.iter().filter(|pin| pin.attribute("direction") == Some(way)).count();
        let functions: Vec<&str> = pins.iter().filter_map(|pin| pin.attribute("function")).collect();
        let [function] = functions[..] else { return false };
        if directed("input") != 2 || directed("output") != 1 {
            return false;
        }
        let names = names(function);
        let [first, second] = &names[..] else { return false };
        let value = |a: bool, b: bool| Formula::value(function, &[(first, a), (second, b)]);
        let table = [value(false, false), value(true, false), value(false, true), value(true, true)];
        table == [Some(true), Some(true), Some(true), Some(false)]
    }
}

/// Pins that a function names, in their order.
fn names(function: &str) -> Vec<String> {
    let is_mark = |letter: char| !(letter.is_alphanumeric() || letter == '_');
    let mut names: Vec<String> = function.split(is_mark).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// A function of pins: `!` in front or `'` behind inverts, `*`, `&` and nothing between are products, `^` differs, `+` and `|`
/// are sums.
struct Formula<'a> {
    letters: Vec<char>,
    at: usize,
    pins: &'a [(&'a str, bool)],
}

impl Formula<'_> {
    fn value(function: &str, pins: &[(&String, bool)]) -> Option<bool> {
        let pins: Vec<(&str, bool)> = pins.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let mut formula = Formula { letters: function.chars().collect(), at: 0, pins: &pins };
        let value = formula.sum(0)?;
        formula.peek().is_none().then_some(value)
    }

    fn peek(&mut self) -> Option<char> {
        while self.letters.get(self.at).is_some_and(|letter| letter.is_whitespace()) {
            self.at += 1;
        }
        self.letters.get(self.at).copied()
    }

    fn sum(&mut self, depth: usize) -> Option<bool> {
        let mut value = self.differ(depth)?;
        while matches!(self.peek(), Some('+' | '|')) {
            self.at += 1;
            value |= self.differ(depth)?;
        }
        Some(value)
    }

    fn differ(&mut self, depth: usize) -> Option<bool> {
        let mut value = self.product(depth)?;
        while self.peek() == Some('^') {
            self.at += 1;
            value ^= self.product(depth)?;
        }
        Some(value)
    }

    fn product(&mut self, depth: usize) -> Option<bool> {
        let mut value = self.factor(depth)?;
        loop {
            match self.peek() {
                Some('*' | '&') => self.at += 1,
                Some(letter) if letter.is_alphanumeric() || "_(!".contains(letter) => {}
                _ => return Some(value),
            }
            value &= self.factor(depth)?;
        }
    }

    fn factor(&mut self, depth: usize) -> Option<bool> {
        if depth > MOST_NESTED {
            return None;
        }
        let mut value = match self.peek()? {
            '!' => {
                self.at += 1;
                return Some(!self.factor(depth + 1)?);
            }
            '(' => {
                self.at += 1;
                let value = self.sum(depth + 1)?;
                if self.peek()? != ')' {
                    return None;
                }
                self.at += 1;
                value
            }
            _ => {
                let start = self.at;
                let is_name = |letter: &char| letter.is_alphanumeric() || *letter == '_';
                while self.letters.get(self.at).is_some_and(is_name) {
                    self.at += 1;
                }
                let name: String = self.letters.get(start..self.at)?.iter().collect();
                self.pins.iter().find(|(own, _)| *own == name)?.1
            }
        };
        while self.peek() == Some('\'') {
            self.at += 1;
            value = !value;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARY: &str = "/* cells */\nlibrary (mine) {\n  time_unit : \"1ns\";\n  capacitive_load_unit (1, ff);\n\
        cell (AND2) { area : 5; pin(A) { direction : input; } pin(B) { direction : input; }\n\
          pin(Y) { direction : output; function : \"(A B)\"; } }\n\
        cell (NAND2_BIG) { area : 8; pin(A) { direction : input; } pin(B) { direction : input; }\n\
          pin(Y) { direction : output; function : \"(A&B)'\"; } }\n\
        cell (NAND2) { area : 4; pin(A) { direction : input; } pin(B) { direction : input; }\n\
          pin(Y) { direction : output; function : \"!A + !B\"; } }\n\
        cell (REGISTER) { area : 20.5; ff (IQ, IQN) { next_state : \"D\"; clocked_on : \"C\"; } pin(D) { direction : input; } }\n}\n";

    #[test]
    fn the_smallest_cells_of_their_kind_are_taken() {
        assert_eq!(Cells::parse(LIBRARY), Ok(Cells { nand2_um2: 4.0, register_um2: 20.5 }));
        // A missing semicolon at the end of a line is common.
        assert!(Cells::parse(&LIBRARY.replace("\"1ns\";", "\"1ns\"")).is_ok());
    }

    #[track_caller]
    fn refuses(text: &str, part: &str) {
        let fault = Cells::parse(text).unwrap_err().to_string();
        assert!(fault.contains(part), "{fault}");
    }

    #[test]
    fn libraries_that_cannot_be_used() {
        refuses(&LIBRARY.replace("ff (IQ, IQN)", "latch (IQ, IQN)"), "none of its 4 cells is a flip-flop");
        refuses(&LIBRARY.replace("!A + !B", "A ^ B").replace("(A&B)'", "A | B"), "NAND");
        refuses(LIBRARY.trim_end().trim_end_matches('}'), "the group `library` is not closed");
        refuses(&LIBRARY.replace("*/", ""), "line 1: a comment does not end");
        refuses(&LIBRARY.replace("\"D\"", "\"D"), "a text does not end");
        refuses(&format!("{LIBRARY}}}"), "closes nothing");
        refuses("\u{7}bell \u{1b}[0m", "`\\u{7}bell` is followed by `\\u{1b}[0m`");
        refuses("", "no group `library`");
        refuses("library mine {", "is followed by `mine`");
        refuses(&"a(){".repeat(5000), "nested too deep");
    }
}
