//! How long a session lasts, and what ends it.

use crate::browser::{is, row, world};
use crate::provider::{Fake, Lie};
use crate::world::{Fallible, World};
use serde_json::Value;
use std::time::Duration;

async fn grown(world: &World, column: &str, seconds: u64) -> Fallible {
    world.sql(&format!("UPDATE sessions SET {column} = {column} - {seconds}")).await
}

fn secret(answer: &crate::world::Answer) -> Fallible<Option<String>> {
    Ok(answer.json()?.get("session").and_then(Value::as_str).map(ToOwned::to_owned))
}

#[tokio::test]
async fn each_refresh_asks_the_provider_and_replaces_the_secret_and_its_grant() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (first, _) = world.signed_in(&provider).await?;

    let mut held = first.clone();
    for turn in 1..=3 {
        let answer = world.refresh(&held, "").await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(
            provider.set().refreshed,
            turn,
            "the provider was asked, with a token that is good once"
        );
        let sign_in = row(&answer)?.sign_in.ok_or("no sign_in")?;
        assert_eq!((&*sign_in.act, sign_in.flags.len()), ("refreshed", 0));
        held = secret(&answer)?.ok_or("no new secret")?;
        assert_eq!(held.get(..16), first.get(..16), "it is the same session");
    }
    assert_eq!(world.metric("tollgate_provider_answers_total{answer=\"confirmed\"}").await?, 3);
    Ok(())
}

#[tokio::test]
async fn two_terminals_refresh_within_the_grace_and_later_the_old_secret_ends_the_session()
-> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (old, _) = world.signed_in(&provider).await?;
    let new = secret(&world.refresh(&old, "").await?)?.ok_or("no new secret")?;

    let other = world.refresh(&old, "").await?;
    assert_eq!(
        (other.status, secret(&other)?),
        (200, None),
        "a token, and no secret: {}",
        other.body
    );

    world.sql("UPDATE session_secrets SET replaced_at = replaced_at - 61").await?;
    is(&world.refresh(&old, "").await?, 401, "session_reused");
    is(&world.refresh(&new, "").await?, 401, "session_ended");
    let entries = world.store.standing().await?.entries;
    assert_eq!(entries.len(), 1, "its tokens are stopped: {entries:?}");
    Ok(())
}

#[tokio::test]
async fn many_refreshes_at_once_lose_nothing() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (old, _) = world.signed_in(&provider).await?;

    let all = (0..6).map(|_| world.refresh(&old, ""));
    let answers = futures_util::future::try_join_all(all).await?;

    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let new: Vec<String> = answers.iter().filter_map(|it| secret(it).ok().flatten()).collect();
    assert_eq!(new.len(), 1, "one of them got the new secret");
    assert_eq!(
        world.refresh(&new[0], "").await?.status,
        200,
        "and the provider's grant was not lost"
    );
    Ok(())
}

#[tokio::test]
async fn who_has_left_is_out_at_the_next_refresh() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (secret, _) = world.signed_in(&provider).await?;
    provider.set().has_left = true;

    is(&world.refresh(&secret, "").await?, 401, "provider_refused");

    provider.set().has_left = false;
    is(&world.refresh(&secret, "").await?, 401, "session_ended");
    assert_eq!(world.store.standing().await?.entries.len(), 1, "tokens in use are stopped too");
    Ok(())
}

#[tokio::test]
async fn who_is_no_longer_entitled_is_out_at_the_next_refresh() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "    groups: [staff]\n", "").await?;
    let (secret, _) = world.signed_in(&provider).await?;
    provider.set().person["groups"] = serde_json::json!([]);

    is(&world.refresh(&secret, "").await?, 403, "not_entitled");
    is(&world.refresh(&secret, "").await?, 401, "session_ended");
    Ok(())
}

