//! What is counted of manifests, and of the fleet.

use super::{Counter, head, line};

/// Counts.
#[derive(Debug, Default)]
pub struct Manifests {
    /// Documents that were sent.
    pub sent: Counter,
    /// Polls of who had it already.
    pub unchanged: Counter,
    /// Polls of who is in no audience, or while nothing is published.
    pub nothing: Counter,
    /// Archives, or parts of them, that were sent.
    pub archives: Counter,
    /// Archives asked for that are not in the caller's document.
    pub not_theirs: Counter,
    /// Publications that were not believed.
    pub refused: Counter,
    /// The version in force; 0: none.
    pub version: Counter,
    /// When it expires, Unix seconds; 0: none.
    pub expires_at: Counter,
    /// Changed serves and reports that are not written down.
    pub unrecorded: Counter,
    /// Reports of syncs that worked.
    pub reports: Counter,
    /// Reports of syncs that failed.
    pub failed_reports: Counter,
    /// Reports that came too fast, or made no sense.
    pub bad_reports: Counter,
}

impl Manifests {
    pub(super) fn prometheus(&self, text: &mut String) {
        let name = "tollgate_manifest_requests_total";
        head(text, name, "counter", "What clients were answered who asked for their document.");
        for (answer, counter) in
            [("document", &self.sent), ("unchanged", &self.unchanged), ("none", &self.nothing)]
        {
            line(text, name, Some(("answer", answer)), counter.get());
        }
        let name = "tollgate_manifest_archives_total";
        head(text, name, "counter", "Archives of plugins that were asked for.");
        for (answer, counter) in [("sent", &self.archives), ("not_theirs", &self.not_theirs)] {
            line(text, name, Some(("answer", answer)), counter.get());
        }
        let name = "tollgate_sync_reports_total";
        head(text, name, "counter", "What laptops said of their syncs.");
        for (result, counter) in [
            ("good", &self.reports),
            ("failed", &self.failed_reports),
            ("not_taken", &self.bad_reports),
        ] {
            line(text, name, Some(("result", result)), counter.get());
        }
        for (name, kind, help, counter) in [
            (
                "tollgate_manifest_refused_total",
                "counter",
                "Publications that were not believed.",
                &self.refused,
            ),
            (
                "tollgate_manifest_unrecorded_total",
                "counter",
                "Changed documents and reports that are not written down.",
                &self.unrecorded,
            ),
            ("tollgate_manifest_version", "gauge", "Version that is served.", &self.version),
            (
                "tollgate_manifest_expires_timestamp_seconds",
                "gauge",
                "When the publication that is served expires, Unix time; 0 where there is none.",
                &self.expires_at,
            ),
        ] {
            head(text, name, kind, help);
            line(text, name, None, counter.get());
        }
    }
}
