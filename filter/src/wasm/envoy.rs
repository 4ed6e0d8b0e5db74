//! [`Host`] on the real Envoy.

use super::ffi;
use crate::counters::{Counter, Gauge};
use crate::host::{Body, Headers, Host, HostError, Map, Shared};
use proxy_wasm::hostcalls;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// The ABI's numbers for header maps and buffers.
const REQUEST_HEADERS: u32 = 0;
const REQUEST_TRAILERS: u32 = 1;
const RESPONSE_HEADERS: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;
const CALL_RESPONSE_HEADERS: u32 = 6;
const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const CALL_RESPONSE_BODY: u32 = 4;
pub(super) const PLUGIN_CONFIGURATION: u32 = 7;

/// Envoy, as one VM sees it.
#[derive(Debug, Clone, Default)]
pub(super) struct Envoy {
    counters: Rc<HashMap<Counter, u32>>,
    gauges: Rc<HashMap<Gauge, u32>>,
    /// The context that speaks: a stream's or a root's.
    context: u32,
    /// Where streams queue whose held answers are to be let go.
    releases: Option<u32>,
}

impl Envoy {
    /// Makes counters and gauges known to Envoy.
    pub(super) fn with_counters() -> Result<Self, HostError> {
        let counters = Counter::all()
            .map(|counter| Ok((counter, ffi::define_counter(&counter.name())?)))
            .collect::<Result<_, HostError>>()?;

        let gauges = Gauge::ALL
            .into_iter()
            .map(|gauge| Ok((gauge, ffi::define_gauge(gauge.name())?)))
            .collect::<Result<_, HostError>>()?;

        let (counters, gauges) = (Rc::new(counters), Rc::new(gauges));

        Ok(Self { counters, gauges, context: 0, releases: None })
    }

    /// The same, as this context sees it.
    pub(super) fn of(&self, context: u32) -> Self {
        Self { context, ..self.clone() }
    }

    /// Opens this VM's queue of streams to be let go. Its name is the VM's own: a queue belongs to whoever registered
    /// its name first.
    pub(super) fn open_releases(&mut self, boot_and_vm: &str) -> Result<u32, HostError> {
        let queue = ffi::register_queue(&format!("tollgate.releases.{boot_and_vm}"))?;
        self.releases = Some(queue);

        Ok(queue)
    }
}

fn number(map: Map) -> u32 {
    match map {
        Map::Request => REQUEST_HEADERS,
        Map::RequestTrailers => REQUEST_TRAILERS,
        Map::Response => RESPONSE_HEADERS,
        Map::ResponseTrailers => RESPONSE_TRAILERS,
    }
}

fn buffer(body: Body) -> u32 {
    match body {
        Body::Request => REQUEST_BODY,
        Body::Response => RESPONSE_BODY,
    }
}

fn headers(map: u32) -> Result<Headers, HostError> {
    // A list that contradicts itself is as good as one that was refused.
    const CONTRADICTS: HostError = HostError { call: "get_header_map_pairs", status: u32::MAX };
    Headers::parse(ffi::header_map(map)?).ok_or(CONTRADICTS)
}

/// The headers of an HTTP call's answer.
pub(super) fn call_headers() -> Result<Headers, HostError> {
    headers(CALL_RESPONSE_HEADERS)
}

/// The body of an HTTP call's answer.
pub(super) fn call_body(length: usize) -> Result<Vec<u8>, HostError> {
    ffi::buffer(CALL_RESPONSE_BODY, length)
}

impl Host for Envoy {
    fn now(&self) -> Result<u64, HostError> {
        ffi::now()
    }

    fn headers(&self, map: Map) -> Result<Headers, HostError> {
        headers(number(map))
    }

    fn set_header(&self, map: Map, name: &str, value: &str) -> Result<(), HostError> {
        ffi::set_header(number(map), name, value)
    }

