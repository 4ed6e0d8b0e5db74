//! Jobs, by the identity that their platform gives them: a CI run of GitHub's, a pod of Kubernetes.
//!
//! The platform signs a short-lived token that says which job it is (`OpenID` Connect). Whoever holds one that
//! this gateway was meant for (`aud`) and that is of a job named in `identity.yaml` (`sub`, other claims) gets a
//! token of ours for it ([`crate::sign_in::exchange`]). No secret is kept anywhere.

use crate::identity::Workload;
use crate::store::User;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::envelope::hex;
use issuer::{Issuer, IssuerError};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

pub mod fetch;
pub mod issuer;
pub mod keys;
pub mod pattern;

/// Seconds that a platform's clock may differ by, for what is not yet. What is over is over: what is minted
/// lives no longer than what it is minted from, so nothing would be left of it.
pub const SKEW: u64 = 60;

/// Oldest token that is exchanged, seconds since it was issued, whatever its `exp` says.
const OLDEST: u64 = 24 * 3600;

/// Longest token that is looked at.
pub const LONGEST: usize = 16 * 1024;

/// Why a token is not exchanged: a word for the row. The client is told no more than that it is not.
pub type Why = &'static str;

/// The claims of a token whose signature is good.
pub type Claims = Map<String, Value>;

/// A job that has proved which it is.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// Which.
    pub workload: &'a Workload,
    /// Unix seconds: when its own token is over.
    pub expires_at: u64,
    /// What the token says it is.
    pub subject: String,
    /// Names the token, where it may be exchanged only once.
    pub once: Option<String>,
}

/// Why nobody knows.
#[derive(Debug)]
pub enum Unproven {
    /// It is not what it must be.
    Refused(Why),
    /// The issuer does not answer, and its keys that are known here do not help.
    Away,
}

/// All workloads, and the issuers that vouch for them.
#[derive(Debug, Default)]
pub struct Workloads {
    workloads: Vec<Workload>,
    issuers: BTreeMap<String, Arc<Issuer>>,
}

impl Workloads {
    /// Asks every issuer for its keys.
    ///
    /// # Errors
    /// [`IssuerError`]: one that cannot be had now would refuse every job later.
    pub async fn start(workloads: &[Workload]) -> Result<Self, IssuerError> {
        let mut issuers = BTreeMap::new();
        for it in workloads {
            if !issuers.contains_key(&it.issuer) {
                let issuer = Issuer::start(&it.issuer, it.ca.as_deref()).await?;
                issuers.insert(it.issuer.clone(), Arc::new(issuer));
            }
        }

        Ok(Self { workloads: workloads.to_vec(), issuers })
    }

    /// Which job is this the token of?
    ///
    /// # Errors
    /// [`Unproven`].
    pub async fn prove(&self, token: &str, now: u64) -> Result<Job<'_>, Unproven> {
        if token.len() > LONGEST {
            return Err(Unproven::Refused("too_long"));
        }
        // Not believed yet: it only says whose keys to try.
        let named = payload(token).ok_or(Unproven::Refused("malformed"))?;
        let named = named.get("iss").and_then(Value::as_str).unwrap_or_default();
        let issuer = self.issuers.get(named).ok_or(Unproven::Refused("issuer"))?;
        let claims = issuer.verify(token).await?;

        self.job(&claims, now).map_err(Unproven::Refused)
    }

    /// The first workload of the configuration that this is; or why it is none, of the last that came near.
    fn job(&self, claims: &Claims, now: u64) -> Result<Job<'_>, Why> {
        let issuer = text(claims, "iss").ok_or("issuer")?;
        let expires_at = times(claims, now)?;
        let mut why = "issuer";
        for workload in self.workloads.iter().filter(|it| it.issuer == issuer) {
            match matches(workload, claims) {
                Ok(subject) => {
                    let once = workload.once.then(|| once(issuer, claims)).transpose()?;
                    return Ok(Job { workload, expires_at, subject, once });
                }
                Err(found) => why = found,
            }
        }

        Err(why)
    }
}

/// When it is over. It must say when it was issued and when it ends.
fn times(claims: &Claims, now: u64) -> Result<u64, Why> {
    let issued = seconds(claims, "iat").ok_or("iat")?;
    let expires = seconds(claims, "exp").ok_or("exp")?;
    let from = match claims.get("nbf") {
        Some(_) => seconds(claims, "nbf").ok_or("nbf")?,
        None => 0,
    };
    if expires <= now {
        return Err("expired");
    }
    if issued.max(from) > now.saturating_add(SKEW) {
        return Err("early");
    }
    if issued.saturating_add(OLDEST) < now {
        return Err("old");
    }

    Ok(expires)
}

/// Is it this workload's? `aud` is one that is ours and no other (RFC 7519 §4.1.3 allows several: a token that
/// others are meant to get too, others could bring here).
fn matches(workload: &Workload, claims: &Claims) -> Result<String, Why> {
    let audience = match claims.get("aud") {
        Some(Value::String(one)) => Some(one.as_str()),
        Some(Value::Array(some)) => match some.as_slice() {
            [one] => one.as_str(),
            _ => None,
        },
        _ => None,
    };
    if audience != Some(&*workload.audience) {
        return Err("audience");
    }
    let subject = text(claims, "sub").ok_or("subject")?;
    if !workload.subjects.iter().any(|pattern| pattern::matches(pattern, subject)) {
        return Err("subject");
    }
    let whole = Value::Object(claims.clone());
    for (pointer, wanted) in &workload.claims {
        let said = match whole.pointer(pointer) {
            Some(Value::String(said)) => said.clone(),
            Some(said @ (Value::Bool(_) | Value::Number(_))) => said.to_string(),
            _ => return Err("claims"),
        };
        if said != *wanted {
            return Err("claims");
        }
    }

    Ok(subject.to_owned())
}

/// Names a token for ever, in a form that has one length.
fn once(issuer: &str, claims: &Claims) -> Result<String, Why> {
    let id = text(claims, "jti").filter(|id| !id.is_empty()).ok_or("jti")?;

    Ok(hex(&Sha256::digest(format!("{issuer}\0{id}"))))
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// A `NumericDate` (RFC 7519 §2), which may have a fraction.
fn seconds(claims: &Claims, name: &str) -> Option<u64> {
    let value = claims.get(name)?;
    if let Some(whole) = value.as_u64() {
        return Some(whole);
    }
    // A fraction is below one second; beyond 2^53 there is no date.
    let float = value.as_f64().filter(|float| (0.0..9e15).contains(float))?;

    format!("{:.0}", float.floor()).parse().ok()
}

/// What a token says, whoever made it.
pub fn payload(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };

    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The user that a workload acts as: `access revoke user service:NAME` stops it.
pub fn user(workload: &Workload, created_at: u64) -> User {
    let user_id = format!("service:{}", workload.id);

    User {
        sub: user_id.clone(),
        user_id,
        name: Some(workload.id.clone()),
        tenant_id: workload.tenant.clone(),
        department: workload.department.clone(),
        cost_centre: workload.cost_centre.clone(),
        groups: workload.groups.clone(),
        roles: Vec::new(),
        populations: workload.populations.clone(),
        region: workload.region.clone(),
        created_at,
        disabled_at: None,
    }
}

#[cfg(test)]
mod tests;
