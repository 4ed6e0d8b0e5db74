use super::*;
use crate::store::directory::{Ask, GroupChange, Membership, Page, Pen, PersonForm, Written};
use crate::store::measures::{Laid, Lifted, Measure, Which};
use serde_json::json;

mod bounds;

const NOW: u64 = 10_000;

fn form(name: &str, active: bool) -> PersonForm {
    let email = format!("{name}@example.com");

    PersonForm {
        resource: json!({ "userName": email, "active": active }),
        user_name: email.clone(),
        email,
        active,
        ..PersonForm::default()
    }
}

fn scim() -> Act {
    Act::new(&Operator::itself("scim:dir_1"), "test").unwrap()
}

fn pen<'a>(act: &'a Act, tenant_id: &'a str) -> Pen<'a> {
    Pen { tenant_id, version: None, now: NOW, act }
}

async fn added(store: &Store, id: &str, name: &str) {
    let done = store.add_person(id, &form(name, true), pen(&scim(), "acme")).await.unwrap();
    assert!(matches!(done, Written::Done(_)), "{done:?}");
}

async fn put(store: &Store, id: &str, form: &PersonForm) -> u64 {
    match store.put_person(id, form, pen(&scim(), "acme")).await.unwrap() {
        Written::Done(person) => person.version,
        other => panic!("{other:?}"),
    }
}

async fn user(store: &Store, name: &str) -> User {
    store.user(&format!("{name}@example.com")).await.unwrap().unwrap()
}

async fn mints(store: &Store, name: &str, jti: &str) -> bool {
    let user = &user(store, name).await;
    let minted = Minted {
        jti,
        sid: jti,
        credential_id: "c",
        user,
        cert: "",
        now: NOW,
        expires_at: NOW + 600,
    };

    store.note_mint(&minted, &Held::Nothing).await.unwrap()
}

async fn told(store: &Store) -> Vec<String> {
    store.standing().await.unwrap().entries.into_iter().map(|entry| entry.id).collect()
}

fn revoked(by: &str) -> Measure {
    Measure {
        kind: Kind::User,
        id: "ann@example.com".into(),
        effect: Effect::Revoked,
        ends_at: None,
        set_at: NOW,
        set_by: by.into(),
        why: "test".into(),
    }
}

