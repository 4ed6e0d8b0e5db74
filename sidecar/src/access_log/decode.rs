//! What Envoy says of a finished exchange, in its two forms, and the one row made of it.
//!
//! The filter's record is in it and says nearly everything. What only Envoy knows (the id, how it
//! really ended) is filled in here. Where there is no record, because Envoy refused the request
//! before the filter saw it or because the filter trapped, the row is made of Envoy's own words.
//!
//! Both forms meet in [`Ended`], so that both ways give the same row: twins must agree in
//! `event_id` and `occurred_at`, or an exchange would be counted twice.

use contract::audit::{EVENT_ID_STATE, Event, FILTER_STATE, Kind, Outcome};
use envoy_types::pb::envoy::config::core::v3::{Address, RequestMethod, address};
use envoy_types::pb::envoy::data::accesslog::v3::{
    AccessLogCommon, HttpAccessLogEntry, ResponseFlags,
};
use envoy_types::pb::google::protobuf::{Any, Duration, Timestamp};
use prost::Message;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Flag of a record that was written before its exchange had ended.
const PROVISIONAL: &str = "provisional";

/// Flag of a row made without a record.
const NO_RECORD: &str = "no_record";

/// Longest text taken from a request that no filter has seen.
const LONGEST_TARGET: usize = 1024;

/// A finished exchange in Envoy's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// Envoy's stream id. Empty if the request was refused before it had one.
    #[serde(deserialize_with = "text")]
    pub event_id: String,
    /// Unix microseconds.
    #[serde(rename = "started_at", deserialize_with = "micros")]
    pub started_at: u64,
    /// Milliseconds, whole ones.
    #[serde(deserialize_with = "number")]
    pub duration_ms: Option<u64>,
    /// 0 if the client was sent none.
    #[serde(deserialize_with = "status")]
    pub status: u16,
    /// Short names, sorted, joined by commas; empty for none.
    #[serde(deserialize_with = "flags")]
    pub flags: String,
    /// Why, in Envoy's words.
    #[serde(deserialize_with = "details")]
    pub details: String,
    /// As in the request; empty for one that the protocol has no number for.
    #[serde(deserialize_with = "method")]
    pub method: String,
    /// As in the request, without the query.
    #[serde(deserialize_with = "path")]
    pub path: String,
    /// Where the request came from.
    #[serde(deserialize_with = "text")]
    pub source_address: String,
    /// The filter's record.
    #[serde(deserialize_with = "record")]
    pub record: Option<String>,
}

