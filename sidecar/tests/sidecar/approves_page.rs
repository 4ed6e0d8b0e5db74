//! Who may decide on the page, and what decides nothing.

use crate::approves::{HERE, asked, desk, person, policy, token_of, wish};
use crate::browser::{Browser, row};
use crate::office::{admin_rows, row_of};
use crate::provider::Fake;
use crate::starts::tollgate;
use crate::world::{Fallible, World, ask};
use serde_json::{Value, json};
use tollgate::acts::Act;
use tollgate::operators::operator::Operator;

/// A sidecar at which Ann's agent has asked.
async fn asked_by_ann(provider: &Fake) -> Fallible<(World, String, String)> {
    let world = World::start_in(desk(provider, 1, 600)?).await?;
    let (token, _) = world.agent().await?;
    let result = world.tool(&token, "request_approval", &wish()).await?;
    let told = result.get("structuredContent").ok_or("nothing is told")?;
    assert_eq!(told.get("decision"), Some(&json!("pending")));
    let id = asked(&world).await?;
    Ok((world, id, token))
}

async fn state(world: &World, id: &str) -> Fallible<String> {
    Ok(world.store.approval(id).await?.ok_or("gone")?.state.as_str().to_owned())
}

#[tokio::test]
async fn only_who_the_policy_names_and_never_the_asker_sees_and_decides() -> Fallible {
    let provider = Fake::start().await?;
    let (world, id, _) = asked_by_ann(&provider).await?;
    for (name, groups, code) in
        [("ann", &["approvers"][..], "approval_own"), ("eve", &["staff"], "approval_not_named")]
    {
        person(&provider, name, groups);
        let page = Browser::new(&world).visit(&provider, &id).await?;
        assert_eq!((page.status, page.header("x-tollgate-refusal")), (403, code));
        assert!(!page.body.contains("tickets") && !page.body.contains("alert"), "{}", page.body);
        let acted = row(&page)?;
        assert_eq!(
            (&*acted.user_id, acted.rule_id.as_deref()),
            (&*format!("{name}@example.com"), Some(code))
        );
    }
    person(&provider, "bob", &["approvers"]);
    let browser = Browser::new(&world);
    let page = browser.visit(&provider, &id).await?;
    assert_eq!(page.status, 200);
    let form = token_of(&page)?;
    // Between the page and the decision they are stopped, or lose their place in the policy.
    let act = || Act::new(&Operator::owner(), "test");
    world.store.disable_user("bob@example.com", 1, &act()?).await?;
    let path = format!("/approvals/{id}");
    let fields = [("form", &*form), ("choice", "approve")];
    let stopped = browser.post(&path, &fields, &HERE).await?;
    assert_eq!((stopped.status, stopped.header("x-tollgate-refusal")), (403, "approval_stopped"));
    assert_eq!(state(&world, &id).await?, "open");
    world.store.enable_user("bob@example.com", &act()?).await?;
    assert_eq!(browser.visit(&provider, &id).await?.status, 200, "let in again");
    Ok(())
}

#[tokio::test]
async fn another_tenant_s_approver_is_told_nothing() -> Fallible {
    let provider = Fake::start().await?;
    let (world, id, _) = asked_by_ann(&provider).await?;
    world.sql(&format!("UPDATE approvals SET state = 'open' WHERE id = '{id}'")).await?;
    person(&provider, "bob", &["approvers"]);
    let browser = Browser::new(&world);
    assert_eq!(browser.visit(&provider, &id).await?.status, 200);
    world.sql("UPDATE users SET tenant_id = 'other' WHERE user_id = 'bob@example.com'").await?;

    let theirs = browser.get(&format!("/approvals/{id}")).await?;

    assert_eq!((theirs.status, theirs.header("x-tollgate-refusal")), (404, "approval_unknown"));
    assert!(!theirs.body.contains("ann@example.com"));
    let none = Browser::new(&world);
    let nothing = none.visit(&provider, "apr_000000000000000000000000").await?;
    assert_eq!(nothing.status, 404);
    assert_eq!(nothing.body, theirs.body, "as if there were none");
    for bad in ["x", "apr_..%2f", "apr_00000000000000000000000G"] {
        assert_eq!(none.get(&format!("/approvals/{bad}")).await?.status, 404, "{bad}");
    }
    Ok(())
}

