//! What laptops are served: the document of their audience, its archives, and no others.

use crate::laptops::{MANIFEST, Plugins, contents, error, key, plugin, put, signed};
use crate::world::{Answer, Fallible, Place, World, ask};
use contract::manifest::{self, sha256};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};
use tollgate::acts::Act;
use tollgate::manifest::signing::Key;
use tollgate::operators::operator::Operator;
use tollgate::run::Sidecar;
use tollgate::settings::Postgres;
use tollgate::store::Row;
use tollgate::{clock, keys};

/// The audience of a document, which the installation's pins vouch for.
fn audience(world: &World, answer: &Answer) -> Fallible<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let opened = manifest::open(&answer.bytes, &keys::manifest_pins(&world.place.data)?)?;
    Ok(opened.document().audience.clone())
}

async fn manifests(world: &World) -> Fallible<Vec<Row>> {
    let mut rows = world.rows().await?;
    rows.retain(|row| row.text("kind") == "manifest");
    Ok(rows)
}

#[tokio::test]
async fn each_is_served_the_document_of_the_first_audience_that_fits() -> Fallible {
    let world = World::start().await?;
    let (ann, fay) =
        (world.laptop("ann", &[]).await?, world.laptop("fay", &["x", "finance"]).await?);
    assert_eq!(error(&world.get(&ann, MANIFEST, &[]).await?)?, (404, "not_found_error".into()));

    world.release(7, &Plugins::default()).await?;

    let answer = world.get(&ann, MANIFEST, &[]).await?;
    assert_eq!(audience(&world, &answer)?, "everyone");
    assert_eq!(answer.header("content-type"), "application/vnd.dsse.envelope.v1+json");
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(audience(&world, &world.get(&fay, MANIFEST, &[]).await?)?, "finance");
    let other = world.laptop_of("otto", "other", &["finance"], 300).await?;
    let answer = world.get(&other, MANIFEST, &[]).await?;
    assert_eq!(error(&answer)?, (404, "not_found_error".into()), "in no audience");
    Ok(())
}

#[tokio::test]
async fn who_is_not_known_or_stopped_is_served_nothing() -> Fallible {
    let world = World::start().await?;
    let digests = world.release(7, &Plugins::default()).await?;
    let notes = plugin(&digests["notes"]);
    let (pat, _) = world.pat(3600).await?;
    for path in [MANIFEST, "/v1/cowork/marketplace.json", &notes] {
        let none = ask(world.at.public, "GET", path, &[], "").await?;
        assert_eq!(error(&none)?, (401, "authentication_error".into()), "{path}");
        assert_eq!(none.header("www-authenticate"), "Bearer");
        for bad in ["x", &pat, "e30.e30.e30"] {
            assert_eq!(world.get(bad, path, &[]).await?.status, 401, "{path} {bad}");
        }
    }
    assert_eq!(world.method("POST", "x", MANIFEST, &[], "").await?.status, 405);
    let report = ask(world.at.public, "POST", "/v1/cowork/sync-report", &[], "{}").await?;
    assert_eq!(report.status, 401);

    let (ann, _) = world.agent().await?;
    assert_eq!(world.get(&ann, MANIFEST, &[]).await?.status, 200);
    world
        .store
        .disable_user("ann@example.com", clock::now(), &Act::new(&Operator::owner(), "x")?)
        .await?;
    let begun = Instant::now();
    while world.get(&ann, MANIFEST, &[]).await?.status == 200 {
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "a token that is remembered outlives its user"
        );
    }
    assert_eq!(error(&world.get(&ann, &notes, &[]).await?)?, (403, "permission_error".into()));
    Ok(())
}

