use super::*;

fn slips(text: &str) -> Vec<(usize, usize, String)> {
    let slips = parse(text).unwrap_err();
    slips.into_iter().map(|slip| (slip.at.line, slip.at.column, slip.problem)).collect()
}

#[test]
fn a_node_knows_its_place() {
    let root = parse("# why\nname: acme\nrules:\n  - id: a\n").unwrap();

    let Kind::Map(pairs) = root.kind else { panic!() };
    assert_eq!((pairs[0].0.at.line, pairs[0].0.at.column), (2, 1));
    assert_eq!((pairs[0].1.at.line, pairs[0].1.at.column), (2, 7));
    let Kind::List(rules) = &pairs[1].1.kind else { panic!() };
    assert_eq!((rules[0].at.line, rules[0].at.column), (4, 5));
}

#[test]
fn norway_is_a_country_and_truth_is_not_text() {
    for (text, is) in [
        ("NO", Type::Text),
        ("no", Type::Text),
        ("on", Type::Text),
        ("true", Type::Truth),
        ("null", Type::Null),
        ("1.10", Type::Number),
        ("0x1F", Type::Number),
        ("1e3", Type::Number),
        (".5", Type::Number),
        ("1_000", Type::Text),
        ("12:30", Type::Text),
        ("2026-11-21", Type::Text),
        ("infinity", Type::Text),
    ] {
        assert_eq!(typed(text, true), is, "{text}");
        assert_eq!(typed(text, false), Type::Text, "{text} in quotes");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_a_slip() {
    for (text, at, word) in [
        ("a: 1\nb: 2\na: 3\n", (3, 1), "twice"),
        ("a: !!str 1\n", (1, 4), "tag"),
        ("a: 1\n---\nb: 2\n", (2, 1), "second document"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", (3, 3), "merge"),
        ("? [a, b]\n: 1\n", (1, 3), "must be text"),
        ("a: [1, 2\n", (2, 1), "no YAML"),
        ("a:\n\tb: 1\n", (2, 2), "no YAML"),
        ("", (1, 1), "nothing"),
        ("# only words\n", (1, 1), "nothing"),
    ] {
        let found = slips(text);
        assert_eq!((found[0].0, found[0].1), at, "{text:?}: {found:?}");
        assert!(found[0].2.contains(word), "{text:?}: {found:?}");
    }
    assert_eq!(slips("a: 1\na: 2\nb: !x 3\n").len(), 2, "each of them is told");
}

#[test]
fn aliases_stand_for_what_they_name_and_a_billion_laughs_are_refused() {
    let root = parse("a: &x [1, 2]\nb: *x\n").unwrap();
    let Kind::Map(pairs) = root.kind else { panic!() };
    assert_eq!(pairs[0].1.kind, pairs[1].1.kind);

    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let below = format!("*a{}", level - 1);
        let line = vec![below; 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{line}]\n");
    }
    assert!(slips(&bomb)[0].2.contains("values"), "{:?}", slips(&bomb));
    assert!(!slips("a: &x [*x]\n").is_empty());
    let deep = "[".repeat(100) + &"]".repeat(100);
    assert!(slips(&deep)[0].2.contains("nested"));
}

#[test]
fn json_is_yaml() {
    let root = parse("{\"a\": [1, true, \"x\"], \"b\": {\"c\": null}}").unwrap();

    assert!(matches!(root.kind, Kind::Map(pairs) if pairs.len() == 2));
}
