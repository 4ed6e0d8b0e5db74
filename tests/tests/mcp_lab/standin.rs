//! The stand-in, by hand.

use super::started;
use e2e::mcp::raw::Raw;
use e2e::mcp::standin::methods::numbered;
use e2e::mcp::standin::script::{Fault, Script, Style};
use e2e::mcp::standin::{Settings, Standin};
use e2e::suite::bare;
use http::Method;
use serde_json::{Value, json};

const PATH: &str = "/mcp";

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
fn a_stream_is_the_same_in_any_style() {
    bare(async {
        let standin = started(Settings::default()).await;
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
        let standin = started(Settings::default()).await;
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
        let standin = started(Settings::default()).await;
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
        let standin = started(Settings::default()).await;
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
        let standin = started(Settings::default()).await;
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
        let standin = started(Settings { credential, ..Settings::default() }).await;
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