#[tokio::test]
async fn a_key_that_was_let_go_takes_the_tokens_it_signed_with_it() -> Fallible {
    let world = World::start().await?;
    world.release(7, &Plugins::default()).await?;
    let ann = world.laptop("ann", &[]).await?;
    assert_eq!(world.get(&ann, MANIFEST, &[]).await?.status, 200);
    let old: Vec<_> = fs::read_dir(world.place.data.signing())?.collect::<Result<_, _>>()?;
    keys::add(&world.place.data)?;
    for one in old {
        fs::remove_file(one.path())?;
    }
    let begun = Instant::now();
    while world.get(&ann, MANIFEST, &[]).await?.status == 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is remembered all the same");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.get(&ann, MANIFEST, &[]).await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn a_poll_of_who_has_it_is_a_304_and_only_a_change_leaves_a_row() -> Fallible {
    let world = World::start().await?;
    world.release(7, &Plugins::default()).await?;
    let fay = world.laptop("fay", &["finance"]).await?;
    let id = [("x-request-id", "req-1")];
    let tag = world.get(&fay, MANIFEST, &id).await?.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 32, "{tag}");
    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".into()] {
        let answer = world.get(&fay, MANIFEST, &[("if-none-match", &known)]).await?;
        assert_eq!((answer.status, answer.header("etag"), answer.bytes.len()), (304, &*tag, 0));
    }
    assert_eq!(world.get(&fay, MANIFEST, &[]).await?.status, 200, "asked again without it");
    assert_eq!(world.method("HEAD", &fay, MANIFEST, &[], "").await?.status, 200);
    assert_eq!(manifests(&world).await?.len(), 1);
    assert_eq!(world.metric("tollgate_manifest_requests_total{answer=\"unchanged\"} ").await?, 3);

    world.release(8, &Plugins::default()).await?;
    let answer = world.get(&fay, MANIFEST, &[("if-none-match", &tag)]).await?;
    assert_eq!(audience(&world, &answer)?, "finance");

    let rows = manifests(&world).await?;
    let [first, second] = rows.as_slice() else { return Err("not two rows".into()) };
    let told = |row: &Row| (row.text("tenant_id"), row.text("user_id"), row.text("outcome"));
    for row in [first, second] {
        assert_eq!(told(row), ("acme".into(), "fay@example.com".into(), "allowed".into()));
    }
    assert_eq!(first.text("request_id"), "req-1");
    let payload: Value = serde_json::from_str(&second.text("payload"))?;
    assert_eq!(payload["target"], "manifest acme 8 finance");
    assert_eq!(payload["before"]["version"], 7);
    assert_eq!(
        (&payload["after"]["version"], &payload["after"]["audience"]),
        (&8.into(), &"finance".into())
    );
    Ok(())
}

#[tokio::test]
async fn a_marketplace_is_served_as_its_pin_says() -> Fallible {
    let world = World::start().await?;
    let (contents, digests) = contents(("acme", 7), 86_400, &Plugins::default())?;
    let pins: Vec<_> =
        contents.index.says.audiences.iter().map(|it| it.marketplace_sha256.clone()).collect();
    put(&world.store, &signed(&world.place, contents).await?).await?;
    world.until_version(7).await?;
    let fay = world.laptop("fay", &["finance"]).await?;

    let answer = world.get(&fay, "/v1/cowork/marketplace.json", &[]).await?;

    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert_eq!(Some(sha256(&answer.bytes)), pins[0]);
    let url = answer.json()?["plugins"][0]["source"]["url"].as_str().unwrap_or_default().to_owned();
    assert_eq!(url, format!("https://gateway.example{}.zip", plugin(&digests["ledger"])));
    let tag = answer.header("etag").to_owned();
    let again = world.get(&fay, "/v1/cowork/marketplace.json", &[("if-none-match", &tag)]).await?;
    assert_eq!(again.status, 304);
    world.get(&fay, MANIFEST, &[]).await?;
    assert_eq!(manifests(&world).await?.len(), 2, "each way has its row");
    Ok(())
}

#[tokio::test]
async fn what_no_pinned_key_has_signed_changes_nothing_and_is_heard_of() -> Fallible {
    let world = World::start().await?;
    world.release(7, &Plugins::default()).await?;
    let other = Place::new()?;
    let (foreign, _) = contents(("acme", 8), 86_400, &Plugins::default())?;
    let publication = signed(&other, foreign).await?;
    assert!(matches!(key(&other)?, Key::Here { .. }));
    put(&world.store, &publication).await?;

    let begun = Instant::now();
    while world.metric("tollgate_manifest_refused_total ").await? == 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody hears of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.metric("tollgate_manifest_version ").await?, 7);
    let ann = world.laptop("ann", &[]).await?;
    assert_eq!(audience(&world, &world.get(&ann, MANIFEST, &[]).await?)?, "everyone");

    // Once it is pinned it counts.
    fs::copy(other.data.manifest_pin(), world.place.data.manifest_keys().join("next.pub"))?;
    world.until_version(8).await?;
    Ok(())
}

