//! Whether the file makes sense: what types cannot say.

use super::{ClaimsMap, GroupsFrom, Identity, Provider, SCHEMA, SecretAt, Sessions, Workload};
use crate::siem::secret::Secret;
use crate::siem::tls;
use crate::users::header_safe;
use contract::policy::Fault;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use url::{Host, Url};

/// Roles that operators have.
pub const ROLES: &[&str] = &["platform", "security", "endpoint", "soc", "finance", "auditor"];

/// Parameters of a request to sign in that are not the configuration's.
const OURS: &[&str] = &[
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "login_hint",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// Shortest and longest that a session may last, seconds.
const AGES: std::ops::RangeInclusive<u64> = 300..=30 * 86_400;

/// Longest wait that slows guessing, seconds.
const LONGEST_WAIT: u64 = 86_400;

/// Every fault.
pub fn check(identity: &Identity) -> Vec<Fault> {
    let mut faults = Faults::default();
    if identity.schema != SCHEMA {
        faults.add("schema", format!("must be {SCHEMA}"));
    }
    match &identity.public_url {
        Some(url) => {
            if let Err(why) = public_url(url) {
                faults.add("public_url", why);
            }
        }
        None if !identity.providers.is_empty() => {
            faults.add("public_url", "is missing: providers send browsers back to it");
        }
        None => {}
    }
    faults.unique("providers", identity.providers.iter().map(|one| &*one.id));
    for (nth, provider) in identity.providers.iter().enumerate() {
        faults.provider(&format!("providers[{nth}]"), provider);
    }
    faults.sessions(&identity.sessions);
    faults.unique("workloads", identity.workloads.iter().map(|one| &*one.id));
    for (nth, workload) in identity.workloads.iter().enumerate() {
        faults.workload(&format!("workloads[{nth}]"), workload);
    }
    let mut seen = BTreeSet::new();
    for (nth, operator) in identity.operators.iter().enumerate() {
        if operator.user.is_empty() || !seen.insert(&operator.user) {
            faults.add(format!("operators[{nth}].user"), "is empty, or stands there twice");
        }
    }
    if identity.attempts.longest == 0 || identity.attempts.longest > LONGEST_WAIT {
        faults.add("attempts.longest", "must be from 1s to 1d");
    }

    faults.0
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Fault { place: place.into(), problem: problem.into() });
    }

    fn unique<'a>(&mut self, list: &str, ids: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for (nth, id) in ids.enumerate() {
            let plain =
                id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if id.is_empty() || id.len() > 64 || !plain {
                let problem = "must be 1 to 64 letters, digits, dashes, dots or underscores";
                self.add(format!("{list}[{nth}].id"), problem);
            }
            if !seen.insert(id) {
                self.add(format!("{list}[{nth}].id"), format!("{id:?} stands there twice"));
            }
        }
    }

    fn provider(&mut self, place: &str, provider: &Provider) {
        self.url(&format!("{place}.issuer"), &provider.issuer);
        self.filled(&format!("{place}.client_id"), &provider.client_id);
        self.word(&format!("{place}.tenant"), &provider.tenant);
        if let Some(secret) = &provider.client_secret
            && let Err(why) = client_secret(secret)
        {
            self.add(format!("{place}.client_secret"), why);
        }
        self.authority(&format!("{place}.ca"), provider.ca.as_deref());
        for (nth, domain) in provider.domains.iter().enumerate() {
            if !is_domain(domain) {
                let problem = "is no e-mail domain in lower case, such as example.com";
                self.add(format!("{place}.domains[{nth}]"), problem);
            }
        }
        for (nth, scope) in provider.scopes.iter().enumerate() {
            if scope.is_empty() || !scope.bytes().all(|byte| byte.is_ascii_graphic()) {
                self.add(format!("{place}.scopes[{nth}]"), "is no scope (RFC 6749 §3.3)");
            }
        }
        for name in provider.parameters.keys().filter(|name| OURS.contains(&&***name)) {
            let problem = "is this gateway's to say";
            self.add(format!("{place}.parameters.{name}"), problem);
        }
        self.claims(&format!("{place}.claims"), &provider.claims);
    }

    fn claims(&mut self, place: &str, claims: &ClaimsMap) {
        for (name, pointers) in [
            ("email", &claims.email),
            ("name", &claims.name),
            ("tenant", &claims.tenant),
            ("department", &claims.department),
            ("cost_centre", &claims.cost_centre),
            ("region", &claims.region),
            ("populations", &claims.populations),
            ("groups", &claims.groups),
        ] {
            for (nth, pointer) in pointers.iter().enumerate() {
                self.pointer(&format!("{place}.{name}[{nth}]"), pointer);
            }
        }
        if claims.tenant.is_empty() != claims.tenants.is_empty() {
            let problem = "and tenant need each other: a claim, and what it may say";
            self.add(format!("{place}.tenants"), problem);
        }
        for (said, tenant) in &claims.tenants {
            self.word(&format!("{place}.tenants.{said}"), tenant);
        }
        match (&claims.groups_url, claims.groups_from) {
            (Some(url), _) => self.url(&format!("{place}.groups_url"), url),
            (None, GroupsFrom::Lookup) => {
                self.add(format!("{place}.groups_url"), "is missing: where groups are looked up");
            }
            (None, _) => {}
        }
        for (group, role) in &claims.roles {
            if !ROLES.contains(&&**role) {
                let problem = format!("must be one of {}", ROLES.join(", "));
                self.add(format!("{place}.roles.{group}"), problem);
            }
        }
    }

    fn sessions(&mut self, sessions: &Sessions) {
        for (name, value) in [("max_age", sessions.max_age), ("idle", sessions.idle)] {
            if !AGES.contains(&value) {
                self.add(format!("sessions.{name}"), "must be from 5m to 30d");
            }
        }
        if sessions.outage_grace > *AGES.end() {
            self.add("sessions.outage_grace", "must be 30d at most; 0s for never");
        }
    }

    fn workload(&mut self, place: &str, workload: &Workload) {
        self.url(&format!("{place}.issuer"), &workload.issuer);
        self.authority(&format!("{place}.ca"), workload.ca.as_deref());
        self.filled(&format!("{place}.audience"), &workload.audience);
        self.word(&format!("{place}.tenant"), &workload.tenant);
        for (name, value) in [("department", &workload.department), ("region", &workload.region)] {
            if let Some(value) = value {
                self.word(&format!("{place}.{name}"), value);
            }
        }
        for (nth, subject) in workload.subjects.iter().enumerate() {
            if subject.chars().all(|sign| "*:/".contains(sign)) {
                let problem = "would let every job of the platform in: name whose";
                self.add(format!("{place}.subjects[{nth}]"), problem);
            }
        }
        for pointer in workload.claims.keys() {
            self.pointer(&format!("{place}.claims.{pointer}"), pointer);
        }
    }

    fn url(&mut self, place: &str, text: &str) {
        if let Err(why) = secure_url(text) {
            self.add(place, why);
        }
    }

    fn filled(&mut self, place: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(place, "is empty");
        }
    }

    fn word(&mut self, place: &str, word: &str) {
        if let Err(why) = header_safe(word) {
            self.add(place, why.to_string());
        }
    }

    fn pointer(&mut self, place: &str, pointer: &str) {
        let escapes = pointer.split('~').skip(1);
        let sound = pointer.starts_with('/')
            && escapes.into_iter().all(|rest| rest.starts_with(['0', '1']));
        if !sound {
            let problem = "is no JSON pointer (RFC 6901), such as /email or /a~1b/0";
            self.add(place, problem);
        }
    }

    fn authority(&mut self, place: &str, ca: Option<&Path>) {
        if let Some(path) = ca
            && let Err(why) = tls::roots(Some(path))
        {
            self.add(place, why.to_string());
        }
    }
}

