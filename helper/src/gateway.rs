//! A gateway, and what is asked of it: which ways to sign in it takes, and a short token for each
//! of them (`/v1/auth/cowork/…`).

pub mod wire;

use crate::failure::Failure;
use contract::headers::IdentityHeaders;
use serde::{Deserialize, Serialize};
use ureq::http::Uri;

/// A way to get a token, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The device's certificate.
    Mtls,
    /// A session, from a sign-in in the browser.
    Session,
    /// A personal access token.
    Pat,
}

impl Mode {
    /// All of them, strongest first.
    pub const ALL: [Self; 3] = [Self::Mtls, Self::Session, Self::Pat];

    /// Its name, as the gateway writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mtls => "mtls",
            Self::Session => "session",
            Self::Pat => "pat",
        }
    }
}

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

/// A gateway and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Scheme, host and port.
    pub url: String,
    /// The authority that signed its certificate: a path or the PEM itself; whom the system
    /// believes where absent.
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
        let Ok(uri) = url.parse::<Uri>() else { return usage("is no address") };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return usage("is no address: write https://gateway.example.com");
        };
        if authority.as_str().contains('@') {
            return Err(Failure::Usage("the gateway's address must not hold a password".into()));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return usage("has more than a host and a port");
        }
        match scheme {
            "https" => {}
            "http" if is_loopback(authority.host()) => {}
            _ => return usage("must be https (http only for this machine itself)"),
        }

        Ok(Self { url: url.to_owned(), ca })
    }

    /// Its address, taken apart.
    pub fn uri(&self) -> Uri {
        self.url.parse().unwrap_or_default()
    }

    /// Its host, as the address writes it.
    pub fn host(&self) -> String {
        self.uri().host().unwrap_or_default().to_owned()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        let uri = self.uri();
        let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };

        uri.port_u16().unwrap_or(usual)
    }

    /// Whether it is on this machine.
    pub fn is_here(&self) -> bool {
        is_loopback(&self.host())
    }
}

/// Names below `localhost` are not: some systems ask the network for them.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');

    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
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
            "https://gateway.example.com?query",
        ] {
            assert!(Gateway::new(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_without_a_certificate_is_no_authority() {
        assert!(crate::line::authority("-----BEGIN hello").is_err());
    }
}
