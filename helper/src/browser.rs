//! The sign-in in the person's browser: an authorization code to the loopback interface
//! (RFC 8252 §7.3) with proof of possession (RFC 7636) and the issuer's name (RFC 9207).

pub mod loopback;
pub mod open;

use crate::chance;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::gateway::wire::Code;
use crate::say;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use form_urlencoded::Serializer;
use loopback::Loopback;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How long a person may take.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// How to sign in.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// The `OpenID` provider, by the gateway's name for it.
    pub issuer: Option<String>,
    /// Whose account the provider is asked to offer.
    pub login_hint: Option<String>,
    /// No browser is opened: the address is told.
    pub no_browser: bool,
    /// How long it may take; [`PATIENCE`] if absent.
    pub patience: Option<Duration>,
}

/// What came back: the code, and who says that it gave it.
#[derive(Debug)]
pub struct Granted {
    /// The code.
    pub code: Code,
    /// The issuer's name, to be compared with the token's.
    pub issuer: String,
}

impl Granted {
    /// Whether the token is from who sent the browser back (RFC 9207).
    ///
    /// # Errors
    /// [`Failure::SignIn`].
    pub fn matches(&self, token: &str) -> Result<(), Failure> {
        if issuer_of(token).is_some_and(|issuer| issuer == self.issuer) {
            return Ok(());
        }

        Err(Failure::SignIn("the browser came back from another issuer than the token's".into()))
    }
}

/// Sends the person's browser to the gateway and waits until it comes back.
///
/// # Errors
/// [`Failure::SignIn`].
pub fn sign_in(gateway: &Gateway, wish: &Wish) -> Result<Granted, Failure> {
    let (verifier, state) = (random()?, random()?);
    let loopback = Loopback::listen(state.clone())
        .map_err(|error| Failure::SignIn(format!("no port can be listened on: {error}")))?;
    let redirect_uri = loopback.redirect_uri();

    let address = address(gateway, wish, &redirect_uri, &state, &challenge(&verifier));
    if wish.no_browser {
        say(&format!("Open this address in a browser on this computer:\n{address}"));
    } else if let Err(why) = open::open(&address) {
        say(&format!("No browser could be opened ({why}). Open this address in one:\n{address}"));
    } else {
        say("Waiting for the sign-in in the browser. (`--no-browser` tells the address instead.)");
    }
    let (code, issuer) =
        loopback.wait(wish.patience.unwrap_or(PATIENCE)).map_err(Failure::SignIn)?;

    Ok(Granted { code: Code { code, verifier, redirect_uri }, issuer })
}

fn address(
    gateway: &Gateway,
    wish: &Wish,
    redirect_uri: &str,
    state: &str,
    challenge: &str,
) -> String {
    let mut query = Serializer::new(String::new());
    query
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("state", state)
        .append_pair("code_challenge", challenge)
        .append_pair("code_challenge_method", "S256");
    if let Some(issuer) = &wish.issuer {
        query.append_pair("issuer", issuer);
    }
    if let Some(hint) = &wish.login_hint {
        query.append_pair("login_hint", hint);
    }

    format!("{}/v1/auth/cowork/session/authorize?{}", gateway.url, query.finish())
}

fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// 256 bits that nobody can guess.
fn random() -> Result<String, Failure> {
    chance::bytes::<32>()
        .map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes))
        .ok_or_else(|| Failure::SignIn("the system gives no random numbers".into()))
}

/// Who made a token, by its own word: it came over TLS from the gateway.
fn issuer_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }

    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;

    serde_json::from_slice::<Claims>(&payload).ok().map(|claims| claims.iss)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_token_of_another_issuer_is_refused() {
        let token = |issuer| {
            format!("e.{}.s", BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"iss":{issuer}}}"#)))
        };
        let granted = Granted {
            code: Code {
                code: String::new(),
                verifier: String::new(),
                redirect_uri: String::new(),
            },
            issuer: "tollgate".into(),
        };

        assert!(granted.matches(&token(r#""tollgate""#)).is_ok());
        for other in [token(r#""else""#), token("1"), "e.!.s".into(), String::new()] {
            assert!(granted.matches(&other).is_err(), "{other}");
        }
    }
}
