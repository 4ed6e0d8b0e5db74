use super::*;
use crate::store::approvals::{Approval, Asked, Bounds, Decided, State, Wanted};

const BOUNDS: Bounds = Bounds { open: 20, per_minute: 10 };
const NOW: u64 = 1_763_730_000;

fn asked(number: u32) -> Approval {
    Approval {
        id: format!("apr_{number:024x}"),
        digest: format!("{number:064x}"),
        tenant_id: "acme".into(),
        user_id: "ann@example.com".into(),
        session_id: "ses_1".into(),
        server: "tickets".into(),
        tool: "close".into(),
        arguments: r#"{"id":1}"#.into(),
        reason: "done".into(),
        trace_id: Some("t1".into()),
        requested_event_id: "ask-1".into(),
        asked_at: NOW,
        valid_seconds: 600,
        until: NOW + 600,
        ..Approval::default()
    }
}

fn wanted(of: &Approval) -> Wanted {
    Wanted {
        digest: of.digest.clone(),
        tenant_id: of.tenant_id.clone(),
        user_id: of.user_id.clone(),
        server: of.server.clone(),
        tool: of.tool.clone(),
        event_id: "call-1".into(),
    }
}

async fn ask(store: &Store, new: &Approval) -> Asked {
    store.ask_approval(new, BOUNDS, &["ops".to_owned()]).await.unwrap()
}

async fn decide(store: &Store, of: &Approval, approved: bool, now: u64) -> Option<Approval> {
    let decided =
        Decided { id: &of.id, approved, by: "bob@example.com", note: "", now, until: now + 600 };
    store.decide_approval(&decided, &act().row("acme")).await.unwrap()
}

