//! Archives of plugins: whole or in part, to whose document has them.

use crate::laptops::{LARGE, MANIFEST, Plugins, contents, error, plugin, put, signed};
use crate::world::{Fallible, World, ask};
use contract::manifest::{self, Kind, Revocation, sha256};
use std::fs;
use std::time::Duration;
use tollgate::manifest::revise;
use tollgate::run::Sidecar;
use tollgate::{clock, keys};

#[tokio::test]
async fn an_archive_is_sent_to_whose_document_has_it() -> Fallible {
    let world = World::start().await?;
    let digests = world.release(7, &Plugins::default()).await?;
    let (ann, fay) = (world.laptop("ann", &[]).await?, world.laptop("fay", &["finance"]).await?);
    let digest = &digests["ledger"];
    let path = plugin(digest);

    let whole = world.get(&fay, &path, &[]).await?;
    assert_eq!((whole.status, &sha256(&whole.bytes)), (200, digest));
    assert!(whole.bytes.len() > LARGE, "several blocks");
    let tag = format!("\"{digest}\"");
    for (name, value) in [
        ("content-type", "application/zip"),
        ("cache-control", "private, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
        ("etag", &tag),
        ("content-length", &whole.bytes.len().to_string()),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    assert_eq!(world.get(&fay, &format!("{path}.zip"), &[]).await?.bytes, whole.bytes);
    let head = world.method("HEAD", &fay, &path, &[("range", "bytes=0-1")], "").await?;
    let length = whole.bytes.len();
    assert_eq!(
        (head.status, head.header("content-length"), head.bytes.len()),
        (200, &*length.to_string(), 0)
    );
    let known = world.get(&fay, &path, &[("if-none-match", &tag)]).await?;
    assert_eq!((known.status, known.bytes.len()), (304, 0));

    let foreign = world.get(&ann, &path, &[]).await?;
    assert_eq!(error(&foreign)?, (404, "not_found_error".into()));
    let unknown = world.get(&ann, &plugin(&"0".repeat(64)), &[]).await?;
    assert_eq!(foreign.body, unknown.body, "what others have is not told");
    for bad in [
        digest.to_ascii_uppercase(),
        "..".into(),
        "%2e%2e%2fpolicy.dsse.json".into(),
        "x.zip".into(),
    ] {
        assert_eq!(world.get(&fay, &plugin(&bad), &[]).await?.status, 404, "{bad}");
    }
    Ok(())
}

#[tokio::test]
async fn a_part_of_an_archive_is_sent_to_who_has_the_rest() -> Fallible {
    let world = World::start().await?;
    let digests = world.release(7, &Plugins::default()).await?;
    let fay = world.laptop("fay", &["finance"]).await?;
    let digest = &digests["ledger"];
    let (path, tag) = (plugin(digest), format!("\"{digest}\""));
    let whole = world.get(&fay, &path, &[]).await?;
    let length = whole.bytes.len();

    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=262143-262144", 262_143, 262_145),
        ("bytes=300000-", 300_000, length),
        ("bytes=-7", length - 7, length),
        ("bytes=100-99999999", 100, length),
    ] {
        let part = world.get(&fay, &path, &[("range", range), ("if-range", &tag)]).await?;
        let of = format!("bytes {from}-{}/{length}", to - 1);
        assert_eq!((part.status, part.header("content-range")), (206, &*of), "{range}");
        assert!(part.bytes == whole.bytes[from..to], "{range}");
    }
    let beyond = world.get(&fay, &path, &[("range", "bytes=99999999-")]).await?;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, &*format!("bytes */{length}"))
    );
    for other in [
        [("range", "bytes=0-1,4-5"), ("x", "")],
        [("range", "bytes=5-2"), ("x", "")],
        [("range", "bytes=0-1"), ("if-range", "\"other\"")],
    ] {
        let answer = world.get(&fay, &path, &other).await?;
        assert_eq!((answer.status, answer.bytes.len()), (200, length), "{other:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_archive_whose_copy_is_spoilt_comes_from_the_database_again() -> Fallible {
    let world = World::start().await?;
    let digests = world.release(7, &Plugins::default()).await?;
    let fay = world.laptop("fay", &["finance"]).await?;
    let digest = &digests["ledger"];
    assert_eq!(world.get(&fay, &plugin(digest), &[]).await?.status, 200);
    let World { place, sidecar, .. } = world;
    sidecar.drain().await;
    let copy = place.data.archives().join(format!("{digest}.zip"));
    fs::write(&copy, b"something else")?;

    let sidecar = Sidecar::start(place.settings()).await?;
    let bearer = format!("Bearer {fay}");
    let at = sidecar.addresses().public;
    let answer = ask(at, "GET", &plugin(digest), &[("authorization", &bearer)], "").await?;
    assert_eq!((answer.status, &sha256(&answer.bytes)), (200, digest));
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn what_is_revoked_is_sent_to_nobody_any_more() -> Fallible {
    let world = World::start().await?;
    let (before, digests) = contents(("acme", 7), 86_400, &Plugins::default())?;
    put(&world.store, &signed(&world.place, before.clone()).await?).await?;
    world.until_version(7).await?;
    let fay = world.laptop("fay", &["finance"]).await?;
    let path = plugin(&digests["ledger"]);
    assert_eq!(world.get(&fay, &path, &[]).await?.status, 200);

    let ledger = Revocation { kind: Kind::Plugin, id: "ledger".into(), reason: None };
    let revised = revise::revoke(&before, ledger, 8, clock::now())?;
    put(&world.store, &signed(&world.place, revised.contents).await?).await?;

    let took = world.until_version(8).await?;
    assert!(took < Duration::from_millis(1_500), "{took:?}");
    assert_eq!(error(&world.get(&fay, &path, &[]).await?)?, (404, "not_found_error".into()));
    let answer = world.get(&fay, MANIFEST, &[]).await?;
    let opened = manifest::open(&answer.bytes, &keys::manifest_pins(&world.place.data)?)?;
    assert!(
        opened.document().revokes(Kind::Plugin, "ledger") && opened.document().plugins.is_empty()
    );
    Ok(())
}
