//! `tollgate audit`: looking at the rows.

use crate::args::{AuditCommand, FilterArgs};
use crate::clock;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::{Cursor, Filter, Row, Store};
use serde_json::Value;
use std::time::Duration;
use tokio::time::sleep;
use verify::{Evidence, Report};

mod export;
mod lineage;
mod reader;
pub mod verify;

/// How often `--follow` looks.
const LOOK: Duration = Duration::from_millis(200);

/// How many new rows `--follow` prints at once.
const AT_ONCE: u32 = 1_000;

/// How many rows who asks from elsewhere gets at once: they are held in memory.
const MOST_AT_ONCE: u32 = 10_000;

const HEAD: [&str; 11] = [
    "OCCURRED", "OUTCOME", "STATUS", "KIND", "USER", "MODEL", "PROVIDER", "TOKENS", "MS", "RULE",
    "EVENT",
];

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &AuditCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let rows = Rows { store: Store::open(data).await?, operator };
    let store = &rows.store;
    match command {
        AuditCommand::Query { filter, limit } => {
            print(&rows.of(chosen(filter, *limit)).await?, screen)
        }
        AuditCommand::Find { id, limit } => {
            let filter = Filter { any_id: Some(searched(id)), limit: *limit, ..Filter::default() };
            let rows = rows.of(filter).await?;
            if rows.is_empty() {
                return Err(Failure::NotFound(format!("no row knows the id {id}")));
            }
            print(&rows, screen)
        }
        AuditCommand::Export { filter } => export::export(&rows, filter, screen).await,
        AuditCommand::Lineage { trace } => lineage::lineage(&rows, trace, screen).await,
        AuditCommand::Who { user, from, to } => {
            let to = to.unwrap_or_else(clock::now_micros);
            lineage::who(&rows, &searched(user), *from, to, screen).await
        }
        AuditCommand::Verify { checkpoints, keys } => {
            let evidence = Evidence::read(data, keys, checkpoints)?;
            told(&verify::verify(store, &evidence, screen).await?, screen)
        }
        AuditCommand::Reader(command) => reader::run(command, operator, store, screen).await,
        AuditCommand::Tail { lines, follow, filter } => {
            if *follow && !operator.is_on_host() {
                let why = "--follow has no end: ask again with --since";
                return Err(Failure::Refused(why.into()));
            }
            let from = store.end().await?;
            let mut latest = rows.of(chosen(filter, *lines)).await?;
            // What was stored meanwhile comes next, and once.
            latest.retain(|row| !*follow || from.covers(&row.writer, row.place));
            print(&latest, screen)?;
            if *follow { go_on(&rows, filter, from, screen).await } else { Ok(()) }
        }
    }
}

/// The rows, as far as an operator may look: of their tenants, with or without what was said.
struct Rows<'a> {
    store: Store,
    operator: &'a Operator,
}

impl Rows<'_> {
    async fn of(&self, wanted: Filter) -> Result<Vec<Row>, Failure> {
        let operator = self.operator;
        if !operator.is_on_host() && wanted.limit > MOST_AT_ONCE {
            return Err(Failure::Refused(format!(
                "at most {MOST_AT_ONCE} rows at once from elsewhere: narrow it, or export"
            )));
        }
        if !operator.sees_content() && wanted.equal.iter().any(|(name, _)| *name == "payload") {
            // What is not shown is not found out by asking for it either.
            let why = format!("{operator} looks for nothing in `payload`");
            return Err(Failure::Denied(why));
        }
        let tenants = operator.tenants().map(<[String]>::to_vec);
        let rows = self.store.rows(&Filter { tenants, ..wanted }).await?;
        if operator.sees_content() {
            return Ok(rows);
        }

        Ok(rows.into_iter().map(Row::without_content).collect())
    }
}

/// The report, and an exit code that a script can act on.
fn told(report: &Report, screen: &mut Screen) -> Result<(), Failure> {
    if screen.json() {
        screen.object(report)?;
    } else {
        let rows: Vec<Vec<String>> = report
            .findings
            .iter()
            .map(|one| {
                let event_id = one.event_id.clone().unwrap_or_default();
                vec![one.what.to_owned(), one.writer.clone(), one.place.clone(), event_id]
            })
            .collect();
        if !rows.is_empty() {
            screen.table(&["FOUND", "WRITER", "WHERE", "EVENT"], &rows)?;
        }
        screen.print(&format!(
            "{} rows in {} blocks of {} writers, {} checkpoints, {} contents erased: {}\n",
            report.rows,
            report.blocks,
            report.writers,
            report.checkpoints,
            report.erased,
            if report.whole { "whole" } else { "NOT whole" }
        ))?;
    }

    if report.whole { Ok(()) } else { Err(Failure::NotWhole) }
}

async fn go_on(
    all: &Rows<'_>,
    filter: &FilterArgs,
    mut from: Cursor,
    screen: &mut Screen,
) -> Result<(), Failure> {
    loop {
        sleep(LOOK).await;
        let end = all.store.end().await?;
        let wanted = Filter { after: Some(from.clone()), ..chosen(filter, AT_ONCE) };
        let rows = all.of(wanted).await?;
        if rows.len() < usize::try_from(AT_ONCE).unwrap_or(usize::MAX) {
            // What is not wanted is not looked at again.
            for (writer, place) in &end.0 {
                from.pass(writer, *place);
            }
        }
        for row in rows {
            from.pass(&row.writer, row.place);
            if screen.json() {
                screen.object(&row)?;
            } else {
                let line = crate::screen::table(&HEAD, &[cells(&row)]);
                let line = line.lines().nth(1).unwrap_or_default();
                screen.print(&format!("{line}\n"))?;
            }
        }
    }
}

/// Addresses stand in rows in lower case; other ids as they are.
fn searched(id: &str) -> String {
    if id.contains('@') { id.to_ascii_lowercase() } else { id.to_owned() }
}

fn chosen(args: &FilterArgs, limit: u32) -> Filter {
    Filter {
        equal: args.columns(),
        tenants: None,
        any_id: None,
        since: args.since,
        until: args.until,
        after: None,
        limit,
    }
}

fn print(rows: &[Row], screen: &mut Screen) -> Result<(), Failure> {
    if screen.json() {
        for row in rows {
            screen.object(row)?;
        }
        return Ok(());
    }
    let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();

    screen.table(&HEAD, &cells)
}

fn cells(row: &Row) -> Vec<String> {
    let tokens = match (row.get("tokens_in"), row.get("tokens_out")) {
        (Value::Null, Value::Null) => String::new(),
        _ => format!("{}/{}", row.text("tokens_in"), row.text("tokens_out")),
    };
    // To the millisecond: microseconds are for machines.
    let occurred = row.text("occurred_at");
    let occurred = occurred.get(..23).map_or_else(|| occurred.clone(), |short| format!("{short}Z"));

    vec![
        occurred,
        row.text("outcome"),
        row.text("status"),
        row.text("kind"),
        row.text("user_id"),
        row.text("model"),
        row.text("provider"),
        tokens,
        row.text("latency_ms"),
        row.text("rule_id"),
        row.text("event_id"),
    ]
}
