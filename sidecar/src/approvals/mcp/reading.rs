//! Bytes → one message of JSON-RPC. A member that stands there twice is a fault, wherever it is looked at.

use super::{Fault, INVALID_PARAMS, INVALID_REQUEST, PARSE};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// A request or a notification.
#[derive(Debug)]
pub(super) struct Message {
    /// None for a notification.
    pub(super) id: Option<Value>,
    pub(super) method: String,
    params: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Wire {
    jsonrpc: String,
    #[serde(default, deserialize_with = "there")]
    id: Option<Value>,
    method: Option<String>,
    params: Option<Box<RawValue>>,
}

/// One that stands there as null is there.
fn there<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// What any request's `params` say.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default, rename = "_meta")]
    meta: Option<Meta>,
    #[serde(default)]
    pub(super) name: Option<String>,
}

impl Asked {
    pub(super) fn version(&self) -> Option<&str> {
        self.meta.as_ref()?.version.as_deref()
    }
}

/// What a request says beside its matter.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Meta {
    #[serde(default, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<String>,
    #[serde(default, rename = "progressToken")]
    token: Option<Value>,
}

impl Meta {
    /// What progress is told with, where it is wanted.
    pub(super) fn progress(self) -> Option<Value> {
        self.token.filter(is_name)
    }
}

/// The `params` of `initialize`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Initialized {
    pub(super) protocol_version: String,
}

/// The `params` of `tools/call`.
#[derive(Debug, Deserialize)]
pub(super) struct Called {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: Option<Box<RawValue>>,
    #[serde(default, rename = "_meta")]
    pub(super) meta: Option<Meta>,
}

impl Message {
    /// Reads one. Lists of several are of no version that is served.
    pub(super) fn read(head: &HeaderMap, body: &[u8]) -> Result<Self, Fault> {
        let kind = head.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Fault::new(status, INVALID_REQUEST, "the body must be application/json"));
        }
        if body.trim_ascii_start().first() == Some(&b'[') {
            return Err(Fault::bad(
                INVALID_REQUEST,
                "one message a request: batches are not taken",
            ));
        }
        // Whether it is JSON at all, and then whether it is JSON-RPC.
        let raw = serde_json::from_slice::<&RawValue>(body)
            .map_err(|_error| Fault::bad(PARSE, "the body is not JSON"))?;
        let not = || Fault::bad(INVALID_REQUEST, "the body is no request of JSON-RPC 2.0");
        let wire: Wire = serde_json::from_str(raw.get()).map_err(|_error| not())?;
        let id_fits = wire.id.as_ref().is_none_or(is_name);
        let (true, true, Some(method)) = (wire.jsonrpc == "2.0", id_fits, wire.method) else {
            return Err(not());
        };

        Ok(Self { id: wire.id, method, params: wire.params })
    }

    /// Its `params`, as this method has them.
    pub(super) fn params<P: DeserializeOwned>(&self) -> Result<P, Fault> {
        let text = self.params.as_deref().map_or("{}", RawValue::get);

        serde_json::from_str(text).or(Err(Fault::new(
            StatusCode::OK,
            INVALID_PARAMS,
            "Invalid params",
        )))
    }
}

/// Ids and progress tokens are texts or whole numbers.
fn is_name(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() <= 256) || value.is_i64() || value.is_u64()
}
