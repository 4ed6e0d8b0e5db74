//! The author's own cases: who asks what, and what the policy must say. Unit tests for policy.
//!
//! They are judged by [`Policy::judge`] and [`Policy::mcp`], which are what judges in the gate.

use super::called::{self, Called};
use super::compile::slips;
use super::explain::{Explained, explain};
use super::shape::CASES;
use super::verdict::{self, Verdict};
use super::walk::{Found, walk};
use super::yaml::{self, At};
use contract::audit::CallSource;
use contract::model;
use contract::policy::{
    Asked, Declared, Place, Policy, Selection, Server, Skill, Subject, Tier, Tool,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The value of `schema`.
pub const SCHEMA: &str = "tollgate.policy-cases/v1";

/// A file of cases.
#[derive(Debug, Clone, Deserialize)]
pub struct Cases {
    schema: String,
    #[serde(default)]
    people: BTreeMap<String, Somebody>,
    #[serde(rename = "cases")]
    list: Vec<Case>,
}

#[derive(Debug, Clone, Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    who: Whom,
    asks: Asks,
    expects: Expects,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Whom {
    Name(String),
    Somebody(Box<Somebody>),
}

impl Default for Whom {
    fn default() -> Self {
        Self::Somebody(Box::default())
    }
}

/// A caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Somebody {
    /// Claim `tenant_id`.
    pub tenant: String,
    /// E-mail address.
    pub user: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Department.
    pub department: Option<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Populations.
    pub populations: Vec<String>,
    /// Client id.
    pub client: String,
    /// The agent that calls.
    pub agent: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Who set the call off.
    pub source: CallSource,
    /// Cost centre.
    pub cost_centre: Option<String>,
    /// How they signed in; with the organization's own sign-in unless said.
    pub tier: Tier,
    /// Does the call come over the certificate of its token?
    pub over_certificate: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Asks {
    /// A model.
    pub model: String,
    /// A call of an MCP server instead.
    pub mcp: Option<Called>,
    /// Models beside it.
    pub beside: Vec<String>,
    /// Tools.
    pub tools: Vec<Wanted>,
    /// Remote MCP servers.
    pub servers: Vec<Remote>,
    /// Skills.
    pub skills: Vec<Skilled>,
    /// What is said.
    pub text: Option<String>,
}

/// A tool.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Wanted {
    /// One of the client's.
    Name(String),
    /// One of the provider's.
    Typed {
        /// `type`.
        #[serde(default, rename = "type")]
        kind: Option<String>,
        /// `name`.
        #[serde(default)]
        name: String,
    },
}

/// A remote MCP server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Remote {
    /// What the request calls it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The tools of it that are to be had; none: all.
    pub tools: Option<Vec<String>>,
}

