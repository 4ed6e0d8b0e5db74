//! An answer that takes its time: a stream of events that says at once that it has begun, and every 15 s that it goes
//! on, so that neither client nor proxy gives up. Who hangs up waits no longer; the request stays open.

use super::response;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use futures_util::stream::unfold;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// How often it says that it goes on.
const PULSE: Duration = Duration::from_secs(15);

/// Somebody who waits.
pub(super) struct Waiting {
    /// The result, in time.
    pub(super) answer: Pin<Box<dyn Future<Output = Value> + Send>>,
    /// What progress is told with, where the client wants it told.
    pub(super) token: Option<Value>,
    /// How long it may take.
    pub(super) seconds: u64,
}

struct Running {
    id: Value,
    waiting: Waiting,
    pulse: Interval,
    since: Instant,
    pulses: u64,
}

/// Does the client take a stream?
pub(super) fn is_taken(head: &HeaderMap) -> bool {
    let lines = head.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut kinds = lines.flat_map(|line| line.split(','));

    kinds.any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/event-stream") || kind == "*/*"
    })
}

pub(super) fn answer(id: Value, waiting: Waiting) -> Response<Body> {
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let running = Running { id, waiting, pulse, since: Instant::now(), pulses: 0 };
    let events = unfold(Some(running), |running| async move {
        let mut running = running?;
        let (event, rest) = tokio::select! {
            result = running.waiting.answer.as_mut() => {
                (event(&response(&running.id, Ok(result))), None)
            }
            // The first one is at once.
            _at = running.pulse.tick() => (running.goes_on(), Some(running)),
        };
        Some((Ok::<_, Infallible>(event), rest))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));

    response
}

impl Running {
    fn goes_on(&mut self) -> Bytes {
        self.pulses = self.pulses.saturating_add(1);
        let Some(token) = &self.waiting.token else {
            return Bytes::from_static(b": a person is asked\n\n");
        };
        // It must rise each time, and ends with the answer.
        let progress = self.since.elapsed().as_secs().max(self.pulses.saturating_sub(1));

        event(&json!({
            "jsonrpc": "2.0", "method": "notifications/progress", "params": {
                "progressToken": token, "progress": progress, "total": self.waiting.seconds,
                "message": "A person is asked, and has not decided yet.",
            },
        }))
    }
}

/// One event. JSON has no line ends of its own.
fn event(message: &Value) -> Bytes {
    format!("event: message\ndata: {message}\n\n").into()
}
