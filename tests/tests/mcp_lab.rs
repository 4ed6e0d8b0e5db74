//! What the tests of MCP stand on does what it says: clients, real servers and the stand-in, without a gateway.

use e2e::mcp::clients::{Client, Era, Sdk, call, list_tools, step};
use e2e::mcp::conformance;
use e2e::mcp::raw::Raw;
use e2e::mcp::servers::RealServer;
use e2e::mcp::standin::methods::{Offer, numbered};
use e2e::mcp::standin::script::{Fault, Script, Style};
use e2e::mcp::standin::seen::Seen;
use e2e::mcp::standin::{Settings, Standin};
use e2e::suite::bare;
use http::Method;
use serde_json::{Value, json};

const PATH: &str = "/mcp";

const LEGACY: [Sdk; 3] = [Sdk::Python, Sdk::TypeScript, Sdk::TypeScript1];

const BOTH: [Sdk; 2] = [Sdk::Python, Sdk::TypeScript];

async fn standin(settings: Settings) -> Standin {
    Standin::start(settings, None).await.unwrap()
}

fn paged(page: usize) -> Settings {
    Settings { offer: Offer { page, ..Offer::default() }, direct: true, ..Settings::default() }
}

async fn session(standin: &Standin) -> String {
    let answer = Raw::initialize(standin.address, PATH).send().await.unwrap();

    answer.header("mcp-session-id").unwrap().to_owned()
}

async fn called(standin: &Standin, session: &str, script: &Script) -> Vec<Value> {
    let params = json!({ "name": "echo", "arguments": script.arguments() });
    let raw = Raw::legacy(standin.address, PATH, session, "tools/call", &params);

    raw.send().await.unwrap().messages().await
}

#[test]
fn clients_of_the_era_of_sessions_do_everything_with_a_real_server() {
    bare(async {
        let server = RealServer::everything().await.unwrap();
        for sdk in LEGACY {
            let long = json!({ "do": "call", "name": "trigger-long-running-operation", "progress": true,
                "arguments": { "duration": 1, "steps": 3 } });
            let mut cut = long.clone();
            cut["cut"] = json!(1);
            let steps = [
                list_tools(),
                call("get-sum", json!({ "a": 2, "b": 3 })),
                call("no-such-tool", json!({})),
                step("list_resources"),
                json!({ "do": "read_resource", "uri": "demo://resource/static/document/features.md" }),
                step("list_prompts"),
                json!({ "do": "get_prompt", "name": "args-prompt", "arguments": { "city": "Paris" } }),
                json!({ "do": "complete", "ref": { "type": "ref/prompt", "name": "completable-prompt" },
                    "argument": { "name": "department", "value": "E" } }),
                long,
                call("trigger-sampling-request", json!({ "prompt": "hi", "maxTokens": 5 })),
                call("trigger-elicitation-request", json!({})),
                cut,
                step("asked"),
            ];
            let said = Client::new(sdk, Era::Legacy, &server.url()).run(&steps).await.unwrap();

            assert_eq!(said.ok("connect")["version"], "2025-11-25", "{sdk:?}");
            assert!(said.tools().contains(&"get-sum"), "{sdk:?}: {:?}", said.tools());
            assert_eq!(said.ok("call")["content"][0]["text"], "The sum of 2 and 3 is 5.");
            assert_eq!(said.nth_ok("call", 1)["isError"], true, "{sdk:?}");
            assert!(said.ok("read_resource")["contents"][0]["text"].is_string());
            assert_eq!(said.ok("list_prompts")["prompts"].as_array().unwrap().len(), 4);
            assert_eq!(
                said.ok("get_prompt")["messages"][0]["content"]["text"],
                "What's weather in Paris?"
            );
            assert_eq!(said.ok("complete")["completion"]["values"], json!(["Engineering"]));
            assert_eq!(said.nth_ok("call", 2)["progress"].as_array().unwrap().len(), 3, "{sdk:?}");
            let sampled = said.nth_ok("call", 3)["content"][0]["text"].as_str().unwrap();
            assert!(sampled.contains("sampled by the client"), "{sdk:?}: {sampled}");
            assert!(
                said.nth_ok("call", 4)["content"][0]["text"].as_str().unwrap().contains("declined")
            );
            // The stream was cut behind its first event, and the answer came by another.
            assert!(
                said.nth_ok("call", 5)["content"][0]["text"]
                    .as_str()
                    .unwrap()
                    .contains("completed")
            );
            let resumed = said.wire().into_iter().filter(|it| it["last"].is_string()).count();
            assert_eq!(resumed, 1, "{sdk:?}: {:#?}", said.wire());
            let asked: Vec<Value> = said
                .ok("asked")
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["method"].clone())
                .collect();
            assert_eq!(
                asked,
                ["roots/list", "sampling/createMessage", "elicitation/create"],
                "{sdk:?}"
            );
            let last = said.wire().pop().unwrap();
            assert_eq!(
                (&last["method"], &last["status"]),
                (&"DELETE".into(), &200.into()),
                "{sdk:?}"
            );
        }
    });
}