/// A skill.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Skilled {
    /// `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `skill_id`.
    pub id: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Expects {
    verdict: String,
    rule: Option<String>,
    why: Option<String>,
    content: Option<String>,
    audit: Option<String>,
    labels: Option<Vec<String>>,
    noted: Option<Vec<String>>,
    passed: Option<Vec<String>>,
    findings: Option<Vec<String>>,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it shows.
    pub name: String,
    /// Where it stands.
    pub at: At,
    /// What is not as expected: the member, what was expected, what came.
    pub differs: Vec<(&'static str, String, String)>,
    /// The verdict.
    pub verdict: Verdict,
}

/// The cases beside a policy: `bank.yaml` → `bank.test.yaml`.
pub fn beside(policy: &Path) -> PathBuf {
    policy.with_extension("test.yaml")
}

/// Reads cases.
///
/// # Errors
/// Every fault.
pub fn parse(text: &str) -> Result<(Cases, Vec<At>), Vec<Found>> {
    let root = yaml::parse(text).map_err(slips)?;
    let walked = walk(&root, CASES);
    let mut found = walked.found.clone();
    let cases: Cases = match serde_json::from_value(walked.value.clone()) {
        Ok(cases) => cases,
        Err(error) => {
            let problem = error.to_string();
            found.push(Found { at: At::START, place: String::new(), problem });
            return Err(found);
        }
    };
    let mut fault = |place: String, problem: String| {
        if !walked.is_faulty(&place) {
            found.push(Found { at: walked.at(&place), place, problem });
        }
    };
    if cases.schema != SCHEMA {
        let problem = format!("is {:?}, and must be {SCHEMA:?}", cases.schema);
        fault("schema".into(), problem);
    }
    for (index, case) in cases.list.iter().enumerate() {
        if let Whom::Name(name) = &case.who
            && !cases.people.contains_key(name)
        {
            let problem = format!("nobody of `people` is {name:?}");
            fault(format!("cases[{index}].who"), problem);
        }
        if let Some(called) = &case.asks.mcp {
            let place = format!("cases[{index}].asks");
            if case.asks.is_about_a_model() {
                fault(place, "asks for a model and for an MCP server: those are two cases".into());
            } else if let Err(problem) = called.one() {
                fault(format!("{place}.mcp"), problem.into());
            }
            continue;
        }
        let models = [&case.asks.model].into_iter().chain(&case.asks.beside);
        for name in models {
            if let Err(error) = model::normalise(name) {
                fault(format!("cases[{index}].asks.model"), format!("{name:?}: {error}"));
            }
        }
    }
    found.sort_by_key(|found| found.at);
    if !found.is_empty() {
        return Err(found);
    }
    let places = (0..cases.list.len()).map(|index| walked.at(&format!("cases[{index}]")));
    let places = places.collect();

    Ok((cases, places))
}

impl Cases {
    /// Judges them all.
    pub fn run(&self, policy: &Policy, places: &[At]) -> Vec<Outcome> {
        let places = places.iter().copied().chain(std::iter::repeat(At::START));
        self.list
            .iter()
            .zip(places)
            .map(|(case, at)| {
                let nobody = Somebody::default();
                let somebody = match &case.who {
                    Whom::Name(name) => self.people.get(name).unwrap_or(&nobody),
                    Whom::Somebody(somebody) => somebody,
                };
                let Explained { mut verdict, rules, .. } = explain(policy, somebody, &case.asks);
                if verdict.allowed {
                    let applied = rules.into_iter().filter(|asked| asked.applies);
                    verdict.heard = applied.map(|asked| asked.id).collect();
                }
                let differs = case.expects.differs(&verdict);
                Outcome { name: case.name.clone(), at, differs, verdict }
            })
            .collect()
    }
}

impl Expects {
    fn differs(&self, verdict: &Verdict) -> Vec<(&'static str, String, String)> {
        let one = |name, wanted: &Option<String>, is: Option<&str>| {
            let is = is.unwrap_or("none");
            let wanted = wanted.as_ref().filter(|wanted| *wanted != is)?;
            Some((name, wanted.clone(), is.to_owned()))
        };
        let all = |name, wanted: &Option<Vec<String>>, are: &[String]| {
            let sorted = |list: &[String]| {
                let mut list = list.to_vec();
                list.sort();
                list.dedup();
                format!("[{}]", list.join(", "))
            };
            let (wanted, are) = (sorted(wanted.as_ref()?), sorted(are));
            (wanted != are).then_some((name, wanted, are))
        };
        let allowed = if verdict.allowed { "allowed" } else { "denied" };
        let noted: Vec<String> = verdict.noted.iter().map(|(rule, ..)| rule.clone()).collect();

        [
            one("verdict", &Some(self.verdict.clone()), Some(allowed)),
            one("rule", &self.rule, verdict.rule.as_deref()),
            one("why", &self.why, verdict.why),
            one("content", &self.content, verdict.content),
            one("audit", &self.audit, verdict.audit),
            all("labels", &self.labels, &verdict.labels),
            all("noted", &self.noted, &noted),
            all("passed", &self.passed, &verdict.passed),
            all("findings", &self.findings, &verdict.findings),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Somebody {
    /// As they are judged.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            tenant: &self.tenant,
            user: &self.user,
            groups: &self.groups,
            department: self.department.as_deref(),
            populations: &self.populations,
            roles: &self.roles,
            client: &self.client,
            agent: self.agent.as_deref(),
            region: self.region.as_deref(),
            source: self.source,
            cost_centre: self.cost_centre.as_deref(),
            tier: self.tier,
            over_certificate: self.over_certificate,
        }
    }
}

impl Asks {
    /// Is anything there that goes to a model?
    fn is_about_a_model(&self) -> bool {
        let Self { model, mcp: _, beside, tools, servers, skills, text } = self;
        let lists = tools.is_empty() && servers.is_empty() && skills.is_empty();

        !(model.is_empty() && beside.is_empty() && lists && text.is_none())
    }

    /// As it is judged.
    pub fn declared(&self) -> Declared {
        let tools = self.tools.iter().enumerate().map(|(index, tool)| {
            let (name, kind) = match tool {
                Wanted::Name(name) => (name.clone(), None),
                Wanted::Typed { kind, name } => (name.clone(), kind.clone()),
            };
            Tool { name, kind, place: Place::Tool(index) }
        });
        let servers = self.servers.iter().enumerate().map(|(index, server)| Server {
            name: server.name.clone(),
            url: server.url.clone(),
            tools: match &server.tools {
                None => Selection::all(),
                Some(names) => Selection {
                    others: false,
                    named: names.iter().map(|name| (name.clone(), true)).collect(),
                },
            },
            place: Place::Server(index),
        });
        let skills = self.skills.iter().enumerate().map(|(index, skill)| Skill {
            kind: skill.kind.clone(),
            id: skill.id.clone(),
            place: Place::Skill(index),
        });

        Declared { tools: tools.collect(), servers: servers.collect(), skills: skills.collect() }
    }
}

/// What the policy says of it: by the code of the gate.
pub fn judge(policy: &Policy, somebody: &Somebody, asks: &Asks) -> Verdict {
    let lower = Somebody { user: somebody.user.to_ascii_lowercase(), ..somebody.clone() };
    if let Some(called) = &asks.mcp {
        return called::judge(policy, &lower.subject(), called);
    }
    let normal = |name: &String| model::normalise(name).map_or_else(|_| name.clone(), Into::into);
    let (model, beside) = (normal(&asks.model), asks.beside.iter().map(normal).collect::<Vec<_>>());
    let declared = asks.declared();
    let asked = Asked { model: &model, beside: &beside, declared: &declared };

    verdict::of(policy, &lower.subject(), asked, asks.text.as_deref())
}
