//! The way to the gateway, step by step: proxy, name, TLS, who answers, and what time it is there.

use super::Finding;
use super::private::is_private;
use crate::cache;
use crate::config::Config;
use crate::context::Deadline;
use crate::gateway::Gateway;
use crate::gateway::wire::Caller;
use crate::line::Line;
use rustls::CertificateError;
use serde_json::Value;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, UNIX_EPOCH};
use ureq::Body;
use ureq::http::Response;

/// Longest for all of it.
const PATIENCE: Duration = Duration::from_secs(15);

/// Longest for a connection to a proxy.
const CONNECT: Duration = Duration::from_secs(5);

/// What clocks may differ by; tokens hold with ten seconds of tolerance.
const SKEW: u64 = 10; // seconds

/// The document that only a Tollgate gateway has.
const CAPABILITIES: &str = "/v1/auth/cowork/capabilities";

/// Longest answer that is read.
const LARGEST: u64 = 64 * 1024;

/// Looks at all of it.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let Some(gateway) = &config.gateway else { return Vec::new() };
    let line = Line { proxy: config.proxy.clone(), device: None };
    let (proxy, proxied) = proxy(&line, gateway, config.proxy.is_some());
    let mut findings = vec![proxy];
    if proxied {
        findings.push(Finding::skipped("dns", "the proxy resolves the name"));
        // Claude Code wants that of an HTTPS proxy in the way, too.
        let at = line.proxy_for(gateway).ok().flatten();
        let at = at.map(|proxy| addresses(proxy.host(), proxy.port()).unwrap_or_default());
        findings.push(private_address(&at.unwrap_or_default()));
    } else {
        findings.extend(names(gateway));
    }
    findings.extend(exchange(gateway, &line));

    findings
}

fn proxy(line: &Line, gateway: &Gateway, configured: bool) -> (Finding, bool) {
    let check = "proxy";
    let proxy = match line.proxy_for(gateway) {
        Ok(Some(proxy)) => proxy,
        Ok(None) => return (Finding::ok(check, "none is used"), false),
        Err(failure) => {
            let fault = Finding::fault(check, failure.to_string(), "mend `proxy`");
            return (fault, true);
        }
    };
    let from = if configured { "the configuration" } else { "the environment" };
    let at = (proxy.host().trim_matches(['[', ']']).to_owned(), proxy.port());
    let told = format!("{}:{}, from {from}", at.0, at.1);
    let reached = at
        .to_socket_addrs()
        .map_err(|error| error.to_string())
        .and_then(|mut all| all.next().ok_or_else(|| "it has no address".to_owned()))
        .and_then(|one| {
            TcpStream::connect_timeout(&one, CONNECT).map(drop).map_err(|error| error.to_string())
        });
    let finding = match reached {
        Ok(()) => Finding::ok(check, told),
        Err(why) => Finding::fault(
            check,
            format!("{told}, cannot be reached: {why}"),
            "mend `proxy` or HTTPS_PROXY; `proxy: none` or NO_PROXY goes round it",
        ),
    };

    (finding, true)
}

fn names(gateway: &Gateway) -> Vec<Finding> {
    let host = gateway.host();
    let bare = host.trim_matches(['[', ']']);
    let found = match addresses(bare, gateway.port()) {
        Ok(found) => found,
        Err(error) => {
            return vec![Finding::fault(
                "dns",
                format!("{bare} has no address: {error}"),
                "check the name in `gateway.url`, the network, and whether the VPN is up",
            )];
        }
    };
    let list = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");

    vec![Finding::ok("dns", format!("{bare} is {list}")), private_address(&found)]
}

fn addresses(host: &str, port: u16) -> io::Result<Vec<IpAddr>> {
    let bare = host.trim_matches(['[', ']']);

    Ok((bare, port).to_socket_addrs()?.map(|one| one.ip()).collect())
}

fn private_address(found: &[IpAddr]) -> Finding {
    match found.iter().find(|address| !is_private(**address)) {
        None if found.is_empty() => Finding::skipped("private_address", "no address is known"),
        None => Finding::ok("private_address", "all addresses are private"),
        Some(public) => Finding::warning(
            "private_address",
            format!("{public} is public; Claude Code's /login takes only private addresses"),
            "give the gateway a private name inside, or set `gatewayInternalNetworks` for Claude \
             Code; this helper itself does not mind",
        ),
    }
}

