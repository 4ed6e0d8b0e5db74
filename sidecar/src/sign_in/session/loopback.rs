//! The address of a program on the person's own computer (RFC 8252 §7.3). Nothing else is ever sent a code.

use std::net::{Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// The path that programs wait at.
const PATH: &str = "/callback";

/// An address that may get a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loopback {
    url: Url,
    text: String,
}

impl Loopback {
    /// Reads one: `http://127.0.0.1:PORT/callback` or `http://[::1]:PORT/callback`, in just this form. A name such
    /// as `localhost` can be made to mean another machine (RFC 8252 §8.3).
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = match url.host()? {
            Host::Ipv4(Ipv4Addr::LOCALHOST) => "127.0.0.1",
            Host::Ipv6(Ipv6Addr::LOCALHOST) => "[::1]",
            _ => return None,
        };
        let port = url.port()?;
        // What a parser reads leniently, another may read otherwise: only the one form is taken.
        let form = format!("http://{host}:{port}{PATH}");

        (text == form).then_some(Self { url, text: form })
    }

    /// As it was sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the program listens.
    pub fn port(&self) -> u16 {
        self.url.port().unwrap_or_default()
    }

    /// With these in its query.
    pub fn with(&self, pairs: &[(&str, &str)]) -> String {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(pairs);

        url.into()
    }

    /// What a form may lead to, as the content security policy names it. It has no words for IPv6 addresses.
    pub fn source(&self) -> String {
        match self.url.host() {
            Some(Host::Ipv4(_)) => format!("http://127.0.0.1:{}", self.port()),
            _ => "http:".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_computer_in_one_form_gets_a_code() {
        for good in ["http://127.0.0.1:49152/callback", "http://[::1]:1024/callback"] {
            assert_eq!(Loopback::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "https://127.0.0.1:1024/callback",
            "http://localhost:1024/callback",
            "http://127.0.0.1/callback",
            "http://127.0.0.1:80/callback",
            "http://127.0.0.1:1024/",
            "http://127.0.0.1:1024/callback/",
            "http://127.0.0.1:1024/callback/../x",
            "http://127.0.0.1:1024/Callback",
            "http://127.0.0.1:1024/callback?x=1",
            "http://127.0.0.1:1024/callback#x",
            "http://127.0.0.1:1024@evil.example/callback",
            "http://ann@127.0.0.1:1024/callback",
            "http://127.0.0.1:1024\\@evil.example/callback",
            "http://evil.example:1024/callback",
            "http://127.0.0.1.evil.example:1024/callback",
            "http://127.0.0.2:1024/callback",
            "http://127.1:1024/callback",
            "http://2130706433:1024/callback",
            "http://0x7f.1:1024/callback",
            "http://[::ffff:127.0.0.1]:1024/callback",
            "http://[0:0:0:0:0:0:0:1]:1024/callback",
            "http://0.0.0.0:1024/callback",
            "http://127.0.0.1:01024/callback",
            " http://127.0.0.1:1024/callback",
            "http://127.0.0.1:1024/call\tback",
            "HTTP://127.0.0.1:1024/callback",
            "javascript:alert(1)",
            "",
        ] {
            assert_eq!(Loopback::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_added_to_the_query_cannot_leave_it() {
        let loopback = Loopback::parse("http://127.0.0.1:1024/callback").unwrap();

        let url = loopback.with(&[("code", "a b"), ("state", "x&iss=evil#\r\n")]);

        assert_eq!(url, "http://127.0.0.1:1024/callback?code=a+b&state=x%26iss%3Devil%23%0D%0A");
    }
}
