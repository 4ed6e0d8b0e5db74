//! What a request declares: `tools[]`, `mcp_servers[]`, `container.skills[]`.
//!
//! Read by the members that the Messages API gives them; members we do not know pass. Whatever has
//! not the form of a declaration is refused: what we could not read the policy could not judge.

use super::bounded::{Configs, List, Name};
use contract::policy::{Declared, Place, Selection, Server, Skill, Tool};
use serde::Deserialize;
use serde::de::Error;
use std::collections::BTreeMap;

/// Longest address of a server, bytes.
const LONGEST_ADDRESS: usize = 2048;

/// The members of a body that declare something, as they stand there.
#[derive(Default)]
pub(super) struct Raw<'a> {
    pub(super) tools: Option<&'a str>,
    pub(super) servers: Option<&'a str>,
    pub(super) container: Option<&'a str>,
}

/// `type` of a set of a server's tools.
const TOOLSET: &str = "mcp_toolset";

#[derive(Deserialize)]
struct RawTool {
    #[serde(default)]
    name: Option<Name>,
    #[serde(default, rename = "type")]
    kind: Option<Name>,
    #[serde(default)]
    mcp_server_name: Option<Name>,
    #[serde(default)]
    default_config: Option<Config>,
    #[serde(default)]
    configs: Configs<Config>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    enabled: Option<bool>,
}

#[derive(Deserialize)]
struct RawServer {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    name: Option<Name>,
    #[serde(default)]
    tool_configuration: Option<ToolConfiguration>,
}

/// As betas up to `mcp-client-2025-04-04` had it.
#[derive(Deserialize)]
struct ToolConfiguration {
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    allowed_tools: Option<List<Name>>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    skills: List<RawSkill>,
}

#[derive(Deserialize)]
struct RawSkill {
    #[serde(default, rename = "type")]
    kind: Option<Name>,
    #[serde(default)]
    skill_id: Option<Name>,
}

/// Reads the declarations.
///
/// # Errors
/// For what has not their form.
pub(super) fn read(raw: &Raw<'_>) -> Result<Declared, serde_json::Error> {
    let List(tools): List<RawTool> = list(raw.tools)?;
    let List(servers): List<RawServer> = list(raw.servers)?;
    let mut toolsets: BTreeMap<String, Selection> = BTreeMap::new();
    let mut declared = Declared::default();
    for (index, tool) in tools.into_iter().enumerate() {
        let kind = tool.kind.map(|Name(kind)| kind);
        if kind.as_deref() == Some(TOOLSET) {
            let Name(server) = tool.mcp_server_name.unwrap_or_default();
            let selected = selection(tool.default_config.as_ref(), tool.configs);
            // A server has one toolset (Messages API, MCP connector).
            if toolsets.insert(server, selected).is_some() {
                return Err(serde_json::Error::custom("two toolsets of one server"));
            }
        } else {
            let Name(name) = tool.name.unwrap_or_default();
            declared.tools.push(Tool { name, kind, place: Place::Tool(index) });
        }
    }
    for (index, server) in servers.into_iter().enumerate() {
        let Name(name) = server.name.unwrap_or_default();
        let tools = match (toolsets.remove(&name), server.tool_configuration) {
            (Some(by_toolset), None) => by_toolset,
            (Some(by_toolset), Some(own)) => by_toolset.or(&of_configuration(own)),
            (None, Some(own)) => of_configuration(own),
            (None, None) => Selection::all(),
        };
        let place = Place::Server(index);
        let url = server.url.unwrap_or_default();
        if url.len() > LONGEST_ADDRESS {
            return Err(serde_json::Error::custom("an address that is too long"));
        }
        declared.servers.push(Server { url, name, tools, place });
    }
    // Tools of a server that is not there: wherever the provider would find it, it is not managed.
    let lost = toolsets.into_iter().enumerate().map(|(index, (name, tools))| Server {
        url: String::new(),
        name,
        tools,
        place: Place::Server(declared.servers.len().saturating_add(index)),
    });
    let lost: Vec<Server> = lost.collect();
    declared.servers.extend(lost);
    declared.skills = skills(raw.container)?;

    Ok(declared)
}

fn selection(default: Option<&Config>, Configs(named): Configs<Config>) -> Selection {
    let others = default.and_then(|config| config.enabled).unwrap_or(true);
    let named = named.into_iter();

    Selection {
        others,
        named: named.map(|(name, own)| (name, own.enabled.unwrap_or(others))).collect(),
    }
}

fn of_configuration(own: ToolConfiguration) -> Selection {
    let on = own.enabled.unwrap_or(true);
    match own.allowed_tools {
        _ if !on => Selection::default(),
        None => Selection::all(),
        Some(List(tools)) => Selection {
            others: false,
            named: tools.into_iter().map(|Name(tool)| (tool, true)).collect(),
        },
    }
}

/// A container by its id brings no skills of its own.
fn skills(container: Option<&str>) -> Result<Vec<Skill>, serde_json::Error> {
    let Some(container) = container.filter(|text| text.starts_with('{')) else {
        return Ok(Vec::new());
    };
    let Container { skills: List(skills) } = serde_json::from_slice(container.as_bytes())?;
    let name = |name: Option<Name>| name.unwrap_or_default().0;
    let read = skills.into_iter().enumerate().map(|(index, skill)| Skill {
        kind: name(skill.kind),
        id: name(skill.skill_id),
        place: Place::Skill(index),
    });

    Ok(read.collect())
}

