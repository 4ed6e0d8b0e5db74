//! `GET` and `HEAD /v1/cowork/plugins/{sha256}`, with or without `.zip`: the archives in the caller's document, and no
//! others. What an address holds never changes, so that it is kept for ever by who has it; that it is not given to
//! everybody is why it is `private` here. A cache of the operator's own may serve the same bytes to the same laptops: they
//! believe the digest, not who sends it.

use super::archives::{ArchiveError, Archives, BLOCK, Opened};
use super::prepared::{is_known, tag};
use super::range::{Asked, asked};
use super::serve::{Serving, nobody};
use crate::sign_in::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use contract::manifest::is_hex_digest;
use contract::refusal::ErrorType;
use futures_util::stream;
use std::sync::Arc;
use tracing::error;

/// A year, in which nothing changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// Answers.
pub async fn answer(
    State(serving): State<Serving>,
    Path(name): Path<String>,
    method: Method,
    head: HeaderMap,
) -> Response<Body> {
    let caller = match serving.callers.caller(&head) {
        Ok(caller) => caller,
        Err(unknown) => return nobody(unknown, &head),
    };
    let sha256 = name.strip_suffix(".zip").unwrap_or(&name);
    // Whether it exists for others is not told.
    let theirs = is_hex_digest(sha256)
        && serving.shelf(&caller).is_some_and(|shelf| shelf.archives.contains_key(sha256));
    if !theirs {
        serving.counters().not_theirs.one();
        let message = "no plugin of yours has this digest";
        return reply::refusal(StatusCode::NOT_FOUND, ErrorType::NotFoundError, message, &head);
    }
    let tag = tag(sha256);
    if is_known(&head, &tag) {
        return response(StatusCode::NOT_MODIFIED, &tag, Body::empty());
    }
    match serving.archives.open(sha256).await {
        Ok(opened) => {
            serving.counters().archives.one();
            sent(serving.archives.clone(), opened, &tag, &method, &head)
        }
        Err(fault) => {
            error!(error = %fault, "An archive cannot be sent");
            let mut response = reply::refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorType::ApiError,
                "the plugin cannot be sent at the moment",
                &head,
            );
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
            response
        }
    }
}

fn sent(
    archives: Archives,
    opened: Arc<Opened>,
    tag: &HeaderValue,
    method: &Method,
    head: &HeaderMap,
) -> Response<Body> {
    let length = opened.length();
    // A range means something for GET alone (RFC 9110 §14.2).
    let wanted = if method == Method::GET { asked(head, length, tag) } else { Asked::Whole };
    let (status, from, to) = match wanted {
        Asked::Whole => (StatusCode::OK, 0, length),
        Asked::Part(first, last) => {
            (StatusCode::PARTIAL_CONTENT, first, last.saturating_add(1).min(length))
        }
        Asked::Beyond => {
            let mut response = response(StatusCode::RANGE_NOT_SATISFIABLE, tag, Body::empty());
            put(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
            return response;
        }
    };
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => Body::from_stream(bytes(archives, opened, from, to)),
    };
    let mut response = response(status, tag, body);
    if status == StatusCode::PARTIAL_CONTENT {
        let last = to.saturating_sub(1);
        put(&mut response, header::CONTENT_RANGE, &format!("bytes {from}-{last}/{length}"));
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, to.saturating_sub(from).into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));

    response
}

fn response(status: StatusCode, tag: &HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag.clone());
    headers.insert(header::CACHE_CONTROL, FOR_EVER);

    response
}

fn put(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The bytes from one place up to another, block by block, each when the one before it is on its way.
fn bytes(
    archives: Archives,
    opened: Arc<Opened>,
    from: u64,
    to: u64,
) -> impl stream::Stream<Item = Result<Bytes, ArchiveError>> {
    stream::try_unfold((archives, opened, from), move |(archives, opened, at)| async move {
        if at >= to {
            return Ok(None);
        }
        let inside = at.checked_rem(BLOCK).unwrap_or_default();
        let block = archives.block(&opened, at.saturating_sub(inside)).await?;
        let end = inside.saturating_add(to.saturating_sub(at)).min(block.len() as u64);
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        if inside >= end {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        let part = block.slice(place(inside)..place(end));

        Ok(Some((part, (archives, opened, at.saturating_add(end.saturating_sub(inside))))))
    })
}
