//! What the lanes of this worker have done for the calls that are under way, and the streams that can be spoken into.
//!
//! The gate and the lanes are one module in one VM of each worker, and a lane's listener serves its connection on the
//! worker that opened it (Envoy, "Internal listener"). So what a lane has to tell the gate it tells here, by the number
//! of the exchange, and nothing of it travels as a header that somebody has to take away again.
//!
//! A lane of another VM (another module, another `vm_id`) finds nothing here. Its calls pass, and the gate knows no more
//! of them than Envoy does.

use contract::audit::{self, Sequence};
use contract::refusal::{ErrorBody, ErrorType};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Most attempts that are kept of one call.
const MOST: usize = 16;

/// Who serves behind a lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The lane's name.
    pub lane: String,
    /// Its provider, as the rate card names it.
    pub provider: String,
    /// Where that is.
    pub region: Option<String>,
}

/// What a provider answered that did not serve, in the Messages API's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The status for the client.
    pub status: u16,
    /// The body for the client.
    pub body: Vec<u8>,
    /// Seconds after which it may be asked again.
    pub retry_after: Option<u32>,
}

/// One provider that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Who.
    pub facts: Rc<Facts>,
    /// The model by its name for it; empty until it is known.
    pub model: String,
    /// When, Unix nanoseconds.
    pub began: u64,
    /// How long it took, nanoseconds; 0 until it is over.
    pub took: u64,
    /// What it answered.
    pub status: Option<u16>,
    /// How it ended other than by an answer of the provider.
    pub why: Option<&'static str>,
    /// What it said where it failed.
    pub failed: Option<Failed>,
    /// What of the request it has no words for.
    pub dropped: Vec<&'static str>,
}

/// What was done for one call.
#[derive(Debug, Default)]
pub struct Trail {
    attempts: RefCell<Vec<Attempt>>,
    /// The gate's stream.
    stream: u32,
}

impl Trail {
    /// A lane begins. Returns the attempt's place; nothing is kept beyond [`MOST`].
    pub fn begin(&self, facts: &Rc<Facts>, now: u64) -> usize {
        let mut attempts = self.attempts.borrow_mut();
        if attempts.len() < MOST {
            attempts.push(Attempt {
                facts: Rc::clone(facts),
                model: String::new(),
                began: now,
                took: 0,
                status: None,
                why: None,
                failed: None,
                dropped: Vec::new(),
            });
        }

        attempts.len().saturating_sub(1)
    }

    /// Writes something down of an attempt.
    pub fn note(&self, place: usize, write: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.attempts.borrow_mut().get_mut(place) {
            write(attempt);
        }
    }

    /// How many were asked.
    pub fn len(&self) -> usize {
        self.attempts.borrow().len()
    }

    /// Was nobody asked?
    pub fn is_empty(&self) -> bool {
        self.attempts.borrow().is_empty()
    }

    /// Who served, and the model by its name for it: the last one that was asked.
    pub fn last(&self) -> Option<(Rc<Facts>, String)> {
        let attempts = self.attempts.borrow();

        attempts.last().map(|attempt| (Rc::clone(&attempt.facts), attempt.model.clone()))
    }

    /// The gate's stream, of which [`Trails::may_speak`] says whether anything can be said in it.
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// For the row: all of them, where there is more to tell than that one served.
    pub fn told(&self) -> Vec<audit::Attempt<'static>> {
        let attempts = self.attempts.borrow();
        if attempts.len() < 2 && attempts.iter().all(|one| one.dropped.is_empty()) {
            return Vec::new();
        }

        attempts.iter().map(Attempt::told).collect()
    }

    /// What the client is answered where every provider failed, in the order of the gateway protocol: the last 429,
    /// else the last 401 or 403, else a 404, else a 501, else that all have failed. `None` where one was asked: what
    /// that one said is the answer.
    pub fn verdict(&self) -> Option<Failed> {
        let attempts = self.attempts.borrow();
        if attempts.len() < 2 {
            return None;
        }
        let said = || attempts.iter().rev().filter_map(|attempt| attempt.failed.as_ref());
        // What only the caller can mend is no failure of the providers, and was the last word.
        let last = said().next().filter(|last| matches!(last.status, 400 | 413 | 422));
        let order: [&[u16]; 4] = [&[429], &[401, 403], &[404], &[501]];
        let chosen = order.iter().find_map(|of| said().find(|one| of.contains(&one.status)));

        Some(last.or(chosen).cloned().unwrap_or_else(|| Failed {
            status: 502,
            body: all_failed(attempts.len()),
            retry_after: None,
        }))
    }
}

