//! What cannot be cleared away holds up nothing.

use crate::bench::{Bench, Release, warnings};
use contract::manifest::SyncResult;
use std::fs;
use std::io::ErrorKind;
use tollgate_helper::sync::disk::{Disk, Step};

/// A disk on which what lies under these names is not removed: a file in it is open, or it was made immutable.
fn stuck(names: &'static [&'static str], exchanges: bool) -> Disk {
    Disk::watched(move |step| match step {
        Step::Remove(path) if names.iter().any(|name| path.ends_with(name)) => {
            Err(ErrorKind::PermissionDenied.into())
        }
        Step::Exchange(..) if !exchanges => Err(ErrorKind::Unsupported.into()),
        _ => Ok(()),
    })
}

#[test]
fn what_cannot_be_cleared_away_is_told_of_and_the_next_versions_come() {
    const NAMES: &[&str] = &[".staging", ".org-plugins.tollgate-next"];
    for exchanges in [true, false] {
        let bench = Bench::new();
        bench.applied(&Release::usual(5));
        let mount = &bench.settings.mount;
        fs::create_dir_all(mount.join(".staging/old/acme")).unwrap();
        fs::create_dir_all(mount.with_file_name(NAMES[1])).unwrap();

        for version in 6..9 {
            let next = Release::usual(version);
            bench.lay(&next);
            let last = bench.run_on(&stuck(NAMES, exchanges)).last;
            assert_eq!(last.result, SyncResult::Applied, "{last:?}");
            assert!(warnings(&last)[0].contains("cannot be cleared away"), "{last:?}");
            assert!(bench.live().contains_key("acme/skills/a/SKILL.md"));
            let last = bench.run_on(&stuck(NAMES, exchanges)).last;
            assert_eq!((last.result, last.repaired.len()), (SyncResult::Unchanged, 0), "{last:?}");
        }

        bench.applied(&Release::usual(9));
        let last = bench.run().last;
        assert!(warnings(&last).is_empty(), "{last:?}");
        let beside = fs::read_dir(mount.parent().unwrap()).unwrap().count();
        assert_eq!((beside, mount.join(".staging").exists()), (1, false));
    }
}

#[test]
fn what_stands_after_a_switch_keeps_its_archives_though_it_could_not_be_written_down() {
    let bench = Bench::new();
    bench.applied(&Release::usual(5));
    let next = Release::usual(6);
    bench.lay(&next);
    let disk = Disk::watched(|step| match step {
        Step::Rename(_, to) if to.ends_with("standing.json") => Err(ErrorKind::StorageFull.into()),
        _ => Ok(()),
    });
    assert_eq!(bench.run_on(&disk).last.code.as_deref(), Some("disk_full"));
    bench.stands(&next);
    fs::remove_dir_all(bench.inbox("1000")).unwrap();
    fs::remove_dir_all(bench.settings.mount.join("acme")).unwrap();

    let last = bench.run().last;

    assert_eq!(last.repaired, ["acme"], "{last:?}");
    bench.stands(&next);
}

#[test]
fn a_laptop_is_the_same_before_its_first_document_too() {
    let bench = Bench::new();

    assert_eq!(bench.run().last.device, bench.run().last.device);
}

#[test]
fn a_switch_that_is_taken_back_beside_a_leftover_leaves_what_stood() {
    let bench = Bench::new();
    let (one, two) = (Release::usual(5), Release::usual(6));
    bench.applied(&one);
    bench.lay(&two);
    fs::create_dir(bench.settings.mount.join(".staging")).unwrap();
    let disk = Disk::watched(|step| match step {
        Step::Remove(path) if path.ends_with(".staging") => Err(ErrorKind::PermissionDenied.into()),
        Step::Exchange(..) => Err(ErrorKind::Unsupported.into()),
        Step::Rename(from, _) if from.ends_with("next/.tollgate/manifest.json") => {
            Err(ErrorKind::ResourceBusy.into())
        }
        _ => Ok(()),
    });

    let last = bench.run_on(&disk).last;

    assert_eq!(last.code.as_deref(), Some("locked"), "{last:?}");
    assert!(bench.live() == one.files);
    assert_eq!(bench.run().last.result, SyncResult::Applied);
    bench.stands(&two);
}
