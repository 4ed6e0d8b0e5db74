//! Sessions are somebody's, and so is what is said in them.

use super::{BEHIND, BOB, CREDENTIALS, refused, run};
use e2e::client::answer::Open;
use e2e::mcp::gated::{Agent, messages, reply};
use e2e::mcp::raw::events;
use e2e::mcp::standin::script::{Fault, Script, Style};
use e2e::world::{ANN, World};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The server's own id of a session, which stands before the seal.
fn own(agent: &Agent<'_>) -> String {
    agent.session.rsplit_once('.').unwrap().0.to_owned()
}

/// Opens a session's own stream, and waits until it is there.
async fn listening(world: &World, agent: &Agent<'_>) -> Open {
    let mut open = agent.listens().open(world).await.unwrap();
    assert_eq!(open.status, 200, "{open:?}");
    let first = open.next().await.unwrap();
    assert!(first.starts_with(b":"), "{first:?}");

    open
}

fn note(text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": "test://static-text", "title": text } })
}

/// IBM/mcp-context-forge#1078: a server was called with the token that another user had left there.
#[test]
fn every_call_has_its_server_s_token_whoever_calls_whatever_at_the_same_moment() {
    run(async |world| {
        let mut agents = Vec::new();
        for email in [ANN, BOB] {
            for server in ["tickets", "pinned"] {
                agents.push((server, Agent::begun(world, email, server).await));
            }
        }
        let agents = &agents;
        let calls = (0..60).map(|round: usize| {
            let (server, agent) = &agents[round % 4];
            async move {
                let script = Script { delay: (round % 7) as u64, ..Script::new() };
                let words = format!("words {round}");
                let arguments = super::with(&script, &json!({ "text": words }));
                let answer = agent.calls("tool_001", &arguments).send(world).await;
                assert_eq!(
                    reply(&answer)["result"]["content"][0]["text"],
                    words,
                    "{}",
                    answer.text()
                );
                let (standin, credential) = match *server {
                    "tickets" => (&BEHIND.tickets, CREDENTIALS[0]),
                    _ => (&BEHIND.pinned, CREDENTIALS[1]),
                };
                let seen = standin.seen(&script);
                assert_eq!(seen.len(), 1);
                assert_eq!(seen[0].header("authorization"), Some(credential));
                let headers = format!("{:?}", seen[0].headers);
                assert!(
                    agents.iter().all(|(_, agent)| !headers.contains(&agent.token)),
                    "{headers}"
                );
            }
        });
        join_all(calls).await;
    });
}

/// IBM/mcp-context-forge#2055: the state of one user's session was another's.
#[test]
fn another_s_session_is_not_known_by_any_method() {
    run(async |world| {
        let (ann, mut bob) =
            (Agent::begun(world, ANN, "tickets").await, Agent::begun(world, BOB, "tickets").await);
        assert_ne!(own(&ann), own(&bob));
        let bobs = bob.session.clone();
        let mut sources = Vec::new();
        for session in [
            ann.session.clone(),
            own(&ann),
            format!("{bobs}x"),
            format!("{}.{}", own(&ann), bobs.rsplit_once('.').unwrap().1),
        ] {
            bob.session = session;
            let script = Script::new();
            for call in [bob.calls("echo", &script.arguments()), bob.listens(), bob.leaves()] {
                let answer = refused(world, call, &script, "mcp_session_unknown").await;
                sources.push(answer.source);
                assert_eq!(answer.status, 404);
            }
        }
        super::denied(world, &sources).await;
        // And of another server, though the same one stands behind it.
        let mut other = Agent::of(world, ANN, "open");
        other.session = ann.session.clone();
        let script = Script::new();
        refused(world, other.calls("echo", &script.arguments()), &script, "mcp_session_unknown")
            .await;

        assert!(BEHIND.tickets.sessions().contains(&own(&ann)), "and nobody ended it");
        let answer = ann.calls("echo", &script.arguments()).send(world).await;
        assert!(reply(&answer)["result"].is_object(), "{}", answer.text());
    });
}

