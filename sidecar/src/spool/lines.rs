//! The lines of the spool.

use crate::access_log::decode::Ended;
use crate::store::Mark;
use contract::audit::Event;
use std::borrow::Cow;
use tracing::{error, warn};

/// A line longer than this is no record of ours (they end at 256 KiB) and is skipped.
pub(super) const LONGEST: usize = 4 * 1024 * 1024; // 4 MiB

/// How many places of a torn line are tried.
const TRIES: usize = 64;

/// What a chunk of the file holds.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The rows.
    pub(super) events: Vec<Event<'static>>,
    /// Bytes up to the end of the last whole line.
    pub(super) bytes: usize,
    /// Lines of which something was lost.
    pub(super) unreadable: u64,
}

impl Batch {
    /// The whole lines of a chunk that begins at `mark`. A partial last line waits for its rest.
    pub(super) fn of(chunk: &[u8], mark: &Mark) -> Self {
        let mut batch = Self::default();
        for line in chunk.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            let before = u64::try_from(batch.bytes).unwrap_or(u64::MAX);
            let at = mark.position.saturating_add(before);
            batch.bytes = batch.bytes.saturating_add(line.len());
            batch.take(Line::of(line.trim_ascii(), mark.generation, at), at);
        }
        if batch.bytes == 0 && chunk.len() >= LONGEST {
            error!(spool.offset = mark.position, "The spool holds a line of no end; skipped");
            batch.bytes = chunk.len();
            batch.unreadable = 1;
        }

        batch
    }

    fn take(&mut self, line: Line, at: u64) {
        match line {
            Line::Event(event) => self.events.push(*event),
            Line::Torn(event) => {
                warn!(spool.offset = at, "A line of the spool was torn; its second half holds");
                self.unreadable = self.unreadable.saturating_add(1);
                self.events.push(*event);
            }
            Line::Unreadable => {
                error!(spool.offset = at, "A line of the spool cannot be read: data was lost");
                self.unreadable = self.unreadable.saturating_add(1);
            }
            Line::Empty => {}
        }
    }
}

/// What a line turned out to be.
enum Line {
    Event(Box<Event<'static>>),
    Torn(Box<Event<'static>>),
    Unreadable,
    Empty,
}

impl Line {
    fn of(line: &[u8], generation: u64, at: u64) -> Self {
        if line.is_empty() {
            return Self::Empty;
        }
        if let Ok(ended) = Ended::from_line(line) {
            return Self::Event(named(ended, generation, at));
        }
        // What a client wrote need not be text.
        let clean = String::from_utf8_lossy(line);
        let line = clean.as_bytes();
        if let Cow::Owned(_) = &clean
            && let Ok(ended) = Ended::from_line(line)
        {
            return Self::Event(named(ended, generation, at));
        }
        // Envoy was killed in the middle of a line, and the next Envoy wrote on behind it.
        let starts = line.windows(2).enumerate().skip(1).filter(|(_, pair)| *pair == b"{\"");
        for (start, _) in starts.take(TRIES) {
            if let Some(Ok(ended)) = line.get(start..).map(Ended::from_line)
                && ended.started_at != 0
            {
                return Self::Torn(named(ended, generation, at));
            }
        }

        Self::Unreadable
    }
}

/// What Envoy refused before it had an id is named by its place in the spool.
fn named(mut ended: Ended, generation: u64, at: u64) -> Box<Event<'static>> {
    let nameless = ended.event_id.is_empty();
    if nameless {
        ended.event_id = format!("spool-{generation}-{at}");
    }
    let mut event = ended.into_event();
    if nameless {
        event.request_id = None;
    }

    Box::new(event)
}
