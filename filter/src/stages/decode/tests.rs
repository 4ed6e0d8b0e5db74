use super::*;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn judge(headers: &[(&str, &str)]) -> (Head, Result<Surface, Refusal>) {
    let list: Headers = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    head(&list, &Boundary::shipped().unwrap())
}

fn messages(more: &[(&str, &str)]) -> (Head, Result<Surface, Refusal>) {
    let mut headers = vec![
        (":method", "POST"),
        (":path", "/v1/messages?beta=true"),
        ("content-type", "application/json"),
        ("x-request-id", "2d1e"),
    ];
    headers.extend_from_slice(more);
    judge(&headers)
}

#[test]
fn the_path_decides_and_the_query_does_not() {
    let (head, surface) = messages(&[("authorization", "Bearer abc.def.ghi")]);

    assert_eq!(surface, Ok(Surface::Messages));
    assert_eq!(head.credential.as_deref(), Some("abc.def.ghi"));
    assert_eq!(head.target, "POST /v1/messages", "no query in a row");
}

#[test]
fn what_is_not_exactly_a_path_of_ours_is_unknown() {
    for path in [
        "/v1",
        "/v1/messages/",
        "/v1/messages;x",
        "/v1/messages%3Fbeta",
        "/V1/messages",
        "/v1/messages/x",
    ] {
        let (_, surface) = judge(&[(":method", "POST"), (":path", path)]);
        assert_eq!(surface, Err(Refusal::UnknownPath), "{path}");
    }
    let (_, surface) = judge(&[(":method", "GET"), (":path", "/v1/messages")]);
    assert_eq!(surface, Err(Refusal::Method));
}

#[test]
fn one_credential_is_taken_and_two_are_not() {
    type Case<'a> = (&'a [(&'a str, &'a str)], Result<&'a str, Refusal>);
    let cases: &[Case<'_>] = &[
        (&[("authorization", "bearer abc")], Ok("abc")),
        (&[("x-api-key", "abc")], Ok("abc")),
        (&[("authorization", "Bearer abc"), ("x-api-key", "abc")], Ok("abc")),
        (
            &[("authorization", "Bearer abc"), ("x-api-key", "xyz")],
            Err(Refusal::CredentialAmbiguous),
        ),
        (
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
            Err(Refusal::CredentialAmbiguous),
        ),
        (&[("authorization", "Bearer a,Bearer b")], Err(Refusal::CredentialAmbiguous)),
        (&[("authorization", "Basic YTpi")], Err(Refusal::CredentialMalformed)),
        (&[("authorization", "Bearer a b")], Err(Refusal::CredentialMalformed)),
        (&[("authorization", "Bearer ")], Err(Refusal::CredentialMissing)),
        (&[], Err(Refusal::CredentialMissing)),
    ];
    for (headers, expected) in cases {
        let (head, surface) = messages(headers);
        match expected {
            Ok(token) => assert_eq!(head.credential.as_deref(), Some(*token), "{headers:?}"),
            Err(refusal) => assert_eq!(surface, Err(*refusal), "{headers:?}"),
        }
    }
}

#[test]
fn a_header_twice_on_which_something_hangs_is_refused() {
    for name in ["x-user-id", "content-type", "x-claude-code-session-id", "traceparent"] {
        let (_, surface) = messages(&[(name, "a"), (name, "a"), ("x-api-key", "t")]);
        assert!(surface == Err(Refusal::HeaderTwice), "{name}: {surface:?}");
    }
}

#[test]
fn what_we_could_not_read_as_the_provider_does_is_refused() {
    let key = ("x-api-key", "t");
    assert_eq!(messages(&[key, ("content-encoding", "gzip")]).1, Err(Refusal::Encoding));
    assert_eq!(messages(&[key, ("content-encoding", "identity")]).1, Ok(Surface::Messages));
    assert_eq!(messages(&[key, ("content-length", "33554433")]).1, Err(Refusal::BodyTooLarge));
    for (kind, taken) in [
        ("Application/JSON; charset=UTF-8", true),
        ("application/json;charset=utf-16", false),
        ("application/json; charset=utf-7", false),
        ("application/jsonx", false),
    ] {
        assert_eq!(is_json(kind.as_bytes()), taken, "{kind}");
    }
    let (_, surface) = judge(&[
        (":method", "POST"),
        (":path", "/v1/messages"),
        ("content-type", "multipart/form-data"),
        key,
    ]);
    assert_eq!(surface, Err(Refusal::MediaType));
}

#[test]
fn what_may_not_leave_is_listed_once() {
    let (head, _) = messages(&[
        ("x-api-key", "t"),
        ("cookie", "a=b"),
        ("cookie", "c=d"),
        ("x-tollgate-model", "forged"),
        ("anthropic-beta", "x"),
    ]);

    assert_eq!(head.inside, ["x-request-id", "x-api-key", "cookie", "x-tollgate-model"]);
}

#[test]
fn a_trace_context_is_taken_only_in_its_form() {
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(trace_id(good.as_bytes()).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    for bad in ["", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0AF7-1-01"] {
        assert_eq!(trace_id(bad.as_bytes()), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn no_headers_panic(pairs in proptest::collection::vec(("[:a-z-]{0,20}", proptest::collection::vec(any::<u8>(), 0..40)), 0..12)) {
        let list: Headers = pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let _judged = head(&list, &Boundary::shipped().unwrap());
    }

    #[test]
    fn no_credential_panics(value in proptest::collection::vec(any::<u8>(), 0..60)) {
        let list: Headers = [(":method", &b"POST"[..]), (":path", b"/v1/messages"), ("authorization", &value)].into_iter().collect();
        let _judged = head(&list, &Boundary::shipped().unwrap());
    }
}
