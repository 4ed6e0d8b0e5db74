use super::*;
use crate::store::manifests::{ManifestDocument, ManifestPut, ManifestVersion, ManifestWay, PART};

fn version(number: u64, version: u64) -> ManifestVersion {
    ManifestVersion {
        number,
        catalogue: "acme".into(),
        version,
        issued_at: 1_763_730_000,
        expires_at: 1_763_830_000,
        sha256: format!("{version:064}"),
        key_id: "manifest-1".into(),
        envelope: format!("{{\"{version}\":1}}").into_bytes(),
        published_at: 1_763_730_001,
        published_by: "sue".into(),
        way: ManifestWay::Revoke,
        ticket: Some("SEC-1".into()),
        why: None,
    }
}

fn documents() -> Vec<ManifestDocument> {
    let one = |audience: &str, marketplace: Option<&[u8]>| ManifestDocument {
        audience: audience.into(),
        sha256: "aa".into(),
        envelope: b"{}".to_vec(),
        marketplace: marketplace.map(<[u8]>::to_vec),
    };
    vec![one("all", Some(b"[]")), one("finance", None)]
}

both! {
    async fn the_publication_with_the_highest_number_is_in_force_with_its_documents_and_its_row(bench: Bench) {
        let store = &bench.store;
        assert_eq!(store.manifest_number().await.unwrap(), 0);
        assert_eq!(store.manifest_in_force().await.unwrap(), None);

        let put = store.publish_manifest(&version(1, 7), &documents(), &act()).await.unwrap();
        assert_eq!(put, ManifestPut::Done);
        let put = store.publish_manifest(&version(2, 9), &documents()[..1], &act()).await.unwrap();
        assert_eq!(put, ManifestPut::Done);

        assert_eq!(store.manifest_number().await.unwrap(), 2);
        assert_eq!(store.manifest_in_force().await.unwrap(), Some(version(2, 9)));
        assert_eq!(store.manifests(9).await.unwrap(), [version(2, 9), version(1, 7)]);
        assert_eq!(store.manifest_documents(1).await.unwrap(), documents());
        assert_eq!(store.manifest_documents(2).await.unwrap().len(), 1);
        assert_eq!(ids(store, all()).await.len(), 2, "each leaves its row");
    }

    async fn a_version_only_rises_within_its_catalogue_and_nothing_is_left_of_what_did_not(bench: Bench) {
        let store = &bench.store;
        store.publish_manifest(&version(1, 7), &documents(), &act()).await.unwrap();

        for (number, old) in [(2, 7), (2, 3)] {
            let put = store.publish_manifest(&version(number, old), &documents(), &act()).await.unwrap();
            assert_eq!(put, ManifestPut::Older(7));
        }
        for number in [1, 3] {
            let put = store.publish_manifest(&version(number, 8), &documents(), &act()).await.unwrap();
            assert_eq!(put, ManifestPut::Raced, "{number}");
        }
        let other = ManifestVersion { catalogue: "other".into(), ..version(2, 1) };
        assert_eq!(store.publish_manifest(&other, &[], &act()).await.unwrap(), ManifestPut::Done);
        assert_eq!(ids(store, all()).await.len(), 2);
    }

    async fn of_two_who_publish_a_manifest_at_once_one_is_told_so(bench: Bench) {
        let other = bench.beside().await;
        let (one, two) = (version(1, 7), version(1, 8));
        let (first, second) = (act(), act());
        let all = documents();

        let (one, two) = tokio::join!(
            bench.store.publish_manifest(&one, &all, &first),
            other.store.publish_manifest(&two, &all, &second)
        );

        let done = [one.unwrap(), two.unwrap()];
        assert_eq!(done.iter().filter(|it| **it == ManifestPut::Done).count(), 1, "{done:?}");
        assert_eq!(bench.store.manifest_documents(1).await.unwrap().len(), 2);
    }

    async fn what_was_published_cannot_be_changed(bench: Bench) {
        bench.store.publish_manifest(&version(1, 7), &documents(), &act()).await.unwrap();

        for sql in [
            "UPDATE manifest_publications SET version = 1",
            "DELETE FROM manifest_publications",
            "UPDATE manifest_documents SET sha256 = 'bb'",
            "DELETE FROM manifest_documents",
        ] {
            assert!(bench.sql(sql).await.is_err(), "{sql}");
        }
    }

    async fn an_archive_is_there_once_all_of_its_parts_are(bench: Bench) {
        let store = &bench.store;
        let parts = [vec![1; PART], vec![2; 5]];
        for (number, part) in (0..).zip(&parts) {
            assert_eq!(store.archive("aa").await.unwrap(), None);
            store.put_archive_part("aa", number, part).await.unwrap();
            store.put_archive_part("aa", number, b"again").await.unwrap();
        }

        store.finish_archive("aa", PART as u64 + 5, 1).await.unwrap();
        store.finish_archive("aa", PART as u64 + 5, 2).await.unwrap();

        assert_eq!(store.archive("aa").await.unwrap(), Some(PART as u64 + 5));
        assert_eq!(store.archive_part("aa", 1).await.unwrap().as_ref(), Some(&parts[1]));
        assert_eq!(store.archive_part("aa", 2).await.unwrap(), None);
    }
}
