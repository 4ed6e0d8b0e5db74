use super::*;
use crate::policy::{Asked, Declared, Document, Place, Policy, Tool, Why};
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn document(members: &Value) -> Document {
    let mut whole = json!({
        "schema": crate::policy::SCHEMA, "name": "t", "rules": [{"id": "all", "models": ["*"]}],
    });
    for (name, value) in members.as_object().unwrap() {
        whole[name] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "tests write it where they call")]
fn policy(members: Value) -> Policy {
    Policy::check(document(&members)).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "tests write it where they call")]
fn faults(members: Value) -> Vec<String> {
    let faults = Policy::check(document(&members)).unwrap_err();
    faults.into_iter().map(|fault| fault.place).collect()
}

/// Ann of payments, Bob of marketing.
fn of(groups: &[String]) -> Subject<'_> {
    Subject { tenant: "acme", user: "ann@example.com", groups, ..Subject::default() }
}

fn stripe() -> Value {
    json!({
        "servers": [
            {"id": "stripe", "who": {"groups": ["payments", "marketing"]}, "gateway": {
                "tools": {"list_*": "allow", "list_secrets": "blocked"},
                "resources": {"stripe://public/*": "allow", "stripe://ask": "ask"},
                "prompts": {"greet": "allow"},
            }},
            {"id": "docs", "url": "https://docs.example/mcp"},
        ],
        "tools": [
            {"id": "payments", "who": {"groups": ["payments"]}, "tools": {"mcp__stripe__refund": "allow"}},
            {"id": "large", "tools": {"mcp__stripe__refund": "approve"}, "arguments": {"/amount": {"over": 1000}}},
            {"id": "anything", "tools": {"*": "allow"}},
            {"id": "no-drops", "tools": {"mcp__*__drop_*": "blocked"}, "say": "We drop nothing."},
        ],
    })
}

#[test]
fn the_same_tool_is_open_to_payments_and_closed_to_marketing() {
    let policy = policy(stripe());
    let (payments, marketing) = (["payments".to_owned()], ["marketing".to_owned()]);
    let ann = policy.mcp(&of(&payments), "stripe").unwrap();
    let bob = policy.mcp(&of(&marketing), "stripe").unwrap();

    for (name, for_ann, for_bob, rule) in [
        ("refund", Word::Allow, Word::Blocked, "payments"),
        ("Refund", Word::Allow, Word::Blocked, "payments"),
        ("list_charges", Word::Allow, Word::Allow, "stripe"),
        ("list_secrets", Word::Blocked, Word::Blocked, "stripe"),
        ("brand_new", Word::Blocked, Word::Blocked, "stripe"),
        ("list_ drop", Word::Blocked, Word::Blocked, "stripe"),
        ("lіst_charges", Word::Blocked, Word::Blocked, "stripe"), // a Cyrillic letter
        ("", Word::Blocked, Word::Blocked, "stripe"),
    ] {
        let said = ann.calls(name, &json!({"amount": 1}));
        assert_eq!((said.word, said.rule_id), (for_ann, rule), "{name}");
        assert_eq!(bob.calls(name, &json!({"amount": 1})).word, for_bob, "{name}");
        assert_eq!(ann.shows(name).is_open(), for_ann != Word::Blocked, "{name}");
    }
    assert!(policy.mcp(&of(&[]), "stripe").is_none(), "who is of neither does not see it");
    assert!(policy.mcp(&of(&payments), "docs").is_none(), "it is not reached through the gate");
    assert!(policy.mcp(&of(&payments), "approvals").is_none(), "nobody approves of anything");
}

#[test]
fn a_rule_that_does_not_name_the_server_opens_nothing_and_closes_what_it_means() {
    let mut members = stripe();
    members["servers"][0]["gateway"]["otherwise"] = json!("ask");
    let policy = policy(members);
    let payments = ["payments".to_owned()];
    let ann = policy.mcp(&of(&payments), "stripe").unwrap();

    assert_eq!(ann.calls("brand_new", &json!({})).word, Word::Ask, "not `allow`, as `*` says");
    let dropped = ann.calls("drop_table", &json!({}));
    assert_eq!((dropped.word, dropped.rule_id), (Word::Blocked, "no-drops"));
    assert_eq!(dropped.say, Some("We drop nothing."));
}

