//! What a provider tells → a person, or why they may not sign in here.
//!
//! Nothing of this asks anybody. Where a fact is looked for stands in the configuration: pointers, of which the
//! first that is there counts, in the ID token and then in the userinfo.

use super::provider::Told;
use crate::identity::{GroupsFrom, Provider};
use crate::sign_in::Refused;
use crate::store::sessions::{Fact, Person};
use crate::users;
use serde_json::Value;
use std::collections::BTreeSet;

/// Most groups of one person: their token and every route's header have to carry them.
const MOST_GROUPS: usize = 500;

/// Longest fact, characters.
const LONGEST: usize = 256;

/// Does the ID token leave something open that the userinfo might say?
pub fn is_more_needed(config: &Provider, claims: &Value) -> bool {
    let map = &config.claims;
    let lacks = |pointers: &[String]| {
        !pointers.is_empty() && pointers.iter().all(|pointer| at(claims, pointer).is_none())
    };
    let groups = match map.groups_from {
        GroupsFrom::Claim => lacks(&pointers(&map.groups, "/groups")),
        GroupsFrom::Userinfo => true,
        GroupsFrom::Lookup | GroupsFrom::Directory => false,
    };

    groups
        || lacks(&pointers(&map.email, "/email"))
        || lacks(&pointers(&map.name, "/name"))
        || (config.email_verified && claims.get("email_verified").is_none())
        || [&map.tenant, &map.department, &map.cost_centre, &map.region, &map.populations]
            .into_iter()
            .any(|pointers| lacks(pointers))
}

/// Have the groups to be asked for at `groups_url`? Also where the provider says that it left them out: Entra ID
/// does for people in over 200 (`_claim_names`, `hasgroups`).
pub fn is_lookup_needed(config: &Provider, told: &Told) -> bool {
    match config.claims.groups_from {
        GroupsFrom::Lookup => true,
        GroupsFrom::Claim | GroupsFrom::Userinfo => {
            is_overage(&told.claims) && groups_told(config, told).is_none()
        }
        GroupsFrom::Directory => false,
    }
}

fn is_overage(claims: &Value) -> bool {
    claims.pointer("/_claim_names/groups").is_some()
        || claims.get("hasgroups").is_some_and(|has| truth(has) == Some(true))
}

/// The groups that a page of `groups_url` lists: texts, or objects with an `id`; by themselves, or as `value` or
/// `groups`.
pub fn listed_groups(page: &Value) -> Vec<String> {
    let list = [Some(page), page.get("value"), page.get("groups")];
    let list = list.into_iter().flatten().find_map(Value::as_array);
    let name =
        |entry: &Value| entry.as_str().or_else(|| entry.get("id")?.as_str()).map(ToOwned::to_owned);

    list.into_iter().flatten().filter_map(name).collect()
}

/// Whose address it is, if the provider may speak for them.
///
/// # Errors
/// [`Refused::EmailUnverified`], [`Refused::NotEntitled`].
pub fn address(config: &Provider, told: &Told) -> Result<String, Refused> {
    let sources = [Some(&told.claims), told.userinfo.as_ref()];
    let found = pointers(&config.claims.email, "/email").into_iter().find_map(|pointer| {
        sources.into_iter().flatten().find_map(|source| at(source, &pointer)?.as_str())
    });
    let address = found.and_then(|text| users::address(text).ok()).ok_or(Refused::NotEntitled)?;
    // What is verified is `email`, and only in the answer that says so.
    let verified = sources.into_iter().flatten().any(|source| {
        let same = source
            .get("email")
            .and_then(Value::as_str)
            .is_some_and(|email| email.eq_ignore_ascii_case(&address));
        same && source.get("email_verified").and_then(truth) == Some(true)
    });
    let denied = sources
        .into_iter()
        .flatten()
        .any(|source| source.get("email_verified").and_then(truth) == Some(false));
    if config.email_verified && (!verified || denied) {
        return Err(Refused::EmailUnverified);
    }
    let domain = address.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    if !config.domains.iter().any(|own| own == domain) {
        return Err(Refused::NotEntitled);
    }

    Ok(address)
}