fn exchange(gateway: &Gateway, line: &Line) -> Vec<Finding> {
    let caller = match Caller::new(gateway, line, Deadline::within(PATIENCE), None) {
        Ok(caller) => caller,
        Err(failure) => {
            return vec![Finding::fault(
                "tls",
                failure.to_string(),
                "mend `gateway.ca`: a path to PEM, or the PEM itself",
            )];
        }
    };
    match caller.probe(CAPABILITIES) {
        Ok(response) => {
            let tls = if gateway.url.starts_with("http:") {
                Finding::skipped("tls", "none on this machine itself")
            } else {
                Finding::ok("tls", "the certificate is believed")
            };
            vec![tls, clock(&response), answer(gateway, response)]
        }
        Err(error) => vec![broken(gateway, &error)],
    }
}

/// What kept the line from standing.
fn broken(gateway: &Gateway, error: &ureq::Error) -> Finding {
    let (check, remedy) = match error {
        ureq::Error::Rustls(rustls::Error::InvalidCertificate(why)) => ("tls", certificate(why)),
        error if not_tls(gateway, error) => {
            ("tls", "is this port TLS at all, and is something in between that opens TLS?")
        }
        ureq::Error::ConnectProxyFailed(_) => {
            ("proxy", "the proxy refuses the way there: have the gateway's host allowed on it")
        }
        _ => ("connect", "check host and port in `gateway.url`, the firewall, and the VPN"),
    };

    Finding::fault(check, format!("{}: {error}", gateway.url), remedy)
}

/// Somebody is there, and hangs up or answers something else.
fn not_tls(gateway: &Gateway, error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        ureq::Error::Io(error) => {
            let broke = matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::InvalidData
            );
            broke && gateway.url.starts_with("https:")
        }
        _ => false,
    }
}

fn certificate(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the gateway's certificate has expired: tell its administrators (or this clock is wrong)"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the gateway's certificate does not hold yet: look at this machine's clock"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name: correct `gateway.url`"
        }
        CertificateError::UnknownIssuer => {
            "the authority is unknown: set `gateway.ca`, or have it installed on this system; if \
             a proxy opens TLS, its authority is the one"
        }
        _ => "the certificate is not believed: tell the gateway's administrators",
    }
}

fn clock(response: &Response<Body>) -> Finding {
    let check = "clock";
    let there = response
        .headers()
        .get("date")
        .and_then(|date| date.to_str().ok())
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .and_then(|date| date.duration_since(UNIX_EPOCH).ok())
        .map(|since| since.as_secs());
    let Some(there) = there else {
        return Finding::skipped(check, "the gateway's answer has no date");
    };
    let here = cache::now();
    let apart = here.abs_diff(there);
    if apart <= SKEW {
        return Finding::ok(check, format!("{apart} s from the gateway's"));
    }
    let side = if here > there { "ahead of" } else { "behind" };

    Finding::fault(
        check,
        format!("this clock is {apart} s {side} the gateway's"),
        "set this machine's clock by the network (NTP): tokens look expired, or not valid yet",
    )
}

fn answer(gateway: &Gateway, mut response: Response<Body>) -> Finding {
    let check = "answer";
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(LARGEST).read_to_string();
    let modes = text.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let modes = modes.as_ref().and_then(|told| told.get("modes")).and_then(Value::as_array);
    match (status, modes) {
        (200, Some(modes)) => {
            let names: Vec<_> = modes.iter().filter_map(Value::as_str).collect();
            Finding::ok(check, format!("a Tollgate gateway; it takes {}", names.join(", ")))
        }
        (502..=504, _) => Finding::fault(
            check,
            format!("{} answered {status}", gateway.url),
            "the gateway, or what is before it, is in trouble: try later, tell its administrators",
        ),
        _ => Finding::fault(
            check,
            format!("{} answered {status}, and not as a Tollgate gateway does", gateway.url),
            "correct `gateway.url`: another server is there, or a portal that wants a sign-in first",
        ),
    }
}