#[test]
fn a_rule_over_arguments_speaks_of_calls_that_have_them() {
    let policy = policy(stripe());
    let payments = ["payments".to_owned()];
    let ann = policy.mcp(&of(&payments), "stripe").unwrap();

    for (arguments, word) in [
        (json!({}), Word::Approve),
        (json!({"amount": 1000}), Word::Allow),
        (json!({"amount": 1001}), Word::Approve),
        (json!({"amount": 1000.5}), Word::Approve),
        (json!({"amount": "5000"}), Word::Approve),
        (json!({"amount": 5e3}), Word::Approve),
        (json!({"Amount": 5000}), Word::Approve),
        (json!({"amount": 1, "Amount": 5000}), Word::Approve),
        (json!({"amount": [5000]}), Word::Approve),
        (json!({"amount": "a lot"}), Word::Approve),
        (json!({"amount": null}), Word::Approve),
        (json!("5000"), Word::Approve),
    ] {
        assert_eq!(ann.calls("refund", &arguments).word, word, "{arguments}");
    }
    assert!(ann.shows("refund").is_open(), "small ones need nobody");
}

#[test]
fn a_rule_that_wants_an_approval_of_some_arguments_opens_the_tool_to_nobody() {
    let policy = policy(stripe());
    let marketing = ["marketing".to_owned()];
    let bob = policy.mcp(&of(&marketing), "stripe").unwrap();

    assert_eq!(bob.calls("refund", &json!({"amount": 5000})).word, Word::Blocked);
}

#[test]
fn conditions_hold_as_they_say_and_what_cannot_be_told_opens_nothing() {
    let rule = |word: &str, condition: Value| {
        let otherwise = if word == "allow" { "blocked" } else { "allow" };
        policy(json!({
            "servers": [{"id": "s", "gateway": {"otherwise": otherwise}}],
            "tools": [{"id": "r", "tools": {"mcp__s__t": word}, "arguments": {"/to/0": condition}}],
        }))
    };
    for (condition, arguments, allowed, blocked) in [
        (json!({"like": ["*@acme.example"]}), json!({"to": ["ann@ACME.example"]}), true, true),
        (json!({"like": ["*@acme.example"]}), json!({"to": ["ann@evil.example"]}), false, false),
        (json!({"like": ["*@acme.example"]}), json!({"to": [{"a": 1}]}), false, true),
        (json!({"like": ["*@acme.example"]}), json!({}), false, true),
        (json!({"unlike": ["*@acme.example"]}), json!({"to": ["ann@evil.example"]}), true, true),
        (json!({"unlike": ["*@acme.example"]}), json!({}), false, true),
        (
            json!({"like": ["*@acme.example"]}),
            json!({"to": [["a@acme.example", "x@evil.example"]]}),
            false,
            true,
        ),
        (
            json!({"like": ["*@acme.example"]}),
            json!({"to": [["a@acme.example", "b@acme.example"]]}),
            true,
            true,
        ),
        (
            json!({"like": ["9007199254740992"]}),
            json!({"to": [9_007_199_254_740_993_i64]}),
            false,
            true,
        ),
        (json!({"over": 1, "under": 5}), json!({"to": [3]}), true, true),
        (json!({"over": 1, "under": 5}), json!({"to": [5]}), false, false),
        (json!({"over": 1, "under": 5}), json!({"to": ["x"]}), false, true),
        (json!({"over": 1, "under": 5}), json!({"to": {"0": 3}}), true, true),
        (json!({"over": 1}), json!({"to": "3"}), false, true),
    ] {
        let none = of(&[]);
        let word = |word| {
            rule(word, condition.clone()).mcp(&none, "s").map(|s| s.calls("t", &arguments).word)
        };
        assert_eq!(word("allow") == Some(Word::Allow), allowed, "allow {condition} {arguments}");
        let open = rule("blocked", condition.clone());
        let spoke = open.mcp(&none, "s").unwrap().calls("t", &arguments).rule_id == "r";
        assert_eq!(spoke, blocked, "blocked {condition} {arguments}");
    }
}

