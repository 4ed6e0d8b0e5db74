//! How texts are made that name something: addresses, paths, ids.

use super::keys::Format;
use url::{Host, Url};

/// Is the text made so?
///
/// # Errors
/// What is wrong and what would be right. A credential in an address is not told again.
pub fn check(format: Format, text: &str) -> Result<(), String> {
    let hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match format {
        Format::HttpsUrl => address(text, false),
        Format::Url => address(text, true),
        Format::AbsolutePath if is_absolute(text) => Ok(()),
        Format::AbsolutePath => Err(format!(
            "is {text:?}, and an absolute path belongs here: /usr/local/bin/x or C:\\x.exe"
        )),
        Format::Uuid if uuid(text) => Ok(()),
        Format::Uuid => Err("is no UUID, such as 123e4567-e89b-42d3-a456-426614174000".to_owned()),
        Format::HostPattern => host_pattern(text),
        Format::Sha256 if hex(text, 64) => Ok(()),
        Format::Sha256 => Err("is no SHA-256, 64 hexadecimal digits".to_owned()),
        Format::Color if text.strip_prefix('#').is_some_and(|rest| hex(rest, 6)) => Ok(()),
        Format::Color => Err(format!("is {text:?}, and a colour belongs here: #F5F5F5")),
        Format::AwsAccount if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(())
        }
        Format::AwsAccount => Err("is no AWS account: twelve digits, in quotes".to_owned()),
    }
}

/// From the root of a file system, of whichever system.
pub fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || is_windows(path)
}

/// From the root of one of Windows'.
pub fn is_windows(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
        || path.starts_with("\\\\")
}

fn uuid(text: &str) -> bool {
    let mut parts = text.split('-');
    let lengths = [8, 4, 4, 4, 12];

    lengths.iter().all(|length| {
        parts.next().is_some_and(|part| {
            part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }) && parts.next().is_none()
}

fn address(text: &str, plain_http: bool) -> Result<(), String> {
    let Ok(url) = Url::parse(text) else {
        return Err("is no address, such as https://gateway.example.com".to_owned());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "has a credential in it, and the client refuses such addresses: take it out".to_owned()
        );
    }
    if url.host().is_none() {
        return Err(format!("is {text:?}, and names no host"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if plain_http || is_here(&url) => Ok(()),
        _ => {
            let but = if plain_http {
                "http:// or https://"
            } else {
                "https:// (http:// only to 127.0.0.1)"
            };
            Err(format!("is {text:?}, and {but} belongs before it"))
        }
    }
}

/// This machine itself.
pub fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn host_pattern(text: &str) -> Result<(), String> {
    let wrong = || {
        Err(format!(
            "is {text:?}, and a host belongs here: api.example.com, *.example.com, *, each with :PORT if need be"
        ))
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return wrong();
    }
    let bare = host.strip_prefix("*.").unwrap_or(host);
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host == "*" || bare.split('.').all(label) { Ok(()) } else { wrong() }
}
