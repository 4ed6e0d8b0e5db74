//! Which documents are taken, and which are not.

use crate::bench::{Bench, DAY, NOW, Release, pin, warnings};
use contract::manifest::{Kind, OnExpiry, SyncResult};
use std::fs;
#[cfg(unix)]
use std::os::unix::fs::symlink;
use tollgate_helper::sync::places::{Expiry, Member};

/// What is said when this lies in the inbox; what stood there stands there.
fn code_of(release: &Release) -> String {
    let (bench, stands) = Bench::standing();
    bench.lay(release);
    bench.refused(&stands).code.unwrap()
}

#[test]
fn a_signed_document_stands_and_is_told_of() {
    let bench = Bench::new();

    let last = bench.applied(&Release::usual(5));

    assert_eq!(last.installed, ["acme", "base"]);
    let told = last.standing.clone().unwrap();
    assert_eq!(
        (told.version, told.audience.as_str(), told.key_id.as_str()),
        (5, "finance", "security")
    );
    assert_eq!(told.plugins.len(), 2);
    let os = std::env::consts::OS;
    assert_eq!((last.os.as_str(), last.device.len(), warnings(&last).len()), (os, 32, 0));
    let mcp = fs::read(bench.settings.mount.join(".tollgate/managed-mcp.json")).unwrap();
    let mcp: serde_json::Value = serde_json::from_slice(&mcp).unwrap();
    assert_eq!(mcp["managedMcpServers"][0]["toolPolicy"]["*"], "blocked");
    let checks: Vec<_> =
        bench.log().iter().map(|it| (it["check"].clone(), it["result"].clone())).collect();
    for check in ["pins", "document", "archive", "switch", "run"] {
        assert!(checks.iter().any(|it| it.0 == check), "{check}: {checks:?}");
    }
}

#[test]
fn the_next_version_replaces_what_changed_and_takes_away_what_is_no_longer_listed() {
    let (bench, _) = Bench::standing();
    let next =
        Release::new(6).with("acme", &[("SKILL.md", "other")]).with("more", &[("SKILL.md", "m")]);

    let last = bench.applied(&next);

    assert_eq!(
        (last.installed, last.updated, last.removed),
        (vec!["more".to_owned()], vec!["acme".to_owned()], vec!["base".to_owned()])
    );
}

#[test]
fn the_same_document_changes_nothing() {
    let (bench, release) = Bench::standing();

    let last = bench.run().last;

    assert_eq!((last.result, last.code), (SyncResult::Unchanged, None));
    assert!(last.installed.is_empty() && last.repaired.is_empty());
    bench.stands(&release);
}

#[test]
fn a_replayed_older_document_is_not_taken() {
    assert_eq!(code_of(&Release::usual(4)), "older");
}

#[test]
fn an_older_document_is_not_taken_though_the_folder_of_plugins_was_emptied() {
    let (bench, release) = Bench::standing();
    fs::remove_dir_all(&bench.settings.mount).unwrap();
    bench.lay(&Release::usual(4));

    let last = bench.refused(&release);

    assert_eq!(last.code.as_deref(), Some("older"));
    assert_eq!(last.repaired, ["acme", "base", "managed-mcp.json", "manifest.json"]);
}

#[test]
fn an_older_document_is_not_taken_though_the_state_is_lost() {
    let (bench, release) = Bench::standing();
    fs::remove_dir_all(&bench.settings.state).unwrap();
    bench.lay(&Release::usual(4));

    assert_eq!(bench.refused(&release).code.as_deref(), Some("older"));
}

#[test]
fn another_audience_is_not_taken_where_one_is_pinned() {
    let member = Member { audience: Some("finance".into()), ..Member::default() };
    let (bench, release) = (Bench::with(&member), Release::usual(5));
    bench.applied(&release);
    bench.lay(&Release::usual(6).audience("engineering"));

    assert_eq!(bench.refused(&release).code.as_deref(), Some("other_audience"));
}

#[test]
fn somebody_who_moves_to_another_audience_has_its_plugins() {
    let (bench, _) = Bench::standing();

    bench.applied(&Release::new(5).with("code", &[("SKILL.md", "c")]).audience("engineering"));
}

#[test]
fn another_catalogue_is_not_taken() {
    assert_eq!(
        code_of(&Release::usual(6).change(|it| it.catalogue = "evil".into())),
        "other_catalogue"
    );
}

#[test]
fn an_unknown_key_a_forged_signature_and_another_type_are_not_believed() {
    assert_eq!(code_of(&Release { key: ("nobody", 9), ..Release::usual(6) }), "unknown_key");
    assert_eq!(code_of(&Release { key: ("security", 9), ..Release::usual(6) }), "forged");
    let policy = contract::envelope::POLICY_TYPE;
    assert_eq!(code_of(&Release { kind: policy, ..Release::usual(6) }), "other_type");
}

