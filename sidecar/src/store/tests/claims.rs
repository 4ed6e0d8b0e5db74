use super::*;

#[tokio::test]
async fn of_two_sidecars_on_one_database_one_has_the_sink_until_it_lets_go() {
    let one = Bench::postgres().await;
    let two = one.beside().await;

    let mut held = one.store.claim("splunk").await.unwrap().unwrap();

    assert!(held.holds().await);
    assert!(two.store.claim("splunk").await.unwrap().is_none(), "it has another's");
    assert!(two.store.claim("elastic").await.unwrap().is_some(), "each sink is one for itself");
    drop(held);
    for _ in 0..100 {
        if two.store.claim("splunk").await.unwrap().is_some() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("who let go still has it");
}

#[tokio::test]
async fn a_claim_whose_connection_was_cut_holds_nothing() {
    let bench = Bench::postgres().await;
    let mut held = bench.store.claim("splunk").await.unwrap().unwrap();

    bench
        .sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks
             WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .await
        .unwrap();

    assert!(!held.holds().await);
    for _ in 0..100 {
        if bench.store.claim("splunk").await.unwrap().is_some() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("it is free for the next");
}

#[tokio::test]
async fn a_sidecar_with_a_file_of_its_own_needs_nobody_s_leave() {
    let bench = Bench::sqlite().await;

    assert!(bench.store.claim("splunk").await.unwrap().unwrap().holds().await);
}
