//! Clouds that give Claude: the Messages API but for addresses, credentials, names and frames. They
//! obey the same scripts as [`super::Provider`], and refuse loudly what they would never be sent by
//! whoever knows them. What each wants is written down here a second time, on purpose.

use super::log::Log;
use super::script::Script;
use super::seen::Seen;
use super::serve::serve;
use super::{Body, Broken, model, paced, provider_headers};
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Value, json as value};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub mod checks;
pub mod frames;
pub mod sigv4;

/// Which cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bedrock's `InvokeModel`.
    Bedrock,
    /// Bedrock's Messages endpoint.
    Mantle,
    /// Claude Platform on AWS.
    Platform,
    /// Google's Agent Platform.
    Vertex,
    /// Microsoft Foundry.
    Foundry,
}

/// What it knows its customer by.
#[derive(Debug, Clone)]
pub enum Credential {
    /// This header with this value.
    Header(&'static str, String),
    /// A signature with these keys.
    Signature(sigv4::Keys),
    /// Any of these: they rotate.
    Any(Vec<Credential>),
}

/// A customer of a cloud.
#[derive(Debug, Clone)]
pub struct Account {
    /// Which cloud.
    pub kind: Kind,
    /// What it knows the customer by.
    pub credential: Credential,
    /// `host` or `:authority`.
    pub authority: String,
    /// The region that stands in a path.
    pub region: String,
    /// Google's project, or Anthropic's workspace on AWS.
    pub project: String,
}

/// A cloud that runs until the process ends.
#[derive(Debug, Clone)]
pub struct Cloud {
    /// Where it listens.
    pub address: SocketAddr,
    notes: Arc<Notes>,
}

#[derive(Debug)]
struct Notes {
    account: Account,
    log: Log,
}

impl Cloud {
    /// Starts one for this customer. Without `tls` it speaks plain HTTP.
    pub async fn start(
        listen: SocketAddr,
        account: Account,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Result<Self> {
        let listener = TcpListener::bind(listen).await.context("the cloud's port")?;
        let notes = Arc::new(Notes { account, log: Log::default() });
        let cloud = Self { address: listener.local_addr()?, notes };
        let this = cloud.clone();
        let answer = move |request| this.clone().answer(request);
        tokio::spawn(serve(listener, tls.map(TlsAcceptor::from), answer));

        Ok(cloud)
    }

    /// What arrived with this script.
    pub fn seen(&self, script: &Script) -> Vec<Seen> {
        self.notes.log.seen(script)
    }

    /// Everything that arrived.
    pub fn all(&self) -> Vec<Seen> {
        self.notes.log.all()
    }

    /// What must never have arrived, and did.
    pub fn violations(&self) -> Vec<String> {
        self.notes.log.violations()
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
        let mut seen = Seen::read(request).await;
        if let Some(counted) = counted(&seen.body) {
            seen.script = Script::find(&counted);
        }
        let account = &self.notes.account;
        let violations = checks::violations(&seen, account);
        let script = seen.script.clone().unwrap_or_else(Script::new);
        if let Some(answer) = self.notes.log.enter(&seen, &script, violations).await? {
            return Ok(answer);
        }

        Ok(scripted(account.kind, &seen, &script))
    }
}

/// The call within a call that only counts (Bedrock's `CountTokens`).
fn counted(body: &[u8]) -> Option<Vec<u8>> {
    let body: Value = serde_json::from_slice(body).ok()?;

    STANDARD.decode(body.pointer("/input/invokeModel/body")?.as_str()?).ok()
}

fn scripted(kind: Kind, seen: &Seen, script: &Script) -> Response<Body> {
    let words: Vec<String> = (0..script.words.max(1)).map(|nth| format!("word{nth} ")).collect();
    let path = seen.path.split('?').next().unwrap_or_default();
    let counts = path.ends_with("/count-tokens")
        || path.ends_with("/count_tokens")
        || path.ends_with("/count-tokens:rawPredict");
    let streams = match kind {
        Kind::Bedrock => path.ends_with("/invoke-with-response-stream"),
        _ => model::Asked::read(&seen.body).streams(),
    };
    let asked = model::Asked {
        // What a cloud calls the model in its answers: where it knows one, Anthropic's own name.
        model: answered(kind, &seen.body, path),
        stream: Some(streams),
    };
    let (status, body) = match refusal(kind, seen, script) {
        Some((status, body)) => (status, Some(body)),
        None => (200, None),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let one = |body: &Value| {
        let body = body.to_string();
        let size = if script.cut == 0 { body.len() } else { script.cut };
        body.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect::<Vec<_>>()
    };
    let (content, pieces) = if let Some(body) = body {
        ("application/json", vec![Bytes::from(body.to_string())])
    } else if counts && kind == Kind::Bedrock {
        ("application/json", one(&value!({"inputTokens": script.usage.input})))
    } else if counts {
        ("application/json", one(&value!({"input_tokens": script.usage.input})))
    } else if streams && kind == Kind::Bedrock {
        ("application/vnd.amazon.eventstream", frames::of(&asked, &words, script))
    } else if streams {
        ("text/event-stream; charset=utf-8", model::events(&asked, &words, script))
    } else {
        ("application/json", one(&model::message(&asked, &words, script)))
    };

    let mut response = Response::new(paced(pieces, script));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    if matches!(status.as_u16(), 429 | 503 | 529) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("17"));
    }
    provider_headers(headers, script);
    for name in account_headers(kind) {
        headers.insert(*name, HeaderValue::from_static("canary-account"));
    }

    response
}

fn answered(kind: Kind, body: &[u8], path: &str) -> String {
    let name = match kind {
        Kind::Bedrock => checks::bedrock_model(path).unwrap_or_default(),
        Kind::Vertex => path
            .rsplit_once("/models/")
            .and_then(|(_, rest)| rest.split(':').next())
            .unwrap_or_default()
            .to_owned(),
        _ => model::Asked::read(body).model,
    };
    if name.starts_with("arn:") {
        return name;
    }

    contract::model::normalise(&name).map_or(name.clone(), std::borrow::Cow::into_owned)
}

/// What a cloud's own answers carry that tells of the account.
fn account_headers(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Bedrock | Kind::Mantle | Kind::Platform => {
            &["x-amzn-requestid", "x-amzn-bedrock-invocation-latency"]
        }
        Kind::Vertex => &["x-vertex-ai-internal-prediction-backend"],
        Kind::Foundry => &["apim-request-id", "x-ms-region", "azureml-model-session"],
    }
}

/// A refusal in the cloud's own words, which tell of the account.
fn refusal(kind: Kind, seen: &Seen, script: &Script) -> Option<(u16, Value)> {
    if kind == Kind::Bedrock && checks::unknown_beta(&seen.body) {
        return Some((400, value!({"message": "invalid beta flag"})));
    }
    let status = script.status;
    if status == 0 || status == 200 {
        return None;
    }
    let told = match status {
        400 => "prompt is too long: 210000 tokens > 200000 maximum (canary-account)",
        403 => "arn:aws:sts::123456789012:assumed-role/canary is not authorized",
        _ => "canary-account 123456789012 projects/canary",
    };
    let body = match kind {
        Kind::Bedrock => value!({"message": told}),
        Kind::Vertex if status != 529 => {
            value!({"error": {"code": status, "message": told, "status": "FAILED"}})
        }
        Kind::Foundry if status != 529 => {
            value!({"error": {"code": status.to_string(), "message": told}})
        }
        _ => model::error(status),
    };

    Some((status, body))
}

#[cfg(test)]
mod tests;
