use super::*;

const SMALL: &str = "
# Who may what.
schema: tollgate.policy/v1
name: acme
rules:
  - id: everyone
    models: [claude-haiku-*, claude-sonnet-*]
  - id: research
    who: { groups: [research] }
    models: [claude-opus-*]
    audit: before
standing: { max_age: 10m }
break_glass: { roles: [oncall], passes: [no-shell], keep: 7y }
tools:
  - id: no-shell
    who: { sources: [subagent, job] }
    tools: { Bash: blocked, 'mcp__*__delete_*': blocked }
rates:
  as_of: 2026-11-21
  source: order form 4711
  rates:
    - { provider: anthropic, models: [claude-opus-*], discount: 0.15 }
";

/// `line:column place` of every fault.
fn faults(text: &str) -> Vec<String> {
    let found = compile(text).err().unwrap_or_default();
    found.iter().map(|one| format!("{}:{} {}", one.at.line, one.at.column, one.place)).collect()
}

fn problem(text: &str) -> String {
    let found = compile(text).err().unwrap_or_default();
    found.iter().map(|one| one.problem.clone()).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_people_write_becomes_what_is_judged() {
    let compiled = compile(SMALL).unwrap();

    assert_eq!(compiled.document.standing.unwrap().max_age_seconds, 600);
    assert_eq!(compiled.document.break_glass.unwrap().keep_days, 2_555);
    let discount = &compiled.document.rates.unwrap().rates[0].discount;
    assert_eq!(discount.as_deref(), Some("0.15"));
    assert_eq!(Policy::parse(&compiled.payload).unwrap().name(), compiled.policy.name());
    assert_eq!(compiled.version, envelope::version(&compiled.payload));
    assert_eq!(compiled.warnings, []);
}

#[test]
fn the_same_meaning_has_the_same_version_however_it_is_written() {
    let written = compile(SMALL).unwrap();
    let json = String::from_utf8(written.payload.clone()).unwrap();
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&json).unwrap());
    let other = "
name: \"acme\"
tools:
  - tools:
      mcp__*__delete_*: blocked
      Bash: blocked
    id: no-shell
    who:
      sources:
        - subagent
        - job
standing: { max_age_seconds: 600 }
break_glass: { keep_days: 2555, roles: [oncall], passes: [no-shell] }
rates:
  rates: [{ discount: '0.15', models: ['claude-opus-*'], provider: anthropic }]
  source: order form 4711
  as_of: '2026-11-21'
rules:
  - { models: [claude-haiku-*, claude-sonnet-*], id: everyone, effect: allow }
  - { models: [claude-opus-*], id: research, audit: before, who: { groups: [research] } }
schema: tollgate.policy/v1 # at the end
";

    for text in [&json, &pretty.unwrap(), other] {
        assert_eq!(compile(text).unwrap().payload, written.payload, "{text}");
    }
    let changed = SMALL.replace("[research]", "[research, science]");
    assert_ne!(compile(&changed).unwrap().version, written.version);
}

#[test]
fn every_fault_is_told_at_once_with_its_line_those_of_shape_and_those_of_sense() {
    let text = "schema: tollgate.policy/v2
name: 7
rules:
  - id: everyone
    who: { group: [x], tenants: [] }
    models: [gut er]
    contnet: full
  - id: everyone
    models: claude-*
    audit: sometimes
  - models: []
tools:
  - id: shell
    tools: { 'Bash x': blocked, Read: block }
servers:
  - { id: tickets, url: 'http://tickets.example/' }
standing: { max_age: 10 minutes }
";

    assert_eq!(
        faults(text),
        [
            "1:9 schema",
            "2:7 name",
            "5:12 rules[0].who.group",
            "5:33 rules[0].who.tenants",
            "6:14 rules[0].models[0]",
            "7:5 rules[0].contnet",
            "8:9 rules[1].id",
            "9:13 rules[1].models",
            "10:12 rules[1].audit",
            "11:5 rules[2].id",
            "11:13 rules[2].models",
            "14:14 tools[0].tools.\"Bash x\"",
            "14:39 tools[0].tools.Read",
            "16:25 servers[0].url",
            "17:22 standing.max_age_seconds",
        ]
    );
}

