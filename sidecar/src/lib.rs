//! Tollgate's sidecar: it signs people in, feeds the gate in Envoy, and keeps the audit table.
//!
//! [`run`] is the story: what starts, in which order, and how it drains. The rest in the order of
//! a call: somebody is known ([`users`], [`pats`], [`access`]) and signs in ([`public`], [`sign_in`], [`identity`], [`oidc`], [`sealing`], [`tokens`], [`keys`]);
//! the gate asks what holds ([`gate`], [`policy`], [`standing`]); every exchange leaves a row, told
//! twice ([`access_log`], [`spool`]) and stored once ([`intake`], [`store`]); operators act ([`acts`], [`sessions`], [`commands`], [`remote`]) and
//! look ([`audit`], [`cost`], [`operators`]). What stands on laptops is signed too ([`manifest`]). People approve of calls ([`approvals`]). Device management is told what to give to clients ([`mcp`], [`mdm`]). Some providers' credentials are got here ([`google`]). What could be missing is looked for ([`intents`], [`holes`]), the
//! chain is told outside ([`checkpoints`]), and every row goes on ([`siem`]).

#![forbid(unsafe_code)]
#![expect(clippy::duplicate_mod, reason = "store/shared is compiled once for each database")]

pub mod args;
pub mod run;
pub mod settings;
pub mod failure;
pub mod acts;
pub mod commands;
pub mod remote;
pub mod users;
pub mod pats;
pub mod access;
pub mod keys;
pub mod mcp;
pub mod mdm;
pub mod sealing;
pub mod tokens;
pub mod identity;
pub mod oidc;
pub mod sign_in;
pub mod attempts;
pub mod certificates;
pub mod workloads;
pub mod scim;
pub mod approvals;
pub mod directory;
pub mod envoy;
pub mod sessions;
pub mod public;
pub mod policy;
pub mod manifest;
pub mod standing;
pub mod document;
pub mod gate;
pub mod access_log;
pub mod content;
pub mod spool;
pub mod intake;
pub mod sequences;
pub mod intents;
pub mod glass;
pub mod holes;
pub mod checkpoints;
pub mod store;
pub mod audit;
pub mod cost;
pub mod operators;
pub mod siem;
pub mod google;
pub mod counters;
pub mod screen;
pub mod clock;
