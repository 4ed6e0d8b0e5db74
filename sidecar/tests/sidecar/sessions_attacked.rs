//! Attacks on signing in by browser, by their names.

use crate::browser::{Browser, LOOPBACK, SESSION, VERIFIER, begin, form, is, query, start, world};
use crate::provider::{Fake, Lie};
use crate::world::{Answer, Fallible, ask};
use serde_json::json;

/// The page says that it cannot go on, and the browser is sent nowhere.
fn stops(answer: &Answer) {
    assert!([400, 403].contains(&answer.status), "{}: {}", answer.status, answer.body);
    assert_eq!(answer.header("location"), "");
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(
        answer.body.contains("start") || answer.body.contains("Start"),
        "what to do: {}",
        answer.body
    );
}

#[tokio::test]
async fn redirect_tricks_get_no_code() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let browser = Browser::new(&world);
    for trick in [
        "http://evil.example:49152/callback",
        "https://127.0.0.1:49152/callback",
        "http://localhost:49152/callback",
        "http://127.0.0.1:49152@evil.example/callback",
        "http://127.0.0.1:49152/other",
        "http://127.0.0.1:49152/callback#x",
        "http://127.0.0.1:49152/callback?x",
        "http://127.0.0.1/callback",
        "//evil.example/callback",
        "",
    ] {
        stops(&browser.get(&begin(&[("redirect_uri", trick)])).await?);
    }
    let twice = format!("{}&{}", begin(&[]), query(&[("redirect_uri", "http://evil.example/")]));
    stops(&browser.get(&twice).await?);
    for (name, value) in
        [("state", ""), ("code_challenge", "short"), ("code_challenge_method", "plain")]
    {
        stops(&browser.get(&begin(&[(name, value)])).await?);
    }
    Ok(())
}

/// Fixation: a sign-in that was begun in one browser is not finished in another.
#[tokio::test]
async fn a_callback_without_its_browser_s_cookie_is_refused() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (evil, victim) = (Browser::new(&world), Browser::new(&world));
    let back = evil.back(&provider, &[]).await?;
    stops(&victim.get(&format!("/oauth/callback?{}", query(&back))).await?);

    let own = victim.back(&provider, &[]).await?;
    assert_eq!(victim.cookies.borrow().len(), 1, "with a cookie of their own");
    stops(&victim.get(&format!("/oauth/callback?{}", query(&back))).await?);
    // A cookie under another's name was not sealed for it.
    let foreign = evil.cookies.borrow().keys().next().cloned().ok_or("no cookie")?;
    let value = victim.cookies.borrow().values().next().cloned().ok_or("no cookie")?;
    victim.cookies.borrow_mut().insert(foreign, value);
    stops(&victim.get(&format!("/oauth/callback?{}", query(&back))).await?);
    assert_eq!(victim.get(&format!("/oauth/callback?{}", query(&own))).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_state_that_is_not_the_one_that_was_sent_is_refused_and_no_answer_counts_twice()
-> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let browser = Browser::new(&world);
    let mut back = browser.back(&provider, &[]).await?;
    let good = query(&back);
    back[1].1.push('x');
    stops(&browser.get(&format!("/oauth/callback?{}", query(&back))).await?);
    stops(&browser.get("/oauth/callback?code=x").await?);
    assert_eq!(browser.get(&format!("/oauth/callback?{good}")).await?.status, 200);
    stops(&browser.get(&format!("/oauth/callback?{good}")).await?);
    Ok(())
}

/// RFC 9207: another provider's answer to a question of this one's.
#[tokio::test]
async fn a_mix_up_of_issuers_is_refused() -> Fallible {
    let (one, two) = (Fake::start().await?, Fake::start().await?);
    let world = start(&[one.section("one", ""), two.section("two", "")].concat()).await?;
    for iss in [Some(two.issuer()), Some("http://127.0.0.1:9".into()), None] {
        let browser = Browser::new(&world);
        let mut back = browser.back(&one, &[("issuer", "one")]).await?;
        back.truncate(2);
        back.extend(iss.map(|iss| ("iss".to_owned(), iss)));
        stops(&browser.get(&format!("/oauth/callback?{}", query(&back))).await?);
    }
    Ok(())
}

