//! The table of providers: what each column does, and that each row is what its provider's reference says.

use super::provider::shipped;
use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const IDS: [&str; 6] = ["openai", "azure", "groq", "gemini", "vllm", "ollama"];

fn said_by(provider: &Provider, asked: &Value) -> Result<Outgoing, Unmappable> {
    let body = asked.to_string();
    let ask = Ask { what: What::Messages, betas: "", body: body.as_bytes() };

    request(&ask, provider, &lane(&json!({})))
}

fn row(id: &str) -> Provider {
    Provider::shipped(id).unwrap()
}

/// What a provider gets of this question.
fn gets(provider: &Provider, more: &Value) -> Value {
    body(&said_by(provider, &question(more)).unwrap())
}

/// Those whose row makes this true.
fn those(is: impl Fn(&str) -> bool) -> Vec<&'static str> {
    IDS.into_iter().filter(|id| is(id)).collect()
}

/// Those that get a member when this is asked.
fn those_with(member: &str, more: &Value) -> Vec<&'static str> {
    those(|id| !gets(&row(id), more)[member].is_null())
}

/// Those that refuse it.
fn those_refusing(more: &Value) -> Vec<&'static str> {
    those(|id| said_by(&row(id), &question(more)).is_err_and(|no| no.status == 400))
}

fn tools(more: &Value) -> Value {
    let mut asked = json!({"tools": [{"name": "a", "input_schema": {"type": "object"}}]});
    asked["tool_choice"] = more.clone();
    asked
}

fn user(block: &Value) -> Value {
    json!({"messages": [{"role": "user", "content": [block]}]})
}

#[test]
fn the_table_is_read_whole_and_no_row_stands_twice() {
    let found: Vec<_> = shipped().iter().map(|row| row.word("id")).collect();
    assert_eq!(found, IDS);
    assert!(Provider::shipped("nobody").is_none());
    let file: Value =
        serde_json::from_str(include_str!("../../../../../contract/data/openai.json")).unwrap();
    assert!(file["as_of"].as_str().is_some_and(|date| date.len() == 10));
    assert!(file["source"].is_string());
}

#[test]
fn every_row_has_what_it_must_and_no_column_that_nobody_reads() {
    const COLUMNS: [&str; 17] = [
        "id",
        "path",
        "path_versioned",
        "limit",
        "include_usage",
        "efforts",
        "thinking",
        "image_urls",
        "documents",
        "tool_choice",
        "parallel_tool_calls",
        "strict",
        "top_k",
        "stops",
        "longest_tool_name",
        "system_role",
        "call_extra",
    ];
    for row in shipped() {
        for (name, value) in row.members() {
            assert!(COLUMNS.contains(&name), "{name}");
            assert!(value != "false" && value != "null", "{name} is not said instead");
        }
        for name in ["id", "path", "limit", "efforts", "system_role"] {
            assert!(!row.word(name).is_empty(), "{name}");
        }
    }
}

#[test]
fn each_provider_has_its_path() {
    let path = |id: &str, params: Value| said(id, &params, &question(&json!({}))).unwrap().path;
    for (id, expected) in [
        ("openai", "/v1/chat/completions"),
        ("azure", "/openai/v1/chat/completions"),
        ("groq", "/openai/v1/chat/completions"),
        ("gemini", "/v1beta/openai/chat/completions"),
        ("vllm", "/v1/chat/completions"),
        ("ollama", "/v1/chat/completions"),
    ] {
        assert_eq!(path(id, json!({})), expected, "{id}");
        let below = path(id, json!({"base_path": "/llm/"}));
        assert_eq!(below, format!("/llm{expected}"), "{id}");
    }
    let dated = json!({"api_version": "2024-10-21"});
    assert_eq!(path("openai", dated.clone()), "/v1/chat/completions", "only Azure's is dated");
    assert_eq!(
        path("azure", dated),
        "/openai/deployments/big-1/chat/completions?api-version=2024-10-21"
    );
}

#[test]
fn a_model_s_name_cannot_leave_its_place_in_the_path() {
    let lane = Terms {
        models: [("*".to_owned(), "../a b?c#d".to_owned())].into(),
        params: [("api_version".to_owned(), "1&x=y".to_owned())].into(),
    };
    assert_eq!(
        lane.path(&row("azure"), lane.model("m").unwrap()),
        "/openai/deployments/..%2Fa%20b%3Fc%23d/chat/completions?api-version=1%26x%3Dy"
    );
}

#[test]
fn the_bound_on_the_answer_has_two_names() {
    let asked = json!({});
    assert_eq!(those_with("max_completion_tokens", &asked), ["openai", "azure", "groq", "vllm"]);
    assert_eq!(those_with("max_tokens", &asked), ["gemini", "ollama"]);
}

#[test]
fn usage_of_a_stream_is_asked_for_where_that_is_understood() {
    let asked = json!({"stream": true});
    assert_eq!(those_with("stream_options", &asked), IDS);
    let older = Provider { include_usage: false, ..row("vllm") };
    let got = gets(&older, &asked);
    assert_eq!((&got["stream"], got.get("stream_options")), (&json!(true), None));
}

