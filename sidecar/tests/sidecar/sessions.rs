//! A person signs in by browser, and stays signed in while their provider vouches.

use crate::browser::{Browser, SESSION, arrived, begin, form, is, query, row, start, world};
use crate::provider::{Fake, Key};
use crate::world::{Fallible, World, ask};
use contract::claims::Claims;
use jwt_simple::algorithms::{Ed25519PublicKey, EdDSAPublicKeyLike};
use serde_json::{Value, json};
use tollgate::acts::Act;
use tollgate::clock;
use tollgate::operators::operator::Operator;

async fn claims(world: &World, told: &Value) -> Fallible<jwt_simple::claims::JWTClaims<Claims>> {
    let keys = world.gate("/gate/keys").await?.json()?;
    let key = Ed25519PublicKey::from_jwk(&keys.pointer("/keys/0").ok_or("no key")?.to_string())?;
    Ok(key.verify_token::<Claims>(told["token"].as_str().ok_or("no token")?, None)?)
}

#[tokio::test]
async fn a_person_signs_in_by_browser_allows_the_program_and_it_gets_a_session() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "    title: Acme <Works>\n", "").await?;
    let browser = Browser::new(&world);

    let page = browser.page(&provider).await?;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("Sign in on this computer as ann@example.com?"), "{}", page.body);
    assert!(page.body.contains("port 49152") && page.body.contains("Acme &lt;Works&gt;"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(page.header("cache-control"), "no-store");
    let home = browser.send(&form(&page, "allow")?).await?;
    let home = arrived(&home)?;
    assert_eq!(home["iss"], "https://tollgate.localhost");
    assert!(browser.cookies.borrow().is_empty(), "nothing is left in the browser");

    let answer = world.trade(&home["code"]).await?;
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (200, "no-store"),
        "{}",
        answer.body
    );
    let told = answer.json()?;
    let secret = told["session"].as_str().ok_or("no session")?;
    let parts: Vec<&str> = secret.splitn(3, '_').collect();
    assert_eq!((parts[0], parts[1].len(), parts[2].len()), ("tgs", 12, 43));
    assert_eq!(told["session_expires_in"], 43_200);
    let claims = claims(&world, &told).await?;
    assert_eq!(claims.custom.sid, format!("ses_{}", parts[1]));
    assert_eq!(
        (claims.custom.credential_id, claims.custom.groups),
        (claims.custom.sid, vec!["staff".to_owned()])
    );
    assert_eq!(serde_json::to_value(claims.custom.amr)?, json!("sso"));
    let acted = row(&answer)?;
    let sign_in = acted.sign_in.ok_or("no sign_in")?;
    assert_eq!(
        (&*acted.user_id, &*sign_in.tier, &*sign_in.provider),
        ("ann@example.com", "session", "acme")
    );
    assert_eq!(world.metric("tollgate_auth_sessions_total").await?, 1);
    let ann = world.store.user("ann@example.com").await?.ok_or("no Ann")?;
    assert_eq!(
        (&*ann.sub, ann.name.as_deref()),
        ("usr_1", Some("Ann")),
        "added by hand, bound now"
    );
    Ok(())
}

#[tokio::test]
async fn whoever_is_new_gets_an_account_and_keeps_it_under_a_new_address() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    provider.set().person =
        json!({ "sub": "s-bob", "email": "Bob@example.com", "email_verified": true });
    let (secret, _) = world.signed_in(&provider).await?;
    let before = world.store.user("bob@example.com").await?.ok_or("no Bob")?;
    assert_eq!(before.tenant_id, "acme");

    provider.set().person["email"] = "robert@example.com".into();
    let answer = world.refresh(&secret, "").await?;

    assert_eq!(answer.status, 200, "{}", answer.body);
    let after = world.store.user("robert@example.com").await?.ok_or("no Robert")?;
    assert_eq!(after.sub, before.sub);
    assert_eq!(world.store.user("bob@example.com").await?, None);
    Ok(())
}

