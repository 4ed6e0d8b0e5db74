//! What each cloud refuses: headers, paths and members that nobody sends who knows it.

use super::{Account, Credential, Kind};
use crate::provider::seen::{CANARY, Seen};
use http::Method;
use serde_json::Value;

/// What may arrive at any of them.
const MAY_ARRIVE: [&str; 7] = [
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "accept",
    "accept-encoding",
    "user-agent",
];

/// Betas that Bedrock is known to take; written from its users' reports, and fewer than the lane
/// knows.
const BETAS: [&str; 6] = [
    "interleaved-thinking-2025-05-14",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "tool-search-tool-2025-10-19",
    "fine-grained-tool-streaming-2025-05-14",
    "token-efficient-tools-2025-02-19",
];

/// What should not have arrived.
pub fn violations(seen: &Seen, account: &Account) -> Vec<String> {
    let mut found = headers(seen, account);
    if seen.authority != account.authority {
        found.push(format!("authority {}", seen.authority));
    }
    if seen.method != Method::POST {
        found.push(format!("method {}", seen.method));
    }
    if seen.trailers.is_some() {
        found.push("trailers".to_owned());
    }
    found.extend(known(seen, &account.credential).err());
    let path = seen.path.split('?').next().unwrap_or_default();
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    if !body.is_object() {
        found.push("a body that is no object".to_owned());
    }
    match account.kind {
        Kind::Bedrock => bedrock(path, &body, &mut found),
        Kind::Vertex => vertex(path, &body, account, &mut found),
        Kind::Mantle | Kind::Foundry => plain(path, "/anthropic", &body, &mut found),
        Kind::Platform => plain(path, "", &body, &mut found),
    }
    if account.kind == Kind::Mantle
        && !body["model"].as_str().is_some_and(|model| model.starts_with("anthropic."))
    {
        found.push(format!("model {} is no name of Bedrock's", body["model"]));
    }

    found
}

/// Is it the customer?
fn known(seen: &Seen, credential: &Credential) -> Result<(), String> {
    match credential {
        Credential::Header(name, value) => {
            let values: Vec<_> = seen.headers.get_all(*name).iter().collect();
            if values.len() == 1 && values[0].as_bytes() == value.as_bytes() {
                return Ok(());
            }
            Err(format!("{} of {name}, or not the configured one", values.len()))
        }
        Credential::Signature(keys) => keys.verify(seen),
        Credential::Any(all) => {
            let mut last = Err("no credential is good".to_owned());
            for one in all {
                last = known(seen, one);
                if last.is_ok() {
                    break;
                }
            }
            last
        }
    }
}

fn carried(credential: &Credential) -> Vec<&'static str> {
    match credential {
        Credential::Header(name, _) => vec![name],
        Credential::Signature(_) => {
            vec!["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"]
        }
        Credential::Any(all) => all.iter().flat_map(carried).collect(),
    }
}

fn headers(seen: &Seen, account: &Account) -> Vec<String> {
    let mut found = Vec::new();
    let credential = carried(&account.credential);
    let own: &[&str] = match account.kind {
        Kind::Bedrock => &[],
        Kind::Mantle => &["anthropic-version"],
        Kind::Platform => &["anthropic-version", "anthropic-beta", "anthropic-workspace-id"],
        Kind::Vertex | Kind::Foundry => &["anthropic-version", "anthropic-beta"],
    };
    for (name, value) in &seen.headers {
        let name = name.as_str();
        let known = MAY_ARRIVE.contains(&name)
            || credential.contains(&name)
            || own.contains(&name)
            || name.starts_with("x-stainless-");
        if !known {
            found.push(format!("header {name}"));
        } else if String::from_utf8_lossy(value.as_bytes()).contains(CANARY) {
            found.push(format!("header {name} carries a canary"));
        }
    }
    let workspace = seen.header("anthropic-workspace-id");
    if account.kind == Kind::Platform && workspace != Some(&*account.project) {
        found.push(format!("workspace {workspace:?}"));
    }

    found
}

fn version(body: &Value, version: &str, found: &mut Vec<String>) {
    if body["anthropic_version"] != version {
        found.push(format!("anthropic_version {}", body["anthropic_version"]));
    }
}

fn absent(body: &Value, names: &[&str], found: &mut Vec<String>) {
    let there = names.iter().filter(|name| body.get(**name).is_some());
    found.extend(there.map(|name| format!("the member {name}")));
}

/// The model in a path of Bedrock's, decoded.
pub fn bedrock_model(path: &str) -> Option<String> {
    let (model, _) = path.strip_prefix("/model/")?.split_once('/')?;
    let bytes: Vec<u8> = model.replace("%2F", "/").replace("%3A", ":").into_bytes();

    String::from_utf8(bytes).ok()
}

/// Is there a beta for which Bedrock refuses the whole call?
pub fn unknown_beta(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let betas = body["anthropic_beta"].as_array().cloned().unwrap_or_default();

    betas.iter().any(|beta| !beta.as_str().is_some_and(|beta| BETAS.contains(&beta)))
}

fn bedrock(path: &str, body: &Value, found: &mut Vec<String>) {
    let model = bedrock_model(path).unwrap_or_default();
    let act = path.rsplit('/').next().unwrap_or_default();
    if !model.contains("anthropic.") && !model.starts_with("arn:aws:bedrock:") {
        found.push(format!("model {model} is no name of Bedrock's"));
    }
    let inner = match act {
        "invoke" | "invoke-with-response-stream" => body.clone(),
        "count-tokens" => {
            if !model.starts_with("anthropic.") {
                found.push(format!("tokens are not counted for {model}"));
            }
            let inner = super::counted(&serde_json::to_vec(body).unwrap_or_default());
            serde_json::from_slice(&inner.unwrap_or_default()).unwrap_or_default()
        }
        other => {
            found.push(format!("path {other}"));
            return;
        }
    };
    absent(&inner, &["model", "stream"], found);
    version(&inner, "bedrock-2023-05-31", found);
    if !inner["max_tokens"].is_u64() {
        found.push("no max_tokens".to_owned());
    }
}

fn vertex(path: &str, body: &Value, account: &Account, found: &mut Vec<String>) {
    let Account { project, region, .. } = account;
    let begin = format!("/v1/projects/{project}/locations/{region}/publishers/anthropic/models/");
    let Some((model, act)) = path.strip_prefix(&*begin).and_then(|rest| rest.split_once(':'))
    else {
        found.push(format!("path {path}"));
        return;
    };
    version(body, "vertex-2023-10-16", found);
    let streams = body["stream"] == true;
    match (model, act) {
        ("count-tokens", "rawPredict") => {
            if !body["model"].as_str().is_some_and(|model| model.starts_with("claude-")) {
                found.push("no model to count for".to_owned());
            }
        }
        (_, "rawPredict") if !streams => absent(body, &["model"], found),
        (_, "streamRawPredict") if streams => absent(body, &["model"], found),
        _ => found.push(format!("path {path}, stream {streams}")),
    }
}

fn plain(path: &str, base: &str, body: &Value, found: &mut Vec<String>) {
    let known = ["/v1/messages", "/v1/messages/count_tokens"];
    if !path.strip_prefix(base).is_some_and(|rest| known.contains(&rest)) {
        found.push(format!("path {path}"));
    }
    if !body["model"].is_string() {
        found.push("no model".to_owned());
    }
    absent(body, &["anthropic_version"], found);
}
