//! What a sign-in by browser ends with where it cannot go on: a page that says what to do, and its row.

use super::nobody;
use super::pages::Page;
use crate::sign_in::{Refused, SignIn, Unsigned, log_refusal, reply};
use axum::body::Body;
use axum::http::{Response, StatusCode};
use contract::audit::Acted;
use tracing::warn;

/// A page, and who it is about.
pub(super) type Stop = Box<(Page, Acted)>;

impl SignIn {
    /// The page and the row of a refusal.
    pub(super) fn stop(&self, why: Refused, acted: Acted) -> Stop {
        self.counters.refused(why.code());
        log_refusal(why, &acted);
        let page = match why {
            Refused::SignInMalformed => malformed(),
            Refused::SignInElsewhere => elsewhere(),
            Refused::SignInUnsound => unsound(),
            _ => Page::refused(why),
        };

        Box::new((page.because(why), Acted { rule_id: Some(why.code().to_owned()), ..acted }))
    }

    /// The page and the row of whatever kept somebody from being signed in.
    pub(super) fn stop_unsigned(&self, unsigned: Unsigned) -> Stop {
        match unsigned {
            Unsigned::Refused(why, acted) => self.stop(why, *acted),
            other => {
                self.counters.store_errors.one();
                warn!(error = %other, "A sign-in by browser failed");
                let rule_id = Some("auth_unavailable".to_owned());
                Box::new((unavailable(), Acted { rule_id, ..nobody() }))
            }
        }
    }

    /// The answer for a refusal of nobody known.
    pub(super) fn stopped(&self, why: Refused) -> Response<Body> {
        answer(*self.stop(why, nobody()))
    }
}

/// The answer.
pub(super) fn answer((page, acted): (Page, Acted)) -> Response<Body> {
    reply::told(page.answer(), &acted)
}

/// There are no sessions on this gateway.
pub(super) fn none() -> Response<Body> {
    let what = "This gateway has no sign-in by browser. Ask your administrator which way is meant for you.";

    Page::fault(StatusCode::NOT_FOUND, "No sign-in here", what).answer()
}

/// No provider has that name.
pub(super) fn unknown_provider() -> Page {
    let what = "This gateway knows no such place to sign in. Check the issuer that is set on this computer, and start again.";

    Page::fault(StatusCode::BAD_REQUEST, "Unknown place to sign in", what)
}

fn malformed() -> Page {
    let what = "The address of this page is not one that a sign-in program makes. Start signing in again from the \
                program; update it if this goes on.";

    Page::fault(StatusCode::BAD_REQUEST, "This sign-in cannot be understood", what)
}

fn elsewhere() -> Page {
    let what = "It was begun in another browser, took longer than ten minutes, or is over. Close this page and start \
                signing in again from the program on your computer.";

    Page::fault(StatusCode::BAD_REQUEST, "This sign-in cannot go on here", what)
}

fn unsound() -> Page {
    let what = "What came back from your organization's sign-in does not belong to this sign-in. Close this page and \
                start again; if it goes on, tell your administrator.";

    Page::fault(StatusCode::BAD_REQUEST, "This sign-in cannot be trusted", what)
}

fn unavailable() -> Page {
    let what = "Wait a moment, then start signing in again from the program on your computer.";

    Page::fault(StatusCode::SERVICE_UNAVAILABLE, "Signing in is not possible at the moment", what)
}
