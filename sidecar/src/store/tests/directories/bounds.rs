use super::*;

both! {
    async fn two_groups_left_at_once_are_both_left(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        group(store, "scg_1", "a-team", &["scu_1"]).await;
        group(store, "scg_2", "b-team", &["scu_1"]).await;
        let leave = || vec![Membership::Leave(ids(&["scu_1"]))];
        // Both wait for the same row, having begun before either has ended.
        let hold = async {
            if matches!(store, Store::Postgres(_)) {
                bench.sql("BEGIN; SELECT sub FROM users FOR UPDATE; SELECT pg_sleep(1); COMMIT").await.unwrap();
            }
        };
        let both = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            tokio::join!(join(store, "scg_1", leave()), join(store, "scg_2", leave()))
        };

        let ((), done) = tokio::join!(hold, both);

        assert_eq!(done, (Written::Done(()), Written::Done(())));
        assert!(user(store, "ann").await.groups.is_empty());
    }

    async fn an_address_that_a_provider_changed_first_is_renamed_from_what_it_is_now(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        // Whoever signed in with the new address: the directory's own row still has the old one.
        bench.sql("UPDATE users SET user_id = 'anna@example.com'").await.unwrap();
        let of = |id: &str, effect, ends_at| Measure { id: id.into(), effect, ends_at, ..revoked("root") };
        store.lay(&of("anna@example.com", Effect::Paused, None), false, &act()).await.unwrap();
        // Left by somebody who had that address once.
        store.lay(&of("annika@example.com", Effect::Paused, Some(NOW + 9)), true, &act()).await.unwrap();

        put(store, "scu_1", &form("annika", true)).await;

        assert!(!mints(store, "annika", "j1").await);
        let measures = store.measures(NOW).await.unwrap();
        assert_eq!(measures.len(), 1, "{measures:?}");
        assert_eq!((&*measures[0].id, measures[0].ends_at), ("annika@example.com", None));
        bench.sql("UPDATE users SET user_id = 'ann@example.com'").await.unwrap();
        put(store, "scu_1", &form("ann", true)).await;
        assert_eq!(store.measures(NOW).await.unwrap()[0].id, "annika@example.com", "it was theirs already");
    }

    async fn an_operator_is_neither_adopted_nor_renamed(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        bench.sql("UPDATE users SET roles = '[\"security\"]'").await.unwrap();

        let renamed = store.put_person("scu_1", &form("anna", true), pen(&scim(), "acme")).await.unwrap();
        assert!(!matches!(renamed, Written::Done(_)), "{renamed:?}");
        assert!(store.user("ann@example.com").await.unwrap().is_some());
        store.drop_person("scu_1", pen(&scim(), "acme")).await.unwrap();
        let adopted = store.add_person("scu_2", &form("ann", true), pen(&scim(), "acme")).await.unwrap();
        assert!(!matches!(adopted, Written::Done(_)), "{adopted:?}");
    }

    async fn who_is_of_another_tenant_by_now_is_no_longer_the_directory_s(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        group(store, "scg_1", "engineering", &["scu_1"]).await;
        bench.sql("UPDATE users SET tenant_id = 'globex'").await.unwrap();

        assert_eq!(store.person("acme", "scu_1").await.unwrap(), None);
        let page = Page { limit: 9, ..Page::default() };
        assert_eq!(store.persons("acme", &page).await.unwrap().1, 0);
        let (act, one) = (scim(), form("ann", false));
        assert_eq!(store.put_person("scu_1", &one, pen(&act, "acme")).await.unwrap(), Written::Missing);
        assert_eq!(store.drop_person("scu_1", pen(&act, "acme")).await.unwrap(), Written::Missing);
        let joined = join(store, "scg_1", vec![Membership::Join(ids(&["scu_1"]))]).await;
        assert_eq!(joined, Written::Stranger("scu_1".into()));
        store.drop_group("scg_1", pen(&act, "acme")).await.unwrap();
        assert_eq!(user(store, "ann").await.groups, ids(&["engineering"]), "another's to say now");
    }
}
