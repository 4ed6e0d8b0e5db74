use super::*;
use crate::policy::compile::compile;

const BEFORE: &str = "
schema: tollgate.policy/v1
name: n
rules:
  - { id: everyone, who: { groups: [a] }, models: [m-1] }
  - { id: gone, models: [m-2] }
  - { id: no, models: [m-3], effect: deny, unless: { groups: [x] } }
tools:
  - { id: shell, tools: { Bash: ask, 'mcp__*': ask } }
secrets:
  - { id: keys, patterns: [anthropic_key], action: flag }
standing: { max_age: 10m }
";

fn changes(edit: impl Fn(&str) -> String) -> Vec<String> {
    let (from, to) = (compile(BEFORE).unwrap(), compile(&edit(BEFORE)).unwrap());
    diff(&from.document, &to.document).iter().map(ToString::to_string).collect()
}

fn one(from: &str, to: &str) -> String {
    assert!(BEFORE.contains(from), "{from}");
    let changes = changes(|text| text.replace(from, to));
    assert_eq!(changes.len(), 1, "{changes:?}");
    changes.concat()
}

#[test]
fn what_says_the_same_differs_in_nothing() {
    assert!(changes(|text| format!("# a comment\n{text}")).is_empty());
}

#[test]
fn each_change_says_which_way_it_goes_where_that_is_certain() {
    for (from, to, told) in [
        (
            "[m-1]",
            "[m-1, m-4]",
            "~ rules everyone.models [\"m-1\"] -> [\"m-1\",\"m-4\"]  (loosens)",
        ),
        ("[m-1]", "[m-4]", "~ rules everyone.models [\"m-1\"] -> [\"m-4\"]  (depends)"),
        (
            "groups: [a]",
            "groups: [a, b]",
            "~ rules everyone.who.groups [\"a\"] -> [\"a\",\"b\"]  (loosens)",
        ),
        (
            "who: { groups: [a] }, ",
            "",
            "~ rules everyone.who.groups [\"a\"] -> (nothing)  (loosens)",
        ),
        (
            "{ groups: [a] }",
            "{ groups: [a], tenants: [t] }",
            "~ rules everyone.who.tenants (nothing) -> [\"t\"]  (tightens)",
        ),
        (
            "  - { id: gone, models: [m-2] }\n",
            "",
            "- rules gone {\"id\":\"gone\",\"models\":[\"m-2\"]}  (tightens)",
        ),
        (
            "[m-2] }",
            "[m-2], audit: before }",
            "~ rules gone.audit (nothing) -> \"before\"  (tightens)",
        ),
        ("[m-2] }", "[m-2], labels: [l] }", "~ rules gone.labels (nothing) -> [\"l\"]"),
        ("[m-3]", "[m-3, m-5]", "~ rules no.models [\"m-3\"] -> [\"m-3\",\"m-5\"]  (tightens)"),
        (
            "groups: [x]",
            "groups: [x, y]",
            "~ rules no.unless.groups [\"x\"] -> [\"x\",\"y\"]  (loosens)",
        ),
        (
            "Bash: ask",
            "Bash: blocked",
            "~ tools shell.tools.Bash \"ask\" -> \"blocked\"  (tightens)",
        ),
        (
            "Bash: ask",
            "Bash: ask, Read: allow",
            "~ tools shell.tools.Read (nothing) -> \"allow\"  (loosens)",
        ),
        ("action: flag", "action: deny", "~ secrets keys.action \"flag\" -> \"deny\"  (tightens)"),
        ("10m", "1h", "~ standing.max_age_seconds 600 -> 3600  (loosens)"),
        ("name: n\n", "name: o\n", "~ name \"n\" -> \"o\""),
    ] {
        assert_eq!(one(from, to), told);
    }
}

#[test]
fn what_is_new_is_told_whole() {
    let told = changes(|text| {
        format!(
            "{text}servers:\n  - {{ id: s, url: 'https://s.example/' }}\nbreak_glass: {{ roles: [r], passes: [no], keep: 1y }}\n"
        )
    });

    assert_eq!(
        told,
        [
            "+ break_glass {\"keep_days\":365,\"passes\":[\"no\"],\"roles\":[\"r\"]}  (loosens)",
            "+ servers s {\"id\":\"s\",\"url\":\"https://s.example/\"}  (loosens)",
        ]
    );
}
