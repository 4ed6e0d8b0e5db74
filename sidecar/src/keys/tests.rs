use super::*;
use std::os::unix::fs::PermissionsExt;

fn installed() -> (tempfile::TempDir, Data) {
    let place = tempfile::tempdir().unwrap();
    let data = Data::new(place.path());
    init(&data).unwrap();
    (place, data)
}

#[test]
fn a_new_installation_s_keys_are_its_owner_s_alone() {
    let (_place, data) = installed();

    let (key_id, pair) = policy_key(&data.policy_key()).unwrap();
    let pin = pin(&data.policy_pin()).unwrap();

    assert_eq!(pin.key_id, key_id);
    assert_eq!(pin.decode().unwrap(), pair.pk);
    for path in key_files(&data.signing()).unwrap().iter().chain([&data.policy_key()]) {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}

#[test]
fn keys_are_never_overwritten() {
    let (_place, data) = installed();
    let before = fs::read(data.policy_key()).unwrap();

    assert!(init(&data).is_err());
    assert_eq!(fs::read(data.policy_key()).unwrap(), before);
}

#[test]
fn the_last_by_name_signs_and_all_are_published() {
    let (_place, data) = installed();
    let first = Ring::read(&data.signing()).unwrap();
    settings::write_once(&data.signing().join("9-next.key"), new_pem().unwrap().as_bytes(), 0o600)
        .unwrap();

    let both = Ring::read(&data.signing()).unwrap();

    let set: Value = serde_json::from_slice(both.jwks().body()).unwrap();
    let kids: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!(kids, [first.newest().kid(), both.newest().kid()]);
    assert_ne!(first.newest().kid(), both.newest().kid());

    let published = Live::published(both.clone(), first.newest());
    assert_eq!(published.signer.kid(), first.newest().kid(), "published first, signs later");
    assert_eq!(Live::new(both.clone()).signer.kid(), both.newest().kid());
}

#[test]
fn a_directory_without_keys_says_what_to_do() {
    let place = tempfile::tempdir().unwrap();

    let error = Ring::read(place.path()).unwrap_err().to_string();

    assert!(error.contains("tollgate keys init"), "{error}");
}

#[test]
fn one_broken_key_refuses_the_ring() {
    let (_place, data) = installed();
    settings::write_once(&data.signing().join("9-bad.key"), b"no key", 0o600).unwrap();

    assert!(matches!(Ring::read(&data.signing()), Err(KeyError::Malformed(_))));
}

#[test]
fn a_key_does_not_print_itself() {
    let (_place, data) = installed();
    let ring = Ring::read(&data.signing()).unwrap();

    assert_eq!(format!("{:?}", ring.newest()), format!("SigningKey({})", ring.newest().kid()));
}

#[tokio::test]
async fn a_key_added_while_the_sidecar_starts_and_one_closed_to_others_are_taken() {
    let (_place, data) = installed();
    let seen = listing(&data.signing());
    let (live, now) = watch::channel(Live::new(Ring::read(&data.signing()).unwrap()));
    let published = || String::from_utf8_lossy(now.borrow().jwks.body()).matches("kid").count();
    add(&data).unwrap();

    let watching = tokio::spawn(watch((data.signing(), Vec::new()), seen, live, Arc::default()));
    sleep(LOOK * 2).await;
    assert_eq!(published(), 2);
    watching.abort();

    let open = data.signing().join("9-open.key");
    settings::write_once(&open, new_pem().unwrap().as_bytes(), 0o644).unwrap();
    let (live, now) = watch::channel(now.borrow().clone());
    let counters = Arc::new(Counters::default());
    let watching = watch((data.signing(), Vec::new()), Listing::new(), live, Arc::clone(&counters));
    let watching = tokio::spawn(watching);
    sleep(LOOK * 2).await;
    assert_eq!(counters.keys_refused.get(), 1, "others could read it");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o600)).unwrap();
    sleep(LOOK * 2).await;

    let published = String::from_utf8_lossy(now.borrow().jwks.body()).matches("kid").count();
    assert_eq!(published, 3, "as the error said to do");
    watching.abort();
}
