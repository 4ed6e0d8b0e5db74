//! A tree → what may stand there, as JSON, with every fault and the place of everything.

use super::shape::{Member, Shape, Unit};
use super::yaml::{At, Key, Kind, Node, Type, typed};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Names this much alike are taken for slips of the pen (Damerau-Levenshtein, normalised).
const ALIKE: f64 = 0.6;

/// A fault with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where in the file.
    pub at: At,
    /// Where in the document, such as `rules[2].models[0]`; empty for all of it.
    pub place: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// What a tree says.
#[derive(Debug, Clone, Default)]
pub struct Walked {
    /// As JSON. Where there is a fault, something harmless stands in for what is missing.
    pub value: Value,
    /// Every fault of shape.
    pub found: Vec<Found>,
    /// Place in the document → place in the file.
    pub places: BTreeMap<String, At>,
}

impl Walked {
    /// Where something of the document stands; where it does not stand, where it would.
    pub fn at(&self, place: &str) -> At {
        let mut place = place;
        loop {
            if let Some(at) = self.places.get(place) {
                return *at;
            }
            let Some(end) = place.rfind(['.', '[']) else { return At::START };
            place = place.get(..end).unwrap_or_default();
        }
    }

    /// Does a fault of shape stand there, or above it?
    pub fn is_faulty(&self, place: &str) -> bool {
        self.found.iter().any(|found| {
            place.strip_prefix(&found.place).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(['.', '[']) || found.place.is_empty()
            })
        })
    }
}

/// Walks a tree that should have these members.
pub fn walk(root: &Node, members: &'static [Member]) -> Walked {
    let mut walker = Walker::default();
    let value = walker.node(root, Shape::Struct(members), "");
    let Walker { mut found, places, .. } = walker;
    found.sort_by_key(|found| found.at);

    Walked { value, found, places }
}

#[derive(Default)]
struct Walker {
    found: Vec<Found>,
    places: BTreeMap<String, At>,
    stand_ins: usize,
}

impl Walker {
    fn fault(&mut self, at: At, place: impl Into<String>, problem: impl Into<String>) {
        self.found.push(Found { at, place: place.into(), problem: problem.into() });
    }

    fn node(&mut self, node: &Node, shape: Shape, place: &str) -> Value {
        self.places.entry(place.to_owned()).or_insert(node.at);
        match (shape, &node.kind) {
            (Shape::Data, _) => data(node),
            (Shape::Struct(members) | Shape::TextOr(members), Kind::Map(pairs)) => {
                self.members(node.at, pairs, members, place)
            }
            (Shape::List(of) | Shape::Any(of), Kind::List(nodes)) => {
                if nodes.is_empty() && matches!(shape, Shape::List(_)) {
                    self.fault(node.at, place, empty(place));
                    return Value::Array(vec![self.stand_in(*of)]);
                }
                let entry = |(index, node)| self.node(node, *of, &format!("{place}[{index}]"));
                nodes.iter().enumerate().map(entry).collect()
            }
            (Shape::Table(of), Kind::Map(pairs)) => {
                let entry = |(key, node): &(Key, Node)| {
                    let at = below(place, &key.text);
                    self.places.insert(format!("{place}.{:?}", key.text), key.at);
                    (key.text.clone(), self.node(node, *of, &at))
                };
                Value::Object(pairs.iter().map(entry).collect())
            }
            (_, Kind::Scalar { text, plain }) => self.scalar(node.at, text, *plain, shape, place),
            _ => self.other(node, shape, place),
        }
    }

    fn members(
        &mut self,
        at: At,
        pairs: &[(Key, Node)],
        members: &'static [Member],
        place: &str,
    ) -> Value {
        let mut value = Map::new();
        for (key, node) in pairs {
            let Some(member) = members.iter().find(|member| member.name == key.text) else {
                self.fault(key.at, below(place, &key.text), unknown(&key.text, members));
                continue;
            };
            let name = member.becomes.unwrap_or(member.name);
            let inner = below(place, name);
            if !matches!(node.kind, Kind::Scalar { .. }) || value.contains_key(name) {
                self.places.insert(inner.clone(), key.at);
            }
            if value.contains_key(name) {
                let problem = format!("says the same as another member, {name}: leave one out");
                self.fault(key.at, below(place, &key.text), problem);
            }
            let inner = self.node(node, member.shape, &inner);
            value.insert(name.to_owned(), inner);
        }
        for member in members.iter().filter(|member| member.required) {
            if !value.contains_key(member.name) {
                let problem = format!("is missing: {}", member.says);
                self.fault(at, below(place, member.name), problem);
                value.insert(member.name.to_owned(), self.stand_in(member.shape));
            }
        }

        Value::Object(value)
    }

