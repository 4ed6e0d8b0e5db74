//! Where a sink is.

use axum::http::Uri;
use std::fmt;
use std::net::IpAddr;

/// An address that may be called: `https`, or this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// With TLS?
    pub tls: bool,
    /// Name or number.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub target: String,
    /// Is the target the credential?
    pub secret: bool,
}

impl Address {
    /// Reads one. Nothing of it is repeated in what is said against it: it may be a secret.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, secret: bool) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().or(Err("is no URL"))?;
        let authority = uri.authority().ok_or("is no URL with a host")?;
        if authority.as_str().contains('@') {
            return Err("must not hold a user or password: put the credential into token_file");
        }
        if text.contains('#') || uri.query().is_some() && !secret {
            return Err("must be without query and fragment");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_here(&host) => false,
            _ => return Err("must be https; http is for a receiver on this machine alone"),
        };
        if host.is_empty() {
            return Err("is without a host");
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();

        Ok(Self { tls, host, port, target, secret })
    }

    /// With the path that the vendor documents, unless it is there.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        if !self.target.ends_with(path) {
            self.target = format!("{}{path}", self.target.trim_end_matches('/'));
        }

        self
    }

    /// As `host` names it (RFC 9110 §7.2).
    pub fn authority(&self) -> String {
        let usual = if self.tls { 443 } else { 80 };
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };

        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

/// The path may be a secret.
impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.authority())
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_encrypted_or_here_is_called_and_no_credential_stands_in_it() {
        for good in ["https://splunk.example:8088", "http://127.0.0.1:1", "http://localhost/x"] {
            assert!(Address::parse(good, false).is_ok(), "{good}");
        }
        for bad in [
            "http://splunk.example",
            "ftp://localhost",
            "localhost:1",
            "https://user:hunter2@splunk.example",
            "https://token@splunk.example",
            "https://splunk.example/?token=hunter2",
            "https://splunk.example/#hunter2",
            "http://127.0.0.1.example/",
            "/path",
            "",
        ] {
            let why = Address::parse(bad, false).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn the_documented_path_is_put_behind_a_prefix_and_not_twice() {
        let at = |text| Address::parse(text, false).unwrap().with_path("/_bulk").target;

        assert_eq!(at("https://e"), "/_bulk");
        assert_eq!(at("https://e/"), "/_bulk");
        assert_eq!(at("https://e/elastic"), "/elastic/_bulk");
        assert_eq!(at("https://e/elastic/_bulk"), "/elastic/_bulk");
    }

    #[test]
    fn its_debug_output_does_not_tell_the_path() {
        let address =
            Address::parse("https://sumo.example/receiver/v1/http/hunter2", true).unwrap();

        assert_eq!(format!("{address:?}"), "sumo.example");
        assert_eq!(Address::parse("https://[::1]:9/", false).unwrap().authority(), "[::1]:9");
    }
}
