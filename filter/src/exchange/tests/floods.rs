//! Whoever nobody knows can come as often as they like: a few rows a second, the rest counted.

use super::*;
use contract::headers;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// So many exchanges that end like this: how many have rows of their own, and how many were counted.
fn flooded(host: &FakeHost, ends: impl Fn(&mut Exchange)) -> (usize, u64) {
    let gate = Rc::new(ready(host, &json!([])));
    let rows = (0..100).filter(|_| {
        host.state.borrow_mut().clear();
        let mut exchange = Exchange::new(Rc::clone(&gate));
        exchange.request_headers(host, false);
        ends(&mut exchange);
        exchange.finished(host);
        host.record().is_some()
    });
    let rows = rows.count();

    (rows, gate.counted(host.now.get()).iter().map(|one| one.count).sum())
}

fn sign_in(path: &str) -> FakeHost {
    let host = world("not-a-token", BODY);
    host.put_headers(Map::Request, &[(":method", "POST"), (":path", path)]);
    host
}

/// What the sidecar answers a sign-in, each time anew: the gate takes away what is its own.
fn answered(path: &str, status: &str, caller: Option<&str>) -> (usize, u64) {
    let host = sign_in(path);

    flooded(&host, |exchange| {
        let mut answer = vec![(":status", status)];
        answer.extend(caller.map(|caller| (headers::CALLER, caller)));
        host.put_headers(Map::Response, &answer);
        exchange.response_headers(&host, true);
    })
}

#[test]
fn a_flood_of_anonymous_refusals_is_counted_beyond_the_first_rows() {
    let host = world("not-a-token", BODY);

    assert_eq!(flooded(&host, |_| {}), (10, 90), "and none is forgotten");
}

#[test]
fn so_is_one_of_sign_ins_whatever_they_are_answered() {
    for status in ["303", "400", "401", "404", "429", "503"] {
        assert_eq!(answered("/v1/auth/cowork/session", status, None), (10, 90), "{status}");
    }
}

#[test]
fn so_is_one_of_sign_ins_whose_body_never_comes() {
    assert_eq!(flooded(&sign_in("/oauth/token"), |_| {}), (10, 90));
}

#[test]
fn who_is_known_has_a_row_each_time() {
    let ann = r#"{"user_id":"ann@example.com"}"#;

    assert_eq!(answered("/v1/auth/cowork/pat", "401", Some(ann)), (100, 0));
}

#[test]
fn a_page_leaves_a_row_only_where_the_sidecar_says_who_acted() {
    let page = "/v1/auth/cowork/session/approve";

    assert_eq!(answered(page, "200", None), (0, 0));
    assert_eq!(answered(page, "303", Some(r#"{"user_id":"ann@example.com"}"#)), (100, 0));
}
