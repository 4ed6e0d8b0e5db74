//! What the stand-in answers to the methods of the protocol when no script says otherwise.

use super::fixtures;
use super::script::Script;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The version of the stateless era.
pub const MODERN: &str = "2026-07-28";

/// The versions that begin with `initialize`.
pub const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// What it says of itself, so that nobody takes it for a real server.
pub const WORDS: &str = "I am Tollgate's stand-in for an MCP server: I do nothing, and what I say was made up for a test.";

/// What a stand-in has to offer.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Tools `tool_000`, `tool_001` and so on.
    pub tools: usize,
    /// Tools of a page; 0 is all on one.
    pub page: usize,
    /// Also what the protocol's conformance tests ask for.
    pub fixtures: bool,
    /// Descriptions of tools that are not the usual ones.
    pub descriptions: BTreeMap<String, String>,
}

impl Default for Offer {
    fn default() -> Self {
        Self { tools: 100, page: 0, fixtures: false, descriptions: BTreeMap::new() }
    }
}

/// A method's outcome: a result, or an error's code and message.
pub type Outcome = Result<Value, (i64, String)>;

/// The name of a numbered tool.
pub fn numbered(number: usize) -> String {
    format!("tool_{number:03}")
}

/// What the stand-in is, for `initialize` and `server/discover`.
fn server() -> Value {
    json!({ "name": "tollgate-stand-in", "title": "Tollgate's stand-in for an MCP server", "version": "1" })
}

fn capabilities() -> Value {
    json!({
        "tools": { "listChanged": true }, "prompts": { "listChanged": true }, "logging": {}, "completions": {},
        "resources": { "subscribe": true, "listChanged": true },
    })
}

/// Answers a request of this method.
pub fn answer(method: &str, params: &Value, script: &Script, offer: &Offer) -> Outcome {
    let result = match method {
        "initialize" => initialize(params),
        "server/discover" => json!({
            "supportedVersions": [MODERN], "capabilities": capabilities(), "instructions": WORDS,
            "_meta": { "io.modelcontextprotocol/serverInfo": server() },
        }),
        "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => json!({}),
        "tools/list" => return list(params, script, offer),
        "tools/call" => return call(params, script, offer),
        "resources/list" => json!({ "resources": fixtures::resources() }),
        "resources/templates/list" => json!({ "resourceTemplates": fixtures::templates() }),
        "resources/read" => return fixtures::read(text(params, "uri")),
        "prompts/list" => json!({ "prompts": fixtures::prompts() }),
        "prompts/get" => return fixtures::prompt(text(params, "name"), &params["arguments"]),
        "completion/complete" => {
            json!({ "completion": { "values": ["paris", "park", "party"], "total": 3, "hasMore": false } })
        }
        _ => return Err((-32601, "Method not found".to_owned())),
    };

    Ok(result)
}

/// A member that is a string.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn initialize(params: &Value) -> Value {
    let asked = text(params, "protocolVersion");
    let version = LEGACY.into_iter().find(|known| *known == asked).unwrap_or(LEGACY[0]);

    json!({
        "protocolVersion": version, "capabilities": capabilities(), "serverInfo": server(), "instructions": WORDS,
    })
}

/// The tools, all or a page of them. A cursor says how many stand before it.
fn list(params: &Value, script: &Script, offer: &Offer) -> Outcome {
    let mut all = vec![tool("echo", "Says what it was told", offer)];
    all.extend((0..script.tools.unwrap_or(offer.tools)).map(|number| {
        tool(&numbered(number), &format!("Does what number {number} does, which is nothing"), offer)
    }));
    if offer.fixtures {
        all.extend(fixtures::tools());
    }
    let page = script.page.unwrap_or(offer.page);
    let from = match params["cursor"].as_str() {
        None => 0,
        Some(cursor) => {
            let number = cursor.strip_prefix("from-").and_then(|from| from.parse().ok());
            number.ok_or((-32602, "Invalid cursor".to_owned()))?
        }
    };
    let size = if page == 0 { all.len() } else { page };
    let shown: Vec<Value> = all.iter().skip(from).take(size).cloned().collect();
    let mut result = json!({ "tools": shown });
    if from + size < all.len() {
        result["nextCursor"] = json!(format!("from-{}", from + size));
    }

    Ok(result)
}

/// A tool's entry. `region` is one that clients of the stateless era repeat in a header.
fn tool(name: &str, description: &str, offer: &Offer) -> Value {
    let description = offer.descriptions.get(name).map_or(description, String::as_str);

    json!({
        "name": name, "title": format!("The tool {name}"), "description": description,
        "inputSchema": { "type": "object", "properties": {
            "text": { "type": "string", "description": "What to say" },
            "region": { "type": "string", "x-mcp-header": "Region" },
        } },
        "annotations": { "readOnlyHint": true, "destructiveHint": false },
    })
}

/// A tool's result: the script's words, or the arguments.
fn call(params: &Value, script: &Script, offer: &Offer) -> Outcome {
    let name = text(params, "name");
    if offer.fixtures
        && let Some(result) = fixtures::call(name)
    {
        return Ok(result);
    }
    let number = name.strip_prefix("tool_").and_then(|number| number.parse::<usize>().ok());
    let known = number.is_some_and(|number| number < script.tools.unwrap_or(offer.tools));
    if name != "echo" && !known {
        return Err((-32602, format!("Unknown tool: {name}")));
    }
    let words = match (script.text.as_str(), params["arguments"]["text"].as_str()) {
        ("", None) => "fine",
        ("", Some(given)) => given,
        (words, _) => words,
    };
    let filling = "All work and no play makes Jack a dull boy. ";
    let filling: String = filling.chars().cycle().take(script.size).collect();

    Ok(json!({ "content": [{ "type": "text", "text": format!("{words}{filling}") }] }))
}

/// The result of a call that asked the client something: what it said.
pub fn told(answers: &[Value]) -> Value {
    let texts = answers.iter().map(|answer| {
        let result = if answer["result"].is_null() { answer } else { &answer["result"] };
        let text = match (result["action"].as_str(), result["content"]["text"].as_str()) {
            (Some(action), _) => {
                format!("Elicitation completed: action={action}, content={}", result["content"])
            }
            (_, Some(text)) => format!("LLM response: {text}"),
            _ => result.to_string(),
        };
        json!({ "type": "text", "text": text })
    });

    json!({ "content": texts.collect::<Vec<_>>() })
}

/// As results of the stateless era are: they say that they are complete, and lists how long they hold.
pub fn modern(method: &str, mut result: Value) -> Value {
    let Some(members) = result.as_object_mut() else { return result };
    let mut add = |name: &str, value: Value| {
        members.entry(name).or_insert(value);
    };
    add("resultType", json!("complete"));
    if method.ends_with("/list") || method == "server/discover" || method == "resources/read" {
        add("ttlMs", json!(60_000));
        add("cacheScope", json!("public"));
    }

    result
}

/// What the client is asked in the stateless era, inside a result.
pub fn input_required(asks: &[Value]) -> Value {
    let requests: Map<String, Value> =
        asks.iter().enumerate().map(|(nth, ask)| (format!("ask-{nth}"), ask.clone())).collect();

    json!({ "resultType": "input_required", "inputRequests": requests, "requestState": "stand-in" })
}
