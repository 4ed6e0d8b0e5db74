//! `tollgate envoy`.

use super::apply::{self, is_staged};
use super::check::{Candidate, Report, candidate, check};
use super::diff;
use super::fault::Fault;
use super::files::{Set, Use};
use super::place::EnvoyPlace;
use super::{status, watch};
use crate::args::envoy::{ApplyArgs, CandidateArgs, EnvoyArgs, EnvoyCommand};
use crate::clock;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::{Store, StoreError};
use serde_json::{Value, json};
use std::time::Duration;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &EnvoyCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        EnvoyCommand::Check { candidate, envoy } => {
            let place = place(envoy, operator, data)?;
            tell_faults(&given(candidate, &place, operator)?, &place, screen).await
        }
        EnvoyCommand::Diff { candidate, envoy } => {
            let place = place(envoy, operator, data)?;
            tell_diff(&edit(candidate, &place, operator)?, &place, screen)
        }
        EnvoyCommand::Apply(wanted) => Box::pin(put(wanted, operator, data, screen)).await,
        EnvoyCommand::Status { envoy } => {
            tell_status(&place(envoy, operator, data)?, data, screen).await
        }
        EnvoyCommand::History { limit } => history(*limit, data, screen).await,
    }
}

/// Where Envoy is. From elsewhere that is what the sidecar was started with: nobody there names a place of this host.
fn place(args: &EnvoyArgs, operator: &Operator, data: &Data) -> Result<EnvoyPlace, Failure> {
    let named = args.place().filter(|_| operator.is_on_host());
    let place = named.or_else(|| data.envoy().cloned());

    place.ok_or_else(|| {
        Failure::Refused(if operator.is_on_host() {
            "where is Envoy? --envoy-dir, or TOLLGATE_ENVOY_DIR".into()
        } else {
            "this sidecar was not told where Envoy's files are: `serve --envoy-dir`".into()
        })
    })
}

/// The candidate; nothing where none was named and none is staged.
fn given(
    wanted: &CandidateArgs,
    place: &EnvoyPlace,
    operator: &Operator,
) -> Result<Candidate, Failure> {
    let CandidateArgs { from, files } = wanted;
    if from.is_none() && files.is_empty() {
        let staged = place.staged();
        return candidate(is_staged(place).then_some(staged.as_path()), &[]);
    }
    if !operator.is_on_host() {
        let why =
            "from elsewhere an edit is staged, and not named: it reads no file of the server's";
        return Err(Failure::Refused(why.into()));
    }

    candidate(from.as_deref(), files)
}

/// The same, where there must be one.
fn edit(
    wanted: &CandidateArgs,
    place: &EnvoyPlace,
    operator: &Operator,
) -> Result<Candidate, Failure> {
    let found = given(wanted, place, operator)?;
    if found.is_empty() {
        let staged = place.staged();
        return Err(Failure::NotFound(format!(
            "which edit? --from DIR, --file NAME=PATH, or a directory {}",
            staged.display()
        )));
    }

    Ok(found)
}

async fn tell_faults(
    candidate: &Candidate,
    place: &EnvoyPlace,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let before = Set::read(&place.dir, &Candidate::new());
    let after = Set::read(&place.dir, candidate);
    let before = (!candidate.is_empty()).then_some(&before);
    let report = check(&after, before, place).await?;
    if screen.json() {
        screen.object(&report_object(&report))?;
    } else {
        say_report(&report, screen);
    }

    if report.faults.is_empty() { Ok(()) } else { Err(Failure::Answered) }
}

fn report_object(report: &Report) -> Value {
    let each = |faults: &[Fault]| faults.iter().map(Fault::object).collect::<Vec<_>>();

    json!({ "faults": each(&report.faults), "warnings": each(&report.warnings) })
}

fn say_report(report: &Report, screen: &mut Screen) {
    for warning in &report.warnings {
        screen.say(&format!("warning: {}", warning.line()));
    }
    for fault in &report.faults {
        screen.say(&fault.line());
    }
    match report.faults.len() {
        0 => screen.say("No faults."),
        1 => screen.say("1 fault."),
        many => screen.say(&format!("{many} faults.")),
    }
}

fn tell_diff(
    candidate: &Candidate,
    place: &EnvoyPlace,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let before = Set::read(&place.dir, &Candidate::new());
    let after = Set::read(&place.dir, candidate);
    if let Some(fault) = after.faults().first() {
        return Err(Failure::Refused(format!(
            "{}: `tollgate envoy check` tells all",
            fault.line()
        )));
    }
    let (changes, text) = (diff::changes(&before, &after), diff::unified(&before, &after));
    if screen.json() {
        let files = diff::files(&before, &after);
        screen.object(&json!({ "changes": changes, "files": files, "diff": text }))?;
    } else {
        show(&changes, &text, screen)?;
    }

    if changes.is_empty() { Ok(()) } else { Err(Failure::Answered) }
}

