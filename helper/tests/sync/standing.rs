//! What stands is as signed, whatever somebody did to it.

#[cfg(unix)]
use crate::bench::mode;
use crate::bench::{Bench, NOW, Release};
use contract::manifest::{Kind, SyncResult};
#[cfg(unix)]
use std::collections::BTreeSet;
use std::fs;
#[cfg(unix)]
use std::os::unix::fs::{PermissionsExt, symlink};
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tollgate_helper::sync::disk::{Disk, Step};
use tollgate_helper::sync::places::{Foreign, Member};

#[test]
fn a_tampered_a_missing_and_a_foreign_file_are_mended() {
    let (bench, release) = Bench::standing();
    let mount = bench.settings.mount.clone();
    let faults: &[&dyn Fn()] = &[
        &|| fs::write(mount.join("acme/skills/a/SKILL.md"), "evil").unwrap(),
        &|| fs::write(mount.join("acme/skills/a/SKILL.md"), "tros").unwrap(),
        &|| fs::remove_file(mount.join("acme/skills/a/SKILL.md")).unwrap(),
        &|| fs::write(mount.join("acme/skills/more.md"), "evil").unwrap(),
        &|| fs::create_dir(mount.join("acme/hooks")).unwrap(),
        #[cfg(unix)] // Windows has no modes
        &|| mode(&mount.join("acme/skills/a/SKILL.md"), 0o755),
        #[cfg(unix)]
        &|| mode(&mount.join("acme/skills/a/SKILL.md"), 0o666),
        &|| fs::remove_dir_all(mount.join("acme")).unwrap(),
    ];
    for (index, fault) in faults.iter().enumerate() {
        fault();

        let last = bench.run().last;

        assert_eq!(
            (last.result, last.repaired),
            (SyncResult::Unchanged, vec!["acme".to_owned()]),
            "{index}"
        );
        bench.stands(&release);
    }
    fs::write(bench.settings.mount.join(".tollgate/managed-mcp.json"), "{}").unwrap();
    assert_eq!(bench.run().last.repaired, ["managed-mcp.json"]);
    fs::write(bench.settings.standing(), "{}").unwrap();
    assert_eq!(bench.run().last.repaired, ["manifest.json"]);
    bench.stands(&release);
}

#[cfg(unix)]
#[test]
fn a_link_in_the_folder_of_plugins_is_taken_away_and_not_followed() {
    let (bench, release) = Bench::standing();
    let outside = bench.place.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("SKILL.md"), "mine").unwrap();
    let acme = bench.settings.mount.join("acme");
    fs::remove_dir_all(&acme).unwrap();
    symlink(&outside, &acme).unwrap();
    symlink(&outside, bench.settings.mount.join("theirs")).unwrap();

    let last = bench.run().last;

    assert_eq!((last.repaired, last.removed), (vec!["acme".to_owned()], vec!["theirs".to_owned()]));
    bench.stands(&release);
    assert_eq!(fs::read_to_string(outside.join("SKILL.md")).unwrap(), "mine");
}

#[cfg(unix)]
#[test]
fn links_in_the_place_of_the_records_are_replaced_and_not_followed() {
    let (bench, release) = Bench::standing();
    let outside = bench.place.path().join("outside");
    fs::create_dir(&outside).unwrap();
    for name in [".tollgate", ".staging"] {
        let path = bench.settings.mount.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        symlink(&outside, &path).unwrap();
    }

    bench.run();

    bench.stands(&release);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing was written behind the link");
    assert!(fs::symlink_metadata(bench.settings.mount.join(".tollgate")).unwrap().is_dir());
}

#[cfg(unix)]
#[test]
fn a_folder_of_plugins_that_is_a_link_is_not_used() {
    let (bench, _) = Bench::standing();
    let elsewhere = bench.place.path().join("elsewhere");
    fs::rename(&bench.settings.mount, &elsewhere).unwrap();
    symlink(&elsewhere, &bench.settings.mount).unwrap();
    bench.lay(&Release::usual(6));

    let failed = bench.try_on(&Disk::default());

    let code = match failed {
        Ok(outcome) => outcome.trouble.map(|it| it.code()),
        Err(trouble) => Some(trouble.code()),
    };
    assert_eq!(code, Some("mount"));
    fs::remove_dir_all(elsewhere.join(".tollgate")).unwrap();
    // Nor if something is wrong before that is seen.
    fs::remove_file(&bench.settings.pins).unwrap();
    let outcome = bench.try_on(&Disk::default()).unwrap();
    assert_eq!(outcome.last.code.as_deref(), Some("pins"));
    assert!(!elsewhere.join(".tollgate").exists(), "nothing is written behind the link");
}