#[test]
fn a_session_ends_for_who_ends_it() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;

        let ended = ann.leaves().send(world).await;

        assert_eq!(ended.status, 200, "{}", ended.text());
        assert!(!BEHIND.tickets.sessions().contains(&own(&ann)));
        let after = ann.calls("echo", &json!({})).send(world).await;
        assert_eq!(after.status, 404, "clients begin a new one: {}", after.text());
    });
}

#[test]
fn nobody_hears_what_is_said_on_another_s_stream() {
    run(async |world| {
        let (ann, bob) =
            (Agent::begun(world, ANN, "tickets").await, Agent::begun(world, BOB, "tickets").await);
        let (mut anns, mut bobs) = (listening(world, &ann).await, listening(world, &bob).await);
        for round in 0..5 {
            BEHIND.tickets.push(&own(&ann), note(&format!("for ann {round}")));
            BEHIND.tickets.push(&own(&bob), note(&format!("for bob {round}")));
        }
        BEHIND.tickets.hang_up(&own(&ann));
        BEHIND.tickets.hang_up(&own(&bob));
        for (open, name) in [(&mut anns, "ann"), (&mut bobs, "bob")] {
            let mut text = String::new();
            while let Some(piece) = open.next().await {
                text.push_str(&String::from_utf8_lossy(&piece));
            }
            let titles: Vec<_> =
                events(&text).iter().map(|it| it["params"]["title"].clone()).collect();
            let expected: Vec<_> =
                (0..5).map(|round| json!(format!("for {name} {round}"))).collect();
            assert_eq!(titles, expected);
        }
        let row = world.row_from(anns.source).await;
        assert_eq!((row.text("kind"), row.text("outcome")), ("mcp", "allowed"), "{row:#?}");
    });
}

#[test]
fn an_event_is_at_the_client_when_it_is_sent_and_not_when_the_stream_ends() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } });
        // It waits before each of the two.
        let script = Script { before: vec![progress], pause: 3000, ..Script::new().streamed() };
        let begun = Instant::now();
        let mut open = ann.calls("echo", &script.arguments()).open(world).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "the headers: {:?}", begun.elapsed());

        let first = open.next().await.unwrap();

        let at = begun.elapsed();
        assert!(at < Duration::from_millis(4500), "{at:?}");
        assert!(String::from_utf8_lossy(&first).contains("notifications/progress"), "{first:?}");
        let rest = open.next().await.unwrap();
        assert!(String::from_utf8_lossy(&rest).contains("fine"), "{rest:?}");
        assert!(
            begun.elapsed().saturating_sub(at) > Duration::from_millis(2500),
            "{:?}",
            begun.elapsed()
        );

        let mut listens = listening(world, &ann).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let pushed = Instant::now();
        BEHIND.tickets.push(&own(&ann), note("now"));
        assert!(String::from_utf8_lossy(&listens.next().await.unwrap()).contains("now"));
        assert!(pushed.elapsed() < Duration::from_secs(1), "{:?}", pushed.elapsed());
    });
}

#[test]
fn a_stream_that_broke_off_is_taken_up_again_by_who_had_it() {
    run(async |world| {
        let (ann, bob) =
            (Agent::begun(world, ANN, "tickets").await, Agent::begun(world, BOB, "tickets").await);
        let script = Script {
            style: Style { ids: true, ..Style::default() },
            fault: Fault::ResetAfter(60),
            ..Script::new().streamed()
        };
        let broken = ann.calls("echo", &script.arguments()).send(world).await;
        assert!(!messages(&broken).iter().any(|it| it["id"] == 1), "{}", broken.text());
        let text = broken.text();
        let id = text
            .lines()
            .find_map(|line| line.strip_prefix("id: "))
            .unwrap_or_else(|| panic!("{broken:?}"));

        let resumed = ann.listens().header("last-event-id", id).send(world).await;

        assert_eq!(resumed.status, 200, "{}", resumed.text());
        assert!(reply(&resumed)["result"].is_object(), "{}", resumed.text());
        let stolen = bob.listens().header("last-event-id", id).send(world).await;
        assert!(stolen.status >= 400, "the server itself keeps them apart: {}", stolen.text());
        let row = world.row_from(broken.source).await;
        assert_eq!((row.text("outcome"), row.number("complete")), ("error", Some(0)), "{row:#?}");
    });
}
