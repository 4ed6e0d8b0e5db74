//! `tollgate access`: what happens after the policy was signed. It only ever tightens, everybody who
//! runs the gateway may do it, and each act is a row.
//!
//! What is revoked or paused is refused by every gate within about a second, and nobody signs in with
//! it. How the gates learn of it: [`crate::standing`].

use crate::acts::Act;
use crate::args::access::{AccessCommand, OnArgs, RestoreArgs, What};
use crate::clock;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::Store;
use crate::store::measures::{Laid, Lifted, Measure, Reach, Which, kind_name, word};
use crate::users;
use contract::standing::{Effect, Kind};
use serde_json::{Value, json};

pub mod drill;
mod id;
mod probe;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &AccessCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let store = Store::open(data).await?;
    let at = (operator, &store);
    let from_now = |seconds: u64| clock::now().saturating_add(seconds);
    match command {
        AccessCommand::Revoke(args) => lay(&args.on, Effect::Revoked, args.until, at, screen).await,
        AccessCommand::Pause(args) => {
            lay(&args.on, Effect::Paused, Some(from_now(args.lasting)), at, screen).await
        }
        AccessCommand::Throttle(args) => {
            let effect = Effect::Throttled { per_minute: args.per_minute };
            lay(&args.on, effect, args.lasting.map(from_now), at, screen).await
        }
        AccessCommand::Restore(args) => restore(args, at, screen).await,
        AccessCommand::List => list(at, screen).await,
        AccessCommand::Drill(args) => drill::run(args, operator, data, &store, screen).await,
    }
}

async fn lay(
    on: &OnArgs,
    effect: Effect,
    ends_at: Option<u64>,
    (operator, store): (&Operator, &Store),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let kind = Kind::from(on.what);
    let id = id::checked(on.what, &on.id)?;
    within_reach(kind, &id, operator, store).await?;
    let verb = format!("access {}{}", verb(effect), terms(effect, ends_at));
    let act = act(operator, &verb, kind, &id, &on.why)?;
    let measure = Measure {
        kind,
        id,
        effect,
        ends_at,
        set_at: clock::now(),
        set_by: act.who().to_owned(),
        why: on.why.clone(),
    };
    let may_be_unknown = matches!(on.what, What::Session | What::Token | What::Cert);
    match store.lay(&measure, on.unknown_too && may_be_unknown, &act).await? {
        Laid::Done(reach) => {
            screen.say(&consequence(&measure, &reach, on.what));
            let mut object = Measure { id: reach.id.clone(), ..measure }.object();
            if let Some(object) = object.as_object_mut() {
                object.insert("user_id".into(), reach.user_id.into());
                object.insert("live_tokens".into(), reach.tokens.into());
            }
            screen.value(&reach.id, &object)
        }
        Laid::Unknown => Err(unknown(on.what, &measure.id)),
        Laid::Stricter(before) => Err(Failure::Refused(format!(
            "{} is {}{} by {}, which is stricter: `tollgate access restore {} {}` first",
            before.id,
            word(before.effect),
            terms(before.effect, before.ends_at),
            before.set_by,
            name(on.what),
            before.id,
        ))),
    }
}

async fn restore(
    args: &RestoreArgs,
    (operator, store): (&Operator, &Store),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let kind = Kind::from(args.what);
    let id = id::checked(args.what, &args.id)?;
    within_reach(kind, &id, operator, store).await?;
    let what = match args.only {
        Some(only) => format!("access restore (only {})", only.effect()),
        None => "access restore".to_owned(),
    };
    let act = act(operator, &what, kind, &id, args.why.as_deref().unwrap_or_default())?;
    let which = args.only.map_or(Which::All, |only| Which::Effect(only.effect()));
    match store.lift(kind, &id, which, clock::now(), &act).await? {
        Lifted::Done(reach, lifted) => {
            screen.say(&format!(
                "Restored: {} of {} work again within a second, and signing in does.",
                tokens(reach.tokens),
                reach.id
            ));
            let lifted: Vec<Value> = lifted.iter().map(Measure::object).collect();
            screen.value(
                &reach.id,
                &json!({ "kind": kind, "id": reach.id, "user_id": reach.user_id, "lifted": lifted,
                         "live_tokens": reach.tokens }),
            )
        }
        Lifted::None => Err(Failure::NotFound(format!(
            "nothing is laid on {id}: `tollgate access list` tells on whom something is"
        ))),
        Lifted::Directory => Err(Failure::Refused(format!(
            "the directory has ended {id}: activate them there, and they are restored here"
        ))),
        Lifted::Final => Err(Failure::Refused(format!(
            "{id} was revoked for good by `tollgate pat revoke`: `tollgate pat issue` makes another"
        ))),
    }
}

