//! `tollgate keys`.

use super::{KeyError, Ring, SigningKey, add, init, key_files, pin};
use crate::acts::Act;
use crate::args::KeysCommand;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::sealing;
use crate::settings::Data;
use crate::store::Store;
use serde_json::json;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(command: &KeysCommand, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        KeysCommand::Init => make(data, screen),
        KeysCommand::Show => show(data, screen),
        KeysCommand::Rotate => {
            let store = Store::create(data).await?;
            let kid = add(data)?;
            let act = Act::new(format!("keys rotate {kid}"))?;
            store
                .append(&[act.row("")], None)
                .await
                .map_err(|why| Failure::Untold { done: format!("key {kid} was added"), why })?;
            screen.say("A running sidecar publishes it at once and signs with it 5 s later.");
            screen
                .say("Remove the older file once the last token it signed has expired (an hour).");
            screen.value(&kid, &json!({ "signing": { "kid": kid } }))
        }
    }
}

fn make(data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    if data.policy_key().exists() || !key_files(&data.signing()).unwrap_or_default().is_empty() {
        return Err(Failure::Refused(format!(
            "there are keys in {} already, and they are never overwritten",
            data.keys().display()
        )));
    }
    data.create()?;
    init(data)?;
    sealing::make(data)?;
    screen.say(&format!("{} signs policies.", data.policy_key().display()));
    screen.say("In production it belongs to the security team, on another machine: move it away,");
    screen.say("sign there, and publish here. This machine only needs keys/policy.pub.");

    show(data, screen)
}

fn show(data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let pin = match pin(&data.policy_pin()) {
        Err(KeyError::File(error)) => {
            return Err(Failure::NotFound(format!("{error}: run `tollgate keys init`")));
        }
        other => other?,
    };
    let ring = Ring::read(&data.signing())?;
    let all: Vec<&str> = ring.keys().map(SigningKey::kid).collect();

    if screen.json() {
        return screen.object(&json!({
            "policy": { "key_id": pin.key_id, "public_key": pin.public_key },
            "signing": { "kid": ring.newest().kid(), "all": all },
        }));
    }
    let mut rows = vec![vec!["policy".into(), pin.key_id, pin.public_key]];
    for key in ring.keys() {
        let role = if key.kid == ring.newest.kid { "signs tokens" } else { "verifies tokens" };
        let public = key.jwk();
        let x = public.get("x").and_then(|x| x.as_str()).unwrap_or_default().to_owned();
        rows.push(vec![role.into(), key.kid.clone(), x]);
    }

    screen.table(&["USE", "KEY ID", "PUBLIC KEY"], &rows)
}