#[test]
fn a_tampered_document_is_not_believed() {
    let (bench, release) = Bench::standing();
    bench.lay(&Release::usual(6));
    let path = bench.inbox("1000").join("manifest.json");
    let mut envelope: contract::envelope::Envelope =
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    envelope
        .payload
        .replace_range(40..41, if envelope.payload.as_bytes()[40] == b'A' { "B" } else { "A" });
    fs::write(&path, serde_json::to_vec(&envelope).unwrap()).unwrap();

    assert_eq!(bench.refused(&release).code.as_deref(), Some("forged"));
}

#[test]
fn a_second_text_of_a_version_is_not_taken() {
    assert_eq!(code_of(&Release::usual(5).change(|it| it.expires_at += 1)), "differs");
}

#[test]
fn a_document_from_the_future_is_not_taken() {
    let release = Release::usual(6).change(|it| {
        it.issued_at = NOW + 400;
        it.expires_at = NOW + DAY;
    });
    assert_eq!(code_of(&release), "from_the_future");
}

#[test]
fn an_expired_document_lands_nowhere() {
    let (bench, release) = Bench::standing();
    bench.lay(&Release::usual(6).change(|it| it.expires_at = NOW));

    let last = bench.run().last;

    assert_eq!((last.result, last.code.as_deref()), (SyncResult::Stale, Some("expired")));
    bench.stands(&release);
}

#[test]
fn what_an_expired_document_takes_back_is_gone_all_the_same() {
    let (bench, release) = Bench::standing();
    bench.lay(
        &Release::new(7)
            .change(|it| {
                it.expires_at = NOW;
                it.managed_mcp_servers.clear();
            })
            .revoking(Kind::Plugin, "acme")
            .revoking(Kind::McpServer, "search"),
    );

    let last = bench.run().last;

    assert_eq!((last.result, last.removed), (SyncResult::Stale, vec!["acme".to_owned()]));
    assert!(bench.live().keys().all(|path| path.starts_with("base/")));
    let mcp = fs::read_to_string(bench.settings.mount.join(".tollgate/managed-mcp.json")).unwrap();
    assert!(!mcp.contains("search"), "{mcp}");
    // Nor does a version in between bring it back; only one behind the revocation does.
    bench.lay(&Release::usual(6));
    let last = bench.run().last;
    assert_eq!(last.result, SyncResult::Applied, "{last:?}");
    assert!(bench.live().keys().all(|path| path.starts_with("base/")));
    bench.applied(&Release::usual(8));
    drop(release);
}

#[test]
fn a_document_that_expires_where_it_stands_is_stale_and_stays() {
    let (mut bench, release) = Bench::standing();
    bench.now = NOW + 2 * DAY;

    let last = bench.run().last;

    assert_eq!(last.result, SyncResult::Stale);
    bench.stands(&release);
}

#[test]
fn on_expiry_the_plugins_go_if_the_document_or_the_machine_says_so() {
    let remove = Release::usual(5).change(|it| it.on_expiry = OnExpiry::Remove);
    let strict = Member { on_expiry: Some(Expiry::Remove), ..Member::default() };
    for (member, release) in [(Member::default(), remove), (strict, Release::usual(5))] {
        let mut bench = Bench::with(&member);
        bench.applied(&release);
        bench.now = NOW + 2 * DAY;

        let last = bench.run().last;

        assert_eq!((last.result, last.removed.len()), (SyncResult::Stale, 2), "{last:?}");
        assert!(bench.live().is_empty());
        assert!(bench.run().last.removed.is_empty(), "once");
        bench.lay(&Release::usual(6).change(|it| it.expires_at = NOW + 9 * DAY));
        assert_eq!(bench.run().last.result, SyncResult::Applied);
    }
}

#[test]
fn a_clock_set_back_does_not_make_an_old_document_young() {
    let (mut bench, _) = Bench::standing();
    let newest = Release::usual(6).change(|it| it.issued_at = NOW - 10);
    bench.applied(&newest);
    bench.now = NOW - 300;
    // It expired before the one that stands was made.
    bench.lay(&Release::usual(7).change(|it| it.expires_at = NOW - 20));

    let last = bench.run().last;

    assert_eq!((last.result, last.code.as_deref()), (SyncResult::Stale, Some("expired")));
    bench.stands(&newest);
}

