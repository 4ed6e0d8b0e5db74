//! A person as a directory sends them, and what of it is kept: who they are, how they are reached, whether they
//! may call, and what routing and chargeback need. The rest of what directories hold about people (telephones,
//! addresses, managers) is read past and not kept.

use super::Fault;
use super::patch::member;
use crate::clock;
use crate::identity::Provider;
use crate::store::directory::{Person, PersonForm};
use crate::users::{self, header_safe};
use serde_json::{Map, Value, json};
use tracing::warn;

/// The core schema of people (RFC 7643 §4.1).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// Its extension for enterprises (RFC 7643 §4.3).
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// The core schema of groups (RFC 7643 §4.2).
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// Longest text that is kept, in characters.
const LONGEST: usize = 256;

/// Most addresses of somebody.
const ADDRESSES: usize = 16;

/// The domains whose people a tenant's directory may speak for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domains {
    own: Vec<String>,
    others: Vec<String>,
}

impl Domains {
    /// Those of the providers that speak for the tenant, whether for it alone or for several; and those that only
    /// others' speak for.
    pub fn of(providers: &[Provider], tenant: &str) -> Self {
        let (own, others): (Vec<_>, Vec<_>) = providers.iter().partition(|it| {
            it.tenant == tenant || it.claims.tenants.values().any(|it| it == tenant)
        });
        let domains = |some: Vec<&Provider>| {
            some.into_iter().flat_map(|it| it.domains.iter().cloned()).collect()
        };

        Self { own: domains(own), others: domains(others) }
    }

    /// A tenant whose providers name no domain has any that is no other's.
    fn have(&self, domain: &str) -> bool {
        let among = |some: &[String]| some.iter().any(|it| it.eq_ignore_ascii_case(domain));

        among(&self.own) || (self.own.is_empty() && !among(&self.others))
    }
}

/// What is kept of somebody, and what is made of it. Whether they are active stays as it `was` where it is not
/// said: who is out is let in by nothing but a word.
///
/// # Errors
/// [`Fault`]: it names nobody.
pub fn form(sent: &Value, domains: &Domains, was: bool) -> Result<PersonForm, Fault> {
    let user_name = text(sent, "userName")?.unwrap_or_default();
    if user_name.is_empty() {
        return Err(Fault::value("userName is missing"));
    }
    let emails = emails(sent)?;
    let email = address(&user_name, &emails)?;
    let domain = email.split_once('@').map(|(_, domain)| domain).unwrap_or_default();
    if !domains.have(domain) {
        return Err(Fault::value(format!("{domain} is no domain of this tenant")));
    }
    let active = member(sent, "active").map_or(Ok(was), truth)?;
    let mut kept = Map::new();
    let mut keep = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            kept.insert(name.to_owned(), value);
        }
    };
    keep("userName", Some(user_name.clone().into()));
    let external_id = text(sent, "externalId")?;
    keep("externalId", external_id.clone().map(Value::from));
    let display = text(sent, "displayName")?;
    keep("displayName", display.clone().map(Value::from));
    let name = parts(sent, "name", &["formatted", "givenName", "familyName"])?;
    keep("name", name.clone());
    keep("active", Some(active.into()));
    keep("emails", (!emails.is_empty()).then(|| emails.into()));
    let enterprise = parts(sent, ENTERPRISE, &["department", "costCenter"])?;
    keep(ENTERPRISE, enterprise.clone());
    let enterprise = enterprise.unwrap_or_default();

    Ok(PersonForm {
        resource: Value::Object(kept),
        user_name: user_name.to_lowercase(),
        external_id,
        email,
        active,
        name: display.or_else(|| whole(&name.unwrap_or_default())),
        department: travelling(&enterprise, "department"),
        cost_centre: said(&enterprise, "costCenter").map(ToOwned::to_owned),
    })
}

