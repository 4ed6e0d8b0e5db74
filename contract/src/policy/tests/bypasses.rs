//! Ways round a rule that are none.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn policy(members: &str) -> Policy {
    let text = format!(
        r#"{{"schema":"{SCHEMA}","name":"n","rules":[{{"id":"a","models":["*"]}}],{members}}}"#
    );
    Policy::parse(text.as_bytes()).unwrap()
}

fn denied(policy: &Policy, subject: &Subject<'_>, declared: &Declared) -> Option<Why> {
    let asked = Asked { model: "m", beside: &[], declared };
    policy.judge(subject, asked).err().map(|denial| denial.why)
}

fn server(url: &str, off: &[&str]) -> Declared {
    let named = off.iter().map(|tool| ((*tool).to_owned(), false)).collect();
    let tools = Selection { others: true, named };
    let server = Server { name: "x".into(), url: url.into(), tools, place: Place::Server(0) };
    Declared { servers: vec![server], ..Declared::default() }
}

#[test]
fn a_blocked_tool_that_is_switched_off_in_another_spelling_is_still_on() {
    let policy = policy(
        r#""servers":[{"id":"h","url":"https://h.example/mcp"}],
           "tools":[{"id":"t","tools":{"mcp__h__delete":"blocked"}}]"#,
    );
    let off = |tools: &[&str]| {
        denied(&policy, &Subject::default(), &server("https://h.example/mcp", tools))
    };

    assert_eq!(off(&["delete"]), None);
    assert_eq!(off(&["DELETE"]), Some(Why::Tool));
    assert_eq!(off(&[]), Some(Why::Tool));
}

#[test]
fn a_server_that_several_rules_mean_is_judged_by_each_of_their_names() {
    for order in [["all", "prod"], ["prod", "all"]] {
        let rule = |id: &str| {
            let path = if id == "all" { "*" } else { "prod" };
            format!(r#"{{"id":"{id}","url":"https://h.example/{path}"}}"#)
        };
        let servers = order.map(rule).join(",");
        let policy = policy(&format!(
            r#""servers":[{servers}],"tools":[{{"id":"t","tools":{{"mcp__prod__*":"blocked"}}}}]"#
        ));

        for url in ["https://h.example/prod", "https://h.example/prod?x=1"] {
            let verdict = denied(&policy, &Subject::default(), &server(url, &[]));
            assert_eq!(verdict, Some(Why::Tool), "{order:?} {url}");
        }
        let other = server("https://h.example/test", &[]);
        assert_eq!(denied(&policy, &Subject::default(), &other), None);
    }
}

#[test]
fn a_tool_without_a_name_is_one_of_all_tools() {
    let policy = policy(r#""tools":[{"id":"t","tools":{"*":"blocked","Read":"allow"}}]"#);
    let tool = Tool { name: String::new(), kind: None, place: Place::Tool(0) };
    let declared = Declared { tools: vec![tool], ..Declared::default() };

    assert_eq!(denied(&policy, &Subject::default(), &declared), Some(Why::Tool));
}

#[test]
fn who_is_named_by_sub_is_met_whatever_its_case() {
    let policy =
        policy(r#""tools":[{"id":"t","who":{"users":["00uAbC"]},"tools":{"*":"blocked"}}]"#);
    let tool = Tool { name: "Read".into(), kind: None, place: Place::Tool(0) };
    let declared = Declared { tools: vec![tool], ..Declared::default() };
    let subject = Subject { user: "00uAbC", ..Subject::default() };

    assert_eq!(denied(&policy, &subject, &declared), Some(Why::Tool));
}

#[test]
fn a_rule_that_could_meet_no_compared_name_is_a_fault() {
    for pattern in ["*[1m]", "claude-*-20250929", "*-v1:0", "*@latest"] {
        let text = format!(
            r#"{{"schema":"{SCHEMA}","name":"n","rules":[{{"id":"a","models":["{pattern}"]}}]}}"#
        );
        let faults = Policy::parse(text.as_bytes()).unwrap_err();
        assert_eq!(faults[0].place, "rules[0].models[0]", "{pattern}");
    }
}

#[test]
fn the_find_that_denies_is_told_though_many_others_were_found_before() {
    let words: Vec<String> = (0..30).map(|n| format!(r#""flagged{n}""#)).collect();
    let policy = policy(&format!(
        r#""blocklists":[{{"id":"f","words":[{}],"action":"flag"}},
           {{"id":"d","words":["forbidden"],"action":"deny"}}]"#,
        words.join(",")
    ));
    let text: Vec<String> = (0..30).map(|n| format!("flagged{n}")).collect();

    let scanned = policy.scan_text(&Subject::default(), &format!("{} forbidden", text.join(" ")));

    assert!(scanned.cut);
    assert!(scanned.denial.is_some_and(|denial| denial.rule_id == Some("d")));
    assert!(scanned.found.iter().any(|found| found.rule_id == "d"));
}

#[test]
fn who_passes_a_rule_keeps_its_labels_and_only_rules_that_deny_can_be_passed() {
    let policy = policy(
        r#""tools":[{"id":"t","tools":{"Bash":"blocked"},"labels":["inside"]}],
           "break_glass":{"roles":["r"],"passes":["t"],"keep_days":1}"#,
    );
    let roles = ["r".to_owned()];
    let subject = Subject { roles: &roles, ..Subject::default() };
    let tool = Tool { name: "Bash".into(), kind: None, place: Place::Tool(0) };
    let declared = Declared { tools: vec![tool], ..Declared::default() };

    let grant = policy.judge(&subject, Asked { model: "m", beside: &[], declared: &declared });

    assert!(grant.is_ok_and(|grant| grant.labels.contains("inside")));
    let open = format!(
        r#"{{"schema":"{SCHEMA}","name":"n","rules":[{{"id":"a","models":["*"]}}],
            "break_glass":{{"roles":["r"],"passes":["a"],"keep_days":1}}}}"#
    );
    assert_eq!(Policy::parse(open.as_bytes()).unwrap_err()[0].place, "break_glass.passes[0]");
}
