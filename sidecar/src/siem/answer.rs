//! What a sink's answer means for the rows that were sent.

use super::vendor::Vendor;
use crate::counters::Reason;
use serde::Deserialize;
use std::time::Duration;

/// How much of an answer is told.
const TOLD: usize = 300;

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// Every row is there, but for these, each with why.
    Taken(Vec<(usize, String)>),
    /// None was taken, for what one of them says.
    Refused(String),
    /// None was taken, or not all, for what may be over later.
    Later(Trouble),
}

/// Why something is tried again.
#[derive(Debug)]
pub struct Trouble {
    /// Its kind.
    pub reason: Reason,
    /// As an operator reads it.
    pub told: String,
    /// How long it wants us to wait.
    pub after: Option<Duration>,
}

impl Trouble {
    /// Something.
    #[expect(clippy::needless_pass_by_value, reason = "who tells of an error is done with it")]
    pub fn new(reason: Reason, told: impl ToString) -> Self {
        Self { reason, told: told.to_string(), after: None }
    }
}

/// What Splunk says of an event: no JSON, no event, an empty one, fields that are none, no fields
/// to be. Of the other 400s none is the row's fault (index, channel, acknowledgment, credential).
/// <https://docs.splunk.com/Documentation/Splunk/9.2.3/Data/TroubleshootHTTPEventCollector>
const OF_AN_EVENT: [u64; 4] = [6, 12, 13, 15];

#[derive(Deserialize)]
struct Hec {
    code: u64,
}

#[derive(Deserialize)]
struct Bulk {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: Done,
}

#[derive(Deserialize)]
struct Done {
    status: u16,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

/// What an answer to so many rows means.
pub fn judge(vendor: &Vendor, rows: usize, status: u16, body: &[u8]) -> Answer {
    let told = || format!("it answered {status}: {}", readable(body));
    match status {
        200..=299 => match vendor {
            Vendor::Elastic { .. } => bulk(rows, body),
            _ => Answer::Taken(Vec::new()),
        },
        413 => Answer::Refused(told()),
        400 | 422 => match vendor {
            Vendor::Splunk { .. } if !is_of_an_event(body) => {
                Answer::Later(Trouble::new(Reason::Denied, told()))
            }
            _ => Answer::Refused(told()),
        },
        429 => Answer::Later(Trouble::new(Reason::Busy, told())),
        408 | 500..=599 => Answer::Later(Trouble::new(Reason::Server, told())),
        // Also a redirect: it is not followed, for the credential would go along.
        _ => Answer::Later(Trouble::new(Reason::Denied, told())),
    }
}

fn is_of_an_event(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|said: Hec| OF_AN_EVENT.contains(&said.code))
}

/// Each item has a status of its own. 409: it is there since an earlier try. 400: it will never be
/// taken. Everything else can change, and then all are sent again; what is there answers 409.
fn bulk(rows: usize, body: &[u8]) -> Answer {
    let Ok(Bulk { items }) = serde_json::from_slice(body) else {
        let told = format!("its answer is not that of _bulk: {}", readable(body));
        return Answer::Later(Trouble::new(Reason::Server, told));
    };
    if items.len() != rows {
        let told = format!("it was sent {rows} rows and answered for {}", items.len());
        return Answer::Later(Trouble::new(Reason::Server, told));
    }
    let mut rejected = Vec::new();
    for (number, Item { create: Done { status, error } }) in items.into_iter().enumerate() {
        let error = error.map(|error| error.to_string()).unwrap_or_default();
        let told = || format!("it answered {status} for a row: {}", readable(error.as_bytes()));
        match status {
            200..=299 | 409 => {}
            400 | 413 => rejected.push((number, told())),
            429 => return Answer::Later(Trouble::new(Reason::Busy, told())),
            500..=599 => return Answer::Later(Trouble::new(Reason::Server, told())),
            _ => return Answer::Later(Trouble::new(Reason::Denied, told())),
        }
    }

    Answer::Taken(rejected)
}

/// As much of it as a line of log can hold.
fn readable(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .chars()
        .take(TOLD)
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

/// `Retry-After`: seconds or a date (RFC 9110 §10.2.3).
pub fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;

    Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    fn elastic() -> Vendor {
        Vendor::Elastic { index: "audit".into() }
    }

    fn items(statuses: &[u16]) -> Vec<u8> {
        let item = |status: &u16| match status {
            201 => json!({ "create": { "status": 201 } }),
            _ => json!({ "create": { "status": status, "error": { "type": "of a kind" } } }),
        };
        let items: Vec<_> = statuses.iter().map(item).collect();
        json!({ "items": items }).to_string().into_bytes()
    }

    #[test]
    fn an_item_that_is_there_is_done_and_one_that_cannot_be_is_named() {
        let answer = judge(&elastic(), 3, 200, &items(&[201, 409, 400]));

        let Answer::Taken(rejected) = answer else { panic!("{answer:?}") };
        assert_eq!(rejected.len(), 1);
        assert_eq!(rejected[0].0, 2);
        assert!(rejected[0].1.contains("of a kind"), "{rejected:?}");
    }

    #[test]
    fn an_item_that_may_be_taken_later_makes_all_be_sent_again() {
        for (status, reason) in [(429, Reason::Busy), (503, Reason::Server), (403, Reason::Denied)]
        {
            let answer = judge(&elastic(), 3, 200, &items(&[400, status, 201]));
            let Answer::Later(trouble) = answer else { panic!("{answer:?}") };
            assert_eq!(trouble.reason, reason);
        }
    }

    #[test]
    fn an_answer_that_is_not_about_these_rows_acknowledges_nothing() {
        for body in [&b""[..], b"{}", b"[]", b"<html>", &items(&[201])] {
            let answer = judge(&elastic(), 2, 200, body);
            assert!(matches!(answer, Answer::Later(_)), "{answer:?}");
        }
    }

    #[test]
    fn of_splunk_s_refusals_only_those_of_an_event_are_the_row_s_fault() {
        let splunk = Vendor::Splunk { beside: Map::new(), channel: None };
        let said = |code: u64| json!({ "text": "x", "code": code }).to_string().into_bytes();

        assert!(matches!(judge(&splunk, 1, 400, &said(6)), Answer::Refused(_)));
        for body in [said(7), said(10), b"x".to_vec()] {
            assert!(matches!(judge(&splunk, 1, 400, &body), Answer::Later(_)));
        }
    }

    #[test]
    fn what_an_operator_must_put_right_costs_no_row() {
        for status in [301, 302, 307, 401, 403, 404, 405, 415] {
            let answer = judge(&Vendor::JsonLines, 1, status, b"");
            let Answer::Later(trouble) = answer else { panic!("{status}: {answer:?}") };
            assert_eq!(trouble.reason, Reason::Denied);
        }
    }

    #[test]
    fn how_long_to_wait_is_said_in_seconds_or_as_a_date() {
        let date = |ahead: i64| {
            let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(ahead);
            at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        };

        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        let until = retry_after(&date(60)).unwrap();
        assert!((58..=60).contains(&until.as_secs()), "{until:?}");
        assert_eq!(retry_after(&date(-60)), None);
        assert_eq!(retry_after("soon"), None);
    }
}
