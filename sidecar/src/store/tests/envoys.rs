use super::*;
use crate::store::{EnvoyChange, EnvoyWay};
use std::collections::BTreeMap;

fn change(gateway: &str, number: u64, way: EnvoyWay) -> EnvoyChange {
    EnvoyChange {
        gateway: gateway.into(),
        number,
        at: 1_763_730_000,
        by: "sue".into(),
        way,
        ticket: Some("OPS-1".into()),
        why: None,
        changes: vec!["+ cluster openai".into()],
        files: BTreeMap::from([("routes.yaml".into(), format!("sha256:{number}"))]),
    }
}

both! {
    async fn each_gateway_has_a_history_of_its_own_and_drift_is_not_what_was_meant(bench: Bench) {
        let store = &bench.store;
        for new in [
            change("a", 1, EnvoyWay::Apply),
            change("a", 2, EnvoyWay::Drift),
            change("b", 1, EnvoyWay::Adopt),
            change("a", 3, EnvoyWay::Agrees),
        ] {
            assert!(store.add_envoy_change(&new, &act()).await.unwrap());
        }

        let changes = store.envoy_changes("a", 9).await.unwrap();
        assert_eq!(changes.iter().map(|it| it.number).collect::<Vec<_>>(), [3, 2, 1]);
        assert_eq!(changes[2], change("a", 1, EnvoyWay::Apply));
        assert_eq!(store.envoy_meant("a").await.unwrap(), Some(change("a", 1, EnvoyWay::Apply)));
        assert_eq!(store.envoy_meant("b").await.unwrap(), Some(change("b", 1, EnvoyWay::Adopt)));
        assert_eq!(store.envoy_meant("c").await.unwrap(), None);
        assert_eq!(ids(store, all()).await.len(), 4, "each leaves its row");
    }

    async fn of_two_changes_with_one_number_the_second_is_told_so_and_leaves_no_row(bench: Bench) {
        let store = &bench.store;
        assert!(store.add_envoy_change(&change("a", 1, EnvoyWay::Apply), &act()).await.unwrap());

        assert!(!store.add_envoy_change(&change("a", 1, EnvoyWay::Drift), &act()).await.unwrap());
        assert!(!store.add_envoy_change(&change("a", 3, EnvoyWay::Drift), &act()).await.unwrap());
        assert_eq!(ids(store, all()).await.len(), 1);
    }

    async fn what_happened_to_envoy_s_files_cannot_be_changed_afterwards(bench: Bench) {
        bench.store.add_envoy_change(&change("a", 1, EnvoyWay::Apply), &act()).await.unwrap();

        for sql in ["UPDATE envoy_changes SET changed_by = 'x'", "DELETE FROM envoy_changes"] {
            assert!(bench.sql(sql).await.is_err(), "{sql}");
        }
    }
}
