//! Tollgate's credential helper. The client starts it, without arguments, whenever it needs a
//! token; it prints exactly one JSON line and nothing else on standard output.
//!
//! [`run`] is the story. The rest in its order: [`args`] say what is wanted, [`home`] keeps what
//! nobody else may read, [`cache`] spares the network, [`gateway`] trades the personal access token
//! for a short one, [`failure`] says what went wrong and what to do.

#![forbid(unsafe_code)]

pub mod args;
pub mod run;
pub mod home;
pub mod cache;
pub mod gateway;
pub mod secret;
pub mod failure;
