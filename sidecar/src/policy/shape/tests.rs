use super::*;
use contract::policy::{
    Approvals, Blocklist, BreakGlass, Condition, CustomPattern, Document, Gateway, Offered,
    ResidencyRule, Rule, SecretRule, ServerRule, SignInRule, StandingTerms, ToolRule, Who, Word,
};
use contract::price::{Sheet, SheetLine};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// What serde expects, in its own words.
pub(crate) fn expected<T: DeserializeOwned>(wrong: &str) -> BTreeSet<String> {
    let error = serde_json::from_str::<T>(wrong).err().unwrap().to_string();
    let (_, list) = error.split_once("expected").unwrap();
    list.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

/// These members are those of the type, and what must stand there is what the type cannot do without.
pub(crate) fn same<T: DeserializeOwned>(members: &[Member]) {
    let ours: BTreeSet<String> = members
        .iter()
        .filter(|member| member.becomes.is_none())
        .map(|member| member.name.to_owned())
        .collect();
    assert_eq!(ours, expected::<T>(r#"{"of no version":0}"#));
    // What must stand there is what serde misses first, one after the other.
    let mut value = serde_json::Map::new();
    while let Err(error) = serde_json::from_value::<T>(value.clone().into()) {
        let text = error.to_string();
        let Some(missing) = text.strip_prefix("missing field `") else { break };
        let missing = missing.split('`').next().unwrap().to_owned();
        let member = members.iter().find(|member| member.name == missing).unwrap();
        assert!(member.required, "{missing} must stand there");
        value.insert(missing, sample(member.shape));
    }
    let needed: BTreeSet<&str> = members.iter().filter(|m| m.required).map(|m| m.name).collect();
    assert_eq!(needed, value.keys().map(String::as_str).collect(), "{value:?}");
}

fn sample(shape: Shape) -> serde_json::Value {
    match shape {
        Shape::Text | Shape::Decimal | Shape::TextOr(_) => "x".into(),
        Shape::Whole | Shape::Time(_) => 60.into(),
        Shape::Truth => true.into(),
        Shape::Data => serde_json::Value::Null,
        Shape::Word(words) => words[0].into(),
        Shape::List(of) => serde_json::json!([sample(*of)]),
        Shape::Any(_) => serde_json::json!([]),
        Shape::Table(_) => serde_json::json!({}),
        Shape::Struct(members) => members
            .iter()
            .filter(|member| member.required)
            .map(|member| (member.name.to_owned(), sample(member.shape)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

#[test]
fn the_shapes_are_those_of_the_document() {
    same::<Document>(POLICY);
    same::<Who>(WHO);
    same::<Rule>(RULE);
    same::<ToolRule>(TOOL_RULE);
    same::<Condition>(CONDITION);
    same::<ServerRule>(SERVER_RULE);
    same::<Gateway>(GATEWAY);
    same::<Approvals>(APPROVALS);
    same::<SignInRule>(SIGN_IN_RULE);
    same::<ResidencyRule>(RESIDENCY_RULE);
    same::<SecretRule>(SECRET_RULE);
    same::<Blocklist>(BLOCKLIST);
    same::<CustomPattern>(PATTERN);
    same::<Offered>(OFFERED);
    same::<BreakGlass>(BREAK_GLASS);
    same::<StandingTerms>(STANDING);
    same::<Sheet>(SHEET);
    same::<SheetLine>(SHEET_LINE);
}

#[test]
fn the_words_are_those_of_the_document() {
    fn words<T: DeserializeOwned>(ours: &[&str]) {
        let ours: BTreeSet<String> = ours.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(ours, expected::<T>("\"of no version\""));
    }

    words::<contract::audit::CallSource>(SOURCES);
    words::<contract::policy::Tier>(TIERS);
    words::<contract::policy::Effect>(EFFECTS);
    words::<contract::audit::ContentMode>(CONTENT);
    words::<contract::policy::Audit>(AUDIT);
    words::<Word>(WORDS);
    words::<contract::policy::Also>(ALSO);
    words::<contract::policy::Action>(ACTIONS);
    words::<contract::policy::Severity>(SEVERITIES);
}

/// Who reads about the language reads of all of it.
#[test]
fn every_member_stands_in_the_documentation() {
    let text = include_str!("../../../../docs/policy.md");
    for members in [
        POLICY,
        WHO,
        RULE,
        TOOL_RULE,
        CONDITION,
        SERVER_RULE,
        GATEWAY,
        APPROVALS,
        SIGN_IN_RULE,
        RESIDENCY_RULE,
        SECRET_RULE,
        BLOCKLIST,
        PATTERN,
        OFFERED,
        BREAK_GLASS,
        STANDING,
        SHEET,
        SHEET_LINE,
        CASES,
        CASE,
        SOMEBODY,
        ASKS,
        CALLED,
        TOOL,
        SERVER,
        SKILL,
        EXPECTS,
    ] {
        for member in members {
            let name = member.name;
            assert!(text.contains(&format!("`{name}`")), "docs/policy.md lacks `{name}`");
        }
    }
    for word in WHYS {
        assert!(text.contains(&format!("`{word}`")), "docs/policy.md lacks `{word}`");
    }
}
