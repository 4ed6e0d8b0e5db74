//! A lane: one provider behind the gate, as the same filter on an internal listener.
//!
//! The gate judges and meters the Messages API and knows no provider. A lane knows one, and nothing of who calls: it
//! takes a call that the gate let through, says it in the provider's words, and says the provider's answer in the
//! Messages API's. [`exchange`] is the way of one call through it. [`dialect`] is what a translation is given and what
//! it gives back, [`family`] chooses among them; none of these know Envoy.

pub mod exchange;
pub mod settings;
pub mod family;
pub mod dialect;
pub mod events;
pub mod messages;
pub mod openai;
pub mod eventstream;
pub(crate) mod edit;

use crate::trail::Trails;
use contract::headers::Boundary;
pub use settings::Settings;
use std::rc::Rc;

/// One lane in one VM.
#[derive(Debug)]
pub struct Lane {
    /// Its plugin configuration.
    pub settings: Settings,
    /// What may leave and what may come back.
    pub boundary: Boundary,
    /// Where the gate is told.
    pub trails: Rc<Trails>,
}

impl Lane {
    /// Starts.
    pub fn start(settings: Settings, boundary: Boundary, trails: Rc<Trails>) -> Self {
        trails.lane_is_here();

        Self { settings, boundary, trails }
    }
}
