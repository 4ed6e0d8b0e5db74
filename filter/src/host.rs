//! What we need of the proxy that hosts us.
//!
//! Every call may be refused. The proxy-wasm SDK panics then; here it is an error that its caller
//! has to turn into a [`crate::refusal::Refusal`].

use crate::counters::{Counter, Gauge};
use std::time::Duration;
use thiserror::Error;

mod headers;
#[cfg(test)]
pub mod fake;

pub use headers::Headers;

/// A host call that the proxy refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("host call {call} was refused with status {status}")]
pub struct HostError {
    /// The call, in proxy-wasm's words.
    pub call: &'static str,
    /// proxy-wasm's status.
    pub status: u32,
}

/// Which headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Map {
    /// The request's.
    Request,
    /// The request's trailers.
    RequestTrailers,
    /// The response's.
    Response,
    /// The response's trailers.
    ResponseTrailers,
}

/// Which body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body {
    /// The request's: all of it that is held.
    Request,
    /// The response's: the chunk at hand.
    Response,
}

/// A value in the data that all VMs of this Envoy share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// The value; empty where there is none.
    pub value: Vec<u8>,
    /// Its version, for compare-and-swap. 0 where there is none, and 0 means "do not compare".
    pub cas: u32,
}

/// The proxy.
pub trait Host {
    /// Unix nanoseconds.
    fn now(&self) -> Result<u64, HostError>;
    /// All headers, in one call.
    fn headers(&self, map: Map) -> Result<Headers, HostError>;
    /// Replaces a header, or adds it.
    fn set_header(&self, map: Map, name: &str, value: &str) -> Result<(), HostError>;
    /// Removes a header, however often it is there.
    fn remove_header(&self, map: Map, name: &str) -> Result<(), HostError>;
    /// `length` bytes of a body from its start.
    fn body(&self, body: Body, length: usize) -> Result<Vec<u8>, HostError>;
    /// Puts these bytes in the place of the first `length` of a body.
    fn set_body(&self, body: Body, length: usize, bytes: &[u8]) -> Result<(), HostError>;
    /// Has the stream's held answer let go ([`Self::speak`] with nothing to say) in the next turn of Envoy's loop.
    fn release_soon(&self, stream: u32) -> Result<(), HostError>;
    /// Says something in another stream, whose answer is held, before what it holds, and lets all of it go.
    fn speak(&self, stream: u32, bytes: &[u8]) -> Result<(), HostError>;
    /// An attribute of the exchange; `None` where Envoy has none.
    fn property(&self, path: &[&str]) -> Result<Option<Vec<u8>>, HostError>;
    /// Writes filter state: what the access loggers carry, and marks that no client can forge.
    fn set_state(&self, name: &str, value: &[u8]) -> Result<(), HostError>;
    /// Answers the client; nothing goes upstream then.
    fn reply(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), HostError>;
    /// Reads a value all VMs share.
    fn shared(&self, key: &str) -> Result<Shared, HostError>;
    /// Writes one; `false` if another VM was faster than `cas`.
    fn share(&self, key: &str, value: &[u8], cas: Option<u32>) -> Result<bool, HostError>;
    /// Sends JSON to a cluster, and waits no longer than that for its answer. The token names the call
    /// when it has ended, however it did.
    fn post(
        &self,
        cluster: &str,
        path: &str,
        body: &[u8],
        patience: Duration,
    ) -> Result<u32, HostError>;
    /// The status of the call that has just ended; `None` if there was no answer.
    fn call_status(&self) -> Result<Option<u16>, HostError>;
    /// A header of that answer; `None` if it has none of this name.
    fn call_header(&self, name: &str) -> Result<Option<String>, HostError>;
    /// Lets the request go on that was held.
    fn resume(&self) -> Result<(), HostError>;
    /// Counts an event.
    fn count(&self, counter: Counter) -> Result<(), HostError>;
    /// Says what a measure is now.
    fn gauge(&self, gauge: Gauge, value: u64) -> Result<(), HostError>;
}
