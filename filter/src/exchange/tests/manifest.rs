//! Manifests, plugins and reports of laptops: who is signed in is passed on to the sidecar.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MANIFEST: &str = "/v1/cowork/manifest";

fn asks(method: &str, path: &str, credential: (&str, &str)) -> FakeHost {
    let host = world("", "");
    host.put_headers(
        Map::Request,
        &[
            (":method", method),
            (":path", path),
            (":authority", "gate.test"),
            credential,
            ("x-tollgate-tenant", "forged"),
            ("x-user-id", "ann@example.com"),
            ("if-none-match", "\"a\""),
            ("x-request-id", "0af76519-16cd-43dd-8448-eb211c80319c"),
        ],
    );
    host
}

/// Ann asks, and the sidecar answers so. Was it passed on?
fn asked(host: &FakeHost, listed: &serde_json::Value, status: &str) -> bool {
    let mut exchange = Exchange::new(Rc::new(ready(host, listed)));
    let verdict = exchange.request_headers(host, true);
    let forwarded = matches!(verdict, Verdict::Forward(_));
    if forwarded {
        host.put_headers(Map::Response, &[(":status", status), ("etag", "\"b\"")]);
        exchange.response_headers(host, true);
        ends(host, status.parse().unwrap(), "via_upstream", 0);
    } else if let Some(reply) = host.replies.borrow().first() {
        ends(host, u64::from(reply.status), "", 0);
    }
    exchange.finished(host);
    forwarded
}

#[test]
fn what_a_laptop_gets_leaves_no_row_here_and_its_token_reaches_the_sidecar() {
    let good = token(|_| {});
    let bearer = format!("Bearer {good}");
    for (method, path, credential, status) in [
        ("GET", MANIFEST, ("authorization", &*bearer), "200"),
        ("GET", MANIFEST, ("authorization", &*bearer), "304"),
        ("GET", MANIFEST, ("x-api-key", &*good), "404"),
        ("HEAD", "/v1/cowork/marketplace.json", ("authorization", &*bearer), "200"),
        ("GET", "/v1/cowork/plugins/00.zip", ("authorization", &*bearer), "206"),
        ("POST", "/v1/cowork/sync-report", ("x-api-key", &*good), "204"),
        ("POST", "/v1/cowork/sync-report", ("x-api-key", &*good), "429"),
        ("GET", "/v1/cowork/marketplace.json", ("x-api-key", &*good), "404"),
    ] {
        let host = asks(method, path, credential);

        assert!(asked(&host, &json!([]), status), "{method} {path}");

        assert_eq!(host.record(), None, "{path} {status}");
        assert_eq!(host.header(Map::Request, "authorization"), Some(bearer.clone()));
        assert_eq!(host.header(Map::Request, "x-user-id"), None, "the token says who");
        assert_eq!(host.header(Map::Request, "x-tollgate-tenant"), None);
        assert_eq!(host.header(Map::Request, "if-none-match").as_deref(), Some("\"a\""));
        assert_eq!(host.header(Map::Response, "etag").as_deref(), Some("\"b\""));
    }
}

#[test]
fn a_plugin_of_others_and_a_sidecar_that_fails_leave_a_row() {
    let bearer = format!("Bearer {}", token(|_| {}));
    for (path, status, outcome) in [
        ("/v1/cowork/plugins/00", "404", Outcome::Denied),
        (MANIFEST, "403", Outcome::Denied),
        (MANIFEST, "503", Outcome::Error),
    ] {
        let host = asks("GET", path, ("authorization", &bearer));

        assert!(asked(&host, &json!([]), status));

        let row = row(&host);
        assert_eq!((row.kind, row.outcome), (Kind::Manifest, outcome), "{path} {status}");
        assert_eq!(&*row.user_id, "ann@example.com");
    }
}

#[test]
fn nobody_without_a_good_token_reaches_what_stands_on_laptops() {
    let stolen = format!("Bearer {}", token(|claims| claims.issuer = Some("else".into())));
    for (credential, code) in
        [(("authorization", &*stolen), "token_issuer"), (("cookie", "a=b"), "credential_missing")]
    {
        let host = asks("GET", MANIFEST, credential);

        assert!(!asked(&host, &json!([]), "200"), "{code}");

        let row = row(&host);
        assert_eq!((row.kind, row.rule_id.as_deref()), (Kind::Manifest, Some(code)));
        assert_eq!(host.replies.borrow()[0].status, 401);
    }
    let bearer = format!("Bearer {}", token(|_| {}));
    for (method, path) in
        [("POST", MANIFEST), ("GET", "/v1/cowork/sync-report"), ("GET", "/v1/cowork/else")]
    {
        let host = asks(method, path, ("authorization", &bearer));
        assert!(!asked(&host, &json!([]), "200"), "{method} {path}");
    }
}

#[test]
fn who_is_stopped_gets_nothing_and_who_is_slowed_down_still_loses_what_was_revoked() {
    let bearer = format!("Bearer {}", token(|_| {}));
    let until = NOW + 600;
    let stopped =
        json!([{"kind": "user", "id": "ann@example.com", "effect": "revoked", "until": until}]);
    let host = asks("GET", MANIFEST, ("authorization", &bearer));
    assert!(!asked(&host, &stopped, "200"));
    assert_eq!(row(&host).outcome, Outcome::Denied);

    let slowed = json!([{"kind": "user", "id": "ann@example.com",
        "effect": {"throttled": {"per_minute": 0}}, "until": until}]);
    let host = asks("GET", MANIFEST, ("authorization", &bearer));
    assert!(asked(&host, &slowed, "200"));
}
