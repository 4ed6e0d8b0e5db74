use super::*;
use proptest::prelude::*;
use serde_json::json;

fn patched(before: &Value, operations: &Value) -> Value {
    let mut resource = before.as_object().unwrap().clone();
    for operation in read(&json!({ "Operations": operations })).unwrap() {
        apply(&mut resource, operation);
    }

    Value::Object(resource)
}

/// What the two large directories send, by their public documentation, and what becomes of it.
#[test]
fn each_form_that_directories_send_does_what_it_says() {
    let ann = json!({
        "userName": "ann", "active": true, "name": { "givenName": "Ann" },
        "emails": [{ "type": "work", "value": "ann@a.example", "primary": true }],
    });
    for (operations, pointer, wanted) in [
        // Entra ID: capital letters, truth values as text.
        (
            json!([{ "op": "Replace", "path": "active", "value": "False" }]),
            "/active",
            json!("False"),
        ),
        // Okta: no path.
        (json!([{ "op": "replace", "value": { "active": false } }]), "/active", json!(false)),
        (
            json!([{ "op": "Add", "path": "name.familyName", "value": "Lee" }]),
            "/name",
            json!({ "givenName": "Ann", "familyName": "Lee" }),
        ),
        (
            json!([{ "op": "Replace", "value": { "name.givenName": "Anna" } }]),
            "/name/givenName",
            json!("Anna"),
        ),
        (
            json!([{ "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "ann@b.example" }]),
            "/emails/0/value",
            json!("ann@b.example"),
        ),
        (
            json!([{ "op": "Add", "path": "emails[type eq \"home\"].value", "value": "h@b.example" }]),
            "/emails/1",
            json!({ "type": "home", "value": "h@b.example" }),
        ),
        (json!([{ "op": "Remove", "path": "emails[type eq \"Work\"]" }]), "/emails", json!([])),
        (json!([{ "op": "remove", "path": "name.givenName" }]), "/name", json!({})),
        (
            json!([{ "op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "R and D" }]),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department",
            json!("R and D"),
        ),
        (
            json!([{ "op": "add", "value": { "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "costCenter": "7" } } }]),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/costCenter",
            json!("7"),
        ),
        (
            json!([{ "op": "replace", "path": "USERNAME", "value": "anna" }]),
            "/userName",
            json!("anna"),
        ),
        (json!([{ "op": "replace", "path": "title", "value": null }]), "/title", Value::Null),
    ] {
        let after = patched(&ann, &operations);
        assert_eq!(after.pointer(pointer).cloned().unwrap_or_default(), wanted, "{operations}");
    }
}

#[test]
fn what_is_no_operation_is_refused() {
    for operations in [
        json!([{ "op": "move", "path": "a", "value": 1 }]),
        json!([{ "op": "remove" }]),
        json!([{ "op": "add", "value": 1 }]),
        json!([{ "op": "add", "path": "", "value": 1 }]),
        json!([{ "op": "add", "path": "a b", "value": 1 }]),
        json!([{ "op": "add", "path": "a[", "value": 1 }]),
        json!([{ "op": "add", "path": "a[b eq]", "value": 1 }]),
        json!([{ "op": "add", "path": "a.b.c", "value": 1 }]),
        json!({}),
    ] {
        assert!(read(&json!({ "Operations": operations })).is_err(), "{operations}");
    }
}

proptest! {
    #[test]
    fn no_path_makes_it_stumble(text in "\\PC{0,60}") {
        drop(path(&text));
    }

    #[test]
    fn whatever_is_applied_leaves_an_object(verb in 0..3_usize, text in "[a-c]{1,2}(\\[[a-c] eq \"x\"\\])?(\\.[a-c])?", value in "[a-c]{0,2}") {
        let verb = [Verb::Add, Verb::Replace, Verb::Remove][verb];
        let mut resource = json!({ "a": 1, "b": [1, { "a": "x" }], "c": { "a": [] } }).as_object().unwrap().clone();
        apply(&mut resource, Operation { verb, path: path(&text).unwrap(), value: value.into() });
        prop_assert!(resource.len() <= 4);
    }
}
