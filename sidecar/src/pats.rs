//! Personal access tokens: `tollgate pat`, and what makes one good.
//!
//! `tgp_<12 hex>_<43 base64url>`: the middle names it (`pat_<12 hex>`), the end is 256 random bits.
//! It is shown once; kept is the SHA-256 of the whole, which needs no salt for that many bits.

use crate::acts::Act;
use crate::args::PatCommand;
use crate::clock::{self, DAY};
use crate::failure::Failure;
use crate::keys::{self, KeyError};
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::sign_in::Refused;
use crate::store::{Pat, Store, User};
use crate::users;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::envelope::hex;
use contract::standing::Kind;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The form a token is kept in.
pub fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// The id in a token, if it has the form of one.
pub fn name(token: &str) -> Option<String> {
    let (name, secret) = token.strip_prefix("tgp_")?.split_once('_')?;
    let hex = name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit());

    (hex && secret.len() == 43).then(|| format!("pat_{name}"))
}

/// Is it good now?
pub fn standing(pat: &Pat, user: &User, now: u64) -> Result<(), Refused> {
    if user.disabled_at.is_some() {
        return Err(Refused::UserDisabled);
    }
    if pat.revoked_at.is_some() {
        return Err(Refused::Revoked);
    }
    if pat.expires_at <= now {
        return Err(Refused::Expired);
    }

    Ok(())
}

/// A new token and the id in it.
///
/// # Errors
/// [`KeyError::Random`].
pub fn generate() -> Result<(String, String), KeyError> {
    let name = hex(&keys::random::<6>()?);
    let secret = BASE64_URL_SAFE_NO_PAD.encode(keys::random::<32>()?);

    Ok((format!("tgp_{name}_{secret}"), format!("pat_{name}")))
}

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &PatCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let store = Store::open(data).await?;
    let at = (operator, &store);
    match command {
        PatCommand::Issue { email, days, cohort } => {
            issue(at, email, *days, cohort.as_deref(), screen).await
        }
        PatCommand::List { user, cohort } => {
            list(at, user.as_deref(), cohort.as_deref(), screen).await
        }
        PatCommand::Revoke { id } => {
            let of = store.tenant_of(Kind::Credential, id).await?;
            if !operator.reaches_all() && !of.is_some_and(|tenant| operator.reaches(&tenant)) {
                return Err(operator.beyond(id));
            }
            let now = clock::now();
            let before = store.pats().await?.into_iter().find(|pat| pat.id == *id);
            let after =
                before.clone().map(|pat| Pat { revoked_at: pat.revoked_at.or(Some(now)), ..pat });
            let told = |pat: &Option<Pat>| pat.as_ref().map(object).unwrap_or_default();
            let act = Act::new(operator, format!("pat revoke {id}"))?
                .on(id)
                .from(told(&before))
                .to(told(&after));
            let Some(pat) = store.revoke_pat(id, now, &act).await? else {
                return Err(Failure::NotFound(format!(
                    "no token has the id {id}: `tollgate pat list` tells which there are"
                )));
            };
            screen.say("Revoked. What was minted from it ends within a second.");
            screen.value(&pat.id, &object(&pat))
        }
    }
}

async fn issue(
    (operator, store): (&Operator, &Store),
    email: &str,
    days: u32,
    cohort: Option<&str>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let user_id = users::address(email)?;
    if users::theirs(&user_id, operator, store).await?.disabled_at.is_some() {
        return Err(Failure::Refused(format!("{user_id} is disabled")));
    }
    let (token, id) = generate()?;
    let now = clock::now();
    let pat = Pat {
        id,
        user_id,
        cohort: cohort.map(Into::into),
        created_at: now,
        expires_at: now.saturating_add(u64::from(days).saturating_mul(DAY)),
        ..Pat::default()
    };
    let what = format!("pat issue {} for {}", pat.id, pat.user_id);
    let act = Act::new(operator, what)?.on(&pat.id).to(object(&pat));
    store.add_pat(&pat, &hash(&token), &act).await?;
    screen.say(&format!(
        "{} for {}, good until {}.",
        pat.id,
        pat.user_id,
        clock::readable(pat.expires_at)
    ));
    screen.say("It is shown this once:");
    let mut shown = object(&pat);
    if let Some(object) = shown.as_object_mut() {
        object.insert("token".into(), token.as_str().into());
    }

    screen.value(&token, &shown)
}

async fn list(
    (operator, store): (&Operator, &Store),
    user: Option<&str>,
    cohort: Option<&str>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let user = user.map(users::address).transpose()?;
    let mut pats = store.pats().await?;
    if !operator.reaches_all() {
        let users = store.users().await?.into_iter();
        let theirs: BTreeSet<String> = users
            .filter(|user| operator.reaches(&user.tenant_id))
            .map(|user| user.user_id)
            .collect();
        pats.retain(|pat| theirs.contains(&pat.user_id));
    }
    pats.retain(|pat| {
        user.as_ref().is_none_or(|user| *user == pat.user_id)
            && cohort.is_none_or(|cohort| pat.cohort.as_deref() == Some(cohort))
    });
    if screen.json() {
        for pat in &pats {
            screen.object(&object(pat))?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = pats
        .into_iter()
        .map(|pat| {
            let state = state(&pat);
            vec![
                pat.id,
                pat.user_id,
                pat.cohort.unwrap_or_default(),
                state.into(),
                clock::readable(pat.created_at),
                clock::readable(pat.expires_at),
                pat.last_used_at.map_or_else(|| "never".into(), clock::readable),
            ]
        })
        .collect();

    screen.table(&["ID", "USER", "COHORT", "STATE", "ISSUED", "EXPIRES", "LAST USED"], &rows)
}

fn state(pat: &Pat) -> &'static str {
    if pat.revoked_at.is_some() {
        "revoked"
    } else if pat.expires_at <= clock::now() {
        "expired"
    } else {
        "active"
    }
}

fn object(pat: &Pat) -> Value {
    json!({
        "id": pat.id, "user_id": pat.user_id, "cohort": pat.cohort, "state": state(pat),
        "created_at": clock::readable(pat.created_at),
        "expires_at": clock::readable(pat.expires_at),
        "revoked_at": pat.revoked_at.map(clock::readable),
        "last_used_at": pat.last_used_at.map(clock::readable),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_form_and_no_two_are_alike() {
        let (token, id) = generate().unwrap();
        let parts: Vec<&str> = token.splitn(3, '_').collect();

        assert_eq!((parts[0], parts[1].len(), parts[2].len()), ("tgp", 12, 43));
        assert_eq!(id, format!("pat_{}", parts[1]));
        assert_ne!(token, generate().unwrap().0);
    }

    #[test]
    fn each_reason_not_to_be_good_has_its_own_code() {
        let pat = Pat { expires_at: 100, ..Pat::default() };
        let user = User::default();
        let revoked = Pat { revoked_at: Some(1), ..pat.clone() };
        let disabled = User { disabled_at: Some(1), ..User::default() };

        assert_eq!(standing(&pat, &user, 99), Ok(()));
        assert_eq!(standing(&pat, &user, 100), Err(Refused::Expired), "the last second is over");
        assert_eq!(standing(&revoked, &user, 99), Err(Refused::Revoked));
        assert_eq!(standing(&pat, &disabled, 99), Err(Refused::UserDisabled));
    }
}
