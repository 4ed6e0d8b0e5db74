use super::*;

both! {
    async fn each_transaction_adds_a_signed_block_behind_the_last(bench: Bench) {
        let store = &bench.store;
        store.append(&[event("a", 1), event("b", 2)], None).await.unwrap();
        store.append(&[event("b", 2)], None).await.unwrap();
        store.append(&[event("b", 2), event("c", 3)], None).await.unwrap();

        let (name, head) = store.heads().await.unwrap().remove(0);
        let blocks = store.blocks(&name, 0, 10).await.unwrap();

        assert_eq!((head.block, head.rows), (2, 3), "what was stored already makes no block");
        let of: Vec<_> = blocks.iter().map(|block| (block.number, block.rows)).collect();
        assert_eq!(of, [(1, 2), (2, 1)]);
        let writer = Writer::of(&bench.data).unwrap();
        assert_eq!(writer.id(), name);
        let mut before = Vec::new();
        for block in blocks {
            let rows = store.rows_of(&name, block.first, block.last, 100).await.unwrap();
            let digests: Vec<_> = rows.iter().map(Row::actual_digest).collect();
            let hash = block.hash_over(&before, digests.iter().map(<[u8; 32]>::as_slice));
            assert_eq!(hash.to_vec(), block.hash, "what is read back is what was hashed");
            assert!(writer.verifies(&block.hash, &block.signature));
            before = block.hash;
        }
    }

    async fn a_cursor_goes_on_behind_what_it_has_passed_and_sees_new_writers(bench: Bench) {
        let store = &bench.store;
        store.append(&[event("a", 5), event("b", 1)], None).await.unwrap();
        let mut cursor = Cursor::default();
        let after = |cursor: &Cursor| Filter { after: Some(cursor.clone()), ..all() };
        assert_eq!(ids(store, after(&cursor)).await, ["a", "b"], "as they were stored");
        for row in store.rows(&after(&cursor)).await.unwrap() {
            cursor.pass(&row.writer, row.place);
        }
        assert_eq!(cursor, store.end().await.unwrap());

        let beside = bench.beside().await;
        beside.store.append(&[event("c", 2)], None).await.unwrap();
        store.append(&[event("d", 3)], None).await.unwrap();

        let mut later = ids(store, after(&cursor)).await;
        later.sort();
        assert_eq!(later, ["c", "d"]);
        store.move_cursor("splunk", "w", 7).await.unwrap();
        store.move_cursor("splunk", "w", 9).await.unwrap();
        assert!(store.cursor("splunk").await.unwrap().covers("w", 9));
        assert_eq!(store.cursor("other").await.unwrap(), Cursor::default());
    }

    async fn several_writers_at_once_store_each_event_once(bench: Bench) {
        let beside = bench.beside().await;
        let events: Vec<_> = (0..400).map(|at| event(&format!("e{at}"), at)).collect();
        let store = async |store: Store, turn: usize| {
            let mut stored = 0;
            for chunk in events.chunks(20).cycle().skip(turn).take(20) {
                stored += store.append(chunk, None).await.unwrap().stored;
            }
            stored
        };

        let (one, two) = tokio::join!(store(bench.store.clone(), 0), store(beside.store.clone(), 7));

        assert_eq!(one + two, 400);
        let rows = bench.store.rows(&all()).await.unwrap();
        assert_eq!(rows.len(), 400);
        let in_chains: i64 = bench.store.heads().await.unwrap().iter().map(|(_, head)| head.rows).sum();
        assert_eq!(in_chains, 400);
    }

    async fn content_may_be_erased_and_nothing_else(bench: Bench) {
        let store = &bench.store;
        let mut told = event("a", 1);
        told.payload.content = Some(Content::default());
        store.append(&[told], None).await.unwrap();
        let erase = match store {
            Store::Sqlite(_) => "UPDATE audit_events SET payload = json_remove(payload, '$.content')",
            Store::Postgres(_) => {
                "UPDATE audit_events SET payload = (payload::jsonb - 'content')::json"
            }
        };

        for sql in [
            format!("{erase}, outcome = 'denied'"),
            "UPDATE audit_events SET payload = '{}'".into(),
            "UPDATE audit_events SET digest = 'x'".into(),
        ] {
            let error = bench.sql(&sql).await.unwrap_err().to_string();
            assert!(error.contains("append-only"), "{sql}: {error}");
        }
        bench.sql(erase).await.unwrap();

        let row = store.rows(&all()).await.unwrap().remove(0);
        assert_eq!(row.get("payload")["content"], serde_json::Value::Null);
        assert_eq!(row.get("payload")["content_sha256"].as_str().map(str::len), Some(64));
    }

    /// Whichever way an event comes, the store itself sees to it.
    async fn no_secret_is_stored_where_the_policy_has_them_masked(bench: Bench) {
        let text = Text { text: "password: correct-horse".into(), ..Default::default() };
        let content = Content { input: vec![Part::Text { text }], ..Content::default() };
        let said = |id: &'static str| {
            let mut event = event(id, 1);
            event.payload.content = Some(content.clone());
            event
        };
        let mark = Mark { generation: 1, file: "f".into(), position: 9 };

        bench.store.append(&[said("a")], None).await.unwrap();
        bench.store.append(&[said("a"), said("b")], Some(("spool", &mark))).await.unwrap();
        bench.store.close_intents(&[said("c")]).await.unwrap();

        let rows = bench.store.rows(&all()).await.unwrap();
        assert_eq!(rows.len(), 3);
        for row in rows {
            assert!(row.raw.contains("[assigned_secret]") && !row.raw.contains("horse"), "{}", row.raw);
        }
    }

    async fn an_intent_waits_for_its_end_and_a_lost_one_becomes_a_row(bench: Bench) {
        let store = &bench.store;
        let mut told = event("a", 1);
        told.payload.sequence = Some(Number { boot: 5, vm: 1, n: 9 });
        for (id, at) in [("a", 100), ("b", 200)] {
            store.intend(&Event { event_id: id.into(), ..told.clone() }, at).await.unwrap();
        }

        assert_eq!(store.intents(150).await.unwrap().len(), 1);
        store.append(&[event("a", 1)], None).await.unwrap();
        let open = store.intents(1_000).await.unwrap();

        assert_eq!(open.len(), 1, "the one with a row is settled");
        assert_eq!((&*open[0].event.event_id, open[0].stored_at), ("b", 200));
        assert_eq!(open[0].sequence, Number { boot: 5, vm: 1, n: 9 });
        assert_eq!(store.close_intents(&[open[0].event.clone()]).await.unwrap(), 1);
        assert_eq!(store.intents(1_000).await.unwrap(), []);
        assert_eq!(ids(store, all()).await, ["a", "b"]);
    }

    async fn numbers_without_a_row_are_noticed(bench: Bench) {
        let store = &bench.store;
        let numbered = |n: u64| {
            let mut event = event(&format!("e{n}"), n);
            event.payload.sequence = Some(Number { boot: 1 << 60, vm: 2, n });
            event
        };
        store.append(&[numbered(1), numbered(2)], None).await.unwrap();
        store.append(&[numbered(5), numbered(5)], None).await.unwrap();
        let told = Heartbeat { boot: 1 << 60, vm: 2, highest: 7, open: vec![4] };
        store.heard(&told, 1_000).await.unwrap();
        store.append(&[numbered(8)], None).await.unwrap();

        let sequence = store.sequences().await.unwrap().remove(0);

        assert_eq!((&sequence.told, sequence.heard_at), (&told, 1_000));
        assert_eq!(sequence.missing(true), [(3, 3), (6, 7)]);
        assert_eq!(sequence.missing(false), [(3, 4), (6, 7)]);
    }
}
