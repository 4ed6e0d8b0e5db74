//! What stands, and how the last run went.

use super::places::Settings;
use super::record;
use crate::cache::now;
use crate::failure::Failure;
use crate::run;
use contract::manifest::LastSync;
use std::fmt::Write as _;

/// Tells it on standard output.
///
/// # Errors
/// [`Failure::Sync`] if the system's half has never run.
pub fn tell(settings: &Settings, json: bool) -> Result<(), Failure> {
    let path = settings.last_sync();
    let Some(last) = record::read(&path) else {
        return Err(Failure::Sync {
            code: "no_run".into(),
            problem: format!("{} is not there: nothing was put in place yet", path.display()),
        });
    };
    if json {
        return run::write(&format!("{}\n", serde_json::to_string(&last).unwrap_or_default()));
    }
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _never = writeln!(text, "{name:<10} {value}").is_err();
    };
    line("sync", &summary(&last));
    if let Some(standing) = &last.standing {
        let plugins = standing.plugins.iter();
        for plugin in plugins {
            line("plugin", &format!("{} {}", plugin.name, plugin.version));
        }
        line("signed by", &standing.key_id);
    }
    for (name, list) in [
        ("installed", &last.installed),
        ("updated", &last.updated),
        ("removed", &last.removed),
        ("repaired", &last.repaired),
    ] {
        if !list.is_empty() {
            line(name, &list.join(", "));
        }
    }
    for warning in &last.warnings {
        line("warning", warning);
    }
    line("files", &settings.mount.display().to_string());

    run::write(&text)
}

/// In a line: what stands, how old that is, how it went.
pub fn summary(last: &LastSync) -> String {
    let stands = match &last.standing {
        Some(it) => format!("version {} for {} of {}", it.version, it.audience, it.catalogue),
        None => "nothing stands".to_owned(),
    };
    let age = now().saturating_sub(last.synced_at);
    let code = last.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();

    format!("{stands}, {}{code} {age} s ago", last.result.as_str())
}
