//! A verdict never depends on escapes, the order of members, or how a text is cut into blocks.

use super::samples::{Chance, sample};
use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::fmt::Write;
use std::sync::LazyLock;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const IDS: [&str; 5] =
    ["github_token", "anthropic_key", "openai_key", "slack_webhook", "private_key"];

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
    let mut wanted: Vec<Wanted> = IDS.iter().map(|id| Wanted::Shipped((*id).into())).collect();
    wanted.push(word("project onyx"));

    Scanner::new(&wanted).unwrap()
});
static MASKING: LazyLock<Scanner> = LazyLock::new(Scanner::masking);

fn scanner() -> &'static Scanner {
    &SCANNER
}

fn secret(wanted: usize, seed: u64) -> String {
    match IDS.get(wanted) {
        Some(id) => sample(catalogue().get(id).unwrap(), 0, &mut Chance(seed | 1)),
        None => "Project  Onyx".into(),
    }
}

/// A JSON string in which the characters are written as `ways` says.
fn written(text: &str, ways: &[u8]) -> String {
    let mut json = String::from('"');
    for (index, character) in text.chars().enumerate() {
        match (ways.get(index % ways.len().max(1)).unwrap_or(&0), character) {
            (1, _) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(json, "\\u{unit:04x}").unwrap();
                }
            }
            (2, _) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(json, "\\u{unit:04X}").unwrap();
                }
            }
            (3, '/') => json.push_str("\\/"),
            _ => {
                let plain = serde_json::to_string(&character).unwrap();
                json.push_str(plain.get(1..plain.len() - 1).unwrap());
            }
        }
    }
    json.push('"');

    json
}

fn places(scanner: &Scanner, body: &serde_json::Value) -> Vec<String> {
    scanner.scan(body.to_string().as_bytes()).list.into_iter().map(|hit| hit.place).collect()
}

fn wanted_of(hits: &Hits) -> Vec<(usize, String)> {
    let mut found: Vec<_> = hits.list.iter().map(|hit| (hit.wanted, hit.digest.clone())).collect();
    found.sort();
    found
}

#[test]
fn a_secret_is_found_wherever_it_stands_and_the_place_is_told() {
    let scanner = scanner();
    let key = secret(0, 5);
    for (body, place) in [
        (json!({"system": key}), "system"),
        (json!({"system": [{"type": "text", "text": key}]}), "system[0].text"),
        (json!({"messages": [{"content": "a"}, {"content": key}]}), "messages[1].content"),
        (
            json!({"messages": [{"content": [{"type": "tool_result", "content": [{"type": "text", "text": key}]}]}]}),
            "messages[0].content[0].content[0].text",
        ),
        (
            json!({"messages": [{"content": [{"type": "tool_use", "input": {"command": [1, key]}}]}]}),
            "messages[0].content[0].input.*[1]",
        ),
        (
            json!({"messages": [{"content": [{"input": {key.clone(): 1}}]}]}),
            "messages[0].content[0].input.*",
        ),
        (json!({"tools": [{"name": "a", "description": key}]}), "tools[0].description"),
        (json!({"metadata": {"user_id": key}}), "metadata.user_id"),
        (json!({ key.clone(): key }), "*"),
    ] {
        let found = places(scanner, &body);
        assert_eq!(found[0], place);
        assert!(found.iter().all(|place| !place.contains(&key)), "what is found is not told");
    }
}

#[test]
fn text_documents_in_base64_are_read_and_pictures_are_not() {
    use ::base64::{Engine, prelude::BASE64_STANDARD};
    let scanner = scanner();
    let data = BASE64_STANDARD.encode(format!("name,key\nme,{}\n", secret(0, 3)));
    let body = |media: &str| {
        json!({"messages": [{"content": [{"type": "document",
            "source": {"type": "base64", "media_type": media, "data": data}}]}]})
    };

    for media in ["text/plain", "text/csv", "application/json", "TEXT/Plain"] {
        assert_eq!(places(scanner, &body(media)), ["messages[0].content[0].source.data"]);
    }
    for media in ["image/png", "application/pdf"] {
        assert!(places(scanner, &body(media)).is_empty());
    }
    let escaped = data.replace('/', "\\/").replacen('b', "\\u0062", 1);
    let disguised = format!(
        r#"[{{"da\u0074a":"{escaped}","type":"b\u0061se64","med\u0069a_type":"text\/plain"}}]"#
    );
    assert_eq!(scanner.scan(disguised.as_bytes()).list.len(), 1);
}

#[test]
fn a_secret_in_json_in_json_is_found() {
    let scanner = scanner();
    for wanted in [0, 1, 2, 5] {
        let inner = json!({"file": format!("a\n{}\n\"b\"", secret(wanted, 9))}).to_string();
        let outer = json!({ "content": json!({ "inner": inner }).to_string() }).to_string();

        assert_eq!(wanted_of(&scanner.scan(outer.as_bytes())).len(), 1, "{wanted}");
    }
}

