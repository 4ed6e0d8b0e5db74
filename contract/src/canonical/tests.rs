use super::*;
use proptest::prelude::*;
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn canonical(json: &str) -> Result<String, CanonicalError> {
    write(json.as_bytes()).map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
}

fn number_of(bits: u64) -> String {
    let mut out = Vec::new();
    ecmascript(f64::from_bits(bits), &mut out).expect("finite");
    String::from_utf8(out).expect("ASCII")
}

/// RFC 8785, appendix B.
const NUMBERS: [(u64, &str); 24] = [
    (0x0000_0000_0000_0000, "0"),
    (0x8000_0000_0000_0000, "0"),
    (0x0000_0000_0000_0001, "5e-324"),
    (0x8000_0000_0000_0001, "-5e-324"),
    (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
    (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
    (0x4340_0000_0000_0000, "9007199254740992"),
    (0xc340_0000_0000_0000, "-9007199254740992"),
    (0x4430_0000_0000_0000, "295147905179352830000"),
    (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
    (0x44b5_2d02_c7e1_4af6, "1e+23"),
    (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
    (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
    (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
    (0x444b_1ae4_d6e2_ef50, "1e+21"),
    (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
    (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
    (0x41b3_de43_5555_5553, "333333333.3333332"),
    (0x41b3_de43_5555_5554, "333333333.33333325"),
    (0x41b3_de43_5555_5555, "333333333.3333333"),
    (0x41b3_de43_5555_5556, "333333333.3333334"),
    (0x41b3_de43_5555_5557, "333333333.33333343"),
    (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
    (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
];

#[test]
fn numbers_are_written_as_the_rfc_has_them() {
    for (bits, text) in NUMBERS {
        assert_eq!(number_of(bits), text, "{bits:016x}");
        assert_eq!(canonical(text).as_deref(), Ok(text), "as a text");
    }
}

#[test]
fn the_rfcs_own_examples_come_out_as_it_says() {
    // Section 3.2.2 and 3.2.3.
    let sample = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    assert_eq!(
        canonical(sample).as_deref(),
        Ok("{\"literals\":[null,true,false],\
            \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
            \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}")
    );

    let sample = r#"{
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis"
    }"#;
    let written = canonical(sample).expect("canonical");
    let places: Vec<_> = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
        .map(|word| written.find(word))
        .into();
    assert!(places.is_sorted() && places.iter().all(Option::is_some), "{written}");
}

#[test]
fn the_same_said_otherwise_has_the_same_form() {
    for (one, other) in [
        (r#"{"a":1,"b":[true,null]}"#, " { \"b\" : [ true , null ] ,\r\n\t\"a\" : 1.0 } "),
        (r#"{"a":"é/"}"#, r#"{"\u0061":"\u00e9\/"}"#),
        ("[100,0.5,-0]", "[1e2,5E-1,0]"),
        ("{}", " {\n} "),
        ("[]", "[ ]"),
        ("9007199254740993", "9007199254740992"), // through f64, as the RFC says
        ("0.1", "0.1000000000000000055511151231257827"),
        (r#"{"x":{"b":1,"a":{"d":1,"c":2}},"w":0}"#, r#"{"w":0,"x":{"a":{"c":2,"d":1},"b":1}}"#),
    ] {
        assert_eq!(canonical(one), canonical(other), "{one} {other}");
        assert_eq!(digest(one.as_bytes()), digest(other.as_bytes()));
        assert!(canonical(one).is_ok(), "{one}");
    }
    assert_ne!(digest(b"[1,2]"), digest(b"[2,1]"));
}

#[test]
fn a_digest_is_that_of_the_form() {
    let known = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"; // sha256 of {}
    let written = digest(b" { } ")
        .map(|bytes| bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")));
    assert_eq!(written.as_deref(), Ok(known));
}

#[test]
fn a_member_twice_is_an_error_wherever_it_stands() {
    for json in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"\u0061":1}"#,
        r#"[{"x":[{"b":0,"a":1,"b":2}]}]"#,
        r#"{"":1,"":2}"#,
    ] {
        assert_eq!(canonical(json), Err(CanonicalError::Twice), "{json}");
    }
    assert!(canonical(r#"{"a":{"a":{"a":1}},"A":2}"#).is_ok());
}

#[test]
fn what_is_no_json_has_no_form() {
    for json in [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "'a'",
        "\"a",
        "\"\\",
        "\"\\\"",
        "\"\\x\"",
        "\"\n\"",
        "\"\\ud800\"",
        "\"\\ude00\\ud83d\"",
        "tru",
        "True",
        "nul",
        "NaN",
        "Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "1 2",
        "{} {}",
        "[1 2]",
        "{\"a\" 1}",
        "\u{feff}1",
        "1\u{c}",
        "//\n1",
    ] {
        assert_eq!(canonical(json), Err(CanonicalError::NotJson), "{json:?}");
    }
    assert_eq!(write(b"\"\xff\""), Err(CanonicalError::NotJson));
    for json in ["1e309", "-1e400", "[1e999999999999]"] {
        assert_eq!(canonical(json), Err(CanonicalError::TooLarge), "{json}");
    }
    assert_eq!(canonical("1e-999999999999").as_deref(), Ok("0"));
}

#[test]
fn nesting_has_an_end() {
    for (open, inner, close) in [("[", "1", "]"), ("{\"a\":", "1", "}")] {
        let nested = |depth| format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
        assert!(canonical(&nested(DEEPEST)).is_ok());
        assert_eq!(canonical(&nested(DEEPEST + 1)), Err(CanonicalError::TooDeep));
        assert_eq!(canonical(&nested(200_000)), Err(CanonicalError::TooDeep));
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}|[\\x00-\\x1f\"\\\\]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,3}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same value, its members in the opposite order and with gaps between all.
fn otherwise(value: &Value) -> String {
    let text = |text: &str| serde_json::to_string(text).expect("text");
    match value {
        Value::Array(list) => {
            format!("[ {} ]", list.iter().map(otherwise).collect::<Vec<_>>().join("\n, "))
        }
        Value::Object(members) => {
            let members = members.iter().rev();
            let members =
                members.map(|(name, value)| format!("{}\t: {}", text(name), otherwise(value)));
            format!("{{ {}\r\n}}", members.collect::<Vec<_>>().join(" , "))
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn the_form_is_a_fixed_point_and_does_not_depend_on_order_or_gaps(value in values()) {
        let form = write(value.to_string().as_bytes()).expect("canonical");
        prop_assert_eq!(write(&form).expect("again"), form.clone());
        prop_assert_eq!(write(otherwise(&value).as_bytes()).expect("otherwise"), form.clone());
        serde_json::from_slice::<Value>(&form).expect("still JSON");
    }

    #[test]
    fn every_double_is_written_so_that_it_reads_as_the_same(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let text = number_of(bits);
        let read: f64 = text.parse().expect("a number");
        prop_assert_eq!(read.to_bits(), if number == 0.0 { 0 } else { bits });
        prop_assert_eq!(canonical(&text).expect("canonical"), text);
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _read = write(&bytes);
    }

    #[test]
    fn no_text_near_json_is_a_panic_and_what_is_taken_serde_json_takes(
        text in "[\\[\\]{}:,\"\\\\ua0-9eE.+\\-tfn ]{0,24}"
    ) {
        if write(text.as_bytes()).is_ok() {
            serde_json::from_str::<Value>(&text).expect("JSON");
        }
    }
}

#[test]
fn a_number_that_is_another_one_to_another_reader_is_not_exact() {
    for text in
        ["{}", "[1,2.5,-3e9]", r#"{"a":"9007199254740993"}"#, "999999999999999", r#"["\\",1]"#]
    {
        assert!(is_exact(text.as_bytes()), "{text}");
    }
    for text in ["9007199254740993", "[1,0.12345678901234567]", r#"{"a\"1":9007199254740993}"#] {
        assert!(!is_exact(text.as_bytes()), "{text}");
    }
}
