//! What is left out, refused and kept byte by byte, and the document about it.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const DOCUMENT: &str = include_str!("../../../../../docs/providers-openai.md");

/// The first cells of the table below this heading.
fn lines(heading: &str) -> Vec<&'static str> {
    let (_, section) = DOCUMENT.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut lines: Vec<_> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    lines.sort_unstable();
    lines
}

fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_unstable();
    names
}

#[test]
fn the_document_and_the_code_name_the_same_lines() {
    assert_eq!(lines("What is said in other words"), sorted(table::MAPPED));
    assert_eq!(lines("Blocks"), sorted(table::BLOCKS));
    assert_eq!(lines("What is left out"), sorted(table::dropped::ALL));
    assert_eq!(lines("What is refused"), sorted(table::REFUSED));
    for param in PARAMS {
        assert!(DOCUMENT.contains(&format!("\n| {param} | ")), "{param}");
    }
    let providers = provider::shipped();
    let providers: Vec<_> = providers.iter().map(|row| row.word("id")).collect();
    assert_eq!(lines("Providers"), sorted(providers));
}

#[test]
fn every_line_of_what_is_left_out_is_met_by_a_case() {
    let mut met: Vec<String> = Vec::new();
    for case in golden::cases("requests") {
        let dropped = case["becomes"]["dropped"].as_array().cloned().unwrap_or_default();
        met.extend(dropped.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    for line in table::dropped::ALL {
        assert!(met.iter().any(|met| met == line), "{line}");
    }
}

#[test]
fn every_block_that_is_said_is_met_by_a_case_and_every_refused_member_refuses() {
    let cases: Vec<_> = golden::cases("requests");
    for block in table::BLOCKS {
        let written = format!("\"type\":\"{block}\"");
        assert!(
            cases.iter().any(|case| case["asked"].to_string().contains(&written)
                && case["becomes"]["body"].is_object()),
            "{block}"
        );
    }
    for member in table::REFUSED {
        let no = said("openai", &json!({}), &question(&json!({member: "x"}))).unwrap_err();
        assert!(no.status == 400 && no.message.contains(member), "{no:?}");
    }
}

#[test]
fn counting_is_not_supported() {
    let ask = Ask { what: What::CountTokens, betas: "", body: b"{}" };
    let no = request(&ask, &Provider::shipped("openai").unwrap(), &lane(&json!({}))).unwrap_err();

    assert_eq!((no.status, no.kind), (501, kind_of(501)));
}

#[test]
fn a_model_is_found_by_its_normal_name_or_by_the_star_and_else_is_not_there() {
    let mut lane = Terms::default();
    lane.models.insert("claude-sonnet-4-5".to_owned(), "gpt-5".to_owned());
    let asked = |lane: &Terms, model: &str| {
        let body = question(&json!({"model": model})).to_string();
        let ask = Ask { what: What::Messages, betas: "", body: body.as_bytes() };
        request(&ask, &Provider::shipped("openai").unwrap(), lane)
    };
    let known = asked(&lane, "us.anthropic.claude-sonnet-4-5-20250929-v1:0").unwrap();
    assert_eq!((known.model.as_str(), &body(&known)["model"]), ("gpt-5", &json!("gpt-5")));
    let unknown = asked(&lane, "claude-opus-4-8").unwrap_err();
    assert_eq!(
        (unknown.status, unknown.message.as_str()),
        (404, "model: claude-opus-4-8 is not served here")
    );
    lane.models.insert("*".to_owned(), "gpt-5-mini".to_owned());
    assert_eq!(asked(&lane, "claude-opus-4-8").unwrap().model, "gpt-5-mini");
}

#[test]
fn schemas_arguments_and_texts_are_copied_byte_by_byte() {
    let schema = r#"{ "type":"object",  "properties":{"z":{"maximum":1e400,"const":1.0},"a":{}} }"#;
    let text = r#""a\u00e9\ud83d\ude00\/""#;
    let input = r#"{"n":12345678901234567890.123,"b":[ ]}"#;
    let asked = format!(
        r#"{{"model":"m","tools":[{{"name":"t","input_schema":{schema}}}],"messages":[
        {{"role":"user","content":{text}}},
        {{"role":"assistant","content":[{{"type":"tool_use","id":"i","name":"t","input":{input}}}]}},
        {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"i","content":[{{"type":"text","text":{text}}}]}}]}}]}}"#
    );
    let ask = Ask { what: What::Messages, betas: "", body: asked.as_bytes() };
    let provider = Provider::shipped("openai").unwrap();
    let out = request(&ask, &provider, &lane(&json!({}))).unwrap().body.unwrap();
    let out = String::from_utf8(out).unwrap();

    assert!(out.contains(&format!(r#""parameters":{schema}"#)), "{out}");
    assert_eq!(out.matches(&format!(r#""content":{text}"#)).count(), 2, "{out}");
    assert!(out.contains(&format!(r#""arguments":{}"#, json!(input))), "{out}");
}

#[test]
fn nothing_of_who_asks_goes_along() {
    let asked = question(&json!({"metadata": {"user_id": "canary"}, "user": "canary",
        "messages": [{"role": "user", "content": "Hello.", "name": "canary"}]}));
    let outgoing = said("openai", &json!({}), &asked).unwrap();

    assert!(!String::from_utf8(outgoing.body.unwrap()).unwrap().contains("canary"));
    for name in ["anthropic-beta", "anthropic-version", "x-stainless-lang"] {
        assert!(outgoing.remove.contains(&name), "{name}");
    }
}

#[test]
fn what_is_no_call_is_refused_with_a_sentence() {
    for body in [
        &b"[]"[..],
        b"{}",
        br#"{"model":"m"}"#,
        br#"{"model":"m","messages":{}}"#,
        br#"{"model":"m","messages":[{"role":"user"}]}"#,
        br#"{"model":"m","messages":[{"role":"robot","content":"x"}]}"#,
        br#"{"model":"m","messages":[{"role":"user","content":7}]}"#,
        br#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":7}]}]}"#,
        br#"{"model":"m","messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
        br#"{"model":"m","messages":[],"tools":[{"input_schema":{}}]}"#,
        br#"{"model":"m","messages":[],"tools":[{"name":"a"}],"tool_choice":{"type":"x"}}"#,
        br#"{"model":"m","messages":[],"output_config":{"format":{"type":"xml"}}}"#,
        b"\xff",
    ] {
        let ask = Ask { what: What::Messages, betas: "", body };
        let provider = Provider::shipped("openai").unwrap();
        let no = request(&ask, &provider, &lane(&json!({}))).unwrap_err();
        assert!(no.status == 400 && !no.message.is_empty(), "{}", String::from_utf8_lossy(body));
    }
}
