use super::*;
use crate::store::sessions::{Asked, Bound, Fact, Person, Renewal, Trade, Traded};

fn person(subject: &str, address: &str) -> Person {
    Person {
        provider: "acme".into(),
        subject: subject.into(),
        user_id: address.into(),
        tenant_id: "acme".into(),
        name: Fact::Kept,
        department: Fact::Kept,
        cost_centre: Fact::Kept,
        region: Fact::Kept,
        groups: Fact::Is(vec!["staff".into()]),
        roles: Fact::Kept,
        populations: Fact::Kept,
    }
}

async fn bound(store: &Store, person: Person, new: &str) -> Option<User> {
    match store.bind(person, new, 100).await.unwrap() {
        Bound::Is(user) => Some(*user),
        Bound::Conflict => None,
    }
}

const ASKED: Asked<'_> = Asked {
    id: "ses_1",
    sub: "usr_1",
    provider: "acme",
    subject: "s1",
    redirect_uri: "http://127.0.0.1:1024/callback",
    challenge: "challenge",
    grant: Some("sealed"),
    now: 100,
    expires_at: 800,
};

const TRADE: Trade<'_> = Trade {
    code_hash: "code",
    redirect_uri: "http://127.0.0.1:1024/callback",
    challenge: "challenge",
    secret_hash: "secret1",
    now: 150,
    expires_at: 10_000,
    expires_at_unasked: 3_600,
};

/// A session that was approved, and its code.
async fn approved(store: &Store) -> User {
    let user = bound(store, person("s1", "ann@example.com"), "usr_1").await.unwrap();
    store.ask_session(&ASKED).await.unwrap();
    assert!(store.approve_session("ses_1", "code", 110, 230).await.unwrap());
    user
}

async fn begun(store: &Store) -> User {
    let user = approved(store).await;
    assert!(matches!(store.trade_code(&TRADE).await.unwrap(), Traded::Session(_)));
    user
}

fn mint<'a>(user: &'a User, jti: &'a str, now: u64) -> Minted<'a> {
    Minted { jti, sid: "ses_1", credential_id: "ses_1", user, cert: "", now, expires_at: now + 600 }
}

