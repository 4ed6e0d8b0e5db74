//! What the policy governs, on the real Envoy: tools, servers, sources, secrets, words, labels that
//! routes match on, break-glass, and the list of models.

use e2e::client::{Call, body};
use e2e::provider::script::Script;
use e2e::suite::{Suite, alone};
use e2e::world::World;
use e2e::world::rows::Row;
use e2e::world::setup::Setup;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

static SUITE: Suite = Suite::new(|| Setup { policy: policy(), ..Setup::named("governs") });

fn policy() -> Value {
    json!({
        "schema": "tollgate.policy/v1", "name": "governed",
        "rules": [
            {"id": "everyone", "models": ["claude-haiku-*", "claude-sonnet-*", "gpt-*"]},
            {"id": "traders", "who": {"departments": ["trading"]}, "models": ["claude-*"], "labels": ["risk-high"]},
            {"id": "no-old-models", "models": ["claude-sonnet-3*", "claude-haiku-3*"], "effect": "deny"},
        ],
        "models": [{"id": "claude-haiku-4-5"}, {"id": "claude-sonnet-4-5"}, {"id": "claude-opus-4-8"}, {"id": "claude-haiku-3"}],
        "tools": [
            {"id": "agents-destroy-nothing", "who": {"sources": ["subagent", "job"]},
             "tools": {"Bash": "blocked", "mcp__*__delete_*": "blocked"}, "say": "Ask in the chat instead."},
            {"id": "web", "tools": {"web_search": "ask", "web_fetch": "approve", "skill:custom/*": "blocked"}},
        ],
        "servers": [{"id": "git", "url": "https://git.example.com/mcp"}],
        "secrets": [
            {"id": "no-keys", "patterns": ["*"], "except": ["slack_webhook"], "action": "deny", "severity": "critical"},
            {"id": "webhooks", "patterns": ["slack_webhook"], "action": "flag", "severity": "low"},
        ],
        "blocklists": [
            {"id": "projects", "words": ["Project Bluebird"], "action": "deny", "severity": "high"},
            {"id": "names", "words": ["Umbrella"], "action": "flag", "labels": ["sensitive"]},
        ],
        "break_glass": {"roles": ["fire-brigade"], "passes": ["agents-*", "no-keys"], "keep_days": 2555},
    })
}

/// A key as Anthropic gives them out, that nobody has.
fn key() -> String {
    format!("sk-ant-{}-{}AA", "api03", "b7Qx9ZkLm2".repeat(10).split_at(93).0)
}

fn says(world: &World, text: &str) -> Call {
    world.call(&Script::new()).member("messages", json!([{"role": "user", "content": text}]))
}

async fn denied(world: &World, call: Call, status: u16, code: &str, rule: &str) -> Row {
    let script = Script::find(&call.body.concat());

    let answer = call.send(world).await;

    assert_eq!(
        (answer.status, answer.header("x-tollgate-refusal")),
        (status, code),
        "{}",
        answer.text()
    );
    let row = world.row_from(answer.source).await;
    assert_eq!((row.text("outcome"), row.text("rule_id")), ("denied", rule), "{row:?}");
    if rule != code {
        assert_eq!(row.payload["refusal"], code);
        assert!(answer.text().contains(rule), "the person can name the rule: {}", answer.text());
    }
    if let Some(script) = script {
        assert!(world.provider.seen(&script).is_empty(), "nothing goes upstream");
    }
    row
}

async fn allowed(world: &World, call: Call) -> Row {
    let answer = call.send(world).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let row = world.row_from(answer.source).await;
    assert_eq!(row.text("outcome"), "allowed", "{row:?}");
    row
}

#[test]
fn a_tool_that_destroys_is_refused_to_an_agent_and_allowed_to_a_person() {
    SUITE.run(async |world| {
        join_all(["Bash", "bash", "mcp__git__delete_branch"].map(async |tool_name| {
            let tool = |name: &str| json!({"name": name, "input_schema": {"type": "object"}});
            let tools = json!([tool("Read"), tool(tool_name)]);
            let call = || world.call(&Script::new()).member("tools", tools.clone());
            let agent = call().header("x-claude-code-agent-id", "agent-1");
            let job = call().header("x-call-source", "job");
            let rule = "agents-destroy-nothing";

            let (_, row, _) = tokio::join!(
                allowed(world, call()),
                denied(world, agent, 403, "tool_blocked", rule),
                denied(world, job, 403, "tool_blocked", rule),
            );

            assert_eq!(row.text("call_source"), "subagent");
            assert_eq!(row.payload["findings"][0]["place"], "tools[1]");
        }))
        .await;
    });
}

