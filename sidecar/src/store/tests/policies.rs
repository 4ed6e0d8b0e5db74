use super::*;
use crate::store::{PolicyVersion, Way};

fn version(number: u64, version: &str) -> PolicyVersion {
    PolicyVersion {
        number,
        version: version.into(),
        name: "acme".into(),
        key_id: "policy-1".into(),
        envelope: format!("{{\"{version}\":1}}").into_bytes(),
        published_at: 1_763_730_000,
        published_by: "sue".into(),
        way: Way::Rollback,
        ticket: Some("SEC-1".into()),
        why: None,
    }
}

both! {
    async fn gateways_of_one_database_have_one_secret_and_the_first_makes_it(bench: Bench) {
        let first = bench.store.gate_secret("mcp.sessions", "one").await.unwrap();
        let other = bench.beside().await;
        let later = other.store.gate_secret("mcp.sessions", "two").await.unwrap();

        assert_eq!((&*first, &*later), ("one", "one"));
        assert_eq!(other.store.gate_secret("else", "three").await.unwrap(), "three");
    }

    async fn the_policy_with_the_highest_number_is_in_force_and_the_others_stay_known(bench: Bench) {
        let store = &bench.store;
        assert_eq!(store.policy_number().await.unwrap(), 0);
        assert_eq!(store.policy_in_force().await.unwrap(), None);

        assert!(store.publish_policy(&version(1, "aa"), Some(&act())).await.unwrap());
        assert!(store.publish_policy(&version(2, "bb"), Some(&act())).await.unwrap());

        assert_eq!(store.policy_number().await.unwrap(), 2);
        assert_eq!(store.policy_in_force().await.unwrap(), Some(version(2, "bb")));
        assert_eq!(store.policies(9).await.unwrap(), [version(2, "bb"), version(1, "aa")]);
        assert!(store.is_policy_known("aa", &version(1, "aa").envelope).await.unwrap());
        assert!(!store.is_policy_known("aa", b"{}").await.unwrap());
        assert_eq!(ids(store, all()).await.len(), 2, "each leaves its row");
    }

    async fn of_two_who_publish_at_once_one_is_told_so_and_leaves_no_row(bench: Bench) {
        let store = &bench.store;
        assert!(store.publish_policy(&version(1, "aa"), Some(&act())).await.unwrap());

        let (one, other) = (version(2, "bb"), version(2, "cc"));
        let (first, second) = (act(), act());
        let (one, other) =
            tokio::join!(store.publish_policy(&one, Some(&first)), store.publish_policy(&other, Some(&second)));

        assert_ne!(one.unwrap(), other.unwrap(), "exactly one");
        assert!(!store.publish_policy(&version(2, "dd"), Some(&act())).await.unwrap());
        assert!(!store.publish_policy(&version(4, "ee"), Some(&act())).await.unwrap(), "no number is left out");
        assert_eq!(store.policy_number().await.unwrap(), 2);
        assert_eq!(ids(store, all()).await.len(), 2);
    }

    async fn what_was_in_force_before_there_was_a_history_has_no_second_row(bench: Bench) {
        assert!(bench.store.publish_policy(&version(1, "aa"), None).await.unwrap());

        assert_eq!(bench.store.policy_number().await.unwrap(), 1);
        assert!(ids(&bench.store, all()).await.is_empty());
    }

    async fn what_was_in_force_cannot_be_changed_afterwards(bench: Bench) {
        bench.store.publish_policy(&version(1, "aa"), Some(&act())).await.unwrap();

        for sql in ["UPDATE policy_versions SET name = 'x'", "DELETE FROM policy_versions"] {
            assert!(bench.sql(sql).await.is_err(), "{sql}");
        }
    }
}
