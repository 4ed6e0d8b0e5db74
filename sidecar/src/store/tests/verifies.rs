use super::*;
use crate::audit::verify::{Evidence, Report, verify};
use crate::checkpoints;
use crate::screen::Screen;
use crate::store::row::digest;
use chain::Head;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

impl Bench {
    /// Ten rows in four blocks, and a checkpoint behind them.
    async fn filled(&self) {
        for chunk in [0..3_u64, 3..4, 4..8, 8..10] {
            let events: Vec<_> = chunk.map(|at| event(&format!("e{at}"), at)).collect();
            self.store.append(&events, None).await.unwrap();
        }
        checkpoints::write(&self.data, &self.store, &Head::default()).await.unwrap();
    }

    async fn verified(&self) -> Report {
        let evidence = Evidence::read(&self.data, &[], &[]).unwrap();
        verify(&self.store, &evidence, &mut Screen::nowhere()).await.unwrap()
    }

    /// What is found after a change by one who owns the database.
    async fn found_after(&self, sql: &str) -> Vec<(&'static str, Option<String>)> {
        self.filled().await;
        assert!(self.verified().await.whole);
        self.forced(sql).await;
        let report = self.verified().await;
        assert!(!report.whole);
        report.findings.into_iter().map(|one| (one.what, one.event_id)).collect()
    }
}

fn row(what: &'static str, id: &str) -> Vec<(&'static str, Option<String>)> {
    vec![(what, Some(id.to_owned()))]
}

