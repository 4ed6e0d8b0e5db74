//! `tollgate scim`: what directories call with.

use super::token;
use crate::acts::Act;
use crate::args::scim::{ScimCommand, TokenCommand};
use crate::clock::{self, DAY};
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::Store;
use crate::store::directory::ScimToken;
use crate::users::header_safe;
use serde_json::{Value, json};

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &ScimCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let ScimCommand::Token(command) = command;
    let store = Store::open(data).await?;
    match command {
        TokenCommand::Issue { tenant, days } => {
            issue(&store, operator, tenant, *days, screen).await
        }
        TokenCommand::List { tenant } => list(&store, operator, tenant.as_deref(), screen).await,
        TokenCommand::Revoke { id } => {
            let tokens = store.scim_tokens().await?;
            let known = tokens.iter().find(|token| token.id == *id);
            let theirs = known.map(|token| operator.reaches(&token.tenant_id));
            if !theirs.unwrap_or_else(|| operator.reaches_all()) {
                return Err(operator.beyond(id));
            }
            let act = Act::new(operator, format!("scim token revoke {id}"))?.on(id);
            if !store.revoke_scim_token(id, clock::now(), &act).await? {
                return Err(Failure::NotFound(format!(
                    "no token has the id {id}: `tollgate scim token list` tells which there are"
                )));
            }
            screen.say("Revoked. The directory's next request with it is refused.");
            screen.value(id, &json!({ "id": id, "revoked": true }))
        }
    }
}

async fn issue(
    store: &Store,
    operator: &Operator,
    tenant: &str,
    days: u32,
    screen: &mut Screen,
) -> Result<(), Failure> {
    header_safe(tenant)?;
    if !operator.reaches(tenant) {
        return Err(operator.beyond(tenant));
    }
    let (secret, id) = token::generate()?;
    let now = clock::now();
    let act = Act::new(operator, format!("scim token issue {id} for {tenant}"))?.on(&id);
    let token = ScimToken {
        id,
        tenant_id: tenant.to_owned(),
        created_at: now,
        created_by: act.who().to_owned(),
        expires_at: now.saturating_add(u64::from(days).saturating_mul(DAY)),
        ..ScimToken::default()
    };
    store.add_scim_token(&token, &token::hash(&secret), &act).await?;
    screen.say(&format!(
        "{} for tenant {}, good until {}.",
        token.id,
        token.tenant_id,
        clock::readable(token.expires_at)
    ));
    screen.say("It is shown this once:");
    let mut shown = object(&token);
    if let Some(object) = shown.as_object_mut() {
        object.insert("token".into(), secret.as_str().into());
    }

    screen.value(&secret, &shown)
}

async fn list(
    store: &Store,
    operator: &Operator,
    tenant: Option<&str>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut tokens = store.scim_tokens().await?;
    tokens.retain(|token| {
        operator.reaches(&token.tenant_id) && tenant.is_none_or(|tenant| tenant == token.tenant_id)
    });
    if screen.json() {
        for token in &tokens {
            screen.object(&object(token))?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = tokens
        .into_iter()
        .map(|token| {
            let state = state(&token);
            vec![
                token.id,
                token.tenant_id,
                state.into(),
                clock::readable(token.created_at),
                token.created_by,
                clock::readable(token.expires_at),
                token.last_used_at.map_or_else(|| "never".into(), clock::readable),
            ]
        })
        .collect();

    screen.table(&["ID", "TENANT", "STATE", "ISSUED", "BY", "EXPIRES", "LAST USED"], &rows)
}

fn state(token: &ScimToken) -> &'static str {
    if token.revoked_at.is_some() {
        "revoked"
    } else if token.expires_at <= clock::now() {
        "expired"
    } else {
        "active"
    }
}

fn object(token: &ScimToken) -> Value {
    json!({
        "id": token.id, "tenant_id": token.tenant_id, "state": state(token),
        "created_at": clock::readable(token.created_at), "created_by": token.created_by,
        "expires_at": clock::readable(token.expires_at),
        "revoked_at": token.revoked_at.map(clock::readable),
        "last_used_at": token.last_used_at.map(clock::readable),
    })
}
