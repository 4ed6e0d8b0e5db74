//! What holds of every policy.

use super::*;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MODELS: [&str; 4] = ["m-1", "m-2", "m-*", "*"];
const NAMES: [&str; 5] = ["read", "delete", "mcp__a__delete", "mcp__a__get", "web_search"];
const PATTERNS: [&str; 6] = ["*", "read", "*delete*", "mcp__*", "mcp__a__get", "web_*"];
const GROUPS: [&str; 3] = ["red", "green", "blue"];

fn who() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        select(&GROUPS[..]).prop_map(|group| json!({"groups": [group]})),
        select(&["cowork", "subagent"][..]).prop_map(|source| json!({"sources": [source]})),
    ]
}

/// Rules over models, without ids; at least one allows something.
fn rule() -> impl Strategy<Value = Value> {
    (who(), select(&MODELS[..]), any::<bool>()).prop_map(|(who, model, deny)| {
        json!({"who": who, "models": [model], "effect": if deny { "deny" } else { "allow" }})
    })
}

fn tool_rule() -> impl Strategy<Value = Value> {
    let words = select(&["allow", "ask", "approve", "blocked"][..]);
    let entries = proptest::collection::vec((select(&PATTERNS[..]), words), 1..4);
    (who(), entries).prop_map(|(who, entries)| {
        let tools: serde_json::Map<String, Value> =
            entries.into_iter().map(|(name, word)| (name.to_owned(), word.into())).collect();
        json!({"who": who, "tools": tools})
    })
}

fn server_rule() -> impl Strategy<Value = Value> {
    who().prop_map(|who| json!({"who": who, "url": "https://a.example/mcp"}))
}

fn policy() -> impl Strategy<Value = Value> {
    let rules = proptest::collection::vec(rule(), 1..5);
    let tools = proptest::collection::vec(tool_rule(), 0..4);
    let servers = proptest::collection::vec(server_rule(), 0..2);
    (rules, tools, servers).prop_map(
        |(rules, tools, servers)| json!({"rules": rules, "tools": tools, "servers": servers}),
    )
}

/// The policy, with an id for each rule.
fn parsed(mut policy: Value) -> Policy {
    let mut count = 0;
    for section in ["rules", "tools", "servers"] {
        for rule in policy[section].as_array_mut().unwrap() {
            count += 1;
            rule["id"] = if section == "servers" {
                json!(format!("a{count}"))
            } else {
                json!(format!("r{count}"))
            };
        }
    }
    policy["schema"] = SCHEMA.into();
    policy["name"] = "any".into();
    Policy::parse(policy.to_string().as_bytes()).unwrap()
}

#[derive(Debug, Clone)]
struct Ask {
    groups: Vec<String>,
    source: crate::audit::CallSource,
    model: &'static str,
    tools: Vec<&'static str>,
    server: bool,
}

fn ask() -> impl Strategy<Value = Ask> {
    use crate::audit::CallSource::{Cowork, Subagent};
    let groups = subsequence(&GROUPS[..], 0..3);
    let tools = subsequence(&NAMES[..], 0..4);
    (groups, select(&[Cowork, Subagent][..]), select(&["m-1", "m-2"][..]), tools, any::<bool>())
        .prop_map(|(groups, source, model, tools, server)| Ask {
            groups: groups.into_iter().map(ToOwned::to_owned).collect(),
            source,
            model,
            tools,
            server,
        })
}

fn allowed(policy: &Policy, ask: &Ask) -> bool {
    let subject = Subject { groups: &ask.groups, source: ask.source, ..Subject::default() };
    let tool = |(index, name): (usize, &&str)| Tool {
        name: (*name).to_owned(),
        kind: None,
        place: Place::Tool(index),
    };
    let server = Server {
        name: "x".into(),
        url: "https://a.example/mcp".into(),
        tools: Selection::all(),
        place: Place::Server(0),
    };
    let declared = Declared {
        tools: ask.tools.iter().enumerate().map(tool).collect(),
        servers: ask.server.then_some(server).into_iter().collect(),
        skills: Vec::new(),
    };

    policy.judge(&subject, Asked { model: ask.model, beside: &[], declared: &declared }).is_ok()
}

fn reversed(mut policy: Value) -> Value {
    for section in ["rules", "tools", "servers"] {
        policy[section].as_array_mut().unwrap().reverse();
    }
    policy
}

proptest! {
    #[test]
    fn a_rule_more_that_denies_or_speaks_of_tools_never_allows_more(
        before in policy(), ask in ask(), tool in tool_rule(), mut rule in rule(),
    ) {
        let mut after = before.clone();
        rule["effect"] = "deny".into();
        after["rules"].as_array_mut().unwrap().push(rule);
        after["tools"].as_array_mut().unwrap().push(tool);

        prop_assert!(allowed(&parsed(before), &ask) || !allowed(&parsed(after), &ask));
    }

    #[test]
    fn a_rule_less_that_allows_never_allows_more(before in policy(), ask in ask()) {
        let mut after = before.clone();
        let rules = after["rules"].as_array_mut().unwrap();
        let last = rules.iter().rposition(|rule| rule["effect"] == "allow");
        prop_assume!(rules.len() > 1 && last.is_some());
        rules.remove(last.unwrap());
        after["servers"] = json!([]);

        prop_assert!(allowed(&parsed(before), &ask) || !allowed(&parsed(after), &ask));
    }

    #[test]
    fn a_stricter_word_never_allows_more(before in policy(), ask in ask(), word in select(&["ask", "approve", "blocked"][..])) {
        let stricter = |now: &Value| {
            let order = ["allow", "ask", "approve", "blocked"];
            let at = |word: &str| order.iter().position(|other| *other == word);
            if at(word) > at(now.as_str().unwrap()) { json!(word) } else { now.clone() }
        };
        let mut after = before.clone();
        for rule in after["tools"].as_array_mut().unwrap() {
            for (_, now) in rule["tools"].as_object_mut().unwrap() {
                *now = stricter(now);
            }
        }

        prop_assert!(allowed(&parsed(before), &ask) || !allowed(&parsed(after), &ask));
    }

    #[test]
    fn the_order_of_rules_decides_nothing(policy in policy(), ask in ask()) {
        let (one, other) = (parsed(policy.clone()), parsed(reversed(policy)));

        prop_assert_eq!(allowed(&one, &ask), allowed(&other, &ask));
    }

    #[test]
    fn what_is_not_declared_is_not_refused(policy in policy(), ask in ask()) {
        let parsed = parsed(policy);
        let bare = Ask { tools: Vec::new(), server: false, ..ask.clone() };

        prop_assert!(allowed(&parsed, &bare) || !allowed(&parsed, &ask));
    }
}
