//! The clients' documented semantics, in small, held against the gate.

use super::*;
use crate::model;
use crate::policy::{Document, Listed};
use proptest::prelude::*;
use proptest::sample::select;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn policy(mut whole: Value) -> Policy {
    whole["schema"] = crate::policy::SCHEMA.into();
    whole["name"] = "t".into();
    whole["rules"] = json!([{"id": "all", "models": ["*"]}]);
    let document: Document = serde_json::from_value(whole).unwrap();
    Policy::check(document).unwrap()
}

fn clients<'a>(policy: &'a Policy, groups: &'a [String]) -> Clients<'a> {
    let subject = Subject {
        tenant: "t",
        user: "ann@example.com",
        groups,
        roles: groups,
        ..Subject::default()
    };
    Clients { policy, subject, url: "https://gate.example/", helper: Some("/opt/h") }
}

fn choice(word: &Value) -> Choice {
    match word.as_str().unwrap() {
        "allow" => Choice::Allow,
        "ask" => Choice::Ask,
        "blocked" => Choice::Blocked,
        other => panic!("{other}"),
    }
}

/// A `toolPolicy`: an exact name beats patterns, of patterns the strictest counts. In the Code tab a pattern that
/// asks, or one that blocks and is not `*`, beats a laxer name.
fn by_tool_policy(policy: &Value, name: &str, in_code: bool) -> Choice {
    let all = policy.as_object().unwrap();
    let wild: Vec<(&str, Choice)> = all
        .iter()
        .filter(|(key, _)| key.contains('*') && model::matches(key, name))
        .map(|(key, word)| (key.as_str(), choice(word)))
        .collect();
    let Some(exact) = all.get(name).map(choice) else {
        return wild.into_iter().map(|(_, word)| word).max().expect("`*` is always there");
    };
    let beating = wild.into_iter().filter(|(key, word)| {
        in_code && (*word == Choice::Ask || *word == Choice::Blocked && *key != "*")
    });

    beating.map(|(_, word)| word).max().unwrap_or(exact).max(exact)
}

/// Claude Code: deny, then ask, then allow; else the person is asked.
fn by_permissions(permissions: &Value, name: &str) -> Choice {
    let has = |list: &str| {
        let rules = permissions[list].as_array().unwrap();
        rules.iter().any(|rule| model::matches(rule.as_str().unwrap(), name))
    };
    if has("deny") {
        Choice::Blocked
    } else if !has("ask") && has("allow") {
        Choice::Allow
    } else {
        Choice::Ask
    }
}

const TOOLS: [&str; 9] =
    ["get", "get_a", "get_b", "drop", "drop_a", "drop_b", "a__drop_b", "new", "request_approval"];
const OWN: [&str; 8] = ["get", "get_a", "get_*", "drop_*", "*_a", "drop_a", "*", "new"];
const RULED: [&str; 12] = [
    "*",
    "mcp__*",
    "mcp__s__*",
    "mcp__s__get_*",
    "mcp__s__get_a",
    "mcp__*__drop_*",
    "*_a",
    "mcp__s__drop_b",
    "mcp__o__get",
    "mcp__s*",
    "*get*",
    "mcp__s__new",
];
const ALL: [&str; 4] = ["allow", "ask", "approve", "blocked"];

fn words(names: &'static [&'static str], most: usize) -> impl Strategy<Value = Value> {
    proptest::collection::btree_map(select(names), select(&ALL[..]), 0..most).prop_map(|map| {
        Value::Object(map.into_iter().map(|(name, word)| (name.to_owned(), word.into())).collect())
    })
}

