//! Calls that somebody has to have approved of.

use super::*;
use crate::stages::authenticate::tests::jwt;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn a_call_that_needs_an_approval_leaves_once_and_only_with_it() {
    let run = |answer: Option<u16>| {
        let host = posts(&call("wire"), &[]);
        let mut exchange = under(&host, policy());
        assert_eq!(asks(&host, &mut exchange), Verdict::Hold);
        assert!(host.replies.borrow().is_empty(), "it waits");
        let (path, body) = host.posts.borrow()[0].clone();
        assert_eq!(path, "/gate/approval");
        host.answer.set(answer);
        let verdict = exchange.call_ended(&host, 1);
        (host, verdict, serde_json::from_str::<Value>(&body).unwrap())
    };

    let (host, verdict, asked) = run(Some(204));
    assert!(matches!(verdict, Verdict::Forward(_)));
    assert_eq!(host.resumed.get(), 1);
    assert_eq!(
        (&asked["server"], &asked["tool"], &asked["event_id"]),
        (&json!("stripe"), &json!("wire"), &json!("event-1"))
    );
    let claims = jwt("ann@example.com").custom;
    let digest = contract::approval::digest(
        "acme",
        "ann@example.com",
        &claims.sid,
        "stripe",
        "wire",
        br#"{"a":1}"#,
    );
    assert_eq!(asked["digest"], contract::envelope::hex(&digest.unwrap()));

    for answer in [None, Some(404), Some(200), Some(500)] {
        let (host, verdict, _) = run(answer);
        assert_eq!(verdict, Verdict::Hold, "{answer:?}");
        let (status, body, code) = refused(&host);
        assert_eq!((status, &*code), (200, "approval_required"));
        let text = body["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("request_approval") && text.contains("tool wire"), "{text}");
    }
}

#[test]
fn an_approval_is_asked_for_only_once_the_call_is_stored() {
    let mut both = policy();
    both["servers"][0]["gateway"]["audit"] = json!("before");
    let host = posts(&call("wire"), &[]);
    let mut exchange = under(&host, both);

    assert_eq!(asks(&host, &mut exchange), Verdict::Hold);
    host.answer.set(Some(204));
    assert_eq!(exchange.call_ended(&host, 1), Verdict::Hold);
    let paths: Vec<_> = host.posts.borrow().iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(paths, ["/gate/intent", "/gate/approval"]);
    assert!(matches!(exchange.call_ended(&host, 2), Verdict::Forward(_)));
}

#[test]
fn what_is_approved_of_is_all_there_is() {
    for params in [
        json!({"name": "wire", "arguments": {"to": 9_007_199_254_740_993_i64}}),
        json!({"name": "wire", "arguments": {}, "requestState": "another call's"}),
        json!({"name": "wire", "arguments": {}, "inputResponses": {}}),
    ] {
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
        let (host, forwarded) = sends(&message, &[]);
        assert!(!forwarded && host.posts.borrow().is_empty(), "{message}");
        assert_eq!(refused(&host).2, "mcp_message_malformed", "{message}");
    }
}

#[test]
fn what_is_stored_before_a_call_leaves_has_no_secret_either() {
    let mut both = policy();
    both["servers"][0]["gateway"]["audit"] = json!("before");
    both["secrets"] = json!([{"id": "keys", "patterns": ["*"], "action": "flag"}]);
    let key = format!("ghp_{}", "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF2hJ5".get(..36).unwrap());
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "list_a", "arguments": {"token": key}}});
    let host = posts(&message, &[]);

    assert_eq!(asks(&host, &mut under(&host, both)), Verdict::Hold);

    let (path, body) = host.posts.borrow()[0].clone();
    assert_eq!(path, "/gate/intent");
    assert!(body.contains("list_a") && !body.contains("ghp_aB"), "{body}");
}
