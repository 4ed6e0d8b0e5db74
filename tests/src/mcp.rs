//! A laboratory for MCP: real servers and real clients of others, the protocol's conformance tests, and a stand-in that
//! does what real servers never do. Every address is a parameter, so that the gate can stand between.

pub mod clients;
pub mod conformance;
pub mod gated;
pub mod raw;
pub mod servers;
pub mod standin;