#[test]
fn clients_of_both_eras_call_a_real_server_of_both() {
    bare(async {
        let server = RealServer::time().await.unwrap();
        for (sdk, era, version) in BOTH.into_iter().flat_map(|sdk| {
            [
                (sdk, Era::Legacy, "2025-11-25"),
                (sdk, Era::Auto, "2026-07-28"),
                (sdk, Era::Modern, "2026-07-28"),
            ]
        }) {
            let steps = [
                list_tools(),
                call("get_current_time", json!({ "timezone": "Europe/Paris" })),
                call("no_such_tool", json!({})),
            ];
            let said = Client::new(sdk, era, &server.url()).run(&steps).await.unwrap();

            assert_eq!(said.ok("connect")["version"], version, "{sdk:?} {era:?}");
            assert_eq!(said.tools(), ["get_current_time", "convert_time"], "{sdk:?} {era:?}");
            assert_eq!(said.ok("call")["structuredContent"]["timezone"], "Europe/Paris");
            assert_eq!(said.nth_error("call", 1)["code"], -32602, "{sdk:?} {era:?}");
        }
    });
}

#[test]
fn sdks_take_the_stand_in_for_a_server_in_both_eras() {
    bare(async {
        let standin = standin(paged(30)).await;
        let ask = |method: &str, params: Value| json!({ "method": method, "params": params });
        let script = Script {
            asks: vec![
                ask(
                    "sampling/createMessage",
                    json!({ "maxTokens": 5,
                    "messages": [{ "role": "user", "content": { "type": "text", "text": "hi" } }] }),
                ),
                ask(
                    "elicitation/create",
                    json!({ "mode": "form", "message": "who?",
                    "requestedSchema": { "type": "object", "properties": { "name": { "type": "string" } } } }),
                ),
            ],
            ..Script::new()
        };
        for (sdk, era) in [
            (Sdk::Python, Era::Legacy),
            (Sdk::TypeScript, Era::Legacy),
            (Sdk::TypeScript1, Era::Legacy),
            (Sdk::Python, Era::Modern),
            (Sdk::TypeScript, Era::Modern),
        ] {
            let steps = [
                list_tools(),
                call("tool_007", json!({ "text": "hello", "region": "Zürich" })),
                call("tool_100", json!({})),
                call("echo", script.arguments()),
                step("list_prompts"),
                json!({ "do": "read_resource", "uri": "test://static-text" }),
                step("asked"),
            ];
            let said = Client::new(sdk, era, &standin.url()).run(&steps).await.unwrap();

            assert_eq!(said.tools().len(), 101, "{sdk:?} {era:?}");
            assert_eq!(said.ok("call")["content"][0]["text"], "hello", "{sdk:?} {era:?}");
            assert_eq!(said.nth_error("call", 1)["code"], -32602, "{sdk:?} {era:?}");
            let told = said.nth_ok("call", 2)["content"].to_string();
            assert!(told.contains("sampled by the client") && told.contains("decline"), "{told}");
            assert_eq!(said.ok("asked").as_array().unwrap().len(), 2, "{sdk:?} {era:?}");
            assert_eq!(said.ok("read_resource")["contents"][0]["uri"], "test://static-text");
        }
        let lists = standin.all().iter().filter(|seen| seen.rpc() == "tools/list").count();
        assert_eq!(lists, 5 * 4, "four pages for each");
        assert!(standin.all().iter().any(|seen| seen.header("mcp-param-region").is_some()));
    });
}

