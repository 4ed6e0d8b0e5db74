//! `tollgate policy test`, `explain` and `diff`: what a policy would say.

use crate::args::{AskArgs, CallerArgs};
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::policy::called::Called;
use crate::policy::cases::{self, Asks, Outcome, Remote, Skilled, Somebody, Wanted};
use crate::policy::compile::{self, SourceError};
use crate::policy::diff::{self, Way};
use crate::policy::explain::{self, Explained};
use crate::policy::history;
use crate::policy::verdict::Verdict;
use crate::screen::{STDIN, Screen, shown, table};
use crate::settings::Data;
use crate::store::{Store, StoreError};
use crate::users;
use contract::policy::{Document, Policy, Tier};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Judges the author's cases.
pub(super) fn test(
    file: &Path,
    cases_file: Option<&Path>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (compiled, path, text) = if file.as_os_str() == STDIN && cases_file.is_none() {
        let (policy, cases) = both(&screen.stdin()?);
        let text = compile::utf8(file, cases)?;
        (compile::bytes(file, policy)?, file.to_owned(), text)
    } else {
        let path = cases_file.map_or_else(|| cases::beside(file), Path::to_owned);
        let text = compile::read(&path)?;
        (super::given(file, screen)?, path, text)
    };
    let (cases, places) =
        cases::parse(&text).map_err(|found| SourceError::Faults { path: path.clone(), found })?;
    let outcomes = cases.run(&compiled.policy, &places);
    for outcome in &outcomes {
        if screen.json() {
            screen.object(&object(&path, outcome))?;
        } else {
            screen.print(&line(&path, outcome))?;
        }
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.differs.is_empty()).count();
    let undecided = undecided(&compiled.document, &outcomes);
    if screen.json() {
        screen.object(&json!({
            "cases": outcomes.len(), "failed": failed, "version": compiled.version,
            "rules_without_a_case": undecided,
        }))?;
    } else {
        screen.say(&format!("{} cases, {failed} failed.", outcomes.len()));
        if !undecided.is_empty() {
            screen.say(&format!("Rules that no case decided by: {}.", undecided.join(", ")));
        }
    }

    if failed == 0 { Ok(()) } else { Err(Failure::Answered) }
}

/// A policy and its cases in one stream, with a line `---` between them. The cases keep their lines' numbers.
fn both(stream: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut policy, mut cases, mut behind) = (Vec::new(), Vec::new(), false);
    for (number, line) in stream.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let divides = !behind && number > 0 && line.trim_ascii_end() == b"---";
        if behind {
            cases.extend_from_slice(line);
        } else {
            cases.push(b'\n');
            policy.extend_from_slice(if divides { b"" } else { line });
        }
        behind |= divides;
    }

    (policy, cases)
}

fn line(path: &Path, outcome: &Outcome) -> String {
    let Outcome { name, at, differs, verdict } = outcome;
    if differs.is_empty() {
        return format!("ok      {}\n", shown(name));
    }
    let mut text =
        format!("FAILED  {}  {}:{}:{}\n", shown(name), path.display(), at.line, at.column);
    for (member, expected, got) in differs {
        text.extend(["        ", member, ": expected ", expected, ", got ", got, "\n"]);
    }
    text.extend(["        it says: ", &sentence(verdict), "\n"]);

    text
}

fn object(path: &Path, outcome: &Outcome) -> Value {
    let differs: Vec<Value> = outcome
        .differs
        .iter()
        .map(
            |(member, expected, got)| json!({ "member": member, "expected": expected, "got": got }),
        )
        .collect();
    let Verdict { allowed, rule, why, .. } = &outcome.verdict;

    json!({
        "name": outcome.name, "file": path.display().to_string(), "line": outcome.at.line,
        "passed": differs.is_empty(), "differs": differs,
        "verdict": if *allowed { "allowed" } else { "denied" }, "rule": rule, "why": why,
    })
}

/// Rules that decided, noted, found or passed in no case. Servers are told by what they let in.
fn undecided(document: &Document, outcomes: &[Outcome]) -> Vec<String> {
    let verdicts = outcomes.iter().map(|outcome| &outcome.verdict);
    let seen: BTreeSet<&str> = verdicts
        .flat_map(|verdict| {
            let noted = verdict.noted.iter().map(|(rule, ..)| rule);
            let heard = verdict.heard.iter();
            let more = verdict.passed.iter().chain(&verdict.findings).chain(noted).chain(heard);
            verdict.rule.iter().chain(more).map(String::as_str)
        })
        .collect();
    let ids = document
        .rules
        .iter()
        .map(|rule| &rule.id)
        .chain(document.tools.iter().map(|rule| &rule.id))
        .chain(document.servers.iter().map(|rule| &rule.id))
        .chain(document.secrets.iter().map(|rule| &rule.id))
        .chain(document.blocklists.iter().map(|list| &list.id));

    ids.filter(|id| !seen.contains(id.as_str())).cloned().collect()
}

