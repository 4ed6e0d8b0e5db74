//! What the tests of MCP stand on does what it says: clients, real servers and the stand-in, without a gateway.

use e2e::mcp::clients::{Client, Era, Sdk, call, list_tools, step};
use e2e::mcp::conformance;
use e2e::mcp::servers::RealServer;
use e2e::mcp::standin::methods::Offer;
use e2e::mcp::standin::script::{Fault, Script};
use e2e::mcp::standin::seen::Seen;
use e2e::mcp::standin::{Settings, Standin};
use e2e::suite::bare;
use serde_json::{Value, json};

mod standin;

const LEGACY: [Sdk; 3] = [Sdk::Python, Sdk::TypeScript, Sdk::TypeScript1];

const BOTH: [Sdk; 2] = [Sdk::Python, Sdk::TypeScript];

async fn started(settings: Settings) -> Standin {
    Standin::start(settings, None).await.unwrap()
}

fn paged(page: usize) -> Settings {
    Settings { offer: Offer { page, ..Offer::default() }, direct: true, ..Settings::default() }
}

/// Steps that use what `server-everything` has.
fn everything() -> Vec<Value> {
    let long = json!({ "do": "call", "name": "trigger-long-running-operation", "progress": true,
        "arguments": { "duration": 1, "steps": 3 } });
    let mut cut = long.clone();
    cut["cut"] = json!(1);
    vec![
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
    ]
}

#[test]
fn clients_of_the_era_of_sessions_do_everything_with_a_real_server() {
    bare(async {
        let server = RealServer::everything().await.unwrap();
        for sdk in LEGACY {
            let steps = everything();
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
        let standin = started(paged(30)).await;
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
        let standin = started(settings).await;
        let verdict = conformance::servers(&standin.url(), Some("canard"), None).await.unwrap();

        assert!(verdict.scenarios.len() >= 28, "{}", verdict.text);
        assert_eq!(verdict.failed(), Vec::<&str>::new(), "{}", verdict.text);
        let bears = |seen: &Seen| seen.header("authorization") == Some("Bearer canard");
        assert!(standin.all().iter().all(bears), "a request without the token");
    });
}

#[test]
fn what_clients_make_of_answers_that_are_none() {
    bare(async {
        let standin = started(Settings { direct: true, ..Settings::default() }).await;
        let foreign = || Script { answer_id: Some(json!(4711)), ..Script::new() };
        let early = || Script { fault: Fault::EndAfter(10), ..Script::new().streamed() };
        let late = |script: Script| json!({ "do": "call", "name": "echo", "arguments": script.arguments(), "timeout": 2 });
        let steps = [late(foreign().json()), late(foreign().streamed()), late(early())];
        for (sdk, believes) in
            [(Sdk::Python, true), (Sdk::TypeScript, false), (Sdk::TypeScript1, false)]
        {
            let said = Client::new(sdk, Era::Legacy, &standin.url()).run(&steps).await.unwrap();
            let lines: Vec<_> = said.lines.iter().filter(|line| line["do"] == "call").collect();

            // A foreign id in JSON: waited for in vain.
            assert!(lines[0]["error"].is_object(), "{sdk:?}: {lines:#?}");
            // On a stream the SDK for Python takes whatever comes for its answer.
            assert_eq!(lines[1]["ok"].is_object(), believes, "{sdk:?}: {lines:#?}");
            assert!(lines[2]["error"].is_object(), "{sdk:?}: {lines:#?}");
        }
    });
}
