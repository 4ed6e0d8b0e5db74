//! Tollgate end to end: the real Envoy with the configuration we ship, the real filter, the real
//! sidecar, and a provider that refuses what must never reach it.
//!
//! A suite is a file in `tests/tests/`, named for a promise. Its tests share one [`world`], send
//! calls with a [`client`] and say in the call itself what the [`provider`] shall do with it
//! ([`provider::script`]), so that all tests of a suite run at once. [`suite`] ties them together
//! and prints every log when one fails. [`identity`] is the enterprise around it: its `OpenID` provider,
//! its people's browsers, its devices' certificates; [`fleet`] what its security team publishes, and its laptops.

pub mod bench;
pub mod storm;
pub mod suite;
pub mod person;
pub mod world;
pub mod client;
pub mod provider;
pub mod identity;
pub mod mcp;
pub mod fleet;
