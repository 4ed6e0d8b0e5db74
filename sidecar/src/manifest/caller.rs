//! Who asks for what stands on their laptop. Thousands ask each minute with the token that they asked with before: it is
//! verified once, and remembered by its SHA-256 until it expires.
//!
//! Who is stopped is not asked of the store, but of the same standing that the gates fetch, as this sidecar has it: it
//! follows the store ten times a second, and a look at it costs less than a microsecond. What is remembered of a token is
//! only what does not change in its life; its key and the standing are looked at each time.

use crate::clock;
use crate::document::Document;
use crate::sign_in::verified::{Verified, verified};
use crate::sign_in::{SignIn, reply};
use axum::http::HeaderMap;
use contract::audit::CallSource;
use contract::claims::{Claims, Method};
use contract::policy::Subject;
use contract::standing::{Board, Marks};
use lru::LruCache;
use sha2::{Digest, Sha256};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tracing::error;

/// Most tokens that are remembered: with their claims about 1 KB each.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// Longest token that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// Somebody who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What people search by: verified e-mail in lower case, else `sub`.
    pub user: String,
    /// `sub`.
    pub sub: String,
    /// What the token says of them.
    pub claims: Claims,
    kid: String,
    expires_at: u64,
    marks: Marks,
}

/// Why nobody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// No good token.
    Token,
    /// Somebody who is stopped.
    Stopped,
}

impl Caller {
    fn new(verified: Verified) -> Self {
        let Verified { kid, sub, jti, expires_at, claims } = verified;
        let user = claims.user_id(&sub);
        let marks = Marks::new(&user, &sub, &jti, &claims);

        Self { user, sub, claims, kid, expires_at, marks }
    }

    /// As conditions of audiences know them: by nothing but their claims. What only the request could tell (an agent, the
    /// certificate of the connection) is told by none here, so that a condition that needs it does not fit.
    pub fn subject(&self) -> Subject<'_> {
        let claims = &self.claims;

        Subject {
            tenant: &claims.tenant_id,
            user: &self.user,
            groups: &claims.groups,
            department: claims.department.as_deref(),
            populations: &claims.populations,
            roles: &claims.roles,
            client: &claims.client_id,
            agent: None,
            region: claims.region.as_deref(),
            source: match claims.amr {
                Method::Service => CallSource::Job,
                _ => CallSource::Cowork,
            },
            cost_centre: claims.cost_centre.as_deref(),
            tier: claims.amr.into(),
            over_certificate: false,
        }
    }
}

/// Knows callers by their tokens.
#[derive(Debug, Clone)]
pub struct Callers {
    sign_in: SignIn,
    board: watch::Receiver<Arc<Board>>,
    known: Arc<Mutex<LruCache<[u8; 32], Arc<Caller>>>>,
}

impl Callers {
    /// With what verifies tokens, and the standing.
    pub fn new(sign_in: SignIn, board: watch::Receiver<Arc<Board>>) -> Self {
        Self { sign_in, board, known: Arc::new(Mutex::new(LruCache::new(MOST))) }
    }

    /// Who asks.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn caller(&self, head: &HeaderMap) -> Result<Arc<Caller>, Unknown> {
        let token = reply::bearer(head).filter(|it| it.len() <= LONGEST).ok_or(Unknown::Token)?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let caller = match self.remembered(&digest) {
            Some(caller) => caller,
            None => self.learned(digest, token)?,
        };
        if self.board.borrow().stops(&caller.marks, clock::now()).is_some() {
            return Err(Unknown::Stopped);
        }

        Ok(caller)
    }

    fn remembered(&self, digest: &[u8; 32]) -> Option<Arc<Caller>> {
        let caller = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(digest).cloned()?
        };
        // A key that was let go takes with it every token that it signed.
        let is_good = clock::now() < caller.expires_at
            && self.sign_in.keys.borrow().verifier(&caller.kid).is_some();

        is_good.then_some(caller)
    }

    fn learned(&self, digest: [u8; 32], token: &str) -> Result<Arc<Caller>, Unknown> {
        let verified = verified(&self.sign_in, token).ok_or(Unknown::Token)?;
        let caller = Arc::new(Caller::new(verified));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(digest, Arc::clone(&caller));

        Ok(caller)
    }
}

/// The standing, ready to be asked. One that cannot be read changes nothing.
pub async fn follow(mut standing: watch::Receiver<Document>, board: watch::Sender<Arc<Board>>) {
    loop {
        let document = standing.borrow_and_update().clone();
        match Board::read(document.body().to_vec()) {
            Ok(read) => {
                board.send_replace(Arc::new(read));
            }
            Err(error) => error!(error = %error, "The standing cannot be read; the last one holds"),
        }
        if standing.changed().await.is_err() {
            return;
        }
    }
}
