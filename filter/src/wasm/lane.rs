//! Envoy's callbacks → a lane's [`Exchange`].

use super::envoy::Envoy;
use crate::lane::exchange::{Exchange, Step};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

/// One call in a lane.
pub(super) struct Stream {
    envoy: Envoy,
    exchange: Exchange,
}

impl Stream {
    pub(super) fn new(envoy: Envoy, exchange: Exchange) -> Self {
        Self { envoy, exchange }
    }
}

fn action(step: Step) -> Action {
    match step {
        Step::Go => Action::Continue,
        Step::Wait => Action::Pause,
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, last: bool) -> Action {
        action(self.exchange.request_headers(&self.envoy, last))
    }

    fn on_http_request_body(&mut self, held: usize, last: bool) -> Action {
        action(self.exchange.request_body(&self.envoy, held, last))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        action(self.exchange.request_trailers(&self.envoy))
    }

    fn on_http_response_headers(&mut self, _: usize, last: bool) -> Action {
        action(self.exchange.response_headers(&self.envoy, last))
    }

    fn on_http_response_body(&mut self, size: usize, last: bool) -> Action {
        action(self.exchange.response_body(&self.envoy, size, last))
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        action(self.exchange.response_trailers(&self.envoy))
    }

    fn on_log(&mut self) {
        self.exchange.finished(&self.envoy);
    }
}