    fn remove_header(&self, map: Map, name: &str) -> Result<(), HostError> {
        ffi::remove_header(number(map), name)
    }

    fn body(&self, body: Body, length: usize) -> Result<Vec<u8>, HostError> {
        ffi::buffer(buffer(body), length)
    }

    fn set_body(&self, body: Body, length: usize, bytes: &[u8]) -> Result<(), HostError> {
        ffi::set_buffer(buffer(body), length, bytes)
    }

    fn release_soon(&self, stream: u32) -> Result<(), HostError> {
        const NO_QUEUE: HostError = HostError { call: "enqueue_shared_queue", status: u32::MAX };
        ffi::enqueue(self.releases.ok_or(NO_QUEUE)?, &stream.to_le_bytes())
    }

    fn speak(&self, stream: u32, bytes: &[u8]) -> Result<(), HostError> {
        ffi::set_effective_context(stream)?;
        let said = match bytes {
            [] => Ok(()),
            bytes => ffi::append_to_buffer(RESPONSE_BODY, bytes),
        };
        let said = said.and_then(|()| ffi::continue_response());
        ffi::set_effective_context(self.context)?;

        said
    }

    fn property(&self, path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
        ffi::property(&path.join("\0"))
    }

    fn set_state(&self, name: &str, value: &[u8]) -> Result<(), HostError> {
        ffi::set_property(name, value)
    }

    fn reply(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), HostError> {
        ffi::reply(status, &wire(headers), body)
    }

    fn shared(&self, key: &str) -> Result<Shared, HostError> {
        ffi::shared(key).map(|(value, cas)| Shared { value, cas })
    }

    fn share(&self, key: &str, value: &[u8], cas: Option<u32>) -> Result<bool, HostError> {
        ffi::share(key, value, cas.unwrap_or_default())
    }

    /// The SDK's call: its dispatcher must know the token, or it panics when the answer comes.
    fn post(
        &self,
        cluster: &str,
        path: &str,
        body: &[u8],
        patience: Duration,
    ) -> Result<u32, HostError> {
        const REFUSED: HostError = HostError { call: "http_call", status: u32::MAX };
        let headers = vec![
            (":method", "POST"),
            (":path", path),
            (":authority", "tollgate"),
            ("content-type", "application/json"),
        ];
        hostcalls::dispatch_http_call(cluster, headers, Some(body), vec![], patience)
            .or(Err(REFUSED))
    }

    fn call_status(&self) -> Result<Option<u16>, HostError> {
        Ok(call_headers()?.text(":status").and_then(|status| status.parse().ok()))
    }

    fn call_header(&self, name: &str) -> Result<Option<String>, HostError> {
        Ok(call_headers()?.text(name).map(str::to_owned))
    }

    fn resume(&self) -> Result<(), HostError> {
        ffi::continue_request()
    }

    fn count(&self, counter: Counter) -> Result<(), HostError> {
        const UNKNOWN: HostError = HostError { call: "increment_metric", status: u32::MAX };
        ffi::increment(*self.counters.get(&counter).ok_or(UNKNOWN)?)
    }

    fn gauge(&self, gauge: Gauge, value: u64) -> Result<(), HostError> {
        const UNKNOWN: HostError = HostError { call: "record_metric", status: u32::MAX };
        ffi::record(*self.gauges.get(&gauge).ok_or(UNKNOWN)?, value)
    }
}

/// Headers in the ABI's form; see [`Headers::parse`].
fn wire(headers: &[(&str, &str)]) -> Vec<u8> {
    let size = |length: usize| u32::try_from(length).unwrap_or_default().to_le_bytes();
    let mut raw = size(headers.len()).to_vec();
    for (name, value) in headers {
        raw.extend(size(name.len()));
        raw.extend(size(value.len()));
    }
    for (name, value) in headers {
        for text in [name, value] {
            raw.extend(text.as_bytes());
            raw.push(0);
        }
    }

    raw
}
