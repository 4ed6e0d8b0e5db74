//! Envoy's callbacks → [`Exchange`].

use super::envoy::Envoy;
use crate::exchange::{Exchange, Passage, Verdict};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

/// One stream. Without an exchange (a plugin that was never configured) nothing passes.
pub(super) struct Stream {
    envoy: Envoy,
    exchange: Option<Exchange>,
}

impl Stream {
    pub(super) fn new(envoy: Envoy, exchange: Option<Exchange>) -> Self {
        Self { envoy, exchange }
    }

    fn ask(&mut self, question: impl FnOnce(&mut Exchange, &Envoy) -> Verdict) -> Action {
        match self.exchange.as_mut().map(|exchange| question(exchange, &self.envoy)) {
            Some(Verdict::Forward(_)) => Action::Continue,
            Some(Verdict::Hold) | None => Action::Pause,
        }
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, token: u32, _: usize, _: usize, _: usize) {
        if let Some(exchange) = &mut self.exchange {
            exchange.call_ended(&self.envoy, token);
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, last: bool) -> Action {
        #[cfg(feature = "trap")]
        if super::ffi::header_map(0).is_ok_and(|raw| {
            let name = crate::trap::HEADER.as_bytes();
            raw.windows(name.len()).any(|window| window == name)
        }) {
            crate::trap::now();
        }
        self.ask(|exchange, envoy| exchange.request_headers(envoy, last))
    }

    fn on_http_request_body(&mut self, held: usize, last: bool) -> Action {
        self.ask(|exchange, envoy| exchange.request_body(envoy, held, last))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.ask(Exchange::request_trailers)
    }

    fn on_http_response_headers(&mut self, _: usize, last: bool) -> Action {
        let passage =
            self.exchange.as_mut().map(|exchange| exchange.response_headers(&self.envoy, last));
        match passage {
            Some(Passage::Pass) | None => Action::Continue,
            Some(Passage::Replaced | Passage::Held) => Action::Pause,
        }
    }

    fn on_http_response_body(&mut self, size: usize, last: bool) -> Action {
        let passage =
            self.exchange.as_mut().map(|exchange| exchange.response_body(&self.envoy, size, last));
        match passage {
            Some(Passage::Pass | Passage::Replaced) | None => Action::Continue,
            Some(Passage::Held) => Action::Pause,
        }
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        if let Some(exchange) = &mut self.exchange {
            exchange.response_trailers(&self.envoy);
        }

        Action::Continue
    }

    fn on_log(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.finished(&self.envoy);
        }
    }
}
