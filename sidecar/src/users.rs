//! `tollgate user`: who may call.

use crate::acts::Act;
use crate::args::{UserAdd, UserCommand};
use crate::clock;
use crate::failure::Failure;
use crate::keys;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::{Store, User};
use contract::envelope::hex;
use serde_json::{Value, json};

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &UserCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        UserCommand::Add(wanted) => add(wanted, operator, data, screen).await,
        UserCommand::List => list(operator, &Store::open(data).await?, screen).await,
        UserCommand::Disable { email } => {
            let store = Store::open(data).await?;
            let user_id = address(email)?;
            let before = theirs(&user_id, operator, &store).await?;
            let now = clock::now();
            let after = User { disabled_at: before.disabled_at.or(Some(now)), ..before.clone() };
            let act = Act::new(operator, format!("user disable {user_id}"))?
                .from(object(&before))
                .to(object(&after));
            if !store.disable_user(&user_id, now, &act).await? {
                return Err(unknown(&user_id));
            }
            screen.say("No new tokens from now on; those in use end within a second.");
            screen.value(&user_id, &json!({ "user_id": user_id, "disabled": true }))
        }
        UserCommand::Enable { email } => {
            let store = Store::open(data).await?;
            let user_id = address(email)?;
            if store.is_deprovisioned(&user_id).await? {
                return Err(Failure::Refused(format!(
                    "the directory has ended {user_id}: activate them there, and they are enabled here"
                )));
            }
            let before = theirs(&user_id, operator, &store).await?;
            let after = User { disabled_at: None, ..before.clone() };
            let act = Act::new(operator, format!("user enable {user_id}"))?
                .from(object(&before))
                .to(object(&after));
            if !store.enable_user(&user_id, &act).await? {
                return Err(unknown(&user_id));
            }
            screen.say("What they hold works again within a second, unless it was revoked.");
            screen.value(&user_id, &json!({ "user_id": user_id, "disabled": false }))
        }
    }
}

/// Somebody of a tenant that the operator reaches.
///
/// # Errors
/// [`Failure::Denied`] where they are not, or, for who does not operate every tenant, are not known.
pub async fn theirs(user_id: &str, operator: &Operator, store: &Store) -> Result<User, Failure> {
    match store.user(user_id).await? {
        Some(user) if operator.reaches(&user.tenant_id) => Ok(user),
        None if operator.reaches_all() => Err(unknown(user_id)),
        _ => Err(operator.beyond(user_id)),
    }
}

async fn add(
    wanted: &UserAdd,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    if !operator.reaches(&wanted.tenant) {
        return Err(Failure::Denied(format!("{operator} does not operate {}", wanted.tenant)));
    }
    if !wanted.roles.is_empty() && !operator.gives_roles() {
        return Err(Failure::Denied(format!("{operator} gives nobody a role: security does")));
    }
    // Groups open models, and may make roles at the next sign-in.
    let plain = wanted.groups.is_empty() && wanted.populations.is_empty();
    if !plain && !operator.gives_roles() {
        return Err(Failure::Denied(format!("{operator} puts nobody into a group: security does")));
    }
    for word in [&wanted.tenant].into_iter().chain(&wanted.department).chain(&wanted.region) {
        header_safe(word)?;
    }
    let user = User {
        sub: format!("usr_{}", hex(&keys::random::<8>()?)),
        user_id: address(&wanted.email)?,
        name: wanted.name.clone(),
        tenant_id: wanted.tenant.clone(),
        department: wanted.department.clone(),
        cost_centre: wanted.cost_centre.clone(),
        groups: wanted.groups.clone(),
        roles: wanted.roles.clone(),
        populations: wanted.populations.clone(),
        region: wanted.region.clone(),
        created_at: clock::now(),
        disabled_at: None,
    };
    data.create()?;
    let store = Store::create(data).await?;
    let act = Act::new(operator, format!("user add {}", user.user_id))?.to(object(&user));
    if let Some(known) = store.user(&user.user_id).await?
        && !operator.reaches(&known.tenant_id)
    {
        return Err(operator.beyond(&user.user_id));
    }
    if !store.add_user(&user, &act).await? {
        return Err(Failure::Refused(format!("{} is known already", user.user_id)));
    }

    screen.value(&user.user_id, &object(&user))
}

async fn list(operator: &Operator, store: &Store, screen: &mut Screen) -> Result<(), Failure> {
    let mut users = store.users().await?;
    users.retain(|user| operator.reaches(&user.tenant_id));
    if screen.json() {
        for user in &users {
            screen.object(&object(user))?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = users
        .into_iter()
        .map(|user| {
            vec![
                user.user_id,
                user.tenant_id,
                user.department.unwrap_or_default(),
                user.groups.join(" "),
                clock::readable(user.created_at),
                user.disabled_at.map_or_else(
                    || "active".into(),
                    |at| format!("disabled {}", clock::readable(at)),
                ),
            ]
        })
        .collect();

    screen.table(&["USER", "TENANT", "DEPARTMENT", "GROUPS", "CREATED", "STATE"], &rows)
}

fn object(user: &User) -> Value {
    json!({
        "user_id": user.user_id, "sub": user.sub, "name": user.name, "tenant_id": user.tenant_id,
        "department": user.department, "cost_centre": user.cost_centre, "groups": user.groups,
        "roles": user.roles, "populations": user.populations, "region": user.region,
        "created_at": clock::readable(user.created_at),
        "disabled_at": user.disabled_at.map(clock::readable),
    })
}

/// Nobody is known by this address.
pub fn unknown(user_id: &str) -> Failure {
    Failure::NotFound(format!("nobody is known as {user_id}: `tollgate user list` tells who is"))
}

/// An e-mail address in the one form it is compared in.
///
/// # Errors
/// [`Failure::Refused`], if it is none.
pub fn address(email: &str) -> Result<String, Failure> {
    let lower = email.to_ascii_lowercase();
    let plain = lower.bytes().all(|byte| byte.is_ascii_graphic());
    match lower.split_once('@') {
        Some((local, domain))
            if plain
                && lower.len() <= 254
                && !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@') =>
        {
            Ok(lower)
        }
        _ => Err(Failure::Refused(format!("{email:?} is no e-mail address"))),
    }
}

/// These words travel in headers, where a line break or a space at the end would change them.
///
/// # Errors
/// [`Failure::Refused`], if it would.
pub fn header_safe(word: &str) -> Result<(), Failure> {
    let plain = word.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if plain && !word.is_empty() && word.trim() == word && word.len() <= 128 {
        return Ok(());
    }

    Err(Failure::Refused(format!(
        "{word:?} travels in a header: printable ASCII, 1 to 128 characters, no space at its ends"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form_and_nonsense_has_none() {
        assert_eq!(address("Ann@Example.COM").unwrap(), "ann@example.com");
        for nonsense in ["", "ann", "@example.com", "ann@", "a@b@c", "a b@c", "a@b\n", "ä@b.c"] {
            assert!(address(nonsense).is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn words_that_would_break_a_header_are_refused() {
        assert!(header_safe("R and D").is_ok());
        for bad in ["", " x", "x ", "a\r\nb", "Zürich"] {
            assert!(header_safe(bad).is_err(), "{bad:?}");
        }
    }
}
