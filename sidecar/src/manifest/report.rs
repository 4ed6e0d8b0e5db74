//! `POST /v1/cowork/sync-report`: how a laptop's sync went, as its person tells it.
//!
//! The person could say anything. So nothing is decided by a report, what it claims is cut to what can be stored and
//! shown, its times are never later than now, and nobody reports faster than a laptop that is in trouble does.

use super::caller::Caller;
use super::recorder::Note;
use super::serve::{Serving, nobody, row_of};
use crate::clock;
use crate::sign_in::reply;
use crate::store::fleet::{Device, Heard, StandsThere};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use contract::audit::{Event, Outcome};
use contract::manifest::{
    LARGEST_NUMBER, LastSync, SyncReport, SyncResult, is_hex_digest, name_fault,
};
use contract::refusal::ErrorType;
use lru::LruCache;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::error;

/// Most reports of somebody in a minute, all their laptops together.
const PER_MINUTE: u32 = 30;

/// For how long a report that says the same again is not written, in seconds.
const SAME: u64 = 60;

/// Of how many people and laptops this is remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(32_767);

/// Signs of a text that a laptop says for people.
const WORDS: usize = 300;

/// Most warnings of a laptop that are shown.
const WARNINGS: usize = 16;

/// Digits of a device's id.
const DEVICE: usize = 32;

/// What a failure is called whose own word is none.
const UNKNOWN: &str = "unknown";

type Of = (String, String);

/// Something for each of those who were heard of last.
type Last<K, V> = Arc<Mutex<LruCache<K, V>>>;

/// How fast laptops report.
#[derive(Debug, Clone)]
pub struct Pace {
    /// By person: when their minute began, and how many reports it had.
    people: Last<Of, (u64, u32)>,
    /// By person: the last report that was written, and when.
    last: Last<(Of, String), ([u8; 32], u64)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            people: Arc::new(Mutex::new(LruCache::new(REMEMBERED))),
            last: Arc::new(Mutex::new(LruCache::new(REMEMBERED))),
        }
    }
}

impl Pace {
    /// One more report: is that too fast?
    fn is_fast(&self, of: &Of, now: u64) -> bool {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = people.get_or_insert_mut(of.clone(), || (now, 0));
        if now.saturating_sub(*since) >= 60 {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);

        *count > PER_MINUTE
    }

    fn is_same(&self, of: &(Of, String), digest: &[u8; 32], now: u64) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);

        last.get(of).is_some_and(|(known, at)| known == digest && now < at.saturating_add(SAME))
    }

    fn written(&self, of: (Of, String), digest: [u8; 32], now: u64) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).put(of, (digest, now));
    }
}

/// Takes a report.
pub async fn take(
    State(serving): State<Serving>,
    head: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let caller = match serving.callers.caller(&head) {
        Ok(caller) => caller,
        Err(unknown) => return nobody(unknown, &head),
    };
    let now = clock::now();
    let of = (caller.claims.tenant_id.clone(), caller.user.clone());
    if serving.pace.is_fast(&of, now) {
        serving.counters().bad_reports.one();
        let kind = ErrorType::RateLimitError;
        let mut response =
            reply::refusal(StatusCode::TOO_MANY_REQUESTS, kind, "too many reports", &head);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        return response;
    }
    let body = match body {
        Ok(body) => body,
        Err(refused) if refused.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            serving.counters().bad_reports.one();
            let (status, kind) = (StatusCode::PAYLOAD_TOO_LARGE, ErrorType::RequestTooLarge);
            return reply::refusal(status, kind, "a report has at most 64 KiB", &head);
        }
        Err(_cut) => return bad(&serving, "the report did not arrive whole", &head),
    };
    let Ok(report) = serde_json::from_slice::<SyncReport>(&body) else {
        return bad(&serving, "no report of a sync", &head);
    };
    let Some(device) = device(&caller, &report, now) else {
        return bad(&serving, "`last.device` must be 32 hex digits in lower case", &head);
    };

    noted(&serving, &caller, (report, device), &body, &head).await
}

async fn noted(
    serving: &Serving,
    caller: &Caller,
    (report, device): (SyncReport, Device),
    body: &Bytes,
    head: &HeaderMap,
) -> Response<Body> {
    let counters = serving.counters();
    let failed = device.result == SyncResult::Failed.as_str();
    if failed { &counters.failed_reports } else { &counters.reports }.one();
    let (tenant, user, id) = device.whose.clone();
    let (of, digest, now) = (((tenant, user), id), Sha256::digest(body).into(), device.reported_at);
    if serving.pace.is_same(&of, &digest, now) {
        return empty();
    }
    let row = if failed { row(caller, &device, head) } else { None };
    let report = serde_json::to_string(&report).unwrap_or_default();
    if !serving.recorder.note(Note::Heard(Box::new(Heard { device, report, row }))).await {
        let (status, kind) = (StatusCode::SERVICE_UNAVAILABLE, ErrorType::ApiError);
        let mut response = reply::refusal(status, kind, "the report is not stored yet", head);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        return response;
    }
    serving.pace.written(of, digest, now);

    empty()
}