#[tokio::test]
async fn what_only_the_userinfo_tells_is_asked_there() -> Fallible {
    let provider = Fake::start().await?;
    provider.set().only_userinfo = true;
    let world = world(&provider, "    groups: [staff]\n", "").await?;

    let (secret, _) = world.signed_in(&provider).await?;

    assert_eq!(world.refresh(&secret, "").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn cancelling_ends_it_and_the_program_hears_so() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let browser = Browser::new(&world);
    let page = browser.page(&provider).await?;

    let home = arrived(&browser.send(&form(&page, "cancel")?).await?)?;

    assert_eq!(home["error"], "access_denied");
    assert_eq!(home["state"], "program-state");
    assert!(!home.contains_key("code"));
    assert_eq!(browser.send(&form(&page, "allow")?).await?.status, 400, "it is over");
    Ok(())
}

#[tokio::test]
async fn two_sign_ins_at_once_in_one_browser_do_not_disturb_each_other() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let browser = Browser::new(&world);
    let one = browser.back(&provider, &[]).await?;
    let two = browser.back(&provider, &[]).await?;

    for back in [one, two] {
        let page = browser.get(&format!("/oauth/callback?{}", query(&back))).await?;
        let home = arrived(&browser.send(&form(&page, "allow")?).await?)?;
        assert_eq!(world.trade(&home["code"]).await?.status, 200);
    }
    Ok(())
}

#[tokio::test]
async fn where_there_are_several_providers_people_choose_or_their_domain_does() -> Fallible {
    let (one, two) = (Fake::start().await?, Fake::start().await?);
    let sections = [
        one.section("one", "    title: One & Co\n"),
        two.section("two", "").replace("example.com", "two.example"),
    ];
    let world = start(&sections.concat()).await?;
    let browser = Browser::new(&world);
    let sent_to = async |more: &[(&str, &str)]| -> Fallible<String> {
        Ok(browser.get(&begin(more)).await?.header("location").to_owned())
    };

    let page = browser.get(&begin(&[])).await?;
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("One &amp; Co") && page.body.contains("issuer=two"),
        "{}",
        page.body
    );
    let link = page
        .body
        .split("href=\"")
        .nth(2)
        .and_then(|rest| rest.split('"').next())
        .ok_or("no link")?;
    let chosen = browser.get(&link.replace("&amp;", "&")).await?;
    assert!(chosen.header("location").starts_with(&two.issuer()), "{link}");
    assert!(sent_to(&[("issuer", "one")]).await?.starts_with(&one.issuer()));
    assert!(sent_to(&[("login_hint", "Bob@Two.example")]).await?.starts_with(&two.issuer()));
    assert_eq!(sent_to(&[("login_hint", "bob@three.example")]).await?, "", "they choose");
    assert_eq!(browser.get(&begin(&[("issuer", "three")])).await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn each_algorithm_that_is_believed_is_verified_and_a_new_key_is_fetched() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    provider.rotate_keys();
    let (secret, _) = world.signed_in(&provider).await?;
    // The next unknown key within half a minute is not asked for.
    provider.set().key = Key::new("k3", "ES256");
    is(&world.refresh(&secret, "").await?, 503, "provider_away");

    let rsa = Key::new("r1", "RS256");
    for key in [Key::new("e1", "EdDSA"), rsa] {
        provider.set().key = key;
        crate::sessions_start::restarted(&provider).await?.signed_in(&provider).await?;
    }
    let key = std::mem::replace(&mut provider.set().key, Key::new("e2", "EdDSA"));
    provider.set().key = key.signing("PS256");
    crate::sessions_start::restarted(&provider).await?.signed_in(&provider).await?;
    Ok(())
}