#[test]
fn the_provider_s_own_tools_servers_and_skills_are_judged_where_they_are_declared() {
    SUITE.run(async |world| {
        let call = |name: &str, value: Value| world.call(&Script::new()).member(name, value);
        let server = |url: &str| json!([{"type": "url", "name": "git", "url": url}]);
        let skills = json!({"skills": [{"type": "custom", "skill_id": "s", "version": "1"}]});

        let search = json!([{"type": "web_search_20250305", "name": "web_search"}]);
        let noted = allowed(world, call("tools", search)).await;
        assert_eq!(noted.payload["findings"][0]["action"], "ask");
        let fetch = json!([{"type": "web_fetch_20250910", "name": "innocent"}]);
        denied(world, call("tools", fetch), 403, "approval_required", "web").await;
        denied(world, call("container", skills), 403, "skill_blocked", "web").await;
        allowed(world, call("mcp_servers", server("https://git.example.com/mcp"))).await;
        join_all(
            [
                "https://evil.example/mcp",
                "https://git.example.com/mcp/../admin",
                "https://git.example.com@evil.example/mcp",
                "http://git.example.com/mcp",
            ]
            .map(async |elsewhere| {
                let code = "server_not_managed";
                denied(world, call("mcp_servers", server(elsewhere)), 403, code, code).await;
            }),
        )
        .await;
        let code = "declaration_malformed";
        denied(world, call("tools", json!({"name": "Bash"})), 400, code, code).await;
    });
}

#[test]
fn models_are_denied_unknown_or_listed_as_the_policy_has_them() {
    SUITE.run(async |world| {
        let ask = |model: &str| world.call(&Script::new()).member("model", json!(model));
        let trader = world.token_with(|_, claims| claims["department"] = json!("trading"));
        let list = async |token: &str| -> Vec<String> {
            let answer = world.get("/v1/models?limit=1000").bearer(token).send(world).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let data = answer.json()["data"].as_array().unwrap().clone();
            data.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
        };

        denied(world, ask("claude-haiku-3"), 400, "model_denied", "no-old-models").await;
        let code = "model_unknown";
        denied(world, ask("gpt-5"), 404, code, code).await;
        assert_eq!(list(&world.token()).await, ["claude-haiku-4-5", "claude-sonnet-4-5"]);
        assert_eq!(
            list(&trader).await,
            ["claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-8"]
        );
        assert_eq!(world.get("/v1/models").send(world).await.status, 401);
        for model in list(&world.token()).await {
            allowed(world, ask(&model)).await;
        }
    });
}