#[test]
fn the_stand_in_passes_the_protocols_conformance_tests() {
    bare(async {
        let offer = Offer { fixtures: true, ..Offer::default() };
        let settings = Settings { offer, direct: true, local: true, ..Settings::default() };
        let standin = standin(settings).await;
        let verdict = conformance::servers(&standin.url(), Some("canard"), None).await.unwrap();

        assert!(verdict.scenarios.len() >= 28, "{}", verdict.text);
        assert_eq!(verdict.failed(), Vec::<&str>::new(), "{}", verdict.text);
        let bears = |seen: &Seen| seen.header("authorization") == Some("Bearer canard");
        assert!(standin.all().iter().all(bears), "a request without the token");
    });
}

#[test]
fn a_stream_is_the_same_in_any_style() {
    bare(async {
        let standin = standin(Settings::default()).await;
        let session = session(&standin).await;
        for ends in ["", "\r\n", "\r"] {
            for bits in 0..64 {
                let on = |bit: u32| bits & (1 << bit) != 0;
                let style = Style {
                    ends: ends.to_owned(),
                    lines: on(0),
                    noise: on(1),
                    ids: on(2),
                    tight: on(3),
                    mark: on(4),
                    nameless: on(5),
                    unfinished: false,
                };
                let script = Script { style, cut: 7, ..Script::new().streamed() };
                let messages = called(&standin, &session, &script).await;

                let answer = messages.iter().find(|message| message["id"] == 1).unwrap();
                assert!(
                    answer["result"]["content"][0]["text"].is_string(),
                    "{script:?}: {messages:?}"
                );
            }
        }
    });
}

#[test]
fn the_stand_in_does_what_a_script_says() {
    bare(async {
        let standin = standin(Settings::default()).await;
        let session = session(&standin).await;
        let send = async |script: &Script| {
            let params = json!({ "name": "echo", "arguments": script.arguments() });
            Raw::legacy(standin.address, PATH, &session, "tools/call", &params).send().await
        };

        let script = Script {
            status: 401,
            headers: vec![("www-authenticate".to_owned(), "Bearer".to_owned())],
            ..Script::new().json()
        };
        let answer = send(&script).await.unwrap();
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));

        let script = Script::new().raw("text/html", "<p>$ID</p>");
        let answer = send(&script).await.unwrap();
        assert_eq!(answer.header("content-type"), Some("text/html"));
        assert_eq!(answer.text().await, ("<p>1</p>".to_owned(), true));

        let answer = send(&Script { size: 1_000_000, ..Script::new().json() }).await.unwrap();
        assert!(answer.text().await.0.len() > 1_000_000);

        let answer = send(&Script { gzip: true, ..Script::new().json() }).await.unwrap();
        assert_eq!(answer.header("content-encoding"), Some("gzip"));

        let script = Script::new().streamed().fault(Fault::ResetAfter(30));
        let (text, whole) = send(&script).await.unwrap().text().await;
        assert!(text.len() <= 30 && !whole, "{text}");

        let script = Script::new().streamed().fault(Fault::EndAfter(30));
        let (text, whole) = send(&script).await.unwrap().text().await;
        assert!(text.len() == 30 && whole, "{text}");
        assert!(send(&Script::new().fault(Fault::Reset)).await.is_err());

        let script = Script { answer_id: Some(json!("other")), ..Script::new() };
        assert_eq!(called(&standin, &session, &script).await[0]["id"], "other");
        assert_eq!(standin.seen(&script).len(), 1);
    });
}