#[test]
fn blocks_that_are_no_neighbours_are_not_read_together() {
    let scanner = scanner();
    let key = secret(0, 11);
    let (one, two) = key.split_at(20);
    let text = |text: &str| json!({"type": "text", "text": text});
    let image = json!({"type": "image", "source": {"type": "url", "url": "x"}});

    let apart = json!({"content": [text(one), image, text(two)]});
    let turns = json!({"messages": [{"content": [text(one)]}, {"content": [text(two)]}]});
    assert!(places(scanner, &apart).is_empty());
    assert!(places(scanner, &turns).is_empty());

    let (middle, end) = two.split_at(5);
    let three = json!({"content": [text(one), text(middle), text(end)]});
    assert_eq!(places(scanner, &three), ["content[2].text"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(target_arch = "wasm32") { 64 } else { 512 }))]

    #[test]
    fn a_secret_is_found_for_any_escapes_and_any_position(
        wanted in 0_usize..6,
        seed in any::<u64>(),
        before in "(.|\n|[a-z\\\\\"/ ]){0,120}",
        after in "(.|\n|[a-z\\\\\"/ ]){0,120}",
        ways in proptest::collection::vec(0_u8..6, 1..40),
        always in any::<bool>(),
    ) {
        let scanner = scanner();
        let text = format!("{before} {} {after}", secret(wanted, seed));
        let ways = if always { vec![0] } else { ways };
        let body = format!("{{\"a\":[1,true],\"system\":{}}}", written(&text, &ways));

        let hits = scanner.scan(body.as_bytes());

        prop_assert!(hits.list.iter().any(|hit| hit.wanted == wanted && hit.place == "system"));
        prop_assert_eq!(wanted_of(&hits), wanted_of(&scanner.scan_text(&text)), "{}", body);
    }

    #[test]
    fn a_secret_is_found_however_it_is_split_over_two_blocks(
        wanted in 0_usize..6,
        seed in any::<u64>(),
        at in any::<prop::sample::Index>(),
        before in "[a-z \n\"]{0,400}",
        after in "[a-z \n\"]{0,400}",
        ways in proptest::collection::vec(0_u8..6, 1..8),
        turned in any::<bool>(),
    ) {
        let scanner = scanner();
        let secret = secret(wanted, seed);
        let (one, two) = secret.split_at(at.index(secret.len()));
        let block = |text: &str| {
            let text = written(text, &ways);
            if turned {
                format!(r#"{{"text":{text} , "cache_control":{{"type":"ephemeral"}},"type":"text"}}"#)
            } else {
                format!(r#"{{ "type":"text","text":{text}}}"#)
            }
        };
        let body = format!(
            r#"{{"messages":[{{"content":[{},{}]}}]}}"#,
            block(&format!("{before} {one}")),
            block(&format!("{two} {after}"))
        );

        let hits = scanner.scan(body.as_bytes());

        prop_assert!(hits.list.iter().any(|hit| hit.wanted == wanted), "{}", body);
    }

    #[test]
    fn the_order_of_members_does_not_matter(
        seed in any::<u64>(),
        order in Just([0_usize, 1, 2, 3]).prop_shuffle(),
        inner in Just([0_usize, 1, 2]).prop_shuffle(),
    ) {
        use ::base64::{Engine, prelude::BASE64_STANDARD};
        let scanner = scanner();
        let data = BASE64_STANDARD.encode(secret(1, seed));
        let source = [
            r#""type":"base64""#.to_owned(),
            r#""media_type":"text/plain""#.to_owned(),
            format!(r#""data":"{data}""#),
        ];
        let source = inner.map(|index| &*source[index]).join(",");
        let members = [
            r#""model":"m""#.to_owned(),
            format!(r#""system":"{}""#, secret(0, seed)),
            format!(r#""messages":[{{"content":[{{"source":{{{source}}}}}]}}]"#),
            r#""metadata":{"user_id":"project onyx"}"#.to_owned(),
        ];
        let body = format!("{{{}}}", order.map(|index| &*members[index]).join(","));

        let hits = scanner.scan(body.as_bytes());

        let found: Vec<usize> = wanted_of(&hits).into_iter().map(|(wanted, _)| wanted).collect();
        prop_assert_eq!(found, [0, 1, 5]);
    }

    #[test]
    fn no_bytes_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        json in r#"([\[\]{}:,"\\u0-9]|sk-ant-|ghp_|project|base64|text|data| ){0,200}"#,
    ) {
        let scanner = scanner();
        let _hits = scanner.scan(&bytes);
        let _hits = scanner.scan(json.as_bytes());
        let text = String::from_utf8_lossy(&bytes);
        let _hits = scanner.scan_text(&text);
        let _masked = MASKING.mask(&json);
    }

    #[test]
    fn no_secret_is_left_by_the_mask(
        wanted in 0_usize..5,
        seed in any::<u64>(),
        before in "(.|\n){0,100}",
        after in "(.|\n){0,100}",
    ) {
        let secret = secret(wanted, seed);
        let masked = MASKING.mask(&format!("{before}{secret} {after}")).into_owned();

        let tail = secret.get(secret.len() - 16..).unwrap();
        prop_assert!(!masked.contains(&secret) && !masked.contains(tail), "{}", masked);
    }
}
