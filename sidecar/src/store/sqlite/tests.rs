use super::*;
use crate::settings::Data;
use crate::store::Store;

#[tokio::test]
async fn a_database_of_the_future_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let data = Data::new(place.path());
    let store = Store::create(&data).await.unwrap();
    let Store::Sqlite(sqlite) = &store else { panic!() };
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', TRUE, x'00', 1)",
    )
    .execute(&sqlite.writers)
    .await
    .unwrap();
    store.close().await;

    let error = Store::open(&data).await.unwrap_err().to_string();

    assert!(error.contains("newer") && error.contains("9999"), "{error}");
}

#[tokio::test]
async fn a_command_that_only_looks_makes_no_database() {
    let place = tempfile::tempdir().unwrap();
    let data = Data::new(place.path());

    assert!(matches!(Store::open(&data).await, Err(StoreError::Missing(_))));
    assert!(!data.database().exists());
}

#[tokio::test]
async fn a_database_that_was_full_takes_rows_again_once_it_has_room() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::create(&Data::new(place.path())).await.unwrap();
    let Store::Sqlite(sqlite) = &store else { panic!() };
    let events: Vec<Event<'static>> = (0..2_000)
        .map(|at| Event { event_id: format!("e{at}").into(), occurred_at: at, ..Event::default() })
        .collect();
    // Of this connection alone: the next one has room.
    sqlite.raw("PRAGMA max_page_count = 1").await.unwrap();

    let full = store.append(&events, None).await.unwrap_err().to_string();

    assert!(full.contains("full"), "{full}");
    assert_eq!(store.append(&events, None).await.unwrap().stored, 2_000);
}
