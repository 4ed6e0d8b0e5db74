//! Addresses of remote MCP servers, compared so that one server has one spelling.

use std::borrow::Cow;
use thiserror::Error;

/// Why an address is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not `https`.
    #[error("the address must begin with https://")]
    Scheme,
    /// Something that can hide where it leads: a user, a fragment, a backslash, an escape.
    #[error(
        "the address has a user, a fragment, an escape or a character that addresses do not have"
    )]
    Character,
    /// No host, or none that is one.
    #[error("the address has no host")]
    Host,
    /// `.` or `..` in the path, or an empty segment.
    #[error("the path has a segment that is empty or made of dots")]
    Path,
    /// A `*` elsewhere than at the end, behind a slash.
    #[error("a * may only stand at the end, behind a slash")]
    Star,
}

/// The one spelling of an address: host in lower case, no port where it is 443, a path always. What
/// could be read in two ways is refused, not repaired.
///
/// # Errors
/// [`AddressError`].
pub fn normalise(url: &str) -> Result<String, AddressError> {
    let scheme = url.get(..8).ok_or(AddressError::Scheme)?;
    if !scheme.eq_ignore_ascii_case("https://") {
        return Err(AddressError::Scheme);
    }
    let rest = url.get(8..).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:?=&,;+$!()[]".contains(&byte);
    if !rest.bytes().all(plain) {
        return Err(AddressError::Character);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(AddressError::Host)?;
    let (name, port) = port_of(authority)?;
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    let inner = path.strip_prefix('/').unwrap_or_default();
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let odd = |segment: &str| segment.is_empty() || segment.bytes().all(|byte| byte == b'.');
    if !inner.is_empty() && inner.split('/').any(odd) {
        return Err(AddressError::Path);
    }
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();

    Ok(format!("https://{}{port}{path}{query}", name.to_ascii_lowercase()))
}

/// Host and port, the port only where it is not 443.
fn port_of(authority: &str) -> Result<(&str, Option<u16>), AddressError> {
    let bracketed = authority.starts_with('[');
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !bracketed || name.ends_with(']') => {
            (name, Some(port.parse::<u16>().or(Err(AddressError::Host))?))
        }
        _ => (authority, None),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let good = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.bytes().all(fits),
    };
    let dotted = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    if name.is_empty() || !good || dotted {
        return Err(AddressError::Host);
    }

    Ok((name, port.filter(|port| *port != 443)))
}

/// A managed address in its one spelling, with its `/*` if it has one.
///
/// # Errors
/// [`AddressError`].
pub fn normalise_pattern(url: &str) -> Result<String, AddressError> {
    let (address, star) = match url.strip_suffix("/*") {
        Some(address) => (Cow::Owned(format!("{address}/")), "*"),
        None => (Cow::Borrowed(url), ""),
    };
    if address.contains('*') {
        return Err(AddressError::Star);
    }

    Ok(format!("{}{star}", normalise(&address)?))
}

/// Is a normalised address meant by a normalised pattern?
pub fn matches(pattern: &str, address: &str) -> bool {
    if let Some(beginning) = pattern.strip_suffix('*') {
        // `https://host/*` means `https://host/` and all below it, and of a folder itself too.
        return address.starts_with(beginning)
            || beginning.strip_suffix('/').is_some_and(|folder| folder == address);
    }
    // A slash at the end makes no other server.
    let bare = |text: &'_ str| text.strip_suffix('/').unwrap_or(text).len();

    pattern.get(..bare(pattern)) == address.get(..bare(address))
}

/// Are the tools of the server at a normalised address named by a rule with this normalised pattern?
/// A query makes no other server of it, as far as its tools go.
pub fn names(pattern: &str, address: &str) -> bool {
    let bare = address.split('?').next().unwrap_or_default();

    matches(pattern, address) || matches(pattern, bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn one_server_has_one_spelling() {
        for url in [
            "https://mcp.example.com/v1/mcp",
            "HTTPS://MCP.Example.COM/v1/mcp",
            "https://mcp.example.com:443/v1/mcp",
        ] {
            assert_eq!(normalise(url).unwrap(), "https://mcp.example.com/v1/mcp", "{url}");
        }
        assert_eq!(normalise("https://mcp.example.com").unwrap(), "https://mcp.example.com/");
        assert_eq!(normalise("https://h.example:8443/a").unwrap(), "https://h.example:8443/a");
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for url in [
            "http://mcp.example.com/",
            "mcp.example.com",
            "https://mcp.example.com@evil.example/",
            "https://evil.example#mcp.example.com",
            "https://mcp.example.com\\@evil.example/",
            "https://mcp.example.com/a/../b",
            "https://mcp.example.com/a/%2e%2e/b",
            "https://mcp.example.com//a",
            "https://mcp.example.com./a",
            "https://mcp.example.com:99999/",
            "https:///a",
            "https://mcp.exаmple.com/", // a Cyrillic letter
            "https://mcp.example.com/\n",
            "https://[::1/a",
            "",
        ] {
            assert!(normalise(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_pattern_means_one_address_or_a_folder() {
        let fits = |pattern: &str, url: &str| {
            matches(&normalise_pattern(pattern).unwrap(), &normalise(url).unwrap())
        };

        assert!(fits("https://a.example/mcp", "https://a.example/mcp/"));
        assert!(fits("https://a.example/*", "https://a.example/mcp?x=1"));
        assert!(fits("https://a.example/mcp/*", "https://a.example/mcp"));
        assert!(!fits("https://a.example/mcp", "https://a.example/mcp2"));
        assert!(!fits("https://a.example/mcp/*", "https://a.example/mcp2"));
        assert!(!fits("https://a.example/*", "https://a.example.evil.example/"));
        assert!(!fits("https://a.example/*", "https://a.example:8443/"));
        assert_eq!(normalise_pattern("https://*.example/"), Err(AddressError::Star));
        assert_eq!(normalise_pattern("https://a.example*"), Err(AddressError::Star));
    }
}
