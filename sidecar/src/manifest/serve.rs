//! What the sidecar serves to laptops, behind the gate: `GET /v1/cowork/manifest`, the archives ([`super::plugins`]),
//! `GET /v1/cowork/marketplace.json`, and it hears how their syncs went ([`super::report`]).
//!
//! It only chooses: which audience somebody is of stands in the signed index, what that audience has stands in a signed
//! document, and both are served as they were signed. A poll of who has it already touches no database.

use super::archives::Archives;
use super::caller::{self, Caller, Callers, Unknown};
use super::live::{Live, Shelf};
use super::prepared::Prepared;
use super::recorder::{self, Recorder};
use super::{plugins, report};
use crate::counters::{Counters, Manifests};
use crate::document::Document;
use crate::keys;
use crate::sign_in::{SignIn, reply};
use crate::store::Store;
use crate::store::fleet::Served;
use crate::{clock, manifest};
use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::{get, post};
use contract::audit::{Event, Kind, Outcome, Payload};
use contract::envelope::hex;
use contract::headers::X_REQUEST_ID;
use contract::manifest::LARGEST_REPORT;
use contract::refusal::ErrorType;
use contract::standing::Board;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{error, warn};

/// How long a laptop that says nothing is remembered.
pub(super) const REMEMBERED: u64 = 180 * clock::DAY;

/// How often what is too old is forgotten.
const TIDY: Duration = Duration::from_hours(1);

/// What serving needs.
#[derive(Debug, Clone)]
pub struct Serving {
    /// Who asks.
    pub callers: Callers,
    /// What is in force.
    pub live: Live,
    /// The plugins.
    pub archives: Archives,
    /// Writes down what changes.
    pub recorder: Recorder,
    /// How fast laptops report.
    pub pace: report::Pace,
    counters: Arc<Counters>,
}

impl Serving {
    /// Begins to follow the publications; `served` stores what is left to be stored before the end.
    ///
    /// # Errors
    /// What cannot be had at the start.
    pub async fn start(
        sign_in: &SignIn,
        standing: watch::Receiver<Document>,
        (served, watching): (&mut JoinSet<()>, &mut JoinSet<()>),
    ) -> Result<Self> {
        let (store, counters) = (&sign_in.store, &sign_in.counters);
        let data = &sign_in.settings.data;
        let follower = manifest::live::Follower::start(data, store, counters).await;
        let live = follower.now();
        let first = Board::read(standing.borrow().body().to_vec())?;
        let (board, board_now) = watch::channel(Arc::new(first));
        let archives = Archives::new(store.clone(), &data.archives());
        let (recorder, outlet) = recorder::channel(counters);

        watching.spawn(follower.follow());
        watching.spawn(caller::follow(standing, board));
        watching.spawn(kept(archives.clone(), live.clone()));
        watching.spawn(tidy(store.clone(), Arc::clone(counters)));
        served.spawn(recorder::store_all(outlet, store.clone(), Arc::clone(counters)));

        Ok(Self {
            callers: Callers::new(sign_in.clone(), board_now),
            live,
            archives,
            recorder,
            pace: report::Pace::default(),
            counters: Arc::clone(counters),
        })
    }

    /// Its paths.
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new()
            .route("/v1/cowork/manifest", get(document))
            .route("/v1/cowork/marketplace.json", get(marketplace))
            .route("/v1/cowork/plugins/{name}", get(plugins::answer))
            .route(
                "/v1/cowork/sync-report",
                post(report::take).layer(DefaultBodyLimit::max(LARGEST_REPORT)),
            )
            .with_state(self)
    }

    /// What somebody has: that of the first audience that fits.
    pub fn shelf(&self, caller: &Caller) -> Option<Arc<Shelf>> {
        self.live.borrow().as_ref()?.shelf(&caller.subject()).map(Arc::clone)
    }

    /// Counts.
    pub fn counters(&self) -> &Manifests {
        &self.counters.manifests
    }
}

async fn document(
    State(serving): State<Serving>,
    method: Method,
    head: HeaderMap,
) -> Response<Body> {
    let caller = match serving.callers.caller(&head) {
        Ok(caller) => caller,
        Err(unknown) => return nobody(unknown, &head),
    };
    let Some(shelf) = serving.shelf(&caller) else {
        serving.counters().nothing.one();
        return none("nothing is published for you", &head);
    };
    let is_read = method == Method::GET;

    serving.given(&caller, ("", &shelf.document, &shelf.sha256), &shelf, is_read, &head).await
}

async fn marketplace(
    State(serving): State<Serving>,
    method: Method,
    head: HeaderMap,
) -> Response<Body> {
    let caller = match serving.callers.caller(&head) {
        Ok(caller) => caller,
        Err(unknown) => return nobody(unknown, &head),
    };
    let shelf = serving.shelf(&caller);
    let Some((shelf, (prepared, sha256))) =
        shelf.as_ref().and_then(|shelf| Some((shelf, shelf.marketplace.as_ref()?)))
    else {
        serving.counters().nothing.one();
        return none("no marketplace is published for you", &head);
    };
    let is_read = method == Method::GET;

    serving.given(&caller, (" marketplace", prepared, sha256), shelf, is_read, &head).await
}

