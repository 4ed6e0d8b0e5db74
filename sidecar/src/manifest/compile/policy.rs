//! A catalogue beside a policy: what laptops would offer and the gate refuse.
//!
//! Whom an audience is for is known, not who is of it: each is judged by somebody who has what it asks for, and nothing else.

use super::Compiler;
use crate::manifest::reach::Has;
use crate::manifest::source::AudienceSource;
use crate::policy::walk::closest;
use contract::clients::{Choice, Words};
use contract::model;
use contract::policy::{Asked, Declared, Policy, Subject};
use std::collections::BTreeMap;

/// Somebody of an audience.
fn somebody(audience: &AudienceSource) -> Subject<'_> {
    let who = &audience.who;
    Subject {
        tenant: who.tenants.first().map_or("", String::as_str),
        user: who.users.first().map_or("", String::as_str),
        groups: &who.groups,
        department: who.departments.first().map(String::as_str),
        populations: &who.populations,
        roles: &who.roles,
        client: who.clients.first().map_or("", String::as_str),
        region: who.regions.first().map(String::as_str),
        cost_centre: who.cost_centres.first().map(String::as_str),
        tier: who.tiers.first().copied().unwrap_or_default(),
        ..Subject::default()
    }
}

impl Compiler {
    pub(super) fn beside(&mut self, policy: &Policy, has: &[Has]) {
        let audiences = self.reading.source.audiences.clone();
        let with: Vec<_> = audiences.iter().zip(has).collect();
        for (index, agent) in self.reading.source.agents.clone().iter().enumerate() {
            let place = format!("agents[{index}].model");
            let model = match model::normalise(&agent.model) {
                Ok(model) => model.into_owned(),
                Err(error) => {
                    self.reading.fault(&place, format!("{:?}: {error}", agent.model));
                    continue;
                }
            };
            let declared = Declared::default();
            let asked = || Asked { model: &model, beside: &[], declared: &declared };
            let of: Vec<_> = with.iter().filter(|it| it.1.agents.contains(&agent.id)).collect();
            let refused: Vec<&str> = of
                .iter()
                .filter(|it| policy.judge(&somebody(it.0), asked()).is_err())
                .map(|it| it.0.name.as_str())
                .collect();
            if !refused.is_empty() && refused.len() == of.len() {
                let problem = format!("the policy refuses {:?} to all who have it", agent.model);
                self.reading.fault(&place, problem);
            } else if !refused.is_empty() {
                let problem =
                    format!("the policy refuses {:?} to {}", agent.model, refused.join(", "));
                self.reading.warn(&place, problem);
            }
        }
        for (index, server) in self.reading.source.mcp_servers.clone().iter().enumerate() {
            if server.url.is_some() || server.command.is_some() {
                continue;
            }
            let ids: Vec<&str> = policy.mcp_servers().map(|it| it.id.as_str()).collect();
            let known =
                ids.contains(&server.id.as_str()) || server.id == contract::policy::APPROVALS;
            if !known {
                let near = closest(&server.id, ids.iter().copied());
                let near = near.map(|it| format!(": did you mean {it}?")).unwrap_or_default();
                let problem = format!("the policy has no server {:?} at the gate{near}", server.id);
                self.reading.fault(&format!("mcp_servers[{index}].id"), problem);
                continue;
            }
            for (audience, _) in with.iter().filter(|it| it.1.servers.contains(&server.id)) {
                self.words(index, policy, audience, (&server.id, &server.tools));
            }
        }
    }

    fn words(
        &mut self,
        index: usize,
        policy: &Policy,
        audience: &AudienceSource,
        (id, tools): (&str, &BTreeMap<String, Choice>),
    ) {
        let name = &audience.name;
        let Some(mcp) = policy.mcp(&somebody(audience), id) else {
            let problem = format!("the policy does not let {name} reach {id:?}");
            return self.reading.warn(&format!("mcp_servers[{index}].id"), problem);
        };
        let mut laxer = |tool: &str, says: Choice, wants: Choice| {
            if says < wants {
                let problem = format!(
                    "is {} here, and {} by the policy (for {name}): clients offer what the gate refuses",
                    says.as_str(),
                    wants.as_str()
                );
                self.reading.warn(&format!("mcp_servers[{index}].tools.{tool}"), problem);
            }
        };
        let policy_words = Words::of(&mcp).tool_policy();
        for (tool, says) in tools {
            let wants = if tool.contains('*') {
                policy_words.get(tool).copied()
            } else {
                Some(Choice::from(mcp.shows(tool).word))
            };
            if let Some(wants) = wants {
                laxer(tool, *says, wants);
            }
        }
        // What the policy names, and the catalogue only by a pattern.
        for (tool, wants) in policy_words.iter().filter(|it| !tools.contains_key(it.0)) {
            let fits = tools.iter().filter(|it| fits(it.0, tool));
            if let Some((pattern, says)) = fits.max_by_key(|it| *it.1) {
                laxer(pattern, *says, *wants);
            }
        }
    }
}

/// `*` for any run of characters.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut rest = rest;
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }

    rest.ends_with(last)
}
