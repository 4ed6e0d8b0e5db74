use super::*;
use crate::settings::Data;
use crate::store::{Cursor, Filter};
use std::fs;
use std::io::Write;

struct Bench {
    place: tempfile::TempDir,
    store: Store,
    counters: Arc<Counters>,
}

impl Bench {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let store = Store::create(&Data::new(place.path())).await.unwrap();
        Self { place, store, counters: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("audit.jsonl")
    }

    fn append(&self, text: &str) {
        let mut file = File::options().create(true).append(true).open(self.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    async fn resumed(&self) -> Spool {
        Spool::resume(&self.path(), self.store.clone(), Arc::clone(&self.counters)).await.unwrap()
    }

    async fn ids(&self) -> Vec<String> {
        let filter = Filter { after: Some(Cursor::default()), limit: 10_000, ..Filter::default() };
        let rows = self.store.rows(&filter).await.unwrap();
        rows.iter().map(|row| row.text("event_id")).collect()
    }
}

fn line(id: &str) -> String {
    format!(r#"{{"event_id":"{id}","started_at":"1763730000.1","status":200}}"#) + "\n"
}

#[tokio::test]
async fn lines_become_rows_and_a_partial_one_waits() {
    let bench = Bench::new().await;
    let mut spool = bench.resumed().await;
    spool.catch_up().await.unwrap();
    assert_eq!(bench.ids().await.len(), 0, "no file yet is no fault");

    let third = line("c");
    let (half, rest) = third.split_at(20);
    bench.append(&(line("a") + &line("b") + half));
    spool.catch_up().await.unwrap();
    assert_eq!(bench.ids().await, ["a", "b"]);
    bench.append(rest);
    spool.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b", "c"]);
    assert_eq!(bench.counters.spool_lag.get(), 0);
}

#[tokio::test]
async fn reading_goes_on_where_it_was_left() {
    let bench = Bench::new().await;
    bench.append(&line("a"));
    bench.resumed().await.catch_up().await.unwrap();
    bench.append(&line("b"));

    bench.resumed().await.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b"]);
    assert_eq!(bench.counters.spool.duplicates.get(), 0, "nothing was read twice");
}

#[tokio::test]
async fn a_rotated_file_is_read_to_its_end_first() {
    let bench = Bench::new().await;
    let mut spool = bench.resumed().await;
    bench.append(&line("a"));
    spool.catch_up().await.unwrap();
    bench.append(&line("b"));
    fs::rename(bench.path(), bench.place.path().join("audit.jsonl.1")).unwrap();
    bench.append(&line("c"));

    spool.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_rotation_while_we_were_away_loses_nothing() {
    let bench = Bench::new().await;
    bench.append(&line("a"));
    bench.resumed().await.catch_up().await.unwrap();
    bench.append(&line("b"));
    fs::rename(bench.path(), bench.place.path().join("audit.jsonl.1")).unwrap();
    bench.append(&line("c"));

    bench.resumed().await.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn of_several_rotations_while_we_were_away_none_is_left_out() {
    let bench = Bench::new().await;
    let named = |number: u32| bench.place.path().join(format!("audit.jsonl.{number}"));
    let pause = || std::thread::sleep(Duration::from_millis(20));
    bench.append(&line("a"));
    bench.resumed().await.catch_up().await.unwrap();
    bench.append(&line("b"));
    fs::rename(bench.path(), named(1)).unwrap();
    pause();
    bench.append(&line("c"));
    fs::rename(named(1), named(2)).unwrap();
    fs::rename(bench.path(), named(1)).unwrap();
    pause();
    bench.append(&line("d"));
    fs::write(named(9).with_extension("gz"), "packed").unwrap();

    bench.resumed().await.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_rotated_file_may_go_as_soon_as_it_is_read() {
    let bench = Bench::new().await;
    let named = |number: u32| bench.place.path().join(format!("audit.jsonl.{number}"));
    let mut spool = bench.resumed().await;
    bench.append(&line("a"));
    spool.catch_up().await.unwrap();
    fs::rename(bench.path(), named(1)).unwrap();
    bench.append("");
    spool.catch_up().await.unwrap();
    drop(spool);
    fs::remove_file(named(1)).unwrap();
    bench.append(&line("b"));
    fs::rename(bench.path(), named(1)).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    bench.append(&line("c"));

    bench.resumed().await.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b", "c"], "b was rotated while we were away");
}

#[tokio::test]
async fn what_was_rotated_before_the_first_sidecar_ran_is_read_too() {
    let bench = Bench::new().await;
    bench.append(&line("a"));
    fs::rename(bench.path(), bench.place.path().join("audit.jsonl.1")).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    bench.append(&line("b"));

    bench.resumed().await.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b"]);
}

#[tokio::test]
async fn a_line_with_bytes_that_are_no_text_is_a_row_all_the_same() {
    let bench = Bench::new().await;
    let path = bench.path();
    let bad = b"{\"event_id\":\"a\",\"started_at\":\"1.0\",\"status\":400,\"path\":\"/\xff\"}\n";
    fs::write(&path, bad).unwrap();

    bench.resumed().await.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a"]);
}

#[tokio::test]
async fn a_new_file_in_the_old_one_s_place_is_not_taken_for_it() {
    let bench = Bench::new().await;
    bench.append(&line("a"));
    bench.resumed().await.catch_up().await.unwrap();
    fs::remove_file(bench.path()).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    bench.append(&(line("b") + &line("c")));

    bench.resumed().await.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b", "c"], "though the inode may be the same");
}

#[tokio::test]
async fn a_truncated_file_is_read_from_its_start() {
    let bench = Bench::new().await;
    let mut spool = bench.resumed().await;
    bench.append(&(line("a") + &line("b")));
    spool.catch_up().await.unwrap();
    File::options().write(true).open(bench.path()).unwrap().set_len(0).unwrap();
    bench.append(&line("c"));

    spool.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_truncation_that_was_seen_is_remembered() {
    let bench = Bench::new().await;
    let mut spool = bench.resumed().await;
    bench.append(&line("a"));
    spool.catch_up().await.unwrap();
    File::options().write(true).open(bench.path()).unwrap().set_len(0).unwrap();
    spool.catch_up().await.unwrap();
    drop(spool);
    bench.append(&(line("b") + &line("c")));

    bench.resumed().await.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b", "c"], "though the file is longer than it was");
}

#[tokio::test]
async fn what_has_no_id_is_named_by_its_place_and_never_twice_the_same() {
    let bench = Bench::new().await;
    let mut spool = bench.resumed().await;
    bench.append(&(line("-") + &line("-")));
    spool.catch_up().await.unwrap();
    File::options().write(true).open(bench.path()).unwrap().set_len(0).unwrap();
    bench.append(&line("-"));
    spool.catch_up().await.unwrap();

    let second = line("-").len();
    assert_eq!(bench.ids().await, ["spool-1-0", &format!("spool-1-{second}"), "spool-2-0"]);
}

#[tokio::test]
async fn of_a_torn_line_the_second_half_holds() {
    let bench = Bench::new().await;
    let (half, _) = "{\"event_id\":\"lost\",\"started_at\":\"17637".split_at(30);
    bench.append(&(line("a") + half + &line("b") + "rubbish\n\n" + &line("c")));

    bench.resumed().await.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b", "c"]);
    assert_eq!(bench.counters.spool_unreadable.get(), 2, "one torn, one rubbish");
}

#[tokio::test]
async fn a_line_longer_than_a_chunk_is_read_and_one_of_no_end_skipped() {
    let bench = Bench::new().await;
    let long =
        format!(r#"{{"event_id":"long","started_at":"1.0","path":"/{}"}}"#, "x".repeat(2 * CHUNK));
    bench
        .append(&(long + "\n" + &line("a") + &"y".repeat(lines::LONGEST + 10) + "\n" + &line("b")));

    bench.resumed().await.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["long", "a", "b"]);
}

#[tokio::test]
async fn while_the_database_is_away_nothing_moves_and_then_all_of_it() {
    let bench = Bench::new().await;
    let mut spool = bench.resumed().await;
    bench.append(&line("a"));
    spool.catch_up().await.unwrap();
    let other = Store::create(&Data::new(bench.place.path().join("other"))).await.unwrap();
    other.close().await;
    let store = std::mem::replace(&mut spool.store, other);
    bench.append(&(line("b") + &line("c")));

    assert!(spool.catch_up().await.is_err());
    assert!(spool.catch_up().await.is_err());
    spool.store = store;
    spool.catch_up().await.unwrap();

    assert_eq!(bench.ids().await, ["a", "b", "c"]);
    assert!(bench.counters.store_errors.get() >= 2);
}