/// A verdict in one line.
fn sentence(verdict: &Verdict) -> String {
    let mut words = vec![if verdict.allowed { "allowed".to_owned() } else { "denied".to_owned() }];
    if let Some(rule) = &verdict.rule {
        words.push(format!("by {rule}"));
    }
    if let Some(why) = verdict.why {
        words.push(format!("({why})"));
    }
    if let Some(place) = &verdict.place {
        words.push(format!("at {place}"));
    }

    words.join(" ")
}

/// Says which rule decides.
pub(super) async fn explain(
    asked: &AskArgs,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (policy, version) = meant(asked.file.as_deref(), data, screen).await?;
    let (somebody, known) = somebody(&asked.caller, data).await?;
    let explained = explain::explain(&policy, &somebody, &asks(asked)?);
    if screen.json() {
        return screen.object(&explained.object(&version, known));
    }
    if asked.caller.user.is_some() && !known {
        screen.say("Nobody is known here by that address: only what you said of them counts.");
    }

    screen.print(&told(&version, &explained))
}

/// A policy that was given, or else the one in force; and its version.
pub(crate) async fn meant(
    file: Option<&Path>,
    data: &Data,
    screen: &mut Screen,
) -> Result<(Policy, String), Failure> {
    if let Some(file) = file {
        let compiled = super::given(file, screen)?;
        return Ok((compiled.policy, compiled.version));
    }
    let published = history::in_force(data).await?;
    let policy = Policy::parse(&published.payload).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::Refused(faults.join("; "))
    })?;

    Ok((policy, published.version))
}

fn told(version: &str, explained: &Explained) -> String {
    let verdict = &explained.verdict;
    let mut text = format!("{}\n", sentence(verdict));
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.extend([format!("{name:<9} {}\n", shown(value))]);
        }
    };
    line("policy", version);
    line("says", verdict.say.as_deref().unwrap_or_default());
    line("content", verdict.content.unwrap_or_default());
    line("audit", verdict.audit.unwrap_or_default());
    line("labels", &verdict.labels.join(" "));
    line("passed", &verdict.passed.join(" "));
    line(
        "glass",
        if explained.glass { "broken: the caller has a role that breaks it" } else { "" },
    );
    for (rule, word, place) in &verdict.noted {
        line("noted", &format!("{word} by {rule} at {place}"));
    }
    let rows: Vec<Vec<String>> = explained
        .rules
        .iter()
        .map(|asked| {
            let applies = if asked.applies { "applies" } else { "" };
            vec![asked.section.into(), asked.id.clone(), applies.into(), asked.words.clone()]
        })
        .collect();

    format!("{text}\n{}", table(&["SECTION", "RULE", "", "WHY"], &rows))
}

