//! Our own MCP server, as clients of both eras meet it.

use crate::approves::{TRACE, asked, desk, last, wish};
use crate::provider::Fake;
use crate::world::{Answer, Fallible, World, ask};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tollgate::acts::Act;
use tollgate::operators::operator::Operator;

const MODERN: &str = "2026-07-28";

async fn served(wait: u32) -> Fallible<(World, String)> {
    let provider = Fake::start().await?;
    let world = World::start_in(desk(&provider, wait, 600)?).await?;
    let (token, _) = world.agent().await?;
    Ok((world, token))
}

fn request(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params })
}

/// A request of the newer era, and its headers.
fn modern(method: &str, mut params: Value) -> Value {
    if let Some(params) = params.as_object_mut() {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        params.insert("_meta".into(), meta);
    }
    request(method, &params)
}

fn code(answer: &Answer) -> Fallible<(u16, i64)> {
    let told = last(answer)?;
    let code = told.pointer("/error/code").and_then(Value::as_i64);
    Ok((answer.status, code.ok_or_else(|| format!("no error: {told}"))?))
}

#[tokio::test]
async fn a_client_that_shakes_hands_finds_two_tools_and_no_session() -> Fallible {
    let (world, token) = served(1).await?;
    for (asked, told) in
        [("2025-11-25", "2025-11-25"), ("2025-03-26", "2025-03-26"), ("1999-01-01", "2025-11-25")]
    {
        let params = json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": { "name": "x", "version": "1" } });
        let answer = world.mcp(&token, &[], &request("initialize", &params)).await?;
        assert_eq!((answer.status, answer.header("mcp-session-id")), (200, ""));
        let result = last(&answer)?["result"].clone();
        assert_eq!(result["protocolVersion"], told);
        assert!(
            result["instructions"].as_str().is_some_and(|text| text.contains("request_approval"))
        );
    }
    let version = [("mcp-protocol-version", "2025-11-25")];
    let noted = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let answer = world.mcp(&token, &version, &noted).await?;
    assert_eq!((answer.status, &*answer.body), (202, ""));
    let answer = world.mcp(&token, &version, &request("ping", &json!({}))).await?;
    assert_eq!(last(&answer)?["result"], json!({}));
    let answer = world.mcp(&token, &version, &request("tools/list", &json!({}))).await?;
    let result = last(&answer)?["result"].clone();
    let names: Vec<&str> = result["tools"]
        .as_array()
        .ok_or("no tools")?
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert_eq!(names, ["request_approval", "check_approval"]);
    assert_eq!(result.get("resultType"), None, "a word of the newer era");
    let unknown = world.mcp(&token, &version, &request("resources/list", &json!({}))).await?;
    assert_eq!(code(&unknown)?, (200, -32_601));
    let unknown = world
        .mcp(&token, &version, &request("tools/call", &json!({ "name": "rm", "arguments": {} })))
        .await?;
    assert_eq!(code(&unknown)?, (200, -32_602));
    Ok(())
}

#[tokio::test]
async fn a_client_of_the_newer_era_must_say_the_same_in_headers_and_body() -> Fallible {
    let (world, token) = served(1).await?;
    let good = [("mcp-protocol-version", MODERN), ("mcp-method", "server/discover")];
    let answer = world.mcp(&token, &good, &modern("server/discover", json!({}))).await?;
    let result = last(&answer)?["result"].clone();
    assert_eq!(
        (&result["resultType"], &result["supportedVersions"][0]),
        (&json!("complete"), &json!(MODERN))
    );
    let list = [("mcp-protocol-version", MODERN), ("mcp-method", "tools/list")];
    let answer = world.mcp(&token, &list, &modern("tools/list", json!({}))).await?;
    assert_eq!(last(&answer)?["result"]["cacheScope"], "private");

    let call = || {
        modern(
            "tools/call",
            json!({ "name": "check_approval", "arguments": { "approval_id": "x" } }),
        )
    };
    let named =
        |name| [("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", name)];
    for name in ["check_approval", "=?base64?Y2hlY2tfYXBwcm92YWw=?="] {
        let answer = world.mcp(&token, &named(name), &call()).await?;
        assert_eq!(last(&answer)?["result"]["isError"], true, "{}", answer.body);
    }
    for (what, headers, body) in [
        ("no version", vec![("mcp-method", "tools/list")], modern("tools/list", json!({}))),
        (
            "another version",
            vec![("mcp-protocol-version", "2025-11-25"), ("mcp-method", "tools/list")],
            modern("tools/list", json!({})),
        ),
        ("no version in the body", list.to_vec(), request("tools/list", &json!({}))),
        ("no method", vec![("mcp-protocol-version", MODERN)], modern("tools/list", json!({}))),
        ("another method", good.to_vec(), modern("tools/list", json!({}))),
        ("no name", named("x")[..2].to_vec(), call()),
        ("another name", named("request_approval").to_vec(), call()),
        ("a name that is none", named("=?base64?/w==?=").to_vec(), call()),
    ] {
        let answer = world.mcp(&token, &headers, &body).await?;
        assert_eq!(code(&answer)?, (400, -32_020), "{what}");
    }
    let unknown = [("mcp-protocol-version", MODERN), ("mcp-method", "ping")];
    let answer = world.mcp(&token, &unknown, &modern("ping", json!({}))).await?;
    assert_eq!(code(&answer)?, (404, -32_601), "it has no ping any more");
    let answer = world
        .mcp(&token, &[("mcp-protocol-version", "2031-01-01")], &request("tools/list", &json!({})))
        .await?;
    assert_eq!(code(&answer)?, (400, -32_022));
    assert_eq!(last(&answer)?["error"]["data"]["supported"][0], MODERN);
    Ok(())
}