    fn scalar(&mut self, at: At, text: &str, plain: bool, shape: Shape, place: &str) -> Value {
        let is = typed(text, plain);
        let read = match shape {
            Shape::Text | Shape::TextOr(_) if is == Type::Text => Ok(text.into()),
            Shape::Text | Shape::TextOr(_) if is != Type::Null => {
                Err(format!("is {}, and text belongs here: write \"{text}\"", name(is)))
            }
            Shape::Decimal if matches!(is, Type::Text | Type::Number) => Ok(text.into()),
            Shape::Whole if is == Type::Number => match text.parse::<u32>() {
                Ok(number) => Ok(number.into()),
                Err(_) => Err(format!("is {text}, and a whole number from 0 on belongs here")),
            },
            Shape::Truth if is == Type::Truth => Ok(text.eq_ignore_ascii_case("true").into()),
            Shape::Time(unit) => time(text, unit).map(Value::from).ok_or_else(|| {
                format!("is {text:?}, and a length of time belongs here, such as {}", example(unit))
            }),
            Shape::Word(words) if words.contains(&text) && is == Type::Text => Ok(text.into()),
            Shape::Word(words) if is != Type::Null => Err(not_a_word(text, words)),
            Shape::List(_) | Shape::Any(_) if is != Type::Null => {
                Err(format!("is {}, and a list belongs here: write [{text}]", name(is)))
            }
            _ => Err(wrong(name(is), shape)),
        };

        read.unwrap_or_else(|problem| {
            self.fault(at, place, problem);
            self.stand_in(shape)
        })
    }

    fn other(&mut self, node: &Node, shape: Shape, place: &str) -> Value {
        self.fault(node.at, place, wrong(node.kind.name(), shape));

        self.stand_in(shape)
    }

    /// Something that no check finds fault with, so that one fault is told once.
    fn stand_in(&mut self, shape: Shape) -> Value {
        self.stand_ins = self.stand_ins.saturating_add(1);
        match shape {
            Shape::Text | Shape::TextOr(_) => format!("stand-in-{}", self.stand_ins).into(),
            Shape::Decimal => "1".into(),
            Shape::Whole | Shape::Time(_) => 60.into(),
            Shape::Truth => false.into(),
            Shape::Data => Value::Null,
            Shape::Word(words) => words.first().copied().into(),
            Shape::List(of) => Value::Array(vec![self.stand_in(*of)]),
            Shape::Any(_) => Value::Array(Vec::new()),
            Shape::Table(_) => Value::Object(Map::new()),
            Shape::Struct(members) => {
                let needed = members.iter().filter(|member| member.required);
                Value::Object(
                    needed.map(|one| (one.name.to_owned(), self.stand_in(one.shape))).collect(),
                )
            }
        }
    }
}

/// As JSON has it.
fn data(node: &Node) -> Value {
    match &node.kind {
        Kind::Map(pairs) => {
            pairs.iter().map(|(key, node)| (key.text.clone(), data(node))).collect()
        }
        Kind::List(nodes) => nodes.iter().map(data).collect(),
        Kind::Scalar { text, plain } => match typed(text, *plain) {
            Type::Null => Value::Null,
            Type::Truth => text.eq_ignore_ascii_case("true").into(),
            // A number that JSON does not write so, as .inf, stays text.
            Type::Number => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            Type::Text => text.as_str().into(),
        },
    }
}

fn below(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn name(is: Type) -> &'static str {
    match is {
        Type::Null => "empty",
        Type::Truth => "a truth value",
        Type::Number => "a number",
        Type::Text => "text",
    }
}

