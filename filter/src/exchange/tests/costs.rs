//! What a call is likely to cost, as routes see it.

use super::*;
use crate::gate::Gate;
use crate::stages::cost::Costing;
use contract::headers::ROUTE_COST_CLASS;
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn gate(host: &FakeHost, classes: &Value) -> Rc<Gate> {
    let mut gate = ready(host, &json!([]));
    let classes = serde_json::from_value(classes.clone()).unwrap();
    gate.settings.costing = Some(Costing::new(classes).unwrap());
    Rc::new(gate)
}

/// The class of a call with this body.
fn class(gate: &Rc<Gate>, body: &str) -> Option<String> {
    let host = world(&token(|_| {}), body);
    assert!(run(&host, &mut Exchange::new(Rc::clone(gate))));
    host.header(Map::Request, ROUTE_COST_CLASS)
}

#[test]
fn routes_see_what_a_call_is_likely_to_cost() {
    let host = world(&token(|_| {}), BODY);
    let classes = json!([{"name": "small", "below": "0.01"}, {"name": "large"}]);
    let gate = gate(&host, &classes);
    let long = format!(
        r#"{{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{{"role":"user","content":"{}"}}]}}"#,
        "word ".repeat(4_000)
    );
    let strange = BODY.replace("claude-sonnet-4-5", "claude-strange");

    assert_eq!(class(&gate, BODY).as_deref(), Some("small"));
    assert_eq!(class(&gate, &long).as_deref(), Some("large"), "20 KB are 6,000 tokens, 1.8 cents");
    assert_eq!(class(&gate, &strange).as_deref(), Some("unknown"), "nobody has a price for it");
}

#[test]
fn an_answer_is_expected_to_be_as_long_as_the_last_ones_were() {
    let host = world(&token(|_| {}), BODY);
    let gate = gate(&host, &json!([{"name": "small", "below": "0.01"}, {"name": "large"}]));
    let body = BODY.replace("\"max_tokens\":9", "\"max_tokens\":32000");

    for _ in 0..8 {
        assert_eq!(class(&gate, &body).as_deref(), Some("large"), "nothing is known: 48 cents");
    }
    assert_eq!(class(&gate, &body).as_deref(), Some("small"), "eight answers had 20 tokens");
    let other = body.replace("claude-sonnet-4-5", "claude-opus-4-8");
    assert_eq!(class(&gate, &other).as_deref(), Some("large"), "of another model nothing is known");
}

#[test]
fn without_classes_nothing_is_told_and_nothing_learned() {
    let host = world(&token(|_| {}), BODY);
    let gate = Rc::new(ready(&host, &json!([])));

    for _ in 0..9 {
        assert_eq!(class(&gate, BODY), None);
    }
    assert_eq!(gate.lengths.borrow().median("claude-sonnet-4-5"), None);
}
