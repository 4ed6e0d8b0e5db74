//! Trades the personal access token for a short one (`POST /v1/auth/cowork/pat`).

use crate::failure::Failure;
use crate::secret::Secret;
use contract::headers::{IDENTITY, IdentityHeaders};
use contract::refusal::ErrorBody;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

const PATH: &str = "/v1/auth/cowork/pat";

/// The client gives up after 20 s in the middle of a session; we tell why before that.
const PATIENCE: Duration = Duration::from_secs(15);

/// Longest answer that is read.
const LARGEST: u64 = 256 * 1024;

/// What the client is printed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The token.
    pub token: String,
    /// Seconds it holds.
    pub ttl: u64,
    /// The seven identity headers.
    pub headers: IdentityHeaders,
}

/// A gateway and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Scheme, host and port.
    pub url: String,
    /// The authority that signed its certificate, PEM; the web's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

impl Gateway {
    /// Checks an address.
    ///
    /// # Errors
    /// [`Failure::Usage`]: a token goes over TLS, or does not leave this machine.
    pub fn new(url: &str, ca: Option<String>) -> Result<Self, Failure> {
        let usage = |text: &str| Err(Failure::Usage(format!("{url:?} {text}")));
        let url = url.trim_end_matches('/');
        let Ok(uri) = url.parse::<ureq::http::Uri>() else { return usage("is no address") };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return usage("is no address: write https://gateway.example.com");
        };
        if authority.as_str().contains('@') {
            return Err(Failure::Usage("the gateway's address must not hold a password".into()));
        }
        if !matches!(uri.path(), "" | "/") {
            return usage("has more than a host and a port");
        }
        match scheme {
            "https" => {}
            "http" if is_loopback(authority.host()) => {}
            _ => return usage("must be https (http only for this machine itself)"),
        }
        if ca.as_deref().is_some_and(|ca| certificates(ca).is_empty()) {
            return Err(Failure::Usage("the file given with --ca holds no PEM certificate".into()));
        }

        Ok(Self { url: url.to_owned(), ca })
    }

    /// A fresh token.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn mint(&self, pat: &Secret) -> Result<Answer, Failure> {
        let sent = self
            .agent()
            .post(format!("{}{PATH}", self.url))
            .header("authorization", format!("Bearer {}", pat.expose()))
            .send_empty();
        let mut response = sent.map_err(|source| self.unreachable(source))?;
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .with_config()
            .limit(LARGEST)
            .read_to_string()
            .map_err(|source| self.unreachable(source))?;
        match status {
            200 => self.understood(&text),
            401 | 403 => Err(Failure::Refused(message(&text))),
            _ => Err(Failure::Answer { gateway: self.url.clone(), status }),
        }
    }

    fn understood(&self, text: &str) -> Result<Answer, Failure> {
        let not = |why: &str| Failure::NotUnderstood { gateway: self.url.clone(), why: why.into() };
        // The parser's own words may quote the answer, and a token with it.
        let Ok(answer) = serde_json::from_str::<Answer>(text) else {
            return Err(not("it is not the JSON of a token"));
        };
        if answer.token.is_empty() || answer.ttl == 0 {
            return Err(not("it holds no token"));
        }
        if let Some(missing) = IDENTITY.iter().find(|name| !answer.headers.contains_key(**name)) {
            return Err(not(&format!("the header {missing} is missing")));
        }

        Ok(answer)
    }

    fn agent(&self) -> Agent {
        let roots = match &self.ca {
            Some(ca) => RootCerts::new_with_certs(&certificates(ca)),
            None => RootCerts::WebPki,
        };

        let mut config = Agent::config_builder();
        if self.is_here() {
            // No proxy of the environment's is asked the way to this machine itself, nor told the token.
            config = config.proxy(None);
        }

        config
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            // The token is for this gateway and not for where it points.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("tollgate-helper/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build()
            .into()
    }

    fn is_here(&self) -> bool {
        let uri = self.url.parse::<ureq::http::Uri>();

        uri.is_ok_and(|uri| uri.host().is_some_and(is_loopback))
    }

    fn unreachable(&self, source: ureq::Error) -> Failure {
        Failure::Unreachable { gateway: self.url.clone(), source: Box::new(source) }
    }
}

/// Names below `localhost` are not: some systems ask the network for them.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');

    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn certificates(pem: &str) -> Vec<ureq::tls::Certificate<'static>> {
    parse_pem(pem.as_bytes())
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

/// The gateway's own sentence, without what could move a terminal's cursor.
fn message(text: &str) -> String {
    let message = match serde_json::from_str::<ErrorBody<'_>>(text) {
        Ok(body) => body.error.message.to_owned(),
        Err(_) => "it does not say why".to_owned(),
    };

    message.chars().filter(|sign| !sign.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_tls_or_stays_on_this_machine() {
        for good in [
            "https://gateway.example.com",
            "https://gateway.example.com:8443/",
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://[::1]:8080",
        ] {
            assert!(Gateway::new(good, None).is_ok(), "{good}");
        }
        for bad in [
            "",
            "gateway.example.com",
            "http://gateway.example.com",
            "http://localhost.example.com",
            "http://gateway.localhost",
            "ftp://localhost",
            "https://user:secret@gateway.example.com",
            "https://gateway.example.com/path",
        ] {
            assert!(Gateway::new(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_without_a_certificate_is_no_authority() {
        assert!(Gateway::new("https://localhost", Some("hello".into())).is_err());
    }
}
