//! `tollgate policy sign`.

use crate::args::SignArgs;
use crate::failure::Failure;
use crate::keys;
use crate::policy::{compile, signer};
use crate::screen::Screen;
use crate::settings::{self, Data, FileError};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::envelope::{self, Envelope, POLICY_TYPE, PinnedKey, Signed};
use contract::policy::Policy;
use serde_json::json;
use std::fs;
use std::path::Path;

/// Signs a policy, or adds a signature.
pub(super) async fn sign(
    wanted: &SignArgs,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (payload, mut signatures) = if wanted.add {
        before(&wanted.file)?
    } else {
        let compiled = compile::file(&wanted.file)?;
        super::warn(&wanted.file, &compiled, screen);
        (compiled.payload, Vec::new())
    };
    let signed = if let Some(command) = &wanted.signer {
        signer::sign(command, (POLICY_TYPE, &payload), &public_key(wanted, data)?).await?
    } else {
        let key = wanted.key.clone().unwrap_or_else(|| data.policy_key());
        let (key_id, pair) = keys::policy_key(&key)?;
        let signature = pair.sk.sign(envelope::covered(POLICY_TYPE, &payload), None);
        Signed::new(&key_id, signature.as_ref())
    };
    let key_id = signed.keyid.clone();
    signatures.retain(|one| one.keyid != key_id);
    signatures.push(signed);
    let envelope = envelope::enclose(POLICY_TYPE, &payload, signatures);
    let mut text = serde_json::to_string_pretty(&envelope)?;
    text.push('\n');

    let Some(out) = &wanted.out else { return screen.print(&text) };
    settings::replace(out, text.as_bytes(), 0o644)?;
    let version = envelope::version(&payload);
    screen.say(&format!("Signed by {key_id}: {}", out.display()));

    screen.value(&version, &json!({ "version": version, "key_id": key_id }))
}

/// What was signed before, and by whom. It was not to be trusted then either: who signs reads it.
fn before(file: &Path) -> Result<(Vec<u8>, Vec<Signed>), Failure> {
    let bytes = fs::read(file).map_err(|source| FileError::Read { path: file.into(), source })?;
    let no = |why: String| Failure::Refused(format!("{}: {why}", file.display()));
    let envelope: Envelope = serde_json::from_slice(&bytes)
        .map_err(|error| no(format!("is no signed policy, which --add needs: {error}")))?;
    if envelope.payload_type != POLICY_TYPE {
        return Err(no("holds something else than a policy".into()));
    }
    let payload = BASE64_STANDARD
        .decode(&envelope.payload)
        .map_err(|error| no(format!("its payload is not base64: {error}")))?;
    if let Err(faults) = Policy::parse(&payload) {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(no(faults.join("; ")));
    }

    Ok((payload, envelope.signatures))
}

/// With which key the signature has to verify.
fn public_key(wanted: &SignArgs, data: &Data) -> Result<PinnedKey, Failure> {
    if let Some(file) = &wanted.public_key {
        let pin = keys::pin(file)?;
        let key_id = wanted.key_id.clone().unwrap_or(pin.key_id);
        return Ok(PinnedKey { key_id, ..pin });
    }
    let pins = keys::pins(data)?;
    let names = || pins.iter().map(|pin| pin.key_id.clone()).collect::<Vec<_>>().join(", ");
    match (&wanted.key_id, pins.as_slice()) {
        (Some(id), _) => pins.iter().find(|pin| pin.key_id == *id).cloned().ok_or_else(|| {
            Failure::NotFound(format!(
                "no key {id} is pinned in {} (there are: {}): --public-key names its file",
                data.keys().display(),
                names()
            ))
        }),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(Failure::Refused(format!(
            "which key the signer has is not said: --key-id ({}) or --public-key",
            names()
        ))),
    }
}