/// Who asks: as the store knows them, and as the command line says.
pub(crate) async fn somebody(asked: &CallerArgs, data: &Data) -> Result<(Somebody, bool), Failure> {
    let known = match &asked.user {
        Some(email) => match Store::open(data).await {
            Ok(store) => store.user(&users::address(email)?).await?,
            Err(StoreError::Missing(_)) => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let is_known = known.is_some();
    let known = known.unwrap_or_default();
    let list = |said: &[String], known: Vec<String>| {
        if said.is_empty() { known } else { said.to_vec() }
    };
    let user = asked.user.clone().unwrap_or_default();

    let somebody = Somebody {
        tenant: asked.tenant.clone().unwrap_or(known.tenant_id),
        user: user.to_ascii_lowercase(),
        groups: list(&asked.groups, known.groups),
        department: asked.department.clone().or(known.department),
        roles: list(&asked.roles, known.roles),
        populations: list(&asked.populations, known.populations),
        client: asked.client.clone().unwrap_or_default(),
        agent: asked.agent.clone(),
        region: asked.region.clone().or(known.region),
        source: asked.source,
        cost_centre: asked.cost_centre.clone().or(known.cost_centre),
        tier: asked.tier,
        over_certificate: asked.tier == Tier::Mtls,
    };

    Ok((somebody, is_known))
}

fn asks(asked: &AskArgs) -> Result<Asks, Failure> {
    if let Some(server) = &asked.mcp {
        return called(server, asked).map(|mcp| Asks { mcp: Some(mcp), ..Asks::default() });
    }
    let server = |url: &String| Remote { url: url.clone(), ..Remote::default() };
    let skill = |skill: &String| {
        let (kind, id) = skill.split_once('/').unwrap_or(("custom", skill));
        Skilled { kind: kind.to_owned(), id: id.to_owned() }
    };

    Ok(Asks {
        model: asked.model.clone().unwrap_or_default(),
        mcp: None,
        beside: asked.beside.clone(),
        tools: asked.tools.iter().cloned().map(Wanted::Name).collect(),
        servers: asked.servers.iter().map(server).collect(),
        skills: asked.skills.iter().map(skill).collect(),
        text: asked.text.clone(),
    })
}

fn called(server: &str, asked: &AskArgs) -> Result<Called, Failure> {
    let refused = |why: &str| Failure::Refused(why.to_owned());
    let arguments = match asked.arguments.as_deref().map(serde_json::from_str) {
        None => Value::Null,
        Some(Ok(arguments)) => arguments,
        Some(Err(error)) => return Err(refused(&format!("--arguments is no JSON: {error}"))),
    };
    if asked.tools.len() > 1 {
        return Err(refused("a call is of one tool"));
    }
    let called = Called {
        server: server.to_owned(),
        tool: asked.tools.first().cloned(),
        arguments,
        resource: asked.resource.clone(),
        prompt: asked.prompt.clone(),
    };
    called.one().map_err(refused)?;

    Ok(called)
}

/// Says what changes.
pub(super) async fn diff(
    (from, to): (&str, Option<&str>),
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (from, to) = if let Some(to) = to {
        (named(from, operator, data).await?, named(to, operator, data).await?)
    } else {
        let now = history::in_force(data).await?;
        (serde_json::from_slice(&now.payload)?, named(from, operator, data).await?)
    };
    let changes = diff::diff(&from, &to);
    let each = |change: &diff::Change| (change.way, change.object(), change.to_string());

    tell(changes.iter().map(each), "who asks what", screen)
}

/// Tells what changes from one to another: which way, for programs, and for people. What some depend on is said at the end.
///
/// # Errors
/// [`Failure::Answered`], if something does.
pub(crate) fn tell(
    changes: impl Iterator<Item = (Way, Value, String)>,
    on: &str,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut ways = Vec::new();
    for (way, object, text) in changes {
        if screen.json() {
            screen.object(&object)?;
        } else {
            screen.print(&format!("{}\n", shown(&text)))?;
        }
        ways.push(way);
    }
    let count = |wanted: Way| ways.iter().filter(|way| **way == wanted).count();
    screen.say(&format!(
        "{} changes: {} loosen, {} tighten, {} depend on {on}.",
        ways.len(),
        count(Way::Loosens),
        count(Way::Tightens),
        count(Way::Depends)
    ));

    if ways.is_empty() { Ok(()) } else { Err(Failure::Answered) }
}

/// A policy by its file, signed or not, or by its version.
async fn named(name: &str, operator: &Operator, data: &Data) -> Result<Document, Failure> {
    let path = PathBuf::from(name);
    // Who asks from elsewhere does not learn which files are here.
    if operator.is_on_host() && path.exists() {
        if let Ok(text) = std::fs::read(&path)
            && let Some(document) = sealed(&text)
        {
            return Ok(document);
        }
        return Ok(compile::file(&path)?.document);
    }
    let plain = name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !plain && !operator.is_on_host() {
        let why = format!("{name:?} is no version: `tollgate policy history` lists them");
        return Err(Failure::Refused(why));
    }
    if !plain {
        return Ok(compile::file(&path)?.document);
    }
    let store = Store::open(data).await?;
    let published = history::again(data, history::find(&store, name).await?)?;

    Ok(serde_json::from_slice(&published.payload)?)
}

/// What a signed file says. Nothing is decided by it: whether the signature is good is not asked.
fn sealed(bytes: &[u8]) -> Option<Document> {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let envelope: contract::envelope::Envelope = serde_json::from_slice(bytes).ok()?;

    serde_json::from_slice(&BASE64_STANDARD.decode(envelope.payload).ok()?).ok()
}