/// What belongs there, instead of what does.
fn wrong(is: &str, shape: Shape) -> String {
    let belongs = match shape {
        Shape::Text => "text belongs here".to_owned(),
        Shape::Decimal => "a price or factor belongs here, such as 6.25".to_owned(),
        Shape::Whole => "a whole number belongs here".to_owned(),
        Shape::Truth => "true or false belongs here".to_owned(),
        Shape::Data => "anything belongs here".to_owned(),
        Shape::Time(unit) => format!("a length of time belongs here, such as {}", example(unit)),
        Shape::Word(words) => format!("one word belongs here: {}", words.join(", ")),
        Shape::List(_) | Shape::Any(_) => "a list belongs here: write […]".to_owned(),
        Shape::Table(of) => match *of {
            Shape::Word(words) => {
                format!("NAME: WORD belongs here, a word of {}", words.join(", "))
            }
            _ => "NAME: VALUE belongs here".to_owned(),
        },
        Shape::Struct(members) => format!("members belong here: {}", names(members)),
        Shape::TextOr(members) => format!("text belongs here, or members: {}", names(members)),
    };

    let or_not = if matches!(is, "empty" | "nothing") { ", or nothing at all" } else { "" };

    format!("is {is}, and {belongs}{or_not}")
}

fn names(members: &[Member]) -> String {
    members.iter().map(|member| member.name).collect::<Vec<_>>().join(", ")
}

fn empty(place: &str) -> String {
    let last = place.rsplit('.').next().unwrap_or_default();
    if place.contains(".who.") || place.contains(".unless.") {
        return "is an empty list: leave it out to mean everyone".to_owned();
    }
    match last {
        "rules" => "are empty: nobody could call anything".to_owned(),
        "cases" => "are empty: nothing is tested".to_owned(),
        _ => "is an empty list: name one at least".to_owned(),
    }
}

fn unknown(name: &str, members: &[Member]) -> String {
    let all = members.iter().map(|member| member.name);
    match closest(name, all) {
        Some(near) => format!("is no member here: did you mean {near}?"),
        None => format!("is no member here: there are {}", names(members)),
    }
}

fn not_a_word(text: &str, words: &[&str]) -> String {
    let near = closest(text, words.iter().copied());
    let near = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();

    format!("is {text:?}, and one of {} belongs here{near}", words.join(", "))
}

/// The word that may have been meant, if one is much alike.
pub(crate) fn closest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase().replace('-', "_");
    words
        .map(|word| (strsim::normalized_damerau_levenshtein(&text, word), word))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}

fn example(unit: Unit) -> &'static str {
    match unit {
        Unit::Seconds => "90s, 10m or 1h",
        Unit::Days => "30d, 6w or 7y",
    }
}

/// `10m` → 600 seconds; `7y` → 2,555 days. A year has 365 days here.
fn time(text: &str, unit: Unit) -> Option<u32> {
    let split = text.find(|sign: char| !sign.is_ascii_digit())?;
    let (number, word) = text.split_at_checked(split)?;
    let factor = match (unit, word) {
        (Unit::Seconds, "s") | (Unit::Days, "d") => 1,
        (Unit::Seconds, "m") => 60,
        (Unit::Seconds, "h") => 3_600,
        (Unit::Seconds, "d") => 86_400,
        (Unit::Days, "w") => 7,
        (Unit::Days, "y") => 365,
        _ => return None,
    };

    number.parse::<u32>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_counted_in_what_the_document_counts_in() {
        assert_eq!(time("90s", Unit::Seconds), Some(90));
        assert_eq!(time("10m", Unit::Seconds), Some(600));
        assert_eq!(time("2h", Unit::Seconds), Some(7_200));
        assert_eq!(time("7y", Unit::Days), Some(2_555));
        assert_eq!(time("6w", Unit::Days), Some(42));
        for (text, unit) in [
            ("10", Unit::Seconds),
            ("m", Unit::Seconds),
            ("10 m", Unit::Seconds),
            ("7y", Unit::Seconds),
            ("10m", Unit::Days),
            ("-1d", Unit::Days),
            ("99999999999y", Unit::Days),
        ] {
            assert_eq!(time(text, unit), None, "{text}");
        }
    }
}
