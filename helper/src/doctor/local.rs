//! What is on this machine: keystore, credentials, the device's certificate, the policy's key.

use super::{Finding, MEND};
use crate::cache::{self, Cached};
use crate::config::{Config, Keep};
use crate::device::certificate::About;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::home::Home;
use crate::secret::Kind;
use crate::store::Store;
use crate::sync::apply::writable;
use crate::sync::fetch::settings;
use crate::sync::status::summary;
use crate::sync::{pins, record};
use contract::manifest::SyncResult;
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// A certificate with less left than that is told of.
const SOON: u64 = 14 * 86_400; // seconds

/// Looks at all of it.
pub(super) fn look(home: &Home, config: &Config) -> Vec<Finding> {
    let store = Store::new(home, config.store, false);
    let mut findings = vec![keystore(&store)];
    match &config.gateway {
        Some(gateway) => findings.push(credentials(home, config, gateway, &store)),
        None => findings.push(Finding::fault(
            "gateway",
            "no gateway is configured",
            "run `tollgate-helper login --gateway URL`, or deploy the machine's configuration",
        )),
    }
    findings.push(device(config));
    findings.push(policy_key(config.policy_key.as_deref()));
    findings.push(sync(config));

    findings
}

fn keystore(store: &Store<'_>) -> Finding {
    let check = "keystore";
    match store.state() {
        (Keep::Keystore, None) => Finding::ok(check, "the system's keystore serves"),
        (Keep::File, None) => Finding::ok(check, "secrets are kept in files, as configured"),
        (Keep::Keystore, Some(why)) => Finding::fault(
            check,
            why,
            "unlock or start the keystore, or set `store` to file in the configuration",
        ),
        (Keep::File, Some(why)) => Finding::warning(
            check,
            format!("secrets are kept in files that only you can read: {why}"),
            "start a keystore (Linux: a Secret Service), or set `store` to file to say that it is meant",
        ),
    }
}

fn credentials(home: &Home, config: &Config, gateway: &Gateway, store: &Store<'_>) -> Finding {
    let check = "credentials";
    let mut here = Vec::new();
    for kind in [Kind::Session, Kind::Pat] {
        match store.read(kind, &gateway.url) {
            Ok(Some((kept, _))) => here.push(kept.secret.id()),
            Ok(None) => {}
            Err(failure) => return Finding::fault(check, failure.to_string(), failure.hint()),
        }
    }
    if config.device_certificate.is_some() {
        here.push("a device certificate".into());
    }
    if here.is_empty() {
        let hint = "run `tollgate-helper login`";
        return Finding::fault(check, format!("none for {}", gateway.url), hint);
    }
    let token = match cache::read(home) {
        Ok(kept) => kept.filter(|kept| kept.gateway == gateway.url),
        Err(failure @ Failure::Exposed { .. }) => {
            let hint = "remove the file; the next run writes another";
            return Finding::fault(check, failure.to_string(), hint);
        }
        Err(_) => None,
    };
    let left = token.as_ref().map_or(0, Cached::left);

    Finding::ok(check, format!("{}; the token kept has {left} s left", here.join(", ")))
}

fn device(config: &Config) -> Finding {
    let check = "device_certificate";
    let Some(reference) = &config.device_certificate else {
        return Finding::skipped(check, "none is configured");
    };
    let place = reference.place();
    let key = match place.load() {
        Ok(key) => key,
        Err(failure @ Failure::Exposed { .. }) => {
            return Finding::fault(
                check,
                failure.to_string(),
                "give the key to its owner alone (chmod 600); if others could read it, have it replaced",
            );
        }
        Err(failure) => {
            return Finding::fault(
                check,
                failure.to_string(),
                "have the device enrolled again, or mend `device_certificate` in the configuration",
            );
        }
    };
    let Some(about) = About::of(&key.cert) else {
        return Finding::fault(check, format!("{}: no certificate", place.place()), MEND);
    };
    let now = cache::now();
    if let Some(why) = about.fault(now) {
        return Finding::fault(
            check,
            format!("{} ({}): {why}", about.subject, place.place()),
            "have the device enrolled again; if the certificate is new, look at the clock",
        );
    }
    let left = u64::try_from(about.until).unwrap_or_default().saturating_sub(now);
    let told = format!("{} ({}): {} days left", about.subject, place.place(), left / 86_400);
    if left < SOON {
        return Finding::warning(check, told, "see that the device is enrolled again in time");
    }

    Finding::ok(check, told)
}

/// A sync that is older than that does not come.
const LATE: u64 = 3600; // seconds

fn sync(config: &Config) -> Finding {
    let check = "sync";
    let Ok(settings) = settings(config) else {
        return Finding::skipped(check, "`sync` is not configured on this machine");
    };
    if let Err(trouble) = pins::read(&settings.pins) {
        let remedy = "`tollgate-helper install --pin KEY` lays down the keys of the security team";
        return Finding::fault(check, trouble.to_string(), remedy);
    }
    let Some(last) = record::read(&settings.last_sync()) else {
        let remedy =
            "see that the system runs `tollgate-helper sync apply` (`install` sets its timer)";
        return Finding::fault(check, "the system's half has never run", remedy);
    };
    let told = summary(&last);
    if last.result == SyncResult::Failed {
        let problem = last.problem.unwrap_or_default();
        return Finding::fault(check, format!("{told}: {problem}"), "docs/sync.md has each word");
    }
    if let Some(why) = writable(&settings.mount, &std::env::temp_dir()) {
        let remedy = if cfg!(windows) {
            "take the rights away, or the folder, and run `tollgate-helper install` again as the administrator"
        } else {
            "give the folder of plugins to the system (root, chmod 755)"
        };
        return Finding::warning(check, why, remedy);
    }
    // The system's half may see what a person does not: that the folder is that person's own.
    if let Some(warning) = last.warnings.first() {
        return Finding::warning(
            check,
            format!("{told}: {warning}"),
            "docs/sync.md tells what it means",
        );
    }
    if cache::now().saturating_sub(last.synced_at) > LATE {
        let remedy =
            "see that the system runs `tollgate-helper sync apply` (`install` sets its timer)";
        return Finding::warning(check, told, remedy);
    }
    if last.result == SyncResult::Stale {
        let remedy =
            "have the security team publish anew; see that this laptop reaches the gateway";
        return Finding::warning(check, told, remedy);
    }

    Finding::ok(check, told)
}

/// The public half of the key that policies are signed with, as `tollgate keys` writes it.
#[derive(Deserialize)]
struct PolicyKey {
    key_id: String,
    #[serde(rename = "public_key")]
    _public_key: String,
}

fn policy_key(path: Option<&Path>) -> Finding {
    let check = "policy_key";
    let Some(path) = path else {
        return Finding::skipped(check, "`policy_key` is not configured");
    };
    let remedy =
        "deploy the public key (`keys/policy.pub` of the gateway) where `policy_key` points";
    match fs::read_to_string(path).map(|text| serde_json::from_str::<PolicyKey>(&text)) {
        Ok(Ok(key)) => Finding::ok(check, format!("{} is {}", key.key_id, path.display())),
        Ok(Err(_)) => {
            Finding::fault(check, format!("{} holds no public key", path.display()), remedy)
        }
        Err(error) => Finding::fault(check, format!("{}: {error}", path.display()), remedy),
    }
}