#[test]
fn two_keys_are_believed_while_one_replaces_the_other() {
    let (bench, _) = Bench::standing();
    bench.pin(&[pin("security", 7), pin("next", 8)]);
    let next = Release { key: ("next", 8), ..Release::usual(6) };
    bench.applied(&next);
    bench.pin(&[pin("next", 8)]);

    assert_eq!(bench.run().last.result, SyncResult::Unchanged);
    bench.lay(&Release::usual(7));
    assert_eq!(bench.refused(&next).code.as_deref(), Some("unknown_key"));
}

#[cfg(unix)] // Windows has no modes
#[test]
fn pins_that_others_can_write_are_no_pins() {
    let (bench, release) = Bench::standing();
    crate::bench::mode(&bench.settings.pins, 0o666);
    bench.lay(&Release::usual(6));
    assert_eq!(bench.refused(&release).code.as_deref(), Some("pins"));
    fs::remove_file(&bench.settings.pins).unwrap();
    assert_eq!(bench.refused(&release).code.as_deref(), Some("pins"));
}

#[cfg(unix)]
#[test]
fn a_link_and_a_pipe_in_an_inbox_are_not_read() {
    let (bench, release) = Bench::standing();
    let path = bench.inbox("1000").join("manifest.json");
    let elsewhere = bench.place.path().join("elsewhere.json");
    fs::write(&elsewhere, Release::usual(6).envelope()).unwrap();

    fs::remove_file(&path).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let last = bench.refused(&release);
    assert_eq!(last.code.as_deref(), Some("inbox"));
    assert!(last.problem.unwrap().contains("link"));

    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    assert_eq!(bench.refused(&release).code.as_deref(), Some("inbox"));
}

#[test]
fn a_huge_file_and_a_folder_in_an_inbox_are_not_read() {
    let (bench, release) = Bench::standing();
    let path = bench.inbox("1000").join("manifest.json");

    fs::remove_file(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(5 * 1024 * 1024).unwrap();
    assert_eq!(bench.refused(&release).code.as_deref(), Some("inbox"));

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(bench.refused(&release).code.as_deref(), Some("inbox"));
}

#[cfg(unix)]
#[test]
fn an_inbox_that_is_a_link_is_none() {
    let (bench, release) = Bench::standing();
    let elsewhere = bench.place.path().join("elsewhere");
    fs::rename(bench.inbox("1000"), &elsewhere).unwrap();
    fs::write(elsewhere.join("manifest.json"), Release::usual(6).envelope()).unwrap();
    symlink(&elsewhere, bench.inbox("1000")).unwrap();

    assert_eq!(bench.run().last.result, SyncResult::Unchanged);
    bench.stands(&release);
}

#[test]
fn garbage_in_an_inbox_is_told_of_without_its_words() {
    let (bench, release) = Bench::standing();
    fs::write(bench.inbox("1000").join("manifest.json"), "root:x:0:0").unwrap();

    let last = bench.refused(&release);

    assert_eq!(last.code.as_deref(), Some("malformed"));
    assert!(!last.problem.unwrap().contains("root:"));
}

/// Names that do harm, signed by the right key.
#[test]
fn a_document_with_a_harmful_name_is_not_taken_though_the_right_key_signed_it() {
    let with = |path: &str| Release::new(6).with("acme", &[(path, "x")]);
    for path in
        ["../acme", "a/../../b", "/etc/passwd", "a\\b", "CON", "aux.txt", "a:b", "a.", "a//b"]
    {
        assert_eq!(code_of(&with(path)), "faults", "{path}");
    }
    let clash = Release::new(6).with("acme", &[("Readme", "x"), ("readme", "y")]);
    assert_eq!(code_of(&clash), "faults");
    for name in ["..", ".staging", ".tollgate", "NUL", "a/b", "com1", ""] {
        assert_eq!(code_of(&Release::new(6).with(name, &[("SKILL.md", "x")])), "faults", "{name}");
    }
    let clash = Release::new(6).with("acme", &[("a", "x")]).with("Acme", &[("a", "y")]);
    assert_eq!(code_of(&clash), "faults");
}

#[test]
fn before_the_first_document_nothing_is_touched() {
    let bench = Bench::new();
    fs::create_dir_all(bench.settings.mount.join("theirs")).unwrap();

    let last = bench.run().last;

    assert_eq!((last.result, last.code.as_deref()), (SyncResult::Unchanged, Some("no_document")));
    assert!(bench.settings.mount.join("theirs").exists());
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let (bench, release) = Bench::standing();
    bench.lay(&Release::new(6).with("acme", &[("SKILL.md", "other")]));

    let last = bench.dry().last;

    assert_eq!((last.updated, last.removed), (vec!["acme".to_owned()], vec!["base".to_owned()]));
    bench.stands(&release);
}
