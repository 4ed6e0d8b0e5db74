//! `tollgate access drill`: how long does it take from the command to the first refused call? A person is
//! revoked, the audit table is watched for their first `denied` row, and they are restored, however
//! that went.

use super::probe::Probe;
use crate::acts::Act;
use crate::args::access::DrillArgs;
use crate::clock;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::measures::{Laid, Lifted, Measure, Which, word};
use crate::store::{Cursor, Filter, Row, Store, User};
use crate::users;
use contract::standing::{Effect, Kind};
use serde_json::json;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

/// How often the table is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// If nobody can restore them any more (this machine is gone), the revocation ends that much later than
/// the drill would have, seconds.
const GRACE: u64 = 120;

/// How often restoring is tried.
const TRIES: u32 = 20;

/// The code of the row that is waited for.
const REFUSED: &str = "token_revoked";

/// What was seen. Times are milliseconds after the command.
struct Seen {
    row: Row,
    refused: u64,
    stored: u64,
}

/// How the waiting ended.
enum Ended {
    Seen(Box<Seen>),
    TimedOut,
    Interrupted,
    Failed(Failure),
}

/// What ends a command from outside.
struct Signals {
    interrupted: Signal,
    terminated: Signal,
}

/// Runs the drill.
///
/// # Errors
/// [`Failure`]. They are restored, unless that itself has failed, which is then said.
pub async fn run(
    args: &DrillArgs,
    operator: &Operator,
    data: &Data,
    store: &Store,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let user_id = users::address(&args.user)?;
    let user = store.user(&user_id).await?.ok_or_else(|| users::unknown(&user_id))?;
    nothing_laid(&user, store).await?;
    let mut signals = Signals::listen()?;
    let probe = if let Some(url) = &args.probe {
        let probe = Probe::new(url, args, &user, data, store, clock::now()).await?;
        probe.until_let_in().await?;
        Some(probe)
    } else {
        screen.say(&format!(
            "Waiting for {user_id} to call by themselves; --probe URL makes the calls."
        ));
        None
    };
    let cursor = store.end().await?;
    let begun = clock::now_micros();
    let laid = revoke(args, &user, (operator, store)).await?;
    let ended = tokio::select! {
        biased;
        () = signals.any() => Ended::Interrupted,
        ended = watched(args, probe.as_ref(), filter(&user, probe.as_ref(), cursor), store, begun) => ended,
        () = asking(probe.as_ref()) => Ended::Interrupted,
    };
    restore(&laid, (operator, store), screen).await?;
    match ended {
        Ended::Seen(seen) => {
            let back = match &probe {
                Some(probe) => Some(until_back(probe).await?),
                None => None,
            };
            told(&user, (operator, store), &seen, probe.as_ref(), back, screen).await
        }
        Ended::TimedOut => Err(Failure::Refused(format!(
            "{user_id} was not refused within {} s, or did not call; they are restored",
            args.timeout
        ))),
        Ended::Interrupted => Err(Failure::Refused(format!("interrupted; {user_id} is restored"))),
        Ended::Failed(failure) => Err(failure),
    }
}

/// A drill says nothing of somebody who is refused already, and would restore them.
async fn nothing_laid(user: &User, store: &Store) -> Result<(), Failure> {
    let laid = store.stop_at_sign_in(&[(Kind::User, &user.user_id)], clock::now()).await?;
    match laid {
        Some(measure) => Err(Failure::Refused(format!(
            "{} is {} by {} already ({}): drill with somebody who may call",
            user.user_id,
            word(measure.effect),
            measure.set_by,
            measure.why
        ))),
        None => Ok(()),
    }
}

async fn revoke(
    args: &DrillArgs,
    user: &User,
    (operator, store): (&Operator, &Store),
) -> Result<Measure, Failure> {
    let what = format!("access revoke user {} (drill): {}", user.user_id, args.why);
    let act = Act::new(operator, what)?;
    let now = clock::now();
    let measure = Measure {
        kind: Kind::User,
        id: user.user_id.clone(),
        effect: Effect::Revoked,
        ends_at: Some(now.saturating_add(args.timeout).saturating_add(GRACE)),
        set_at: now,
        set_by: act.who().to_owned(),
        why: format!("drill: {}", args.why),
    };
    match store.lay(&measure, false, &act).await? {
        Laid::Done(_) => Ok(measure),
        Laid::Unknown => Err(users::unknown(&user.user_id)),
        Laid::Stricter(_) => Err(Failure::Refused(format!("{} is revoked", user.user_id))),
    }
}

