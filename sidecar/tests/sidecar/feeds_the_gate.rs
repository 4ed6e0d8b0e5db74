//! What the gate fetches each second is what holds now.

use crate::starts::tollgate;
use crate::world::{Answer, Fallible, POLICY, World, ask};
use contract::claims::Claims;
use contract::standing::{Board, Marks, Stop};
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tollgate::clock;

const CHANGED: &[u8] =
    br#"{"schema":"tollgate.policy/v1","name":"next","rules":[{"id":"all","models":["claude-*"]}]}"#;

/// The standing as the gate reads it.
pub(crate) fn board(answer: &Answer) -> Fallible<Board> {
    Ok(Board::read(answer.bytes.clone())?)
}

/// Is Ann stopped, with this credential?
pub(crate) fn stopped(answer: &Answer, credential_id: &str) -> Fallible<Option<Stop>> {
    let claims = json!({"tenant_id": "acme", "sid": "s", "client_id": "c", "policy_version": "v",
        "amr": "pat", "credential_id": credential_id});
    let claims: Claims = serde_json::from_value(claims)?;

    Ok(board(answer)?.stops(&Marks::new("ann@example.com", "usr_1", "", &claims), clock::now()))
}

/// Waits until the document changes, or the time is over.
pub(crate) async fn changed(world: &World, path: &str, from: &str) -> Fallible<bool> {
    for _ in 0..30 {
        if world.gate(path).await?.body != from {
            return Ok(true);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(false)
}

#[tokio::test]
async fn a_document_that_has_not_changed_is_not_sent_again() -> Fallible {
    let world = World::start().await?;

    for path in ["/gate/policy", "/gate/keys", "/gate/standing"] {
        let first = world.gate(path).await?;
        assert_eq!(first.status, 200, "{path}");
        let kind = if path == "/gate/standing" { "octet-stream" } else { "json" };
        assert_eq!(first.header("content-type"), format!("application/{kind}"));
        let tag = [("if-none-match", first.header("etag"))];
        let again = ask(world.at.gate, "GET", path, &tag, "").await?;
        assert_eq!((again.status, &*again.body), (304, ""), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_revocation_is_told_within_half_a_second() -> Fallible {
    let world = World::start().await?;
    let (pat, id) = world.pat(60).await?;
    world.sign_in(&pat).await?;
    let before = world.gate("/gate/standing").await?;

    let start = Instant::now();
    world
        .store
        .revoke_pat(
            &id,
            clock::now(),
            &tollgate::acts::Act::new(&tollgate::operators::operator::Operator::owner(), "test")?,
        )
        .await?;
    assert!(changed(&world, "/gate/standing", &before.body).await?);
    let took = start.elapsed();

    let after = world.gate("/gate/standing").await?;
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(after.header("age"), "0", "it is as the store has it");
    assert_eq!(stopped(&after, &id)?, Some(Stop::Revoked));
    assert!(board(&after)?.version() > board(&before)?.version());
    Ok(())
}

#[tokio::test]
async fn who_is_disabled_by_the_command_is_stopped_within_a_second_and_enabled_let_in() -> Fallible
{
    let world = World::start().await?;
    let (pat, _) = world.pat(60).await?;
    world.sign_in(&pat).await?;
    let before = world.gate("/gate/standing").await?;

    let disabled = tollgate(&world.place, &["user", "disable", "Ann@example.com"])?;
    assert!(disabled.status.success(), "{disabled:?}");
    assert!(changed(&world, "/gate/standing", &before.body).await?);
    let listed = world.gate("/gate/standing").await?;
    assert_eq!(stopped(&listed, "any credential")?, Some(Stop::Revoked));
    assert_eq!(world.sign_in(&pat).await?.status, 401);

    let enabled = tollgate(&world.place, &["user", "enable", "ann@example.com", "--json"])?;
    let told: serde_json::Value = serde_json::from_slice(&enabled.stdout)?;
    assert_eq!(told, json!({"user_id": "ann@example.com", "disabled": false}));
    assert!(changed(&world, "/gate/standing", &listed.body).await?);
    assert!(board(&world.gate("/gate/standing").await?)?.is_empty());
    assert_eq!(world.sign_in(&pat).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_published_policy_is_served_byte_for_byte_and_a_broken_one_is_not() -> Fallible {
    let world = World::start().await?;
    let before = world.gate("/gate/policy").await?;

    world.place.publish(CHANGED)?;
    assert!(changed(&world, "/gate/policy", &before.body).await?);
    let file = fs::read_to_string(world.place.data.policy())?;
    assert_eq!(world.gate("/gate/policy").await?.body, file);

    fs::write(world.place.data.policy(), file.replace("\"sig\":\"", "\"sig\":\"A"))?;
    assert!(!changed(&world, "/gate/policy", &file).await?, "the old one stays");
    assert_eq!(world.metric("tollgate_policy_refused_total").await?, 1);
    world.place.publish(String::from_utf8_lossy(POLICY).replace("acme", "again").as_bytes())?;
    assert!(changed(&world, "/gate/policy", &file).await?, "and a good one is taken again");
    Ok(())
}

#[tokio::test]
async fn a_new_signing_key_is_published_before_it_signs() -> Fallible {
    let world = World::start().await?;
    let (pat, _) = world.pat(60).await?;
    let before = world.gate("/gate/keys").await?;
    let old = before.json()?["keys"][0]["kid"].clone();

    let next = tollgate::keys::add(&world.place.data)?;
    assert!(changed(&world, "/gate/keys", &before.body).await?);

    let both = world.gate("/gate/keys").await?.json()?;
    let kids: Vec<_> =
        both["keys"].as_array().ok_or("no keys")?.iter().map(|k| &k["kid"]).collect();
    assert!(kids.contains(&&json!(next)) && kids.contains(&&old), "{both}");
    let token = world.sign_in(&pat).await?.json()?["token"].clone();
    let header = jwt_simple::token::Token::decode_metadata(token.as_str().ok_or("no token")?)?;
    assert_eq!(header.key_id(), old.as_str(), "gates first learn the new key");
    Ok(())
}

#[tokio::test]
async fn counted_refusals_become_one_row_however_often_they_are_sent() -> Fallible {
    let world = World::start().await?;
    let counts = json!([{"since": 1_763_730_000_000_000_u64, "source_address": "10.0.0.9",
        "rule_id": "token_expired", "status": 401, "kind": "inference", "count": 480, "sequence": {"boot": 1, "vm": 2, "n": 3}}])
    .to_string();
    let kind = [("content-type", "application/json")];

    for _ in 0..2 {
        let answer = ask(world.at.gate, "POST", "/gate/counted", &kind, &counts).await?;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }

    let rows = world.rows().await?;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get("payload")["repeated"], 480);
    assert_eq!((rows[0].text("outcome"), rows[0].text("status")), ("denied".into(), "401".into()));
    assert_eq!(rows[0].text("rule_id"), "token_expired", "as each of them alone would have said");
    Ok(())
}
