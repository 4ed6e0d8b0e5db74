//! `tollgate approval`: what agents ask for, and a decision where no page can be had.

use super::decide::{NOTE, decide};
use super::visible::{pretty, shortened};
use crate::args::approval::{ApprovalCommand, DecideArgs};
use crate::clock;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::Store;
use crate::store::approvals::{Approval, Message, State};
use serde_json::{Value, json};
use std::fmt::Write;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &ApprovalCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let store = Store::open(data).await?;
    match command {
        ApprovalCommand::List { all, limit } => {
            let open = (!all).then(clock::now);
            list(&store.approvals(operator.tenants(), open, *limit).await?, screen)
        }
        ApprovalCommand::Show { id } => {
            let approval = found(&store, operator, id).await?;
            show(&approval, &store.approval_messages(&approval.id).await?, screen)
        }
        ApprovalCommand::Approve(args) => decided(&store, operator, args, true, screen).await,
        ApprovalCommand::Deny(args) => decided(&store, operator, args, false, screen).await,
    }
}

async fn found(store: &Store, operator: &Operator, id: &str) -> Result<Approval, Failure> {
    match store.approval(id).await? {
        Some(approval) if operator.reaches(&approval.tenant_id) => Ok(approval),
        None if operator.reaches_all() => Err(Failure::NotFound(format!(
            "no request has the id {id}: `tollgate approval list --all` tells which there are"
        ))),
        _ => Err(operator.beyond(id)),
    }
}

async fn decided(
    store: &Store,
    operator: &Operator,
    args: &DecideArgs,
    approved: bool,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let approval = found(store, operator, &args.id).await?;
    if operator.name().eq_ignore_ascii_case(&approval.user_id) {
        return Err(Failure::Denied(format!(
            "{} asked for {} and cannot decide it: somebody else has to",
            operator.name(),
            approval.id
        )));
    }
    let note = args.note.as_deref().unwrap_or_default().trim();
    if note.chars().count() > NOTE {
        return Err(Failure::Refused(format!("a note has at most {NOTE} characters")));
    }
    let done =
        decide(store, operator, &approval, (approved, note)).await.map_err(
            |error| match error {
                super::decide::DecideError::Random(error) => Failure::from(error),
                super::decide::DecideError::Store(error) => Failure::from(error),
            },
        )?;
    let Some(approval) = done else {
        let now = found(store, operator, &args.id).await?;
        return Err(Failure::Refused(format!(
            "{} is {} and cannot be decided any more",
            now.id,
            now.standing(clock::now()).as_str()
        )));
    };
    let until = clock::readable(approval.until);
    screen.say(&if approved {
        format!(
            "Approved: {} may call {} of {} so, once, until {until}.",
            approval.user_id, approval.tool, approval.server
        )
    } else {
        format!("Denied. The same is not asked again until {until}.")
    });

    screen.value(&approval.id, &object(&approval))
}

fn list(approvals: &[Approval], screen: &mut Screen) -> Result<(), Failure> {
    if screen.json() {
        for approval in approvals {
            screen.object(&object(approval))?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = approvals
        .iter()
        .map(|it| {
            vec![
                it.id.clone(),
                it.standing(clock::now()).as_str().to_owned(),
                it.user_id.clone(),
                it.server.clone(),
                it.tool.clone(),
                clock::readable(it.asked_at),
                clock::readable(it.until),
                it.decided_by.clone().unwrap_or_default(),
            ]
        })
        .collect();

    screen.table(
        &["ID", "STATE", "ASKED BY", "SERVER", "TOOL", "ASKED", "UNTIL", "DECIDED BY"],
        &rows,
    )
}

fn show(approval: &Approval, told: &[Message], screen: &mut Screen) -> Result<(), Failure> {
    if screen.json() {
        let mut object = object(approval);
        if let Some(object) = object.as_object_mut() {
            object.insert("arguments".to_owned(), arguments(approval));
            object.insert("told".to_owned(), told.iter().map(message).collect());
        }
        return screen.object(&object);
    }
    let line = |text: &str| shortened(text, 4_000).replace('\n', "\n  ");
    let mut text = String::new();
    for (name, value) in [
        ("id", approval.id.clone()),
        ("state", approval.standing(clock::now()).as_str().to_owned()),
        ("until", clock::readable(approval.until)),
        (
            "asked by",
            format!(
                "{} ({}), session {}",
                approval.user_id, approval.tenant_id, approval.session_id
            ),
        ),
        ("server", approval.server.clone()),
        ("tool", approval.tool.clone()),
        ("reason", approval.reason.clone()),
        ("trace", approval.trace_id.clone().unwrap_or_default()),
        ("asked in", approval.requested_event_id.clone()),
        ("decided by", approval.decided_by.clone().unwrap_or_default()),
        ("note", approval.note.clone().unwrap_or_default()),
        ("used in", approval.used_event_id.clone().unwrap_or_default()),
        ("digest", approval.digest.clone()),
    ] {
        let value = if value.is_empty() { "-".to_owned() } else { line(&value) };
        text.extend([&*format!("{name:<11}"), &value, "\n"]);
    }
    text.extend(["arguments\n  ", &pretty(&approval.arguments).replace('\n', "\n  "), "\n"]);
    for it in told {
        let stands = match (it.told_at, it.next_at) {
            (Some(at), _) => format!("told {}", clock::readable(at)),
            (None, Some(at)) => format!("again {}", clock::readable(at)),
            (None, None) => "given up".to_owned(),
        };
        let problem =
            it.problem.as_deref().map(|why| format!(": {}", line(why))).unwrap_or_default();
        let (what, webhook, tries) = (&it.what, &it.webhook, it.attempts);
        // Writing into text cannot fail.
        let _written = writeln!(
            text,
            "channel    {webhook}, that it was {what}: {stands} (attempts: {tries}){problem}"
        );
    }

    screen.print(&text)
}

fn arguments(approval: &Approval) -> Value {
    serde_json::from_str(&approval.arguments).unwrap_or(Value::Null)
}

fn message(message: &Message) -> Value {
    json!({
        "webhook": message.webhook, "what": message.what, "attempts": message.attempts,
        "told_at": message.told_at.map(clock::readable), "next_at": message.next_at.map(clock::readable),
        "problem": message.problem,
    })
}

fn object(approval: &Approval) -> Value {
    let state: State = approval.standing(clock::now());
    json!({
        "id": approval.id, "state": state.as_str(), "digest": approval.digest,
        "tenant_id": approval.tenant_id, "user_id": approval.user_id,
        "session_id": approval.session_id, "server": approval.server, "tool": approval.tool,
        "reason": approval.reason, "trace_id": approval.trace_id,
        "requested_event_id": approval.requested_event_id, "used_event_id": approval.used_event_id,
        "asked_at": clock::readable(approval.asked_at), "until": clock::readable(approval.until),
        "decided_at": approval.decided_at.map(clock::readable), "decided_by": approval.decided_by,
        "note": approval.note, "used_at": approval.used_at.map(clock::readable),
    })
}