both! {
    async fn one_account_there_is_one_account_here_whatever_its_address_becomes(bench: Bench) {
        let store = &bench.store;
        let ann = bound(store, person("s1", "ann@example.com"), "usr_1").await.unwrap();
        assert_eq!((&*ann.sub, &*ann.tenant_id, ann.groups), ("usr_1", "acme", vec!["staff".to_owned()]));
        let renamed = bound(store, person("s1", "anna@example.com"), "usr_2").await.unwrap();
        assert_eq!((&*renamed.sub, &*renamed.user_id), ("usr_1", "anna@example.com"));
        assert_eq!(store.user("ann@example.com").await.unwrap(), None);

        assert_eq!(bound(store, person("s2", "anna@example.com"), "usr_3").await, None, "it is hers");
        let bob = bound(store, person("s2", "bob@example.com"), "usr_3").await.unwrap();
        assert_eq!(bob.sub, "usr_3");
        assert_eq!(bound(store, person("s2", "anna@example.com"), "usr_4").await, None);
        assert_eq!(store.users().await.unwrap().len(), 2, "nothing was changed or added");
        let elsewhere = Person { provider: "other".into(), ..person("s1", "anna@example.com") };
        assert_eq!(bound(store, elsewhere, "usr_5").await, None, "another provider's s1 is another");
    }

    async fn who_was_added_by_hand_is_bound_in_their_tenant_and_keeps_what_is_not_told(bench: Bench) {
        let store = &bench.store;
        let ann = User {
            sub: "usr_1".into(),
            user_id: "ann@example.com".into(),
            tenant_id: "acme".into(),
            department: Some("sales".into()),
            roles: vec!["soc".into()],
            ..User::default()
        };
        store.add_user(&ann, &act()).await.unwrap();
        let foreign = Person { tenant_id: "beta".into(), ..person("s1", "ann@example.com") };
        assert_eq!(bound(store, foreign, "usr_2").await, None, "another tenant's provider");

        let told = Person { department: Fact::Is(None), ..person("s1", "ann@example.com") };
        let found = bound(store, told, "usr_2").await.unwrap();

        assert_eq!((&*found.sub, found.department, found.roles), ("usr_1", None, vec!["soc".to_owned()]));
        assert_eq!(store.user("ann@example.com").await.unwrap().unwrap().groups, ["staff"]);
    }

    async fn what_is_laid_on_somebody_follows_them_to_a_new_address(bench: Bench) {
        let store = &bench.store;
        bound(store, person("s1", "ann@example.com"), "usr_1").await.unwrap();
        let pause = crate::store::measures::Measure {
            kind: Kind::User,
            id: "ann@example.com".into(),
            effect: Effect::Paused,
            ends_at: None,
            set_at: 100,
            set_by: "test".into(),
            why: "test".into(),
        };
        store.lay(&pause, false, &act()).await.unwrap();
        let before = store.standing().await.unwrap().version;

        bound(store, person("s1", "anna@example.com"), "usr_2").await.unwrap();

        let on = [(Kind::User, "anna@example.com")];
        assert!(store.stop_at_sign_in(&on, 200).await.unwrap().is_some());
        assert!(store.stop_at_sign_in(&[(Kind::User, "ann@example.com")], 200).await.unwrap().is_some());
        assert_eq!(store.standing().await.unwrap().version, before + 1);
    }

    async fn a_code_is_good_once_for_its_program_and_for_a_while(bench: Bench) {
        let store = &bench.store;
        approved(store).await;
        assert!(!store.approve_session("ses_1", "code2", 110, 230).await.unwrap(), "approved once");
        let other = Trade { code_hash: "other", ..TRADE };
        assert!(matches!(store.trade_code(&other).await.unwrap(), Traded::Unknown));
        let late = Trade { now: 230, ..TRADE };
        assert!(matches!(store.trade_code(&late).await.unwrap(), Traded::Unknown));

        let Traded::Session(begun) = store.trade_code(&TRADE).await.unwrap() else { panic!() };
        assert_eq!((begun.0.expires_at, begun.0.signed_in_at), (10_000, Some(150)));
        assert!(matches!(store.trade_code(&TRADE).await.unwrap(), Traded::Replayed(_)));
        let session = store.session("ses_1").await.unwrap().unwrap().0;
        assert_eq!((session.ended_why.as_deref(), session.grant), (Some("code_replayed"), None));
        assert!(!store.note_mint(&mint(&begun.1, "j1", 160), &Held::Session).await.unwrap());
    }

    async fn another_program_s_code_voids_the_sign_in(bench: Bench) {
        let store = &bench.store;
        approved(store).await;
        let thief = Trade { challenge: "thief", ..TRADE };

        assert!(matches!(store.trade_code(&thief).await.unwrap(), Traded::Mismatch(_)));

        assert!(matches!(store.trade_code(&TRADE).await.unwrap(), Traded::Unknown));
        assert!(store.sessions().await.unwrap().is_empty(), "nobody ever signed in to it");
    }

    async fn without_a_grant_a_session_lasts_as_long_as_it_may_unasked(bench: Bench) {
        let store = &bench.store;
        bound(store, person("s1", "ann@example.com"), "usr_1").await.unwrap();
        store.ask_session(&Asked { grant: None, ..ASKED }).await.unwrap();
        store.approve_session("ses_1", "code", 110, 230).await.unwrap();

        let Traded::Session(begun) = store.trade_code(&TRADE).await.unwrap() else { panic!() };

        assert_eq!(begun.0.expires_at, 3_600);
    }

    async fn a_secret_is_replaced_once_and_is_known_afterwards(bench: Bench) {
        let store = &bench.store;
        begun(store).await;
        let swap = |new: &'static str| Renewal {
            secret: Some(("secret1", new)),
            grant: Some("sealed2"),
            now: 200,
            ..Renewal::of("ses_1")
        };

        assert!(store.renew_session(&swap("secret2")).await.unwrap());
        assert!(!store.renew_session(&swap("secret3")).await.unwrap(), "it was replaced already");

        let old = store.session_by_secret("secret1").await.unwrap().unwrap();
        let new = store.session_by_secret("secret2").await.unwrap().unwrap();
        assert_eq!((old.replaced_at, new.replaced_at), (Some(200), None));
        assert_eq!(new.session.grant.as_deref(), Some("sealed2"));
        assert!(store.session_by_secret("secret3").await.unwrap().is_none());
        let confirmed = Renewal { confirmed_at: Some(210), ..Renewal::of("ses_1") };
        store.renew_session(&confirmed).await.unwrap();
        let (session, _) = store.session("ses_1").await.unwrap().unwrap();
        assert_eq!((session.confirmed_at, session.grant.as_deref()), (210, Some("sealed2")));
    }

    async fn one_refresh_has_a_session_at_a_time_over_all_sidecars_until_its_lease_is_over(bench: Bench) {
        let (one, beside) = (&bench.store, bench.beside().await);
        begun(one).await;
        let two = &beside.store;

        assert!(one.take_session("ses_1", "a", 200, 220).await.unwrap());
        assert!(!two.take_session("ses_1", "b", 201, 221).await.unwrap());
        two.give_session_back("ses_1", "b").await.unwrap();
        assert!(!two.take_session("ses_1", "b", 202, 222).await.unwrap(), "it was not b's to give");
        one.give_session_back("ses_1", "a").await.unwrap();
        assert!(two.take_session("ses_1", "b", 203, 223).await.unwrap());
        assert!(one.take_session("ses_1", "a", 223, 243).await.unwrap(), "b has died");
        assert!(!one.take_session("ses_2", "a", 223, 243).await.unwrap());
    }

    async fn a_session_that_is_over_mints_nothing_and_what_it_minted_is_stopped(bench: Bench) {
        let store = &bench.store;
        let user = begun(store).await;
        assert!(store.note_mint(&mint(&user, "j1", 200), &Held::Session).await.unwrap());
        assert_eq!(store.session("ses_1").await.unwrap().unwrap().0.used_at, Some(200));
        assert!(!store.note_mint(&mint(&user, "j2", 10_000), &Held::Session).await.unwrap(), "too old");

        let end = Act::new(&Operator::owner(), "session end ses_1").unwrap().on("ses_1");
        let ended = store.end_session("ses_1", "test", 300, Some(&end)).await.unwrap().unwrap();

        assert_eq!((ended.ended_at, &*ended.user_id), (Some(300), "ann@example.com"));
        assert!(!store.note_mint(&mint(&user, "j3", 301), &Held::Session).await.unwrap());
        let entry = &store.standing().await.unwrap().entries[0];
        assert_eq!((entry.kind, &*entry.id, entry.effect), (Kind::Session, "ses_1", Effect::Revoked));
        let rows = store.rows(&all()).await.unwrap();
        assert_eq!((rows.len(), rows[0].text("tenant_id")), (1, "acme".into()));
        assert_eq!(rows[0].text("credential_id"), "ses_1");
        assert!(store.end_session("ses_2", "test", 300, Some(&end)).await.unwrap().is_none());
    }

    async fn no_grant_is_written_back_into_a_session_that_is_over(bench: Bench) {
        let store = &bench.store;
        begun(store).await;
        store.end_session("ses_1", "test", 300, None).await.unwrap().unwrap();

        let renewal = Renewal {
            id: "ses_1", confirmed_at: Some(301), grant: Some("sealed again"), secret: None, now: 301,
        };
        store.renew_session(&renewal).await.unwrap();

        let (session, _) = store.session("ses_1").await.unwrap().unwrap();
        assert_eq!((session.ended_at, session.grant), (Some(300), None));
    }

    async fn whoever_takes_an_address_takes_the_stricter_of_what_lies_on_both(bench: Bench) {
        use crate::store::measures::Measure;
        let store = &bench.store;
        let user = bound(store, person("s1", "ann@example.com"), "usr_1").await.unwrap();
        assert!(store.note_mint(&mint(&user, "j1", 100), &Held::Nothing).await.unwrap());
        let lay = async |id: &str, effect, ends_at, by: &str| {
            let measure = Measure {
                kind: Kind::User, id: id.into(), effect, ends_at, set_at: 100, set_by: by.into(), why: by.into(),
            };
            store.lay(&measure, true, &act()).await.unwrap();
        };
        let throttled = |per_minute| Effect::Throttled { per_minute };
        lay("ann@example.com", Effect::Revoked, None, "root").await;
        lay("ann@example.com", throttled(5), Some(500), "root").await;
        lay("anna@example.com", Effect::Revoked, Some(400), "other").await;
        lay("anna@example.com", throttled(9), Some(600), "other").await;
        lay("anna@example.com", Effect::Paused, None, "other").await;

        bound(store, person("s1", "anna@example.com"), "usr_2").await.unwrap();

        let mut after: Vec<_> = store.measures(200).await.unwrap();
        after.retain(|it| it.id == "anna@example.com");
        after.sort_by_key(|it| it.set_by.clone() + crate::store::measures::word(it.effect));
        let after: Vec<_> = after.iter().map(|it| (it.effect, it.ends_at, &*it.set_by)).collect();
        assert_eq!(after.len(), 3);
        assert!(after.contains(&(Effect::Revoked, None, "root")), "{after:?}");
        assert!(after.contains(&(Effect::Paused, None, "other")), "{after:?}");
        let throttle = after.iter().find(|it| matches!(it.0, Effect::Throttled { .. })).unwrap();
        assert_eq!((throttle.0, throttle.1), (throttled(5), Some(600)));
    }

    async fn a_session_without_tokens_can_be_revoked_and_old_ones_are_forgotten(bench: Bench) {
        let store = &bench.store;
        let user = begun(store).await;
        let revoke = crate::store::measures::Measure {
            kind: Kind::Session,
            id: "ses_1".into(),
            effect: Effect::Revoked,
            ends_at: None,
            set_at: 200,
            set_by: "test".into(),
            why: "test".into(),
        };

        let laid = store.lay(&revoke, false, &act()).await.unwrap();
        let crate::store::measures::Laid::Done(reach) = laid else { panic!("{laid:?}") };
        assert_eq!((reach.user_id.as_deref(), reach.tokens), (Some("ann@example.com"), 0));
        assert!(!store.note_mint(&mint(&user, "j1", 201), &Held::Session).await.unwrap());

        store.forget_expired(10_000 + clock::DAY).await.unwrap();
        assert!(store.session("ses_1").await.unwrap().is_some());
        store.forget_expired(10_001 + clock::DAY).await.unwrap();
        assert!(store.session("ses_1").await.unwrap().is_none());
        assert!(store.session_by_secret("secret1").await.unwrap().is_none());
    }
}