#[tokio::test]
async fn what_is_no_single_request_of_somebody_known_is_refused() -> Fallible {
    let (world, token) = served(1).await?;
    let list = request("tools/list", &json!({}));
    for method in ["GET", "DELETE", "PUT"] {
        let answer = ask(world.at.public, method, "/mcp/approvals", &[], "").await?;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method}");
    }
    for (body, status, number) in [
        (json!([list]), 400, -32_600),
        (json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }), 400, -32_600),
        (json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }), 400, -32_600),
        (json!({ "jsonrpc": "2.0", "id": 1, "result": {} }), 400, -32_600),
    ] {
        assert_eq!(code(&world.mcp(&token, &[], &body).await?)?, (status, number), "{body}");
    }
    for (headers, status) in [
        (("authorization", ""), 401),
        (("authorization", "Bearer x.y.z"), 401),
        (("origin", "https://evil.example"), 403),
        (("content-type", "text/plain"), 415),
        (("x-request-id", ""), 400),
    ] {
        assert_eq!(world.mcp(&token, &[headers], &list).await?.status, status, "{headers:?}");
    }
    let own = world.mcp(&token, &[("origin", "http://127.0.0.1:8080")], &list).await?;
    assert_eq!(own.status, 200);
    world.store.disable_user("ann@example.com", 1, &Act::new(&Operator::owner(), "test")?).await?;
    assert_eq!(
        world.mcp(&token, &[], &list).await?.status,
        403,
        "her token is as good as none now"
    );
    Ok(())
}

#[tokio::test]
async fn who_waits_hears_that_it_goes_on_and_then_that_nobody_decided() -> Fallible {
    let (world, token) = served(2).await?;
    let call = |meta: Value| {
        request(
            "tools/call",
            &json!({ "name": "request_approval", "arguments": wish(), "_meta": meta }),
        )
    };
    let begun = Instant::now();
    let answer = world.mcp(&token, &[], &call(json!({ "progressToken": 7 }))).await?;
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(answer.header("x-accel-buffering"), "no");
    let events: Vec<Value> = answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert_eq!(events.len(), 2, "{}", answer.body);
    assert_eq!(
        (&events[0]["method"], &events[0]["params"]["progressToken"]),
        (&json!("notifications/progress"), &json!(7))
    );
    let told = &events[1]["result"]["structuredContent"];
    assert_eq!((&told["decision"], &told["by"]), (&json!("pending"), &Value::Null));

    let again = world.mcp(&token, &[], &call(json!({}))).await?;
    assert!(again.body.contains("\n: a person is asked\n\n"), "a comment: {}", again.body);
    assert_eq!(last(&again)?["result"]["structuredContent"]["approval_id"], told["approval_id"]);
    let plain = world.mcp(&token, &[("accept", "application/json")], &call(json!({}))).await?;
    assert_eq!(plain.header("content-type"), "application/json");
    let all = world.store.approvals(None, None, 9).await?;
    assert_eq!((all.len(), all[0].trace_id.as_deref()), (1, Some(TRACE)), "asked once");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_asked_is_said_in_words_and_another_s_request_is_none() -> Fallible {
    let (world, token) = served(1).await?;
    for (member, value, part) in [
        ("server", json!(""), "server must be a name"),
        ("tool", json!("a b"), "tool must be a name"),
        ("reason", json!(" "), "reason must say"),
        ("arguments", json!([1]), "arguments must be an object"),
        ("arguments", json!({ "x": "y".repeat(40_000) }), "arguments must be an object of at most"),
        ("more", json!(1), "unknown field `more`"),
    ] {
        let mut wish = wish();
        wish[member] = value;
        let result = world.tool(&token, "request_approval", &wish).await?;
        assert_eq!(result["isError"], true, "{member}");
        assert!(result.to_string().contains(part), "{part}: {result}");
    }
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"request_approval","arguments":
        {"server":"a","tool":"b","reason":"c","arguments":{"id":1,"id":2}}}}"#;
    let bearer = format!("Bearer {token}");
    let headers =
        [("authorization", &*bearer), ("content-type", "application/json"), ("x-request-id", "r")];
    let answer = ask(world.at.public, "POST", "/mcp/approvals", &headers, twice).await?;
    assert!(answer.body.contains("a member stands twice"), "{}", answer.body);
    assert_eq!(world.store.approvals(None, None, 9).await?.len(), 0);

    world.tool(&token, "request_approval", &wish()).await?;
    let id = asked(&world).await?;
    world.sql("DROP TRIGGER approvals_no_edit").await?;
    world.sql("UPDATE approvals SET user_id = 'eve@example.com'").await?;
    let result = world.tool(&token, "check_approval", &json!({ "approval_id": id })).await?;
    assert!(result.to_string().contains("No request of this user's"), "{result}");
    Ok(())
}
