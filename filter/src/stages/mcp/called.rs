//! What a row tells of a call of an MCP server.

use contract::policy::Terms;

/// What was called, as far as it is known.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, which its row tells")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Called {
    /// The server.
    pub server: String,
    /// JSON-RPC's method; that of HTTP, where there is no message.
    pub method: String,
    /// The id of the request, as the client wrote it; none where no answer is awaited.
    pub id: Option<String>,
    /// The tool, the prompt or the resource.
    pub name: Option<String>,
    /// Is it a tool?
    pub is_tool: bool,
    /// The message's bytes.
    pub bytes: usize,
    /// SHA-256 of the arguments in canonical form, hex.
    pub arguments_sha256: Option<String>,
    /// Are its server's tools pinned?
    pub is_pinned: bool,
    /// The largest result that passes, bytes.
    pub largest_result: usize,
    /// Is denied said in a result?
    pub as_result: bool,
    /// What its row keeps.
    pub terms: Terms,
    /// The arguments, where the row keeps them.
    pub arguments: Option<Vec<u8>>,
    /// The approval by which it left.
    pub approval: Option<String>,
    /// Does it leave a row, if all goes well? What only keeps the protocol going does not.
    pub row: bool,
}