/// Their rows that may be the one: of a drill's own calls alone, where it makes them.
fn filter(user: &User, probe: Option<&Probe>, cursor: Cursor) -> Filter {
    let mut equal = vec![
        ("user_id", user.user_id.clone()),
        ("outcome", "denied".to_owned()),
        ("rule_id", REFUSED.to_owned()),
    ];
    equal.extend(probe.map(|probe| ("credential_id", probe.credential_id.clone())));

    Filter { equal, after: Some(cursor), limit: 1_000, ..Filter::default() }
}

/// Waits for the first row of a call that was refused because of it.
async fn watched(
    args: &DrillArgs,
    probe: Option<&Probe>,
    filter: Filter,
    store: &Store,
    begun: u64,
) -> Ended {
    let looking = async {
        loop {
            let rows = store.rows(&filter).await?;
            let now = clock::now_micros();
            let at = |row: &Row| clock::point(&row.text("occurred_at")).unwrap_or(u64::MAX);
            // What was refused before may be stored only now: the database was away, or is slow.
            // A probe's credential is this drill's alone, and needs no clock to be told apart.
            let since = rows.into_iter().filter(|row| probe.is_some() || at(row) >= begun);
            if let Some(row) = since.min_by_key(at) {
                let millis = |micros: u64| micros.saturating_sub(begun) / 1_000;
                let (refused, stored) = (millis(at(&row)), millis(now));
                return Ok(Seen { row, refused, stored });
            }
            sleep(LOOK).await;
        }
    };
    match timeout(Duration::from_secs(args.timeout), looking).await {
        Ok(Ok(seen)) => Ended::Seen(Box::new(seen)),
        Ok(Err(failure)) => Ended::Failed(failure),
        Err(_) => Ended::TimedOut,
    }
}

async fn asking(probe: Option<&Probe>) {
    match probe {
        Some(probe) => probe.keep_asking().await,
        None => std::future::pending().await,
    }
}

/// Whatever else happens, this does; if it cannot be done, it ends by itself, and that is said. What
/// somebody else has laid on them meanwhile stays.
async fn restore(
    laid: &Measure,
    (operator, store): (&Operator, &Store),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let user_id = &laid.id;
    let act = Act::new(operator, format!("access restore user {user_id} (drill)"))?;
    let mut failed = None;
    for _ in 0..TRIES {
        match store.lift(Kind::User, user_id, Which::This(laid), clock::now(), &act).await {
            Ok(Lifted::Done(..)) => return Ok(()),
            Ok(Lifted::None | Lifted::Final | Lifted::Directory) => {
                screen.say(&format!(
                    "Somebody else has restored or revoked {user_id} meanwhile; that stays as it is."
                ));
                return Ok(());
            }
            Err(error) => failed = Some(error),
        }
        sleep(Duration::from_millis(500)).await;
    }
    screen.say(&format!(
        "NOT RESTORED: {user_id} stays revoked for some minutes. Run `tollgate access restore user {user_id}`."
    ));
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// How long after the restoring a call is let in again, milliseconds.
async fn until_back(probe: &Probe) -> Result<u64, Failure> {
    let begun = clock::now_micros();
    probe.until_let_in().await?;

    Ok(clock::now_micros().saturating_sub(begun) / 1_000)
}

/// Prints it and writes it down.
async fn told(
    user: &User,
    (operator, store): (&Operator, &Store),
    seen: &Seen,
    probe: Option<&Probe>,
    back: Option<u64>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let Seen { row, refused, stored } = seen;
    let credential_id = row.text("credential_id");
    let confirmed = if let Some(probe) = probe {
        probe.credential_id == credential_id
    } else {
        let pats = store.pats().await?;
        pats.iter().any(|pat| pat.id == credential_id && pat.user_id == user.user_id)
    };
    let user_id = &user.user_id;
    let words = format!(
        "access drill user {user_id}: refused after {refused} ms, its row stored after {stored} ms, \
         credential {credential_id}; restored"
    );
    let act = Act::new(operator, words.clone())?.on(&credential_id);
    let tenant = &user.tenant_id;
    store
        .append(&[act.row(tenant)], None)
        .await
        .map_err(|why| Failure::Untold { done: words, why })?;
    screen.say(&format!(
        "{user_id} was refused {refused} ms after the command; the row could be read after {stored} ms. Restored."
    ));
    let object = json!({
        "user_id": user_id, "refused_after_ms": refused, "stored_after_ms": stored,
        "let_in_again_after_ms": back, "event_id": row.text("event_id"),
        "credential_id": credential_id, "credential_confirmed": confirmed, "restored": true,
        "probed": probe.is_some(),
    });
    screen.value(&refused.to_string(), &object)?;
    if confirmed {
        return Ok(());
    }

    Err(Failure::Refused(format!(
        "the row names the credential {credential_id:?}, which is none of theirs"
    )))
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _signal = self.interrupted.recv() => {}
            _signal = self.terminated.recv() => {}
        }
    }
}
