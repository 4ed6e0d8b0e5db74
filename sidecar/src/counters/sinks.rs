//! What the sinks of the SIEM count. Their names come from the configuration, `[a-z0-9_-]` only.

use super::{Counter, head};
use crate::clock;
use std::sync::{Arc, OnceLock};

/// Why something could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It says: less (429).
    Busy,
    /// It failed (408, 5xx), or answered what nobody understands.
    Server,
    /// It did not answer in time.
    Timeout,
    /// It could not be reached, or hung up.
    Unreachable,
    /// It does not let us: credentials, address, index.
    Denied,
    /// It refuses the rows, and nothing tells which.
    Rejected,
    /// The database of ours.
    Store,
    /// A file of ours.
    File,
}

const REASONS: [(Reason, &str); 8] = [
    (Reason::Busy, "busy"),
    (Reason::Server, "server"),
    (Reason::Timeout, "timeout"),
    (Reason::Unreachable, "unreachable"),
    (Reason::Denied, "denied"),
    (Reason::Rejected, "rejected"),
    (Reason::Store, "store"),
    (Reason::File, "file"),
];

impl Reason {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        REASONS.iter().find_map(|(reason, word)| (*reason == self).then_some(*word)).unwrap_or("")
    }
}

type Value = fn(&Sink) -> u64;

/// What one sink counts.
#[derive(Debug, Default)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// Rows it has acknowledged.
    pub rows: Counter,
    /// Rows it has not.
    pub lag_rows: Counter,
    /// When the oldest of them occurred, Unix microseconds; 0 if there is none.
    pub oldest: Counter,
    /// Rows it would not take, kept in a file.
    pub dead_letters: Counter,
    failures: [Counter; REASONS.len()],
}

impl Sink {
    /// Nothing yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// One more failure.
    pub fn failed(&self, why: Reason) {
        for ((reason, _), counter) in REASONS.iter().zip(&self.failures) {
            if *reason == why {
                counter.one();
            }
        }
    }

    /// How old the oldest row is that was not sent, in seconds.
    fn lag_seconds(&self) -> u64 {
        match self.oldest.get() {
            0 => 0,
            oldest => clock::now_micros().saturating_sub(oldest) / 1_000_000,
        }
    }
}

/// All of them; known once the configuration is read.
#[derive(Debug, Default)]
pub struct Sinks(OnceLock<Vec<Arc<Sink>>>);

impl Sinks {
    /// There are these.
    pub fn set(&self, sinks: Vec<Arc<Sink>>) {
        // A second configuration does not come to the same counters.
        drop(self.0.set(sinks));
    }

    pub(super) fn prometheus(&self, text: &mut String) {
        let Some(sinks) = self.0.get().filter(|sinks| !sinks.is_empty()) else { return };
        let plain: [(&str, &str, &str, Value); 4] = [
            ("tollgate_siem_rows_total", "counter", "Rows a sink has acknowledged.", |sink| {
                sink.rows.get()
            }),
            ("tollgate_siem_lag_rows", "gauge", "Rows a sink has not been sent.", |sink| {
                sink.lag_rows.get()
            }),
            (
                "tollgate_siem_lag_seconds",
                "gauge",
                "Age of the oldest row that a sink has not been sent.",
                Sink::lag_seconds,
            ),
            (
                "tollgate_siem_dead_letters_total",
                "counter",
                "Rows a sink would not take, kept in a file.",
                |sink| sink.dead_letters.get(),
            ),
        ];
        for (name, kind, help, value) in plain {
            head(text, name, kind, help);
            for sink in sinks {
                line(text, name, &sink.name, "", value(sink));
            }
        }
        let name = "tollgate_siem_failures_total";
        head(text, name, "counter", "Times a sink could not be sent to, by reason.");
        for sink in sinks {
            for ((_, word), counter) in REASONS.iter().zip(&sink.failures) {
                line(text, name, &sink.name, word, counter.get());
            }
        }
    }
}

fn line(text: &mut String, name: &str, sink: &str, reason: &str, value: u64) {
    text.extend([name, "{sink=\"", sink, "\""]);
    if !reason.is_empty() {
        text.extend([",reason=\"", reason, "\""]);
    }
    text.extend(["} ", &value.to_string(), "\n"]);
}
