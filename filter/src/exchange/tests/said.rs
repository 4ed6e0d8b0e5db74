//! What was said, from the request to the row.

use super::*;
use crate::feed::Document;
use contract::audit::{ContentMode, Part};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const TURN: &str = r#"{"model":"claude-sonnet-4-5","messages":[{"role":"assistant","content":"old"},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_0","content":"the new"}]}]}"#;

const ANSWER: &str = r#"{"model":"claude-sonnet-4-5","content":[{"type":"text","text":"the answer"},
    {"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"ls"}}],
    "usage":{"input_tokens":10,"output_tokens":20}}"#;

/// Runs [`TURN`] under a policy whose rule says this as well.
fn under(says: &serde_json::Value) -> FakeHost {
    let host = world(&token(|_| {}), TURN);
    host.bodies.borrow_mut().insert(Body::Response, ANSWER.as_bytes().to_vec());
    let gate = ready(&host, &json!([]));
    let mut rule = json!({"id": "everyone", "models": ["*"]});
    rule.as_object_mut().unwrap().extend(says.as_object().unwrap().clone());
    gate.take(Document::Policy, &crate::gate::tests::policy(&json!([rule]))).unwrap();
    let mut exchange = Exchange::new(Rc::new(gate));
    assert_eq!(exchange.request_headers(&host, false), Verdict::Hold);
    assert!(matches!(exchange.request_body(&host, TURN.len(), true), Verdict::Forward(_)));
    let provisional = host.record().unwrap();
    assert!(!provisional.contains("content") && !provisional.contains("the new"), "{provisional}");
    exchange.response_headers(&host, false);
    exchange.response_body(&host, ANSWER.len(), true);
    ends(&host, 200, "via_upstream", 0);
    exchange.finished(&host);
    host
}

#[test]
fn a_row_keeps_what_was_said_where_the_policy_does_not_forbid_it() {
    for (says, mode) in
        [(json!({}), ContentMode::Redacted), (json!({"content": "full"}), ContentMode::Full)]
    {
        let payload = row(&under(&says)).payload;

        let content = payload.content.unwrap();
        assert_eq!(content.mode, mode, "{says}");
        let [Part::ToolResult { text: asked, .. }] = content.input.as_slice() else { panic!() };
        let [Part::Text { text: said }, Part::ToolUse { input, .. }] = content.output.as_slice()
        else {
            panic!()
        };
        assert_eq!((&*asked.text, &*said.text), ("the new", "the answer"));
        assert_eq!(&*input.text, r#"{"command":"ls"}"#);
        assert_eq!(content.history.unwrap().messages, 1);
    }
}

#[test]
fn a_row_keeps_nothing_of_it_but_the_ids_of_tools_where_the_policy_says_none() {
    let host = under(&json!({"content": "none"}));

    let record = host.record().unwrap();
    for said in ["the new", "the answer", "ls", "old"] {
        assert!(!record.contains(&format!("\"{said}")), "{said} in {record}");
    }
    let payload = row(&host).payload;
    assert_eq!((payload.content, payload.answers), (None, vec!["toolu_0".into()]));
    assert_eq!((&*payload.tool_uses[0].id, &*payload.tool_uses[0].name), ("toolu_1", "Bash"));
}
