//! How well the catalogue finds: samples and near misses of every pattern.

use super::samples::{Chance, near_miss, sample};
use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Samples, and near misses, of each pattern.
const EACH: usize = 20;

fn all() -> Scanner {
    shipped(&catalogue().precise().map(|pattern| &*pattern.id).collect::<Vec<_>>())
}

fn around(secret: &str, number: usize) -> String {
    match number % 6 {
        0 => format!("the key is {secret} and so on"),
        1 => format!("KEY=\"{secret}\"\n"),
        2 => format!("curl -H 'x-api-key: {secret}' https://example.com/"),
        3 => secret.into(),
        4 => format!("https://example.com/?token={secret}&x=1"),
        _ => serde_json::json!({ "file": format!("a\n{secret}\n") }).to_string(),
    }
}

#[test]
fn of_every_pattern_the_samples_are_found_and_the_near_misses_are_not() {
    let scanner = all();
    let mut chance = Chance(0x746f_6c6c_6761_7465);
    let (mut missed, mut wrong, mut tried) = (Vec::new(), Vec::new(), 0);
    for (wanted, pattern) in catalogue().precise().enumerate() {
        for number in 0..EACH.max(pattern.form.len()) {
            tried += 1;
            let secret = sample(pattern, number, &mut chance);
            let text = around(&secret, number);
            let body = serde_json::json!({ "messages": [{ "content": text }] }).to_string();
            let found = |hits: &Hits| hits.list.iter().any(|hit| hit.wanted == wanted);
            if !found(&scanner.scan_text(&text)) || !found(&scanner.scan(body.as_bytes())) {
                missed.push((&pattern.id, number));
            }
            let near = around(&near_miss(pattern, number, &mut chance), number);
            if found(&scanner.scan_text(&near)) {
                wrong.push((&pattern.id, number % 5));
            }
        }
    }

    // 99 of 100 must be found.
    assert!(missed.len() * 100 <= tried, "missed {} of {tried}: {missed:?}", missed.len());
    assert!(wrong.is_empty(), "{} near misses found: {wrong:?}", wrong.len());
}

#[test]
fn of_every_pattern_the_samples_are_masked_whole() {
    let scanner = Scanner::masking();
    let mut chance = Chance(0x6d61_736b);
    let mut left = Vec::new();
    for pattern in &catalogue().patterns {
        for number in 0..EACH {
            let secret = sample(pattern, number, &mut chance);
            let masked = scanner.mask(&format!("before {secret} after")).into_owned();
            let tail = secret.get(secret.len() - secret.len().min(12)..).unwrap();
            let around = masked.starts_with("before ") && masked.ends_with(" after");
            if !around || !masked.contains('[') || masked.contains(tail) {
                left.push((&pattern.id, number));
            }
        }
    }
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_overlaps_is_masked_once_and_named_by_the_more_precise() {
    let mut chance = Chance(7);
    let key = sample(catalogue().get("anthropic_key").unwrap(), 0, &mut chance);

    let masked = Scanner::masking().mask(&format!("api_key = {key};")).into_owned();

    assert_eq!(masked, "[anthropic_key];");
}
