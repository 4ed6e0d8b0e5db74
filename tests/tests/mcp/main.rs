//! MCP servers through the gate, on the real Envoy: what is open passes, what is closed is not there, and nobody has
//! anything of anybody else's.

use contract::{canonical, envelope::hex};
use e2e::client::Call;
use e2e::client::answer::Answer;
use e2e::mcp::gated::{Agent, Behind, HOST};
use e2e::mcp::standin::script::Script;
use e2e::mcp::standin::{Settings, Standin};
use e2e::suite::{Suite, bare};
use e2e::world::certificates::{self, Authority};
use e2e::world::rows::Row;
use e2e::world::setup::Setup;
use e2e::world::{ANN, World};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::LazyLock;

mod answers;
mod approves;
mod asks;
mod lists;
mod pins;
mod rows;
mod sessions;
mod signs_in;
mod ways;

/// Somebody else.
const BOB: &str = "bob@example.com";

/// The servers' own tokens, as Envoy has them.
const CREDENTIALS: [&str; 3] =
    ["Bearer upstream-one", "Bearer upstream-two", "Bearer upstream-three"];

/// A key as a code host gives them out, that nobody has.
fn key() -> String {
    format!("ghp_{}", "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF2hJ5")
}

/// What stands behind the gate.
struct Behinds {
    authority: Authority,
    /// Behind `tickets`, `open`, `shared` and `bobs`, over TLS.
    tickets: Standin,
    /// Behind `pinned`, which changes its tools.
    pinned: Standin,
    /// Behind `leaky`, which tells secrets whatever it is asked.
    leaky: Standin,
}

static BEHIND: LazyLock<Behinds> = LazyLock::new(|| {
    bare(async {
        let authority = Authority::new().unwrap();
        let made = authority.certify(&[HOST]).unwrap();
        let tls = certificates::server(made.cert.as_bytes(), made.key.as_bytes()).unwrap();
        let start = async |nth: usize, tls| {
            let credential = Some(CREDENTIALS[nth].to_owned());
            Standin::start(Settings { credential, ..Settings::default() }, tls).await.unwrap()
        };
        let behinds = Behinds {
            tickets: start(0, Some(tls)).await,
            pinned: start(1, None).await,
            leaky: start(2, None).await,
            authority,
        };
        let leak = Script { text: format!("the key is {}", key()), ..Script::new() };
        behinds.leaky.always("tools/call", leak);

        behinds
    })
});

static SUITE: Suite = Suite::new(|| {
    let behind = &*BEHIND;
    // Two workers: what one of them learns, both know.
    let setup = Setup { policy: policy(), concurrency: 2, ..Setup::named("mcp") };
    let tickets = |id| Behind {
        id,
        address: behind.tickets.address,
        credential: CREDENTIALS[0],
        authority: Some(&behind.authority),
    };
    let plain = |id, standin: &Standin, nth: usize| Behind {
        id,
        address: standin.address,
        credential: CREDENTIALS[nth],
        authority: None,
    };
    let setup = ["tickets", "open", "shared", "bobs"]
        .into_iter()
        .fold(setup, |setup, id| tickets(id).add_to(setup));
    let setup = plain("pinned", &behind.pinned, 1).add_to(setup);

    plain("leaky", &behind.leaky, 2).add_to(setup)
});

fn policy() -> Value {
    json!({
        "schema": "tollgate.policy/v1", "name": "mcp",
        "rules": [{ "id": "everyone", "models": ["*"] }],
        "servers": [
            { "id": "tickets", "gateway": {
                "tools": { "echo": "allow", "tool_0*": "allow", "tool_02*": "blocked", "tool_030": "ask", "tool_090": "approve" },
                "resources": { "test://static-text": "allow" }, "largest_result": 200_000 } },
            { "id": "open", "gateway": { "otherwise": "allow", "tools": { "tool_099": "blocked" }, "denied_as": "result",
                "resources": { "*": "allow" }, "prompts": { "*": "allow" }, "content": "none",
                "also": ["sampling", "elicitation", "roots", "logging", "completion"] } },
            { "id": "shared", "gateway": { "tools": { "echo": "allow" }, "resources": { "test://static-text": "allow" } } },
            { "id": "bobs", "who": { "users": [BOB] }, "gateway": { "otherwise": "allow" } },
            { "id": "pinned", "gateway": { "otherwise": "allow", "pins": pins() } },
            { "id": "leaky", "gateway": { "otherwise": "allow" } },
            { "id": "unrouted", "gateway": { "otherwise": "allow" } },
        ],
        "tools": [
            { "id": "large", "tools": { "mcp__tickets__tool_010": "blocked" }, "arguments": { "/amount": { "over": 1000 } } },
            { "id": "for-bob", "who": { "users": [BOB] }, "tools": {
                "mcp__shared__tool_001": "allow", "resource:shared/test://static-binary": "allow",
                "prompt:shared/test_simple_prompt": "allow" } },
        ],
        "secrets": [{ "id": "no-keys", "patterns": ["*"], "action": "deny", "severity": "critical" }],
        "approvals": { "approvers": { "groups": ["leads"] }, "wait_seconds": 20, "valid_seconds": 120 },
    })
}

