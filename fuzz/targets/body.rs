//! A request's body: no bytes panic, and what is accepted is one model's name; what a row keeps of it
//! is bounded; whatever it declares or hides, it can be judged.
#![no_main]

use contract::audit::ContentMode;
use contract::policy::{Asked, Policy, Subject};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tollgate_filter::stages::{parse, said};

const POLICY: &[u8] = br#"{"schema":"tollgate.policy/v1","name":"n",
    "rules":[{"id":"a","models":["*"]},{"id":"b","models":["*x*"],"effect":"deny"}],
    "tools":[{"id":"c","tools":{"*":"ask","Bash":"blocked","mcp__*__d*":"approve"}}],
    "servers":[{"id":"d","url":"https://a.example/*"}],
    "secrets":[{"id":"e","patterns":["*"],"action":"deny"}],
    "blocklists":[{"id":"f","words":["Project Bluebird","umbrella"],"action":"flag"}]}"#;

static JUDGE: LazyLock<Policy> = LazyLock::new(|| Policy::parse(POLICY).expect("a policy"));

fuzz_target!(|body: &[u8]| {
    let subject = Subject { tenant: "t", user: "u", ..Subject::default() };
    let scanned = JUDGE.scan(&subject, body);
    assert!(scanned.found.len() <= 16);
    if let Ok(request) = parse::request(body) {
        assert!(!request.call.model.is_empty());
        assert!(request.call.model.is_ascii());
        let asked = said::asked(&request.turn, body, ContentMode::Full);
        assert!(asked.answers.len() <= 64);
        assert!(asked.content.is_some_and(|content| content.input.len() <= 32));
        let asked = Asked {
            model: &request.call.model,
            beside: &request.call.beside,
            declared: &request.declared,
        };
        if let Ok(grant) = JUDGE.judge(&subject, asked) {
            assert!(grant.notes.len() <= 16);
        }
    }
});
