//! Sessions of the era until 2025-11-25: their ids, their own stream, their events for whoever resumes.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::{mpsc, oneshot};

/// One client's session.
#[derive(Debug, Default)]
struct Session {
    /// The open stream of the session's own, if there is one.
    own: Option<mpsc::UnboundedSender<Value>>,
    /// What came for it while there was none.
    kept: Vec<Value>,
    /// Who waits for which answer of the client's.
    waiting: HashMap<String, oneshot::Sender<Value>>,
    /// Events of streams with ids, in order.
    events: Vec<(String, Value)>,
}

/// All of a stand-in's.
#[derive(Debug, Default)]
pub struct Sessions {
    all: Mutex<HashMap<String, Session>>,
    next: AtomicU64,
}

impl Sessions {
    fn locked(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.all.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A new one.
    pub fn begin(&self) -> String {
        let id = format!("e2e-session-{:x}-{}", std::process::id(), self.number());
        self.locked().insert(id.clone(), Session::default());

        id
    }

    /// Ends one. Was there one?
    pub fn end(&self, id: &str) -> bool {
        self.locked().remove(id).is_some()
    }

    /// Is there one?
    pub fn knows(&self, id: &str) -> bool {
        self.locked().contains_key(id)
    }

    /// The ids of all.
    pub fn ids(&self) -> Vec<String> {
        self.locked().keys().cloned().collect()
    }

    /// Opens a session's own stream, instead of one that is open.
    pub fn listen(&self, id: &str) -> Option<mpsc::UnboundedReceiver<Value>> {
        let mut all = self.locked();
        let session = all.get_mut(id)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        for message in session.kept.drain(..) {
            drop(sender.send(message));
        }
        session.own = Some(sender);

        Some(receiver)
    }

    /// Sends a message on a session's own stream, or keeps it for the next.
    pub fn push(&self, id: &str, message: Value) {
        let mut all = self.locked();
        let Some(session) = all.get_mut(id) else { return };
        let left = match &session.own {
            Some(own) => own.send(message).err().map(|error| error.0),
            None => Some(message),
        };
        session.kept.extend(left);
    }

    /// Ends a session's own stream in good order.
    pub fn hang_up(&self, id: &str) {
        if let Some(session) = self.locked().get_mut(id) {
            session.own = None;
        }
    }

    /// Gives a request to the client an id, and says who gets its answer.
    pub fn ask(&self, id: &str, mut request: Value) -> (Value, oneshot::Receiver<Value>) {
        let number = format!("ask-{}", self.number());
        request["jsonrpc"] = json!("2.0");
        if request.get("id").is_none() {
            request["id"] = json!(number);
        }
        let (sender, receiver) = oneshot::channel();
        if let Some(session) = self.locked().get_mut(id) {
            session.waiting.insert(request["id"].to_string(), sender);
        }

        (request, receiver)
    }

    /// An answer of the client's. Did anybody wait for it?
    pub fn answered(&self, id: &str, answer: &Value) -> bool {
        let key = answer["id"].to_string();
        let waiting = self.locked().get_mut(id).and_then(|session| session.waiting.remove(&key));

        waiting.is_some_and(|waiting| waiting.send(answer.clone()).is_ok())
    }

    /// Writes an event down for whoever resumes, and gives it an id.
    pub fn note(&self, id: &str, stream: u64, message: &Value) -> String {
        let event = format!("{stream}_{}", self.number());
        if let Some(session) = self.locked().get_mut(id) {
            session.events.push((event.clone(), message.clone()));
        }

        event
    }

    /// A number for a new stream.
    pub fn stream(&self) -> u64 {
        self.number()
    }

    /// The events of the same stream behind this one; none if it is not known.
    pub fn after(&self, id: &str, event: &str) -> Option<Vec<(Option<String>, Value)>> {
        let all = self.locked();
        let events = &all.get(id)?.events;
        let at = events.iter().position(|(known, _)| known == event)?;
        let (stream, _) = event.split_once('_')?;
        let same = |known: &str| known.split_once('_').is_some_and(|(other, _)| other == stream);
        let behind = events.iter().skip(at + 1).filter(|(known, _)| same(known));

        Some(behind.map(|(known, message)| (Some(known.clone()), message.clone())).collect())
    }
}