/// The definitions of two tools, as they were looked at.
fn pins() -> Value {
    let list = bare(async {
        let raw =
            e2e::mcp::raw::Raw::modern(BEHIND.pinned.address, "/mcp", "tools/list", &json!({}));
        let raw = raw.header("authorization", CREDENTIALS[1]);
        raw.send().await.unwrap().messages().await
    });
    let tools = list[0]["result"]["tools"].as_array().unwrap();
    let pin = |name: &str| {
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap();
        hex(&canonical::digest(tool.to_string().as_bytes()).unwrap())
    };

    json!({ "tool_000": pin("tool_000"), "tool_001": pin("tool_001") })
}

/// Runs a test, after which no server saw what it must not.
fn run(test: impl AsyncFnOnce(&World)) {
    SUITE.run(test);
    for standin in [&BEHIND.tickets, &BEHIND.pinned, &BEHIND.leaky] {
        assert_eq!(standin.violations(), Vec::<String>::new(), "reached a server and must not");
    }
}

/// A script among a tool's arguments, and more of them.
fn with(script: &Script, more: &Value) -> Value {
    let mut arguments = script.arguments();
    for (name, value) in more.as_object().into_iter().flatten() {
        arguments[name] = value.clone();
    }

    arguments
}

/// Sends a call that is refused with this code; nothing reached the server.
async fn refused(world: &World, call: Call, script: &Script, code: &str) -> Answer {
    let answer = call.send(world).await;

    assert_eq!(answer.header("x-tollgate-refusal"), code, "{} {}", answer.status, answer.text());
    assert!(BEHIND.tickets.seen(script).is_empty(), "it reached the server");

    answer
}

/// The row of each of these refusals.
async fn denied(world: &World, sources: &[Ipv4Addr]) -> Vec<Row> {
    let rows = world.row_of_each(sources).await;
    for row in &rows {
        assert_eq!((row.text("kind"), row.text("outcome")), ("mcp", "denied"), "{row:#?}");
    }

    rows
}

#[test]
fn an_open_call_passes_with_the_server_s_own_token_and_nothing_of_the_caller_s() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        BEHIND.tickets.never(&ann.token);
        for modern in [false, true] {
            let script = Script::new();
            let arguments = with(&script, &json!({ "text": "hello" }));
            let params = json!({ "name": "echo", "arguments": arguments });
            let call = if modern {
                ann.modern("tools/call", &params)
            } else {
                ann.calls("echo", &arguments)
            };
            let call = call.header("cookie", "canary=1").header("x-forwarded-for", "10.1.2.3");
            let call = call
                .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

            let answer = call.send(world).await;

            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(e2e::mcp::gated::reply(&answer)["result"]["content"][0]["text"], "hello");
            let headers = format!("{:?}", answer.headers);
            assert!(!headers.contains("canary"), "of the server's own: {headers}");
            let seen = BEHIND.tickets.seen(&script);
            assert_eq!(seen.len(), 1);
            assert_eq!(seen[0].header("authorization"), Some(CREDENTIALS[0]));
            assert_eq!((&*seen[0].path, &*seen[0].authority), ("/mcp", HOST));
            assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
            let row = world.row_from(answer.source).await;
            assert_eq!((row.text("kind"), row.text("outcome")), ("mcp", "allowed"), "{row:#?}");
        }
    });
}

#[test]
fn a_closed_tool_is_unknown_and_the_server_never_hears_of_it() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        for modern in [false, true] {
            let script = Script::new();
            let params = json!({ "name": "tool_020", "arguments": script.arguments() });
            let call = if modern {
                ann.modern("tools/call", &params)
            } else {
                ann.asks("tools/call", &params)
            };

            let answer = refused(world, call, &script, "tool_blocked").await;
            let row = denied(world, &[answer.source]).await.remove(0);

            assert_eq!(answer.status, if modern { 400 } else { 200 });
            let error = &e2e::mcp::gated::reply(&answer)["error"];
            assert_eq!(
                (&error["code"], &error["message"]),
                (&json!(-32602), &json!("Unknown tool: tool_020"))
            );
            assert_eq!(
                (row.text("rule_id"), &row.payload["tool"]),
                ("tickets", &json!("tool_020"))
            );
        }
    });
}

#[test]
fn arguments_bring_a_rule_in() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let (small, large) = (Script::new(), Script::new());

        let passed =
            ann.calls("tool_010", &with(&small, &json!({ "amount": 1000 }))).send(world).await;
        let call = ann.calls("tool_010", &with(&large, &json!({ "amount": 1000.5 })));
        let answer = refused(world, call, &large, "tool_blocked").await;
        let row = denied(world, &[answer.source]).await.remove(0);

        assert!(e2e::mcp::gated::reply(&passed)["result"].is_object(), "{}", passed.text());
        assert_eq!(row.text("rule_id"), "large");
    });
}

#[test]
fn what_is_closed_as_a_result_the_model_reads() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "open").await;
        let script = Script::new();

        let answer =
            refused(world, ann.calls("tool_099", &script.arguments()), &script, "tool_blocked")
                .await;

        let reply = e2e::mcp::gated::reply(&answer);
        assert_eq!((answer.status, &reply["result"]["isError"]), (200, &json!(true)), "{reply}");
    });
}