#[test]
fn each_fault_says_what_would_be_right() {
    let rule = |inner: &str| {
        format!(
            "schema: tollgate.policy/v1\nname: n\nrules:\n  - id: a\n    models: ['*']\n{inner}"
        )
    };
    for (text, right) in [
        (rule("    contnet: full\n"), "did you mean content?"),
        (rule("    zzzzzz: full\n"), "there are id, who, unless, models"),
        (rule("    content: redactd\n"), "did you mean redacted?"),
        (rule("    content: everything\n"), "none, redacted, full"),
        (rule("    say: 12\n"), "write \"12\""),
        (rule("    say: true\n"), "write \"true\""),
        (rule("    labels: eu\n"), "write [eu]"),
        (rule("    who:\n"), "nothing at all"),
        (rule("    who: { regions: [NO], users: [] }\n"), "leave it out to mean everyone"),
        (rule("    effect: on\n"), "allow, deny"),
        (rule("break-glass: {}\n"), "did you mean break_glass?"),
        (rule("break_glass: { roles: [a], passes: [a] }\n"), "`keep: 7y`"),
        (rule("standing: { max_age: 10 }\n"), "90s, 10m or 1h"),
        (rule("standing: { max_age: 1m, max_age_seconds: 60 }\n"), "leave one out"),
        (rule("standing: { max_age: 1s }\n"), "10 at least"),
        (rule("rates: { as_of: 2026-11-21, source: x, web_search: { a: [] } }\n"), "such as 6.25"),
        ("[]".to_owned(), "members belong here"),
        ("hello".to_owned(), "members belong here"),
    ] {
        assert!(problem(&text).contains(right), "{text}: {}", problem(&text));
    }
    assert!(compile(&rule("    who: { regions: [NO] }\n")).is_ok(), "Norway");
}

#[test]
fn one_slip_is_one_fault() {
    for text in [
        SMALL.replace("id: everyone", "id: 5"),
        SMALL.replace("id: no-shell", "id: [no-shell]"),
        SMALL
            .replace("schema:", "scheme:")
            .replace("scheme: tollgate.policy/v1", "x: y\nschema: tollgate.policy/v1"),
        SMALL.replace("as_of: 2026-11-21", "as_of: 20261121"),
        SMALL.replace("{ groups: [research] }", "research"),
    ] {
        assert_eq!(faults(&text).len(), 1, "{text}: {}", problem(&text));
    }
}

#[test]
fn a_file_that_is_not_utf_8_is_told_with_its_line() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a.yaml");
    fs::write(&path, b"name: a\nid: \xff\n").unwrap();

    let error = file(&path).unwrap_err().to_string();

    assert!(error.ends_with("a.yaml:2:5: is not UTF-8 from here on"), "{error}");
}

const SHIPPED: [&str; 3] = [
    include_str!("../../../../policies/small-team.yaml"),
    include_str!("../../../../policies/regulated-bank.yaml"),
    include_str!("../../../../policies/agency.yaml"),
];

#[test]
fn what_is_signed_compiles_to_itself() {
    for text in SHIPPED {
        let payload = compile(text).unwrap().payload;
        let again = compile(std::str::from_utf8(&payload).unwrap()).unwrap();
        assert_eq!(again.payload, payload);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whoever breaks a policy while writing it is told where, and never sees us fall over.
    #[test]
    fn a_policy_with_a_hole_or_rubbish_in_it_has_faults_with_places_in_it(
        which in 0..3_usize,
        from in 0..5_000_usize,
        length in 0..40_usize,
        rubbish in "[-a-z0-9:{}\\[\\],&*!|>'\"#\\n \t%@`?~\u{e4}]{0,12}",
    ) {
        let signs: Vec<char> = SHIPPED[which].chars().collect();
        let from = from.min(signs.len());
        let to = from.saturating_add(length).min(signs.len());
        let text: String =
            signs[..from].iter().copied().chain(rubbish.chars()).chain(signs[to..].iter().copied()).collect();
        match compile(&text) {
            Ok(compiled) => proptest::prop_assert!(Policy::parse(&compiled.payload).is_ok()),
            Err(found) => {
                let lines = text.lines().count() + 1;
                proptest::prop_assert!(!found.is_empty());
                for one in found {
                    proptest::prop_assert!((1..=lines).contains(&one.at.line) && one.at.column > 0, "{one:?}");
                }
            }
        }
    }
}