#[test]
fn resources_and_prompts_are_closed_and_no_address_climbs_out_of_its_folder() {
    let policy = policy(stripe());
    let payments = ["payments".to_owned()];
    let ann = policy.mcp(&of(&payments), "stripe").unwrap();

    for (uri, open) in [
        ("stripe://public/prices", true),
        ("stripe://public/{region}", true),
        ("STRIPE://Public/prices", true),
        ("stripe://ask", true),
        ("stripe://private/keys", false),
        ("stripe://public/../private/keys", false),
        ("stripe://public/%2e%2e/private", false),
        ("stripe://public/%252e%252e/private", false),
        ("stripe://public/..%2fprivate", false),
        ("stripe://public/a\\..\\b", false),
        ("stripe://public/ x", false),
        ("stripe://public/pr%69ces", false),
        ("stripe://public/%c0%ae%c0%ae/keys", false),
        ("stripe://public//keys", false),
        ("stripe://public/%", false),
        ("stripe://public/caf%C3%A9%20x", true),
        ("file:///etc/passwd", false),
        ("", false),
    ] {
        assert_eq!(ann.resource(uri).is_open(), open, "{uri}");
    }
    assert!(ann.prompt("greet").is_open() && !ann.prompt("other").is_open());
    assert!(!ann.also(Also::Sampling));
}

#[test]
fn a_tool_whose_definition_changed_is_withheld_and_so_is_one_that_nobody_has_seen() {
    let policy = policy(json!({"servers": [{"id": "s", "gateway": {
        "otherwise": "allow", "tools": {"gone": "blocked"}, "pins": {"a": "0".repeat(64), "gone": "0".repeat(64)},
    }}]}));
    let none = of(&[]);
    let server = policy.mcp(&none, "s").unwrap();
    let listed = |name: &str, digest: &str| server.lists(name, || Some(digest.repeat(64)));

    assert_eq!(listed("a", "0"), Listed::Shown);
    assert_eq!(listed("a", "1"), Listed::Withheld);
    assert_eq!(server.lists("a", || None), Listed::Withheld);
    assert_eq!(listed("b", "0"), Listed::Withheld);
    assert_eq!(listed("gone", "0"), Listed::Hidden);
}

#[test]
fn our_own_server_is_there_where_somebody_approves() {
    let policy = policy(json!({"approvals": {
        "approvers": {"groups": ["leads"]}, "wait_seconds": 60, "valid_seconds": 600,
    }}));
    let none = of(&[]);
    let ours = policy.mcp(&none, APPROVALS).unwrap();

    assert!(ours.shows("request_approval").is_open() && ours.shows("check_approval").is_open());
    assert!(!ours.shows("anything_else").is_open());
}

#[test]
fn a_tool_that_needs_an_approval_may_be_declared_where_its_calls_pass_the_gate() {
    let policy = policy(json!({
        "servers": [{"id": "stripe", "gateway": {}}],
        "tools": [{"id": "careful", "tools": {"mcp__*": "approve"}}],
    }));
    let declared = |name: &str| {
        let tool = Tool { name: name.into(), kind: None, place: Place::Tool(0) };
        let declared = Declared { tools: vec![tool], ..Declared::default() };
        let asked = Asked { model: "claude-x", beside: &[], declared: &declared };
        policy.judge(&of(&[]), asked).map(|grant| grant.notes.len()).map_err(|denial| denial.why)
    };

    assert_eq!(declared("mcp__stripe__refund"), Ok(1));
    assert_eq!(declared("mcp__other__refund"), Err(Why::Approval));
    assert_eq!(declared("mcp__stripe_other__refund"), Err(Why::Approval));
}

#[test]
fn faults_are_named_where_they_stand() {
    let found = faults(json!({
        "servers": [
            {"id": "Big", "gateway": {"tools": {"a b": "allow"}, "resources": {"x:": "approve"},
                "pins": {"t": "12"}, "largest_result": 0, "title": ""}},
            {"id": "approvals", "gateway": {}},
            {"id": "nowhere"},
        ],
        "tools": [{"id": "r", "tools": {"t": "blocked", "skill:custom/x": "blocked"},
            "arguments": {"amount": {}, "/a": {"over": 5, "under": 5}}}],
        "approvals": {"approvers": {}, "wait_seconds": 0, "valid_seconds": 999_999_999},
    }));

    assert_eq!(
        found,
        [
            "tools[0].arguments.\"/a\"",
            "tools[0].arguments.\"amount\"",
            "tools[0].arguments.\"amount\"",
            "tools[0].arguments",
            "servers[0].id",
            "servers[0].gateway.tools.\"a b\"",
            "servers[0].gateway.resources.\"x:\"",
            "servers[0].gateway.pins.\"t\"",
            "servers[0].gateway.largest_result",
            "servers[0].gateway.title",
            "servers[1].id",
            "servers[2].url",
            "approvals.approvers",
            "approvals.wait_seconds",
            "approvals.valid_seconds",
        ]
    );
}