#[tokio::test]
async fn a_provider_that_is_away_stops_nobody_within_the_grace_and_everybody_behind_it() -> Fallible
{
    let provider = Fake::start().await?;
    let world = world(&provider, "", "sessions: { outage_grace: 1h }\n").await?;
    let (secret, _) = world.signed_in(&provider).await?;
    provider.set().is_away = true;

    let answer = world.refresh(&secret, "").await?;
    let told = answer.json()?;
    assert_eq!((answer.status, told["ttl"].as_u64()), (200, Some(300)), "{}", answer.body);
    assert_eq!(row(&answer)?.sign_in.ok_or("no sign_in")?.flags, ["provider_away"]);
    let secret = told["session"].as_str().ok_or("no session")?;

    grown(&world, "confirmed_at", 3_601).await?;
    let answer = world.refresh(secret, "").await?;
    is(&answer, 503, "provider_away");
    assert_eq!(answer.header("retry-after"), "5");
    provider.set().is_away = false;
    assert_eq!(
        world.refresh(secret, "").await?.status,
        200,
        "it goes on when the provider is back"
    );
    Ok(())
}

#[tokio::test]
async fn an_answer_that_cannot_be_believed_is_no_outage() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (secret, _) = world.signed_in(&provider).await?;
    provider.set().lie = Lie::WrongKey;

    is(&world.refresh(&secret, "").await?, 503, "provider_away");
    provider.set().lie = Lie::None;
    provider.set().person["sub"] = "s-eve".into();
    is(&world.refresh(&secret, "").await?, 503, "provider_away");
    Ok(())
}

#[tokio::test]
async fn a_session_ends_with_its_age_and_when_it_is_not_used() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "sessions: { max_age: 2h, idle: 10m }\n").await?;
    let (idle, told) = world.signed_in(&provider).await?;
    assert_eq!(told["session_expires_in"], 7_200);
    grown(&world, "used_at", 601).await?;
    is(&world.refresh(&idle, "").await?, 401, "session_expired");

    let (old, _) = world.signed_in(&provider).await?;
    grown(&world, "expires_at", 6_800).await?;
    let answer = world.refresh(&old, "").await?;
    let ttl = answer.json()?["ttl"].as_u64().ok_or("no ttl")?;
    assert!((380..=400).contains(&ttl), "no token outlives its session: {ttl}");
    grown(&world, "expires_at", 400).await?;
    is(&world.refresh(&old, "").await?, 401, "session_expired");
    Ok(())
}

#[tokio::test]
async fn without_a_refresh_token_a_session_lasts_as_long_as_one_token() -> Fallible {
    let provider = Fake::start().await?;
    provider.set().refreshes = false;
    let world = world(&provider, "", "").await?;
    let (secret, told) = world.signed_in(&provider).await?;
    assert_eq!(told["session_expires_in"], 3_600);

    let answer = world.refresh(&secret, "").await?;
    assert_eq!(answer.status, 200);
    assert_eq!(row(&answer)?.sign_in.ok_or("no sign_in")?.flags, ["provider_not_asked"]);
    grown(&world, "expires_at", 3_600).await?;
    is(&world.refresh(&secret, "").await?, 401, "session_expired");
    Ok(())
}

#[tokio::test]
async fn what_the_provider_gave_is_sealed_in_the_database_and_secrets_are_hashed() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (secret, _) = world.signed_in(&provider).await?;
    tokio::time::sleep(Duration::from_millis(10)).await;

    let mut bytes = std::fs::read(world.place.data.database())?;
    bytes.extend(
        std::fs::read(world.place.data.database().with_extension("db-wal")).unwrap_or_default(),
    );
    for hidden in [&*secret, "provider-refresh-", "provider-code-"] {
        let found = bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes());
        assert!(!found, "{hidden} stands there");
    }
    assert!(bytes.windows(7).any(|window| window == b"s-ann\x27" || window.starts_with(b"s-ann")));
    Ok(())
}

#[tokio::test]
async fn with_another_key_the_grant_cannot_be_read_and_nobody_is_told_otherwise() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    let (secret, _) = world.signed_in(&provider).await?;
    world
        .sql("UPDATE sessions SET provider_grant = '00000000.' || substr(provider_grant, 10)")
        .await?;

    let answer = world.refresh(&secret, "").await?;

    is(&answer, 503, "provider_away");
    assert_eq!(row(&answer)?.sign_in.ok_or("no sign_in")?.flags, ["unreadable"]);
    Ok(())
}
