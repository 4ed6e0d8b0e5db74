//! MCP in the path: what a client says to a server, and what the server says back.
//!
//! One JSON-RPC message is one decision ([`message`]). What its headers repeat must be what its body says
//! ([`head`]); a session works for who opened it and for nobody else ([`session`]). What comes back is read
//! message by message, whole or as a stream ([`relay`], [`events`]), and goes on as far as the policy lets this
//! caller see it ([`answer`]).

pub mod answer;
pub mod events;
pub mod head;
pub mod message;
pub mod relay;
pub mod said;
pub mod session;

#[cfg(test)]
mod tests;
