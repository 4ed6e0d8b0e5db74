use super::*;
use crate::settings::Data;
use crate::store::User;

/// A database that knows one certificate, of serial 17.
async fn store(place: &tempfile::TempDir) -> Store {
    let store = Store::create(&Data::new(place.path())).await.unwrap();
    let ann = User {
        sub: "usr_1".into(),
        user_id: "ann@example.com".into(),
        tenant_id: "acme".into(),
        ..User::default()
    };
    let act = Act::new(&Operator::owner(), "test").unwrap();
    store.add_user(&ann, &act).await.unwrap();
    let known = Certificate {
        sha256: "c".into(),
        issuer: "CN=Acme".into(),
        serial: "17".into(),
        subject: "CN=ann".into(),
        sub: "usr_1".into(),
        not_after: clock::now() + 1_000,
    };
    store.note_certificate(&known, clock::now()).await.unwrap();

    store
}

/// A sidecar with a list of its own.
fn sidecar(place: &tempfile::TempDir, name: &str, list: &str, store: &Store) -> (PathBuf, Watch) {
    let path = place.path().join(name);
    fs::write(&path, list).unwrap();
    let config = Certificates {
        crl: Vec::new(),
        crl_ca: None,
        revoked: Some(path.clone()),
        user: Vec::new(),
        prefix: None,
        suffix: None,
    };
    let (watch, _) = Watch::start(&config, store, &Arc::default()).unwrap();

    (path, watch)
}

async fn laid(store: &Store) -> Vec<String> {
    store.measures(clock::now()).await.unwrap().into_iter().map(|it| it.set_by).collect()
}

#[tokio::test]
async fn a_sidecar_whose_list_is_behind_takes_nothing_back_that_another_has_laid() {
    let place = tempfile::tempdir().unwrap();
    let store = store(&place).await;
    let (behind, mut two) = sidecar(&place, "two", "", &store);
    let (_, mut one) = sidecar(&place, "one", "serial:17", &store);

    one.compare().await.unwrap();
    assert_eq!(laid(&store).await, [WHO]);
    let rows = store.rows_in_all().await.unwrap();
    two.compare().await.unwrap();
    one.compare().await.unwrap();
    assert_eq!(laid(&store).await, [WHO]);
    assert_eq!(store.rows_in_all().await.unwrap(), rows, "and what is laid is not laid again");

    // A list that never had it, read later than the other laid it, does not say that it is gone.
    sleep(Duration::from_millis(1_100)).await;
    fs::write(&behind, "serial:18").unwrap();
    assert!(two.look());
    two.compare().await.unwrap();
    let (_, mut started) = sidecar(&place, "started", "", &store);
    started.compare().await.unwrap();
    assert_eq!(laid(&store).await, [WHO]);

    fs::write(&behind, "serial:17").unwrap();
    assert!(two.look());
    two.compare().await.unwrap();
    sleep(Duration::from_millis(1_100)).await;
    fs::write(&behind, "").unwrap();
    assert!(two.look());
    two.compare().await.unwrap();
    assert!(laid(&store).await.is_empty(), "it has seen it leave the list");
}

#[tokio::test]
async fn what_an_operator_lays_over_it_is_theirs() {
    let place = tempfile::tempdir().unwrap();
    let store = store(&place).await;
    let (path, mut one) = sidecar(&place, "one", "serial:17", &store);
    one.compare().await.unwrap();
    let root = Measure {
        kind: Kind::Cert,
        id: "c".into(),
        effect: Effect::Revoked,
        ends_at: None,
        set_at: clock::now(),
        set_by: "root".into(),
        why: "lost".into(),
    };
    let act = Act::new(&Operator::owner(), "test").unwrap();
    store.lay(&root, true, &act).await.unwrap();

    fs::write(&path, "").unwrap();
    assert!(one.look());
    one.compare().await.unwrap();

    assert_eq!(laid(&store).await, ["root"]);
}