/// The person. `provisioned` are the groups that the directory has of them, where it is asked.
///
/// # Errors
/// As [`address`]; [`Refused::NotEntitled`] also where tenant or groups do not allow it.
pub fn person(
    config: &Provider,
    told: &Told,
    provisioned: Option<&[String]>,
) -> Result<Person, Refused> {
    let user_id = address(config, told)?;
    let map = &config.claims;
    let groups = groups(config, told)?;
    let all: &[String] = match &groups {
        Fact::Is(groups) => groups,
        Fact::Kept => provisioned.unwrap_or_default(),
    };
    if !config.groups.is_empty() && !config.groups.iter().any(|group| all.contains(group)) {
        return Err(Refused::NotEntitled);
    }
    let roles: BTreeSet<String> = map
        .roles
        .iter()
        .filter(|(group, _)| all.contains(group))
        .map(|(_, role)| role.clone())
        .collect();
    let text = |pointers: &[String]| first(told, pointers).and_then(text);
    let fact = |pointers: &[String]| {
        if pointers.is_empty() { Fact::Kept } else { Fact::Is(text(pointers)) }
    };
    let name = text(&pointers(&map.name, "/name"));

    Ok(Person {
        provider: config.id.clone(),
        subject: told.subject.clone(),
        user_id,
        tenant_id: tenant(config, told)?,
        name: name.map_or(Fact::Kept, |name| Fact::Is(Some(name))),
        department: fact(&map.department),
        cost_centre: fact(&map.cost_centre),
        region: fact(&map.region),
        roles: if map.roles.is_empty() {
            Fact::Kept
        } else {
            Fact::Is(roles.into_iter().collect())
        },
        populations: if map.populations.is_empty() {
            Fact::Kept
        } else {
            Fact::Is(first(told, &map.populations).map(words).unwrap_or_default())
        },
        groups,
    })
}

fn tenant(config: &Provider, told: &Told) -> Result<String, Refused> {
    let map = &config.claims;
    let Some(said) = first(told, &map.tenant) else { return Ok(config.tenant.clone()) };
    let tenant = text(said).and_then(|said| map.tenants.get(&said));

    tenant.cloned().ok_or(Refused::NotEntitled)
}

fn groups(config: &Provider, told: &Told) -> Result<Fact<Vec<String>>, Refused> {
    let groups = match config.claims.groups_from {
        GroupsFrom::Directory => return Ok(Fact::Kept),
        GroupsFrom::Lookup => told.groups.clone(),
        GroupsFrom::Claim | GroupsFrom::Userinfo => match groups_told(config, told) {
            // Who is in so many that they are not told must not be taken for one in none.
            None if is_overage(&told.claims) && told.groups.is_none() => {
                return Err(Refused::NotEntitled);
            }
            None => told.groups.clone(),
            told => told,
        },
    };
    let mut groups = groups.unwrap_or_default();
    groups.retain(|group| is_plain(group));
    if groups.len() > MOST_GROUPS {
        return Err(Refused::NotEntitled);
    }

    Ok(Fact::Is(groups))
}

fn groups_told(config: &Provider, told: &Told) -> Option<Vec<String>> {
    let pointers = pointers(&config.claims.groups, "/groups");
    let found = match config.claims.groups_from {
        GroupsFrom::Userinfo => pointers.iter().find_map(|one| at(told.userinfo.as_ref()?, one)),
        _ => first(told, &pointers),
    }?;

    Some(match found {
        Value::Array(list) => list.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    })
}

fn pointers(configured: &[String], usual: &str) -> Vec<String> {
    if configured.is_empty() { vec![usual.to_owned()] } else { configured.to_vec() }
}

fn first<'t>(told: &'t Told, pointers: &[String]) -> Option<&'t Value> {
    pointers.iter().find_map(|pointer| {
        at(&told.claims, pointer).or_else(|| at(told.userinfo.as_ref()?, pointer))
    })
}

fn at<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    value.pointer(pointer).filter(|value| !value.is_null())
}

/// One that travels in tokens, rows and headers.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };

    is_plain(&text).then_some(text)
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= LONGEST && !text.chars().any(char::is_control)
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().filter_map(text).collect(),
        Value::String(list) => list.split_whitespace().map(ToOwned::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Some say it as text.
fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests;
