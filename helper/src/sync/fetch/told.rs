//! What the gateway is told of a run.

use crate::cache::now;
use crate::failure::Failure;
use contract::manifest::{self, Fetch, LARGEST_REPORT, LastSync, Manifest, SyncReport, SyncResult};
use std::io::ErrorKind;

/// How it went, and what the system's half said.
pub(super) fn report(
    outcome: &Result<SyncResult, Failure>,
    given: Option<&Manifest>,
    last: Option<LastSync>,
) -> SyncReport {
    let mut report = SyncReport {
        fetch: Fetch {
            at: now(),
            result: outcome.as_ref().map_or(SyncResult::Failed, |result| *result),
            code: outcome.as_ref().err().map(code),
            version: given.map(|it| it.document().version),
            sha256: given.map(|it| it.sha256().to_owned()),
        },
        last,
    };
    // Of hundreds of plugins the digest of their document says enough.
    if serde_json::to_vec(&report).is_ok_and(|text| text.len() > LARGEST_REPORT)
        && let Some(last) = &mut report.last
    {
        if let Some(standing) = &mut last.standing {
            standing.plugins.clear();
        }
        for list in [
            &mut last.installed,
            &mut last.updated,
            &mut last.removed,
            &mut last.repaired,
            &mut last.warnings,
        ] {
            list.truncate(50);
        }
    }

    report
}

/// A report without its times: what is new if this is.
pub(super) fn news(report: &SyncReport) -> String {
    let mut report = report.clone();
    report.fetch.at = 0;
    if let Some(last) = &mut report.last {
        last.synced_at = 0;
    }

    manifest::sha256(&serde_json::to_vec(&report).unwrap_or_default())
}

/// The stable word for a failure, for the report.
fn code(failure: &Failure) -> String {
    let word = match failure {
        Failure::Sync { code, .. } => return code.clone(),
        Failure::Refused { code, .. } => return code.clone().unwrap_or_else(|| "refused".into()),
        Failure::Answer { status: 404, .. } => "not_served",
        Failure::Answer { status, .. } => return format!("status_{status}"),
        Failure::Unreachable { .. } => "unreachable",
        Failure::NotUnderstood { .. } => "not_understood",
        Failure::Unwritable { source, .. } if source.kind() == ErrorKind::StorageFull => {
            "disk_full"
        }
        Failure::Unwritable { .. } | Failure::Output(_) => "disk",
        Failure::NoFile { .. } => "no_file",
        Failure::Busy(_) => "busy",
        Failure::Configuration { .. } | Failure::Usage(_) => "configuration",
        _ => "no_credential",
    };

    word.to_owned()
}
