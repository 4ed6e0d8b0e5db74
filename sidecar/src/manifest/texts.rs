//! Skills and agents as files: front matter and instructions.

use super::folder;
use super::source::{AgentSource, SkillSource};
use crate::policy::yaml::{self, Kind};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

/// A skill's description and its SKILL.md.
///
/// # Errors
/// What is wrong, and with which member.
pub(crate) fn skill(
    root: &Path,
    skill: &SkillSource,
) -> Result<(String, String), (&'static str, String)> {
    let (member, text) = given(root, skill.path.as_deref(), skill.instructions.as_deref())?;
    let Some((front, _)) = split(&text) else {
        let description = skill.description.clone().ok_or_else(|| {
            ("description", "is missing: when it is of use, in a sentence".to_owned())
        })?;
        let head = format!("name: {}\ndescription: {}\n", word(&skill.id), quoted(&description));
        return Ok((description, compose(&head, &text)));
    };
    let says = |name: &str| scalar(front, name);
    match says("name") {
        Some(name) if name == skill.id => {}
        Some(name) => {
            return Err((member, format!("calls itself {name:?}, and its id is {:?}", skill.id)));
        }
        None => return Err((member, format!("has a front matter without `name: {}`", skill.id))),
    }
    match (says("description"), &skill.description) {
        (None, _) => Err((member, "has a front matter without a description".to_owned())),
        (Some(own), Some(said)) if own != *said => {
            Err(("description", "is another than in the front matter: leave it out".to_owned()))
        }
        (Some(own), _) => Ok((own, ended(&text))),
    }
}

/// An agent's file. Its front matter is made of what the catalogue says, so that the two cannot differ.
///
/// # Errors
/// What is wrong, and with which member.
pub(crate) fn agent(root: &Path, agent: &AgentSource) -> Result<String, (&'static str, String)> {
    let (member, text) = given(root, agent.path.as_deref(), agent.instructions.as_deref())?;
    if split(&text).is_some() {
        let problem = "has a front matter of its own: what it says belongs into the catalogue";
        return Err((member, problem.to_owned()));
    }
    let AgentSource { id, description, model, skills, mcp_servers, tools, .. } = agent;
    for tool in tools {
        tool_fault(tool, mcp_servers).map_or(Ok(()), |problem| Err(("tools", problem)))?;
    }
    let (name, description, model) = (word(id), quoted(description), quoted(model));
    let mut head = format!("name: {name}\ndescription: {description}\nmodel: {model}\n");
    if !skills.is_empty() {
        head.push_str("skills:\n");
        for skill in skills {
            writeln!(head, "  - {}", word(skill)).map_err(|error| (member, error.to_string()))?;
        }
    }
    let servers = mcp_servers.iter().map(|it| format!("mcp__{it}"));
    let tools: Vec<String> = tools.iter().cloned().chain(servers).collect();
    if !tools.is_empty() {
        let line = writeln!(head, "tools: {}", tools.join(", "));
        line.map_err(|error| (member, error.to_string()))?;
    }

    Ok(compose(&head, &text))
}

/// What is wrong with a tool's name, or a rule for it such as `Bash(git diff:*)`: it stands in a list that has no quotes.
fn tool_fault(tool: &str, servers: &[String]) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.*/:() ".contains(&byte);
    let begins = tool.starts_with(|first: char| first.is_ascii_alphabetic());
    let ends = tool.ends_with([' ', ':']) || tool.contains(": ") || !is_plain(tool);
    if !begins || ends || !tool.bytes().all(plain) {
        return Some(format!(
            "has {tool:?}: a tool begins with a letter, and has letters, digits and _ - . * / : ( ) besides"
        ));
    }
    let lower = tool.to_ascii_lowercase();
    let of = lower.strip_prefix("mcp__")?;
    let is_its = |server: &String| {
        let rest = of.strip_prefix(&server.to_ascii_lowercase());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("__"))
    };
    if servers.iter().any(is_its) {
        return None;
    }

    Some(format!("has {tool:?}, and mcp_servers of the agent has no such server"))
}

fn given(
    root: &Path,
    path: Option<&str>,
    inline: Option<&str>,
) -> Result<(&'static str, String), (&'static str, String)> {
    let (member, text) = match (path, inline) {
        (Some(path), None) => {
            ("path", folder::text(root, path).map_err(|problem| ("path", problem))?)
        }
        (None, Some(text)) => ("instructions", text.to_owned()),
        (Some(_), Some(_)) => {
            return Err(("path", "and `instructions` say the same: leave one out".to_owned()));
        }
        (None, None) => {
            return Err(("instructions", "is missing: its text, or `path` to it".to_owned()));
        }
    };
    if text.trim().is_empty() {
        return Err((member, "is empty".to_owned()));
    }

    Ok((member, text))
}

/// Front matter and what follows it.
fn split(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("---\n")?.split_once("\n---\n")
}

/// A member of the front matter that is a scalar.
fn scalar(front: &str, name: &str) -> Option<String> {
    let Kind::Map(pairs) = yaml::parse(front).ok()?.kind else { return None };
    pairs.into_iter().find(|(key, _)| key.text == name).and_then(|(_, node)| match node.kind {
        Kind::Scalar { text, .. } => Some(text),
        _ => None,
    })
}

/// A name, which readers of YAML are to take for a text.
fn word(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { quoted(name) }
}

/// Is it a text without quotes? Numbers and dates begin with a digit; the words are those of YAML 1.1.
fn is_plain(name: &str) -> bool {
    const OTHERS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    let is_other = OTHERS.iter().any(|it| it.eq_ignore_ascii_case(name));

    name.starts_with(|first: char| first.is_ascii_alphabetic()) && !is_other
}

/// JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn compose(head: &str, text: &str) -> String {
    ended(&format!("---\n{head}---\n\n{}", text.trim()))
}

fn ended(text: &str) -> String {
    format!("{}\n", text.trim_end())
}