#[tokio::test]
async fn a_form_from_elsewhere_decides_nothing_and_looking_decides_nothing() -> Fallible {
    let provider = Fake::start().await?;
    let (world, id, _) = asked_by_ann(&provider).await?;
    person(&provider, "bob", &["approvers"]);
    let browser = Browser::new(&world);
    let path = format!("/approvals/{id}");
    let preview = ask(world.at.public, "GET", &path, &[], "").await?;
    assert_eq!(preview.status, 303, "whoever looks at the link alone is sent to sign in");
    let page = browser.visit(&provider, &id).await?;
    let form = token_of(&page)?;
    let good = [("form", &*form), ("choice", "approve")];
    let other = Browser::new(&world);
    for (who, fields, headers) in [
        (&other, &good[..], &HERE[..]),
        (&browser, &[("form", "x"), ("choice", "approve")], &HERE),
        (&browser, &[("choice", "approve")], &HERE),
        (&browser, &[("form", &*form), ("choice", "perhaps")], &HERE),
        (&browser, &good, &[("origin", "https://evil.example")]),
        (&browser, &good, &[("origin", "null"), ("sec-fetch-site", "cross-site")]),
    ] {
        let answer = who.post(&path, fields, headers).await?;
        assert_eq!(answer.status, 400, "{fields:?} {headers:?}: {}", answer.body);
        assert_eq!(state(&world, &id).await?, "open", "{fields:?} {headers:?}");
    }
    for (name, value) in
        [("content-security-policy", "frame-ancestors 'none'"), ("x-frame-options", "DENY")]
    {
        assert!(page.header(name).contains(value), "{name}");
    }
    assert_eq!(page.header("cache-control"), "no-store");

    let done =
        browser.post(&path, &[("form", &*form), ("choice", "deny"), ("note", "no")], &HERE).await?;
    assert!(done.body.contains("Denied by bob@example.com"), "{}", done.body);
    assert_eq!(browser.post(&path, &good, &HERE).await?.status, 400, "the form is spent");
    assert_eq!(state(&world, &id).await?, "denied");
    assert_eq!(row_of(&world, "approval deny").await?.text("user_id"), "bob@example.com");
    Ok(())
}

#[tokio::test]
async fn the_agent_hears_of_a_denial_and_is_not_asked_twice() -> Fallible {
    let provider = Fake::start().await?;
    let (world, id, token) = asked_by_ann(&provider).await?;
    let denied = tollgate(&world.place, &["approval", "deny", &id, "--note", "not today"])?;
    assert!(denied.status.success());

    let again = world.tool(&token, "request_approval", &wish()).await?;
    let looked = world.tool(&token, "check_approval", &json!({ "approval_id": id })).await?;

    for result in [again, looked] {
        let told = result.get("structuredContent").cloned().unwrap_or_default();
        let part = |name: &str| told.get(name).cloned().unwrap_or_default();
        assert_eq!((part("decision"), part("approval_id")), (json!("denied"), json!(id)));
        assert_eq!(part("note"), json!("not today"));
    }
    assert_eq!(world.store.approvals(None, None, 9).await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_decide_by_command_but_not_what_they_asked_for_themselves() -> Fallible {
    let provider = Fake::start().await?;
    let (world, id, _) = asked_by_ann(&provider).await?;
    let ran = |args: &[&str]| -> Fallible<(Option<i32>, String, String)> {
        let out = tollgate(&world.place, args)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((out.status.code(), text(&out.stdout), text(&out.stderr)))
    };

    let (_, listed, _) = ran(&["approval", "list"])?;
    assert!(listed.contains(&id) && listed.contains("tickets"), "{listed}");
    let (_, shown, _) = ran(&["approval", "show", &id])?;
    assert!(shown.contains("\"id\": 7") && shown.contains("ann@example.com"), "{shown}");
    let (_, shown, _) = ran(&["approval", "show", &id, "--json"])?;
    let shown: Value = serde_json::from_str(&shown)?;
    assert_eq!(shown.pointer("/arguments/id"), Some(&json!(7)));
    let nothing = "apr_000000000000000000000000";
    assert_eq!(ran(&["approval", "show", nothing])?.0, Some(3));
    assert_eq!(ran(&["approval", "approve", nothing])?.0, Some(3));

    let (code, _, said) = ran(&["approval", "approve", &id])?;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("once, until"), "{said}");
    let (code, _, said) = ran(&["approval", "deny", &id])?;
    assert_eq!(code, Some(1));
    assert!(said.contains("approved") && said.contains("any more"), "{said}");
    assert_eq!(ran(&["approval", "list"])?.1.lines().count(), 1, "nothing waits");
    let decisions = admin_rows(&world).await?;
    let of = |act: &str| {
        decisions.iter().filter(|row| row.get("payload").to_string().contains(act)).count()
    };
    assert_eq!((of("approval approve"), of("approval deny")), (1, 0));
    Ok(())
}

#[tokio::test]
async fn where_the_policy_names_nobody_nothing_is_asked_and_nothing_more_is_decided() -> Fallible {
    let provider = Fake::start().await?;
    let (world, id, token) = asked_by_ann(&provider).await?;
    world.place.publish(crate::world::POLICY)?;
    for _ in 0..40 {
        let other = json!({ "server": "mail", "tool": "send", "reason": "x", "arguments": {} });
        let result = world.tool(&token, "request_approval", &other).await?;
        if result.get("isError") == Some(&json!(true)) {
            assert!(result.to_string().contains("names nobody"), "{result}");
            person(&provider, "bob", &["approvers"]);
            let page = Browser::new(&world).visit(&provider, &id).await?;
            assert_eq!(page.header("x-tollgate-refusal"), "approval_nobody");
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(format!("the policy is not in force: {}", policy(1, 1)).into())
}
