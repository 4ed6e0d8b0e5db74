//! What the policy says of tools, servers, labels and emergencies.

use super::*;
use crate::feed::Document;
use crate::gate::tests::document;
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A call under a policy with these members: its host, afterwards.
fn under(policy: Value, token: &str, body: &Value) -> (FakeHost, bool) {
    let host = world(token, &body.to_string());
    let gate = ready(&host, &json!([]));
    gate.take(Document::Policy, &document(policy)).unwrap();
    let forwarded = run(&host, &mut Exchange::new(Rc::new(gate)));
    (host, forwarded)
}

fn bank() -> Value {
    json!({
        "rules": [
            {"id": "all", "models": ["claude-*"], "labels": ["claude"]},
            {"id": "ann", "who": {"users": ["Ann@Example.com"]}, "models": ["*"], "labels": ["ann"]},
            {"id": "no-opus", "models": ["*opus*"], "effect": "deny", "say": "Ask your lead."},
        ],
        "tools": [
            {"id": "asks", "tools": {"Write": "ask"}, "labels": ["writes"]},
            {"id": "agents", "who": {"sources": ["subagent", "job"]}, "tools": {"*delete*": "blocked"},
             "say": "A person has to do that."},
            {"id": "search", "tools": {"web_search": "approve", "skill:*": "blocked"}},
        ],
        "servers": [{"id": "git", "url": "https://git.example.com/mcp"}],
        "break_glass": {"roles": ["fire-brigade"], "passes": ["agents", "no-*"], "keep_days": 2555},
    })
}

fn with(model: &str, members: &Value) -> Value {
    let mut body = json!({"model": model, "max_tokens": 1, "messages": []});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn body(members: &Value) -> Value {
    with("claude-sonnet-4-5", members)
}

fn job(claims: &mut jwt_simple::claims::JWTClaims<contract::claims::Claims>) {
    claims.custom.amr = contract::claims::Method::Service;
}

fn code(host: &FakeHost) -> (u16, String, String) {
    let reply = &host.replies.borrow()[0];
    let code = reply.headers.iter().find(|(name, _)| name == "x-tollgate-refusal").unwrap();
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    (reply.status, code.1.clone(), body["error"]["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_destructive_tool_is_refused_to_a_job_and_allowed_to_a_person() {
    let call = body(&json!({"tools": [{"name": "Read"}, {"name": "mcp__db__delete_all"}]}));

    let (_, person) = under(bank(), &token(|_| {}), &call);
    let (host, job) = under(bank(), &token(job), &call);

    assert!(person && !job);
    let (status, refusal, message) = code(&host);
    assert_eq!((status, &*refusal), (403, "tool_blocked"));
    assert!(message.ends_with("(rule agents) A person has to do that."), "{message}");
    let row = row(&host);
    assert_eq!((row.outcome, row.rule_id.as_deref()), (Outcome::Denied, Some("agents")));
    assert_eq!(row.payload.refusal.as_deref(), Some("tool_blocked"));
    assert_eq!(row.payload.findings[0].place, "tools[1]");
    assert_eq!(row.model.as_deref(), Some("claude-sonnet-4-5"), "what was asked for is known");
}

#[test]
fn what_passes_is_noted_and_its_labels_are_there_for_the_route() {
    let (host, forwarded) =
        under(bank(), &token(|_| {}), &body(&json!({"tools": [{"name": "WRITE"}]})));

    assert!(forwarded);
    let labels = host.header(Map::Request, "x-tollgate-label");
    assert_eq!(labels.as_deref(), Some("ann,claude,writes"));
    let row = row(&host);
    assert_eq!(row.payload.labels, ["ann", "claude", "writes"]);
    let noted = &row.payload.findings[0];
    assert_eq!((&*noted.rule_id, &*noted.action, &*noted.place), ("asks", "ask", "tools[0]"));
}

#[test]
fn where_no_rule_labels_a_call_its_route_is_told_so() {
    let (host, _) =
        under(json!({"rules": [{"id": "a", "models": ["*"]}]}), &token(|_| {}), &body(&json!({})));

    assert_eq!(host.header(Map::Request, "x-tollgate-label").as_deref(), Some("none"));
}

#[test]
fn each_no_of_the_policy_has_its_code_and_its_rule() {
    let offers = json!({"rules": [{"id": "a", "models": ["*"]}], "models": [{"id": "m-1"}]});
    let container = json!({"container": {"skills": [{"type": "custom", "skill_id": "s"}]}});
    let server = |url: &str| json!({"mcp_servers": [{"type": "url", "name": "git", "url": url}]});
    for (policy, call, status, refusal, rule) in [
        (bank(), with("claude-opus-5", &json!({})), 400, "model_denied", "no-opus"),
        (offers, with("m-2", &json!({})), 404, "model_unknown", "model_unknown"),
        (
            bank(),
            body(&json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]})),
            403,
            "approval_required",
            "search",
        ),
        (bank(), body(&container), 403, "skill_blocked", "search"),
        (
            bank(),
            body(&server("https://git.example.com/other")),
            403,
            "server_not_managed",
            "server_not_managed",
        ),
        (
            bank(),
            body(&json!({"tools": [{"name": ["Bash"]}]})),
            400,
            "declaration_malformed",
            "declaration_malformed",
        ),
        (bank(), body(&json!({"tools": [], "Tools": []})), 400, "body_duplicate", "body_duplicate"),
        (
            bank(),
            body(&json!({"tools": [{"name": "Read", "Name": "Bash"}]})),
            400,
            "body_duplicate",
            "body_duplicate",
        ),
    ] {
        let (host, forwarded) = under(policy, &token(|_| {}), &call);

        assert!(!forwarded, "{call}");
        let (told, code, _) = code(&host);
        assert_eq!((told, &*code), (status, refusal), "{call}");
        assert_eq!(row(&host).rule_id.as_deref(), Some(rule));
    }
}

