//! Nothing goes anywhere but to the configured upstream: no telemetry, no look-ups, no updates.
//!
//! The test starts itself again in a network namespace that has a loopback and nothing else, and
//! reads the kernel's count of packets that had nowhere to go. Needs root; skipped loudly without.

use e2e::provider::script::Script;
use e2e::suite::alone;
use e2e::world::setup::Setup;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

const INSIDE: &str = "TOLLGATE_E2E_SILENCE";

/// Packets of this namespace that had no route, both families.
fn nowhere() -> u64 {
    let old = std::fs::read_to_string("/proc/self/net/snmp").unwrap();
    let mut lines = old.lines().filter(|line| line.starts_with("Ip: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|name| name == "OutNoRoutes").unwrap();
    let four: u64 = values.split(' ').nth(place).unwrap().parse().unwrap();
    let new = std::fs::read_to_string("/proc/self/net/snmp6").unwrap_or_default();
    let six = new.lines().find(|line| line.starts_with("Ip6OutNoRoutes"));
    let six: u64 = six.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0);

    four + six
}

#[test]
fn nothing_tries_to_go_anywhere_else() {
    if std::env::var_os(INSIDE).is_none() {
        return outside();
    }
    let before = nowhere();
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    drop(socket.connect("192.0.2.1:53"));
    assert!(nowhere() > before, "the kernel counts what has nowhere to go");

    alone(Setup { concurrency: 2, ..Setup::named("silence") }, async |world| {
        let quiet = nowhere();
        for streamed in [false, true] {
            for script in [Script::new(), Script::new().status(500)] {
                let call = world.call(&script);
                let call = if streamed { call.streamed() } else { call };
                call.send(world).await;
            }
        }
        world.get("/nowhere").send(world).await;
        // Long enough for whatever happens at start, and for every tick.
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert_eq!(nowhere() - quiet, 0, "somebody tried to reach the outside");
        assert!(world.rows().await.len() >= 5);
    });
}

fn outside() {
    let possible = Command::new("unshare").args(["-n", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: nothing_tries_to_go_anywhere_else needs a network namespace (root)");
        return;
    }
    let this = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", "ip link set lo up && exec \"$0\" --exact --nocapture \"$1\""])
        .arg(this)
        .arg("nothing_tries_to_go_anywhere_else")
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