/// What counts of a report; `None` if it names its device by something that is no such name.
fn device(caller: &Caller, report: &SyncReport, now: u64) -> Option<Device> {
    let SyncReport { fetch, last } = report;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let id = match last {
        Some(last) if last.device.len() == DEVICE && last.device.bytes().all(hex) => &*last.device,
        Some(_) => return None,
        // Its system half has never run.
        None => "",
    };
    let (result, code, problem) = ended(report);
    let standing = last.as_ref().and_then(|last| last.standing.as_ref());
    let stands = standing
        .filter(|it| {
            name_fault(&it.catalogue).is_none()
                && name_fault(&it.audience).is_none()
                && is_hex_digest(&it.sha256)
                && (1..=LARGEST_NUMBER).contains(&it.version)
        })
        .map(|it| StandsThere {
            catalogue: it.catalogue.clone(),
            audience: it.audience.clone(),
            version: it.version,
            sha256: it.sha256.clone(),
            applied_at: it.applied_at.min(now),
        });

    Some(Device {
        whose: (caller.claims.tenant_id.clone(), caller.user.clone(), id.to_owned()),
        client: caller.claims.client_id.clone(),
        os: last.as_ref().map(|last| plain(&last.os, 16)).unwrap_or_default(),
        helper: last.as_ref().map(|last| plain(&last.helper, 32)).unwrap_or_default(),
        result: result.as_str().to_owned(),
        code: (result == SyncResult::Failed).then(|| word(code)),
        problem: problem.map(|it| plain(it, WORDS)),
        warnings: last.as_ref().map(warnings).unwrap_or_default(),
        stands,
        synced_at: last.as_ref().map_or(fetch.at, |last| last.synced_at).min(now),
        reported_at: now,
    })
}

/// How a sync ended, of its two halves; the word for what failed, and what the system's half says of it.
fn ended(report: &SyncReport) -> (SyncResult, Option<&str>, Option<&str>) {
    let SyncReport { fetch, last } = report;
    let applied = last.as_ref().map_or(SyncResult::Unchanged, |last| last.result);
    let said =
        |of: fn(&LastSync) -> &Option<String>| last.as_ref().and_then(|last| of(last).as_deref());
    let problem = said(|last| &last.problem);
    if fetch.result == SyncResult::Failed {
        (SyncResult::Failed, fetch.code.as_deref(), None)
    } else if applied == SyncResult::Failed {
        (SyncResult::Failed, said(|last| &last.code), problem)
    } else if [fetch.result, applied].contains(&SyncResult::Stale) {
        (SyncResult::Stale, None, problem)
    } else {
        (applied, None, None)
    }
}

/// What somebody should look at: what the laptop warns of, and that something there was not as it was signed.
fn warnings(last: &LastSync) -> Vec<String> {
    let repaired = last
        .repaired
        .iter()
        .map(|name| format!("was changed there, and is as signed again: {name}"));
    let all = last.warnings.iter().cloned().chain(repaired);

    all.map(|text| plain(&text, WORDS)).filter(|text| !text.is_empty()).take(WARNINGS).collect()
}

/// The row of a failure: what the laptop calls it, and what stands there all the same.
fn row(caller: &Caller, device: &Device, head: &HeaderMap) -> Option<Event<'static>> {
    let row = match row_of(caller, "sync failed".into(), head) {
        Ok(row) => row,
        Err(error) => {
            error!(error = %error, "That a sync failed is not written down");
            return None;
        }
    };
    let (.., id) = &device.whose;
    let stands = device.stands.as_ref();
    let mut row = Event {
        outcome: Outcome::Error,
        rule_id: device.code.clone().map(Into::into),
        status: Some(StatusCode::NO_CONTENT.as_u16()),
        ..row
    };
    row.payload.after = Some(json!({
        "device": id, "os": device.os, "helper": device.helper,
        "synced_at": clock::readable(device.synced_at),
        "version": stands.map(|it| it.version), "audience": stands.map(|it| &it.audience),
    }));

    Some(row)
}

/// A code is a word of ours, or counts as none.
fn word(code: Option<&str>) -> String {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';

    code.filter(|code| (1..=64).contains(&code.len()) && code.bytes().all(fits))
        .unwrap_or(UNKNOWN)
        .to_owned()
}

/// What can be printed of a text, and not more than that.
fn plain(text: &str, most: usize) -> String {
    text.chars().filter(|sign| sign.is_ascii_graphic() || *sign == ' ').take(most).collect()
}

fn bad(serving: &Serving, message: &str, head: &HeaderMap) -> Response<Body> {
    serving.counters().bad_reports.one();

    reply::refusal(StatusCode::BAD_REQUEST, ErrorType::InvalidRequestError, message, head)
}

fn empty() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;

    response
}
