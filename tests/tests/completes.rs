//! The stand-in for providers of chat completions: it does what a script says, and refuses what must not arrive.

use e2e::provider::Provider;
use e2e::provider::script::{Script, Tool, Usage};
use e2e::suite::bare;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

const KEY: &str = "sk-stand-in";

/// Sends a body with these headers; the status, and what came.
async fn ask(provider: &Provider, headers: &[(&str, &str)], body: &Value) -> (u16, String) {
    let uri = format!("http://{}/v1/chat/completions", provider.address);
    let mut request = http::Request::post(uri).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).build_http();
    let body = Full::new(bytes::Bytes::from(body.to_string()));
    let response = client.request(request.body(body).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();

    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn bearer() -> String {
    format!("Bearer {KEY}")
}

fn body(script: &Script, more: &Value) -> Value {
    let text = format!("{} What else?", script.user_id());
    let mut body = json!({"model": "big-1", "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn provider() -> Provider {
    Provider::completing("openai", "127.0.0.1:0".parse().unwrap(), KEY, None).await.unwrap()
}

#[test]
fn it_answers_as_the_script_in_the_first_user_s_text_says() {
    bare(async {
        let provider = provider().await;
        let usage = Usage { input: 10, read: 90, output: 7, ..Usage::default() };
        let tools = vec![Tool::new("call_1", "look", r#"{"at":"é"}"#)];
        let script = Script { tools, words: 2, ..Script::new().usage(usage) };
        let bearer = bearer();
        let (status, said) =
            ask(&provider, &[("authorization", &bearer)], &body(&script, &json!({}))).await;
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((status, &said["usage"]["prompt_tokens"]), (200, &json!(100)), "{said}");
        let message = &said["choices"][0]["message"];
        assert_eq!(message["content"], "word0 word1 ");
        assert_eq!(message["tool_calls"][0]["function"]["name"], "look");

        let stream = json!({"stream": true, "stream_options": {"include_usage": true}});
        let (_, said) = ask(&provider, &[("api-key", KEY)], &body(&script, &stream)).await;
        assert!(said.contains(r#""finish_reason":"tool_calls""#), "{said}");
        assert!(said.contains(r#""cached_tokens":90"#) && said.ends_with("data: [DONE]\n\n"));

        let limited = script.status(429);
        let (status, said) = ask(&provider, &[("api-key", KEY)], &body(&limited, &json!({}))).await;
        assert!(status == 429 && said.contains("rate_limit_exceeded"), "{said}");
        assert_eq!((provider.seen(&limited).len(), provider.violations()), (3, vec![]));
    });
}

#[test]
fn it_refuses_what_such_a_provider_must_never_get() {
    bare(async {
        let provider = provider().await;
        let (script, bearer) = (Script::new(), bearer());
        let good = body(&script, &json!({}));
        let inside = [("authorization", bearer.as_str()), ("x-tollgate-caller", "{}")];
        let both = [("authorization", bearer.as_str()), ("x-api-key", KEY)];
        let versioned = [("authorization", bearer.as_str()), ("anthropic-version", "2023-06-01")];
        for headers in [&[][..], &[("api-key", "sk-other")], &inside, &both, &versioned] {
            assert_eq!(ask(&provider, headers, &good).await.0, 418, "{headers:?}");
        }
        let unanswered = json!([
            {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function",
                "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "user", "content": "And?"}]);
        let marked = json!([{"role": "user", "content": [
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}]);
        for more in [
            json!({"metadata": {"user_id": "u"}}),
            json!({"system": "x"}),
            json!({"thinking": {"type": "adaptive"}}),
            json!({"stream_options": {"include_usage": true}}),
            json!({"messages": []}),
            json!({"messages": unanswered}),
            json!({"messages": marked}),
            json!({"messages": [{"role": "tool", "tool_call_id": "a", "content": "x"}]}),
            json!({"tools": [{"name": "f", "input_schema": {}}]}),
        ] {
            let said = ask(&provider, &[("api-key", KEY)], &body(&script, &more)).await;
            assert_eq!(said.0, 418, "{more}: {}", said.1);
        }
        assert!(!provider.violations().is_empty());
        provider.forgive();
    });
}
