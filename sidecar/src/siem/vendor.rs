//! How each vendor is told a row: path, headers, frame and limits, as its documents say. Each was
//! read on 2026-11-21:
//!
//! - Splunk: <https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data/http-event-collector-rest-api-endpoints>
//!   and, beside it, `format-events-for-http-event-collector`
//! - Elasticsearch: <https://www.elastic.co/guide/en/elasticsearch/reference/7.17/docs-bulk.html>
//! - Datadog: <https://docs.datadoghq.com/api/latest/logs/send-logs/> and, for dates,
//!   <https://docs.datadoghq.com/logs/log_configuration/processors/log_date_remapper/>
//! - Sumo Logic: <https://help.sumologic.com/docs/send-data/hosted-collectors/http-source/logs-metrics/upload-logs>

use super::members::Members;
use crate::clock;
use crate::store::Row;
use axum::http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

/// Datadog takes what is up to 18 hours old. An older row goes without a time of its own, and
/// stands there under the time it arrived.
const DATADOG_PAST: u64 = 17 * 3600 * 1_000_000;

/// A vendor, with what was chosen for it.
#[derive(Debug, Clone)]
pub enum Vendor {
    /// Splunk's HTTP Event Collector. What stands beside each event.
    Splunk {
        /// `source`, `sourcetype`, `index`, `host`.
        beside: Map<String, Value>,
        /// `X-Splunk-Request-Channel`.
        channel: Option<HeaderValue>,
    },
    /// Elasticsearch and `OpenSearch`.
    Elastic {
        /// The index or data stream.
        index: String,
    },
    /// Datadog. What stands beside each row.
    Datadog {
        /// `ddsource`, `ddtags`, `service`, `hostname`.
        beside: Map<String, Value>,
    },
    /// Sumo Logic.
    Sumo {
        /// `X-Sumo-…`.
        headers: Vec<(HeaderName, HeaderValue)>,
    },
    /// One object a line: everybody else.
    JsonLines,
}

/// What a vendor takes at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most rows of a request.
    pub rows: u64,
    /// Most bytes of a request, before it is packed.
    pub bytes: u64,
    /// Bytes of a request, unless said.
    pub usual: u64,
    /// Most bytes of a row.
    pub row: usize,
}

impl Vendor {
    /// Takes what the vendor knows from the members of a sink.
    pub fn read(encoding: &str, members: &mut Members<'_>) -> Self {
        match encoding {
            "splunk_hec" => Self::splunk(members),
            "elastic_bulk" => Self::elastic(members),
            "datadog" => Self::Datadog {
                beside: beside(
                    members,
                    &[
                        ("source", "ddsource", Some("tollgate")),
                        ("service", "service", Some("tollgate")),
                        ("tags", "ddtags", None),
                        ("host", "hostname", None),
                    ],
                ),
            },
            "sumo_logic" => Self::sumo(members),
            _ => Self::JsonLines,
        }
    }

    fn splunk(members: &mut Members<'_>) -> Self {
        let known = [
            ("source", "source", Some("tollgate")),
            ("sourcetype", "sourcetype", Some("_json")),
            ("index", "index", None),
            ("host", "host", None),
        ];
        let beside = beside(members, &known);
        let channel = members.text("channel").and_then(|text| header(members, "channel", &text));

        Self::Splunk { beside, channel }
    }

    fn elastic(members: &mut Members<'_>) -> Self {
        let index = members.required("index").unwrap_or_default();
        // It becomes a part of the path.
        let fits =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if !index.bytes().all(fits) || index.starts_with(['.', '_', '-']) {
            members.fault("index", "must be of a-z, 0-9, . _ and -, and begin with a-z or 0-9");
        }

        Self::Elastic { index }
    }

    fn sumo(members: &mut Members<'_>) -> Self {
        let known = [
            ("source", HeaderName::from_static("x-sumo-name")),
            ("category", HeaderName::from_static("x-sumo-category")),
            ("host", HeaderName::from_static("x-sumo-host")),
            ("fields", HeaderName::from_static("x-sumo-fields")),
        ];
        let mut headers = Vec::new();
        for (member, name) in known {
            let text = members.text(member);
            headers.extend(text.and_then(|text| header(members, member, &text)).map(|v| (name, v)));
        }

        Self::Sumo { headers }
    }

    /// The documented path; `None` where the address has it.
    pub fn path(&self) -> Option<String> {
        match self {
            Self::Splunk { .. } => Some("/services/collector/event".to_owned()),
            // Of each item only what is looked at: an answer is as long as it has rows.
            Self::Elastic { index } => Some(format!(
                "/{index}/_bulk?filter_path=items.*.status,items.*.error.type,items.*.error.reason"
            )),
            Self::Datadog { .. } => Some("/api/v2/logs".to_owned()),
            Self::Sumo { .. } | Self::JsonLines => None,
        }
    }

