//! Single laptops: which lag behind, fail or warn, and all that one of them said.

use super::{NOTHING, heard_of, long};
use crate::args::fleet::ShowArgs;
use crate::clock;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::store::Store;
use crate::store::fleet::Device;
use crate::store::manifests::ManifestVersion;
use contract::manifest::{Stands, SyncReport, is_hex_digest, name_fault};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

pub(super) fn list(
    devices: &[Device],
    now: &ManifestVersion,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let at = clock::now();
    let mut rows = Vec::new();
    for it in devices {
        let (tenant, user, device) = &it.whose;
        let stands = it.stands.as_ref();
        if screen.json() {
            screen.object(&object(it, now, at))?;
            continue;
        }
        rows.push(vec![
            tenant.clone(),
            user.clone(),
            device.clone(),
            it.os.clone(),
            stands.map_or_else(|| NOTHING.to_owned(), |it| it.version.to_string()),
            stands.map(|it| it.audience.clone()).unwrap_or_default(),
            format!("{} ago", long(at.saturating_sub(it.synced_at))),
            it.result.clone(),
            it.code.clone().unwrap_or_default(),
            it.warnings.first().or(it.problem.as_ref()).cloned().unwrap_or_default(),
        ]);
    }
    if screen.json() {
        return Ok(());
    }
    let head = [
        "TENANT", "USER", "DEVICE", "OS", "VERSION", "AUDIENCE", "SYNCED", "RESULT", "CODE", "SAYS",
    ];

    screen.table(&head, &rows)
}

fn object(it: &Device, now: &ManifestVersion, at: u64) -> Value {
    let (tenant, user, device) = &it.whose;
    let stands = it.stands.as_ref();

    json!({
        "tenant_id": tenant, "user_id": user, "device": device, "client_id": it.client,
        "os": it.os, "helper": it.helper, "version": stands.map(|it| it.version),
        "audience": stands.map(|it| &it.audience),
        "behind": stands.map(|it| now.version.saturating_sub(it.version)),
        "synced_at": clock::readable(it.synced_at), "age": at.saturating_sub(it.synced_at),
        "reported_at": clock::readable(it.reported_at), "result": it.result,
        "code": it.code, "problem": it.problem, "warnings": it.warnings,
    })
}

/// Shows all that laptops said: the one of this id, or those of a person.
///
/// # Errors
/// [`Failure`].
pub(super) async fn show(
    asked: &ShowArgs,
    now: &ManifestVersion,
    (operator, store): (&Operator, &Store),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let at = clock::now();
    let wanted = heard_of(operator, now, asked.seen);
    let found = store.fleet_reports(&wanted, &asked.name, asked.limit).await?;
    if found.is_empty() {
        return Err(Failure::NotFound(format!(
            "no laptop {} has reported in the last {}: `--seen` asks for longer, `tollgate fleet status` counts the silent",
            asked.name,
            long(asked.seen)
        )));
    }
    for (device, report) in &found {
        let plugins = plugins(report);
        if screen.json() {
            let mut object = object(device, now, at);
            let stands: Map<String, Value> = plugins
                .into_iter()
                .map(|it| {
                    let about =
                        json!({ "version": it.version, "directory_sha256": it.directory_sha256 });
                    (it.name, about)
                })
                .collect();
            if let Some(members) = object.as_object_mut() {
                members.insert("plugins".into(), stands.into());
            }
            screen.object(&object)?;
        } else {
            screen.print(&told(device, &plugins, at))?;
        }
    }

    Ok(())
}

/// The plugins that stand there, as it says; what is no plugin's name, version or digest is left out.
fn plugins(report: &str) -> Vec<Stands> {
    let report: SyncReport = serde_json::from_slice(report.as_bytes()).unwrap_or_default();
    let standing = report.last.and_then(|last| last.standing);
    let is_version = |text: &str| {
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };

    standing
        .map(|it| it.plugins)
        .unwrap_or_default()
        .into_iter()
        .filter(|it| {
            name_fault(&it.name).is_none()
                && is_version(&it.version)
                && is_hex_digest(&it.directory_sha256)
        })
        .collect()
}

fn told(it: &Device, plugins: &[Stands], at: u64) -> String {
    let (tenant, user, device) = &it.whose;
    let stands = it.stands.as_ref().map_or_else(
        || NOTHING.to_owned(),
        |it| format!("{} {}, audience {}", it.catalogue, it.version, it.audience),
    );
    let named = if device.is_empty() { "no name yet" } else { device };
    let mut text = format!(
        "laptop     {named}\nperson     {user}, tenant {tenant}\nsystem     {}, helper {}, for {}\nstands     {stands}\n\
         synced     {}, {} ago: {}{}\nreported   {}\n",
        it.os,
        it.helper,
        it.client,
        clock::readable(it.synced_at),
        long(at.saturating_sub(it.synced_at)),
        it.result,
        it.code.as_ref().map(|code| format!(", {code}")).unwrap_or_default(),
        clock::readable(it.reported_at),
    );
    let said = it
        .problem
        .iter()
        .map(|it| ("problem", it))
        .chain(it.warnings.iter().map(|it| ("warning", it)));
    for (word, words) in said {
        let _never = writeln!(text, "{word}    {words}").is_err();
    }
    for plugin in plugins {
        let digest = plugin.directory_sha256.get(..12).unwrap_or_default();
        let _never =
            writeln!(text, "plugin     {} {} ({digest})", plugin.name, plugin.version).is_err();
    }

    text + "\n"
}