fn list<'a, T: Deserialize<'a>>(raw: Option<&'a str>) -> Result<List<T>, serde_json::Error> {
    Ok(raw.map(|raw| serde_json::from_slice(raw.as_bytes())).transpose()?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn of(tools: &str, servers: &str, container: &str) -> Result<Declared, serde_json::Error> {
        read(&Raw { tools: Some(tools), servers: Some(servers), container: Some(container) })
    }

    #[test]
    fn tools_are_known_by_name_and_type_and_place() {
        let tools = r#"[{"name":"Ba\u0073h","description":"d","input_schema":{}},
            {"type":"web_search_20250305","name":"web_search","max_uses":5},{"x_future":1}]"#;

        let declared = of(tools, "null", "null").unwrap();

        let seen: Vec<_> = declared
            .tools
            .iter()
            .map(|tool| (&*tool.name, tool.kind.as_deref(), tool.place.to_string()))
            .collect();
        assert_eq!(
            seen,
            [
                ("Bash", None, "tools[0]".into()),
                ("web_search", Some("web_search_20250305"), "tools[1]".into()),
                ("", None, "tools[2]".into()),
            ]
        );
    }

    #[test]
    fn a_server_s_tools_are_those_that_its_toolsets_or_its_configuration_select() {
        let servers = r#"[{"type":"url","name":"a","url":"https://a.example"},
            {"name":"b","url":"https://b.example","tool_configuration":{"allowed_tools":["x"]}},
            {"name":"c","url":"https://c.example","tool_configuration":{"enabled":false}},
            {"name":"d","url":"https://d.example"}]"#;
        let tools = r#"[{"type":"mcp_toolset","mcp_server_name":"d","default_config":{"enabled":false},
             "configs":{"p":{"enabled":true},"q":{}}},
            {"type":"mcp_toolset","mcp_server_name":"elsewhere"}]"#;

        let declared = of(tools, servers, "null").unwrap();

        let only = |name: &str, on: &[(&str, bool)]| {
            let server = declared.servers.iter().find(|server| server.name == name).unwrap();
            let named = on.iter().map(|(tool, on)| ((*tool).to_owned(), *on)).collect();
            assert_eq!(server.tools, Selection { others: false, named }, "{name}");
        };
        assert!(declared.tools.is_empty(), "a toolset is no tool");
        assert_eq!(declared.servers[0].tools, Selection::all());
        only("b", &[("x", true)]);
        only("c", &[]);
        only("d", &[("p", true), ("q", false)]);
        assert_eq!((&*declared.servers[4].name, &*declared.servers[4].url), ("elsewhere", ""));
    }

    #[test]
    fn skills_come_with_a_container_that_is_described() {
        let container = r#"{"id":"c1","skills":[{"type":"custom","skill_id":"s1","version":"1"}]}"#;

        assert_eq!(of("[]", "[]", container).unwrap().skills[0].name(), "skill:custom/s1");
        assert!(of("[]", "[]", "\"container_1\"").unwrap().skills.is_empty());
    }

    #[test]
    fn what_has_not_the_form_of_a_declaration_is_refused() {
        for (tools, servers, container) in [
            (r#"{"name":"a"}"#, "null", "null"),
            (r#"[{"name":1}]"#, "null", "null"),
            (r#"[{"name":"a","name":"b"}]"#, "null", "null"),
            (r#"["Bash"]"#, "null", "null"),
            ("null", r#"[{"url":"a","url":"b"}]"#, "null"),
            ("null", r#"{"url":"a"}"#, "null"),
            ("null", "null", r#"{"skills":{"skill_id":"a"}}"#),
            ("null", "null", r#"{"skills":[],"skills":[]}"#),
            (
                r#"[{"type":"mcp_toolset","mcp_server_name":"a"},{"type":"mcp_toolset","mcp_server_name":"a"}]"#,
                "null",
                "null",
            ),
            (
                r#"[{"type":"mcp_toolset","configs":{"a":{"enabled":false},"a":{}}}]"#,
                "null",
                "null",
            ),
        ] {
            assert!(of(tools, servers, container).is_err(), "{tools} {servers} {container}");
        }
    }

    #[test]
    fn what_is_kept_of_a_body_is_bounded() {
        let long = "x".repeat(257);
        let many = format!("[{}{{}}]", "{},".repeat(4096));
        let names = (0..=4096).map(|n| format!("\"t{n}\":{{}}")).collect::<Vec<_>>().join(",");

        for tools in [
            format!(r#"[{{"name":"{long}"}}]"#),
            format!(r#"[{{"type":"{long}"}}]"#),
            format!(r#"[{{"type":"mcp_toolset","configs":{{{names}}}}}]"#),
            many.clone(),
        ] {
            assert!(of(&tools, "null", "null").is_err(), "{}", tools.len());
        }
        assert!(of("null", &many, "null").is_err());
        let url = format!(r#"[{{"url":"https://a.example/{}"}}]"#, "x".repeat(LONGEST_ADDRESS));
        assert!(of("null", &url, "null").is_err());
        assert!(of("null", "null", &format!(r#"{{"skills":{many}}}"#)).is_err());
    }
}
