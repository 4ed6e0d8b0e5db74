//! Whom a rule is for.

use super::sign_in::Tier;
use crate::audit::CallSource;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

/// A set of callers: of each member that stands there one word must fit; who names none is everyone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// Claim `tenant_id`.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<String>,
    /// Claim `groups`, any of them.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Claim `department`.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub departments: Vec<String>,
    /// Verified e-mail address in lower case, else `sub`.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Claim `populations`, any of them.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub populations: Vec<String>,
    /// Claim `roles`, any of them.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Claim `client_id`.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// The agent that calls, as the client says.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Claim `region`.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Who set the call off.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<CallSource>,
    /// Claim `cost_centre`.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub cost_centres: Vec<String>,
    /// How they signed in: claim `amr`.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

/// A list that stands there has something in it: an empty one reads as "nobody", and would be everyone.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let list = Vec::deserialize(from)?;
    if list.is_empty() {
        return Err(D::Error::custom("an empty list: leave it out to mean everyone"));
    }

    Ok(list)
}

/// Somebody who asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Claim `tenant_id`.
    pub tenant: &'a str,
    /// Verified e-mail address in lower case, else `sub`.
    pub user: &'a str,
    /// Claim `groups`.
    pub groups: &'a [String],
    /// Claim `department`.
    pub department: Option<&'a str>,
    /// Claim `populations`.
    pub populations: &'a [String],
    /// Claim `roles`.
    pub roles: &'a [String],
    /// Claim `client_id`.
    pub client: &'a str,
    /// The agent that calls, as the client says.
    pub agent: Option<&'a str>,
    /// Claim `region`.
    pub region: Option<&'a str>,
    /// Who set the call off.
    pub source: CallSource,
    /// Claim `cost_centre`.
    pub cost_centre: Option<&'a str>,
    /// How they signed in.
    pub tier: Tier,
    /// Does the call come over the certificate that the token is bound to?
    pub over_certificate: bool,
}

impl Who {
    /// Does it name nobody in particular?
    pub fn is_everyone(&self) -> bool {
        *self == Self::default()
    }

    /// The first member that does not fit, by its name; none if all do.
    pub fn misses(&self, subject: &Subject<'_>) -> Option<&'static str> {
        let Self {
            tenants,
            groups,
            departments,
            users,
            populations,
            roles,
            clients,
            agents,
            regions,
            sources,
            cost_centres,
            tiers,
        } = self;
        let one = |wanted: &[String], is: Option<&str>| {
            wanted.is_empty() || is.is_some_and(|is| wanted.iter().any(|name| name == is))
        };
        let any = |wanted: &[String], are: &[String]| {
            wanted.is_empty() || wanted.iter().any(|name| are.contains(name))
        };
        // Asked of every rule at every call, so the first that does not fit ends it.
        let fits = |name, fits: bool| if fits { Ok(()) } else { Err(name) };
        let all = || {
            fits("tenants", one(tenants, Some(subject.tenant)))?;
            fits("groups", any(groups, subject.groups))?;
            fits("departments", one(departments, subject.department))?;
            // Addresses are in lower case; a `sub` may not be, and a rule's words are.
            let same = |name: &String| name.eq_ignore_ascii_case(subject.user);
            fits("users", users.is_empty() || users.iter().any(same))?;
            fits("populations", any(populations, subject.populations))?;
            fits("roles", any(roles, subject.roles))?;
            fits("clients", one(clients, Some(subject.client)))?;
            fits("agents", one(agents, subject.agent))?;
            fits("regions", one(regions, subject.region))?;
            fits("sources", sources.is_empty() || sources.contains(&subject.source))?;
            fits("cost_centres", one(cost_centres, subject.cost_centre))?;
            fits("tiers", tiers.is_empty() || tiers.contains(&subject.tier))
        };

        all().err()
    }

    /// Is this caller one of them?
    pub fn includes(&self, subject: &Subject<'_>) -> bool {
        self.misses(subject).is_none()
    }
}

/// Is a rule with this `who` and `unless` for this caller?
pub fn concerns(who: &Who, unless: Option<&Who>, subject: &Subject<'_>) -> bool {
    who.includes(subject) && !unless.is_some_and(|those| those.includes(subject))
}