both! {
    async fn a_table_as_it_was_stored_is_whole(bench: Bench) {
        bench.filled().await;
        let beside = bench.beside().await;
        beside.store.append(&[event("other", 50)], None).await.unwrap();
        let mut evidence = bench.data.clone();
        if bench.data.postgres().is_some() {
            // Another sidecar's chain is believed once its key has been brought here.
            let unknown = bench.verified().await;
            assert_eq!(unknown.findings[0].what, "writer_unknown");
            for file in std::fs::read_dir(beside.data.audit_keys()).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_some_and(|kind| kind == "pub") {
                    let name = path.file_name().unwrap();
                    std::fs::copy(&path, bench.data.audit_keys().join(name)).unwrap();
                }
            }
            evidence = bench.data.clone();
        }

        let evidence = Evidence::read(&evidence, &[], &[]).unwrap();
        let report = verify(&bench.store, &evidence, &mut Screen::nowhere()).await.unwrap();

        assert_eq!(report.findings, []);
        assert!(report.whole);
        assert_eq!((report.rows, report.blocks, report.checkpoints), (11, 5, 1));
    }

    async fn an_edited_row_is_found(bench: Bench) {
        let sql = "UPDATE audit_events SET outcome = 'denied' WHERE event_id = 'e5'";

        assert_eq!(bench.found_after(sql).await, row("row_edited", "e5"));
    }

    async fn a_removed_row_is_found(bench: Bench) {
        let found = bench.found_after("DELETE FROM audit_events WHERE event_id = 'e5'").await;

        assert_eq!(found[0].0, "rows_missing");
    }

    async fn an_inserted_row_is_found(bench: Bench) {
        let columns = row::names();
        let values = columns.replacen("event_id", "'e99'", 1);
        let sql = format!(
            "INSERT INTO audit_events (writer, place, digest, {columns})
             SELECT writer, 100, digest, {values} FROM audit_events WHERE event_id = 'e5'"
        );

        let found = bench.found_after(&sql).await;

        assert!(found.contains(&("rows_added", Some("e99".into()))), "{found:?}");
    }

    async fn swapped_rows_are_found(bench: Bench) {
        let found = bench
            .found_after(
                "UPDATE audit_events SET place = 1000 WHERE event_id = 'e5';
                 UPDATE audit_events SET place = 6 WHERE event_id = 'e6';
                 UPDATE audit_events SET place = 7 WHERE event_id = 'e5'",
            )
            .await;

        let edited: Vec<_> = found.iter().filter(|one| one.0 == "row_edited").collect();
        assert_eq!(edited.len(), 2, "{found:?}");
    }

    /// Whoever edits a row can make its digest anew, but not the block's signature.
    async fn a_row_edited_with_its_digest_is_found_by_its_block(bench: Bench) {
        bench.filled().await;
        let before = bench.store.rows(&all()).await.unwrap().remove(5);
        let forged = Event { outcome: Outcome::Denied, ..event("e5", 5) };
        let payload = serde_json::to_string(&forged.payload).unwrap();
        let stamp = clock::stamp(5);
        let cells = row::cells(&forged, &stamp, &payload, None);
        let digest = hex(&digest(&before.writer, before.place, cells));
        let bytes = match bench.store {
            Store::Sqlite(_) => format!("x'{digest}'"),
            Store::Postgres(_) => format!("'\\x{digest}'"),
        };

        bench
            .forced(&format!(
                "UPDATE audit_events SET outcome = 'denied', digest = {bytes} WHERE event_id = 'e5'"
            ))
            .await;

        let report = bench.verified().await;
        assert_eq!(report.findings.len(), 1, "{report:?}");
        assert_eq!(report.findings[0].what, "rows_swapped");
        assert!(report.findings[0].place.starts_with("block 3"), "{report:?}");
    }

    async fn a_cut_tail_is_found_by_the_checkpoint(bench: Bench) {
        let found = bench
            .found_after(
                "DELETE FROM audit_events WHERE event_id IN ('e8', 'e9');
                 DELETE FROM audit_blocks WHERE number = 4;
                 UPDATE audit_writers SET place = 8, block = 3, rows = 8,
                     hash = (SELECT hash FROM audit_blocks WHERE number = 3)",
            )
            .await;

        assert_eq!(found, [("tail_cut", None)]);
    }

    /// One who has the database but not the key can only write a chain of their own.
    async fn a_chain_rewritten_without_the_key_is_found(bench: Bench) {
        bench.filled().await;
        let forger = Bench::sqlite().await;
        let (name, _) = bench.store.heads().await.unwrap().remove(0);
        let block = bench.store.blocks(&name, 3, 1).await.unwrap().remove(0);
        let before = bench.store.blocks(&name, 2, 1).await.unwrap().remove(0);
        let rows = bench.store.rows_of(&name, block.first, block.first, 1).await.unwrap();
        let digests = [rows[0].actual_digest()];
        let shorter = Block { last: block.first, rows: 1, ..block.clone() };
        let hash = shorter.hash_over(&before.hash, digests.iter().map(<[u8; 32]>::as_slice));
        let signature = forger.store.writer().sign(&hash);
        let bytes = |bytes: &[u8]| match bench.store {
            Store::Sqlite(_) => format!("x'{}'", hex(bytes)),
            Store::Postgres(_) => format!("'\\x{}'", hex(bytes)),
        };

        bench
            .forced(&format!(
                "DELETE FROM audit_events WHERE event_id = 'e9';
                 UPDATE audit_blocks SET last = {first}, rows = 1, hash = {hash}, signature = {sig}
                     WHERE number = 4;
                 UPDATE audit_writers SET place = {first}, rows = 9, hash = {hash}",
                first = block.first,
                hash = bytes(&hash),
                sig = bytes(&signature),
            ))
            .await;

        let report = bench.verified().await;
        let what: Vec<_> = report.findings.iter().map(|one| one.what).collect();
        assert_eq!(what, ["signature_wrong", "chain_rewritten"], "{report:?}");
    }

    async fn a_number_without_a_row_is_told(bench: Bench) {
        bench.filled().await;
        let mut numbered = event("n3", 60);
        numbered.payload.sequence = Some(Number { boot: 1, vm: 1, n: 3 });
        bench.store.append(&[numbered], None).await.unwrap();
        let told = Heartbeat { boot: 1, vm: 1, highest: 4, open: vec![4] };
        bench.store.heard(&told, clock::now_micros()).await.unwrap();

        let report = bench.verified().await;

        assert_eq!(report.findings.len(), 1);
        assert_eq!((report.findings[0].what, &*report.findings[0].place), ("no_row", "numbers 1 to 2"));
    }

    async fn a_record_that_is_on_its_way_is_not_told_as_missing(bench: Bench) {
        bench.filled().await;
        let told = Heartbeat { boot: 1, vm: 1, highest: 1, open: vec![] };
        bench.store.heard(&told, clock::now_micros()).await.unwrap();
        let mut late = event("n1", 60);
        late.payload.sequence = Some(Number { boot: 1, vm: 1, n: 1 });

        let arrives = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            bench.store.append(&[late], None).await.unwrap();
        };
        let (evidence, mut screen) =
            (Evidence::read(&bench.data, &[], &[]).unwrap(), Screen::nowhere());
        let ((), report) = tokio::join!(arrives, verify(&bench.store, &evidence, &mut screen));

        let told: Vec<_> = report.unwrap().findings.into_iter().map(|one| one.what).collect();
        assert!(!told.contains(&"no_row"), "{told:?}");
    }

    async fn a_table_that_grows_while_it_is_verified_is_whole(bench: Bench) {
        bench.filled().await;
        let (store, enough) = (bench.store.clone(), Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&enough);
        let grows = tokio::spawn(async move {
            for at in (100..20_000_u64).take_while(|at| *at < 400 || !seen.load(Ordering::Relaxed)) {
                store.append(&[event(&format!("g{at}"), at)], None).await.unwrap();
            }
        });

        let mut verified = 0;
        while !grows.is_finished() {
            let report = bench.verified().await;
            assert_eq!(report.findings, []);
            verified += 1;
            enough.store(verified > 1, Ordering::Relaxed);
        }

        grows.await.unwrap();
        assert!(verified > 1, "it was verified while it grew");
    }

    async fn erased_content_is_counted_and_edited_content_is_found(bench: Bench) {
        let mut told = event("a", 1);
        told.payload.content = Some(Content { mode: ContentMode::Full, ..Content::default() });
        bench.store.append(&[told.clone(), Event { event_id: "b".into(), ..told }], None).await.unwrap();
        assert!(bench.verified().await.whole);
        let edited = r#"REPLACE(CAST(payload AS TEXT), '"full"', '"none"')"#;
        let edited = match bench.store {
            Store::Sqlite(_) => edited.to_owned(),
            Store::Postgres(_) => format!("({edited})::json"),
        };

        bench.forced(&format!("UPDATE audit_events SET payload = {edited} WHERE event_id = 'a'")).await;

        let report = bench.verified().await;
        assert_eq!(report.findings.len(), 1, "{report:?}");
        assert_eq!(report.findings[0].what, "content_edited");
    }
}
