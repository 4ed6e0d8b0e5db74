//! Envoy's own files: an operator's edit is checked with the real Envoy, put in force by rename, waited for until
//! every worker serves it, and written down; what was changed by another way is told.
//!
//! In the order of an edit: the files ([`files`]), one static configuration of them ([`assemble`]) that Envoy itself
//! checks ([`validate`]), what Envoy does not look at ([`references`]), both together ([`check`]); what changes
//! ([`diff`], [`mask`]), in which order ([`plan`]), until it serves ([`admin`], [`apply`]); the rows ([`record`]), and
//! what holds now ([`status`], [`watch`]).

pub mod admin;
pub mod apply;
pub mod assemble;
pub mod check;
pub mod command;
pub mod diff;
pub mod fault;
pub mod files;
pub mod mask;
pub mod place;
pub mod plan;
pub mod record;
pub mod references;
pub mod status;
pub mod tree;
pub mod validate;
pub mod watch;

#[cfg(test)]
mod tests;
