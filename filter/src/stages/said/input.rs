//! The input of a `tool_use` block of an MCP server's tool → its digest, by which the call that the
//! client then sends to the server is found.

use contract::{canonical, envelope};

/// Longest input that has a digest, bytes. Of anything longer nothing is held.
pub(super) const LONGEST: usize = 64 * 1024;

/// What the names of such tools begin with: Claude Code and its like write `mcp__SERVER__TOOL`.
pub(super) const PREFIX: &[u8] = b"mcp__";

/// An input, as its JSON comes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    json: Vec<u8>,
    lost: bool,
}

impl Input {
    /// The next bytes of its JSON.
    pub(super) fn push(&mut self, json: &[u8]) {
        if self.json.len().saturating_add(json.len()) > LONGEST {
            self.lose();
        } else if !self.lost {
            self.json.extend_from_slice(json);
        }
    }

    /// Some of it cannot be read: it has no digest.
    pub(super) fn lose(&mut self) {
        (self.json, self.lost) = (Vec::new(), true);
    }

    /// SHA-256 of its canonical form, hex; none where it is too long or no JSON. What never came is
    /// `{}`: a tool without arguments has no deltas.
    pub(super) fn digest(&self) -> Option<String> {
        let json = if self.json.is_empty() { b"{}".as_slice() } else { &self.json };
        let digest = canonical::digest(json).ok().filter(|_| !self.lost)?;

        Some(envelope::hex(&digest))
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.json.capacity()
    }
}