    /// What stands in each request beside the credential.
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let kind = match self {
            Self::Splunk { .. } | Self::Datadog { .. } => "application/json",
            Self::Elastic { .. } | Self::JsonLines => "application/x-ndjson",
            Self::Sumo { .. } => "text/plain; charset=utf-8",
        };
        let mut headers =
            vec![(HeaderName::from_static("content-type"), HeaderValue::from_static(kind))];
        match self {
            Self::Splunk { channel: Some(channel), .. } => {
                let name = HeaderName::from_static("x-splunk-request-channel");
                headers.push((name, channel.clone()));
            }
            Self::Sumo { headers: more } => headers.extend(more.iter().cloned()),
            _ => {}
        }
        if self.packs() {
            let gzip = HeaderValue::from_static("gzip");
            headers.push((HeaderName::from_static("content-encoding"), gzip));
        }

        headers
    }

    /// Are requests packed? Where the vendor recommends it.
    pub fn packs(&self) -> bool {
        matches!(self, Self::Datadog { .. } | Self::Sumo { .. })
    }

    /// What it takes at once.
    pub fn limits(&self) -> Limits {
        const USUAL: u64 = 1_000_000;
        match self {
            // Its own limit is the operator's (limits.conf); 1 MB is what its cloud is said to take.
            Self::Splunk { .. } => {
                Limits { rows: 5_000, bytes: 10_000_000, usual: USUAL, row: 1_000_000 }
            }
            // 10 MB is the lowest limit of a hosted OpenSearch; Elasticsearch's own is 100 MB.
            Self::Elastic { .. } | Self::JsonLines => {
                Limits { rows: 5_000, bytes: 10_000_000, usual: USUAL, row: 10_000_000 }
            }
            // 5 MB, 1,000 entries, 1 MB each: a longer one would be cut by them, unasked.
            Self::Datadog { .. } => {
                Limits { rows: 1_000, bytes: 5_000_000, usual: USUAL, row: 1_000_000 }
            }
            // 1 MB; a line of over 64 KB is sliced, and is no JSON then:
            // help.sumologic.com/docs/send-data/reference-information/collect-multiline-logs
            Self::Sumo { .. } => Limits { rows: 5_000, bytes: USUAL, usual: USUAL, row: 64_000 },
        }
    }

    /// A row as the vendor takes it; `json` is the row.
    pub fn frame(&self, row: &Row, json: &str) -> Vec<u8> {
        match self {
            Self::Splunk { beside, .. } => {
                let micros = occurred(row);
                let time = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
                let more = inner(beside);
                format!("{{\"time\":{time},{more},\"event\":{json}}}\n").into_bytes()
            }
            Self::Elastic { .. } => {
                // As the table's key has two members: whatever an id is worth, no row keeps another
                // one out.
                let id = format!("{}@{}", row.text("event_id"), row.text("occurred_at"));
                let action = json!({ "create": { "_id": id } });
                let time = row.get("occurred_at");
                let rest = json.strip_prefix('{').unwrap_or(json);
                format!("{action}\n{{\"@timestamp\":{time},{rest}\n").into_bytes()
            }
            Self::Datadog { beside } => {
                let mut more = beside.clone();
                more.insert("message".into(), headline(row).into());
                more.insert("status".into(), level(row).into());
                if clock::now_micros().saturating_sub(occurred(row)) < DATADOG_PAST {
                    more.insert("timestamp".into(), row.get("occurred_at").clone());
                }
                // Not beside them: Datadog's `status` and `service` are not the row's.
                format!("{{{},\"audit\":{json}}}", inner(&more)).into_bytes()
            }
            Self::Sumo { .. } | Self::JsonLines => format!("{json}\n").into_bytes(),
        }
    }

    /// A request of these rows.
    pub fn body<'a>(&self, framed: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut body = Vec::new();
        if !matches!(self, Self::Datadog { .. }) {
            framed.for_each(|row| body.extend_from_slice(row));
            return body;
        }
        body.push(b'[');
        for row in framed {
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(row);
        }
        body.push(b']');

        body
    }
}

/// Members under the vendor's names.
fn beside(members: &mut Members<'_>, known: &[(&str, &str, Option<&str>)]) -> Map<String, Value> {
    let text = |(member, name, usual): &(&str, &str, Option<&str>)| {
        let text = members.text(member).or_else(|| usual.map(str::to_owned))?;
        Some(((*name).to_owned(), text.into()))
    };

    known.iter().filter_map(text).collect()
}

fn header(members: &mut Members<'_>, member: &str, text: &str) -> Option<HeaderValue> {
    let value = text.parse().ok();
    if value.is_none() || !text.is_ascii() {
        members.fault(member, "must be ASCII: it becomes a header");
    }

    value
}

/// An object without its braces.
fn inner(object: &Map<String, Value>) -> String {
    let text = Value::Object(object.clone()).to_string();

    text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default().to_owned()
}

/// When a row occurred, Unix microseconds.
pub(super) fn occurred(row: &Row) -> u64 {
    clock::point(&row.text("occurred_at")).unwrap_or_default()
}

/// A row in a few words, for who reads lines.
fn headline(row: &Row) -> String {
    let words = ["kind", "outcome", "status", "user_id", "model"].map(|column| row.text(column));

    words.iter().filter(|word| !word.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn level(row: &Row) -> &'static str {
    match &*row.text("outcome") {
        "allowed" => "info",
        "denied" => "warn",
        _ => "error",
    }
}
