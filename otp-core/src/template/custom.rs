//! Templates of a tenant's own, in a grammar small enough that nothing in it can loop, grow or reach out.
//!
//! `{{ name }}`, `{{ name | filter }}`, `{% if name %}…{% else %}…{% endif %}`, `{% if not name %}` and `{# comment #}`: that
//! is all. Names are case-insensitive. A template is parsed once, when it is saved or read from the store, and every
//! mistake in it is found then: what parses also renders, within [`MAX_OUTPUT`] bytes.

use std::collections::BTreeMap;

use super::one_line;

/// Bytes of the longest template.
pub const MAX_SOURCE: usize = 64 * 1024;
/// Bytes of the longest rendered text.
pub const MAX_OUTPUT: usize = 256 * 1024;
/// Bytes of the longest value of a tenant's own variable.
pub const MAX_VALUE: usize = 1024;
const MAX_DEPTH: usize = 8;

/// The names that every template knows, and the bytes of the longest value of each; a longer one is cut.
pub const NAMES: [(&str, usize); 12] = [
    ("otp", 16),
    ("otpGrouped", 24),
    ("expiresIn", 8),
    ("appName", 800),
    ("userEmail", 1024),
    ("supportUrl", 2048),
    ("logoUrl", 2048),
    ("brandColor", 16),
    ("footerText", 4000),
    ("context", 800),
    ("requestIp", 64),
    ("requestTime", 32),
];

/// A template that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Node>);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Value { name: String, filters: Vec<Filter> },
    If { name: String, negated: bool, then: Vec<Node>, otherwise: Vec<Node> },
}

#[derive(Clone, Debug, PartialEq)]
enum Filter {
    Upper,
    Lower,
    /// Stands in for a value that is empty.
    Default(String),
}

/// What a template gets its values from, by lower-case name.
pub type Values = BTreeMap<String, String>;

/// Where and why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct Mistake {
    /// Line, counted from 1.
    pub line: usize,
    /// Character of the line, counted from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub why: String,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As they are.
    Text,
    /// So that they are no markup.
    Html,
}

impl Template {
    /// Understands a text; `known` are the names that it may use beside [`NAMES`].
    ///
    /// # Errors
    /// The first [`Mistake`].
    pub fn parse<'a>(source: &str, known: impl IntoIterator<Item = &'a str>) -> Result<Self, Mistake> {
        let known = NAMES.map(|(name, _)| name).into_iter().chain(known).map(str::to_lowercase).collect();
        let mut parser = Parser { source, at: 0, known };
        if source.len() > MAX_SOURCE {
            return Err(parser.mistake(0, format!("keep the template within {MAX_SOURCE} bytes")));
        }
        let nodes = parser.nodes(0)?;
        match parser.at == source.len() {
            true => Ok(Self(nodes)),
            false => Err(parser.mistake(parser.at, "there is no `if` that this belongs to".to_owned())),
        }
    }

    /// Whether the value is written wherever the template is rendered.
    pub fn always_shows(&self, names: &[&str]) -> bool {
        fn shows(nodes: &[Node], names: &[&str]) -> bool {
            nodes.iter().any(|node| match node {
                Node::Text(_) => false,
                Node::Value { name, .. } => names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)),
                Node::If { then, otherwise, .. } => shows(then, names) && shows(otherwise, names),
            })
        }
        shows(&self.0, names)
    }

    /// The text with the values in it; `None` if it is longer than [`MAX_OUTPUT`].
    pub fn render(&self, values: &Values, escape: Escape) -> Option<String> {
        let mut output = String::new();
        write(&self.0, values, escape, &mut output).then_some(output)
    }
}

fn write(nodes: &[Node], values: &Values, escape: Escape, output: &mut String) -> bool {
    let value = |name: &String| values.get(name).map_or("", String::as_str);
    nodes.iter().all(|node| {
        match node {
            Node::Text(text) => output.push_str(text),
            Node::Value { name, filters } => push(output, &filtered(value(name), filters), escape),
            Node::If { name, negated, then, otherwise } => {
                let holds = value(name).is_empty() == *negated;
                return write(if holds { then } else { otherwise }, values, escape, output);
            }
        }
        output.len() <= MAX_OUTPUT
    })
}

fn filtered(value: &str, filters: &[Filter]) -> String {
    filters.iter().fold(one_line(value), |value, filter| match filter {
        Filter::Upper => value.to_uppercase(),
        Filter::Lower => value.to_lowercase(),
        Filter::Default(text) if value.is_empty() => text.clone(),
        Filter::Default(_) => value,
    })
}

/// As much of the value as the name may have.
pub fn cut(value: &str, most: usize) -> &str {
    let end = value.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= most).last();
    &value[..end.unwrap_or(0)]
}

