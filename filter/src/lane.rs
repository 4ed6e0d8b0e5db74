//! A lane: one provider behind the gate, as the same filter on an internal listener.
//!
//! The gate judges and meters the Messages API and knows no provider. A lane knows one, and nothing of who calls: it
//! takes a call that the gate let through, says it in the provider's words, and says the provider's answer in the
//! Messages API's. [`dialect`] is what a translation is given and what it gives back; there are two families of them.
//! None of it knows Envoy.

pub mod dialect;
pub mod openai;
