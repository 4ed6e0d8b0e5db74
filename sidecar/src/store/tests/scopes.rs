//! Who may lift what, and whose rows are found.

use super::*;
use crate::operators::operator::{How, Role};
use crate::store::measures::{Laid, Lifted, Measure, Which};

const NOW: u64 = 1_800_000_000;
const ANN: &str = "ann@example.com";

fn act_of(role: Role) -> Act {
    let operator = Operator::new("bob", vec![role], None, How::Socket(1));
    Act::new(&operator, "test").unwrap()
}

fn pause(set_by: &str, ends_at: u64) -> Measure {
    Measure {
        kind: Kind::User,
        id: ANN.into(),
        effect: Effect::Paused,
        ends_at: Some(ends_at),
        set_at: clock::now(),
        set_by: set_by.into(),
        why: "test".into(),
    }
}

async fn ann(store: &Store) {
    let user = User {
        sub: "usr_1".into(),
        user_id: ANN.into(),
        tenant_id: "acme".into(),
        ..User::default()
    };
    assert!(store.add_user(&user, &act()).await.unwrap());
}

async fn lifted(store: &Store, act: &Act) -> Result<Lifted, StoreError> {
    store.lift(Kind::User, ANN, Which::All, clock::now(), act).await
}

both! {
    async fn what_was_laid_in_another_role_stays(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        let later = clock::now() + 7200;
        let (platform, endpoint) = (act_of(Role::Platform), act_of(Role::Endpoint));

        let laid = store.lay(&pause("bob", later), false, &platform).await.unwrap();
        assert!(matches!(laid, Laid::Done(_)));
        assert!(matches!(lifted(store, &endpoint).await, Err(StoreError::NotTheirs(_))));
        assert!(matches!(lifted(store, &platform).await, Ok(Lifted::Done(..))));

        store.lay(&pause("sue", later), false, &act()).await.unwrap();
        store.lay(&pause("bob", later + 60), false, &platform).await.unwrap();
        let held = store.measures(clock::now()).await.unwrap();
        assert_eq!(held[0].set_by, "sue", "who tightens it does not own it");
        assert_eq!(held[0].ends_at, Some(later + 60), "and it is tightened");
        let refused = lifted(store, &platform).await;
        assert!(matches!(refused, Err(StoreError::NotTheirs(by)) if by == "sue"));
        assert!(matches!(lifted(store, &act()).await, Ok(Lifted::Done(..))), "the owner");

        store.disable_user(ANN, NOW, &act()).await.unwrap();
        assert!(store.enable_user(ANN, &endpoint).await.is_err());
        assert!(store.user(ANN).await.unwrap().unwrap().disabled_at.is_some());
        assert!(store.enable_user(ANN, &act()).await.unwrap());
        store.disable_user(ANN, NOW, &endpoint).await.unwrap();
        assert!(store.enable_user(ANN, &endpoint).await.unwrap());
    }

    async fn the_row_of_an_act_says_what_was_before_and_after(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        let later = clock::now() + 7200;
        store.lay(&pause("sue", later), false, &act()).await.unwrap();
        store.lay(&pause("sue", later + 60), false, &act()).await.unwrap();

        let rows = store.rows(&all()).await.unwrap();
        let payload = rows.last().unwrap().get("payload").clone();
        assert_eq!(payload["before"]["until"], clock::readable(later));
        assert_eq!(payload["after"]["until"], clock::readable(later + 60));
    }

    async fn rows_are_found_in_the_tenants_that_are_asked_for(bench: Bench) {
        let store = &bench.store;
        let other = Event { tenant_id: "other".into(), ..event("b", 2) };
        store.append(&[event("a", 1), other], None).await.unwrap();
        let of = |tenants: &[&str]| {
            let tenants = tenants.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
            Filter { tenants: Some(tenants), ..all() }
        };

        assert_eq!(ids(store, of(&["acme"])).await, ["a"]);
        assert_eq!(ids(store, of(&["acme", "other"])).await, ["a", "b"]);
        assert!(ids(store, of(&[])).await.is_empty(), "of none");
        assert!(ids(store, of(&["x\' OR TRUE --"])).await.is_empty());
        let acme = ["acme".to_owned()];
        assert_eq!(store.lineage(Some("t1"), Some(&acme), 9).await.unwrap().len(), 1);
        assert_eq!(store.lineage(Some("t1"), None, 9).await.unwrap().len(), 2);
    }

    async fn the_tenant_of_a_thing_is_its_owner_s(bench: Bench) {
        let store = &bench.store;
        ann(store).await;
        let pat = Pat { id: "pat_1".into(), user_id: ANN.into(), ..Pat::default() };
        store.add_pat(&pat, "hash", &act()).await.unwrap();

        for (kind, id, tenant) in [
            (Kind::User, ANN, Some("acme")),
            (Kind::User, "usr_1", Some("acme")),
            (Kind::Credential, "pat_1", Some("acme")),
            (Kind::User, "eve@example.com", None),
            (Kind::Session, "ses_1", None),
        ] {
            assert_eq!(store.tenant_of(kind, id).await.unwrap().as_deref(), tenant, "{id}");
        }
    }
}
