use super::*;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn edited(body: &str, removed: &[&'static str], added: &[(&str, &str)]) -> String {
    let object = Object::read(body.as_bytes(), removed).unwrap();
    let mut edits = Edits::default();
    for name in removed {
        object.remove(name, &mut edits);
    }
    for (name, value) in added {
        edits.add(name, value.as_bytes());
    }

    String::from_utf8(object.apply(edits)).unwrap()
}

#[test]
fn members_go_with_one_comma_wherever_they_stand() {
    for (body, left) in [
        (r#"{"a":1,"b":2,"c":3}"#, r#"{"b":2,"c":3}"#),
        (r#"{"b":2,"a":1,"c":3}"#, r#"{"b":2,"c":3}"#),
        (r#"{"b":2,"c":3,"a":1}"#, r#"{"b":2,"c":3}"#),
        (r#"{"a":1}"#, "{}"),
        (r#"{ "a" : 1 , "b" : 2 }"#, r#"{ "b" : 2 }"#),
        (r#" { "b":2 , "a" : [ 1, 2 ] } "#, r#" { "b":2 } "#),
        (r#"{"\u0061":1,"b":"\u0061"}"#, r#"{"b":"\u0061"}"#),
        (r#"{"b":{"a":1}}"#, r#"{"b":{"a":1}}"#),
    ] {
        assert_eq!(edited(body, &["a"], &[]), left, "{body}");
    }
    assert_eq!(edited(r#"{"a":1,"b":2,"c":3}"#, &["b", "a"], &[]), r#"{"c":3}"#);
    assert_eq!(edited(r#"{"a":1,"b":2}"#, &["b", "a"], &[]), "{}");
}

#[test]
fn members_that_are_added_stand_in_front() {
    assert_eq!(edited("{}", &[], &[("v", "1"), ("w", "[]")]), r#"{"v":1,"w":[]}"#);
    assert_eq!(edited(r#"{"a":1}"#, &["a"], &[("v", "1")]), r#"{"v":1}"#);
    assert_eq!(edited(r#"{"a":1, "b":2}"#, &["a"], &[("v", "1")]), r#"{"v":1, "b":2}"#);
}

#[test]
fn a_value_is_put_in_the_place_of_another() {
    let body = br#"{ "model" : "a" , "b" : 1e400 }"#;
    let object = Object::read(body, &["model"]).unwrap();
    let mut edits = Edits::default();
    object.replace("model", b"\"longer\"".to_vec(), &mut edits);
    object.replace("not there", b"1".to_vec(), &mut edits);

    assert_eq!(object.apply(edits), br#"{ "model" : "longer" , "b" : 1e400 }"#);
}

#[test]
fn what_is_no_object_or_says_a_thing_twice_is_not_edited() {
    for body in ["", "[]", "{", "{}x", r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, "null"] {
        assert_eq!(Object::read(body.as_bytes(), &["a"]), Err(NoObject), "{body}");
    }
}

/// One member as some client may write it: name, value, spaces around.
fn member() -> impl Strategy<Value = (String, String)> {
    let name =
        prop_oneof![Just("model"), Just("stream"), Just("x"), Just("mod\\u0065l2"), Just("")];
    let value = prop_oneof![
        Just("1.0E+400".to_owned()),
        Just("\"\\ud83d\\ude00 \\\"model\\\":1,\"".to_owned()),
        Just("{\"model\":\"inner\",\"stream\":[{}]}".to_owned()),
        Just("[ \"}\" , {\"a\":\"]\"} ]".to_owned()),
        "[a-zäß😀 ]{0,8}".prop_map(|text| format!("\"{text}\"")),
        "-?[1-9][0-9]{0,30}(\\.[0-9]{1,9})?",
    ];
    let space = "[ \t\r\n]{0,2}";

    (name, value, space, space, space).prop_map(|(name, value, a, b, c)| {
        (name.to_owned(), format!("{a}\"{name}\"{b}:{c}{value}{a}"))
    })
}

proptest! {
    #[test]
    fn every_other_byte_is_the_client_s(
        members in prop::collection::vec(member(), 0..9),
        added in any::<bool>(),
    ) {
        let mut seen = Vec::new();
        let members: Vec<_> = members
            .into_iter()
            .filter(|(name, _)| {
                let new = name == "x" || name.is_empty() || !seen.contains(name);
                seen.push(name.clone());
                new
            })
            .collect();
        let body = format!("{{{}}}", members.iter().map(|(_, text)| &**text).collect::<Vec<_>>().join(","));
        let gone = |name: &str| ["model", "stream"].contains(&name);
        // Spaces between a value and its comma, of what goes and of what stays, are nobody's: the
        // expectation is put together from the members' own texts, and compared without them.
        let kept: Vec<_> = members.iter().filter(|(name, _)| !gone(name)).map(|(_, text)| text.trim().to_owned()).collect();
        let extra: &[(&str, &str)] = if added { &[("anthropic_version", "\"v\"")] } else { &[] };

        let out = edited(&body, &["model", "stream"], extra);

        prop_assert!(serde_json::from_str::<&RawValue>(&out).is_ok(), "{out}");
        let mut rest = out.strip_prefix('{').unwrap();
        if added {
            rest = rest.strip_prefix("\"anthropic_version\":\"v\"").unwrap();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        for (nth, text) in kept.iter().enumerate() {
            rest = rest.trim_start();
            if nth > 0 {
                rest = rest.strip_prefix(',').unwrap().trim_start();
            }
            let after = rest.strip_prefix(text.as_str());
            prop_assert!(after.is_some(), "{rest} begins not with {text}");
            rest = after.unwrap();
        }
        prop_assert_eq!(rest.trim(), "}");
        if kept.len() == members.len() && !added {
            prop_assert_eq!(out, body);
        }
    }
}