#[tokio::test]
async fn an_operator_s_token_is_for_operating_and_only_for_who_has_a_role() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "    claims: { roles: { admins: platform } }\n", "").await?;
    let (secret, _) = world.signed_in(&provider).await?;
    let wanted = r#"{"audience":"operator"}"#;
    is(&world.refresh(&secret, wanted).await?, 403, "no_role");

    provider.set().person["groups"] = json!(["admins"]);
    let answer = world.refresh(&secret, wanted).await?;

    assert_eq!(answer.status, 200, "{}", answer.body);
    let told = answer.json()?;
    let claims = claims(&world, &told).await?;
    let audiences = claims.audiences.ok_or("no audience")?;
    assert_eq!(audiences.into_string()?, "tollgate/operator");
    assert_eq!(
        (told["ttl"].as_u64(), claims.custom.roles),
        (Some(900), vec!["platform".to_owned()])
    );
    let secret = told["session"].as_str().ok_or("no session")?;
    let other = world.refresh(secret, r#"{"audience":"root"}"#).await?;
    assert_eq!(other.status, 400);
    let shorter = world.refresh(secret, r#"{"ttl":600}"#).await?.json()?;
    assert_eq!(shorter["ttl"], 600);
    Ok(())
}

#[tokio::test]
async fn signing_out_ends_the_session_and_what_was_minted() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (secret, told) = world.signed_in(&provider).await?;
    let bearer = format!("Bearer {secret}");

    let answer = ask(world.at.public, "DELETE", SESSION, &[("authorization", &bearer)], "").await?;

    assert_eq!(answer.status, 204);
    assert_eq!(row(&answer)?.sign_in.ok_or("no sign_in")?.act, "ended");
    is(&world.refresh(&secret, "").await?, 401, "session_ended");
    let sid = claims(&world, &told).await?.custom.sid;
    let standing = world.store.standing().await?;
    assert!(standing.entries.iter().any(|entry| entry.id == sid), "its tokens are stopped");
    Ok(())
}

#[tokio::test]
async fn an_operator_ends_or_revokes_a_session_also_one_without_a_token_in_use() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (one, told) = world.signed_in(&provider).await?;
    let (two, _) = world.signed_in(&provider).await?;
    let ids: Vec<String> = world.store.sessions().await?.into_iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), 2);
    world.sql("DELETE FROM tokens").await?;

    let sid = claims(&world, &told).await?.custom.sid;
    let act = Act::new(&Operator::owner(), "session end")?;
    let ended = world.store.end_session(&sid, "test", clock::now(), Some(&act)).await?;
    assert_eq!(ended.ok_or("no session")?.user_id, "ann@example.com");
    is(&world.refresh(&one, "").await?, 401, "session_ended");

    let other = ids.iter().find(|id| **id != sid).ok_or("no other")?;
    let measure = tollgate::store::measures::Measure {
        kind: contract::standing::Kind::Session,
        id: other.clone(),
        effect: contract::standing::Effect::Revoked,
        ends_at: None,
        set_at: clock::now(),
        set_by: "test".into(),
        why: "test".into(),
    };
    world.store.lay(&measure, false, &act).await?;
    is(&world.refresh(&two, "").await?, 401, "access_revoked");
    Ok(())
}

#[tokio::test]
async fn who_was_disabled_or_paused_gets_no_token_and_who_is_paused_keeps_the_session() -> Fallible
{
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (secret, _) = world.signed_in(&provider).await?;
    let act = Act::new(&Operator::owner(), "test")?;
    let pause = tollgate::store::measures::Measure {
        kind: contract::standing::Kind::User,
        id: "ann@example.com".into(),
        effect: contract::standing::Effect::Paused,
        ends_at: None,
        set_at: clock::now(),
        set_by: "test".into(),
        why: "test".into(),
    };
    world.store.lay(&pause, false, &act).await?;
    is(&world.refresh(&secret, "").await?, 403, "access_paused");
    let all = tollgate::store::measures::Which::All;
    world.store.lift(pause.kind, &pause.id, all, clock::now(), &act).await?;
    let again = world.refresh(&secret, "").await?;
    assert!(again.json()?["session"].is_string(), "the secret was not replaced meanwhile");

    world.store.disable_user("ann@example.com", clock::now(), &act).await?;
    is(&world.refresh(&secret, "").await?, 401, "user_disabled");
    let page = Browser::new(&world).page(&provider).await?;
    is(&page, 401, "user_disabled");
    Ok(())
}

#[tokio::test]
async fn where_there_is_no_provider_the_paths_say_so() -> Fallible {
    let world = World::start().await?;
    assert_eq!(world.trade("x").await?.status, 404);
    assert_eq!(Browser::new(&world).get(&begin(&[])).await?.status, 404);
    Ok(())
}
