//! Whatever documents come in whatever order, what stands is the last that was taken.

use crate::bench::{Bench, Release};
use contract::manifest::{Kind, SyncResult};
use proptest::prelude::*;
use std::fs;
use tollgate_helper::sync::disk::{Disk, Step};

#[derive(Debug, Clone)]
struct Try {
    version: u64,
    plugins: Vec<(u8, u8)>,
    fault: u8,
    exchanges: bool,
    meddled: bool,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let one = (
        1_u64..12,
        prop::collection::vec((0_u8..4, 0_u8..3), 0..4),
        0_u8..9,
        any::<bool>(),
        any::<bool>(),
    );
    let one = one.prop_map(|(version, plugins, fault, exchanges, meddled)| Try {
        version,
        plugins,
        fault,
        exchanges,
        meddled,
    });
    prop::collection::vec(one, 1..8)
}

fn release(it: &Try) -> Release {
    let mut release = Release::new(it.version);
    let mut names = std::collections::BTreeSet::new();
    for (name, text) in &it.plugins {
        if names.insert(*name) {
            let text = format!("text {text}");
            release = release.with(&format!("p{name}"), &[("SKILL.md", &text), ("a/b", "same")]);
        }
    }
    match it.fault {
        0 => release.key = ("nobody", 9),
        1 => release.key = ("security", 9),
        2 => release.document.catalogue = "other".into(),
        3 => release.archives.values_mut().for_each(|bytes| bytes.push(0)),
        4 => release = release.revoking(Kind::Plugin, "gone"),
        _ => {}
    }
    release
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_stands_is_the_last_document_that_was_taken(tries in tries()) {
        let bench = Bench::new();
        let mut standing: Option<Release> = None;
        for it in &tries {
            let release = release(it);
            let _none = fs::remove_dir_all(bench.inbox("1000")).is_err();
            bench.lay(&release);
            if it.meddled && standing.is_some() {
                fs::create_dir_all(bench.settings.mount.join("theirs/deep")).unwrap();
            }
            let exchanges = it.exchanges;
            let disk = Disk::watched(move |step| match step {
                Step::Exchange(..) if !exchanges => Err(std::io::ErrorKind::Unsupported.into()),
                _ => Ok(()),
            });

            let last = bench.run_on(&disk).last;

            let newer = standing.as_ref().is_none_or(|it| {
                it.document.version < release.document.version
                    && it.document.catalogue == release.document.catalogue
            });
            let good = it.fault >= 2 && newer;
            if last.result == SyncResult::Applied {
                prop_assert!(good, "{last:?}");
                standing = Some(release);
            } else if it.fault > 3 {
                prop_assert!(!good, "{last:?}");
            }
            match &standing {
                Some(release) => bench.stands(release),
                None => prop_assert!(bench.live().is_empty()),
            }
            let told = last.standing.map(|it| it.version);
            prop_assert_eq!(told, standing.as_ref().map(|it| it.document.version));
        }
    }
}
