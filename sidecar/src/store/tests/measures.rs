use super::*;
use crate::standing::LONGEST_TOKEN;
use crate::store::measures::{Laid, Lifted, Measure, Which};

const NOW: u64 = 1_800_000_000;
const ANN: &str = "ann@example.com";
const HELD: [(Kind, &str); 3] =
    [(Kind::User, ANN), (Kind::Credential, "pat_1"), (Kind::Session, "ses_1")];

fn measure(kind: Kind, id: &str, effect: Effect, ends_at: Option<u64>) -> Measure {
    Measure {
        kind,
        id: id.into(),
        effect,
        ends_at,
        set_at: NOW,
        set_by: "root".into(),
        why: "test".into(),
    }
}

fn revoked(kind: Kind, id: &str) -> Measure {
    measure(kind, id, Effect::Revoked, None)
}

/// Ann with a personal access token, and one token of it in use.
async fn ann(store: &Store) {
    let user = User {
        sub: "usr_1".into(),
        user_id: ANN.into(),
        tenant_id: "acme".into(),
        ..User::default()
    };
    assert!(store.add_user(&user, &act()).await.unwrap());
    let pat = Pat { id: "pat_1".into(), user_id: ANN.into(), ..Pat::default() };
    store.add_pat(&pat, "hash", &act()).await.unwrap();
    assert!(minted(store, "jti_1", NOW).await);
}

async fn minted(store: &Store, jti: &str, now: u64) -> bool {
    let user = User { sub: "usr_1".into(), user_id: ANN.into(), ..User::default() };
    let minted = Minted {
        jti,
        sid: "ses_1",
        credential_id: "pat_1",
        user: &user,
        cert: "",
        now,
        expires_at: now + 3600,
    };

    store.note_mint(&minted, &Held::Pat).await.unwrap()
}

async fn told(store: &Store) -> Vec<(Kind, String)> {
    let standing = store.standing().await.unwrap();

    standing.entries.into_iter().map(|entry| (entry.kind, entry.id)).collect()
}

