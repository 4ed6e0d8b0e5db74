use super::table::{Framing, Without};
use super::*;
use contract::model::normalise;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Parameters that are enough for any row.
fn lane(row: &table::Row) -> Terms {
    let needed = row.params.iter().filter(|(_, default)| default.is_none());

    Terms {
        params: needed.map(|(name, _)| ((*name).to_owned(), "europe-west1".to_owned())).collect(),
        ..Terms::default()
    }
}

fn providers() -> impl Iterator<Item = Provider> {
    TABLE.providers.iter().map(|row| Provider { row, pairs: TABLE.pairs })
}

/// A row as the file has it.
fn written(row: &table::Row) -> Value {
    let map = |map: &[(&str, &str)]| -> Value {
        map.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    };
    let params = row.params.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    let snake = |variant: &dyn std::fmt::Debug| {
        let text = format!("{variant:?}").replace("AwsEventstream", "aws_eventstream");
        text.to_ascii_lowercase()
    };

    json!({
        "id": row.id, "name": row.name, "source": row.source, "host": row.host,
        "credential": row.credential, "params": params.collect::<Value>(),
        "paths": {"messages": row.paths.messages, "stream": row.paths.stream,
            "count_tokens": row.paths.count_tokens},
        "body": {"model": snake(&row.body.model), "remove": row.body.remove,
            "anthropic_version": row.body.anthropic_version},
        "count": snake(&row.count),
        "betas": {"place": snake(&row.betas.place), "unknown": snake(&row.betas.unknown),
            "accepted": row.betas.accepted, "aliases": map(row.betas.aliases),
            "rejected": row.betas.rejected},
        "headers": {"set": map(row.headers.set), "remove": row.headers.remove},
        "models": map(row.models), "others": row.others, "largest_mb": row.largest_mb,
        "framing": snake(&row.framing), "errors": snake(&row.errors),
        "request_id": row.request_id, "withheld": row.withheld,
        "withheld_prefix": row.withheld_prefix,
    })
}

#[test]
fn the_table_in_the_module_is_the_file() {
    let file: Value =
        serde_json::from_str(include_str!("../../../../../contract/data/messages.json")).unwrap();
    let pairs = TABLE.pairs.iter().map(|pair| {
        let without = if pair.without == Without::Remove { "remove" } else { "refuse" };
        json!({"member": pair.member, "betas": pair.betas, "without": without})
    });
    let table = json!({
        "as_of": TABLE.as_of, "source": TABLE.source, "pairs": pairs.collect::<Value>(),
        "providers": TABLE.providers.iter().map(written).collect::<Value>(),
    });

    assert_eq!(table, file);
}

#[test]
fn the_shipped_table_says_one_thing_of_each_beta_and_header() {
    let mut ids = BTreeSet::new();
    for provider in providers() {
        let row = provider.row;
        assert!(ids.insert(row.id));
        let accepted: BTreeSet<_> = row.betas.accepted.iter().collect();
        let rejected: BTreeSet<_> = row.betas.rejected.iter().collect();
        assert_eq!(accepted.len(), row.betas.accepted.len(), "{}: twice", row.id);
        assert_eq!(rejected.len(), row.betas.rejected.len(), "{}: twice", row.id);
        assert!(accepted.is_disjoint(&rejected), "{}", row.id);
        for (from, to) in row.betas.aliases {
            assert!(!accepted.contains(from) && !rejected.contains(from), "{}: {from}", row.id);
            assert!(
                row.betas.unknown == Unknown::Pass || accepted.contains(to),
                "{}: {to}",
                row.id
            );
        }
        let names = row.withheld.iter().chain(row.withheld_prefix).chain(row.headers.remove);
        assert!(names.clone().all(|name| *name == name.to_ascii_lowercase()), "{}", row.id);
        assert!(!row.withheld.contains(&row.request_id), "{}", row.id);
        assert_eq!(Provider::shipped(row.id), Some(provider));
    }
    assert_eq!(Provider::shipped("none"), None);
}

#[test]
fn every_provider_s_name_for_a_model_is_a_name_of_that_model() {
    for provider in providers() {
        let lane = lane(provider.row);
        assert_eq!(provider.faults(&lane), Vec::<String>::new());
        for (name, _) in provider.row.models {
            assert_eq!(normalise(name).unwrap(), *name, "{}", provider.row.id);
            let theirs = names::model(&provider, &lane, name).unwrap();
            assert_eq!(normalise(&theirs).unwrap(), *name, "{}", provider.row.id);
        }
    }
}

