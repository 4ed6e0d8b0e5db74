//! `tollgate session`: who is signed in by browser.

use crate::acts::Act;
use crate::args::SessionCommand;
use crate::clock;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::Store;
use crate::store::sessions::Session;
use crate::users;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &SessionCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let store = Store::open(data).await?;
    match command {
        SessionCommand::List { user } => list(operator, &store, user.as_deref(), screen).await,
        SessionCommand::End { id } => {
            let unknown = || {
                Failure::NotFound(format!(
                    "no session has the id {id}: `tollgate session list` tells which there are"
                ))
            };
            let before = match store.session(id).await? {
                Some((session, user)) if operator.reaches(&user.tenant_id) => session,
                None if operator.reaches_all() => return Err(unknown()),
                _ => return Err(operator.beyond(id)),
            };
            let act = Act::new(operator, format!("session end {id}"))?.on(id);
            let why = format!("ended by {}", act.who());
            let now = clock::now();
            let after = Session {
                ended_at: before.ended_at.or(Some(now)),
                ended_why: before.ended_why.clone().or_else(|| Some(why.clone())),
                grant: None,
                ..before.clone()
            };
            let act = act.from(object(&before)).to(object(&after));
            let ended = store.end_session(id, &why, now, Some(&act)).await?;
            let session = ended.ok_or_else(unknown)?;
            screen.say("Ended. What was minted from it ends within a second.");
            screen.value(&session.id, &object(&session))
        }
    }
}

async fn list(
    operator: &Operator,
    store: &Store,
    user: Option<&str>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let user = user.map(users::address).transpose()?;
    let mut sessions = store.sessions().await?;
    if !operator.reaches_all() {
        let users = store.users().await?.into_iter();
        let theirs: BTreeSet<String> = users
            .filter(|user| operator.reaches(&user.tenant_id))
            .map(|user| user.user_id)
            .collect();
        sessions.retain(|session| theirs.contains(&session.user_id));
    }
    sessions.retain(|session| user.as_ref().is_none_or(|user| *user == session.user_id));
    if screen.json() {
        for session in &sessions {
            screen.object(&object(session))?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = sessions
        .into_iter()
        .map(|session| {
            let state = state(&session);
            vec![
                session.id,
                session.user_id,
                session.provider,
                state,
                clock::readable(session.created_at),
                session.used_at.map_or_else(|| "never".into(), clock::readable),
                clock::readable(session.confirmed_at),
                clock::readable(session.expires_at),
            ]
        })
        .collect();
    let head = ["ID", "USER", "PROVIDER", "STATE", "BEGUN", "LAST USED", "CONFIRMED", "EXPIRES"];

    screen.table(&head, &rows)
}

fn state(session: &Session) -> String {
    match &session.ended_why {
        Some(why) => format!("ended: {why}"),
        None if session.expires_at <= clock::now() => "expired".to_owned(),
        None => "active".to_owned(),
    }
}

fn object(session: &Session) -> Value {
    json!({
        "id": session.id, "user_id": session.user_id, "provider": session.provider,
        "subject": session.subject, "state": state(session),
        "is_asked_again": session.grant.is_some(),
        "created_at": clock::readable(session.created_at),
        "used_at": session.used_at.map(clock::readable),
        "confirmed_at": clock::readable(session.confirmed_at),
        "expires_at": clock::readable(session.expires_at),
        "ended_at": session.ended_at.map(clock::readable),
    })
}
