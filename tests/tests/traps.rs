//! A trap costs every stream of its worker. This shows that it costs no more: a module built to
//! trap on purpose (`--features trap`: on a header, or on a word in the body) under fifty streams.

use e2e::client::connection::Via;
use e2e::provider::script::Script;
use e2e::suite::alone;
use e2e::world::World;
use e2e::world::setup::Setup;
use serde_json::json;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

fn trapping(name: &'static str) -> Setup {
    Setup { module: "tollgate_filter-trap", ..Setup::named(name) }
}

#[test]
fn fifty_streams_are_cut_with_their_rows_and_the_worker_serves_again_at_once() {
    alone(trapping("traps"), async |world| {
        let script = Script { words: 400, pause: 25, ..Script::new() };
        let mut streams = Vec::new();
        for _ in 0..50 {
            let mut stream =
                world.call(&script).streamed().via(Via::Plain).open(world).await.unwrap();
            stream.next().await.unwrap();
            streams.push(stream);
        }

        let (trapped, back) = trap(world).await;

        eprintln!("served again {back:?} after the trap");
        let sources: Vec<_> = streams.iter().map(|stream| stream.source).collect();
        for stream in streams {
            assert!(!stream.read().await.whole, "a stream that was cut must not look whole");
        }
        for row in world.row_of_each(&sources).await {
            assert_eq!(row.text("user_id"), "ann@example.com", "{row:#?}");
            assert_eq!((row.text("tenant_id"), row.text("outcome")), ("acme", "error"), "{row:#?}");
        }
        assert_eq!(world.row_from(trapped).await.text("outcome"), "error");

        // A busy machine may be slow once: the middle of five is what counts.
        let mut times = vec![back];
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(1200)).await;
            times.push(trap(world).await.1);
        }
        times.sort();
        assert!(times[2] < Duration::from_millis(50), "{times:?}");
    });
}

/// Traps once. Where that call came from, and how long it took until calls passed again.
async fn trap(world: &World) -> (Ipv4Addr, Duration) {
    let answer = world.call(&Script::new()).via(Via::Plain).header("x-trap", "1").send(world).await;
    answer.assert_refused(503, "api_error");
    let trapped = Instant::now();
    loop {
        let call = world.call(&Script::new()).via(Via::Plain);
        if call.send(world).await.status == 200 {
            return (answer.source, trapped.elapsed());
        }
        assert!(trapped.elapsed() < Duration::from_secs(5), "the worker does not come back");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn a_body_that_trapped_twice_is_refused_and_others_pass() {
    alone(trapping("traps-body"), async |world| {
        let poison = json!([{"role": "user", "content": "please-trap"}]);
        let poison = world.call(&Script::new()).member("messages", poison);
        let mut statuses = Vec::new();
        for _ in 0..4 {
            let answer = e2e::client::Call { source: e2e::client::source(), ..poison.clone() };
            let answer = answer.send(world).await;
            statuses.push(answer.status);
            let row = world.row_from(answer.source).await;
            assert_ne!(row.text("outcome"), "allowed");
            if answer.status == 400 {
                assert_eq!(row.text("rule_id"), "quarantined", "{row:#?}");
            }
        }

        assert_eq!(statuses, [503, 503, 400, 400], "two chances, then never again");
        assert_eq!(world.call(&Script::new()).send(world).await.status, 200);
    });
}