/// As a directory reads it.
pub fn shown(person: &Person, location: &str) -> Value {
    let mut shown = person.resource.as_object().cloned().unwrap_or_default();
    let mut schemas = vec![USER];
    if shown.contains_key(ENTERPRISE) {
        schemas.push(ENTERPRISE);
    }
    shown.insert("schemas".into(), schemas.into());
    shown.insert("id".into(), person.id.as_str().into());
    shown.insert(
        "meta".into(),
        json!({
            "resourceType": "User", "created": clock::readable(person.created_at),
            "lastModified": clock::readable(person.updated_at), "location": location,
            "version": super::etag(person.version),
        }),
    );

    Value::Object(shown)
}

/// The address that they sign in by: the primary one, the one at work, the first; or their name, where that is
/// one.
fn address(user_name: &str, emails: &[Value]) -> Result<String, Fault> {
    let primary = emails.iter().find(|it| it.get("primary") == Some(&Value::Bool(true)));
    let work = emails.iter().find(|it| said(it, "type").is_some_and(|it| it == "work"));
    let found = primary.or(work).or_else(|| emails.first());
    let found = found.and_then(|it| said(it, "value")).unwrap_or(user_name);
    let refuse = |_| Fault::value("neither emails nor userName has an e-mail address");

    let found = users::address(found).map_err(refuse)?;
    // Workloads are called so: no directory makes one.
    if found.starts_with("service:") {
        return Err(Fault::value("that is no person's address"));
    }

    Ok(found)
}

/// Addresses, of which one at most is the primary.
fn emails(sent: &Value) -> Result<Vec<Value>, Fault> {
    let some = match member(sent, "emails") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(some)) => some,
        Some(_) => return Err(Fault::value("emails is a list")),
    };
    if some.len() > ADDRESSES {
        return Err(Fault::value(format!("more than {ADDRESSES} emails")));
    }
    let mut kept = Vec::with_capacity(some.len());
    let mut primary = false;
    for one in some {
        let Some(value) = text(one, "value")?.filter(|value| !value.is_empty()) else { continue };
        let mut email = Map::from_iter([("value".to_owned(), Value::from(value))]);
        if let Some(kind) = text(one, "type")? {
            email.insert("type".into(), kind.to_lowercase().into());
        }
        let first = member(one, "primary").map_or(Ok(false), truth)? && !primary;
        if first {
            primary = true;
            email.insert("primary".into(), true.into());
        }
        kept.push(Value::Object(email));
    }

    Ok(kept)
}

/// The members of an object that are kept.
fn parts(sent: &Value, name: &str, names: &[&str]) -> Result<Option<Value>, Fault> {
    let Some(object) = member(sent, name).filter(|value| value.is_object()) else {
        return Ok(None);
    };
    let mut kept = Map::new();
    for name in names {
        if let Some(text) = text(object, name)? {
            kept.insert((*name).to_owned(), text.into());
        }
    }

    Ok((!kept.is_empty()).then_some(Value::Object(kept)))
}

/// A text of bounded length on one line.
pub fn text(sent: &Value, name: &str) -> Result<Option<String>, Fault> {
    match member(sent, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let text = text.trim();
            let fits = text.chars().count() <= LONGEST && !text.chars().any(char::is_control);
            if fits {
                Ok(Some(text.to_owned()))
            } else {
                Err(Fault::value(format!("{name} is too long")))
            }
        }
        Some(_) => Err(Fault::value(format!("{name} is a text"))),
    }
}

/// `true`, or as text.
fn truth(value: &Value) -> Result<bool, Fault> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Fault::value("true or false belongs there")),
    }
}

fn said<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// The name of somebody who has it in parts.
fn whole(name: &Value) -> Option<String> {
    if let Some(formatted) = said(name, "formatted") {
        return Some(formatted.to_owned());
    }
    let parts = [said(name, "givenName"), said(name, "familyName")];
    let whole = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");

    (!whole.is_empty()).then_some(whole)
}

/// What travels in a header of the route table; what cannot is kept here and shown, and left out there.
fn travelling(value: &Value, name: &str) -> Option<String> {
    let text = said(value, name)?;
    if header_safe(text).is_err() {
        warn!(
            scim.attribute = name,
            "A directory's text cannot travel in a header; it is not used for routing"
        );
        return None;
    }

    Some(text.to_owned())
}
