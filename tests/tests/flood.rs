//! A flood of calls without a credential costs bounded disk, and nobody else their service.

use e2e::client::{connection, source};
use e2e::provider::script::Script;
use e2e::suite::alone;
use e2e::world::rows::Row;
use e2e::world::setup::Setup;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CALLS: usize = 30_000;
const CONNECTIONS: usize = 24;

/// Sends calls one after the other on one connection; counts the answers.
async fn flood(from: Ipv4Addr, to: SocketAddr, line: &str, calls: usize) -> usize {
    let call = format!("{line} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    let mut stream = connection::tcp(from, to).await.unwrap();
    let mut buffer = [0; 4096];
    let mut answered = 0;
    while answered < calls {
        stream.write_all(call.as_bytes()).await.unwrap();
        let count = stream.read(&mut buffer).await.unwrap();
        if count == 0 {
            stream = connection::tcp(from, to).await.unwrap();
            continue;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 40"), "{}", String::from_utf8_lossy(&buffer));
        answered += 1;
    }

    answered
}

#[test]
fn ten_thousand_anonymous_calls_a_second_cost_bounded_disk_and_are_counted() {
    alone(Setup::named("flood"), async |world| {
        let from = source();
        let begun = Instant::now();
        // Without a credential, to a path that is none, and where the sidecar would answer: whoever is not known
        // is counted.
        let lines = ["POST /v1/messages", "GET /wp-login.php", "POST /v1/auth/cowork/session"];
        let lines = lines.into_iter().cycle();
        let flood = lines
            .take(CONNECTIONS)
            .map(|line| flood(from, world.ports.plain, line, CALLS / CONNECTIONS));
        let flood = futures_util::future::join_all(flood);
        let others = async {
            let mut slowest = Duration::ZERO;
            for _ in 0..20 {
                let sent = Instant::now();
                let answer = world.call(&Script::new()).send(world).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                slowest = slowest.max(sent.elapsed());
            }
            slowest
        };

        let (answered, slowest) = tokio::join!(flood, others);

        let took = begun.elapsed();
        let answered: usize = answered.into_iter().sum();
        let rate = f64::from(u32::try_from(answered).unwrap()) / took.as_secs_f64();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let rows = world.rows_from(from, 1).await;
        let seconds = usize::try_from(took.as_secs()).unwrap() + 2;
        eprintln!(
            "{answered} refused in {took:?} ({rate:.0}/s), {} rows; others at most {slowest:?}",
            rows.len()
        );
        // Ten a second for each of three reasons, and one that stands for the rest.
        assert!(rows.len() <= seconds * 36 + 6, "{} rows in {seconds} s", rows.len());
        let reasons =
            [("credential_missing", 401), ("unknown_path", 404), ("sign_in_refused", 404)];
        for (reason, status) in reasons {
            let of =
                |row: &&Row| row.text("rule_id") == reason && row.number("status") == Some(status);
            assert!(
                rows.iter().any(|row| of(&row) && !row.payload["repeated"].is_null()),
                "{reason}"
            );
        }
        let told: u64 = rows.iter().map(|row| row.payload["repeated"].as_u64().unwrap_or(1)).sum();
        assert_eq!(told, u64::try_from(answered).unwrap(), "every one of them is told");
        let spool =
            std::fs::metadata(world.run().join("spool/audit.jsonl")).map_or(0, |it| it.len());
        assert!(spool < 1 << 20, "the spool has {spool} bytes");
    });
}
