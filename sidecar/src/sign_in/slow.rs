//! Guessing is slowed, whatever is tried ([`crate::attempts`]).

use super::{Refused, SignIn, Unsigned};
use crate::attempts::{Attempt, is_guess};
use crate::clock;
use axum::http::HeaderMap;
use contract::audit::Acted;

impl SignIn {
    /// Lets somebody try, unless they have to wait: then what they sent is not looked at. `account` is what it
    /// claims to be, before anybody has looked whether that is so.
    ///
    /// # Errors
    /// [`Unsigned`], of the try, or because they have to wait.
    pub async fn slowly<T>(
        &self,
        asked: &HeaderMap,
        account: Option<&str>,
        trial: impl Future<Output = Result<T, Unsigned>>,
    ) -> Result<T, Unsigned> {
        let attempt = Attempt::of(asked, account);
        if let Err(wait) = self.attempts.look(&attempt, clock::now()) {
            // Whose it claims to be is told once; the rest is counted by the gate, as of anybody unknown.
            let account = attempt.account().filter(|_| wait.first);
            let acted = Acted { credential_id: account.map(ToOwned::to_owned), ..Acted::default() };
            return Err(Unsigned::refused(Refused::TooManyAttempts(wait.seconds), acted));
        }
        let tried = trial.await;
        match &tried {
            Ok(_) => self.attempts.succeeded(&attempt, clock::now()),
            Err(Unsigned::Refused(why, _)) if is_guess(*why) => {
                self.attempts.failed(&attempt, clock::now());
            }
            Err(_) => {}
        }

        tried
    }
}