#[cfg(unix)]
#[test]
fn a_folder_of_records_that_is_not_the_systems_own_is_built_anew() {
    let spoils: [fn(&Path); 5] = [
        |records| mode(records, 0o777),
        |records| fs::write(records.join("theirs.json"), "{}").unwrap(),
        |records| fs::create_dir(records.join("more")).unwrap(),
        |records| mode(&records.join("last-sync.json"), 0o666),
        |records| {
            fs::remove_file(records.join("last-sync.json")).unwrap();
            symlink("/etc/passwd", records.join("last-sync.json")).unwrap();
        },
    ];
    for exchanges in [true, false] {
        let (bench, release) = Bench::standing();
        let records = bench.settings.mount.join(".tollgate");
        let disk = Disk::watched(move |step| match step {
            Step::Exchange(..) if !exchanges => Err(std::io::ErrorKind::Unsupported.into()),
            _ => Ok(()),
        });
        for (number, spoil) in spoils.iter().enumerate() {
            spoil(&records);

            let last = bench.run_on(&disk).last;

            assert_eq!(last.repaired, ["managed-mcp.json", "manifest.json"], "{number}: {last:?}");
            bench.stands(&release);
            assert_eq!(fs::metadata(&records).unwrap().permissions().mode() & 0o777, 0o755);
            let names = fs::read_dir(&records).unwrap().flatten().map(|it| it.file_name());
            let names: BTreeSet<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
            let known = ["last-sync.json", "managed-mcp.json", "manifest.json", "sync.log.jsonl"];
            assert_eq!(names, known.map(str::to_owned).into(), "{number}");
            assert!(bench.run_on(&disk).last.repaired.is_empty(), "{number}: once");
        }
    }
}

