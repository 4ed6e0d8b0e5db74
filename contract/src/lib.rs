//! What Tollgate's parts have agreed on: the filter in Envoy, the sidecar beside it and the helper
//! on the laptop share these words and nothing else.
//!
//! No I/O, no async, no clock. Everything that crosses a process or a signature has its one form
//! here; changing a form is a migration.
//!
//! Read in the order of a call: [`headers`] come in, [`claims`] say who calls, [`model`] and
//! [`policy`] say what they may ask for (a policy arrives in a signed [`envelope`]), [`scan`] finds what
//! may not leave, [`standing`] says who was stopped since, [`refusal`] is the shape of a no, [`price`] says what it cost ([`estimate`]: what it is likely to), [`audit`] is the row that stays, and
//! [`canonical`] the one form of what a tool was called with, [`approval`] what of it a person approves, and
//! [`clients`] what clients are told of the policy. What stands on a laptop is a [`manifest`]'s to say, signed like a policy.

#![forbid(unsafe_code)]

pub mod headers;
pub mod claims;
pub mod mcp;
pub mod model;
pub mod policy;
pub mod scan;
pub mod envelope;
pub mod standing;
pub mod refusal;
pub mod price;
pub mod estimate;
pub mod audit;
pub mod canonical;
pub mod approval;
pub mod clients;
pub mod manifest;
