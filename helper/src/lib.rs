//! Tollgate's credential helper. The client starts it, without arguments, whenever it needs a
//! token; it prints exactly one line and nothing else on standard output.
//!
//! [`run`] is the story. The rest in its order: [`args`] say what is wanted, [`context`] why and how
//! long it may take, [`config`] what holds here; [`home`] keeps what nobody else may read, [`store`]
//! the secrets, [`cache`] spares the network. [`ladder`] gets a new token by the strongest way there
//! is: [`device`] is the certificate, [`browser`] the sign-in; [`gateway`] is asked over [`line`]; [`chance`] is what nobody can guess.
//! [`sync`] keeps what stands on the laptop as it was signed. [`form`] is what the line looks like, [`doctor`] looks for what is wrong, [`failure`] says what
//! went wrong and what to do.

#![forbid(unsafe_code)]

pub mod args;
pub mod run;
pub mod context;
pub mod config;
pub mod home;
pub mod store;
pub mod cache;
pub mod secret;
pub mod ladder;
pub mod device;
pub mod browser;
pub mod gateway;
pub mod line;
pub mod chance;
pub mod form;
pub mod doctor;
pub mod sync;
pub mod failure;

use std::io::Write;

/// For the person. Who closed standard error wants to hear nothing.
pub(crate) fn say(words: &str) {
    let _closed = writeln!(std::io::stderr(), "{words}").is_err();
}
