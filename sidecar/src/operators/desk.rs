//! Commands of operators elsewhere: the same command line, the same functions, a buffer for a terminal.

use super::operator::Operator;
use super::table;
use crate::acts::Act;
use crate::args::Args;
use crate::commands;
use crate::failure::Failure;
use crate::screen::{LARGEST_INPUT, LARGEST_OUTPUT, Screen, shown};
use crate::settings::Data;
use crate::store::{Store, StoreError};
use clap::{CommandFactory, FromArgMatches};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{error, info};

/// Longest request in bytes: what stands for standard input, escaped.
pub const LARGEST: usize = LARGEST_INPUT * 2 + 64 * 1024;

/// How many commands run at once.
const AT_ONCE: usize = 4;

/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// How long one may run: a verification reads every row.
const PATIENCE: Duration = Duration::from_mins(10);

/// Most words of a command.
const WORDS: usize = 256;

/// Longest account of a denied command in its row, in characters.
const TOLD: usize = 300;

/// What is asked: the command line behind `tollgate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Its words.
    pub args: Vec<String>,
    /// What stands for standard input.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdin: String,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The exit code.
    pub exit: u8,
    /// What it printed.
    pub stdout: String,
    /// What it said beside it.
    pub stderr: String,
}

/// Everything is busy.
#[derive(Debug)]
pub struct Busy;

/// Where operators ask.
#[derive(Debug, Clone)]
pub struct Desk {
    data: Data,
    store: Store,
    slots: Arc<Semaphore>,
}

impl Desk {
    /// One, of a sidecar's data.
    pub fn new(data: Data, store: Store) -> Self {
        Self { data, store, slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Runs a command. Whoever asks is gone or not: what was begun is done to its end.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn ask(&self, operator: Operator, asked: Asked) -> Result<Answer, Busy> {
        let slots = Arc::clone(&self.slots);
        let slot = timeout(TURN, slots.acquire_owned()).await.map_err(|_elapsed| Busy)?;
        let slot = slot.map_err(|_closed| Busy)?;
        let (desk, handle) = (self.clone(), Handle::current());
        // Commands read files and reckon as if they were alone: not on the threads that answer the gate.
        let done = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            handle.block_on(timeout(PATIENCE, desk.run(&operator, asked)))
        });

        Ok(match done.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_elapsed)) => failed("it took too long, and was given up: ask for less of it"),
            Err(error) => {
                error!(error = %error, "An operator's command ended badly");
                failed("it ended badly: the sidecar's log says more")
            }
        })
    }

    async fn run(&self, operator: &Operator, asked: Asked) -> Answer {
        if asked.args.len() > WORDS {
            return failed("that is too long a command");
        }
        let mut tree = Args::command();
        tree.build();
        let words = ["tollgate".to_owned()].into_iter().chain(asked.args.iter().cloned());
        let parsed = tree
            .clone()
            .try_get_matches_from(words)
            .and_then(|matches| Args::from_arg_matches(&matches).map(|args| (args, matches)));
        let (args, matches) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return usage(&error),
        };
        let act = table::act(&matches).0;
        let (mut screen, out, aside) = Screen::buffered(args.json, asked.stdin.into_bytes());
        let done = match table::admit(&act, operator)
            .and_then(|granted| table::names_no_file(&tree, &matches).map(|()| granted))
        {
            Ok(granted) => commands::run(&args.command, &granted, &self.data, &mut screen).await,
            Err(failure) => Err(failure),
        };
        let exit = match done {
            Ok(()) => 0,
            Err(failure) => {
                if failure.is_denied()
                    && let Err(error) = self.denied(operator, &act, &asked.args, &failure).await
                {
                    error!(error = %error, "That an operator was denied is not written down");
                }
                if !matches!(failure, Failure::Answered) {
                    screen.say(&format!("tollgate: {failure}"));
                }
                failure.code()
            }
        };
        info!(operator = operator.name(), act, exit, "An operator asked");

        Answer { exit, stdout: out.text(), stderr: aside.text() }
    }

    /// The row of an act that somebody may not do.
    async fn denied(
        &self,
        operator: &Operator,
        act: &str,
        words: &[String],
        why: &Failure,
    ) -> Result<(), StoreError> {
        let line: String = shown(&words.join(" ")).chars().take(TOLD).collect();
        let what = if table::find(act).is_some() { line } else { act.to_owned() };
        let act = Act::new(operator, format!("{what}: {why}"))?.denied();
        let tenant = match operator.tenants() {
            Some([only]) => only,
            _ => "",
        };

        self.store.append(&[act.row(tenant)], None).await.map(drop)
    }

    /// The row of somebody who is no operator at all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unknown(&self, operator: &Operator, asked: &Asked) -> Result<(), StoreError> {
        let why = Failure::Denied(format!("{} is no operator", operator.name()));

        self.denied(operator, "", &asked.args, &why).await
    }
}

fn failed(why: &str) -> Answer {
    Answer { exit: 1, stdout: String::new(), stderr: format!("tollgate: {why}\n") }
}

/// What clap has to say: help on one side, faults on the other.
fn usage(error: &clap::Error) -> Answer {
    let text = error.render().to_string();
    let exit = u8::try_from(error.exit_code()).unwrap_or(2);
    if error.use_stderr() {
        Answer { exit, stdout: String::new(), stderr: text }
    } else {
        Answer { exit, stdout: text, stderr: String::new() }
    }
}

const _: () = assert!(LARGEST_OUTPUT >= 8 * 1024 * 1024, "as the document says");
