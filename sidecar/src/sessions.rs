//! `tollgate session`: who is signed in by browser.

use crate::acts::Act;
use crate::args::SessionCommand;
use crate::clock;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::Store;
use crate::store::sessions::Session;
use crate::users;
use serde_json::{Value, json};

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &SessionCommand,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let store = Store::open(data).await?;
    match command {
        SessionCommand::List { user } => list(&store, user.as_deref(), screen).await,
        SessionCommand::End { id } => {
            let act = Act::new(format!("session end {id}"))?.on(id);
            let why = format!("ended by {}", act.who());
            let Some(session) = store.end_session(id, &why, clock::now(), Some(&act)).await? else {
                return Err(Failure::NotFound(format!(
                    "no session has the id {id}: `tollgate session list` tells which there are"
                )));
            };
            screen.say("Ended. What was minted from it ends within a second.");
            screen.value(&session.id, &object(&session))
        }
    }
}

async fn list(store: &Store, user: Option<&str>, screen: &mut Screen) -> Result<(), Failure> {
    let user = user.map(users::address).transpose()?;
    let mut sessions = store.sessions().await?;
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