#[test]
fn a_managed_server_is_judged_by_its_own_name_whatever_the_request_calls_it() {
    let mut policy = bank();
    policy["tools"][0]["tools"] = json!({"mcp__git__push": "blocked"});
    let call = |tools: Value| {
        body(&json!({
            "mcp_servers": [{"type": "url", "name": "harmless", "url": "https://GIT.example.com/mcp"}],
            "tools": [tools],
        }))
    };
    let all = json!({"type": "mcp_toolset", "mcp_server_name": "harmless"});
    let but = json!({"type": "mcp_toolset", "mcp_server_name": "harmless", "configs": {"push": {"enabled": false}}});

    assert!(!under(policy.clone(), &token(|_| {}), &call(all)).1);
    assert!(under(policy, &token(|_| {}), &call(but)).1);
}

#[test]
fn who_has_broken_the_glass_passes_the_chosen_rules_and_every_row_says_so() {
    let brigade = |claims: &mut jwt_simple::claims::JWTClaims<contract::claims::Claims>| {
        claims.custom.roles = vec!["fire-brigade".into()];
        claims.custom.amr = contract::claims::Method::Service;
    };
    let tools = json!({"tools": [{"name": "delete_all"}]});

    let (host, forwarded) = under(bank(), &token(brigade), &with("claude-opus-5", &tools));
    let (refused, no) = under(
        bank(),
        &token(brigade),
        &body(&json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]})),
    );

    assert!(forwarded && !no, "what was not chosen stays closed");
    let passed = row(&host);
    assert_eq!(passed.payload.passed, ["agents", "no-opus"]);
    for row in [passed, row(&refused)] {
        assert!(row.payload.flags.iter().any(|flag| flag == "break_glass"));
        assert_eq!(row.payload.keep_days, Some(2555));
    }
    let (plain, _) = under(bank(), &token(|_| {}), &body(&json!({})));
    assert_eq!(row(&plain).payload.keep_days, None);
}

#[test]
fn models_are_listed_as_this_caller_may_use_them() {
    let list = |policy: Value| -> Vec<String> {
        let host = world(&token(|_| {}), "");
        let bearer = format!("Bearer {}", token(|_| {}));
        host.put_headers(
            Map::Request,
            &[(":method", "GET"), (":path", "/v1/models?limit=1000"), ("authorization", &bearer)],
        );
        let gate = ready(&host, &json!([]));
        gate.take(Document::Policy, &document(policy)).unwrap();
        let mut exchange = Exchange::new(Rc::new(gate));
        exchange.request_headers(&host, true);
        exchange.finished(&host);
        assert!(host.record().is_none(), "a list is no call");
        let reply = &host.replies.borrow()[0];
        assert_eq!(reply.status, 200);
        let page: Value = serde_json::from_str(&reply.body).unwrap();
        page["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().into()).collect()
    };
    let mut own = bank();
    own["models"] = json!([{"id": "gpt-5.2"}, {"id": "claude-opus-5"}, {"id": "claude-sonnet-5"}]);

    assert_eq!(list(own), ["gpt-5.2", "claude-sonnet-5"]);
    let shipped = list(bank());
    assert!(shipped.contains(&"claude-haiku-4-5-20251001".to_owned()), "{shipped:?}");
    assert!(!shipped.iter().any(|id| id.contains("opus")), "{shipped:?}");
}

#[test]
fn who_is_pinned_carries_their_zone_and_the_row_knows_it() {
    let residency = |rules: Value| {
        let mut policy = bank();
        policy["residency"] = rules;
        under(policy, &token(|claims| claims.custom.region = Some("eu".into())), &body(&json!({})))
    };
    let zone = |host: &FakeHost| host.header(Map::Request, contract::headers::ROUTE_RESIDENCY);

    let (pinned, _) = residency(json!([{"id": "gdpr", "who": {"regions": ["eu"]}, "zone": "eu"}]));
    let (free, _) = residency(json!([{"id": "gdpr", "who": {"regions": ["ch"]}, "zone": "ch"}]));
    let (unasked, _) = residency(json!([]));

    assert_eq!(zone(&pinned).as_deref(), Some("eu"));
    assert_eq!(zone(&free).as_deref(), Some("none"));
    assert_eq!(zone(&unasked), None, "nobody is pinned: it costs nothing");
    assert_eq!(row(&pinned).payload.zone.as_deref(), Some("eu"));
    assert_eq!(row(&free).payload.zone, None);
}