#[test]
fn every_row_makes_a_path_for_every_call() {
    for provider in providers() {
        let lane = lane(provider.row);
        let model = provider.row.models.first().map_or("claude-opus-5", |(name, _)| name);
        for (what, stream) in
            [(What::Messages, false), (What::Messages, true), (What::CountTokens, false)]
        {
            let body = format!(r#"{{"model":"{model}","stream":{stream}}}"#);
            let ask = Ask { what, betas: "", body: body.as_bytes() };
            let out = request(&ask, &provider, &lane).unwrap();
            assert!(out.path.starts_with('/') && !out.path.contains(['{', ' ']), "{}", out.path);
            assert_eq!(out.stream, stream);
        }
    }
}

#[test]
fn anthropic_s_betas_are_an_open_list() {
    for id in ["anthropic", "claude-platform-aws"] {
        let row = Provider::shipped(id).unwrap().row;
        assert_eq!((row.betas.place, row.betas.unknown), (Place::Header, Unknown::Pass));
        assert_eq!(row.errors, Errors::Anthropic);
        assert!(row.betas.rejected.is_empty() && row.betas.aliases.is_empty());
    }
}

#[test]
fn headers_that_tell_of_the_account_are_withheld() {
    for (id, name) in [
        ("bedrock", "x-amzn-requestid"),
        ("bedrock-mantle", "x-amzn-remapped-date"),
        ("claude-platform-aws", "x-amzn-requestid"),
        ("foundry", "apim-request-id"),
        ("foundry", "x-ms-region"),
        ("vertex", "x-vertex-ai-internal-prediction-backend"),
    ] {
        let provider = Provider::shipped(id).unwrap();
        assert!(provider.withheld(name), "{id}: {name}");
        assert!(!provider.withheld("content-type") && !provider.withheld("retry-after"));
    }
}

#[test]
fn a_lane_s_faults_are_named() {
    let provider = Provider::shipped("vertex").unwrap();
    let text = |text: &str| text.to_owned();
    let lane = Terms {
        models: [(text("us.anthropic.claude-x"), text("a")), (text("b"), text(""))].into(),
        params: [(text("region"), text("a b")), (text("resource"), text("c"))].into(),
    };

    let faults = provider.faults(&lane).join("\n");

    for part in [
        "needs the parameter project",
        "no parameter resource",
        "region has odd",
        "us.anthropic",
        "name for b",
    ] {
        assert!(faults.contains(part), "{part} is not in {faults}");
    }
}

#[test]
fn a_body_is_refused_that_the_provider_would_not_take() {
    for (id, megabytes) in [("bedrock", 20), ("vertex", 30), ("anthropic", 32)] {
        let provider = Provider::shipped(id).unwrap();
        let filler = "x".repeat(megabytes << 20);
        let body = format!(r#"{{"model":"claude-haiku-4-5","system":"{filler}"}}"#);
        let ask = Ask { what: What::Messages, betas: "", body: body.as_bytes() };

        let refused = request(&ask, &provider, &lane(provider.row)).unwrap_err();

        assert_eq!(refused.status, 413, "{id}");
        assert!(refused.message.contains(&format!("{megabytes} MB")), "{}", refused.message);
        let (half, _) = filler.split_at(filler.len() / 2);
        let body = format!(r#"{{"model":"claude-haiku-4-5","system":"{half}"}}"#);
        let ask = Ask { what: What::Messages, betas: "", body: body.as_bytes() };
        assert!(request(&ask, &provider, &lane(provider.row)).is_ok(), "{id}");
    }
}

/// The document's table, row by row.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn the_document_says_what_the_table_says() {
    let document = include_str!("../../../../../docs/providers-messages.md");
    let table = &TABLE;
    assert!(document.contains(table.as_of), "the day");
    for row in table.providers {
        let betas = match (row.betas.place, row.betas.unknown) {
            (Place::Header, Unknown::Pass) if row.betas.rejected.is_empty() => {
                "as they came".into()
            }
            (Place::Header, Unknown::Pass) => {
                format!("header, all but {}", row.betas.rejected.len())
            }
            (Place::Header, Unknown::Drop) => format!("header, {} known", row.betas.accepted.len()),
            (Place::Body, _) => format!("body, {} known", row.betas.accepted.len()),
            (Place::Dropped, _) => "left out".to_owned(),
        };
        let models = match (row.others, row.models.len()) {
            (Some(_), _) => "any".to_owned(),
            (None, count) => count.to_string(),
        };
        let line = format!(
            "| `{}` | {} | `{}` | {} | {} | {} | {} | {} MB | {} |",
            row.id,
            row.name,
            row.host,
            row.credential,
            row.params.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            betas,
            models,
            row.largest_mb,
            if row.framing == Framing::Sse { "SSE" } else { "event stream" },
        );
        assert!(document.contains(&line), "docs/providers-messages.md lacks\n{line}");
    }
    for pair in table.pairs {
        let without = if pair.without == Without::Remove { "left out" } else { "refused" };
        let betas =
            pair.betas.iter().map(|beta| format!("`{beta}`")).collect::<Vec<_>>().join(", ");
        let line = format!("| `{}` | {betas} | {without} |", pair.member);
        assert!(document.contains(&line), "docs/providers-messages.md lacks\n{line}");
    }
}

proptest! {
    #[test]
    fn what_a_client_wrote_reaches_every_provider_byte_by_byte(
        system in "\\PC{0,60}",
        number in "-?[1-9][0-9]{0,40}(\\.[0-9]{1,5})?([eE][+-][0-9]{1,3})?",
        before in "[ \n\t]{0,3}",
        which in any::<prop::sample::Index>(),
    ) {
        let all: Vec<_> = providers().collect();
        let provider = which.get(&all);
        let model = provider.row.models.first().map_or("claude-opus-5", |(name, _)| name);
        let system = serde_json::to_string(&system).unwrap();
        let rest = format!(r#""system"{before}:{before}{system},"x":{{"model":{number}}},"t\u0065mp":{number}"#);
        let body = format!(r#"{{"model":"{model}",{rest}}}"#);
        let ask = Ask { what: What::Messages, betas: "", body: body.as_bytes() };

        let out = request(&ask, provider, &lane(provider.row)).unwrap();

        let sent = String::from_utf8(out.body.unwrap_or_else(|| body.clone().into_bytes())).unwrap();
        prop_assert!(sent.ends_with(&format!(",{rest}}}")), "{}", sent);
    }
}