async fn join(store: &Store, id: &str, steps: Vec<Membership>) -> Written<()> {
    let change = GroupChange { members: steps, ..GroupChange::default() };

    store.put_group(id, &change, pen(&scim(), "acme")).await.unwrap()
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

async fn group(store: &Store, id: &str, name: &str, members: &[&str]) {
    let members = vec![Membership::Join(ids(members))];
    let change = GroupChange { name: Some(name.into()), members, ..GroupChange::default() };
    let done = store.add_group(id, &change, pen(&scim(), "acme")).await.unwrap();
    assert_eq!(done, Written::Done(()));
}

both! {
    async fn whom_the_directory_deactivates_is_stopped_and_let_in_again_when_it_says_so(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        assert!(mints(store, "ann", "j1").await);

        put(store, "scu_1", &form("ann", false)).await;
        assert_eq!(told(store).await, ["ann@example.com"], "gates are told");
        assert!(user(store, "ann").await.disabled_at.is_some());
        assert!(!mints(store, "ann", "j2").await);
        put(store, "scu_1", &form("ann", false)).await;

        put(store, "scu_1", &form("ann", true)).await;
        assert!(told(store).await.is_empty());
        assert!(mints(store, "ann", "j3").await);
    }

    async fn what_an_operator_has_stopped_the_directory_does_not_let_in(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        let laid = store.lay(&revoked("root"), false, &act()).await.unwrap();
        assert!(matches!(laid, Laid::Done(_)));

        put(store, "scu_1", &form("ann", false)).await;
        put(store, "scu_1", &form("ann", true)).await;

        assert!(!mints(store, "ann", "j1").await);
        assert_eq!(store.measures(NOW).await.unwrap()[0].set_by, "root");
        let lifted = store.lift(Kind::User, "ann@example.com", Which::All, NOW, &act()).await.unwrap();
        assert!(matches!(lifted, Lifted::Done(..)));
        assert!(mints(store, "ann", "j2").await);
    }

    async fn whom_the_directory_has_ended_no_operator_lets_in(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        put(store, "scu_1", &form("ann", false)).await;

        let lifted = store.lift(Kind::User, "ann@example.com", Which::All, NOW, &act()).await.unwrap();
        assert_eq!(lifted, Lifted::Directory);
        assert!(!store.enable_user("ann@example.com", &act()).await.unwrap());
        assert!(store.is_deprovisioned("ann@example.com").await.unwrap());

        // Operators may still tighten, and lift that again.
        let paused = Measure { effect: Effect::Paused, ends_at: Some(NOW + 9), ..revoked("root") };
        store.lay(&paused, false, &act()).await.unwrap();
        let which = Which::Effect("paused");
        let lifted = store.lift(Kind::User, "ann@example.com", which, NOW, &act()).await.unwrap();
        assert!(matches!(lifted, Lifted::Done(..)));
        assert!(!mints(store, "ann", "j1").await);
    }

    async fn an_operator_s_revocation_that_ends_by_itself_does_not_end_the_directory_s(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        assert!(mints(store, "ann", "j0").await);
        let short = Measure { ends_at: Some(NOW + 60), ..revoked("root") };
        store.lay(&short, false, &act()).await.unwrap();

        put(store, "scu_1", &form("ann", false)).await;

        store.forget_expired(NOW + 61).await.unwrap();
        assert_eq!(told(store).await, ["j0"], "what is in use stays ended");
        assert!(!mints(store, "ann", "j1").await);
        assert!(user(store, "ann").await.disabled_at.is_some());
        put(store, "scu_1", &form("ann", true)).await;
        assert!(mints(store, "ann", "j2").await);
    }

    async fn an_operator_s_revocation_outlasts_the_directory_s_whichever_came_first(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        for (nth, ends_at) in [Some(NOW + 60), None].into_iter().enumerate() {
            for first in [true, false] {
                assert!(mints(store, "ann", &format!("a{nth}{first}")).await);
                let revoke = Measure { ends_at, ..revoked("root") };
                if !first {
                    put(store, "scu_1", &form("ann", false)).await;
                }
                assert!(matches!(store.lay(&revoke, false, &act()).await.unwrap(), Laid::Done(_)));
                if first {
                    put(store, "scu_1", &form("ann", false)).await;
                }
                let lift = store.lift(Kind::User, "ann@example.com", Which::All, NOW, &act()).await.unwrap();
                assert_eq!(lift, Lifted::Directory);
                let tokens = told(store).await.iter().filter(|it| it.starts_with('a') && !it.contains('@')).count();
                assert!(ends_at.is_none() || tokens > 0, "tokens outlast a measure that ends");

                put(store, "scu_1", &form("ann", true)).await;

                let laid = store.measures(NOW).await.unwrap();
                let laid: Vec<_> = laid.iter().filter(|it| it.kind == Kind::User).collect();
                assert_eq!(laid.len(), 1, "{first} {ends_at:?}");
                assert_eq!((&*laid[0].set_by, laid[0].ends_at), ("root", ends_at));
                assert!(!mints(store, "ann", "no").await);
                let lift = store.lift(Kind::User, "ann@example.com", Which::All, NOW, &act()).await.unwrap();
                assert!(matches!(lift, Lifted::Done(..)));
            }
        }
        assert!(mints(store, "ann", "last").await);
    }

    async fn who_is_deleted_is_stopped_and_may_come_back_under_another_id(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        group(store, "scg_1", "engineering", &["scu_1"]).await;

        let gone = store.drop_person("scu_1", pen(&scim(), "acme")).await.unwrap();

        assert_eq!(gone, Written::Done(()));
        assert_eq!(store.person("acme", "scu_1").await.unwrap(), None);
        assert!(store.group("acme", "scg_1", true).await.unwrap().unwrap().members.is_empty());
        assert!(!mints(store, "ann", "j1").await);
        assert!(!store.enable_user("ann@example.com", &act()).await.unwrap());
        let again = store.drop_person("scu_1", pen(&scim(), "acme")).await.unwrap();
        assert_eq!(again, Written::Missing);

        added(store, "scu_2", "ann").await;
        assert!(mints(store, "ann", "j2").await);
        assert!(!store.is_deprovisioned("ann@example.com").await.unwrap());
    }

    async fn a_tenant_s_directory_touches_no_other_tenant(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        group(store, "scg_1", "engineering", &["scu_1"]).await;
        let (act, other) = (scim(), "globex");

        let taken = store.add_person("scu_2", &form("ann", true), pen(&act, other)).await.unwrap();
        assert_eq!(taken, Written::Taken, "the address is somebody's");
        assert_eq!(store.person(other, "scu_1").await.unwrap(), None);
        let put = store.put_person("scu_1", &form("ann", false), pen(&act, other)).await.unwrap();
        assert_eq!(put, Written::Missing);
        assert_eq!(store.drop_person("scu_1", pen(&act, other)).await.unwrap(), Written::Missing);
        assert_eq!(store.group(other, "scg_1", true).await.unwrap(), None);
        let change = GroupChange::default();
        let put = store.put_group("scg_1", &change, pen(&act, other)).await.unwrap();
        assert_eq!(put, Written::Missing);
        assert_eq!(store.drop_group("scg_1", pen(&act, other)).await.unwrap(), Written::Missing);
        let stranger = GroupChange {
            name: Some("engineering".into()),
            members: vec![Membership::Join(ids(&["scu_1"]))],
            ..GroupChange::default()
        };
        let joined = store.add_group("scg_2", &stranger, pen(&act, other)).await.unwrap();
        assert_eq!(joined, Written::Stranger("scu_1".into()));
        assert_eq!(store.groups(other, &Page { limit: 9, ..Page::default() }).await.unwrap().1, 0);
        assert!(mints(store, "ann", "j1").await);
    }

    async fn who_was_added_by_hand_is_adopted_and_keeps_what_the_directory_does_not_say(bench: Bench) {
        let store = &bench.store;
        let ann = User {
            sub: "usr_1".into(),
            user_id: "ann@example.com".into(),
            tenant_id: "acme".into(),
            department: Some("research".into()),
            groups: vec!["by-hand".into()],
            ..User::default()
        };
        store.add_user(&ann, &act()).await.unwrap();
        added(store, "scu_1", "ann").await;
        assert_eq!(user(store, "ann").await, ann, "no group was ever provisioned: theirs stay");

        group(store, "scg_1", "engineering", &["scu_1"]).await;

        let after = user(store, "ann").await;
        assert_eq!((after.groups, after.department.as_deref()), (ids(&["engineering"]), Some("research")));
        let twice = store.add_person("scu_2", &form("ann", true), pen(&scim(), "acme")).await.unwrap();
        assert_eq!(twice, Written::Taken);
    }

    async fn groups_of_the_directory_are_the_user_s_whatever_happens_to_them(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        added(store, "scu_2", "bob").await;
        group(store, "scg_1", "b-team", &["scu_1"]).await;
        group(store, "scg_2", "a-team", &[]).await;
        let of = async |name: &str| user(store, name).await.groups;

        assert_eq!(join(store, "scg_2", vec![Membership::Join(ids(&["scu_1", "scu_2"]))]).await, Written::Done(()));
        assert_eq!((of("ann").await, of("bob").await), (ids(&["a-team", "b-team"]), ids(&["a-team"])));
        join(store, "scg_2", vec![Membership::Leave(ids(&["scu_1", "scu_9"]))]).await;
        assert_eq!(of("ann").await, ids(&["b-team"]));
        let stranger = join(store, "scg_2", vec![Membership::Nobody, Membership::Join(ids(&["scu_9"]))]).await;
        assert_eq!(stranger, Written::Stranger("scu_9".into()));
        assert_eq!(of("bob").await, ids(&["a-team"]), "all of it or nothing");
        join(store, "scg_2", vec![Membership::Nobody, Membership::Join(ids(&["scu_1"]))]).await;
        assert_eq!((of("ann").await, of("bob").await), (ids(&["a-team", "b-team"]), vec![]));

        let renamed = GroupChange { name: Some("c-team".into()), ..GroupChange::default() };
        store.put_group("scg_2", &renamed, pen(&scim(), "acme")).await.unwrap();
        assert_eq!(of("ann").await, ids(&["b-team", "c-team"]));
        let taken = GroupChange { name: Some("B-Team".into()), ..GroupChange::default() };
        let taken = store.put_group("scg_2", &taken, pen(&scim(), "acme")).await.unwrap();
        assert_eq!(taken, Written::Taken, "two groups of one name would be one to a policy");
        store.drop_group("scg_1", pen(&scim(), "acme")).await.unwrap();
        store.drop_group("scg_2", pen(&scim(), "acme")).await.unwrap();
        assert!(of("ann").await.is_empty());
    }

    async fn who_has_another_address_takes_what_was_laid_on_them_along(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        assert!(mints(store, "ann", "j1").await);
        let paused = Measure { effect: Effect::Paused, ends_at: Some(NOW + 60), ..revoked("root") };
        store.lay(&paused, false, &act()).await.unwrap();

        put(store, "scu_1", &form("anna", true)).await;

        assert_eq!(store.user("ann@example.com").await.unwrap(), None);
        assert!(!mints(store, "anna", "j2").await, "still paused");
        let old: Vec<_> = store.measures(NOW).await.unwrap().into_iter().filter(|it| it.id == "ann@example.com").collect();
        assert_eq!(old[0].ends_at, Some(NOW + 600), "tokens of the old address are ended while they last");
        added(store, "scu_2", "bob").await;
        let taken = store.put_person("scu_1", &form("bob", true), pen(&scim(), "acme")).await.unwrap();
        assert_eq!(taken, Written::Taken);
    }

    async fn a_version_that_has_changed_is_not_written_over(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        let version = put(store, "scu_1", &form("ann", true)).await;
        let act = scim();
        let old = Pen { version: Some(version - 1), ..pen(&act, "acme") };

        assert_eq!(store.put_person("scu_1", &form("ann", false), old).await.unwrap(), Written::Stale);
        assert_eq!(store.drop_person("scu_1", old).await.unwrap(), Written::Stale);
        let new = Pen { version: Some(version), ..old };
        assert!(matches!(store.put_person("scu_1", &form("ann", false), new).await.unwrap(), Written::Done(_)));
    }

    async fn lists_are_pages_of_what_is_asked_for(bench: Bench) {
        let store = &bench.store;
        for (id, name) in [("scu_1", "ann"), ("scu_2", "bob"), ("scu_3", "cem")] {
            added(store, id, name).await;
        }
        put(store, "scu_3", &form("cem", false)).await;
        group(store, "scg_1", "Engineering", &["scu_1"]).await;
        let found = async |asks: &[(Ask, &str)], skip, limit| {
            let asks = asks.iter().map(|(ask, value)| (*ask, (*value).to_owned())).collect();
            let page = Page { asks, skip, limit, members: false };
            let (people, total) = store.persons("acme", &page).await.unwrap();
            (people.into_iter().map(|it| it.id).collect::<Vec<_>>(), total)
        };

        assert_eq!(found(&[], 1, 1).await, (ids(&["scu_2"]), 3));
        assert_eq!(found(&[], 0, 0).await, (vec![], 3));
        assert_eq!(found(&[(Ask::Name, "BOB@example.com")], 0, 9).await, (ids(&["scu_2"]), 1));
        assert_eq!(found(&[(Ask::Email, "cem@EXAMPLE.com"), (Ask::Active, "false")], 0, 9).await, (ids(&["scu_3"]), 1));
        assert_eq!(found(&[(Ask::Email, "cem@example.com"), (Ask::Active, "true")], 0, 9).await, (vec![], 0));
        assert_eq!(found(&[(Ask::Id, "' OR '1'='1")], 0, 9).await, (vec![], 0));
        let page = Page {
            asks: vec![(Ask::Name, "engineering".into()), (Ask::Member, "scu_1".into())],
            limit: 9,
            members: true,
            ..Page::default()
        };
        let (groups, _) = store.groups("acme", &page).await.unwrap();
        assert_eq!(groups[0].members, [("scu_1".to_owned(), "ann@example.com".to_owned())]);
    }

    async fn each_write_is_a_row_and_none_is_without(bench: Bench) {
        let store = &bench.store;
        added(store, "scu_1", "ann").await;
        put(store, "scu_1", &form("ann", false)).await;

        let rows = store.rows(&all()).await.unwrap();
        assert_eq!(rows.len(), 2);
        let row = &rows[1];
        assert_eq!((row.text("kind"), row.text("user_id"), row.text("tenant_id")), ("admin".into(), "scim:dir_1".into(), "acme".into()));
        let payload = row.get("payload");
        assert_eq!((&payload["before"]["active"], &payload["after"]["active"]), (&json!(true), &json!(false)));
        bench.sql("ALTER TABLE audit_events RENAME TO gone").await.unwrap();
        assert!(store.put_person("scu_1", &form("ann", true), pen(&scim(), "acme")).await.is_err());
        assert!(user(store, "ann").await.disabled_at.is_some());
    }
}
