//! 7. [`Cleared`] → [`Governed`]: the facts the operator's routes match on, and the boundary.
//!
//! Where a call goes is Envoy's route table's business; we only set the headers it matches on.
//! What leaves is an allow-list. Our own headers are taken away behind the route table by the
//! `boundary` filter, which stands after this one.

use super::authenticate::{self, Caller};
use super::decode::{Head, Surface};
use super::intend::Recorded;
use super::mcp as stages_mcp;
use super::scan::Cleared;
use crate::host::{Host, HostError, Map};
use crate::mcp;
use crate::settings::RouteClaim;
use contract::headers;
use contract::policy::{Pin, Tier};
use std::collections::BTreeSet;

/// Everything that must happen before the call may leave.
#[derive(Debug, PartialEq, Eq)]
pub struct Dispatch {
    remove: Vec<String>,
    set: Vec<(&'static str, String)>,
}

/// The same for a call that the policy governs: it leaves only once it is [`Recorded`].
#[derive(Debug, PartialEq, Eq)]
pub struct Governed(Dispatch);

/// The call is on its way: all of its [`Dispatch`] was done. Only [`Dispatch::apply`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forwarded(());

/// What routes match on beside the call and its caller.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Claims that are told besides.
    pub further: &'a [RouteClaim],
    /// Where the caller may go.
    pub pin: Pin<'a>,
    /// The class of what it is likely to cost, where there are classes.
    pub cost: Option<&'a str>,
}

/// A governed call.
pub fn dispatch(
    surface: Surface,
    head: &Head,
    caller: &Caller,
    cleared: &Cleared,
    facts: &Facts<'_>,
) -> Governed {
    let (claims, permit) = (&caller.claims, cleared.permit());
    let surface = match surface {
        Surface::CountTokens => "count_tokens",
        _ => "messages",
    };
    let mut set = vec![
        (headers::ROUTE_SURFACE, surface.to_owned()),
        (headers::ROUTE_MODEL, permit.call().model.clone()),
        (headers::ROUTE_TENANT, claims.tenant_id.clone()),
        (headers::ROUTE_DEPARTMENT, fact(claims.department.as_deref())),
        (headers::ROUTE_AGENT, fact(head.agent_id.as_deref())),
        (headers::ROUTE_REGION, fact(claims.region.as_deref())),
        (headers::ROUTE_SOURCE, authenticate::source(head, caller).as_str().to_owned()),
        (headers::ROUTE_LABEL, labels(&permit.noted().labels)),
    ];
    set.extend(facts.further.iter().map(|claim| named(*claim, caller)));
    set.extend(facts.cost.map(|class| (headers::ROUTE_COST_CLASS, class.to_owned())));
    set.extend(facts.pin.fact().map(|zone| (headers::ROUTE_RESIDENCY, zone.to_owned())));
    if head.accepts_encoding {
        // A compressed answer could not be metered. Honest providers obey.
        set.push(("accept-encoding", "identity".to_owned()));
    }
    let overwritten = |name: &String| set.iter().any(|(ours, _)| ours == name);
    let remove = head.inside.iter().filter(|name| !overwritten(name)).cloned().collect();

    Governed(Dispatch { remove, set })
}

/// A call of an MCP server. `session` is the server's own id of it.
pub fn mcp(
    head: &Head,
    mcp: &mcp::head::Head,
    session: Option<String>,
    caller: &Caller,
    cleared: &stages_mcp::Cleared,
    facts: &Facts<'_>,
) -> Governed {
    let (claims, what) = (&caller.claims, cleared.called());
    let ours = stages_mcp::is_ours(&what.server);
    let tool = what.name.as_deref().filter(|_| what.is_tool);
    let mut set = vec![
        (headers::ROUTE_SURFACE, "mcp".to_owned()),
        (headers::ROUTE_SERVER, what.server.clone()),
        (headers::ROUTE_TOOL, fact(tool)),
        (headers::ROUTE_TENANT, claims.tenant_id.clone()),
        (headers::ROUTE_DEPARTMENT, fact(claims.department.as_deref())),
        (headers::ROUTE_AGENT, fact(head.agent_id.as_deref())),
        (headers::ROUTE_REGION, fact(claims.region.as_deref())),
        (headers::ROUTE_SOURCE, authenticate::source(head, caller).as_str().to_owned()),
        (headers::ROUTE_LABEL, labels(cleared.labels())),
    ];
    set.extend(facts.further.iter().map(|claim| named(*claim, caller)));
    if !ours {
        // The sidecar is here, wherever that is.
        set.extend(facts.pin.fact().map(|zone| (headers::ROUTE_RESIDENCY, zone.to_owned())));
    }
    if head.accepts_encoding {
        // A compressed answer could not be read.
        set.push(("accept-encoding", "identity".to_owned()));
    }
    if mcp.posts {
        // In the one encoding that was read.
        set.push(("content-type", "application/json".to_owned()));
    }
    let mut remove: Vec<String> = mcp.inside.clone();
    match session {
        Some(id) => set.push(("mcp-session-id", id)),
        None => remove.push("mcp-session-id".to_owned()),
    }
    // Our own server reads the token once more, and its rows name the call by its id.
    let stays = |name: &String| ours && (name == "authorization" || name == headers::X_REQUEST_ID);
    remove.retain(|name| !stays(name) && !set.iter().any(|(ours, _)| ours == name));

    Governed(Dispatch { remove, set })
}

