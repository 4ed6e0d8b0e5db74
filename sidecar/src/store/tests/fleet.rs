use super::*;
use crate::store::fleet::{Device, Heard, Served, StandsThere, Wanted, Which};
use crate::store::manifests::ManifestVersion;

fn whose(user: &str, what: &str) -> (String, String, String) {
    ("acme".into(), user.into(), what.into())
}

fn served(user: &str, version: u64, row: &str) -> Served {
    Served {
        whose: whose(user, "cowork"),
        catalogue: "acme".into(),
        audience: "all".into(),
        version,
        sha256: format!("{version:064}"),
        at: 1_763_730_000 + version,
        row: event(row, clock::now_micros()),
    }
}

fn heard(user: &str, device: &str, version: Option<u64>, at: u64) -> Heard {
    let stands = version.map(|version| StandsThere {
        catalogue: "acme".into(),
        audience: "all".into(),
        version,
        sha256: format!("{version:064}"),
        applied_at: at,
    });
    let device = Device {
        whose: whose(user, device),
        client: "cowork".into(),
        os: "linux".into(),
        helper: "1".into(),
        result: "applied".into(),
        stands,
        synced_at: at,
        reported_at: at,
        ..Device::default()
    };
    Heard { device, report: "{}".into(), row: None }
}

fn failed(heard: Heard, row: &str) -> Heard {
    let device =
        Device { result: "failed".into(), code: Some("expired".into()), ..heard.device.clone() };
    Heard { device, row: Some(event(row, clock::now_micros())), ..heard }
}

fn warned(heard: Heard, text: &str) -> Heard {
    Heard { device: Device { warnings: vec![text.into()], ..heard.device.clone() }, ..heard }
}

fn wanted(tenants: Option<&[String]>) -> Wanted<'_> {
    Wanted { tenants, since: 0, catalogue: "acme" }
}

async fn names(store: &Store, which: Which) -> Vec<String> {
    let devices = store.fleet_devices(&wanted(None), which, 99).await.unwrap();
    devices.into_iter().map(|it| it.whose.2).collect()
}

