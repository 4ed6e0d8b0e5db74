//! The provider's name for a model, and texts with `{…}` in them.

use super::table::lookup;
use super::{Provider, unmappable};
use crate::lane::dialect::Unmappable;
use crate::lane::family::Terms;
use contract::model;

/// What `{…}` stands for in one call.
pub(super) struct Words<'a> {
    provider: &'a Provider,
    lane: &'a Terms,
    /// Names that a call itself brings.
    own: [(&'static str, &'a str); 2],
}

impl<'a> Words<'a> {
    pub(super) fn new(
        provider: &'a Provider,
        lane: &'a Terms,
        own: [(&'static str, &'a str); 2],
    ) -> Self {
        Self { provider, lane, own }
    }

    fn word(&self, name: &str) -> Option<&str> {
        let own = self.own.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        let said = own.or_else(|| self.lane.params.get(name).map(String::as_str));

        said.or_else(|| lookup(self.provider.row.params, name)?)
    }

    /// The text with its words in; each is `written` in its own way.
    ///
    /// # Errors
    /// 501 where the lane lacks a parameter, which [`Provider::faults`] tells before any call.
    pub(super) fn fill(
        &self,
        template: &str,
        written: fn(&str) -> String,
    ) -> Result<String, Unmappable> {
        let mut out = String::with_capacity(template.len().saturating_add(64));
        let mut parts = template.split('{');
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            let word = self
                .word(name)
                .ok_or_else(|| unmappable(501, format!("this lane lacks its parameter {name}")))?;
            out.push_str(&written(word));
            out.push_str(rest);
        }

        Ok(out)
    }
}

/// The provider's name for the model that a client asks for by this one.
///
/// # Errors
/// 404 where there is none.
pub(super) fn model(provider: &Provider, lane: &Terms, asked: &str) -> Result<String, Unmappable> {
    let normal = model::normalise(asked)
        .ok()
        .ok_or_else(|| unmappable(400, "the model's name is not one".to_owned()))?;
    let own = lane.models.get(&*normal).or_else(|| lane.models.get("*")).map(String::as_str);
    let row = provider.row;
    let template = own.or_else(|| lookup(row.models, &normal)).or(row.others);
    let Some(template) = template else {
        return Err(unmappable(404, format!("this upstream has no model {normal}")));
    };
    // Anthropic's own name may have a date and nothing else that comparisons leave out.
    let dated = asked.strip_prefix(&*normal).and_then(|rest| rest.strip_prefix('-'));
    let first_party = asked == normal || dated.is_some();
    let asked = if first_party { asked } else { &*normal };
    let words = Words::new(provider, lane, [("asked", asked), ("model", &normal)]);

    words.fill(template, str::to_owned)
}

/// A model of Bedrock without the part that says across which regions it runs, for counting.
///
/// # Errors
/// 501 for an ARN, of which nobody can tell the model.
pub(super) fn base(model: &str) -> Result<&str, Unmappable> {
    if model.starts_with("arn:") {
        return Err(unmappable(501, "this upstream cannot count tokens for this model".to_owned()));
    }

    Ok(model.find("anthropic.").and_then(|at| model.get(at..)).unwrap_or(model))
}

/// A path's segment (RFC 3986, §3.3). A colon may stand there as it is, and does, since models of
/// Bedrock have one: whoever signs a path escapes it once more, and not all agree on what is escaped
/// already.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(half), 16).unwrap_or('0');
                out.push(digit.to_ascii_uppercase());
            }
        }
    }

    out
}
