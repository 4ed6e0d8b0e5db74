use super::*;
mod bypasses;
mod properties;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ACME: &str = r#"{"schema":"tollgate.policy/v1","name":"acme","rules":[
    {"id":"everyone","models":["claude-haiku-*","Claude-Sonnet-4-5-20250929"]},
    {"id":"research","who":{"groups":["research"]},"models":["claude-opus-*"]},
    {"id":"agency","who":{"tenants":["agency"]},"models":["*"]}]}"#;

static NOTHING: Declared = Declared { tools: Vec::new(), servers: Vec::new(), skills: Vec::new() };

fn allows<'a>(
    policy: &'a Policy,
    tenant: &str,
    groups: &[String],
    model: &'a str,
) -> Option<Grant<'a>> {
    let subject = Subject { tenant, groups, ..Subject::default() };

    policy.judge(&subject, Asked { model, beside: &[], declared: &NOTHING }).ok()
}

#[test]
fn the_rule_that_allows_is_named() {
    let policy = Policy::parse(ACME.as_bytes()).unwrap();
    let research = ["research".to_owned()];
    let rule = |tenant: &str, groups: &[String], model: &str| {
        allows(&policy, tenant, groups, model).map(|grant| grant.rule_id.to_owned())
    };

    assert_eq!(rule("acme", &[], "claude-haiku-4-5").as_deref(), Some("everyone"));
    assert_eq!(rule("acme", &[], "claude-sonnet-4-5").as_deref(), Some("everyone"));
    assert_eq!(rule("acme", &research, "claude-opus-4-8").as_deref(), Some("research"));
    assert_eq!(rule("acme", &[], "claude-opus-4-8"), None);
    assert_eq!(rule("agency", &[], "llama-3.3-70b").as_deref(), Some("agency"));
}

/// Rules that all allow the same, with these further members, in this order and the other.
fn terms(rules: &[&str]) -> Terms {
    let parse = |rules: Vec<(usize, &&str)>| {
        let rules: Vec<_> = rules
            .iter()
            .map(|(index, says)| format!(r#"{{"id":"r{index}","models":["*"]{says}}}"#))
            .collect();
        let text = format!(r#"{{"schema":"{SCHEMA}","name":"n","rules":[{}]}}"#, rules.join(","));
        {
            let policy = Policy::parse(text.as_bytes()).unwrap();
            allows(&policy, "t", &[], "m-1").unwrap().terms
        }
    };
    let (one, other) = (
        parse(rules.iter().enumerate().collect()),
        parse(rules.iter().enumerate().rev().collect()),
    );
    assert_eq!(one, other, "the order of rules matters: {rules:?}");
    one
}

#[test]
fn of_all_rules_that_allow_a_call_the_strictest_word_holds_in_whatever_order() {
    let (full, none) = (r#","content":"full""#, r#","content":"none""#);
    let (redacted, before) = (r#","content":"redacted""#, r#","audit":"before""#);
    let after = r#","audit":"after""#;
    for (rules, content, audit) in [
        (&["", ""][..], ContentMode::Redacted, Audit::After),
        (&[full, ""], ContentMode::Full, Audit::After),
        (&[full, redacted], ContentMode::Redacted, Audit::After),
        (&[full, "", none, redacted], ContentMode::None, Audit::After),
        (&["", before, after], ContentMode::Redacted, Audit::Before),
        (&[full, before], ContentMode::Full, Audit::Before),
    ] {
        let terms = terms(rules);
        assert_eq!((terms.content(), terms.audit()), (content, audit), "{rules:?}");
    }
}

#[test]
fn a_rule_that_does_not_allow_the_call_has_no_say_in_it() {
    let text = format!(
        r#"{{"schema":"{SCHEMA}","name":"n","rules":[{{"id":"a","models":["*"]}},
        {{"id":"b","who":{{"groups":["g"]}},"models":["*"],"content":"full","audit":"before"}},
        {{"id":"c","models":["other-*"],"content":"none"}}]}}"#
    );
    let policy = Policy::parse(text.as_bytes()).unwrap();

    let outside = allows(&policy, "t", &[], "m-1").unwrap();
    let inside = allows(&policy, "t", &["g".to_owned()], "m-1").unwrap();

    assert_eq!((outside.rule_id, outside.terms), ("a", Terms::default()));
    assert_eq!((inside.rule_id, inside.terms.content()), ("a", ContentMode::Full));
    assert_eq!(inside.terms.audit(), Audit::Before);
}

#[test]
fn a_rule_that_says_nothing_more_is_written_as_before() {
    let document: Document = serde_json::from_str(ACME).unwrap();

    let written = serde_json::to_string(&document).unwrap();

    assert!(!written.contains("content") && !written.contains("audit"), "{written}");
}

#[test]
fn every_fault_is_told_at_once() {
    let broken = r#"{"schema":"x","name":"n","rules":[
        {"id":"a","models":["gut er"]},{"id":"a","models":[]}]}"#;

    let faults = Policy::parse(broken.as_bytes()).unwrap_err();

    let places: Vec<_> = faults.iter().map(|fault| fault.place.as_str()).collect();
    assert_eq!(places, ["schema", "rules[0].models[0]", "rules[1].id", "rules[1].models"]);
}

