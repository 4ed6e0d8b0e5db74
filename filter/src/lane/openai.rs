//! Providers of `OpenAI`'s chat completions, spoken to for clients of the Messages API.
//!
//! One translation serves them all: where they differ, a row of [`provider`] says how. What is said otherwise, left
//! out or refused stands in [`table`], and `docs/providers-openai.md` explains it.

mod answer;
mod error;
mod json;
mod provider;
mod request;
mod stream;
pub mod table;
mod usage;

pub use answer::answer;
pub use error::error;
pub use provider::{PARAMS, Provider, names};
pub use request::request;
pub use stream::Reader;

use crate::lane::dialect::{Failure, kind_of};

/// What went wrong: on the heap, for it is passed up from many places.
struct Broken(Box<Failure>);

/// The provider's answer is none.
#[inline(never)]
fn broken(message: &str) -> Broken {
    Broken(Box::new(Failure { status: 502, kind: kind_of(502), message: message.to_owned() }))
}

#[cfg(test)]
mod tests;
