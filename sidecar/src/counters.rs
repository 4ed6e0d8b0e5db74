//! What operators count. Every name is here; labels never come from a client.

mod approvals;
mod manifests;
mod provider_tokens;
mod sinks;

pub use self::approvals::Approvals;
pub use self::manifests::Manifests;
pub use self::provider_tokens::{ProviderToken, ProviderTokens};
pub use self::sinks::{Reason, Sink, Sinks};

use crate::clock;
use crate::sign_in::Refused;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One number that rises, or is set.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// That many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Now that many.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one way of the record counts.
#[derive(Debug, Default)]
pub struct Way {
    /// Rows it stored.
    pub stored: Counter,
    /// Events that were there already.
    pub duplicates: Counter,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Counters {
    /// By gRPC.
    pub grpc: Way,
    /// By the spool.
    pub spool: Way,
    /// Anonymous refusals, counted by the gate.
    pub counted: Way,
    /// gRPC events dropped because the database was away; the spool has them.
    pub dropped: Counter,
    /// gRPC events without an id; the spool has them.
    pub nameless: Counter,
    /// Spool lines that could not be read, even in part.
    pub spool_unreadable: Counter,
    /// Is there a spool?
    pub spool_present: Counter,
    /// Spool bytes read.
    pub spool_offset: Counter,
    /// Spool bytes waiting.
    pub spool_lag: Counter,
    /// For how long something has been waiting in it, seconds.
    pub spool_age: Counter,
    /// Transactions that stored rows, or were to.
    pub appends: Counter,
    /// How long they took together, microseconds.
    pub append_time: Counter,
    /// Exchanges without a row, as far as the gate's numbers tell.
    pub holes: Counter,
    /// Intents stored.
    pub intents: Counter,
    /// Intents without an end yet.
    pub intents_open: Counter,
    /// Intents that became error rows.
    pub intents_lost: Counter,
    /// Times the database refused.
    pub store_errors: Counter,
    /// Tokens minted.
    pub mints: Counter,
    /// Sign-ins refused, by code.
    pub refusals: Refusals,
    /// Lists of revoked certificates that were not taken.
    pub lists_refused: Counter,
    /// Lists of revoked certificates in force that are past their day.
    pub lists_expired: Counter,
    /// Sessions begun.
    pub sessions: Counter,
    /// Times a provider vouched for somebody again.
    pub provider_confirmed: Counter,
    /// Times one did not any more.
    pub provider_refused: Counter,
    /// Times one did not answer as it must.
    pub provider_away: Counter,
    /// Policies refused after the start.
    pub policy_refused: Counter,
    /// Signing keys refused after the start.
    pub keys_refused: Counter,
    /// 1 while Envoy's files, or what it serves, are not what was put in force.
    pub envoy_drift: Counter,
    /// When the store last said who is stopped, Unix microseconds.
    pub standing_confirmed: Counter,
    /// What is counted of approvals.
    pub approvals: Approvals,
    /// What is counted of manifests, and of the fleet.
    pub manifests: Manifests,
    /// What is known of tokens for providers.
    pub provider_tokens: ProviderTokens,
    /// What each sink of the SIEM counts.
    pub sinks: Sinks,
}

/// A counter for each reason not to be signed in, in the order of [`Refused::ALL`].
#[derive(Debug)]
pub struct Refusals(Vec<Counter>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Refused::ALL.iter().map(|_| Counter::default()).collect())
    }
}

impl Refusals {
    fn each(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
        Refused::ALL.iter().map(|why| why.code()).zip(&self.0)
    }
}

