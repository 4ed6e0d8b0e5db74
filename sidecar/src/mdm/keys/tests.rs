use super::*;
use std::collections::BTreeSet;

fn tables() -> [(&'static Table, usize); 2] {
    [(of(Product::Desktop).unwrap(), 100), (of(Product::Code).unwrap(), 30)]
}

#[test]
fn every_key_is_there_once_with_what_it_takes_and_the_missions_five_come_first() {
    for (table, least) in tables() {
        let names: BTreeSet<&str> = table.keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names.len(), table.keys.len(), "a key twice");
        assert!(names.len() >= least, "{} keys", names.len());
        assert!(table.as_of.starts_with("20") && !table.source.is_empty());
        for key in &table.keys {
            let name = &key.name;
            assert!(!key.title.is_empty() && key.about.ends_with('.'), "{name}");
            assert_eq!(
                key.values.is_empty(),
                key.kind != Kind::Enum
                    && key.table != Some(Kind::Enum)
                    && name != "otlpContentCapture",
                "{name}"
            );
            if key.kind == Kind::Object {
                assert_eq!(key.table.is_none(), !key.members.is_empty(), "{name}");
            }
        }
    }
    let five = [
        "inferenceProvider",
        "inferenceGatewayBaseUrl",
        "inferenceCredentialHelper",
        "inferenceCredentialHelperTtlSec",
        "inferenceGatewayAuthScheme",
    ];
    let first: Vec<&str> = of(Product::Desktop)
        .unwrap()
        .keys
        .iter()
        .take_while(|key| key.mission)
        .map(|key| key.name.as_str())
        .collect();
    assert_eq!(first, five);
}

#[test]
fn what_is_a_default_or_is_spoken_of_by_a_rule_is_itself_of_the_table() {
    for (table, _) in tables() {
        for key in &table.keys {
            let Some(default) = &key.default else { continue };
            let fits = match key.kind {
                Kind::Bool => default.is_boolean(),
                Kind::Integer => {
                    let number = default.as_i64().unwrap();
                    key.range.is_none_or(|(least, most)| (least..=most).contains(&number))
                }
                Kind::Enum => key.values.iter().any(|value| default == value),
                _ => default.is_string(),
            };
            assert!(fits, "{}: {default}", key.name);
        }
        for rule in &table.rules {
            let said = rule.requires.iter().chain(&rule.requires_one).chain(&rule.excludes);
            for name in said.chain(rule.when.keys()) {
                let top = name.split('.').next().unwrap();
                let key = table.key(top).unwrap_or_else(|| panic!("no key {name}"));
                assert!(top == name || key.kind == Kind::Object, "{name}");
            }
        }
    }
}

#[test]
fn a_name_that_ends_as_credentials_do_is_one() {
    for name in [
        "inferenceGatewayApiKey",
        "ANTHROPIC_AUTH_TOKEN",
        "clientSecret",
        "x-api-key",
        "Authorization",
        "AWS_BEARER_TOKEN_BEDROCK",
        "CLAUDE_CODE_CLIENT_KEY_PASSPHRASE",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "ANTHROPIC_CUSTOM_HEADERS",
    ] {
        assert!(is_secret(name), "{name}");
    }
    for name in ["tokenUrl", "inferenceMaxTokensPerWindow", "apiKeyHelper", "manifestSha256", "env"]
    {
        assert!(!is_secret(name), "{name}");
    }
    let table = of(Product::Desktop).unwrap();
    for key in table.keys.iter().filter(|key| is_secret(&key.name)) {
        assert!(key.secret, "{}", key.name);
    }
}