both! {
    async fn whatever_it_is_named_by_gates_are_told_and_nothing_is_minted(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        for (kind, id, kept, mints) in [
            (Kind::User, ANN, ANN, false),
            (Kind::User, "usr_1", ANN, false),
            (Kind::Credential, "pat_1", "pat_1", false),
            (Kind::Session, "ses_1", "ses_1", false),
            (Kind::Token, "jti_1", "jti_1", true),
        ] {
            let before = store.standing_version().await.unwrap();
            let Laid::Done(reach) = store.lay(&revoked(kind, id), false, &act()).await.unwrap()
            else { panic!("{kind:?} is known") };
            assert!(reach.tokens >= 1, "{kind:?}: {reach:?}");
            assert_eq!((reach.user_id.as_deref(), &*reach.id), (Some(ANN), kept));
            assert_eq!(told(store).await, [(kind, kept.to_owned())]);
            assert_eq!(minted(store, &format!("{kind:?}{id}"), NOW).await, mints, "{kind:?}");
            assert_eq!(store.stop_at_sign_in(&HELD, NOW).await.unwrap().is_some(), !mints);
            let lifted = store.lift(kind, id, Which::All, NOW, &act()).await.unwrap();
            let Lifted::Done(_, lifted) = lifted else { panic!("{kind:?}: {lifted:?}") };
            assert_eq!((lifted.len(), &*lifted[0].why), (1, "test"));
            assert!(told(store).await.is_empty());
            assert!(store.standing_version().await.unwrap() >= before + 2);
        }
        assert!(minted(store, "jti_2", NOW).await);
        assert_eq!(store.lift(Kind::User, ANN, Which::All, NOW, &act()).await.unwrap(), Lifted::None);
    }

    async fn what_may_still_be_minted_in_parallel_is_told_of_as_long_as_it_may_last(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        let user = store.user(ANN).await.unwrap().unwrap();
        let token = Minted {
            jti: "jti_2", sid: "ses_2", credential_id: "spiffe://job", user: &user, cert: "fp", now: NOW, expires_at: NOW + 60,
        };
        assert!(store.note_mint(&token, &Held::Nothing).await.unwrap());
        let on = [(Kind::Session, "ses_2"), (Kind::Cert, "fp"), (Kind::Credential, "spiffe://job")];
        for (kind, id) in on {
            store.lay(&revoked(kind, id), true, &act()).await.unwrap();
        }

        store.forget_expired(NOW + LONGEST_TOKEN).await.unwrap();
        assert_eq!(told(store).await.len(), on.len(), "no row was locked: a token may have been minted beside");
        store.forget_expired(NOW + LONGEST_TOKEN + crate::standing::SKEW + 1).await.unwrap();
        assert!(told(store).await.is_empty());
    }

    async fn who_holds_nothing_is_kept_from_signing_in_and_gates_need_not_know(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        store.forget_expired(NOW + 4000).await.unwrap();
        store.lay(&Measure { set_at: NOW + 5000, ..revoked(Kind::User, ANN) }, false, &act()).await.unwrap();

        assert!(told(store).await.is_empty());
        store.forget_expired(NOW + 100_000).await.unwrap();
        assert!(!minted(store, "jti_2", NOW + 100_000).await, "nor is it forgotten");
        assert_eq!(store.measures(NOW + 100_000).await.unwrap().len(), 1);
    }

    async fn gates_forget_with_the_last_token_and_the_store_when_it_is_over(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        store.lay(&revoked(Kind::User, ANN), false, &act()).await.unwrap();
        store.lay(&revoked(Kind::Token, "jti_1"), false, &act()).await.unwrap();
        let version = store.standing_version().await.unwrap();

        store.forget_expired(NOW + 3600).await.unwrap();
        assert_eq!((told(store).await.len(), store.standing_version().await.unwrap()), (2, version));
        store.forget_expired(NOW + 3601).await.unwrap();

        assert!(told(store).await.is_empty());
        assert_eq!(store.standing_version().await.unwrap(), version + 1);
        let left = store.measures(NOW + 3601).await.unwrap();
        assert_eq!(left.iter().map(|it| it.kind).collect::<Vec<_>>(), [Kind::User], "a token is gone");
    }

    async fn a_pause_and_a_throttle_end_by_themselves(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        let throttle = Effect::Throttled { per_minute: 9 };
        store.lay(&measure(Kind::User, ANN, Effect::Paused, Some(NOW + 60)), false, &act()).await.unwrap();
        store.lay(&measure(Kind::User, ANN, throttle, Some(NOW + 90)), false, &act()).await.unwrap();

        assert!(!minted(store, "jti_2", NOW + 59).await);
        let until: Vec<_> = store.standing().await.unwrap().entries.iter().map(|it| it.until).collect();
        assert_eq!(until, [Some(NOW + 60), Some(NOW + 90)]);
        assert!(minted(store, "jti_3", NOW + 60).await, "who is throttled may sign in");
        assert_eq!(store.measures(NOW + 60).await.unwrap()[0].effect, throttle);
        store.forget_expired(NOW + 91).await.unwrap();
        assert!(store.measures(NOW).await.unwrap().is_empty());
    }

    async fn what_nobody_minted_is_listed_for_as_long_as_a_token_can_live(bench: Bench) {
        let store = &bench.store;
        let cert = revoked(Kind::Cert, "print");

        assert_eq!(store.lay(&cert, false, &act()).await.unwrap(), Laid::Unknown);
        assert!(matches!(store.lay(&cert, true, &act()).await.unwrap(), Laid::Done(_)));
        store.forget_expired(NOW + LONGEST_TOKEN).await.unwrap();
        assert_eq!(told(store).await.len(), 1);
        store.forget_expired(NOW + LONGEST_TOKEN + 1).await.unwrap();
        assert!(told(store).await.is_empty());
        assert_eq!(store.measures(NOW).await.unwrap().len(), 1, "it may sign in again");
    }

    async fn a_looser_measure_changes_nothing_and_one_effect_can_be_lifted_alone(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        let pause = |minutes: u64| measure(Kind::User, ANN, Effect::Paused, Some(NOW + minutes * 60));
        store.lay(&pause(60), false, &act()).await.unwrap();

        let Laid::Stricter(before) = store.lay(&pause(5), false, &act()).await.unwrap() else { panic!() };
        assert_eq!(before.ends_at, Some(NOW + 3600));
        assert!(matches!(store.lay(&pause(90), false, &act()).await.unwrap(), Laid::Done(_)));
        store.lay(&revoked(Kind::User, ANN), false, &act()).await.unwrap();
        let lifted = store.lift(Kind::User, ANN, Which::Effect("revoked"), NOW, &act()).await.unwrap();
        assert!(matches!(lifted, Lifted::Done(_, lifted) if lifted.len() == 1));
        assert_eq!(store.measures(NOW).await.unwrap()[0].ends_at, Some(NOW + 5400));
    }

    async fn what_a_drill_laid_is_lifted_and_not_what_took_its_place(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        let drill = measure(Kind::User, ANN, Effect::Revoked, Some(NOW + 60));
        store.lay(&drill, false, &act()).await.unwrap();
        let real = Measure { why: "for real".into(), ..revoked(Kind::User, ANN) };
        store.lay(&real, false, &act()).await.unwrap();

        let lifted = store.lift(Kind::User, ANN, Which::This(&drill), NOW, &act()).await.unwrap();
        assert_eq!((lifted, told(store).await.len()), (Lifted::None, 1));
        let lifted = store.lift(Kind::User, ANN, Which::This(&real), NOW, &act()).await.unwrap();
        assert!(matches!(lifted, Lifted::Done(..)), "{lifted:?}");
    }

    async fn disabling_is_a_revocation_and_restoring_enables(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        store.disable_user(ANN, NOW, &act()).await.unwrap();
        assert_eq!(store.measures(NOW).await.unwrap()[0].why, "user disable");

        store.lift(Kind::User, ANN, Which::All, NOW, &act()).await.unwrap();

        assert_eq!(store.user(ANN).await.unwrap().unwrap().disabled_at, None);
        assert!(minted(store, "jti_2", NOW).await);
        store.revoke_pat("pat_1", NOW, &act()).await.unwrap();
        let lifted = store.lift(Kind::Credential, "pat_1", Which::All, NOW, &act()).await.unwrap();
        assert_eq!(lifted, Lifted::Final, "that is for good");
        assert!(!minted(store, "jti_3", NOW).await);
    }

    async fn what_is_laid_has_its_row_or_is_not_laid(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        bench.sql("ALTER TABLE audit_events RENAME TO gone").await.unwrap();

        assert!(store.lay(&revoked(Kind::User, ANN), false, &act()).await.is_err());

        assert!(store.measures(NOW).await.unwrap().is_empty());
        assert!(told(store).await.is_empty());
    }
}

