use super::*;
use crate::store::directory::Certificate;

fn ann() -> User {
    User {
        sub: "usr_1".into(),
        user_id: "ann@example.com".into(),
        tenant_id: "acme".into(),
        ..User::default()
    }
}

fn service(groups: &[&str]) -> User {
    User {
        sub: "service:deploy".into(),
        user_id: "service:deploy".into(),
        tenant_id: "acme".into(),
        groups: groups.iter().map(ToString::to_string).collect(),
        created_at: 5,
        ..User::default()
    }
}

both! {
    async fn a_certificate_stands_there_until_nothing_of_it_can_be_in_use(bench: Bench) {
        let store = &bench.store;
        store.add_user(&ann(), &act()).await.unwrap();
        let of = |sha256: &str, not_after| Certificate {
            sha256: sha256.into(),
            issuer: "CN=Acme".into(),
            serial: "ab".into(),
            subject: "CN=ann".into(),
            sub: "usr_1".into(),
            not_after,
        };
        store.note_certificate(&of("a", 1_000), 500).await.unwrap();
        store.note_certificate(&of("a", 1_000), 600).await.unwrap();
        store.note_certificate(&of("b", 900_000), 700).await.unwrap();

        assert_eq!(store.certificates("", 10).await.unwrap(), [of("a", 1_000), of("b", 900_000)]);
        assert_eq!(store.certificates("a", 10).await.unwrap(), [of("b", 900_000)]);
        store.note_certificate(&of("c", 900_000), 1_000 + 86_400 + 301).await.unwrap();
        let left: Vec<_> = store.certificates("", 10).await.unwrap().into_iter().map(|it| it.sha256).collect();
        assert_eq!(left, ["b", "c"], "a day after it was over, no token of it lives");
    }

    async fn what_may_be_exchanged_once_is(bench: Bench) {
        let two = bench.beside().await;

        assert!(bench.store.exchange_once("x", 100).await.unwrap());
        assert!(!two.store.exchange_once("x", 100).await.unwrap(), "another sidecar knows it");
        bench.store.forget_expired(100).await.unwrap();
        assert!(!bench.store.exchange_once("x", 100).await.unwrap(), "it could still come");
        bench.store.forget_expired(101).await.unwrap();
        assert!(bench.store.exchange_once("x", 100).await.unwrap());
    }

    async fn a_service_becomes_what_the_configuration_says_and_stays_stopped(bench: Bench) {
        let store = &bench.store;
        store.put_service(&service(&["a"]), &act()).await.unwrap();
        store.disable_user("service:deploy", 10, &act()).await.unwrap();

        store.put_service(&service(&["b"]), &act()).await.unwrap();

        let user = store.user("service:deploy").await.unwrap().unwrap();
        assert_eq!((user.groups, user.disabled_at), (vec!["b".to_owned()], Some(10)));
    }
}