/// Nobody touches what is of a tenant that they do not operate, nor what is of none that is known.
async fn within_reach(
    kind: Kind,
    id: &str,
    operator: &Operator,
    store: &Store,
) -> Result<(), Failure> {
    if operator.reaches_all() {
        return Ok(());
    }
    match store.tenant_of(kind, id).await? {
        Some(tenant) if operator.reaches(&tenant) => Ok(()),
        _ => Err(operator.beyond(id)),
    }
}

async fn list((operator, store): (&Operator, &Store), screen: &mut Screen) -> Result<(), Failure> {
    let mut measures = Vec::new();
    for measure in store.measures(clock::now()).await? {
        match within_reach(measure.kind, &measure.id, operator, store).await {
            Ok(()) => measures.push(measure),
            Err(Failure::Denied(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    if screen.json() {
        for measure in &measures {
            screen.object(&measure.object())?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = measures
        .into_iter()
        .map(|it| {
            let effect = match it.effect {
                Effect::Throttled { per_minute } => format!("{per_minute} a minute"),
                effect => word(effect).to_owned(),
            };
            vec![
                kind_name(it.kind).to_owned(),
                it.id,
                effect,
                it.ends_at.map_or_else(|| "restored".into(), clock::readable),
                it.set_by,
                clock::readable(it.set_at),
                it.why,
            ]
        })
        .collect();

    screen.table(&["WHAT", "ID", "STATE", "UNTIL", "BY", "SINCE", "WHY"], &rows)
}

/// The row of an act: on whom, in words, and on which credential.
fn act(operator: &Operator, what: &str, kind: Kind, id: &str, why: &str) -> Result<Act, Failure> {
    let reason = if why.is_empty() { String::new() } else { format!(": {why}") };
    let act = Act::new(operator, format!("{what} {} {id}{reason}", kind_name(kind)))?;

    Ok(if kind == Kind::User { act } else { act.on(id) })
}

/// What the person who typed it wants to know.
fn consequence(measure: &Measure, reach: &Reach, what: What) -> String {
    let end = match measure.ends_at {
        Some(at) => format!("until {}", clock::readable(at)),
        None => format!("until `tollgate access restore {} {}`", name(what), reach.id),
    };
    let whose = reach.user_id.as_deref().filter(|user| *user != reach.id);
    let whose = whose.map(|user| format!(" of {user}")).unwrap_or_default();
    match measure.effect {
        Effect::Throttled { per_minute } => format!(
            "{}{whose}: {per_minute} calls a minute at each gateway, within a second and {end}.",
            reach.id
        ),
        Effect::Revoked | Effect::Paused => format!(
            "{}{whose} is {}: {} refused within a second, nobody signs in with it, {end}. \
             Streams that run go on.",
            reach.id,
            word(measure.effect),
            tokens(reach.tokens),
        ),
    }
}

fn tokens(count: u64) -> String {
    match count {
        1 => "1 token in use".to_owned(),
        count => format!("{count} tokens in use"),
    }
}

fn terms(effect: Effect, ends_at: Option<u64>) -> String {
    let many = match effect {
        Effect::Throttled { per_minute } => format!(" to {per_minute} a minute"),
        Effect::Revoked | Effect::Paused => String::new(),
    };
    let end = ends_at.map(|at| format!(" until {}", clock::readable(at))).unwrap_or_default();

    many + &end
}

fn verb(effect: Effect) -> &'static str {
    match effect {
        Effect::Revoked => "revoke",
        Effect::Paused => "pause",
        Effect::Throttled { .. } => "throttle",
    }
}

/// The command line's word.
fn name(what: What) -> &'static str {
    kind_name(what.into())
}

fn unknown(what: What, id: &str) -> Failure {
    match what {
        What::User => users::unknown(id),
        What::Pat => Failure::NotFound(format!(
            "no token has the id {id}: `tollgate pat list` tells which there are"
        )),
        What::Session | What::Token | What::Cert => Failure::NotFound(format!(
            "no token in use is of {} {id}; with --unknown-too it is listed all the same",
            name(what)
        )),
    }
}