#[tokio::test]
async fn a_database_that_takes_nothing_keeps_nobody_from_their_document() -> Fallible {
    let world = World::start().await?;
    world.release(7, &Plugins::default()).await?;
    let ann = world.laptop("ann", &[]).await?;
    world.sql("ALTER TABLE fleet_served RENAME TO gone").await?;

    let begun = Instant::now();
    assert_eq!(audience(&world, &world.get(&ann, MANIFEST, &[]).await?)?, "everyone");
    assert!(begun.elapsed() < Duration::from_millis(1_900), "{:?}", begun.elapsed());
    while world.metric("tollgate_manifest_unrecorded_total ").await? == 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody hears of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn all_sidecars_of_a_database_serve_the_same_and_write_it_down_once() -> Fallible {
    let (mut one, mut other) = (Place::new()?, Place::new()?);
    let postgres = Some(Postgres { url: cluster::shared()?.database()?, read_url: None });
    one.data = one.data.with_postgres(postgres.clone());
    other.data = other.data.with_postgres(postgres);
    fs::copy(one.data.policy_pin(), other.data.policy_pin())?;
    fs::copy(one.data.policy(), other.data.policy())?;
    fs::copy(one.data.manifest_pin(), other.data.manifest_pin())?;
    let world = World::start_in(one).await?;
    let there = Sidecar::start(other.settings()).await?;
    let digests = world.release(7, &Plugins::default()).await?;
    let at = there.addresses();
    let begun = Instant::now();
    while !ask(at.operators, "GET", "/metrics", &[], "")
        .await?
        .body
        .contains("tollgate_manifest_version 7\n")
    {
        assert!(begun.elapsed() < Duration::from_secs(2), "not followed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // Each has a signing key of its own: a token for each.
    let here = world.laptop("fay", &["finance"]).await?;
    let first = world.get(&here, MANIFEST, &[]).await?;
    let World { place, .. } = &world;
    let saved = place.data.signing();
    for entry in fs::read_dir(&saved)? {
        let entry = entry?;
        fs::copy(entry.path(), other.data.signing().join(entry.file_name()))?;
    }
    let bearer = format!("Bearer {here}");
    let begun = Instant::now();
    let second = loop {
        let answer = ask(at.public, "GET", MANIFEST, &[("authorization", &bearer)], "").await?;
        if answer.status == 200 {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(first.bytes, second.bytes);
    assert_eq!(first.header("etag"), second.header("etag"));
    let path = plugin(&digests["ledger"]);
    let archive = ask(at.public, "GET", &path, &[("authorization", &bearer)], "").await?;
    assert_eq!(sha256(&archive.bytes), digests["ledger"]);
    assert_eq!(manifests(&world).await?.len(), 1, "one change, whoever serves it");
    there.drain().await;
    Ok(())
}

#[tokio::test]
async fn an_expired_document_is_served_still_and_none_is_published() -> Fallible {
    let world = World::start().await?;
    let (short, _) = contents(("acme", 7), 2, &Plugins::default())?;
    put(&world.store, &signed(&world.place, short).await?).await?;
    world.until_version(7).await?;
    let (over, _) = contents(("acme", 8), 1, &Plugins::default())?;
    let over = signed(&world.place, over).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let ann = world.laptop("ann", &[]).await?;
    assert_eq!(audience(&world, &world.get(&ann, MANIFEST, &[]).await?)?, "everyone");
    assert!(world.metric("tollgate_manifest_expires_timestamp_seconds ").await? < clock::now());
    let refused = put(&world.store, &over).await.unwrap_err().to_string();
    assert!(refused.contains("expired"), "{refused}");
    let (other, _) = contents(("other", 9), 99, &Plugins::default())?;
    let refused = put(&world.store, &signed(&world.place, other).await?).await;
    assert!(refused.unwrap_err().to_string().contains("--other-catalogue"));
    Ok(())
}
