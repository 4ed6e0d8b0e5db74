//! The Anthropic SDK for Python, unmodified, through the TLS front: what it raises and what it
//! yields is what it would directly.

use e2e::provider::script::{Script, Usage};
use e2e::suite::Suite;
use e2e::world::processes::{prepared, repository};
use e2e::world::setup::Setup;
use serde_json::Value;
use std::process::Command;

static SUITE: Suite = Suite::new(|| Setup::named("sdk"));

#[test]
fn the_python_sdk_creates_streams_counts_and_raises_as_it_would_directly() {
    SUITE.run(async |world| {
        let stream = Script { words: 12, noise: true, ..Script::new() };
        let python = prepared("--client-python").unwrap();
        let mut command = Command::new(python);
        command
            .arg(repository().join("tests/data/sdk.py"))
            .env("BASE", format!("https://localhost:{}", world.ports.tls.port()))
            .env("CA", world.run().join("tls/ca.pem"))
            .env("TOKEN", world.token())
            .env(
                "SCRIPT_good",
                Script::new().usage(Usage { input: 77, ..Usage::default() }).user_id(),
            )
            .env("SCRIPT_stream", stream.user_id())
            .env("SCRIPT_limited", Script::new().status(429).user_id())
            .env("SCRIPT_overloaded", Script::new().status(529).user_id());
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();

        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["create"], serde_json::json!(["word0 ", 77, "end_turn"]), "{said}");
        let text: String = (0..12).flat_map(|nth| [format!("word{nth}"), " ".to_owned()]).collect();
        assert_eq!(said["stream"], serde_json::json!([12, text, 15]), "{said}");
        assert_eq!(said["count"], 25, "{said}");
        for (what, class, status, kind) in [
            ("bad_token", "AuthenticationError", 401, "authentication_error"),
            ("bad_model", "BadRequestError", 400, "invalid_request_error"),
            ("limited", "RateLimitError", 429, "rate_limit_error"),
            ("overloaded", "OverloadedError", 529, "overloaded_error"),
        ] {
            let raised = &said[what];
            assert_eq!(raised[0], class, "{what}: {said}");
            assert_eq!((&raised[1], &raised[3]), (&status.into(), &kind.into()), "{what}: {said}");
            assert!(raised[2].as_str().is_some_and(|id| !id.is_empty()), "{what}: {said}");
        }
    });
}