fn push(output: &mut String, value: &str, escape: Escape) {
    if escape == Escape::Text {
        return output.push_str(value);
    }
    for c in value.chars() {
        match c {
            '&' => output.push_str("&amp;"),
            '<' => output.push_str("&lt;"),
            '>' => output.push_str("&gt;"),
            '"' => output.push_str("&quot;"),
            '\'' => output.push_str("&#39;"),
            c => output.push(c),
        }
    }
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
    known: Vec<String>,
}

impl<'a> Parser<'a> {
    /// Everything up to the end, or to an `else` or `endif` that belongs to whoever asked.
    fn nodes(&mut self, depth: usize) -> Result<Vec<Node>, Mistake> {
        let mut nodes = Vec::new();
        while self.at < self.source.len() {
            let rest = &self.source[self.at..];
            let next = ["{{", "{%", "{#"].iter().filter_map(|mark| rest.find(mark)).min().unwrap_or(rest.len());
            if next > 0 {
                nodes.push(Node::Text(rest[..next].to_owned()));
                self.at += next;
                continue;
            }
            if matches!(self.tag_ahead(), Some("else" | "endif")) {
                return Ok(nodes);
            }
            nodes.extend(self.node(depth)?);
        }
        Ok(nodes)
    }

    fn node(&mut self, depth: usize) -> Result<Option<Node>, Mistake> {
        let begin = self.at;
        match &self.source[begin..begin + 2] {
            "{#" => self.inside("#}").map(|_| None),
            "{{" => {
                let inside = self.inside("}}")?;
                self.value(inside, begin).map(Some)
            }
            _ => {
                let inside = self.inside("%}")?;
                self.condition(inside, begin, depth).map(Some)
            }
        }
    }

    fn value(&self, inside: &str, begin: usize) -> Result<Node, Mistake> {
        let mut quoted = false;
        let mut parts = inside.split(|c: char| {
            quoted ^= c == '"';
            c == '|' && !quoted
        });
        let name = self.name(parts.next().unwrap_or_default(), begin)?;
        let filters = parts.map(|filter| self.filter(filter.trim(), begin)).collect::<Result<_, _>>()?;
        Ok(Node::Value { name, filters })
    }

    fn filter(&self, text: &str, begin: usize) -> Result<Filter, Mistake> {
        match text {
            "upper" => Ok(Filter::Upper),
            "lower" => Ok(Filter::Lower),
            _ => match text.strip_prefix("default").and_then(quoted) {
                Some(usual) => Ok(Filter::Default(usual.to_owned())),
                None => Err(self.mistake(begin, format!("`{text}` is no filter; use upper, lower or default(\"…\")"))),
            },
        }
    }

    fn condition(&mut self, inside: &str, begin: usize, depth: usize) -> Result<Node, Mistake> {
        let mut words = inside.split_whitespace();
        if words.next() != Some("if") {
            let why = format!("`{}` is not known here; use if, else and endif", inside.trim());
            return Err(self.mistake(begin, why));
        }
        if depth == MAX_DEPTH {
            return Err(self.mistake(begin, format!("do not nest more than {MAX_DEPTH} deep")));
        }
        let words: Vec<&str> = words.collect();
        let (negated, name) = match words[..] {
            ["not", name] => (true, name),
            [name] => (false, name),
            _ => return Err(self.mistake(begin, "write {% if name %} or {% if not name %}".to_owned())),
        };
        let name = self.name(name, begin)?;
        let then = self.nodes(depth + 1)?;
        let mut otherwise = Vec::new();
        if self.tag_ahead() == Some("else") {
            self.inside("%}")?;
            otherwise = self.nodes(depth + 1)?;
        }
        if self.tag_ahead() != Some("endif") {
            return Err(self.mistake(begin, "this `if` has no {% endif %}".to_owned()));
        }
        self.inside("%}")?;
        Ok(Node::If { name, negated, then, otherwise })
    }

    fn name(&self, text: &str, begin: usize) -> Result<String, Mistake> {
        let name = text.trim().to_lowercase();
        if self.known.contains(&name) {
            return Ok(name);
        }
        Err(self.mistake(begin, format!("there is no variable `{}`", text.trim())))
    }

    /// The word of the tag that is next, if a tag is.
    fn tag_ahead(&self) -> Option<&'a str> {
        let (inside, _) = self.source.get(self.at..)?.strip_prefix("{%")?.split_once("%}")?;
        Some(inside.trim())
    }

    /// What stands between here and the closing mark, which is left behind.
    fn inside(&mut self, close: &str) -> Result<&'a str, Mistake> {
        let begin = self.at + 2;
        let Some(length) = self.source[begin..].find(close) else {
            return Err(self.mistake(self.at, format!("there is no `{close}` that closes this")));
        };
        self.at = begin + length + close.len();
        Ok(&self.source[begin..begin + length])
    }

    fn mistake(&self, at: usize, why: String) -> Mistake {
        let before = &self.source[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Mistake { line, column, why }
    }
}

/// The text of `("…")`.
fn quoted(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    inner.trim().strip_prefix('"')?.strip_suffix('"')
}
