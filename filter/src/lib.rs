//! Tollgate's filter: the way of one call through the gate.
//!
//! Start with [`exchange`]: it is the story, callback by callback. The [`stages`] stand in the
//! order of a call, and each returns the proof that the next one needs, so a call cannot reach
//! [`stages::route`] without having been let through everything before it. [`refusal`] is the one
//! table of everything the gate says no to. [`host`] is all we need of Envoy; only `wasm` knows
//! how Envoy is really asked.
//!
//! A trap (a panic) costs every stream of its worker, so nothing here may panic on input: no
//! indexing, no unwrap, no unchecked sums, bounded memory.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::as_conversions))]

pub mod exchange;
pub mod stages;
mod lines;
pub mod lane;
pub mod mcp;
pub mod refusal;
pub mod trail;
pub mod record;
pub mod gate;
pub mod settings;
pub mod snapshot;
pub mod feed;
pub mod tokens;
pub mod age;
pub mod throttle;
pub mod flood;
pub mod guard;
pub mod counters;
pub mod host;

#[cfg(target_os = "wasi")]
mod wasm;

#[cfg(feature = "trap")]
mod trap;