fn show(changes: &[String], text: &str, screen: &mut Screen) -> Result<(), Failure> {
    for change in changes {
        screen.print(&format!("{}\n", clean(change)))?;
    }
    if changes.is_empty() {
        screen.say("Nothing changes.");
        return Ok(());
    }

    screen.print(&format!("\n{}", clean(text)))
}

/// Text without what could move the cursor.
fn clean(text: &str) -> String {
    text.chars()
        .map(|it| if it.is_control() && it != '\n' && it != '\t' { '·' } else { it })
        .collect()
}

async fn put(
    wanted: &ApplyArgs,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let ApplyArgs { candidate, over_drift, timeout, change, envoy } = wanted;
    let place = place(envoy, operator, data)?;
    let candidate = edit(candidate, &place, operator)?;
    let store = Store::create(data).await?;
    let prepared = apply::prepare(&place, &candidate).await?;
    if !prepared.recovered.is_empty() {
        screen.say(&format!(
            "An edit that had not come to its end was taken back first: {}",
            prepared.recovered.join(", ")
        ));
    }
    if !prepared.report.faults.is_empty() {
        if screen.json() {
            screen.object(&report_object(&prepared.report))?;
        }
        say_report(&prepared.report, screen);
        screen.say("Nothing was changed.");
        return Err(Failure::Answered);
    }
    if prepared.touches(Use::Extensions) && !operator.is_on_host() {
        let why = "gate.yaml says whose policies and tokens count: it is changed on its host alone";
        return Err(Failure::Denied(why.into()));
    }
    for warning in &prepared.report.warnings {
        screen.say(&format!("warning: {}", warning.line()));
    }
    if !screen.json() {
        show(&prepared.changes, &prepared.diff, screen)?;
    }
    let patience = timeout.map_or(watch::PATIENCE, Duration::from_secs);
    let done = prepared.put(&store, operator, *over_drift, patience, change).await?;
    let took = done.as_ref().map(|done| u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX));
    if screen.json() {
        let number = done.as_ref().map(|done| done.number);
        let files = done.as_ref().map(|done| done.files.clone()).unwrap_or_default();
        let warnings = report_object(&prepared.report).get("warnings").cloned();
        return screen
            .object(&json!({ "applied": done.is_some(), "number": number, "files": files,
            "changes": prepared.changes, "warnings": warnings, "took_ms": took }));
    }
    match done {
        None => screen.say("It was in force before."),
        Some(done) if done.workers == 0 => screen.say("The files count as they are."),
        Some(done) => screen.say(&format!(
            "In force on all {} workers after {} ms, number {} of the history.",
            done.workers,
            took.unwrap_or_default(),
            done.number
        )),
    }

    Ok(())
}

async fn tell_status(place: &EnvoyPlace, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let live = Set::read(&place.dir, &Candidate::new());
    let store = match Store::open(data).await {
        Ok(store) => Some(store),
        Err(StoreError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let status = status::look(place, &live, store.as_ref()).await?;
    if screen.json() {
        screen.object(&status.object())?;
    } else {
        let rows: Vec<Vec<String>> = status
            .files
            .iter()
            .map(|it| {
                let digest: String =
                    it.digest.as_deref().unwrap_or_default().chars().take(19).collect();
                vec![
                    it.name.clone(),
                    it.in_force.as_str().into(),
                    digest,
                    it.drift.clone().unwrap_or_default(),
                ]
            })
            .collect();
        screen.table(&["FILE", "", "DIGEST", "DRIFT"], &rows)?;
        match &status.meant {
            Some(meant) => screen.say(&format!(
                "Last put in force: number {}, {} by {}.",
                meant.number,
                clock::readable(meant.at),
                meant.by
            )),
            None => screen.say("Nothing was put in force by `tollgate envoy apply` yet."),
        }
        if let Some(why) = &status.away {
            screen.say(why);
        }
    }

    let agrees = status.drift().is_empty() && status.away.is_none();
    if agrees { Ok(()) } else { Err(Failure::Answered) }
}

async fn history(limit: u32, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let store = Store::open(data).await?;
    let all = store.envoy_changes(store.writer().id(), limit).await?;
    if screen.json() {
        for one in &all {
            screen.object(&json!({
                "number": one.number, "at": clock::readable(one.at), "by": one.by,
                "way": one.way.as_str(), "ticket": one.ticket, "why": one.why,
                "changes": one.changes, "files": one.files,
            }))?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .map(|one| {
            vec![
                one.number.to_string(),
                clock::readable(one.at),
                one.by,
                one.way.as_str().to_owned(),
                one.changes.join("; "),
                one.ticket.unwrap_or_default(),
                one.why.unwrap_or_default(),
            ]
        })
        .collect();

    screen.table(&["NUMBER", "WHEN", "BY", "WAY", "CHANGES", "TICKET", "WHY"], &rows)
}