fn rule() -> impl Strategy<Value = Value> {
    (words(&RULED, 4), any::<bool>(), any::<bool>()).prop_map(|(tools, red, arguments)| {
        let mut rule = json!({"tools": tools});
        if red {
            rule["who"] = json!({"groups": ["red"]});
        }
        if arguments {
            rule["arguments"] = json!({"/amount": {"over": 5}});
        }
        rule
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let rules = proptest::collection::vec((rule(), 0..3_u8), 0..4);
    let pins = proptest::collection::btree_set(select(&TOOLS[..]), 0..4);
    let pins = prop_oneof![3 => Just(std::collections::BTreeSet::new()), 1 => pins];
    (words(&OWN, 5), select(&ALL[..]), rules, pins).prop_map(|(own, otherwise, rules, pins)| {
        let passed = json!({"id": "passed", "tools": {"Bash": "blocked"}});
        let rules = rules
            .into_iter()
            .enumerate()
            .filter(|(_, (rule, _))| !rule["tools"].as_object().unwrap().is_empty())
            .map(|(index, (mut rule, kind))| {
                rule["id"] = format!("{}{index}", if kind == 0 { "passed" } else { "rule" }).into();
                rule
            });
        let tools: Vec<Value> = rules.chain([passed]).collect();
        let pins: Map<String, Value> =
            pins.into_iter().map(|name| (name.to_owned(), "0".repeat(64).into())).collect();
        policy(json!({
            "servers": [
                {"id": "s", "gateway": {"tools": own, "otherwise": otherwise, "pins": pins}},
                {"id": "theirs", "who": {"groups": ["blue"]}, "gateway": {}},
            ],
            "tools": tools,
            "break_glass": {"roles": ["red"], "passes": ["passed*"], "keep_days": 1},
            "approvals": {"approvers": {"groups": ["red"]}, "wait_seconds": 1, "valid_seconds": 1},
        }))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What the gate would let through no client blocks; what it never lets through clients block, or say that they
    /// cannot; and where it wants the person asked, somebody asks.
    #[test]
    fn clients_agree_with_the_gate(policy in policies(), group in select(&["red", "green"][..])) {
        let groups = [group.to_owned()];
        let clients = clients(&policy, &groups);
        let (cowork, code) = (clients.cowork(false), clients.claude_code_settings());
        for (index, mcp) in clients.servers().enumerate() {
            let tool_policy = &cowork.document["managedMcpServers"][index]["toolPolicy"];
            prop_assert_eq!(&cowork.document["managedMcpServers"][index]["name"], mcp.id());
            prop_assert!(tool_policy.get("*").is_some());
            for name in TOOLS {
                let open = mcp.lists(name, || Some("0".repeat(64))) == Listed::Shown;
                let pins = &mcp.gateway().pins;
                let pinned = pins.is_empty() || pins.contains_key(name);
                let goes = [json!({}), json!({"amount": 1}), json!({"amount": 9})]
                    .iter()
                    .any(|arguments| mcp.calls(name, arguments).word <= crate::policy::Word::Ask);
                prop_assert!(!(goes && pinned) || open, "{name} is not listed, and goes");
                let asks = mcp.shows(name).word == crate::policy::Word::Ask;
                let full = format!("mcp__{}__{name}", mcp.id());
                for (client, is, warnings) in [
                    ("cowork", by_tool_policy(tool_policy, name, false), &cowork.warnings),
                    ("code tab", by_tool_policy(tool_policy, name, true), &cowork.warnings),
                    ("code", by_permissions(&code.document["permissions"], &full), &code.warnings),
                ] {
                    let warned = warnings.iter().any(|warning| {
                        warning.server == mcp.id() && model::matches(&warning.tools, name)
                    });
                    prop_assert!(!open || is != Choice::Blocked, "{client} blocks {full}");
                    prop_assert!(open || is == Choice::Blocked || warned, "{client} shows {full}");
                    prop_assert!(!open || !asks || is == Choice::Ask, "{client} does not ask: {full}");
                }
            }
        }
    }
}

fn bank() -> Policy {
    policy(json!({
        "servers": [
            {"id": "stripe", "url": "https://stripe.example/mcp", "gateway": {
                "title": "Stripe", "tools": {"list_charges": "allow", "refund": "approve", "pay": "ask"},
                "resources": {"stripe://x": "allow"}}},
            {"id": "wiki", "who": {"groups": ["staff"]}, "gateway": {"otherwise": "allow", "tools": {"delete_*": "blocked"}}},
            {"id": "elsewhere", "url": "https://elsewhere.example/mcp"},
        ],
    }))
}

#[test]
fn what_clients_are_told_points_at_the_gate_and_names_tools_as_it_does() {
    let policy = bank();
    let groups = ["staff".to_owned()];
    let clients = clients(&policy, &groups);

    let made = clients.cowork(true);
    assert_eq!(made.warnings, []);
    assert_eq!(
        made.document,
        json!({
            "managedMcpServers": [
                {"name": "stripe", "transport": "http", "url": "https://gate.example/mcp/stripe",
                 "headersHelper": "/opt/h",
                 "toolPolicy": {"list_charges": "allow", "refund": "allow", "pay": "ask", "*": "blocked"}},
                {"name": "wiki", "transport": "http", "url": "https://gate.example/mcp/wiki",
                 "headersHelper": "/opt/h", "toolPolicy": {"delete_*": "blocked", "*": "allow"}},
            ],
            "isLocalDevMcpEnabled": false, "isDesktopExtensionEnabled": false,
            "isDesktopExtensionSignatureRequired": true, "userPluginMarketplacesEnabled": false,
            "mcpPersistentAlwaysAllowEnabled": false,
        })
    );
    assert_eq!(
        clients.claude_code_mcp().document,
        json!({"mcpServers": {
            "stripe": {"type": "http", "url": "https://gate.example/mcp/stripe", "headersHelper": "/opt/h"},
            "wiki": {"type": "http", "url": "https://gate.example/mcp/wiki", "headersHelper": "/opt/h"},
        }})
    );
    let made = clients.claude_code_settings();
    assert_eq!(
        made.document,
        json!({
            "allowManagedMcpServersOnly": true,
            "allowedMcpServers": [{"serverUrl": "https://gate.example/mcp/stripe"}, {"serverUrl": "https://gate.example/mcp/wiki"}],
            "deniedMcpServers": [{"serverUrl": "https://stripe.example/mcp"}],
            "permissions": {
                "deny": ["mcp__wiki__delete_*"],
                "ask": ["mcp__stripe__pay"],
                "allow": ["mcp__stripe__list_charges", "mcp__stripe__refund", "mcp__wiki__*"],
            },
        })
    );
    let told: Vec<(&str, &str)> =
        made.warnings.iter().map(|one| (one.server.as_str(), one.tools.as_str())).collect();
    assert_eq!(told, [("stripe", "*")]);
}

#[test]
fn who_reaches_no_server_is_told_of_none_and_still_adds_none() {
    let policy = policy(json!({"servers": [{"id": "a", "who": {"groups": ["x"]}, "gateway": {}}]}));
    let clients = clients(&policy, &[]);

    assert_eq!(
        clients.cowork(false).document,
        json!({"managedMcpServers": [], "isLocalDevMcpEnabled": false})
    );
    assert_eq!(clients.claude_code_mcp().document, json!({"mcpServers": {}}));
    assert_eq!(clients.claude_code_settings().document["allowedMcpServers"], json!([]));
}

#[test]
fn without_a_helper_the_client_signs_its_person_in() {
    let policy = bank();
    let clients = Clients { helper: None, ..clients(&policy, &[]) };

    let server = &clients.cowork(false).document["managedMcpServers"][0];
    assert_eq!((&server["oauth"], server.get("headersHelper")), (&json!(true), None));
}

#[test]
fn what_a_client_has_no_words_for_is_told() {
    let made = |own: Value, otherwise: &str| {
        let policy = policy(
            json!({"servers": [{"id": "s", "gateway": {"tools": own, "otherwise": otherwise}}]}),
        );
        let made = clients(&policy, &[]).cowork(false);
        let told: Vec<String> = made.warnings.into_iter().map(|one| one.tools).collect();
        (made.document["managedMcpServers"][0]["toolPolicy"].clone(), told)
    };

    let (policy, told) = made(json!({"get_*": "ask", "drop": "blocked"}), "blocked");
    assert_eq!(policy, json!({"*": "ask", "drop": "blocked", "get_*": "ask"}));
    assert_eq!(told, ["*"]);
    let (policy, told) = made(json!({"drop_*": "blocked", "drop_draft": "allow"}), "allow");
    assert_eq!(policy, json!({"*": "allow", "drop_draft": "allow"}));
    assert_eq!(told, ["drop_*"]);
}