#[test]
fn a_secret_is_found_wherever_it_stands_and_its_text_goes_nowhere() {
    SUITE.run(async |world| {
        let key = key();
        let (one, other) = key.split_at(20);
        let escaped = key.replace("sk-ant", "\\u0073k\\u002dant");
        let mut good = body(&Script::new());
        good["messages"][0]["content"] = json!("KEY");
        let escaped = good.to_string().replace("KEY", &escaped);
        let document = {
            use base64::{Engine, prelude::BASE64_STANDARD};
            BASE64_STANDARD.encode(format!("line one\nkey = {key}\n"))
        };
        let message = |content: Value| {
            world.call(&Script::new()).member("messages", json!([{"role": "user", "content": content}]))
        };
        let calls = [
            says(world, &format!("my key is {key}.")),
            world.call(&Script::new()).body(escaped),
            world.call(&Script::new()).member("system", json!([{"type": "text", "text": key}])),
            message(json!([{"type": "text", "text": format!("a {one}")}, {"type": "text", "text": format!("{other} b")}])),
            message(json!([{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": key}]}])),
            message(json!([{"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": document}}])),
            message(json!("many pieces ".to_owned() + &key)).pieces(7, std::time::Duration::ZERO),
        ];
        join_all(calls.map(async |call| {
            let row = denied(world, call, 403, "secret_found", "no-keys").await;

            let found = &row.payload["findings"][0];
            assert_eq!((&found["what"], &found["action"]), (&json!("anthropic_key"), &json!("deny")));
            assert_eq!(found["severity"], "critical");
            assert_eq!(found["digest"].as_str().map(str::len), Some(16));
            assert!(found["place"].as_str().is_some_and(|place| place.starts_with(['m', 's'])), "{found}");
            assert!(!format!("{row:?}").contains(other), "the row has the secret");
        }))
        .await;
        allowed(world, says(world, "sk-ant-api03- is how they begin.")).await;
        let mut files = Vec::new();
        logs(&world.place, &mut files);
        assert!(files.len() > 3, "{files:?}");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let found = bytes.windows(20).any(|window| window == &other.as_bytes()[..20]);
            assert!(!found, "{} has the secret", file.display());
        }
    });
}

/// Everything that the world writes, but for what the stand-in was sent.
fn logs(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            logs(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

#[test]
fn a_word_is_denied_or_flagged_and_what_is_flagged_is_masked_in_the_row() {
    SUITE.run(async |world| {
        let call = says(world, "Tell me about project\n  BLUEBIRD, please.");
        let row = denied(world, call, 403, "word_blocked", "projects").await;
        assert_eq!(row.payload["findings"][0]["what"], "word 1");

        let row = allowed(world, says(world, "Who works for Umbrella?")).await;
        assert_eq!(row.payload["findings"][0]["rule_id"], "names");
        assert_eq!(row.payload["labels"], json!(["sensitive"]));
        assert!(!format!("{row:?}").contains("Umbrella"), "{row:?}");
        assert!(format!("{row:?}").contains("Who works for"), "the rest is kept: {row:?}");

        allowed(world, says(world, "A project. Bluebirds and umbrellas.")).await;
    });
}

#[test]
fn who_has_broken_the_glass_passes_chosen_rules_and_it_is_heard_of() {
    SUITE.run(async |world| {
        let brigade = world.token_with(|_, claims| claims["roles"] = json!(["fire-brigade"]));
        let call = |text: &str| says(world, text).bearer(&brigade);

        let row = allowed(world, call(&format!("restore with {}", key()))).await;

        assert!(row.flagged("break_glass"), "{row:?}");
        assert_eq!(
            (&row.payload["passed"], &row.payload["keep_days"]),
            (&json!(["no-keys"]), &json!(2555))
        );
        assert_eq!(row.payload["findings"][0]["action"], "flag");
        let row = denied(world, call("Project Bluebird"), 403, "word_blocked", "projects").await;
        assert!(row.flagged("break_glass"), "every call of theirs is");
        assert!(world.logs().contains("broken the glass"), "it is heard of");
    });
}

#[test]
fn denials_by_rule_are_one_query() {
    SUITE.run(async |world| {
        let tools = json!([{"name": "Bash", "input_schema": {"type": "object"}}]);
        let call = world.call(&Script::new()).member("tools", tools).header("x-call-source", "job");
        denied(world, call, 403, "tool_blocked", "agents-destroy-nothing").await;

        let list = world.tollgate(&[
            "audit",
            "query",
            "--where",
            "rule_id=agents-destroy-nothing",
            "--json",
        ]);

        assert!(list.unwrap().lines().all(|line| line.contains("agents-destroy-nothing")));
    });
}

#[test]
fn a_label_of_the_policy_and_a_claim_that_is_asked_for_choose_the_route() {
    let elsewhere = "    # To move a family of models elsewhere";
    let teapot = |header: &str, word: &str, status: u16| {
        format!(
            r#"    - match: {{prefix: /v1/messages, headers: [{{name: {header}, string_match: {{safe_regex: {{regex: "(.*,)?{word}(,.*)?"}}}}}}]}}
      direct_response: {{status: {status}}}
"#
        )
    };
    let (label, groups) = ("x-tollgate-label", "x-tollgate-groups");
    let routes = teapot(label, "risk-high", 418) + &teapot(groups, "research", 417) + elsewhere;
    let setup = Setup { policy: policy(), ..Setup::named("governs-routes") }
        .edit("routes.yaml", elsewhere, &routes)
        .edit("gate.yaml", r#""role": "gate","#, r#""role": "gate", "route_claims": ["groups"],"#);
    alone(setup, async |world| {
        let trader = world.token_with(|_, claims| claims["department"] = json!("trading"));
        let research = |groups: Value| world.token_with(|_, claims| claims["groups"] = groups);
        let sends =
            async |token: &str| world.call(&Script::new()).bearer(token).send(world).await.status;

        assert_eq!(sends(&trader).await, 418);
        assert_eq!(sends(&research(json!(["a", "research", "z"]))).await, 417);
        assert_eq!(sends(&research(json!(["x,research"]))).await, 200, "one name is no two");
        for (header, word) in [(label, "risk-high"), (groups, "research")] {
            let forged = world.call(&Script::new()).header(header, word);
            assert_eq!(forged.send(world).await.status, 200, "a client sets no {header}");
        }
    });
}
