//! Of several people's inboxes.

use crate::bench::{Bench, Release, warnings};
use contract::manifest::SyncResult;
use std::fs;
use tollgate_helper::sync::places::Member;

#[test]
fn of_several_inboxes_the_highest_version_counts() {
    let (bench, _) = Bench::standing();
    let highest = Release::usual(7);
    bench.lay_for("1000", &Release::usual(6));
    bench.lay_for("1001", &highest);
    bench.lay_for("1002", &Release { key: ("nobody", 9), ..Release::usual(8) });

    let last = bench.run().last;

    assert_eq!(last.result, SyncResult::Applied);
    bench.stands(&highest);
    assert!(warnings(&last)[0].contains("pinned key"), "{last:?}");
}

#[test]
fn what_lies_in_another_inbox_than_the_one_that_counts_fails_no_run() {
    let (bench, release) = Bench::standing();
    // Its person's inbox has been emptied meanwhile.
    fs::remove_file(bench.inbox("1000").join("manifest.json")).unwrap();
    bench.lay_for("1001", &Release::usual(4));
    fs::create_dir(bench.inbox("1002")).unwrap();
    fs::write(bench.inbox("1002").join("manifest.json"), "garbage").unwrap();

    let last = bench.run().last;

    assert_eq!((last.result, &last.code), (SyncResult::Unchanged, &None));
    assert_eq!(warnings(&last).len(), 2, "{:?}", last.warnings);
    bench.stands(&release);
}

#[test]
fn two_audiences_of_one_version_are_ambiguous_until_one_is_pinned() {
    let (bench, release) = Bench::standing();
    let engineering = Release::new(6).with("code", &[("SKILL.md", "c")]).audience("engineering");
    bench.lay_for("1000", &Release::usual(6));
    bench.lay_for("1001", &engineering);

    let last = bench.refused(&release);

    assert_eq!(last.code.as_deref(), Some("ambiguous"));
    assert!(last.problem.unwrap().contains("engineering and for finance"));
    let member = Member { audience: Some("engineering".into()), ..Member::default() };
    let settings = tollgate_helper::sync::places::Settings::new(
        &member,
        tollgate_helper::sync::places::Os::HERE,
        Some(bench.place.path()),
    );
    let bench = Bench { settings, ..bench };
    assert_eq!(bench.run().last.result, SyncResult::Applied);
    bench.stands(&engineering);
}
