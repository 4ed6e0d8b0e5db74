use super::*;
use crate::acts::Act;
use crate::clock;
use crate::store::{Filter, Mark, Minted, Pat, Store, User};
use contract::audit::{Event, Outcome};
use contract::standing::Stopped;
use std::path::PathBuf;

async fn store() -> (tempfile::TempDir, PathBuf, Store) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("tollgate.db");
    let store = Store::create(&path).await.unwrap();
    (place, path, store)
}

fn event(id: &str, at: u64) -> Event<'static> {
    Event {
        event_id: id.to_owned().into(),
        occurred_at: at,
        tenant_id: "acme".into(),
        user_id: "ann@example.com".into(),
        trace_id: Some("t1".into()),
        gate_ms: Some(0.125),
        status: Some(200),
        outcome: Outcome::Allowed,
        complete: true,
        ..Event::default()
    }
}

fn act() -> Act {
    Act::new("test").unwrap()
}

fn all() -> Filter {
    Filter { limit: 10_000, ..Filter::default() }
}

fn raw(store: &Store) -> &SqlitePool {
    let Store::Sqlite(sqlite) = store;
    &sqlite.writer
}

#[tokio::test]
async fn an_event_told_twice_is_one_row() {
    let (_place, _, store) = store().await;

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

#[tokio::test]
async fn an_id_a_client_chose_keeps_no_other_row_out() {
    let (_place, _, store) = store().await;

    store.append(&[event("same", 1)], None).await.unwrap();
    let other = store.append(&[event("same", 2)], None).await.unwrap();

    assert_eq!(other.stored, 1, "another time is another exchange");
}

#[tokio::test]
async fn rows_cannot_be_changed_or_removed() {
    let (_place, _, store) = store().await;
    store.append(&[event("a", 1)], None).await.unwrap();

    for sql in ["UPDATE audit_events SET outcome = 'allowed'", "DELETE FROM audit_events"] {
        let error = sqlx::query(sql).execute(raw(&store)).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
    assert_eq!(store.rows(&all()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_of_any_size_is_stored_whole() {
    let (_place, _, store) = store().await;
    let events: Vec<_> = (0..1_000).map(|at| event(&format!("e{at}"), at)).collect();

    let appended = store.append(&events, None).await.unwrap();

    assert_eq!(appended.stored, 1_000);
    assert_eq!(store.last_row().await.unwrap(), 1_000);
}

#[tokio::test]
async fn rows_and_the_spool_s_mark_are_stored_together_or_not_at_all() {
    let (_place, _, store) = store().await;
    let mark = |position| Mark { generation: 1, file: "1:2".into(), position };
    store.append(&[event("a", 1)], Some(("spool", &mark(10)))).await.unwrap();
    sqlx::query("DROP TABLE audit_events").execute(raw(&store)).await.unwrap();

    assert!(store.append(&[event("b", 2)], Some(("spool", &mark(20)))).await.is_err());
    assert_eq!(store.mark("spool").await.unwrap(), Some(mark(10)));
    assert_eq!(store.mark("other").await.unwrap(), None);
}

#[tokio::test]
async fn rows_are_found_by_what_they_say() {
    let (_place, _, store) = store().await;
    let mut denied = event("b", 2_000_000);
    denied.outcome = Outcome::Denied;
    denied.payload.provider_request_id = Some("req_1".into());
    store.append(&[event("a", 1_000_000), denied], None).await.unwrap();
    let ids = async |filter: Filter| -> Vec<String> {
        let rows = store.rows(&filter).await.unwrap();
        rows.iter().map(|row| row.text("event_id")).collect()
    };

    let by = |column, value: &str| Filter { equal: vec![(column, value.into())], ..all() };
    assert_eq!(ids(by("outcome", "denied")).await, ["b"]);
    assert_eq!(ids(by("status", "200")).await, ["a", "b"], "numbers too");
    assert_eq!(ids(by("no such column' OR 1", "x")).await, ["a", "b"], "no SQL from outside");
    assert_eq!(ids(Filter { since: Some(clock::stamp(1_500_000)), ..all() }).await, ["b"]);
    assert_eq!(ids(Filter { until: Some(clock::stamp(2_000_000)), ..all() }).await, ["a"]);
    assert_eq!(ids(Filter { after: Some(1), ..all() }).await, ["b"]);
    assert_eq!(ids(Filter { limit: 1, ..Filter::default() }).await, ["b"], "the latest");
    for id in ["req_1", "b"] {
        assert_eq!(ids(Filter { any_id: Some(id.into()), ..all() }).await, ["b"]);
    }
    assert_eq!(ids(Filter { any_id: Some("t1".into()), ..all() }).await, ["a", "b"]);
}

#[tokio::test]
async fn a_database_of_the_future_is_refused() {
    let (_place, path, store) = store().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', TRUE, x'00', 1)",
    )
    .execute(raw(&store))
    .await
    .unwrap();
    store.close().await;

    let error = Store::open(&path).await.unwrap_err().to_string();

    assert!(error.contains("newer") && error.contains("9999"), "{error}");
}

#[tokio::test]
async fn a_command_that_only_looks_makes_no_database() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("tollgate.db");

    assert!(matches!(Store::open(&path).await, Err(StoreError::Missing(_))));
    assert!(!path.exists());
}

async fn somebody(store: &Store) {
    let user = User {
        sub: "usr_1".into(),
        user_id: "ann@example.com".into(),
        tenant_id: "acme".into(),
        groups: vec!["engineering".into()],
        ..User::default()
    };
    assert!(store.add_user(&user, &act()).await.unwrap());
    assert!(!store.add_user(&user, &act()).await.unwrap(), "an address is one person's");
    let pat = Pat {
        id: "pat_1".into(),
        user_id: user.user_id.clone(),
        expires_at: 1_000,
        ..Pat::default()
    };
    store.add_pat(&pat, "hash", &act()).await.unwrap();
    let (found, whose) = store.pat_by_hash("hash").await.unwrap().unwrap();
    assert_eq!((found, whose), (pat, user));
}

#[tokio::test]
async fn a_revocation_lasts_as_long_as_what_it_stops() {
    let (_place, _, store) = store().await;
    somebody(&store).await;
    let before = store.standing().await.unwrap().version;
    for (jti, expires_at) in [("j1", 500), ("j2", 700)] {
        let minted = Minted { jti, now: 100, expires_at };
        assert!(store.note_mint("pat_1", &minted).await.unwrap());
    }
    assert_eq!(store.pats().await.unwrap()[0].last_used_at, Some(100));

    let pat = store.revoke_pat("pat_1", 200, &act()).await.unwrap().unwrap();

    assert_eq!(pat.revoked_at, Some(200));
    let standing = store.standing().await.unwrap();
    assert_eq!(standing.version, before + 1);
    let entry = &standing.revoked[0];
    assert_eq!((entry.kind, &*entry.id, entry.until), (Stopped::Credential, "pat_1", 700));
    let late = Minted { jti: "j3", now: 201, expires_at: 900 };
    assert!(!store.note_mint("pat_1", &late).await.unwrap(), "nothing is minted after it");
    store.forget_expired(701).await.unwrap();
    let later = store.standing().await.unwrap();
    assert_eq!(
        (later.revoked.len(), later.version),
        (0, before + 2),
        "it ends with the last token"
    );
    assert_eq!(store.revoke_pat("pat_2", 1, &act()).await.unwrap(), None);
}

#[tokio::test]
async fn what_has_just_expired_is_stopped_too_for_gates_whose_clocks_are_behind() {
    let (_place, _, store) = store().await;
    somebody(&store).await;
    let minted = Minted { jti: "j1", now: 100, expires_at: 700 };
    store.note_mint("pat_1", &minted).await.unwrap();

    store.revoke_pat("pat_1", 1_001, &act()).await.unwrap();
    assert_eq!(store.standing().await.unwrap().revoked.len(), 0, "long over for everybody");
    store.revoke_pat("pat_1", 705, &act()).await.unwrap();

    assert_eq!(store.standing().await.unwrap().revoked.len(), 1);
}

#[tokio::test]
async fn who_is_disabled_is_stopped_whatever_they_hold() {
    let (_place, _, store) = store().await;
    somebody(&store).await;
    let minted = Minted { jti: "j1", now: 100, expires_at: 700 };
    store.note_mint("pat_1", &minted).await.unwrap();

    assert!(store.disable_user("ann@example.com", 200, &act()).await.unwrap());

    let entry = &store.standing().await.unwrap().revoked[0];
    assert_eq!((entry.kind, &*entry.id, entry.until), (Stopped::User, "ann@example.com", 700));
    assert!(!store.note_mint("pat_1", &Minted { jti: "j2", ..minted }).await.unwrap());
    assert_eq!(store.user("ann@example.com").await.unwrap().unwrap().disabled_at, Some(200));
    assert!(!store.disable_user("bob@example.com", 200, &act()).await.unwrap());
}

#[tokio::test]
async fn who_is_enabled_is_let_in_again_but_not_what_was_revoked() {
    let (_place, _, store) = store().await;
    somebody(&store).await;
    let minted = Minted { jti: "j1", now: 100, expires_at: 700 };
    store.note_mint("pat_1", &minted).await.unwrap();
    store.disable_user("ann@example.com", 200, &act()).await.unwrap();
    let before = store.standing().await.unwrap().version;

    assert!(store.enable_user("ann@example.com", &act()).await.unwrap());

    let standing = store.standing().await.unwrap();
    assert_eq!((standing.revoked.len(), standing.version), (0, before + 1));
    assert_eq!(store.user("ann@example.com").await.unwrap().unwrap().disabled_at, None);
    assert!(store.note_mint("pat_1", &Minted { jti: "j2", ..minted }).await.unwrap());
    store.revoke_pat("pat_1", 300, &act()).await.unwrap();
    store.enable_user("ann@example.com", &act()).await.unwrap();
    assert_eq!(store.standing().await.unwrap().revoked[0].kind, Stopped::Credential);
    assert!(!store.enable_user("bob@example.com", &act()).await.unwrap());
}

#[tokio::test]
async fn an_act_and_its_row_are_stored_together_or_not_at_all() {
    let (_place, _, store) = store().await;
    somebody(&store).await;
    let revoke = Act::new("pat revoke pat_1").unwrap().on("pat_1");
    store.revoke_pat("pat_2", 200, &act()).await.unwrap();
    store.revoke_pat("pat_1", 200, &revoke).await.unwrap();

    let rows = store.rows(&all()).await.unwrap();
    assert_eq!(rows.len(), 3, "user, token, revocation: what did not happen has no row");
    assert_eq!((rows[2].text("kind"), rows[2].text("tenant_id")), ("admin".into(), "acme".into()));
    assert_eq!(rows[2].get("payload")["target"], "pat revoke pat_1");
    sqlx::query("DROP TABLE audit_events").execute(raw(&store)).await.unwrap();
    assert!(store.disable_user("ann@example.com", 300, &act()).await.is_err());
    assert_eq!(store.user("ann@example.com").await.unwrap().unwrap().disabled_at, None);
}
