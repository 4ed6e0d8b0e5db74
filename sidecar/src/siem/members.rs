//! The members of an object, taken one by one; what is left over is a fault.

use contract::policy::Fault;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// The members of an object that were not taken yet.
pub struct Members<'a> {
    place: String,
    left: Map<String, Value>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Members<'a> {
    /// Those of a value, which must be an object.
    pub fn of(value: Value, place: &str, faults: &'a mut Vec<Fault>) -> Self {
        let place = place.to_owned();
        if let Value::Object(left) = value {
            return Self { place, left, faults };
        }
        faults.push(Fault { place: place.clone(), problem: "must be an object".into() });

        Self { place, left: Map::new(), faults }
    }

    /// Something is wrong with a member.
    pub fn fault(&mut self, member: &str, problem: &str) {
        let place = match &*self.place {
            "" => member.to_owned(),
            place => format!("{place}.{member}"),
        };
        self.faults.push(Fault { place, problem: problem.to_owned() });
    }

    /// A member must be there.
    pub fn missing(&mut self, member: &str) {
        // One that is there and wrong has been told of.
        let place = format!("{}.{member}", self.place);
        if !self.faults.iter().any(|fault| fault.place == place) {
            self.fault(member, "is missing");
        }
    }

    /// A text that is not empty.
    pub fn text(&mut self, member: &str) -> Option<String> {
        match self.left.remove(member)? {
            Value::String(text) if is_plain(&text) => Some(text),
            _ => {
                self.fault(member, "must be a text of one line");
                None
            }
        }
    }

    /// A text that must be there.
    pub fn required(&mut self, member: &str) -> Option<String> {
        let text = self.text(member);
        if text.is_none() {
            self.missing(member);
        }

        text
    }

    /// A path.
    pub fn path(&mut self, member: &str) -> Option<PathBuf> {
        self.text(member).map(PathBuf::from)
    }

    /// One of these words.
    pub fn word(&mut self, member: &str, words: &[&'static str]) -> Option<&'static str> {
        let value = self.left.remove(member)?;
        let found = words.iter().find(|word| value.as_str() == Some(**word));
        if found.is_none() {
            self.fault(member, &format!("must be one of {}", words.join(", ")));
        }

        found.copied()
    }

    /// Yes or no.
    pub fn flag(&mut self, member: &str, usual: bool) -> bool {
        match self.left.remove(member) {
            None => usual,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.fault(member, "must be true or false");
                usual
            }
        }
    }

    /// A whole number within limits.
    pub fn number(&mut self, member: &str, least: u64, most: u64, usual: u64) -> u64 {
        let Some(value) = self.left.remove(member) else { return usual };
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.fault(member, &format!("must be a whole number from {least} to {most}"));
        }

        number.unwrap_or(usual)
    }

    /// A list, which must be there.
    pub fn list(&mut self, member: &str) -> Vec<Value> {
        let Some(Value::Array(list)) = self.left.remove(member) else {
            self.fault(member, "must be a list");
            return Vec::new();
        };

        list
    }

    /// An object, empty where there is none.
    pub fn object(&mut self, member: &str) -> Members<'_> {
        let value = self.left.remove(member).unwrap_or_else(|| Value::Object(Map::new()));
        let place = format!("{}.{member}", self.place);

        Members::of(value, &place, self.faults)
    }

    /// What is left is not looked at.
    pub fn forget(&mut self) {
        self.left.clear();
    }

    /// What is left is unknown.
    pub fn end(mut self) {
        for member in std::mem::take(&mut self.left).keys() {
            self.fault(member, "is unknown here");
        }
    }
}

/// These texts become headers and lines.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 2048 && !text.chars().any(char::is_control)
}
