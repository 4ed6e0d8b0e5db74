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
async fn a_transaction_that_sqlite_ended_itself_keeps_no_later_one_out() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::create(&Data::new(place.path())).await.unwrap();
    let Store::Sqlite(sqlite) = &store else { panic!() };

    // As a full disk does: behind the driver's back, which then cannot roll back what is no more.
    let mut write = sqlite.write().await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut *write).await.unwrap();
    drop(write);

    let event = Event { event_id: "a".into(), occurred_at: 1, ..Event::default() };
    assert_eq!(store.append(&[event], None).await.unwrap().stored, 1);
}
