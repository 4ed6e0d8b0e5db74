//! What the tests of identity need: the enterprise around a gateway.
//!
//! - [`provider`]: the real `oidc-provider`, which lies, breaks and leaves when a test says so;
//! - [`agent`]: a user agent of a few lines (cookies, forms, redirects), for what needs no browser;
//! - [`browser`]: a real Chromium, for what a person would see;
//! - [`laptop`]: a laptop with the real helper on it;
//! - [`workload`]: an issuer of workload tokens, as GitHub Actions and Kubernetes have one;
//! - [`pki`]: the authority behind device certificates, and every bad certificate.

pub mod agent;
pub mod laptop;
pub mod browser;
pub mod pki;
pub mod provider;
pub mod workload;