both! {
    async fn only_a_changed_document_leaves_a_row_and_the_row_says_from_what(bench: Bench) {
        let store = &bench.store;
        let twice = [served("ann", 1, "a1"), served("bob", 1, "b1"), served("ann", 1, "a1")];
        store.note_fleet(&twice, &[]).await.unwrap();
        store.note_fleet(&[served("ann", 1, "a2")], &[]).await.unwrap();
        bench.beside().await.store.note_fleet(&[served("ann", 2, "a3")], &[]).await.unwrap();

        let mut rows = ids(store, all()).await;
        rows.sort();
        assert_eq!(rows, ["a1", "a3", "b1"]);
        let rows = store.rows(&all()).await.unwrap();
        let row = rows.iter().find(|row| row.text("event_id") == "a3").unwrap();
        assert!(row.text("payload").contains(r#""before":{"audience":"all","version":1}"#), "{}", row.text("payload"));
    }

    async fn laptops_are_counted_by_version_and_listed_by_what_they_lack(bench: Bench) {
        let store = &bench.store;
        store.note_fleet(&[served("zoe", 2, "z")], &[
            heard("ann", "d1", Some(2), 100),
            heard("ann", "d2", Some(1), 90),
            heard("bob", "d3", None, 80),
            failed(heard("eve", "d4", Some(1), 70), "e"),
        ]).await.unwrap();

        let counts = store.fleet_counts(&wanted(None)).await.unwrap();
        let mut counts: Vec<_> = counts.into_iter().map(|it| (it.version, it.devices, it.failed)).collect();
        counts.sort_unstable();
        assert_eq!(counts, [(None, 1, 0), (Some(1), 2, 1), (Some(2), 1, 0)]);
        assert_eq!(names(store, Which::Behind(2)).await, ["d4", "d3", "d2"], "the longest away first");
        assert_eq!(names(store, Which::Failed).await, ["d4"]);
        assert_eq!(names(store, Which::At(1)).await, ["d4", "d2"]);
        assert_eq!(names(store, Which::Any).await.len(), 4);
        assert_eq!(store.fleet_silent(&wanted(None)).await.unwrap(), 1, "zoe");
        let other = ["other".to_owned()];
        assert!(store.fleet_counts(&wanted(Some(&other))).await.unwrap().is_empty());
        assert!(store.fleet_devices(&wanted(Some(&other)), Which::Any, 9).await.unwrap().is_empty());
        assert_eq!(store.fleet_silent(&wanted(Some(&other))).await.unwrap(), 0);
        let lately = Wanted { since: 85, ..wanted(None) };
        assert_eq!(store.fleet_devices(&lately, Which::Any, 9).await.unwrap().len(), 2);
        let rows = ids(store, all()).await;
        assert!(rows.contains(&"e".into()) && rows.len() == 2, "{rows:?}");
    }

    async fn what_a_laptop_warns_of_is_counted_and_listed_until_it_does_no_more(bench: Bench) {
        let store = &bench.store;
        let first = warned(heard("ann", "d1", Some(2), 100), "its users can write \"it\"");
        let told = failed(heard("bob", "d2", Some(2), 90), "e");
        let told = Heard { device: Device { problem: Some("no room".into()), ..told.device }, ..told };
        let report = Heard { report: r#"{"a":1}"#.into(), ..first };
        store.note_fleet(&[], &[report, told]).await.unwrap();

        let counts = store.fleet_counts(&wanted(None)).await.unwrap();
        assert_eq!((counts[0].devices, counts[0].failed, counts[0].warned), (2, 1, 1));
        let listed = store.fleet_devices(&wanted(None), Which::Warned, 9).await.unwrap();
        let [laptop] = &listed[..] else { panic!("{listed:?}") };
        assert_eq!(laptop.warnings, ["its users can write \"it\""]);
        let shown = store.fleet_reports(&wanted(None), "ann", 9).await.unwrap();
        assert_eq!(shown, [(laptop.clone(), r#"{"a":1}"#.to_owned())]);
        assert_eq!(store.fleet_reports(&wanted(None), "d1", 9).await.unwrap(), shown);
        let bobs = store.fleet_reports(&wanted(None), "bob", 9).await.unwrap();
        assert_eq!(bobs[0].0.problem.as_deref(), Some("no room"));
        let other = ["other".to_owned()];
        assert!(store.fleet_reports(&wanted(Some(&other)), "ann", 9).await.unwrap().is_empty());

        store.note_fleet(&[], &[heard("ann", "d1", Some(2), 110)]).await.unwrap();
        assert!(names(store, Which::Warned).await.is_empty());
    }

    async fn a_version_counts_from_when_it_or_a_later_one_was_there_first(bench: Bench) {
        let store = &bench.store;
        for (version, at) in [(1, 100), (2, 200), (3, 300), (3, 400)] {
            store.note_fleet(&[], &[heard("ann", "d1", Some(version), at)]).await.unwrap();
        }
        store.note_fleet(&[], &[heard("bob", "d2", Some(1), 120), heard("eve", "d3", Some(3), 320)]).await.unwrap();

        let reached = |version| async move {
            let mut all = store.fleet_reached(&wanted(None), version).await.unwrap();
            all.sort_unstable();
            all
        };
        assert_eq!(reached(1).await, [Some(100), Some(120), Some(320)]);
        assert_eq!(reached(2).await, [None, Some(200), Some(320)], "a version that was skipped");
        assert_eq!(reached(3).await, [None, Some(300), Some(320)]);
        assert_eq!(reached(4).await, [None, None, None]);

        store.note_fleet(&[], &[heard("ann", "d1", None, 500)]).await.unwrap();
        assert_eq!(reached(3).await, [None, None, Some(320)], "set up anew, with nothing yet");
        store.note_fleet(&[], &[heard("ann", "d1", Some(3), 450)]).await.unwrap();
        assert_eq!(reached(3).await, [None, None, Some(320)], "a report that was late");
    }

    async fn a_laptop_without_a_name_is_the_one_that_has_one_later(bench: Bench) {
        let store = &bench.store;
        store.note_fleet(&[], &[heard("ann", "", None, 100), heard("bob", "", None, 100)]).await.unwrap();
        assert_eq!(names(store, Which::Any).await, ["", ""]);

        store.note_fleet(&[], &[heard("ann", "d1", Some(1), 200)]).await.unwrap();

        assert_eq!(names(store, Which::Any).await, ["", "d1"], "bob's has none yet");
    }

    async fn laptops_of_long_ago_and_more_than_somebody_can_have_are_forgotten(bench: Bench) {
        let store = &bench.store;
        let published = ManifestVersion { number: 1, catalogue: "acme".into(), version: 1, ..ManifestVersion::default() };
        store.publish_manifest(&published, &[], &act()).await.unwrap();
        let many: Vec<Heard> = (0..60).map(|n| heard("ann", &format!("d{n}"), Some(1), 1_000 + n)).collect();
        store.note_fleet(&[], &many).await.unwrap();
        store.note_fleet(&[], &[heard("bob", "old", Some(1), 10), heard("bob", "new", Some(9), 1_000)]).await.unwrap();

        store.forget_devices(100).await.unwrap();

        let left = names(store, Which::Any).await;
        assert_eq!(left.len(), 51, "{left:?}");
        assert!(left.contains(&"d10".into()) && !left.contains(&"d9".into()) && !left.contains(&"old".into()));
    }

    async fn when_a_laptop_had_what_it_has_no_more_is_forgotten_with_time(bench: Bench) {
        let store = &bench.store;
        for (number, version) in [(1, 1), (2, 2), (3, 3)] {
            let published = ManifestVersion { number, catalogue: "acme".into(), version, sha256: format!("{version}"), ..ManifestVersion::default() };
            store.publish_manifest(&published, &[], &act()).await.unwrap();
        }
        for (version, at) in [(1, 10), (2, 20), (3, 300)] {
            store.note_fleet(&[], &[heard("ann", "d1", Some(version), at)]).await.unwrap();
        }
        store.note_fleet(&[], &[heard("bob", "d2", Some(2), 30)]).await.unwrap();
        store.note_fleet(&[], &[Heard { device: Device { reported_at: 300, ..heard("bob", "d2", Some(2), 30).device }, ..heard("bob", "d2", Some(2), 30) }]).await.unwrap();

        store.forget_devices(100).await.unwrap();

        let mut reached = store.fleet_reached(&wanted(None), 2).await.unwrap();
        reached.sort_unstable();
        assert_eq!(reached, [Some(30), Some(300)], "of bob's the last one stays; that ann's had version 2 is forgotten");
    }

    async fn a_thousand_laptops_are_one_transaction(bench: Bench) {
        let all_of: Vec<Served> = (0..1_100).map(|n| served(&format!("u{n}"), 1, &format!("r{n}"))).collect();
        let said: Vec<Heard> = (0..1_100).map(|n| heard(&format!("u{n}"), "d", Some(1), 9)).collect();

        bench.store.note_fleet(&all_of, &said).await.unwrap();

        assert_eq!(ids(&bench.store, all()).await.len(), 1_100);
        assert_eq!(bench.store.fleet_counts(&wanted(None)).await.unwrap()[0].devices, 1_100);
    }
}