fn client_secret(at: &SecretAt) -> Result<(), String> {
    secret(at).map(drop)
}

/// Reads a secret.
///
/// # Errors
/// What is wrong with where it is; what it says is not told.
pub fn secret(at: &SecretAt) -> Result<String, String> {
    match (&at.file, &at.env) {
        (Some(path), None) => match Secret::read(path) {
            Ok(secret) => Ok(secret.expose().to_owned()),
            Err(why) => Err(why.to_string()),
        },
        (None, Some(name)) => match std::env::var(name) {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            _ => Err(format!("the environment has no {name}")),
        },
        _ => Err("needs either file or env".to_owned()),
    }
}

/// An address that may be called: `https`, or this machine; without user, query and fragment.
///
/// # Errors
/// What is wrong with it. Nothing of it is repeated: it may hold a secret.
pub fn secure_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).or(Err("is no URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password");
    }
    if url.fragment().is_some() {
        return Err("must be without a fragment");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here(&url) => Ok(url),
        _ => Err("must be https; http is for this machine alone"),
    }
}

/// Where people reach the gateway.
///
/// # Errors
/// What is wrong with it.
pub fn public_url(text: &str) -> Result<Url, &'static str> {
    let url = secure_url(text)?;
    if url.path() != "/" || url.query().is_some() {
        return Err("must be without path and query: the gateway has paths of its own");
    }

    Ok(url)
}

/// Is it on this machine?
pub fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

fn is_domain(text: &str) -> bool {
    let labels = || text.split('.');
    let plain = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };

    text.len() <= 253 && labels().count() > 1 && labels().all(plain)
}