/// Two sidecars, one database: minting and revoking at once leaves no token that gates are not told of.
#[tokio::test]
async fn who_signs_in_while_they_are_revoked_gets_nothing_or_gates_are_told() {
    let one = Bench::postgres().await;
    ann(&one.store).await;
    let two = one.beside().await;
    for round in 0..20 {
        let jti = format!("race_{round}");
        let measure = revoked(Kind::User, ANN);
        let act = act();
        let (minted, laid) = tokio::join!(
            minted(&two.store, &jti, NOW + 4000 * (round + 1)),
            one.store.lay(&measure, false, &act),
        );

        let latest = format!(
            "DO $$ BEGIN IF EXISTS (SELECT FROM tokens t WHERE t.jti = '{jti}' AND NOT EXISTS
                 (SELECT FROM standing s WHERE s.told AND s.told_until >= t.expires_at))
             THEN RAISE EXCEPTION 'a token nobody is told of'; END IF; END $$"
        );
        assert!(matches!(laid.unwrap(), Laid::Done(_)));
        one.sql(&latest).await.unwrap_or_else(|error| panic!("minted: {minted}: {error}"));
        one.store.lift(Kind::User, ANN, Which::All, NOW, &act).await.unwrap();
    }
}

/// What an installation of the first migration has: Ann revoked, Bob disabled with nothing in use.
const BEFORE: &str = "
    INSERT INTO users (sub, user_id, tenant_id, groups, roles, populations, created_at, disabled_at)
    VALUES ('usr_1', 'ann@example.com', 'acme', '[]', '[]', '[]', 1, 5),
        ('usr_2', 'bob@example.com', 'acme', '[]', '[]', '[]', 1, 7);
    INSERT INTO pats (id, hash, sub, created_at, expires_at, revoked_at)
    VALUES ('pat_2', 'h', 'usr_2', 1, 9, 8);
    INSERT INTO standing (kind, id, until) VALUES ('user', 'ann@example.com', 100), ('credential', 'pat_2', 90);
    UPDATE standing_version SET version = 41";

/// What the second migration makes of it.
async fn carried_over(data: &Data) {
    let store = Store::create(data).await.unwrap();

    let of = |id: &str| (Kind::User, id.to_owned());
    assert_eq!(told(&store).await, [(Kind::Credential, "pat_2".into()), of(ANN)]);
    assert_eq!(store.standing_version().await.unwrap(), 42);
    assert!(
        store.stop_at_sign_in(&[(Kind::User, "bob@example.com")], NOW).await.unwrap().is_some()
    );
    store.forget_expired(101).await.unwrap();
    let mut left: Vec<_> = store.measures(NOW).await.unwrap().into_iter().map(|it| it.id).collect();
    left.sort();
    assert_eq!(left, [ANN, "bob@example.com"], "who is disabled stays so, a revoked token is over");
}

#[tokio::test]
async fn who_was_stopped_before_the_update_is_stopped_after_it_on_sqlite() {
    let place = tempfile::tempdir().unwrap();
    let data = Data::new(place.path());
    let options = sqlx::sqlite::SqliteConnectOptions::new();
    let options = options.filename(data.database()).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let mut first = sqlx::migrate!("migrations/sqlite");
    first.migrations.to_mut().truncate(1);
    first.run(&pool).await.unwrap();
    sqlx::raw_sql(BEFORE).execute(&pool).await.unwrap();
    pool.close().await;

    carried_over(&data).await;
}

#[tokio::test]
async fn who_was_stopped_before_the_update_is_stopped_after_it_on_postgres() {
    let place = tempfile::tempdir().unwrap();
    let url = cluster::shared().unwrap().database().unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let mut first = sqlx::migrate!("migrations/postgres");
    first.migrations.to_mut().truncate(1);
    first.run(&pool).await.unwrap();
    sqlx::raw_sql(BEFORE).execute(&pool).await.unwrap();
    pool.close().await;

    let postgres = Some(Postgres { url, read_url: None });
    carried_over(&Data::new(place.path()).with_postgres(postgres)).await;
}
