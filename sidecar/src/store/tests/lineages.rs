use super::*;

/// A call of Ann's in session `s`.
fn call(id: &str, at: u64, answers: &[&str], tool_uses: &[(&str, &str)]) -> Event<'static> {
    let mut event = event(id, at);
    event.session_id = Some("s".into());
    event.trace_id = Some("s".into());
    event.payload.answers = answers.iter().map(|id| (*id).to_owned().into()).collect();
    event.payload.tool_uses = tool_uses
        .iter()
        .map(|(id, name)| ToolUse {
            id: (*id).to_owned().into(),
            name: (*name).to_owned().into(),
            input_sha256: None,
        })
        .collect();
    event
}

fn by_agent(agent: &str, event: Event<'static>) -> Event<'static> {
    Event { agent_id: Some(agent.to_owned().into()), ..event }
}

/// Parent of each call, by id; found at once or later.
async fn parents(bench: &Bench) -> Vec<(String, String)> {
    let rows = bench.store.lineage(None, None, 1_000).await.unwrap();
    rows.into_iter().map(|step| (step.event_id, step.parent_event_id.unwrap_or_default())).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(child, parent)| ((*child).to_owned(), (*parent).to_owned())).collect()
}

both! {
    async fn who_emitted_the_answered_ids_is_the_parent(bench: Bench) {
        let store = &bench.store;
        store.append(&[call("a", 1, &[], &[("t1", "Bash"), ("t2", "Read")])], None).await.unwrap();
        let both = call("b", 2, &["t1", "t2"], &[("t3", "Bash")]);
        store.append(&[both, call("c", 3, &["t3"], &[])], None).await.unwrap();

        assert_eq!(parents(&bench).await, pairs(&[("a", ""), ("b", "a"), ("c", "b")]));
        let rows = store.rows(&all()).await.unwrap();
        assert_eq!(rows[1].text("parent_event_id"), "a", "in the row itself");
    }

    async fn rows_out_of_order_and_by_two_sidecars_find_each_other(bench: Bench) {
        let beside = bench.beside().await;
        bench.store.append(&[call("c", 3, &["t2"], &[])], None).await.unwrap();
        beside.store.append(&[call("b", 2, &["t1"], &[("t2", "Bash")])], None).await.unwrap();
        bench.store.append(&[call("a", 1, &[], &[("t1", "Bash")])], None).await.unwrap();

        assert_eq!(parents(&bench).await, pairs(&[("a", ""), ("b", "a"), ("c", "b")]));
    }

    async fn a_forged_id_links_nothing(bench: Bench) {
        let store = &bench.store;
        store.append(&[call("a", 1, &[], &[("t1", "Bash")])], None).await.unwrap();
        let mut other_user = call("b", 2, &["t1"], &[]);
        other_user.user_id = "bob@example.com".into();
        let mut other_session = call("c", 3, &["t1"], &[]);
        other_session.session_id = Some("s2".into());
        let early = call("d", 0, &["t1"], &[]);
        let unknown = call("e", 4, &["never"], &[]);
        store.append(&[other_user, other_session, early, unknown], None).await.unwrap();

        assert!(parents(&bench).await.iter().all(|(_, parent)| parent.is_empty()));
    }

    async fn the_first_call_of_an_agent_hangs_on_the_open_tool_use(bench: Bench) {
        let store = &bench.store;
        store.append(&[call("a", 1, &[], &[("t0", "Bash")])], None).await.unwrap();
        let starts = call("b", 2, &["t0"], &[("t1", "Task"), ("t2", "Task"), ("t3", "Bash")]);
        store.append(&[starts], None).await.unwrap();
        let one = by_agent("x", call("c", 3, &[], &[("u1", "Read")]));
        let two = by_agent("y", call("d", 4, &[], &[]));
        store.append(&[one, two], None).await.unwrap();
        let on = by_agent("x", call("e", 5, &["u1"], &[]));
        let again = by_agent("x", call("f", 6, &[], &[]));
        let done = call("g", 7, &["t1", "t2", "t3"], &[]);
        let late = by_agent("z", call("h", 8, &[], &[]));
        store.append(&[on, again, done, late], None).await.unwrap();

        assert_eq!(
            parents(&bench).await,
            pairs(&[
                ("a", ""), ("b", "a"), ("c", "b"), ("d", "b"), ("e", "c"),
                ("f", ""), ("g", "b"), ("h", ""),
            ]),
            "an agent's later turn, and one that nothing open can have started, hang on nothing"
        );
    }

    async fn an_agent_that_two_calls_can_have_started_hangs_on_neither(bench: Bench) {
        let store = &bench.store;
        store.append(&[call("a", 1, &[], &[("t1", "Task")])], None).await.unwrap();
        store.append(&[call("b", 2, &[], &[("t2", "Task")])], None).await.unwrap();
        store.append(&[by_agent("x", call("c", 3, &[], &[]))], None).await.unwrap();

        assert_eq!(parents(&bench).await, pairs(&[("a", ""), ("b", ""), ("c", "")]));
    }

    async fn an_agent_whose_row_comes_before_its_starter_s_is_linked_later(bench: Bench) {
        let store = &bench.store;
        store.append(&[by_agent("x", call("b", 2, &[], &[]))], None).await.unwrap();
        store.append(&[call("a", 1, &[], &[("t1", "Agent")])], None).await.unwrap();

        assert_eq!(parents(&bench).await, pairs(&[("a", ""), ("b", "a")]));
    }

    async fn a_parent_found_late_brings_its_trace(bench: Bench) {
        let store = &bench.store;
        let child = Event { trace_id: Some("own".into()), ..call("b", 2, &["t1"], &[]) };
        store.append(&[child], None).await.unwrap();
        store.append(&[call("a", 1, &[], &[("t1", "Bash")])], None).await.unwrap();

        let steps = store.lineage(Some("s"), None, 10).await.unwrap();

        let ids: Vec<_> = steps.iter().map(|step| &*step.event_id).collect();
        assert_eq!(ids, ["a", "b"]);
    }

    async fn a_fork_has_one_parent_and_sessions_that_interleave_stay_apart(bench: Bench) {
        let store = &bench.store;
        let of = |session: &str, event: Event<'static>| Event {
            session_id: Some(session.to_owned().into()),
            ..event
        };
        // Providers that number from 0 give the same id in every conversation.
        let first = of("s1", call("a", 1, &[], &[("call_0", "Bash")]));
        let second = of("s2", call("b", 2, &[], &[("call_0", "Bash")]));
        let third = of("s1", call("c", 3, &["call_0"], &[]));
        let fourth = of("s2", call("d", 4, &["call_0"], &[("call_0", "Bash")]));
        let fork = of("s1", call("e", 5, &["call_0"], &[]));
        let fifth = of("s2", call("f", 6, &["call_0"], &[]));
        store.append(&[first, second, third], None).await.unwrap();
        store.append(&[fourth, fork, fifth], None).await.unwrap();

        assert_eq!(
            parents(&bench).await,
            pairs(&[("a", ""), ("b", ""), ("c", "a"), ("d", "b"), ("e", "a"), ("f", "d")])
        );
    }

    async fn a_header_changed_midway_leaves_the_trace_whole(bench: Bench) {
        let store = &bench.store;
        store.append(&[call("a", 1, &[], &[("t1", "Bash")])], None).await.unwrap();
        let changed = Event { trace_id: Some("other".into()), ..call("b", 2, &["t1"], &[("t2", "X")]) };
        store.append(&[changed, call("c", 3, &["t2"], &[])], None).await.unwrap();

        let rows = store.rows(&all()).await.unwrap();

        assert!(rows.iter().all(|row| row.text("trace_id") == "s"), "it inherits its parent's");
        assert_eq!(store.lineage(Some("s"), None, 10).await.unwrap().len(), 3);
        assert_eq!(store.lineage(Some("other"), None, 10).await.unwrap().len(), 0);
    }

    async fn after_a_compaction_nothing_is_invented(bench: Bench) {
        let store = &bench.store;
        store.append(&[call("a", 1, &[], &[("t1", "Bash")])], None).await.unwrap();
        // The summary takes the place of what was said: no id of before is answered.
        store.append(&[call("b", 2, &[], &[("t2", "Bash")])], None).await.unwrap();
        store.append(&[call("c", 3, &["t2"], &[])], None).await.unwrap();

        assert_eq!(parents(&bench).await, pairs(&[("a", ""), ("b", ""), ("c", "b")]));
    }

    async fn what_no_call_will_ask_for_is_forgotten(bench: Bench) {
        let store = &bench.store;
        store.append(&[call("a", 1, &["gone"], &[("t1", "Bash")])], None).await.unwrap();

        store.tidy_audit(10).await.unwrap();
        store.append(&[call("b", 20, &["t1"], &[])], None).await.unwrap();

        assert_eq!(parents(&bench).await, pairs(&[("a", ""), ("b", "")]));
    }
}