/// A call of the sidecar's own surfaces: it sees the credential and nothing that is forged.
pub fn sidecar(head: &Head) -> Dispatch {
    // Signing in goes through pages, and these know a browser again by its cookie.
    let cookies_stay = head.surface == Some(Surface::Sidecar);
    let ours = |name: &&String| {
        name.starts_with(headers::RESERVED_PREFIX)
            || headers::IDENTITY.contains(&name.as_str())
            || (*name == "cookie" && !cookies_stay)
            || *name == "x-forwarded-client-cert"
    };

    Dispatch { remove: head.inside.iter().filter(ours).cloned().collect(), set: Vec::new() }
}

/// A call for what stands on a laptop: the sidecar reads the credential once more, wherever the client has put it.
pub fn catalogue(head: &Head) -> Dispatch {
    let bearer = head.credential.as_ref().map(|token| format!("Bearer {token}"));
    let set = bearer.map(|bearer| ("authorization", bearer)).into_iter().collect();

    Dispatch { set, ..sidecar(head) }
}

/// A claim, and the header that routes match it by.
fn named(claim: RouteClaim, caller: &Caller) -> (&'static str, String) {
    let claims = &caller.claims;
    match claim {
        RouteClaim::User => (headers::ROUTE_USER, fact(Some(&caller.user_id))),
        RouteClaim::Groups => (headers::ROUTE_GROUPS, list(&claims.groups)),
        RouteClaim::Populations => (headers::ROUTE_POPULATIONS, list(&claims.populations)),
        RouteClaim::Roles => (headers::ROUTE_ROLES, list(&claims.roles)),
        RouteClaim::Client => (headers::ROUTE_CLIENT, fact(Some(&claims.client_id))),
        RouteClaim::CostCentre => (headers::ROUTE_COST_CENTRE, fact(claims.cost_centre.as_deref())),
        RouteClaim::Tier => (headers::ROUTE_TIER, Tier::from(claims.amr).as_str().to_owned()),
    }
}

/// Most bytes of a list in a header: Envoy takes 64 KiB of all headers together.
const LONGEST_LIST: usize = 8 * 1024;

/// Names as a header value, sorted. One with a comma in it is left out: it would read as two, and one of
/// them may be another's.
fn list(names: &[String]) -> String {
    let fits = |name: &&str| {
        !name.is_empty() && !name.contains(',') && name.bytes().all(|b| (b' '..=b'~').contains(&b))
    };
    let mut sorted = BTreeSet::new();
    sorted.extend(names.iter().map(String::as_str).filter(fits));
    let mut value = String::new();
    for name in sorted {
        if value.len().saturating_add(name.len()) >= LONGEST_LIST {
            break;
        }
        if !value.is_empty() {
            value.push(',');
        }
        value.push_str(name);
    }

    if value.is_empty() { headers::ABSENT.to_owned() } else { value }
}

/// The labels as a header value. The policy was checked to have none that does not fit.
fn labels(labels: &[String]) -> String {
    if labels.is_empty() { headers::ABSENT.to_owned() } else { labels.join(",") }
}

/// A fact as a header value; the route table must always find one.
fn fact(value: Option<&str>) -> String {
    let fits = |value: &&str| {
        !value.is_empty() && value.len() <= 256 && value.bytes().all(|b| (b' '..=b'~').contains(&b))
    };
    value.filter(fits).unwrap_or(headers::ABSENT).to_owned()
}

impl Governed {
    /// Does it.
    ///
    /// # Errors
    /// If the host refuses any of it; the call must then not leave.
    pub fn apply(self, host: &impl Host, _: Recorded) -> Result<Forwarded, HostError> {
        self.0.apply(host)
    }
}

impl Forwarded {
    /// Lets a request go on that was held longer than a callback.
    ///
    /// # Errors
    /// If the host refuses; the request then stays where it is.
    pub fn resume(self, host: &impl Host) -> Result<(), HostError> {
        host.resume()
    }
}

impl Dispatch {
    /// Does it.
    ///
    /// # Errors
    /// If the host refuses any of it; the call must then not leave.
    pub fn apply(self, host: &impl Host) -> Result<Forwarded, HostError> {
        for name in &self.remove {
            host.remove_header(Map::Request, name)?;
        }
        for (name, value) in &self.set {
            host.set_header(Map::Request, name, value)?;
        }

        Ok(Forwarded(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::authenticate::tests::caller;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_list_is_sorted_and_no_name_can_pass_for_two() {
        let mut ann = caller("ann@example.com");
        ann.claims.groups =
            ["staff", "a,finance", "Zürich", "R and D", "staff", ""].map(Into::into).into();

        let (name, value) = named(RouteClaim::Groups, &ann);

        assert_eq!((name, &*value), ("x-tollgate-groups", "R and D,staff"));
        assert_eq!(named(RouteClaim::Roles, &ann).1, "none");
        assert_eq!(named(RouteClaim::User, &ann).1, "ann@example.com");
        assert_eq!(named(RouteClaim::Tier, &ann).1, "pat");
    }

    #[test]
    fn a_list_without_end_is_cut_between_two_names() {
        let names: Vec<String> = (0..9_000).map(|n| format!("g{n:04}")).collect();

        let value = list(&names);

        assert!(value.len() <= LONGEST_LIST && value.split(',').all(|name| name.len() == 5));
    }
}