#[test]
fn a_stream_that_broke_off_can_be_resumed_and_only_in_its_session() {
    bare(async {
        let standin = standin(Settings::default()).await;
        let (session, other) = (session(&standin).await, session(&standin).await);
        let script = Script {
            style: Style { ids: true, ..Style::default() },
            fault: Fault::ResetAfter(60),
            ..Script::new().streamed()
        };
        let params = json!({ "name": "echo", "arguments": script.arguments() });
        let raw = Raw::legacy(standin.address, PATH, &session, "tools/call", &params);
        let (text, whole) = raw.send().await.unwrap().text().await;
        assert!(!whole, "{text}");
        let id = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
        let resume = |session: &str| {
            let raw = Raw::new(Method::GET, standin.address, PATH).header("last-event-id", id);
            raw.header("mcp-session-id", session)
        };

        let messages = resume(&session).send().await.unwrap().messages().await;
        assert_eq!(messages[0]["id"], 1, "{messages:?}");
        assert_eq!(resume(&other).send().await.unwrap().status, 400);
        assert_eq!(resume("unknown").send().await.unwrap().status, 404);
    });
}

#[test]
fn a_session_has_a_stream_of_its_own_until_it_ends() {
    bare(async {
        let standin = standin(Settings::default()).await;
        let session = session(&standin).await;
        let raw =
            |method| Raw::new(method, standin.address, PATH).header("mcp-session-id", &session);
        let mut stream = raw(Method::GET).send().await.unwrap();
        assert!(stream.piece().await.unwrap().unwrap().starts_with(b":"));
        standin.push(&session, json!({ "jsonrpc": "2.0", "id": 0, "method": "roots/list" }));
        let piece = stream.piece().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&piece).contains("roots/list"));

        assert_eq!(raw(Method::DELETE).send().await.unwrap().status, 200);
        assert_eq!(raw(Method::DELETE).send().await.unwrap().status, 404);
        let again = Raw::legacy(standin.address, PATH, &session, "ping", &json!({})).send().await;
        assert_eq!(again.unwrap().status, 404);
        let outside = Raw::legacy(standin.address, PATH, "", "ping", &json!({})).send().await;
        assert_eq!(outside.unwrap().status, 400);
    });
}

#[test]
fn headers_of_the_stateless_era_must_say_what_the_body_says() {
    bare(async {
        let standin = standin(Settings::default()).await;
        let name = numbered(3);
        let good = || {
            let params = json!({ "name": name, "arguments": { "text": "hello" } });
            Raw::modern(standin.address, PATH, "tools/call", &params)
        };
        let code = async |raw: Raw| {
            let answer = raw.send().await.unwrap();
            (answer.status, answer.messages().await[0]["error"]["code"].clone())
        };

        assert_eq!(code(good()).await, (200, Value::Null));
        assert_eq!(
            code(good().header("mcp-name", "=?base64?dG9vbF8wMDM=?=")).await,
            (200, Value::Null)
        );
        for wrong in [
            good().header("mcp-name", "tool_004"),
            good().header("mcp-method", "tools/list"),
            good().without("mcp-name"),
            good().without("mcp-method"),
        ] {
            assert_eq!(code(wrong).await, (400, json!(-32020)));
        }
        let version = good().header("mcp-protocol-version", "2027-01-01");
        assert_eq!(code(version).await, (400, json!(-32022)));
        let get = Raw::new(Method::GET, standin.address, PATH);
        let get = get.header("mcp-protocol-version", "2026-07-28").send().await.unwrap();
        assert_eq!(get.status, 405);
    });
}

#[test]
fn the_stand_in_refuses_what_must_not_arrive() {
    bare(async {
        let credential = Some("Bearer upstream".to_owned());
        let standin = standin(Settings { credential, ..Settings::default() }).await;
        standin.never("client-token");
        let good = || Raw::initialize(standin.address, PATH).bearer("upstream");
        assert_eq!(good().send().await.unwrap().status, 200);
        assert_eq!(standin.violations(), Vec::<String>::new());
        for wrong in [
            good().without("authorization"),
            good().bearer("client-token"),
            good().header("cookie", "a=b"),
            good().header("x-forwarded-for", "10.0.0.1"),
            good().header("x-tollgate-caller", "ann"),
            good().header("mcp-extra", "client-token"),
            good().header("user-agent", "canary"),
            good().body("[]"),
        ] {
            assert_eq!(wrong.send().await.unwrap().status, 418);
        }
        assert_eq!(standin.violations().len(), 9, "{:#?}", standin.violations());
    });
}
