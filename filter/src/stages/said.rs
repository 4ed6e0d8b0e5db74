//! What is said, as far as a row keeps it: the turn that is new, the answer, the ids of tools.
//!
//! Of the request the last message is read once more, after the policy has said what may be kept;
//! the messages before it are only hashed. The answer is read as it passes, into buffers of a bounded
//! size. What is kept is a copy: nothing here holds a byte back or changes one.

mod answered;
mod asked;
mod clip;
mod elements;
mod json;

pub use answered::{Answered, Blocks};
pub use asked::{Asked, asked};
pub use elements::Elements;

/// Most ids of tools that a row keeps, of either side. An answer has a handful.
const MOST_TOOLS: usize = 64;

/// Longest id, and longest name of a tool, in bytes. The provider's have 30, names of MCP tools up
/// to 128 (Messages API, `tools[].name`).
const LONGEST_ID: usize = 128;

/// Most parts that a row keeps, of either side.
const MOST_PARTS: usize = 32;

/// Longest word (a block's type, a media type) that a row keeps.
const LONGEST_WORD: usize = 64;

/// Most bytes that the turn takes of [`contract::audit::LARGEST_CONTENT`]; the answer has the rest.
const LARGEST_TURN: usize = contract::audit::LARGEST_CONTENT / 2;

/// A text of which no more than `most` bytes are kept, its head and its tail.
pub fn clipped(text: &[u8], most: usize) -> contract::audit::Text<'static> {
    let mut clip = clip::Clip::default();
    clip.push(text, most);
    clip.fit(most);

    clip.into_text()
}

#[cfg(test)]
mod tests;