#[test]
fn what_nobody_signed_is_taken_away_or_kept_as_configured_and_the_revoked_goes_in_any_case() {
    for (foreign, stays) in [(Foreign::Remove, false), (Foreign::Keep, true)] {
        let bench = Bench::with(&Member { foreign: Some(foreign), ..Member::default() });
        bench.applied(&Release::usual(5));
        for name in ["theirs", "Leaky"] {
            fs::create_dir(bench.settings.mount.join(name)).unwrap();
            fs::write(bench.settings.mount.join(name).join("SKILL.md"), "x").unwrap();
        }
        let next =
            Release::new(6).with("acme", &[("SKILL.md", "other")]).revoking(Kind::Plugin, "leaky");
        bench.lay(&next);

        let last = bench.run().last;

        assert_eq!(last.result, SyncResult::Applied, "{last:?}");
        let live = bench.live();
        assert_eq!(live.contains_key("theirs/SKILL.md"), stays);
        assert!(!live.contains_key("Leaky/SKILL.md"), "revoked");
        assert!(!live.keys().any(|path| path.starts_with("base/")), "no longer listed");
        assert_eq!(live["acme/SKILL.md"], b"other");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_of_plugins_that_its_users_can_write_is_told_of() {
    let member = Member { foreign: Some(Foreign::Keep), ..Member::default() };
    let bench = Bench::with(&member);
    bench.applied(&Release::usual(5));
    for open in [0o777, 0o1777] {
        mode(&bench.settings.mount, open);

        let last = bench.run().last;

        assert!(last.warnings[0].contains("others can write it"), "{last:?}");
    }
}

#[test]
fn a_full_disk_changes_nothing_and_leaves_nothing_behind() {
    let (bench, release) = Bench::standing();
    bench.lay(&Release::usual(6));
    let room = std::sync::atomic::AtomicI64::new(700);
    let disk = Disk::watched(move |step| match step {
        // The records are small, and fit.
        Step::Write(path, bytes) if !path.to_string_lossy().contains(".tollgate/.") => {
            let bytes = i64::try_from(*bytes).unwrap();
            if room.fetch_sub(bytes, std::sync::atomic::Ordering::SeqCst) < bytes {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            Ok(())
        }
        _ => Ok(()),
    });

    let last = bench.run_on(&disk).last;

    assert_eq!((last.result, last.code.as_deref()), (SyncResult::Failed, Some("disk_full")));
    bench.stands(&release);
    assert!(!bench.settings.mount.join(".staging").exists());
    let kept = fs::read_dir(bench.settings.state.join("archives")).unwrap().count();
    assert_eq!(kept, 2, "the archives of what stands, and no other");
    assert_eq!(bench.run().last.result, SyncResult::Applied, "with room it goes on");
}

#[test]
fn a_file_in_use_holds_up_the_run_and_not_the_next() {
    let (bench, release) = Bench::standing();
    let next = Release::new(6).with("acme", &[("SKILL.md", "other")]).with("zeta", &[("a", "b")]);
    bench.lay(&next);
    for locked in ["acme", "base", "zeta"] {
        let disk = Disk::watched(move |step| match step {
            Step::Exchange(..) => Err(std::io::ErrorKind::Unsupported.into()),
            Step::Rename(from, to)
                if from.ends_with(locked) && !to.ends_with(format!("next/{locked}")) =>
            {
                Err(std::io::ErrorKind::ResourceBusy.into())
            }
            _ => Ok(()),
        });

        let last = bench.run_on(&disk).last;

        assert_eq!(
            (last.result, last.code.as_deref()),
            (SyncResult::Failed, Some("locked")),
            "{locked}"
        );
        bench.stands(&release);
        assert!(!bench.settings.mount.join(".staging").exists(), "{locked}");
    }

    assert_eq!(bench.run().last.result, SyncResult::Applied);
    bench.stands(&next);
}

/// As something has one open that lets nobody read it, and a virus scanner that does. Windows renames no folder in which a
/// file is open; Wine does, and cannot clear away what was renamed.
#[cfg(windows)]
#[test]
fn a_file_that_somebody_has_open_holds_up_the_run_and_not_the_next() {
    use std::os::windows::fs::OpenOptionsExt;

    for shared in [0, 1] {
        let (bench, release) = Bench::standing();
        let next = Release::usual(6);
        bench.lay(&next);
        let path = bench.settings.mount.join("acme/.claude-plugin/plugin.json");
        let open = fs::File::options().read(true).share_mode(shared).open(path).unwrap();

        let last = bench.run().last;

        let is_held = (last.result, last.code.as_deref()) == (SyncResult::Failed, Some("locked"));
        let is_left = last.warnings.iter().any(|text| text.contains("cannot be cleared away"));
        assert!(is_held || (shared == 1 && is_left), "{last:?}");
        drop(open);
        bench.stands(if is_held { &release } else { &next });
        assert!(bench.run().last.code.is_none());
        bench.stands(&next);
    }
}

#[test]
fn two_at_once_do_not_get_in_each_other_s_way() {
    let (bench, _) = Bench::standing();
    let next = Release::usual(6);
    bench.lay(&next);
    let bench = Arc::new(bench);
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let bench = Arc::clone(&bench);
            thread::spawn(move || bench.run().last.result)
        })
        .collect();

    let mut results: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();

    results.sort_by_key(|result| result.as_str());
    assert_eq!(results[0], SyncResult::Applied);
    assert!(results[1..].iter().all(|result| *result == SyncResult::Unchanged));
    bench.stands(&next);
}

#[test]
fn a_run_that_waits_too_long_for_another_says_so() {
    let (bench, release) = Bench::standing();
    let lock = fs::File::create(bench.settings.state.join("lock")).unwrap();
    lock.lock().unwrap();
    let started = Instant::now();

    let trouble = bench.try_on(&Disk::default()).unwrap_err();

    assert_eq!(trouble.code(), "busy");
    assert!(started.elapsed() < Duration::from_secs(8));
    drop(lock);
    bench.stands(&release);
}

#[test]
fn a_state_that_is_behind_what_stands_is_set_right() {
    let (bench, _) = Bench::standing();
    let state = fs::read(bench.settings.state.join("state.json")).unwrap();
    let six = Release::usual(6);
    bench.applied(&six);
    // As if the power had gone between the two.
    fs::write(bench.settings.state.join("state.json"), state).unwrap();
    bench.lay(&Release::usual(5));

    assert_eq!(bench.refused(&six).code.as_deref(), Some("older"));
}

#[test]
fn the_log_is_bounded() {
    let (bench, _) = Bench::standing();
    let path = bench.settings.mount.join(".tollgate/sync.log.jsonl");
    fs::write(&path, "x".repeat(1024 * 1024 + 1)).unwrap();

    bench.run();

    assert!(fs::metadata(&path).unwrap().len() < 10_000);
    let old = bench.settings.mount.join(".tollgate/sync.log.1.jsonl");
    assert_eq!(fs::metadata(old).unwrap().len(), 1024 * 1024 + 1);
    assert!(bench.log().iter().all(|line| line["at"] == NOW));
}

#[cfg(unix)]
#[test]
fn all_may_read_what_stands_and_nobody_else_may_write_it() {
    let (bench, _) = Bench::standing();
    let mode = |path: &str| {
        fs::metadata(bench.settings.mount.join(path)).unwrap().permissions().mode() & 0o7777
    };

    assert_eq!(mode(""), 0o755);
    assert_eq!(mode("acme/skills"), 0o755);
    assert_eq!(mode("acme/skills/a/SKILL.md"), 0o644);
    assert_eq!(mode("base/bin/run.sh"), 0o755);
    assert_eq!(mode(".tollgate/last-sync.json"), 0o644);
    let state = fs::metadata(&bench.settings.state).unwrap().permissions().mode() & 0o777;
    assert_eq!(state, 0o700);
}
