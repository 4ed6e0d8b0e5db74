use super::*;

fn ann() -> User {
    User {
        sub: "usr_1".into(),
        user_id: "ann@example.com".into(),
        tenant_id: "acme".into(),
        groups: vec!["engineering".into()],
        ..User::default()
    }
}

/// A token of hers, from her personal access token.
fn of_ann<'a>(user: &'a User, jti: &'a str, now: u64, expires_at: u64) -> Minted<'a> {
    Minted { jti, sid: "s", credential_id: "pat_1", user, cert: "", now, expires_at }
}

async fn somebody(store: &Store) {
    let user = ann();
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

both! {
    async fn a_revocation_lasts_as_long_as_what_it_stops(bench: Bench) {
        let (store, user) = (&bench.store, ann());
        somebody(store).await;
        let before = store.standing().await.unwrap().version;
        for (jti, expires_at) in [("j1", 500), ("j2", 700)] {
            let minted = of_ann(&user, jti, 100, expires_at);
            assert!(store.note_mint(&minted, &Held::Pat).await.unwrap());
        }
        assert_eq!(store.pats().await.unwrap()[0].last_used_at, Some(100));

        let pat = store.revoke_pat("pat_1", 200, &act()).await.unwrap().unwrap();

        assert_eq!(pat.revoked_at, Some(200));
        let standing = store.standing().await.unwrap();
        assert_eq!(standing.version, before + 1);
        let entry = &standing.entries[0];
        assert_eq!((entry.kind, &*entry.id, entry.effect), (Kind::Credential, "pat_1", Effect::Revoked));
        let late = of_ann(&user, "j3", 201, 900);
        assert!(!store.note_mint(&late, &Held::Pat).await.unwrap(), "nothing is minted after it");
        store.forget_expired(701).await.unwrap();
        let later = store.standing().await.unwrap();
        assert_eq!(
            (later.entries.len(), later.version),
            (0, before + 2),
            "it ends with the last token"
        );
        assert_eq!(store.revoke_pat("pat_2", 1, &act()).await.unwrap(), None);
    }

    async fn what_has_just_expired_is_stopped_too_for_gates_whose_clocks_are_behind(bench: Bench) {
        let (store, user) = (&bench.store, ann());
        somebody(store).await;
        let minted = of_ann(&user, "j1", 100, 700);
        store.note_mint(&minted, &Held::Pat).await.unwrap();

        store.revoke_pat("pat_1", 1_001, &act()).await.unwrap();
        assert_eq!(store.standing().await.unwrap().entries.len(), 0, "long over for everybody");
        store.revoke_pat("pat_1", 705, &act()).await.unwrap();

        assert_eq!(store.standing().await.unwrap().entries.len(), 1);
    }

    async fn who_is_disabled_is_stopped_whatever_they_hold(bench: Bench) {
        let (store, user) = (&bench.store, ann());
        somebody(store).await;
        let minted = of_ann(&user, "j1", 100, 700);
        store.note_mint(&minted, &Held::Pat).await.unwrap();

        assert!(store.disable_user("ann@example.com", 200, &act()).await.unwrap());

        let entry = &store.standing().await.unwrap().entries[0];
        assert_eq!((entry.kind, &*entry.id, entry.until), (Kind::User, "ann@example.com", None));
        assert!(!store.note_mint(&Minted { jti: "j2", ..minted }, &Held::Pat).await.unwrap());
        assert_eq!(store.user("ann@example.com").await.unwrap().unwrap().disabled_at, Some(200));
        assert!(!store.disable_user("bob@example.com", 200, &act()).await.unwrap());
    }

    async fn who_is_enabled_is_let_in_again_but_not_what_was_revoked(bench: Bench) {
        let (store, user) = (&bench.store, ann());
        somebody(store).await;
        let minted = of_ann(&user, "j1", 100, 700);
        store.note_mint(&minted, &Held::Pat).await.unwrap();
        store.disable_user("ann@example.com", 200, &act()).await.unwrap();
        let before = store.standing().await.unwrap().version;

        assert!(store.enable_user("ann@example.com", &act()).await.unwrap());

        let standing = store.standing().await.unwrap();
        assert_eq!((standing.entries.len(), standing.version), (0, before + 1));
        assert_eq!(store.user("ann@example.com").await.unwrap().unwrap().disabled_at, None);
        assert!(store.note_mint(&Minted { jti: "j2", ..minted }, &Held::Pat).await.unwrap());
        store.revoke_pat("pat_1", 300, &act()).await.unwrap();
        store.enable_user("ann@example.com", &act()).await.unwrap();
        assert_eq!(store.standing().await.unwrap().entries[0].kind, Kind::Credential);
        assert!(!store.enable_user("bob@example.com", &act()).await.unwrap());
    }

    async fn an_act_and_its_row_are_stored_together_or_not_at_all(bench: Bench) {
        let store = &bench.store;
        somebody(store).await;
        let revoke = Act::new(&Operator::owner(), "pat revoke pat_1").unwrap().on("pat_1");
        store.revoke_pat("pat_2", 200, &act()).await.unwrap();
        store.revoke_pat("pat_1", 200, &revoke).await.unwrap();

        let rows = store.rows(&all()).await.unwrap();
        assert_eq!(rows.len(), 3, "user, token, revocation: what did not happen has no row");
        assert_eq!((rows[2].text("kind"), rows[2].text("tenant_id")), ("admin".into(), "acme".into()));
        assert_eq!(rows[2].get("payload")["target"], "pat revoke pat_1");
        bench.sql("ALTER TABLE audit_events RENAME TO gone").await.unwrap();
        assert!(store.disable_user("ann@example.com", 300, &act()).await.is_err());
        assert_eq!(store.user("ann@example.com").await.unwrap().unwrap().disabled_at, None);
    }
}