impl Serving {
    /// 304, or the bytes; that somebody gets others than before is written down first.
    async fn given(
        &self,
        caller: &Caller,
        (what, prepared, sha256): (&str, &Prepared, &str),
        theirs: &Shelf,
        is_read: bool,
        head: &HeaderMap,
    ) -> Response<Body> {
        if prepared.is_known(head) {
            self.counters().unchanged.one();
            return prepared.unchanged();
        }
        self.counters().sent.one();
        // What is asked for as a marketplace is told apart by the client's name: both may be had.
        let client = format!("{}{what}", caller.claims.client_id);
        let whose = (caller.claims.tenant_id.clone(), caller.user.clone(), client);
        if is_read && !self.recorder.has(&whose, sha256) {
            match row(caller, what, theirs, sha256, head) {
                Ok(row) => {
                    let served = Served {
                        whose,
                        catalogue: theirs.catalogue.clone(),
                        audience: theirs.audience.clone(),
                        version: theirs.version,
                        sha256: sha256.to_owned(),
                        at: clock::now(),
                        row,
                    };
                    self.recorder.served(served).await;
                }
                Err(error) => error!(error = %error, "That a document changed is not written down"),
            }
        }

        prepared.whole()
    }
}

/// Begins a row of somebody's laptop.
pub(super) fn row_of(
    caller: &Caller,
    target: String,
    head: &HeaderMap,
) -> Result<Event<'static>, keys::KeyError> {
    let Caller { user, claims, .. } = caller;
    let request = head.get(X_REQUEST_ID).and_then(|id| id.to_str().ok());

    Ok(Event {
        event_id: format!("manifest-{}", hex(&keys::random::<12>()?)).into(),
        occurred_at: clock::now_micros(),
        tenant_id: claims.tenant_id.clone().into(),
        user_id: user.clone().into(),
        session_id: Some(claims.sid.clone().into()),
        client_id: Some(claims.client_id.clone().into()),
        policy_ver: Some(claims.policy_version.clone().into()),
        kind: Kind::Manifest,
        department: claims.department.clone().map(Into::into),
        credential_id: Some(claims.credential_id.clone().into()),
        request_id: request.map(|id| id.chars().take(128).collect::<String>().into()),
        outcome: Outcome::Allowed,
        complete: true,
        payload: Payload {
            target: Some(target.into()),
            sub: Some(caller.sub.clone().into()),
            ..Payload::default()
        },
        ..Event::default()
    })
}

fn row(
    caller: &Caller,
    what: &str,
    shelf: &Shelf,
    sha256: &str,
    head: &HeaderMap,
) -> Result<Event<'static>, keys::KeyError> {
    let Shelf { catalogue, audience, version, .. } = shelf;
    let word = if what.is_empty() { "manifest" } else { "marketplace" };
    let mut row = row_of(caller, format!("{word} {catalogue} {version} {audience}"), head)?;
    row.status = Some(StatusCode::OK.as_u16());
    row.payload.after = Some(json!({
        "catalogue": catalogue, "audience": audience, "version": version, "sha256": sha256,
    }));

    Ok(row)
}

fn none(message: &str, head: &HeaderMap) -> Response<Body> {
    reply::refusal(StatusCode::NOT_FOUND, ErrorType::NotFoundError, message, head)
}

/// Who is not known, or not served.
pub(super) fn nobody(unknown: Unknown, head: &HeaderMap) -> Response<Body> {
    let (status, kind, message) = match unknown {
        Unknown::Token => {
            (StatusCode::UNAUTHORIZED, ErrorType::AuthenticationError, "no token of this gateway's")
        }
        Unknown::Stopped => {
            (StatusCode::FORBIDDEN, ErrorType::PermissionError, "access is revoked or paused")
        }
    };
    let mut response = reply::refusal(status, kind, message, head);
    if status == StatusCode::UNAUTHORIZED {
        let value = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }

    response
}

/// Has the archives here before somebody asks for them.
async fn kept(archives: Archives, mut live: Live) {
    loop {
        let named = live.borrow_and_update().as_ref().map(|shown| shown.archives());
        if let Some(named) = named {
            archives.keep(&named).await;
        }
        if live.changed().await.is_err() {
            return;
        }
    }
}

async fn tidy(store: Store, counters: Arc<Counters>) {
    loop {
        sleep(TIDY).await;
        if let Err(error) = store.forget_devices(clock::now().saturating_sub(REMEMBERED)).await {
            counters.store_errors.one();
            warn!(error = %error, "Laptops of long ago could not be forgotten; they will be later");
        }
    }
}
