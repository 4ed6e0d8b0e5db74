//! Who asks: the token that the gate has let through, verified here once more. Nothing but its claims says who it is.

use super::Approvals;
use crate::clock;
use crate::sign_in::reply;
use crate::sign_in::verified::{Verified, verified};
use crate::store::StoreError;
use axum::http::HeaderMap;
use contract::headers;
use contract::standing::Kind;

/// Longest trace that is kept, in bytes.
const LONGEST_TRACE: usize = 256;

/// Somebody whose agent asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Their tenant.
    pub tenant: String,
    /// Who.
    pub user: String,
    /// `sid`.
    pub session: String,
    /// What the call belongs to, as its row says.
    pub trace: Option<String>,
    /// The call's row.
    pub event: String,
}

/// Why nobody is known.
#[derive(Debug)]
pub enum Unknown {
    /// No good token.
    Token,
    /// Somebody who is stopped.
    Stopped,
    /// No id of the request: it has not come by the gate.
    Event,
    /// It cannot be known.
    Store(StoreError),
}

impl Approvals {
    /// Who asks.
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn asker(&self, head: &HeaderMap) -> Result<Asker, Unknown> {
        let token = reply::bearer(head).ok_or(Unknown::Token)?;
        let Verified { sub, jti, claims, .. } =
            verified(&self.sign_in, token).ok_or(Unknown::Token)?;
        let user = claims.user_id(&sub);
        let event = one(head, headers::X_REQUEST_ID).ok_or(Unknown::Event)?;
        let cert = claims.cnf.as_ref().map_or("", |bound| &*bound.x5t_s256);
        let on = [
            (Kind::User, &*user),
            (Kind::Credential, &*claims.credential_id),
            (Kind::Session, &*claims.sid),
            (Kind::Token, &*jti),
            (Kind::Cert, cert),
        ];
        let stopped = self.sign_in.store.stop_at_sign_in(&on, clock::now()).await;
        if stopped.map_err(Unknown::Store)?.is_some() {
            return Err(Unknown::Stopped);
        }

        Ok(Asker {
            tenant: claims.tenant_id,
            user,
            session: claims.sid,
            trace: trace(head, &event),
            event,
        })
    }
}

fn one(head: &HeaderMap, name: &str) -> Option<String> {
    let mut values = head.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok().filter(|text| (1..=LONGEST_TRACE).contains(&text.len()));

    text.map(ToOwned::to_owned)
}

/// As the gate finds it for the row: the trace that the call came with, else the conversation, else what the helper
/// says, else the request itself.
fn trace(head: &HeaderMap, event: &str) -> Option<String> {
    let parent = one(head, headers::TRACEPARENT);
    let parent = parent.and_then(|text| text.split('-').nth(1).map(ToOwned::to_owned));

    parent
        .or_else(|| one(head, headers::CLAUDE_SESSION_ID))
        .or_else(|| one(head, headers::TRACE_ID))
        .or_else(|| Some(event.replace('-', "")))
}
