use super::*;

both! {
    async fn an_event_told_twice_is_one_row(bench: Bench) {
        let store = &bench.store;

        let first = store.append(&[event("a", 1), event("b", 2)], None).await.unwrap();
        let again = store.append(&[event("b", 2), event("c", 3), event("c", 3)], None).await.unwrap();

        assert_eq!((first.stored, first.duplicates), (2, 0));
        assert_eq!((again.stored, again.duplicates), (1, 2));
        let rows = store.rows(&all()).await.unwrap();
        let ids: Vec<_> = rows.iter().map(|row| row.text("event_id")).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        assert_eq!(rows[0].get("gate_ms"), 0.125);
        assert_eq!(rows[0].get("complete"), true);
        assert_eq!(rows[0].text("occurred_at"), clock::stamp(1));
    }

    async fn an_id_a_client_chose_keeps_no_other_row_out(bench: Bench) {
        let store = &bench.store;

        store.append(&[event("same", 1)], None).await.unwrap();
        let other = store.append(&[event("same", 2)], None).await.unwrap();

        assert_eq!(other.stored, 1, "another time is another exchange");
    }

    async fn rows_cannot_be_changed_or_removed(bench: Bench) {
        let store = &bench.store;
        store.append(&[event("a", 1)], None).await.unwrap();

        for sql in ["UPDATE audit_events SET outcome = 'denied'", "DELETE FROM audit_events"] {
            let error = bench.sql(sql).await.unwrap_err().to_string();
            assert!(error.contains("append-only"), "{error}");
        }
        assert_eq!(store.rows(&all()).await.unwrap().len(), 1);
    }

    async fn a_batch_of_any_size_is_stored_whole(bench: Bench) {
        let store = &bench.store;
        let events: Vec<_> = (0..1_000).map(|at| event(&format!("e{at}"), at)).collect();

        let appended = store.append(&events, None).await.unwrap();

        assert_eq!(appended.stored, 1_000);
        assert_eq!(store.rows_in_all().await.unwrap()[0].1, 1_000);
    }

    async fn rows_and_the_spool_s_mark_are_stored_together_or_not_at_all(bench: Bench) {
        let store = &bench.store;
        let mark = |position| Mark { generation: 1, file: "1:2".into(), position };
        store.append(&[event("a", 1)], Some(("spool", &mark(10)))).await.unwrap();
        bench.sql("ALTER TABLE audit_events RENAME TO gone").await.unwrap();

        assert!(store.append(&[event("b", 2)], Some(("spool", &mark(20)))).await.is_err());
        assert_eq!(store.mark("spool").await.unwrap(), Some(mark(10)));
        assert_eq!(store.mark("other").await.unwrap(), None);
    }

    async fn rows_are_found_by_what_they_say(bench: Bench) {
        let store = &bench.store;
        let mut denied = event("b", 2_000_000);
        denied.outcome = Outcome::Denied;
        denied.payload.provider_request_id = Some("req_1".into());
        store.append(&[event("a", 1_000_000), denied], None).await.unwrap();

        let writer = store.rows(&all()).await.unwrap()[0].writer.clone();
        let first = Cursor([(writer, 1)].into());
        let by = |column, value: &str| Filter { equal: vec![(column, value.into())], ..all() };
        assert_eq!(ids(store, by("outcome", "denied")).await, ["b"]);
        assert_eq!(ids(store, by("status", "200")).await, ["a", "b"], "numbers too");
        assert_eq!(ids(store, by("no such column' OR 1", "x")).await, ["a", "b"], "no SQL from outside");
        assert_eq!(ids(store, Filter { since: Some(1_500_000), ..all() }).await, ["b"]);
        assert_eq!(ids(store, Filter { until: Some(2_000_000), ..all() }).await, ["a"]);
        assert_eq!(ids(store, Filter { after: Some(first), ..all() }).await, ["b"]);
        assert_eq!(ids(store, Filter { limit: 1, ..Filter::default() }).await, ["b"], "the latest");
        for id in ["req_1", "b"] {
            assert_eq!(ids(store, Filter { any_id: Some(id.into()), ..all() }).await, ["b"]);
        }
        assert_eq!(ids(store, Filter { any_id: Some("t1".into()), ..all() }).await, ["a", "b"]);
    }
}