impl Counters {
    /// One more transaction that took so long.
    pub fn appended(&self, took: Duration) {
        self.appends.one();
        self.append_time.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// One more refusal with this code.
    pub fn refused(&self, code: &str) {
        for (name, counter) in self.refusals.each() {
            if name == code {
                counter.one();
            }
        }
    }

    /// For how many seconds the store has not said who is stopped.
    pub fn standing_age(&self) -> u64 {
        clock::now_micros().abs_diff(self.standing_confirmed.get()) / 1_000_000
    }

    /// As Prometheus reads it (text format 0.0.4).
    pub fn prometheus(&self) -> String {
        let mut text = String::with_capacity(4096);
        let ways = [("grpc", &self.grpc), ("spool", &self.spool), ("counted", &self.counted)];

        head(&mut text, "tollgate_audit_rows_total", "counter", "Rows stored, by way.");
        for (name, way) in ways {
            line(&mut text, "tollgate_audit_rows_total", Some(("way", name)), way.stored.get());
        }
        let name = "tollgate_audit_duplicates_total";
        head(&mut text, name, "counter", "Events that were stored already, by way.");
        for (label, way) in ways {
            line(&mut text, name, Some(("way", label)), way.duplicates.get());
        }
        let name = "tollgate_auth_refusals_total";
        head(&mut text, name, "counter", "Sign-ins refused, by code.");
        for (code, counter) in self.refusals.each() {
            line(&mut text, name, Some(("code", code)), counter.get());
        }
        let name = "tollgate_auth_sessions_total";
        head(&mut text, name, "counter", "Sessions begun.");
        line(&mut text, name, None, self.sessions.get());
        self.providers(&mut text);
        let name = "tollgate_store_append_seconds";
        head(&mut text, name, "summary", "Transactions that store rows, and how long they took.");
        let micros = self.append_time.get();
        let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
        text.extend([name, "_sum ", &whole.to_string(), ".", &format!("{rest:06}"), "\n"]);
        line(&mut text, "tollgate_store_append_seconds_count", None, self.appends.get());
        for (name, kind, help, value) in self.plain() {
            head(&mut text, name, kind, help);
            line(&mut text, name, None, value);
        }
        let name = "tollgate_revocation_refused_total";
        head(&mut text, name, "counter", "Lists of revoked certificates that were not taken.");
        line(&mut text, name, None, self.lists_refused.get());
        let name = "tollgate_revocation_expired";
        head(&mut text, name, "gauge", "Lists of revoked certificates past their day.");
        line(&mut text, name, None, self.lists_expired.get());
        let name = "tollgate_envoy_drift";
        let help = "1 while Envoy's files, or what it serves, are not what was put in force.";
        head(&mut text, name, "gauge", help);
        line(&mut text, name, None, self.envoy_drift.get());
        let name = "tollgate_standing_age_seconds";
        head(&mut text, name, "gauge", "For how long the database has not said who is stopped.");
        line(&mut text, name, None, self.standing_age());
        self.approvals.prometheus(&mut text);
        self.manifests.prometheus(&mut text);
        self.provider_tokens.prometheus(&mut text);
        self.sinks.prometheus(&mut text);

        text
    }

    fn providers(&self, text: &mut String) {
        let name = "tollgate_provider_answers_total";
        head(text, name, "counter", "What OpenID providers answered at refreshes.");
        for (answer, counter) in [
            ("confirmed", &self.provider_confirmed),
            ("refused", &self.provider_refused),
            ("away", &self.provider_away),
        ] {
            line(text, name, Some(("answer", answer)), counter.get());
        }
    }

    fn plain(&self) -> [(&'static str, &'static str, &'static str, u64); 16] {
        const C: &str = "counter";
        const G: &str = "gauge";
        [
            ("tollgate_auth_mints_total", C, "Tokens minted.", self.mints.get()),
            (
                "tollgate_audit_grpc_dropped_total",
                C,
                "gRPC events dropped while the database was away; the spool has them.",
                self.dropped.get(),
            ),
            (
                "tollgate_audit_grpc_nameless_total",
                C,
                "gRPC events without an id, left to the spool.",
                self.nameless.get(),
            ),
            (
                "tollgate_spool_unreadable_total",
                C,
                "Spool lines that could not be read: data was lost.",
                self.spool_unreadable.get(),
            ),
            (
                "tollgate_spool_present",
                G,
                "1 once Envoy has made the spool; while 0 the sure way of the record is missing.",
                self.spool_present.get(),
            ),
            ("tollgate_spool_offset_bytes", G, "Spool read so far.", self.spool_offset.get()),
            ("tollgate_spool_lag_bytes", G, "Spool not read yet.", self.spool_lag.get()),
            (
                "tollgate_spool_lag_seconds",
                G,
                "For how long something has been waiting in the spool.",
                self.spool_age.get(),
            ),
            (
                "tollgate_audit_holes",
                G,
                "Exchanges that have no row, by the gate's numbers; 0 is how it must be.",
                self.holes.get(),
            ),
            ("tollgate_audit_intents_total", C, "Calls told before.", self.intents.get()),
            (
                "tollgate_audit_intents_open",
                G,
                "Calls told before, and not ended.",
                self.intents_open.get(),
            ),
            (
                "tollgate_audit_intents_lost_total",
                C,
                "Calls told before that never ended: error rows.",
                self.intents_lost.get(),
            ),
            ("tollgate_store_errors_total", C, "Refused by the database.", self.store_errors.get()),
            ("tollgate_policy_refused_total", C, "Policies refused.", self.policy_refused.get()),
            ("tollgate_keys_refused_total", C, "Signing keys refused.", self.keys_refused.get()),
            ("tollgate_up", G, "1 while the sidecar runs.", 1),
        ]
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    text.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"]);
}

fn line(text: &mut String, name: &str, label: Option<(&str, &str)>, value: u64) {
    text.push_str(name);
    if let Some((key, word)) = label {
        text.extend(["{", key, "=\"", word, "\"}"]);
    }
    text.extend([" ", &value.to_string(), "\n"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_comment_or_a_name_and_a_number() {
        let counters = Counters::default();
        counters.refused("pat_expired");
        counters.refused("a code of the future");
        counters.grpc.stored.add(3);

        let text = counters.prometheus();

        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("tollgate_"), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
        assert!(text.contains("tollgate_audit_rows_total{way=\"grpc\"} 3\n"));
        assert!(text.contains("tollgate_auth_refusals_total{code=\"pat_expired\"} 1\n"));
    }
}