fn all_failed(count: usize) -> Vec<u8> {
    let message = format!("all upstreams failed ({count} attempted)");

    serde_json::to_vec(&ErrorBody::new(ErrorType::ApiError, &message, None)).unwrap_or_default()
}

impl Attempt {
    fn told(&self) -> audit::Attempt<'static> {
        let own = |text: &str| Cow::Owned(text.to_owned());

        audit::Attempt {
            lane: own(&self.facts.lane),
            provider: own(&self.facts.provider),
            region: self.facts.region.as_deref().map(own),
            model: own(&self.model),
            status: self.status,
            why: self.why.map(Cow::Borrowed),
            ms: self.took.checked_div(1_000_000).unwrap_or_default(),
            dropped: self.dropped.iter().map(|name| Cow::Borrowed(*name)).collect(),
        }
    }
}

/// A stream that Envoy holds for a moment after each piece, so that something can be said in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    /// When something left last, Unix nanoseconds.
    last: u64,
    /// Bytes that are held now.
    pending: usize,
    /// Do they end with a whole event?
    whole: bool,
}

/// All of one VM.
#[derive(Debug, Default)]
pub struct Trails {
    lanes: Cell<u32>,
    of_calls: RefCell<HashMap<Sequence, Rc<Trail>>>,
    held: RefCell<BTreeMap<u32, Held>>,
}

impl Trails {
    /// A lane is here: from now on calls are told which exchange they are.
    pub fn lane_is_here(&self) {
        self.lanes.set(self.lanes.get().saturating_add(1));
    }

    /// A call leaves the gate: its trail, where there are lanes that could tell something.
    pub fn leaves(&self, sequence: Sequence, stream: u32) -> Option<Rc<Trail>> {
        if self.lanes.get() == 0 {
            return None;
        }
        let trail = Rc::new(Trail { stream, ..Trail::default() });
        self.of_calls.borrow_mut().insert(sequence, Rc::clone(&trail));

        Some(trail)
    }

    /// The trail of a call that came to a lane.
    pub fn of(&self, sequence: Sequence) -> Option<Rc<Trail>> {
        self.of_calls.borrow().get(&sequence).cloned()
    }

    /// The exchange is over.
    pub fn over(&self, sequence: Sequence) {
        self.of_calls.borrow_mut().remove(&sequence);
    }

    /// A piece of this stream came, `size` bytes with what is held already, and will be held until
    /// [`Self::released`]. Returns how many of them were there before.
    pub fn holds(&self, stream: u32, size: usize, now: u64) -> usize {
        let mut held = self.held.borrow_mut();
        let known = held.entry(stream).or_insert(Held { last: now, pending: 0, whole: true });
        let before = known.pending.min(size);
        known.pending = size;
        known.last = now;

        before
    }

    /// Does what came last end with a whole event? Only behind one may something be said.
    pub fn ends_whole(&self, stream: u32, whole: bool) {
        if let Some(known) = self.held.borrow_mut().get_mut(&stream) {
            known.whole = whole;
        }
    }

    /// Whatever was held has left. `false` if this stream is not held (any more).
    pub fn released(&self, stream: u32) -> bool {
        let mut held = self.held.borrow_mut();
        let known = held.get_mut(&stream);
        known.map(|known| known.pending = 0).is_some()
    }

    /// May something be said in this stream now?
    pub fn may_speak(&self, stream: u32) -> bool {
        self.held.borrow().get(&stream).is_some_and(|known| known.whole)
    }

    /// The streams in which nothing was said for so long, and that something may be said in. Counted from now on anew.
    pub fn silent(&self, now: u64, nanos: u64) -> Vec<u32> {
        let mut held = self.held.borrow_mut();
        let silent = held.iter_mut().filter(|(_, known)| {
            known.whole && known.pending == 0 && now.saturating_sub(known.last) >= nanos
        });

        silent
            .map(|(stream, known)| {
                known.last = now;
                *stream
            })
            .collect()
    }

    /// The stream has ended, or its end is on its way: nothing can be said in it any more.
    pub fn closes(&self, stream: u32) {
        self.held.borrow_mut().remove(&stream);
    }
}

#[cfg(test)]
mod tests;
