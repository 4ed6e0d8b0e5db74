//! The tier for pilots: a personal access token (`POST /v1/auth/cowork/pat`).

use super::reply::bearer;
use super::{Proven, Refused, SignIn, Signed, Unsigned, Wish, acted};
use crate::clock;
use crate::pats;
use crate::store::{Held, Pat, User};
use crate::tokens::HELPER;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use contract::audit::{Acted, SignIn as Told};
use contract::claims::Method;

/// Trades one for a token that the gate believes.
pub async fn trade(State(sign_in): State<SignIn>, asked: HeaderMap, body: Bytes) -> Response<Body> {
    let token = bearer(&asked);
    let wish = Wish::read(&body);
    let trade = sign_in.trade(token, &wish);
    let signed = sign_in.slowly(&asked, token.and_then(pats::name).as_deref(), trade).await;

    sign_in.answer(signed, &asked)
}

impl SignIn {
    /// Whatever was sent, it is hashed and looked up in the same way.
    async fn trade(&self, token: Option<&str>, wish: &Wish) -> Signed {
        let found = self.store.pat_by_hash(&pats::hash(token.unwrap_or_default())).await?;
        let Some((pat, user)) = found else {
            let why = if token.is_none() { Refused::Missing } else { Refused::Unknown };
            return Err(Unsigned::refused(why, Acted::default()));
        };
        let proven = proven(&pat, &user);
        if let Err(why) = pats::standing(&pat, &user, clock::now()) {
            let version = self.policy.borrow().version.clone();
            return Err(Unsigned::refused(why, acted(&proven, &version)));
        }

        self.mint(proven, wish).await
    }
}

fn proven<'a>(pat: &'a Pat, user: &'a User) -> Proven<'a> {
    Proven {
        user,
        method: Method::Pat,
        credential_id: &pat.id,
        sid: None,
        client_id: HELPER,
        certificate: None,
        held: Held::Pat,
        told: Told { tier: "pat".into(), ..Told::default() },
    }
}
