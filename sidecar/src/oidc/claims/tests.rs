use super::*;
use crate::identity::Identity;
use serde_json::json;

fn provider(more: &str) -> Provider {
    let text = format!(
        "schema: tollgate.identity/v1\npublic_url: https://g.example\nproviders:\n  - id: acme\n    issuer: https://i.example\n    client_id: c\n    tenant: acme\n    domains: [example.com]\n{more}"
    );
    Identity::parse(&text).unwrap().providers.remove(0)
}

fn told(claims: Value) -> Told {
    Told { subject: "s1".into(), claims, userinfo: None, groups: None, refresh_token: None }
}

fn ann() -> Value {
    json!({ "sub": "s1", "email": "Ann@Example.com", "email_verified": true, "name": "Ann" })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[test]
fn a_person_is_made_of_what_is_told_and_what_is_not_mapped_stays() {
    let plain =
        person(&provider(""), &told(with(ann(), "groups", json!(["a", "b"]))), None).unwrap();

    assert_eq!((&*plain.user_id, &*plain.tenant_id), ("ann@example.com", "acme"));
    assert_eq!(plain.groups, Fact::Is(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(plain.name, Fact::Is(Some("Ann".to_owned())));
    assert_eq!((plain.department, plain.roles), (Fact::Kept, Fact::Kept));

    let mapped = provider(
        "    claims:\n      department: [/nowhere, /org/unit]\n      populations: [/pops]\n      roles: { admins: platform, bills: finance }\n      groups: [/realm/roles]\n",
    );
    let claims = json!({ "email": "ann@example.com", "email_verified": "true", "pops": "eu health",
        "org": { "unit": "Zürich" }, "realm": { "roles": "admins" } });
    let found = person(&mapped, &told(claims), None).unwrap();
    assert_eq!(found.department, Fact::Is(Some("Zürich".to_owned())));
    assert_eq!(found.populations, Fact::Is(vec!["eu".to_owned(), "health".to_owned()]));
    assert_eq!(found.groups, Fact::Is(vec!["admins".to_owned()]), "text is one group");
    assert_eq!(found.roles, Fact::Is(vec!["platform".to_owned()]));
    let gone = person(&mapped, &told(ann()), None).unwrap();
    assert_eq!(gone.department, Fact::Is(None), "what is mapped and no longer told is gone");
}

#[test]
fn an_address_that_is_not_verified_or_not_the_provider_s_is_refused() {
    let (strict, lax) = (provider(""), provider("    email_verified: false\n"));
    let refused = |config: &Provider, claims: Value| address(config, &told(claims)).err();

    for verified in [json!(false), json!("false"), json!(null), json!(1)] {
        let claims = with(ann(), "email_verified", verified.clone());
        assert_eq!(refused(&strict, claims), Some(Refused::EmailUnverified), "{verified}");
    }
    assert_eq!(refused(&lax, with(ann(), "email_verified", json!(null))), None);
    for email in
        ["ann@other.com", "ann@sub.example.com", "ann@example.com.evil", "ann", "a@b@example.com"]
    {
        let claims = with(ann(), "email", json!(email));
        assert_eq!(refused(&strict, claims), Some(Refused::NotEntitled), "{email}");
    }
    let upn = provider("    claims: { email: [/upn] }\n");
    let claims = with(ann(), "upn", json!("eve@example.com"));
    assert_eq!(
        refused(&upn, claims),
        Some(Refused::EmailUnverified),
        "verified is another address"
    );
}

#[test]
fn the_word_verified_counts_for_the_address_it_stands_beside() {
    let config = provider("");
    let mut both = told(json!({ "sub": "s1", "email": "eve@example.com" }));
    both.userinfo = Some(ann());
    assert_eq!(address(&config, &both), Err(Refused::EmailUnverified));
    both.claims = json!({ "sub": "s1" });
    assert_eq!(address(&config, &both).unwrap(), "ann@example.com");
}

#[test]
fn a_claim_may_name_only_the_tenants_that_are_listed() {
    let config = provider("    claims: { tenant: [/org], tenants: { o1: beta } }\n");
    let tenant =
        |org: Value| person(&config, &told(with(ann(), "org", org)), None).map(|it| it.tenant_id);

    assert_eq!(tenant(json!("o1")).unwrap(), "beta");
    assert_eq!(tenant(json!(null)).unwrap(), "acme");
    assert_eq!(tenant(json!("beta")), Err(Refused::NotEntitled));
    assert_eq!(tenant(json!(["o1"])), Err(Refused::NotEntitled));
}

#[test]
fn who_is_in_none_of_the_groups_is_not_entitled_and_neither_is_who_is_in_too_many_to_tell() {
    let config = provider("    groups: [staff]\n");
    let refused = |claims: Value| person(&config, &told(claims), None).err();

    assert_eq!(refused(with(ann(), "groups", json!(["staff"]))), None);
    assert_eq!(refused(with(ann(), "groups", json!(["guests"]))), Some(Refused::NotEntitled));
    assert_eq!(refused(ann()), Some(Refused::NotEntitled));
    let open = provider("");
    for marker in [json!({ "_claim_names": { "groups": "src1" } }), json!({ "hasgroups": true })] {
        let mut claims = ann();
        claims.as_object_mut().unwrap().extend(marker.as_object().unwrap().clone());
        let mut over = told(claims);
        assert!(is_lookup_needed(&open, &over));
        assert_eq!(person(&open, &over, None).err(), Some(Refused::NotEntitled));
        over.groups = Some(vec!["g1".into()]);
        assert_eq!(person(&open, &over, None).unwrap().groups, Fact::Is(vec!["g1".into()]));
    }
}

#[test]
fn groups_of_the_directory_are_kept_and_count() {
    let config = provider(
        "    groups: [staff]\n    claims: { groups_from: directory, roles: { staff: soc } }\n",
    );
    let claims = with(ann(), "groups", json!(["staff"]));

    assert_eq!(person(&config, &told(claims.clone()), None).err(), Some(Refused::NotEntitled));
    let found = person(&config, &told(claims), Some(&["staff".to_owned()])).unwrap();
    assert_eq!((found.groups, found.roles), (Fact::Kept, Fact::Is(vec!["soc".to_owned()])));
}

#[test]
fn pages_of_groups_are_read_in_the_forms_they_come_in() {
    for page in [
        json!(["a", "b"]),
        json!({ "groups": ["a", "b"] }),
        json!({ "value": [{ "id": "a", "displayName": "x" }, { "id": "b" }, {}] }),
    ] {
        assert_eq!(listed_groups(&page), ["a", "b"], "{page}");
    }
    assert!(listed_groups(&json!({ "error": "x" })).is_empty());
}

#[test]
fn the_userinfo_is_asked_only_for_what_the_id_token_leaves_open() {
    let config = provider("    claims: { department: [/dept] }\n");
    let whole = with(with(ann(), "groups", json!([])), "dept", json!("x"));

    assert!(!is_more_needed(&config, &whole));
    for name in ["email", "email_verified", "groups", "dept"] {
        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove(name);
        assert!(is_more_needed(&config, &less), "{name}");
    }
}
