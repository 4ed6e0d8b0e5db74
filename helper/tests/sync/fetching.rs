//! The person's half, against a gateway that may be anybody's.

use crate::bench::Release;
use crate::gateway::Laptop;
use contract::manifest::SyncResult;
use std::fs;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn both_halves_bring_what_was_published() {
    let (laptop, release) = Laptop::standing();

    let last = laptop.bench.last();

    assert_eq!((last.result, last.standing.unwrap().version), (SyncResult::Applied, 5));
    laptop.bench.stands(&release);
}

#[cfg(unix)] // Windows has no modes
#[test]
fn an_inbox_is_nobody_else_s_business() {
    let (laptop, _) = Laptop::standing();

    assert_eq!(fs::metadata(laptop.inbox()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_is_unchanged_costs_one_question() {
    let (laptop, _) = Laptop::standing();
    laptop.fetch(&[]);
    laptop.gateway.asked();

    let (code, told) = laptop.fetch(&[]);

    assert_eq!(
        (code, laptop.gateway.asked()),
        (0, vec!["GET /v1/cowork/manifest".to_owned()]),
        "{told}"
    );
}

#[test]
fn only_what_is_not_in_place_is_fetched() {
    let (laptop, release) = Laptop::standing();
    let next = laptop.release(6);
    laptop.gateway.publish(&next);

    laptop.fetch(&[]);

    let asked = laptop.gateway.asked();
    let archives: Vec<_> = asked.iter().filter(|it| it.contains("/plugins/")).collect();
    assert_eq!(archives.len(), 1, "base stands: {asked:?}");
    laptop.apply();
    laptop.bench.stands(&next);
    drop(release);
}

#[test]
fn the_gateway_is_told_how_both_halves_fared_and_not_twice_the_same() {
    let (laptop, _) = Laptop::standing();
    laptop.fetch(&[]);

    let told = laptop.told();

    assert_eq!(
        (told["fetch"]["result"].as_str(), told["fetch"]["version"].as_u64()),
        (Some("unchanged"), Some(5))
    );
    assert_eq!(told["last"]["standing"]["version"], 5);
    let count = laptop.gateway.rules.lock().unwrap().reports.len();
    laptop.fetch(&[]);
    assert_eq!(laptop.gateway.rules.lock().unwrap().reports.len(), count);
}

#[test]
fn it_waits_for_the_system_s_half_and_tells_of_it() {
    let (laptop, release) = Laptop::with_a_release();
    let run = laptop.command(&["sync", "fetch", "--wait", "20"]).spawn().unwrap();
    let started = Instant::now();
    while !laptop.inbox().join("manifest.json").exists() {
        assert!(started.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(20));
    }
    laptop.apply();

    let out = run.wait_with_output().unwrap();

    assert!(out.status.success() && started.elapsed() < Duration::from_secs(15));
    assert_eq!(laptop.told()["last"]["result"], "applied");
    laptop.bench.stands(&release);
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    for no_ranges in [false, true] {
        let laptop = Laptop::new();
        let release = laptop.release(5);
        laptop.gateway.publish(&release);
        laptop.gateway.with(|it| (it.breaks, it.no_ranges) = ((100, 1), no_ranges));

        let (code, told) = laptop.fetch(&[]);

        assert_eq!(code, 0, "{told}");
        let asked = laptop.gateway.asked();
        assert_eq!(asked.contains(&"range bytes=100-".to_owned()), !no_ranges, "{asked:?}");
        laptop.apply();
        laptop.bench.stands(&release);
    }
}

#[test]
fn a_download_that_breaks_off_for_good_goes_on_in_the_next_run() {
    let (laptop, release) = Laptop::with_a_release();
    laptop.gateway.with(|it| it.breaks = (20, 100));

    let (code, _) = laptop.fetch(&[]);

    assert_eq!((code, laptop.told()["fetch"]["code"].as_str()), (3, Some("unreachable")));
    assert!(!laptop.inbox().join("manifest.json").exists(), "the document comes last");
    laptop.gateway.with(|it| it.breaks = (0, 0));
    laptop.gateway.asked();
    assert_eq!(laptop.fetch(&[]).0, 0);
    assert!(laptop.gateway.asked().iter().any(|it| it.starts_with("range ")));
    laptop.apply();
    laptop.bench.stands(&release);
}

#[test]
fn a_tampered_archive_does_not_come_into_the_inbox() {
    let (laptop, _) = Laptop::with_a_release();
    laptop.gateway.with(|it| it.archives.values_mut().for_each(|bytes| bytes[20] ^= 1));

    let (code, told) = laptop.fetch(&[]);

    assert_eq!(
        (code, laptop.told()["fetch"]["code"].as_str()),
        (4, Some("archive_differs")),
        "{told}"
    );
    assert!(!laptop.inbox().join("manifest.json").exists());
    let whole = fs::read_dir(laptop.inbox().join("archives")).unwrap();
    assert!(whole.flatten().all(|it| !it.file_name().to_string_lossy().ends_with(".zip")));
}

#[test]
fn a_longer_archive_is_not_read_to_its_end() {
    let (laptop, _) = Laptop::with_a_release();
    laptop.gateway.with(|it| it.archives.values_mut().for_each(|bytes| bytes.resize(9_000_000, 0)));

    assert_eq!(laptop.fetch(&[]).0, 4);
    let archives = fs::read_dir(laptop.inbox().join("archives")).unwrap().flatten();
    assert!(archives.map(|it| it.metadata().unwrap().len()).max() < Some(1_000_000));
}

#[test]
fn what_a_gateway_in_wrong_hands_serves_does_not_come_into_the_inbox() {
    let (laptop, stands) = Laptop::standing();
    let catalogue = laptop.release(6).change(|it| it.catalogue = "other".into());
    let signed_later = laptop.release(6).change(|it| it.issued_at += 90_000);
    for (release, expected) in [
        (laptop.release(4), "older"),
        (laptop.release(5).change(|it| it.expires_at += 1), "differs"),
        (catalogue, "other_catalogue"),
        (signed_later, "faults"),
        (Release { key: ("nobody", 9), ..laptop.release(6) }, "unknown_key"),
        (Release { key: ("security", 9), ..laptop.release(6) }, "forged"),
        (Release { kind: contract::envelope::POLICY_TYPE, ..laptop.release(6) }, "other_type"),
    ] {
        laptop.gateway.publish(&release);

        let (code, told) = laptop.fetch(&[]);

        assert_eq!((code, laptop.told()["fetch"]["code"].as_str()), (4, Some(expected)), "{told}");
        assert_eq!(fs::read(laptop.inbox().join("manifest.json")).unwrap(), stands.envelope());
    }
    laptop.apply();
    laptop.bench.stands(&stands);
}

#[test]
fn an_answer_that_is_no_document_is_told_of() {
    let (laptop, stands) = Laptop::standing();
    let huge = vec![b'x'; 5 * 1024 * 1024];
    let redirect = "302 Found\r\nlocation: http://127.0.0.1:1/";
    for (status, body, exit, code) in [
        ("200 OK", b"<html>sign in</html>".to_vec(), 4, "malformed"),
        ("200 OK", Vec::new(), 4, "malformed"),
        ("200 OK", huge, 4, "too_large"),
        (redirect, Vec::new(), 3, "status_302"),
        ("404 Not Found", Vec::new(), 3, "not_served"),
        ("503 Unavailable", Vec::new(), 3, "status_503"),
        ("304 Not Modified", Vec::new(), 3, "status_304"),
    ] {
        laptop.gateway.with(|it| it.instead = Some((status, body)));

        let (ended, told) = laptop.fetch(&[]);

        assert_eq!(ended, exit, "{status}: {told}");
        assert_eq!(laptop.told()["fetch"]["code"], code, "{status}");
    }
    laptop.apply();
    laptop.bench.stands(&stands);
}

#[test]
fn a_token_that_was_taken_back_is_replaced_once() {
    let (laptop, _) = Laptop::with_a_release();
    laptop.fetch(&[]);
    let tokens = laptop.gateway.rules.lock().unwrap().tokens;
    laptop.gateway.with(|it| it.first_good = tokens + 1);
    assert_eq!(laptop.fetch(&[]).0, 0);

    laptop.gateway.with(|it| it.first_good = 1000);

    assert_eq!(laptop.fetch(&[]).0, 5);
}

#[test]
fn an_expired_document_brings_no_archive_and_what_it_takes_back_goes() {
    let (laptop, _) = Laptop::standing();
    let late = laptop.release(6).change(|it| {
        it.plugins.retain(|it| it.name == "base");
        it.issued_at -= 9000;
        it.expires_at = it.issued_at + 1000;
    });
    let late = late.revoking(contract::manifest::Kind::Plugin, "acme");
    laptop.gateway.publish(&late);

    let (code, told) = laptop.fetch(&[]);

    assert_eq!((code, laptop.told()["fetch"]["code"].as_str()), (4, Some("expired")), "{told}");
    assert!(!laptop.gateway.asked().iter().any(|it| it.contains("/plugins/")));
    laptop.apply();
    assert!(laptop.bench.live().keys().all(|it| it.starts_with("base/")));
}

#[test]
fn a_document_that_device_management_dropped_is_taken_with_the_archives_beside_it() {
    let laptop = Laptop::new();
    let release = laptop.release(5);
    let drop = laptop.bench.place.path().join("drop");
    fs::create_dir_all(drop.join("archives")).unwrap();
    for (digest, bytes) in &release.archives {
        fs::write(drop.join("archives").join(format!("{digest}.zip")), bytes).unwrap();
    }
    fs::write(drop.join("manifest.json"), release.envelope()).unwrap();
    let file = drop.join("manifest.json").display().to_string();

    let (code, told) = laptop.fetch(&["--from", &file]);

    assert_eq!(code, 0, "{told}");
    assert!(laptop.gateway.asked().is_empty(), "without the gateway");
    laptop.apply();
    laptop.bench.stands(&release);
    let next = laptop.release(6);
    laptop.gateway.publish(&next);
    fs::write(&file, next.envelope()).unwrap();
    assert_eq!(laptop.fetch(&["--from", &file]).0, 0);
    assert!(
        laptop.gateway.asked().iter().any(|it| it.contains("/plugins/")),
        "what is not beside it"
    );
    laptop.apply();
    laptop.bench.stands(&next);
}

#[test]
fn what_cannot_be_mended_is_fetched_again() {
    let (laptop, release) = Laptop::standing();
    fs::remove_dir_all(laptop.bench.settings.mount.join("acme")).unwrap();
    fs::remove_dir_all(laptop.bench.settings.state.join("archives")).unwrap();
    fs::remove_dir_all(laptop.inbox().join("archives")).unwrap();
    let (code, told) = laptop.apply();
    assert_eq!(code, 4, "{told}");
    assert_eq!(laptop.bench.last().code.as_deref(), Some("archive_missing"));

    laptop.fetch(&[]);

    assert_eq!(laptop.apply().0, 0);
    laptop.bench.stands(&release);
}

#[test]
fn a_dry_run_of_both_halves_changes_nothing() {
    let (laptop, _) = Laptop::with_a_release();

    let (code, told) = laptop.fetch(&["--dry-run"]);

    assert_eq!(code, 0, "{told}");
    assert!(told.contains("Version 5 for finance") && told.contains("Would fetch acme"), "{told}");
    assert!(!laptop.inbox().exists());
    assert_eq!(laptop.run(&["sync", "apply", "--dry-run"]).status.code(), Some(0));
    assert!(!laptop.bench.settings.mount.exists());
}

#[test]
fn somebody_who_took_the_name_of_an_inbox_keeps_nobody_out() {
    let (laptop, release) = Laptop::with_a_release();
    fs::write(laptop.inbox(), "mine").unwrap();

    assert_eq!(laptop.fetch(&[]).0, 0);

    laptop.apply();
    laptop.bench.stands(&release);
}

#[test]
fn somebody_who_took_every_name_that_can_be_guessed_keeps_nobody_out() {
    let (laptop, release) = Laptop::with_a_release();
    let user = laptop.inbox().file_name().unwrap().to_string_lossy().into_owned();
    for name in [user.clone(), format!("{user}-1"), format!("{user}-2"), format!("{user}-3")] {
        fs::write(laptop.bench.inbox(&name), "mine").unwrap();
    }

    for _ in 0..3 {
        let (code, told) = laptop.fetch(&[]);
        assert_eq!(code, 0, "{told}");
    }

    laptop.apply();
    laptop.bench.stands(&release);
    let inboxes = fs::read_dir(&laptop.bench.settings.inbox).unwrap().flatten();
    let folders = inboxes.filter(|it| it.file_type().unwrap().is_dir()).count();
    assert_eq!(folders, 1, "it is found again");
}

#[test]
fn two_fetches_at_once_the_second_ends_with_its_own_code() {
    let (laptop, _) = Laptop::with_a_release();
    let lock = fs::File::create(laptop.home().join("sync.lock")).unwrap();
    lock.lock().unwrap();

    assert_eq!(laptop.fetch(&[]).0, 75);
}