#[test]
fn negotiated_prices_stand_in_the_policy() {
    let with = |rates: &str| {
        Policy::parse(
            format!(
                r#"{{"schema":"tollgate.policy/v1","name":"n",
                "rules":[{{"id":"a","models":["*"]}}],"rates":{rates}}}"#
            )
            .as_bytes(),
        )
    };
    let good = r#"{"as_of":"2026-11-01","source":"order form 4711","rates":[
        {"provider":"anthropic","models":["claude-*"],"discount":"0.2"}]}"#;
    let half = r#"{"as_of":"2026-11-01","source":"","rates":[
        {"provider":"anthropic","models":["claude-*"],"discount":"20%"}]}"#;

    let policy = with(good).unwrap();
    let input =
        |card: &RateCard| card.nanos("anthropic", "claude-haiku-4-5", crate::price::Unit::Input);
    assert_eq!(policy.rates().and_then(input), Some(800));
    assert!(Policy::parse(ACME.as_bytes()).unwrap().rates().is_none(), "the list counts");
    let places: Vec<_> = with(half).unwrap_err().into_iter().map(|fault| fault.place).collect();
    assert_eq!(places, ["rates.source", "rates.rates[0].discount"]);
}

#[test]
fn a_word_this_version_does_not_know_is_a_fault_and_not_ignored() {
    let newer = r#"{"schema":"tollgate.policy/v1","name":"n","rules":[
        {"id":"a","models":["*"],"deny_tools":["bash"]}]}"#;

    assert!(Policy::parse(newer.as_bytes()).is_err(), "half a policy is no policy");
    for word in [r#""content":"some""#, r#""audit":"during""#, r#""audit":true"#] {
        let odd = newer.replace(r#""deny_tools":["bash"]"#, word);
        assert!(Policy::parse(odd.as_bytes()).is_err(), "{word}");
    }
}

fn governed() -> Policy {
    let text = r#"{"schema":"tollgate.policy/v1","name":"n","rules":[{"id":"a","models":["*"]}],
        "tools":[
          {"id":"all","tools":{"*":"ask","Read":"allow","mcp__git__*":"allow"}},
          {"id":"agents","who":{"sources":["subagent","job"]},"tools":{"*delete*":"blocked"}},
          {"id":"bank","unless":{"groups":["staff"]},"tools":{"Bash":"approve"}}]}"#;
    Policy::parse(text.as_bytes()).unwrap()
}

#[test]
fn of_several_rules_the_strictest_word_counts_and_the_first_that_says_it_is_named() {
    use crate::audit::CallSource::{Cowork, Job, Subagent};
    let staff = ["staff".to_owned()];
    for (source, groups, tool, verdict) in [
        (Cowork, &staff[..], "Read", Ok(None)),
        (Cowork, &staff, "Write", Ok(Some("all"))),
        (Cowork, &staff, "mcp__git__delete_branch", Ok(Some("all"))),
        (Subagent, &staff, "mcp__git__delete_branch", Err("agents")),
        (Job, &staff, "MCP__GIT__DELETE_branch", Err("agents")),
        (Cowork, &staff, "bash", Ok(Some("all"))),
        (Cowork, &[], "bash", Err("bank")),
        (Subagent, &[], "Read", Ok(None)),
    ] {
        let policy = governed();
        let subject = Subject { groups, source, ..Subject::default() };
        let tool = Tool { name: tool.into(), kind: None, place: Place::Tool(0) };
        let declared = Declared { tools: vec![tool.clone()], ..Declared::default() };
        let asked = Asked { model: "m", beside: &[], declared: &declared };

        let judged = policy.judge(&subject, asked);

        let told = match &judged {
            Ok(grant) => Ok(grant.notes.first().map(|note| note.rule_id)),
            Err(denial) => Err(denial.rule_id.unwrap_or_default()),
        };
        assert_eq!(told, verdict, "{source:?} {groups:?} {tool:?}");
    }
}

#[test]
fn faults_are_found_in_every_section_at_once() {
    let broken = r#"{"schema":"tollgate.policy/v1","name":"n",
        "rules":[{"id":"a","models":["*"],"effect":"deny","audit":"before","labels":["Big"]}],
        "tools":[{"id":"a","tools":{}},{"id":"b","tools":{"no such":"ask"},"say":"two\nlines"}],
        "servers":[{"id":"c","url":"http://x"}],
        "blocklists":[{"id":"d","words":[],"action":"deny"}],
        "secrets":[{"id":"e","patterns":[],"action":"flag"}],
        "models":[{"id":"gut er"},{"id":"m"},{"id":"M"}],
        "break_glass":{"roles":[],"passes":["nothing-*"],"keep_days":0},
        "standing":{"max_age_seconds":1}}"#;

    let faults = Policy::parse(broken.as_bytes()).unwrap_err();

    let mut places: Vec<_> = faults.iter().map(|fault| fault.place.as_str()).collect();
    places.sort_unstable();
    let mut expected = [
        "rules[0].effect",
        "rules[0].labels[0]",
        "tools[0].id",
        "tools[0].tools",
        "tools[1].tools.\"no such\"",
        "tools[1].say",
        "servers[0].url",
        "blocklists[0].words",
        "secrets[0].patterns",
        "models[0].id",
        "models[2].id",
        "break_glass.roles",
        "break_glass.passes[0]",
        "break_glass.keep_days",
        "standing.max_age_seconds",
    ];
    expected.sort_unstable();
    assert_eq!(places, expected);
}

#[test]
fn an_empty_list_of_callers_is_a_fault_and_not_everyone() {
    let empty = r#"{"schema":"tollgate.policy/v1","name":"n","rules":[
        {"id":"a","who":{"groups":[]},"models":["*"]}]}"#;

    let faults = Policy::parse(empty.as_bytes()).unwrap_err();

    assert!(faults[0].problem.contains("leave it out"), "{faults:?}");
}