both! {
    async fn what_is_approved_passes_once_for_its_time_and_for_nothing_else(bench: Bench) {
        let store = &bench.store;
        let one = asked(1);
        assert_eq!(ask(store, &one).await, Asked::New(one.clone()));
        assert_eq!(store.use_approval(&wanted(&one), NOW).await.unwrap(), None, "nobody decided");

        let approved = decide(store, &one, true, NOW + 5).await.unwrap();
        assert_eq!((approved.state, approved.until), (State::Approved, NOW + 605));
        assert_eq!(ids(store, all()).await.len(), 1, "the decision's row");
        for other in [
            Wanted { digest: "0".repeat(64), ..wanted(&one) },
            Wanted { tenant_id: "other".into(), ..wanted(&one) },
            Wanted { user_id: "eve@example.com".into(), ..wanted(&one) },
            Wanted { server: "mail".into(), ..wanted(&one) },
            Wanted { tool: "open".into(), ..wanted(&one) },
        ] {
            assert_eq!(store.use_approval(&other, NOW + 6).await.unwrap(), None, "{other:?}");
        }
        assert_eq!(store.use_approval(&wanted(&one), NOW + 605).await.unwrap(), None, "too late");
        let used = store.use_approval(&wanted(&one), NOW + 6).await.unwrap();
        assert_eq!(used.as_deref(), Some(&*one.id));
        assert_eq!(store.use_approval(&wanted(&one), NOW + 6).await.unwrap(), None, "once");
        let after = store.approval(&one.id).await.unwrap().unwrap();
        assert_eq!((after.state, after.used_event_id.as_deref()), (State::Used, Some("call-1")));
    }

    async fn two_sidecars_that_race_for_one_approval_let_one_call_through(bench: Bench) {
        let other = bench.beside().await;
        for number in 0..10 {
            let at = NOW + u64::from(number) * 100;
            let one = Approval { asked_at: at, until: at + 600, ..asked(number) };
            ask(&bench.store, &one).await;
            decide(&bench.store, &one, true, one.asked_at).await.unwrap();
            let wanted = wanted(&one);
            let now = one.asked_at + 1;
            let race = [&bench.store, &other.store, &bench.store, &other.store]
                .map(|store| store.use_approval(&wanted, now));
            let used = futures_util::future::join_all(race).await;

            let through = used.into_iter().filter(|it| it.as_ref().unwrap().is_some()).count();
            assert_eq!(through, 1);
        }
    }

    async fn two_who_decide_at_once_decide_once_and_leave_one_row(bench: Bench) {
        let other = bench.beside().await;
        let one = asked(1);
        ask(&bench.store, &one).await;

        let (yes, no) = tokio::join!(
            decide(&bench.store, &one, true, NOW + 1),
            decide(&other.store, &one, false, NOW + 1)
        );

        assert_ne!(yes.is_some(), no.is_some());
        assert_eq!(ids(&bench.store, all()).await.len(), 1);
        assert_eq!(decide(&bench.store, &one, true, NOW + 2).await, None, "it stays decided");
    }

    async fn the_same_asked_again_is_the_same_request_until_it_is_over(bench: Bench) {
        let store = &bench.store;
        let one = asked(1);
        let again = |at: u64| Approval {
            id: format!("apr_{at:024x}"), asked_at: at, until: at + 600, ..asked(1)
        };
        ask(store, &one).await;

        let other = bench.beside().await;
        for store in [store, &other.store] {
            assert_eq!(ask(store, &again(NOW + 1)).await, Asked::Known(one.clone()));
        }
        decide(store, &one, false, NOW + 2).await.unwrap();
        let Asked::Known(denied) = ask(store, &again(NOW + 3)).await else { panic!("asked anew") };
        assert_eq!(denied.state, State::Denied, "nobody is worn down by asking again");
        let later = again(NOW + 602);
        assert_eq!(ask(store, &later).await, Asked::New(later.clone()));
        assert_eq!(decide(store, &later, true, NOW + 1202).await, None, "too late to decide");
        assert_eq!(later.standing(NOW + 1202), State::Lapsed);
    }

    async fn an_agent_asks_so_much_and_no_more_and_others_are_not_hindered(bench: Bench) {
        let store = &bench.store;
        for number in 0..10 {
            assert!(matches!(ask(store, &asked(number)).await, Asked::New(_)));
        }
        assert_eq!(ask(store, &asked(10)).await, Asked::TooFast);
        let eve = Approval { user_id: "eve@example.com".into(), ..asked(11) };
        assert!(matches!(ask(store, &eve).await, Asked::New(_)));
        for number in 12..22 {
            let later = Approval { asked_at: NOW + 61, until: NOW + 900, ..asked(number) };
            assert!(matches!(ask(store, &later).await, Asked::New(_)));
        }
        let later = Approval { asked_at: NOW + 200, ..asked(23) };
        assert_eq!(ask(store, &later).await, Asked::TooMany);
    }

    async fn of_another_tenant_nothing_is_listed(bench: Bench) {
        let store = &bench.store;
        ask(store, &asked(1)).await;
        ask(store, &Approval { tenant_id: "other".into(), ..asked(2) }).await;
        let listed = async |tenants: Option<&[String]>| {
            let found = store.approvals(tenants, Some(NOW), 9).await.unwrap();
            found.into_iter().map(|it| it.tenant_id).collect::<Vec<_>>()
        };

        assert_eq!(listed(Some(&["acme".into()])).await, ["acme"]);
        assert_eq!(listed(Some(&[])).await.len(), 0);
        assert_eq!(listed(None).await.len(), 2);
        decide(store, &asked(1), false, NOW).await.unwrap();
        assert_eq!(listed(None).await, ["other"], "what is decided does not wait");
        assert_eq!(store.approvals(None, None, 9).await.unwrap().len(), 2);
    }

    async fn a_message_is_told_by_one_sidecar_and_a_decision_to_the_same_channels(bench: Bench) {
        let (store, other) = (&bench.store, bench.beside().await);
        ask(store, &asked(1)).await;
        assert_eq!(store.due_messages("others", NOW).await.unwrap(), []);
        let due = store.due_messages("ops", NOW).await.unwrap();
        let message = due.first().unwrap();

        let (one, two) =
            tokio::join!(store.take_message(message, NOW + 30), other.store.take_message(message, NOW + 30));
        assert_ne!(one.unwrap(), two.unwrap(), "one of them");
        assert_eq!(store.due_messages("ops", NOW + 29).await.unwrap(), []);
        assert_eq!(store.due_messages("ops", NOW + 30).await.unwrap().len(), 1, "if it dies");
        let told = crate::store::approvals::Message {
            next_at: None, told_at: Some(NOW + 1), ..message.clone()
        };
        store.note_message(&told).await.unwrap();
        assert_eq!(store.due_messages("ops", NOW + 99).await.unwrap(), []);

        decide(store, &asked(1), true, NOW + 9).await.unwrap();
        let due = store.due_messages("ops", NOW + 9).await.unwrap();
        assert_eq!(due.iter().map(|it| &*it.what).collect::<Vec<_>>(), ["decided"]);
        assert_eq!(store.approval_messages(&asked(1).id).await.unwrap().len(), 2);
    }

    async fn what_was_asked_and_decided_cannot_be_changed_afterwards(bench: Bench) {
        let store = &bench.store;
        ask(store, &asked(1)).await;
        decide(store, &asked(1), true, NOW).await.unwrap();

        for sql in [
            "DELETE FROM approvals",
            "UPDATE approvals SET arguments = '{}'",
            "UPDATE approvals SET decided_by = 'eve@example.com'",
            "UPDATE approvals SET digest = 'x'",
        ] {
            assert!(bench.sql(sql).await.is_err(), "{sql}");
        }
        store.use_approval(&wanted(&asked(1)), NOW).await.unwrap().unwrap();
        let again = "UPDATE approvals SET state = 'approved', used_at = NULL";
        assert!(bench.sql(again).await.is_err(), "what is used stays used");
    }
}
