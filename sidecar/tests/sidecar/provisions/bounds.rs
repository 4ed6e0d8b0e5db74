//! What a directory does not get by leaving something out, or by naming somebody else's.

use super::*;
use tollgate::identity::Provider;
use tollgate::scim::resource::{Domains, form};

/// A provider of a tenant, or of several, for these domains.
fn provider(tenant: &str, tenants: &[(&str, &str)], domains: &[&str]) -> Fallible<Provider> {
    let tenants: serde_json::Map<String, Value> =
        tenants.iter().map(|(said, tenant)| ((*said).to_owned(), json!(tenant))).collect();

    Ok(serde_json::from_value(json!({
        "id": "p", "issuer": "https://idp.example", "client_id": "c", "tenant": tenant,
        "domains": domains, "claims": { "tenants": tenants },
    }))?)
}

#[test]
fn a_directory_speaks_for_its_tenant_s_domains_alone() -> Fallible {
    let providers = [
        provider("acme", &[], &["acme.example"])?,
        provider("", &[("a", "acme"), ("b", "initech")], &["shared.example"])?,
        provider("globex", &[], &["globex.example"])?,
    ];
    let may = |tenant: &str, name: &str| {
        form(&json!({ "userName": name }), &Domains::of(&providers, tenant), true).is_ok()
    };

    assert!(may("acme", "a@ACME.example"));
    assert!(may("acme", "a@shared.example"), "of a provider that serves several tenants");
    assert!(!may("acme", "a@globex.example"));
    assert!(!may("acme", "a@elsewhere.example"));
    assert!(!may("acme", "a@sub.acme.example"));
    assert!(!may("acme", "service:deploy@acme.example"), "no directory makes a workload");
    assert!(may("initech", "a@shared.example"));
    assert!(!may("initech", "a@acme.example"));
    assert!(may("umbrella", "a@elsewhere.example"), "a tenant without a provider names no domain");
    assert!(!may("umbrella", "a@globex.example"), "but has none that is another's");
    Ok(())
}

#[tokio::test]
async fn who_is_out_is_let_in_by_nothing_but_a_word() -> Fallible {
    let directory = Directory::start().await?;
    let id = directory.add("ann@example.com").await?;
    let path = format!("/Users/{id}");
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    assert_eq!(directory.patch(&path, off).await?.status, 200);

    let put = json!({ "userName": "ann@example.com", "displayName": "Ann" });
    let put = directory.send("PUT", &path, put).await?;
    assert_eq!((put.status, &put.json()?["active"]), (200, &json!(false)));
    let removed = directory.patch(&path, json!([{ "op": "remove", "path": "active" }])).await?;
    assert_eq!((removed.status, &removed.json()?["active"]), (200, &json!(false)));
    let operations = [
        json!([{ "op": "replace", "path": "active", "value": null }]),
        json!([{ "op": "add", "value": { "Active": null } }]),
    ];
    for operations in operations {
        let nulled = directory.patch(&path, operations).await?;
        assert_eq!((nulled.status, &nulled.json()?["scimType"]), (400, &json!("invalidValue")));
    }
    let nulled = json!({ "userName": "ann@example.com", "active": null });
    assert_eq!(directory.send("PUT", &path, nulled).await?.status, 400);
    let user = directory.world.store.user("ann@example.com").await?;
    assert!(user.ok_or("nobody")?.disabled_at.is_some());
    Ok(())
}

#[tokio::test]
async fn an_operator_is_nobody_that_a_directory_may_take_over() -> Fallible {
    let directory = Directory::start().await?;
    let root = tollgate::store::User {
        sub: "usr_9".into(),
        user_id: "root@example.com".into(),
        tenant_id: "acme".into(),
        roles: vec!["security".into()],
        ..tollgate::store::User::default()
    };
    let act = Act::new(&Operator::owner(), "test")?;
    directory.world.store.add_user(&root, &act).await?;

    let answer =
        directory.send("POST", "/Users", json!({ "userName": "root@example.com" })).await?;

    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("operator"), "{}", answer.body);
    Ok(())
}
