//! What must be found, what must not, and that nothing of it depends on how a body is written.

mod bodies;
mod quality;
mod samples;

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn shipped(ids: &[&str]) -> Scanner {
    let wanted: Vec<Wanted> = ids.iter().map(|id| Wanted::Shipped((*id).into())).collect();

    Scanner::new(&wanted).unwrap()
}

fn word(text: &str) -> Wanted {
    Wanted::Word { text: text.into(), case: false, part: false }
}

fn fault(wanted: Wanted) -> FaultKind {
    Scanner::new(&[word("fine"), wanted]).unwrap_err().swap_remove(0).kind
}

#[test]
fn the_catalogue_is_whole_and_its_ids_are_names() {
    let catalogue = catalogue();

    assert!(catalogue.precise().count() >= 60);
    assert!(catalogue.as_of.len() == 10 && !catalogue.source.is_empty());
    for (index, pattern) in catalogue.patterns.iter().enumerate() {
        assert!(pattern.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", pattern.id);
        assert!(catalogue.patterns.iter().skip(index + 1).all(|other| other.id != pattern.id));
        assert!(pattern.anchors.iter().all(|anchor| anchor.len() >= 3), "{}", pattern.id);
        assert!(!pattern.form.is_empty() && !pattern.provider.is_empty());
    }
    let masking = Scanner::masking();
    assert_eq!(masking.wanted, catalogue.patterns.len(), "each can be masked");
}

#[test]
fn the_document_lists_what_the_catalogue_has() {
    let document = include_str!("../../../docs/scan.md");

    for pattern in &catalogue().patterns {
        let purpose = if pattern.purpose == Use::Mask { "mask" } else { "deny, flag, mask" };
        let severity = format!("{:?}", pattern.severity).to_lowercase();
        let row = format!("| `{}` | {} | {severity} | {purpose} |", pattern.id, pattern.provider);
        assert!(document.contains(&row), "docs/scan.md lacks: {row}");
    }
    let rows = document.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, catalogue().patterns.len());
}

#[test]
fn what_cannot_be_looked_for_is_said_with_its_place() {
    let custom = |anchors: &[&str], regex: &str| Wanted::Custom {
        id: "own".into(),
        anchors: anchors.iter().map(|anchor| (*anchor).into()).collect(),
        regex: regex.into(),
    };

    for (wanted, why) in [
        (Wanted::Shipped("nobody".into()), "no shipped pattern"),
        (Wanted::Shipped("assigned_secret".into()), "for masking only"),
        (custom(&[], "a"), "anchors"),
        (custom(&["ab"], "ab[0-9]"), "3 bytes in a row"),
        (custom(&["a/b/"], "a/b/[0-9]"), "3 bytes in a row"),
        (custom(&["abc"], "abc("), "not an expression"),
        (custom(&["abc"], "(abc)?"), "matches the empty text"),
        (custom(&["abc"], "(?:a{900}){900}"), "not an expression"),
        (custom(&["abc"], &"a".repeat(2000)), "an expression has at most"),
        (word(""), "3 bytes in a row"),
        (word("ab cd"), "3 bytes in a row"),
        (word(&"a".repeat(300)), "longer than"),
    ] {
        let said = fault(wanted).to_string();
        assert!(said.contains(why), "{said}");
    }

    let faults = Scanner::new(&[word("a"), word("fine"), word("b")]).unwrap_err();
    assert_eq!(faults.iter().map(|fault| fault.wanted).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn a_word_is_found_whole_whatever_its_case_and_the_space_in_it() {
    let scanner = Scanner::new(&[
        word("Falcon"),
        word("project onyx"),
        Wanted::Word { text: "Atlas".into(), case: true, part: false },
        Wanted::Word { text: "merc".into(), case: false, part: true },
        word("c++"),
        word("top-secret"),
        word("größe"),
        word("機密情報"),
        word(".env.local"),
        word("and/or else"),
    ])
    .unwrap();
    let finds = |text: &str| -> Vec<usize> {
        let found = |hits: Hits| hits.list.iter().map(|hit| hit.wanted).collect::<Vec<_>>();
        let body = serde_json::json!({ "system": text }).to_string();
        let here = found(scanner.scan(body.as_bytes()));
        assert_eq!(here, found(scanner.scan_text(text)), "{text}");
        here
    };

    for (text, expected) in [
        ("the FALCON flies", &[0][..]),
        ("falcons fly, falcon_1 too, and xfalcon", &[]),
        ("a\nfalcon\n", &[0]),
        ("Project\n\t  ONYX.", &[1]),
        ("project\\nonyx", &[1]),
        ("project-onyx projectonyx project onyxes", &[]),
        ("Atlas", &[2]),
        ("atlas", &[]),
        ("Commerce", &[3]),
        ("C++ and cc++.", &[4]),
        ("it is TOP-SECRET!", &[5]),
        ("die größe", &[6]),
        ("übergröße", &[]),
        ("これは機密情報です", &[7]),
        ("read .env.local now", &[8]),
        ("this and/or else that", &[9]),
    ] {
        assert_eq!(finds(text), expected, "{text}");
    }
}

#[test]
fn an_own_pattern_is_found_by_its_anchor() {
    let own = Wanted::Custom {
        id: "badge".into(),
        anchors: vec!["ACME-".into()],
        regex: "(?:staff|guest)/ACME-[0-9]{6}".into(),
    };
    let scanner = Scanner::new(&[own]).unwrap();

    for body in [r#"{"a":"x guest/ACME-123456 y"}"#, r#"{"a":"x guest\/ACME-123456 y"}"#] {
        let hits = scanner.scan(body.as_bytes());
        assert_eq!(hits.list.len(), 1);
        let digest = hex(&Sha256::digest("guest/ACME-123456"));
        assert!(digest.starts_with(&hits.list[0].digest) && hits.list[0].digest.len() == 16);
    }
    assert!(scanner.scan(br#"{"a":"visitor/ACME-123456 guest/ACME-12345"}"#).is_empty());
}

#[test]
fn the_first_find_of_each_thing_wanted_is_told_however_many_others_there_are() {
    let wanted: Vec<Wanted> = (0..100).map(|n| word(&format!("word{n:03}"))).collect();
    let scanner = Scanner::new(&wanted).unwrap();
    let flood = (0..90).map(|n| format!("word{n:03} ").repeat(20)).collect::<String>();
    let text = format!("{flood} word099");

    let hits = scanner.scan_text(&text);

    assert!(hits.cut);
    assert!(hits.list.iter().any(|hit| hit.wanted == 99));
    assert_eq!(hits.list.len(), 91);
    for n in 0..90 {
        assert!(hits.list.iter().any(|hit| hit.wanted == n), "{n}");
    }
}

#[test]
fn nothing_wanted_finds_nothing() {
    let scanner = Scanner::new(&[]).unwrap();

    assert!(scanner.is_empty());
    assert!(scanner.scan(b"{\"a\":\"b\"}").is_empty());
    assert!(scanner.scan_text("text").is_empty());
}
