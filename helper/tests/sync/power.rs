//! The power goes, at each act of a run in turn.

use crate::bench::{Bench, Files, Release};
use contract::manifest::{Kind, SyncResult};
use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tollgate_helper::sync::disk::{Disk, Step};

/// A disk that does `acts`, and nothing after.
fn until(acts: usize, exchanges: bool) -> (Disk, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let disk = Disk::watched(move |step| {
        if counter.fetch_add(1, Ordering::SeqCst) >= acts {
            return Err(Error::other("the power is gone"));
        }
        if !exchanges && matches!(step, Step::Exchange(..)) {
            return Err(ErrorKind::Unsupported.into());
        }
        Ok(())
    });
    (disk, count)
}

/// The files of one plugin.
fn of(files: &Files, name: &str) -> Files {
    let within = |path: &&String| path.split('/').next() == Some(name);
    let paths = files.keys().filter(within);
    paths.map(|path| (path.clone(), files[path].clone())).collect()
}

fn releases() -> (Release, Release) {
    let one = Release::usual(5).with("leaky", &[("SKILL.md", "leaks")]);
    let two = Release::usual(6)
        .with("new", &[("SKILL.md", "n"), ("deep/er/file", "f")])
        .revoking(Kind::Plugin, "leaky");
    (one, two)
}

fn cut_at(acts: usize, exchanges: bool, first: bool) -> bool {
    let bench = Bench::new();
    let (one, two) = releases();
    if !first {
        bench.applied(&one);
    }
    bench.lay(&two);
    let before = if first { Files::new() } else { one.files.clone() };
    let (disk, count) = until(acts, exchanges);

    let done = bench.try_on(&disk).is_ok_and(|it| it.last.result == SyncResult::Applied)
        && count.load(Ordering::SeqCst) <= acts;

    let live = bench.live();
    // Windows has no such act.
    if exchanges && cfg!(unix) {
        assert!(live == before || live == two.files, "after {acts} acts: {:?}", live.keys());
    }
    for name in ["acme", "base", "leaky", "new"] {
        let stands = of(&live, name);
        let whole =
            stands.is_empty() || stands == of(&before, name) || stands == of(&two.files, name);
        assert!(whole, "{name} after {acts} acts: {:?}", stands.keys());
    }
    // The power is back.
    let last = bench.run().last;
    assert!(matches!(last.result, SyncResult::Applied | SyncResult::Unchanged), "{acts}: {last:?}");
    bench.stands(&two);
    assert!(!bench.settings.mount.join(".staging").exists(), "after {acts} acts");
    let beside = std::fs::read_dir(bench.settings.mount.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1, "nothing is left beside the folder of plugins");
    done
}

fn at_every_act(exchanges: bool, first: bool) {
    let cuts = (0..10_000).take_while(|acts| !cut_at(*acts, exchanges, first)).count();
    assert!(cuts > 40, "a run has more acts than {cuts}");
}

#[test]
fn the_power_may_go_at_any_act_and_one_whole_version_stands() {
    at_every_act(true, false);
}

#[test]
fn the_power_may_go_at_any_act_of_the_first_run() {
    at_every_act(true, true);
}

#[test]
fn where_folders_cannot_change_places_each_plugin_is_whole_and_the_next_run_goes_on() {
    at_every_act(false, false);
}

#[test]
fn the_power_may_go_again_while_the_next_run_goes_on() {
    for acts in (40..110).step_by(5) {
        for again in (0..30).step_by(2) {
            let bench = Bench::new();
            let (one, two) = releases();
            bench.applied(&one);
            bench.lay(&two);
            let first = bench.try_on(&until(acts, false).0).is_ok();
            let second = bench.try_on(&until(again, false).0).is_ok();

            let last = bench.run().last;

            assert!(last.code.is_none(), "{acts}, {again}, {first}, {second}: {last:?}");
            bench.stands(&two);
        }
    }
}

#[test]
fn a_switch_that_was_begun_is_finished_though_the_inbox_is_gone_and_the_document_has_expired() {
    let mut begun = 0;
    for acts in 30..140 {
        let mut bench = Bench::new();
        let (one, two) = releases();
        bench.applied(&one);
        bench.lay(&two);
        let _cut = bench.try_on(&until(acts, false).0).is_err();
        if !bench.settings.state.join("journal.json").exists() {
            continue;
        }
        begun += 1;
        std::fs::remove_dir_all(bench.inbox("1000")).unwrap();
        std::fs::remove_dir_all(bench.settings.state.join("archives")).unwrap();
        bench.now += 2 * crate::bench::DAY;

        let last = bench.run().last;

        assert_eq!((last.result, last.code), (SyncResult::Stale, None), "{acts}");
        bench.stands(&two);
    }
    assert!(begun > 8, "the journal is there for {begun} acts");
}

#[test]
fn all_of_the_new_version_is_on_the_disk_before_it_is_put_in_place() {
    let bench = Bench::new();
    let (one, two) = releases();
    bench.applied(&one);
    bench.lay(&two);
    let (open, seen) = (Mutex::new(Vec::<PathBuf>::new()), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&seen);
    let disk = Disk::watched(move |step| {
        let mut open = open.lock().unwrap();
        match step {
            Step::Create(path) | Step::MakeFolder(path) => {
                // A folder with something new in it has to be brought to the disk again.
                open.push(path.to_path_buf());
                open.extend(path.parent().map(PathBuf::from));
            }
            Step::Sync(path) => open.retain(|it| it != path),
            Step::Exchange(..) => {
                count.fetch_add(1, Ordering::SeqCst);
                let left: Vec<_> =
                    open.iter().filter(|it| it.to_string_lossy().contains("/next")).collect();
                assert!(left.is_empty(), "{left:?}");
            }
            _ => {}
        }
        Ok(())
    });

    bench.run_on(&disk);

    assert_eq!(seen.load(Ordering::SeqCst), 1);
    bench.stands(&two);
}