impl Ended {
    /// A line of the spool.
    ///
    /// # Errors
    /// If it is no such line.
    pub fn from_line(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// About how many bytes its row takes.
    pub fn weight(&self) -> usize {
        let texts = [&self.event_id, &self.details, &self.method, &self.path, &self.source_address];
        let texts = texts.into_iter().chain(&self.record).map(String::len);

        texts.fold(size_of::<Event<'static>>(), usize::saturating_add)
    }

    /// The row.
    pub fn into_event(self) -> Event<'static> {
        // Postgres keeps no NUL in a text, and both databases keep the same rows.
        let record = self.record.as_deref().map(|record| record.replace("\\u0000", "\\ufffd"));
        let record = record.as_deref().map(serde_json::from_str::<Event<'static>>);
        match record {
            Some(Ok(event)) => self.completed(event),
            Some(Err(_)) => self.alone("record_unreadable"),
            None => self.alone(NO_RECORD),
        }
    }

    /// The record, with what Envoy knows better.
    fn completed(self, mut event: Event<'static>) -> Event<'static> {
        let cut = event.status.is_none() || event.payload.flags.iter().any(|f| f == PROVISIONAL);
        let ending = self.ending();
        if cut {
            event.outcome = Outcome::Error;
            event.complete = false;
            event.status = Some(self.status);
            event.latency_ms = self.duration_ms;
            event.payload.ending = Some(ending.into());
        } else if event.payload.ending.is_none() && !self.flags.is_empty() {
            event.payload.ending = Some(ending.into());
        }
        if event.latency_ms.is_none() {
            event.latency_ms = self.duration_ms;
        }
        if event.occurred_at == 0 {
            event.occurred_at = self.started_at;
        }
        if event.payload.source_address.is_none() && !self.source_address.is_empty() {
            event.payload.source_address = Some(self.source_address.into());
        }
        if event.request_id.is_none() && !self.event_id.is_empty() {
            event.request_id = Some(self.event_id.clone().into());
        }
        event.event_id = self.event_id.into();

        event
    }

    /// A row of Envoy's own words.
    fn alone(self, flag: &'static str) -> Event<'static> {
        let ending = self.ending();
        let reason = first_token(&self.details).unwrap_or(&self.flags);
        let rule_id = format!("envoy:{}", if reason.is_empty() { "unknown" } else { reason });
        let mut event = Event {
            occurred_at: self.started_at,
            kind: kind(&self.path),
            outcome: match self.status {
                400..=499 => Outcome::Denied,
                _ => Outcome::Error,
            },
            status: Some(self.status),
            latency_ms: self.duration_ms,
            rule_id: Some(rule_id.into()),
            ..Event::default()
        };
        event.payload.flags = vec![flag.into()];
        if !ending.is_empty() {
            event.payload.ending = Some(ending.into());
        }
        if !self.method.is_empty() || !self.path.is_empty() {
            let target = format!("{} {}", self.method, self.path).replace('\0', "\u{fffd}");
            event.payload.target = Some(shortened(target.trim()).into());
        }
        if !self.source_address.is_empty() {
            event.payload.source_address = Some(self.source_address.into());
        }
        if !self.event_id.is_empty() {
            event.request_id = Some(self.event_id.clone().into());
        }
        event.event_id = self.event_id.into();

        event
    }

    fn ending(&self) -> String {
        format!("{} {}", self.flags, self.details).trim().to_owned()
    }
}

impl From<HttpAccessLogEntry> for Ended {
    fn from(entry: HttpAccessLogEntry) -> Self {
        let mut common = entry.common_properties.unwrap_or_default();
        let request = entry.request.unwrap_or_default();
        let response = entry.response.unwrap_or_default();
        let record = common.filter_state_objects.remove(FILTER_STATE).and_then(|any| bytes(&any));
        // Not `stream_id`: Envoy reads that off a header at log time, and it is gone by then.
        let event_id =
            common.filter_state_objects.remove(EVENT_ID_STATE).and_then(|any| bytes(&any));

        Self {
            started_at: common.start_time.as_ref().map(instant).unwrap_or_default(),
            duration_ms: duration(&common),
            status: response
                .response_code
                .and_then(|code| u16::try_from(code.value).ok())
                .unwrap_or_default(),
            flags: common.response_flags.as_ref().map(short_names).unwrap_or_default(),
            details: joined(&response.response_code_details),
            method: method_name(request.request_method),
            path: without_query(request.path),
            source_address: common.downstream_remote_address.and_then(ip).unwrap_or_default(),
            event_id: event_id.unwrap_or_default(),
            record,
        }
    }
}

fn kind(path: &str) -> Kind {
    match path {
        "/v1/messages/count_tokens" => Kind::Count,
        path if path.starts_with("/v1/auth/") => Kind::Auth,
        _ => Kind::Inference,
    }
}

/// `upstream_reset_before_response_started{connection_termination}` → its first word.
fn first_token(details: &str) -> Option<&str> {
    let word = |sign: char| sign.is_ascii_alphanumeric() || "_.-".contains(sign);

    details.split(|sign| !word(sign)).next().filter(|token| !token.is_empty())
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_TARGET).collect()
}

fn without_query(mut path: String) -> String {
    if let Some(at) = path.find(['?', '#']) {
        path.truncate(at);
    }

    path
}

fn method_name(number: i32) -> String {
    match RequestMethod::try_from(number) {
        Ok(RequestMethod::MethodUnspecified) | Err(_) => String::new(),
        Ok(method) => method.as_str_name().to_owned(),
    }
}

fn ip(address: Address) -> Option<String> {
    match address.address? {
        address::Address::SocketAddress(socket) => Some(socket.address),
        address::Address::Pipe(pipe) => Some(pipe.path),
        address::Address::EnvoyInternalAddress(_) => None,
    }
}

/// Envoy prints whole microseconds in the file, cut and not rounded; so do we.
fn instant(at: &Timestamp) -> u64 {
    let seconds = u64::try_from(at.seconds).unwrap_or_default();
    let micros = u64::try_from(at.nanos).unwrap_or_default() / 1_000;

    seconds.saturating_mul(1_000_000).saturating_add(micros)
}

/// Whole milliseconds to the last byte, as the file has them.
fn duration(common: &AccessLogCommon) -> Option<u64> {
    let Duration { seconds, nanos } = common.duration.or(common.time_to_last_downstream_tx_byte)?;
    let whole = u64::try_from(seconds).unwrap_or_default();
    let rest = u64::try_from(nanos).unwrap_or_default() / 1_000_000;

    Some(whole.saturating_mul(1_000).saturating_add(rest))
}

/// A `BytesValue` or a `StringValue`: both are one member with the number 1.
fn bytes(any: &Any) -> Option<String> {
    let known = ["google.protobuf.BytesValue", "google.protobuf.StringValue"];
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    if !known.contains(&name) {
        return None;
    }
    let bytes = <Vec<u8> as Message>::decode(&*any.value).ok()?;

    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

/// The short names that the file log prints for these flags.
fn short_names(flags: &ResponseFlags) -> String {
    let table = [
        (flags.failed_local_healthcheck, "LH"),
        (flags.no_healthy_upstream, "UH"),
        (flags.upstream_request_timeout, "UT"),
        (flags.local_reset, "LR"),
        (flags.upstream_remote_reset, "UR"),
        (flags.upstream_connection_failure, "UF"),
        (flags.upstream_connection_termination, "UC"),
        (flags.upstream_overflow, "UO"),
        (flags.no_route_found, "NR"),
        (flags.delay_injected, "DI"),
        (flags.fault_injected, "FI"),
        (flags.rate_limited, "RL"),
        (flags.unauthorized_details.is_some(), "UAEX"),
        (flags.rate_limit_service_error, "RLSE"),
        (flags.downstream_connection_termination, "DC"),
        (flags.upstream_retry_limit_exceeded, "URX"),
        (flags.stream_idle_timeout, "SI"),
        (flags.invalid_envoy_request_headers, "IH"),
        (flags.downstream_protocol_error, "DPE"),
        (flags.upstream_max_stream_duration_reached, "UMSDR"),
        (flags.response_from_cache_filter, "RFCF"),
        (flags.no_filter_config_found, "NFCF"),
        (flags.duration_timeout, "DT"),
        (flags.upstream_protocol_error, "UPE"),
        (flags.no_cluster_found, "NC"),
        (flags.overload_manager, "OM"),
        (flags.dns_resolution_failure, "DF"),
        (flags.downstream_remote_reset, "DR"),
    ];
    let set = table.into_iter().filter_map(|(set, name)| set.then_some(name)).collect();

    sorted(set)
}

/// The file has them in the order they happened, the protocol in its own: neither can be kept.
fn sorted(mut names: Vec<&str>) -> String {
    names.sort_unstable();
    names.join(",")
}

/// `-` is how Envoy's file log says nothing.
fn present(value: Value) -> Option<String> {
    match value {
        Value::String(text) if text != "-" => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(present(Value::deserialize(from)?).unwrap_or_default())
}

/// The file has them without white space, the protocol as they are.
fn joined(details: &str) -> String {
    details.replace(|sign: char| sign.is_ascii_whitespace() || sign == '\u{b}', "_")
}

fn details<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    text(from).map(|details| joined(&details))
}

fn method<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let known = RequestMethod::from_str_name(&text(from)?);

    Ok(known.map(|method| method_name(method.into())).unwrap_or_default())
}

fn path<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    text(from).map(without_query)
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(present(Value::deserialize(from)?).and_then(|text| text.parse().ok()))
}

fn status<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    Ok(present(Value::deserialize(from)?).and_then(|text| text.parse().ok()).unwrap_or_default())
}

fn flags<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = text(from)?;

    Ok(sorted(text.split(',').filter(|name| !name.is_empty()).collect()))
}

/// `1763730000.123456`, without a detour over floating point.
fn micros<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = text(from)?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let seconds: u64 = seconds.parse().unwrap_or_default();
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();

    Ok(seconds.saturating_mul(1_000_000).saturating_add(digits.parse().unwrap_or_default()))
}

fn record<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) if text == "-" || text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text)),
        // Envoy may print a record that is JSON as JSON.
        object @ Value::Object(_) => Ok(Some(object.to_string())),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