#[test]
fn effort_is_said_in_words_that_the_provider_knows() {
    let effort = |id: &str, more: Value| gets(&row(id), &more)["reasoning_effort"].clone();
    for (id, strongest) in [
        ("openai", "xhigh"),
        ("azure", "xhigh"),
        ("groq", "high"),
        ("gemini", "high"),
        ("vllm", "max"),
        ("ollama", "high"),
    ] {
        assert_eq!(effort(id, json!({"output_config": {"effort": "max"}})), strongest, "{id}");
        assert_eq!(effort(id, json!({"output_config": {"effort": "low"}})), "low", "{id}");
        assert_eq!(effort(id, json!({"thinking": {"type": "adaptive"}})), Value::Null, "{id}");
    }
    let off = json!({"thinking": {"type": "disabled"}});
    assert_eq!(those_with("reasoning_effort", &off), ["vllm", "ollama"]);
    let unknown = Provider { efforts: Vec::new(), ..row("openai") };
    let outgoing = said_by(&unknown, &question(&json!({"output_config": {"effort": "low"}})));
    assert_eq!(outgoing.unwrap().dropped, [table::dropped::EFFORT]);
}

#[test]
fn a_budget_of_thinking_is_the_nearest_effort() {
    for (budget, effort) in [(1024, "low"), (4095, "low"), (4096, "medium"), (16384, "high")] {
        let asked = json!({"thinking": {"type": "enabled", "budget_tokens": budget}});
        assert_eq!(gets(&row("openai"), &asked)["reasoning_effort"], effort, "{budget}");
    }
}

#[test]
fn earlier_thinking_goes_back_to_those_that_take_it() {
    let asked = json!({"messages": [
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": ""}]},
        {"role": "user", "content": "Go on."}]});
    let takes = |id: &str| gets(&row(id), &asked)["messages"][0]["reasoning"] == "Hm.";
    assert_eq!(those(takes), ["vllm", "ollama"]);
    let drops = |id: &str| {
        said_by(&row(id), &question(&asked)).unwrap().dropped == [table::dropped::THINKING]
    };
    assert_eq!(those(drops), ["openai", "azure", "groq", "gemini"]);
}

#[test]
fn urls_of_images_and_documents_go_where_they_are_read() {
    let image = json!({"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}});
    assert_eq!(those_refusing(&user(&image)), ["gemini", "ollama"]);
    let document = json!({"type": "document", "source":
        {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}});
    assert_eq!(those_refusing(&user(&document)), ["azure", "groq", "gemini", "vllm", "ollama"]);
}

#[test]
fn the_choice_of_a_tool_goes_where_it_is_understood() {
    let any = tools(&json!({"type": "any", "disable_parallel_tool_use": true}));
    let all_but_ollama = ["openai", "azure", "groq", "gemini", "vllm"];
    assert_eq!(those_with("tool_choice", &any), all_but_ollama);
    assert_eq!(those_with("parallel_tool_calls", &any), ["openai", "azure", "groq", "vllm"]);
    let none = tools(&json!({"type": "none"}));
    assert_eq!(those_with("tools", &none), all_but_ollama);
}

#[test]
fn strict_goes_where_it_is_understood() {
    let asked = json!({"tools": [{"name": "a", "input_schema": {}, "strict": true}],
        "output_config": {"format": {"type": "json_schema", "schema": {}}}});
    let strict = ["openai", "azure", "vllm"];
    let tool = |id: &str| gets(&row(id), &asked)["tools"][0]["function"]["strict"] == true;
    assert_eq!(those(tool), strict);
    let form =
        |id: &str| gets(&row(id), &asked)["response_format"]["json_schema"]["strict"] == true;
    assert_eq!(those(form), strict);
}

#[test]
fn top_k_goes_where_it_is_understood() {
    assert_eq!(those_with("top_k", &json!({"top_k": 5})), ["vllm"]);
}

#[test]
fn stops_are_counted_where_they_are() {
    let stops = |count: usize| json!({"stop_sequences": vec!["x"; count]});
    assert_eq!(those_refusing(&stops(4)), [""; 0]);
    assert_eq!(those_refusing(&stops(5)), ["openai", "azure", "groq"]);
    assert_eq!(those_refusing(&stops(6)), ["openai", "azure", "groq", "gemini"]);
}

#[test]
fn names_of_tools_are_measured_where_they_are() {
    let named =
        |length: usize| json!({"tools": [{"name": "n".repeat(length), "input_schema": {}}]});
    assert_eq!(those_refusing(&named(64)), [""; 0]);
    assert_eq!(those_refusing(&named(65)), ["openai", "azure", "groq", "gemini"]);
}

#[test]
fn instructions_have_the_role_that_the_provider_calls_them_by() {
    let asked = json!({"system": "Be brief."});
    let developer = |id: &str| gets(&row(id), &asked)["messages"][0]["role"] == "developer";
    assert_eq!(those(developer), ["openai"]);
    let system = |id: &str| gets(&row(id), &asked)["messages"][0]["role"] == "system";
    assert_eq!(those(system), ["azure", "groq", "gemini", "vllm", "ollama"]);
}

#[test]
fn only_gemini_wants_a_word_with_its_calls() {
    let asked = json!({"messages": [
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "t", "name": "a", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]});
    let extra = |id: &str| {
        gets(&row(id), &asked)["messages"][0]["tool_calls"][0].get("extra_content").is_some()
    };
    assert_eq!(those(extra), ["gemini"]);
}
