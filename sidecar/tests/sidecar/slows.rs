//! Who guesses waits; who does not is not kept waiting by who does.

use crate::world::{Answer, Fallible, Place, World, ask};
use contract::audit::Acted;
use serde_json::json;
use std::fs;
use std::time::Duration;

async fn world() -> Fallible<World> {
    let mut place = Place::new()?;
    let file = place.directory.path().join("identity.yaml");
    let limits = json!({ "free": 3, "longest": "60s" });
    let identity = json!({ "schema": "tollgate.identity/v1", "attempts": limits });
    fs::write(&file, identity.to_string())?;
    place.identity = Some(file);
    World::start_in(place).await
}

async fn trade(world: &World, address: &str, token: &str) -> Fallible<Answer> {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer), ("x-tollgate-source-address", address)];
    ask(world.at.public, "POST", "/v1/auth/cowork/pat", &headers, "").await
}

fn acted(answer: &Answer) -> Fallible<Acted> {
    Ok(serde_json::from_str(answer.header("x-tollgate-caller"))?)
}

/// Another secret behind the same name.
fn guess(pat: &str) -> String {
    let name: Vec<&str> = pat.splitn(3, '_').take(2).collect(); // the secret may have a `_` too
    format!("{}_{}", name.join("_"), "A".repeat(43))
}

/// So many failures: three beyond the free ones, so that the next wait, four seconds, is long enough to look at.
async fn fail(world: &World, address: &str, token: &str, times: usize) -> Fallible {
    let mut failed = 0;
    while failed < times {
        match trade(world, address, token).await?.status {
            401 => failed += 1,
            429 => tokio::time::sleep(Duration::from_millis(200)).await,
            other => return Err(format!("answered {other}").into()),
        }
    }
    Ok(())
}

#[tokio::test]
async fn beyond_the_free_failures_a_guess_waits_and_the_right_one_elsewhere_does_not() -> Fallible {
    let world = world().await?;
    let (pat, id) = world.pat(600).await?;
    let guess = guess(&pat);
    fail(&world, "192.0.2.1", &guess, 6).await?;

    let slowed = trade(&world, "192.0.2.1", &guess).await?;

    assert_eq!(slowed.status, 429);
    assert_eq!(slowed.header("x-tollgate-refusal"), "too_many_attempts");
    assert!(slowed.header("retry-after").parse::<u64>()? >= 1);
    assert_eq!(slowed.json()?["error"]["type"], "rate_limit_error");
    assert_eq!(acted(&slowed)?.credential_id, Some(id), "the first is told of whom");
    let next = trade(&world, "192.0.2.1", &pat).await?;
    assert_eq!(next.status, 429, "not even looked at");
    assert_eq!(acted(&next)?.credential_id, None, "the rest is counted");
    assert_eq!(acted(&next)?.rule_id.as_deref(), Some("too_many_attempts"));

    assert_eq!(trade(&world, "198.51.100.1", &pat).await?.status, 200, "its owner, elsewhere");
    let (other, _) = world.pat(600).await?;
    assert_eq!(trade(&world, "192.0.2.1", &other).await?.status, 200, "an office's other people");
    let metric = "tollgate_auth_refusals_total{code=\"too_many_attempts\"}";
    assert!(world.metric(metric).await? >= 2);
    Ok(())
}

#[tokio::test]
async fn guesses_at_tokens_that_are_none_count_for_their_address() -> Fallible {
    let world = world().await?;
    fail(&world, "192.0.2.1", "rubbish", 18).await?;

    assert_eq!(trade(&world, "192.0.2.1", "rubbish").await?.status, 429);
    let bearer = [("authorization", "Bearer tgd_x"), ("x-tollgate-source-address", "192.0.2.1")];
    let scim = ask(world.at.public, "GET", "/scim/v2/Users", &bearer, "").await?;
    assert_eq!(
        (scim.status, scim.json()?["status"].clone()),
        (429, json!("429")),
        "whatever is tried"
    );
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-tollgate-source-address", "192.0.2.1"),
    ];
    let body = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=x&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt";
    let exchange = ask(world.at.public, "POST", "/oauth/token", &form, body).await?;
    assert_eq!(
        (exchange.status, exchange.header("x-tollgate-refusal")),
        (429, "too_many_attempts")
    );
    assert_eq!(trade(&world, "192.0.2.2", "rubbish").await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn a_right_credential_that_may_not_is_no_guess() -> Fallible {
    let world = world().await?;
    let (pat, _) = world.pat(600).await?;
    world
        .store
        .disable_user(
            "ann@example.com",
            1,
            &tollgate::acts::Act::new(&tollgate::operators::operator::Operator::owner(), "test")?,
        )
        .await?;
    for _ in 0..10 {
        assert_eq!(trade(&world, "192.0.2.1", &pat).await?.status, 401);
    }
    Ok(())
}
