//! `tollgate policy`.

use super::{PolicyError, Published, publish};
use crate::acts::Act;
use crate::args::PolicyCommand;
use crate::failure::Failure;
use crate::keys;
use crate::screen::Screen;
use crate::settings::{self, Data, FileError};
use crate::store::Store;
use contract::envelope::{self, POLICY_TYPE};
use contract::policy::{Document, Fault, Policy};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(command: &PolicyCommand, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        PolicyCommand::Check { file } => check(file, screen),
        PolicyCommand::Sign { file, key, out } => {
            sign(file, key.as_deref().unwrap_or(&data.policy_key()), out.as_deref(), screen)
        }
        PolicyCommand::Publish { file } => {
            let store = Store::create(data).await?;
            let published = publish(data, file)?;
            let act = Act::new(format!("policy publish {}", published.version))?;
            store.append(&[act.row("")], None).await.map_err(|why| Failure::Untold {
                done: format!("policy {} is in force", published.version),
                why,
            })?;
            screen
                .say("In force on this sidecar within half a second, in the gate a second later.");
            screen.value(&published.version, &summary(&published))
        }
        PolicyCommand::Show => show(data, screen),
    }
}

fn check(file: &Path, screen: &mut Screen) -> Result<(), Failure> {
    let payload = match document(file) {
        Err(PolicyError::Faults { path, faults }) if screen.json() => {
            let listed = faults
                .iter()
                .map(|Fault { place, problem }| json!({ "place": place, "problem": problem }));
            screen.object(&json!({ "version": null, "faults": listed.collect::<Vec<_>>() }))?;
            return Err(PolicyError::Faults { path, faults }.into());
        }
        other => other?,
    };
    let version = envelope::version(&payload);
    screen.say("No faults.");

    screen.value(&version, &json!({ "version": version, "faults": [] }))
}

/// The bytes of a policy without faults.
fn document(file: &Path) -> Result<Vec<u8>, PolicyError> {
    let payload =
        fs::read(file).map_err(|source| FileError::Read { path: file.to_owned(), source })?;
    Policy::parse(&payload)
        .map_err(|faults| PolicyError::Faults { path: file.to_owned(), faults })?;

    Ok(payload)
}

fn sign(file: &Path, key: &Path, out: Option<&Path>, screen: &mut Screen) -> Result<(), Failure> {
    let payload = document(file)?;
    let (key_id, pair) = keys::policy_key(key)?;
    let envelope = envelope::seal(POLICY_TYPE, &payload, &key_id, &pair);
    let mut text = serde_json::to_string_pretty(&envelope)?;
    text.push('\n');

    let Some(out) = out else { return screen.print(&text) };
    settings::replace(out, text.as_bytes(), 0o644)?;
    let version = envelope::version(&payload);
    screen.say(&format!("Signed by {key_id}: {}", out.display()));

    screen.value(&version, &json!({ "version": version, "key_id": key_id }))
}

fn show(data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let published = match Published::current(data) {
        Err(error @ PolicyError::None(_)) => return Err(Failure::NotFound(error.to_string())),
        other => other?,
    };
    if screen.json() {
        let policy: Value = serde_json::from_slice(&published.payload)?;
        let mut shown = summary(&published);
        if let Some(object) = shown.as_object_mut() {
            object.insert("policy".into(), policy);
        }
        return screen.object(&shown);
    }
    let policy: Document = serde_json::from_slice(&published.payload)?;
    let prices = policy.rates.map_or_else(
        || "the list's".to_owned(),
        |sheet| format!("negotiated as of {}, then the list's", sheet.as_of),
    );
    screen.print(&format!(
        "version  {}\nname     {}\nsigned   {}\nprices   {prices}\n\n",
        published.version, published.name, published.key_id
    ))?;
    let everyone = |names: &[String]| if names.is_empty() { "all".into() } else { names.join(" ") };
    let rows: Vec<Vec<String>> = policy
        .rules
        .iter()
        .map(|rule| {
            vec![
                rule.id.clone(),
                everyone(&rule.who.tenants),
                everyone(&rule.who.groups),
                rule.models.join(" "),
                word(rule.content),
                word(rule.audit),
            ]
        })
        .collect();

    screen.table(&["RULE", "TENANTS", "GROUPS", "MODELS", "CONTENT", "AUDIT"], &rows)
}

/// What a rule says, in its own word; nothing where it says nothing.
fn word(said: Option<impl serde::Serialize>) -> String {
    let value = said.and_then(|said| serde_json::to_value(said).ok());

    value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn summary(published: &Published) -> Value {
    json!({
        "version": published.version, "name": published.name, "key_id": published.key_id,
    })
}