#[tokio::test]
async fn an_id_token_that_lies_in_any_way_signs_nobody_in() -> Fallible {
    let provider = Fake::start().await?;
    let secret = tempfile::NamedTempFile::new()?;
    std::fs::write(secret.path(), "hunter2")?;
    let more = format!("    client_secret: {{ file: {} }}\n", secret.path().display());
    let world = world(&provider, &more, "").await?;
    for lie in [
        Lie::AlgNone,
        Lie::HmacOfSecret,
        Lie::HmacOfPublicKey,
        Lie::WrongKey,
        Lie::UnknownKid,
        Lie::Expired,
        Lie::Early,
        Lie::OtherAudience,
        Lie::TwoAudiences,
        Lie::OtherParty,
        Lie::OtherIssuer,
        Lie::OtherNonce,
        Lie::NoNonce,
        Lie::OtherUserinfo,
    ] {
        provider.set().lie = lie;
        let page = Browser::new(&world).page(&provider).await?;
        assert_eq!(page.status, 400, "{lie:?}: {}", page.body);
        assert!(!page.body.contains("name=\"form\"") && !page.body.contains("hunter2"), "{lie:?}");
    }
    provider.set().lie = Lie::None;
    assert_eq!(Browser::new(&world).page(&provider).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute_and_not_by_more() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    for (ahead, status) in [(50, 200), (-340, 200), (75, 400), (-375, 400)] {
        provider.set().ahead = ahead;
        assert_eq!(Browser::new(&world).page(&provider).await?.status, status, "{ahead}");
    }
    Ok(())
}

/// CSRF: only the page's own form, in the browser that it was shown in, is the person's decision.
#[tokio::test]
async fn an_approval_that_others_sent_does_not_count() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let browser = Browser::new(&world);
    let page = browser.page(&provider).await?;
    let good = form(&page, "allow")?;

    stops(&Browser::new(&world).send(&good).await?);
    let mut wrong = good.clone();
    wrong[2].1 = "x".repeat(43);
    stops(&browser.send(&wrong).await?);
    // The cookie was not taken away: the person may still decide.
    let page = browser.page(&provider).await?;
    let good = form(&page, "allow")?;
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "null"), ("sec-fetch-site", "cross-site")],
    ] {
        stops(&browser.send_with(&good, headers).await?);
    }
    let from_here = [("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")];
    assert_eq!(browser.send_with(&good, &from_here).await?.status, 303);
    stops(&browser.send_with(&good, &from_here).await?);
    let framed = page.header("content-security-policy");
    assert!(framed.contains("frame-ancestors 'none'"), "nobody frames it: {framed}");
    Ok(())
}

/// RFC 6749 §4.1.2: two have the code, so nobody keeps what it gave.
#[tokio::test]
async fn a_code_that_is_replayed_ends_the_session_that_it_gave() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let code = Browser::new(&world).code(&provider).await?;
    let first = world.trade(&code).await?.json()?;
    let secret = first["session"].as_str().ok_or("no session")?;

    is(&world.trade(&code).await?, 401, "code_unknown");

    is(&world.refresh(secret, "").await?, 401, "session_ended");
    Ok(())
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_its_verifier_and_address() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    for (verifier, address) in
        [("another", LOOPBACK), ("", LOOPBACK), (VERIFIER, "http://127.0.0.1:49153/callback")]
    {
        let code = Browser::new(&world).code(&provider).await?;
        let body = json!({ "code": code, "code_verifier": verifier, "redirect_uri": address });
        let answer = ask(world.at.public, "POST", SESSION, &[], &body.to_string()).await?;
        is(&answer, 401, "code_mismatch");
        is(&world.trade(&code).await?, 401, "code_unknown");
    }
    for body in [r#"{"code":"x"}"#, "{", "[]", r#"{"code":1}"#] {
        let answer = ask(world.at.public, "POST", SESSION, &[], body).await?;
        is(&answer, 400, "session_missing");
    }
    is(&ask(world.at.public, "POST", SESSION, &[], "").await?, 400, "session_missing");
    is(&world.trade("000000000000_x").await?, 401, "code_unknown");
    Ok(())
}

#[tokio::test]
async fn a_code_that_is_too_old_is_unknown() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let code = Browser::new(&world).code(&provider).await?;
    world.sql("UPDATE sessions SET code_until = code_until - 121").await?;

    is(&world.trade(&code).await?, 401, "code_unknown");
    Ok(())
}

#[tokio::test]
async fn an_address_of_another_account_is_a_conflict() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    world.signed_in(&provider).await?;

    provider.set().person["sub"] = "s-eve".into();
    is(&Browser::new(&world).page(&provider).await?, 403, "account_conflict");

    // Nor may a provider of one tenant take whom another tenant has added.
    world.sql("INSERT INTO users (sub, user_id, tenant_id, groups, roles, populations, created_at) VALUES ('usr_9', 'zoe@example.com', 'beta', '[]', '[]', '[]', 0)").await?;
    provider.set().person =
        json!({ "sub": "s-zoe", "email": "zoe@example.com", "email_verified": true });
    is(&Browser::new(&world).page(&provider).await?, 403, "account_conflict");
    Ok(())
}

#[tokio::test]
async fn who_is_not_verified_of_a_foreign_domain_or_in_no_group_is_refused() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "    groups: [staff]\n", "").await?;
    for (name, value, code) in [
        ("email_verified", json!(false), "email_unverified"),
        ("email", json!("ann@evil.example"), "not_entitled"),
        ("groups", json!(["guests"]), "not_entitled"),
    ] {
        let before = std::mem::replace(&mut provider.set().person[name], value);
        is(&Browser::new(&world).page(&provider).await?, 403, code);
        provider.set().person[name] = before;
    }
    assert_eq!(Browser::new(&world).page(&provider).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_provider_that_says_no_ends_on_a_page_that_does_not_repeat_it() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let browser = Browser::new(&world);
    let back = browser.back(&provider, &[]).await?;
    let told = [&back[1], &back[2], &("error".into(), "<b>access_denied".into())];
    let page = browser.get(&format!("/oauth/callback?{}", query(&told.map(Clone::clone)))).await?;

    stops(&page);
    assert!(!page.body.contains("access_denied"));
    Ok(())
}
