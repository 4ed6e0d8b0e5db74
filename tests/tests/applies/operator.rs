//! What an operator of Envoy's files does, and sees.

use e2e::provider::script::Script;
use e2e::world::World;
use e2e::world::processes::{built, prepared};
use e2e::world::rows::Row;
use e2e::world::setup::Setup;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) fn setup(name: &'static str) -> Setup {
    let bin = prepared("--envoy-path").unwrap().display().to_string();
    let serve = ["--envoy-dir", "run", "--envoy-bin", &bin].map(ToOwned::to_owned).to_vec();

    Setup { concurrency: 2, serve, ..Setup::named(name) }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) aside: String,
}

impl Said {
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.out, self.aside)
    }
}

/// Runs `tollgate envoy …` on a world's files.
pub(crate) fn envoy(world: &World, words: &[&str]) -> Said {
    let bin = prepared("--envoy-path").unwrap();

    envoy_by(world, &bin, words)
}

pub(crate) fn envoy_by(world: &World, bin: &Path, words: &[&str]) -> Said {
    let temporary = world.place.join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let output = Command::new(built("tollgate").unwrap())
        .arg("--data")
        .arg(world.place.join("data"))
        .arg("envoy")
        .args(words)
        .env("TOLLGATE_ENVOY_DIR", world.run())
        .env("TOLLGATE_ENVOY_BIN", bin)
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();

    Said {
        exit: output.status.code().unwrap(),
        out: text(output.stdout),
        aside: text(output.stderr),
    }
}

pub(crate) fn live(world: &World, file: &str) -> String {
    fs::read_to_string(world.run().join(file)).unwrap()
}

pub(crate) fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// A directory with an edit: the files as they are live, changed.
pub(crate) fn edit(world: &World, name: &str, edits: &[(&str, &str, &str)]) -> String {
    let place = world.place.join(name);
    drop(fs::remove_dir_all(&place));
    fs::create_dir_all(place.join("secrets")).unwrap();
    for (file, from, to) in edits {
        let path = place.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|_| live(world, file));
        fs::write(path, changed(&text, from, to)).unwrap();
    }

    place.display().to_string()
}

pub(crate) fn all_live(world: &World) -> BTreeMap<&'static str, String> {
    e2e::world::files::FILES.into_iter().map(|file| (file, live(world, file))).collect()
}

pub(crate) async fn status_of_calls(world: &World, count: usize) -> Vec<u16> {
    let calls = (0..count).map(|_| world.call(&Script::new()).send(world));

    join_all(calls).await.into_iter().map(|answer| answer.status).collect()
}

/// The rows of what was done to Envoy's files, once there are so many.
pub(crate) async fn rows(world: &World, begins: &str, count: usize) -> Vec<Row> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let all = world.rows().await;
        let is_one =
            |row: &Row| row.payload["target"].as_str().is_some_and(|it| it.starts_with(begins));
        let found: Vec<Row> = all.into_iter().filter(is_one).collect();
        if found.len() >= count {
            return found;
        }
        assert!(
            Instant::now() < end,
            "{begins}: {} rows, not {count}\n{}",
            found.len(),
            world.logs()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn hang_up(world: &World) {
    let pid = world.sidecar_pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
}

pub(crate) async fn drift_metric(world: &World) -> u8 {
    let metrics = e2e::client::raw::get(world.ports.operators, "/metrics").await.unwrap().body();
    let line = metrics.lines().find_map(|line| line.strip_prefix("tollgate_envoy_drift "));

    line.unwrap().parse().unwrap()
}

pub(crate) async fn until_drift_is(world: &World, expected: u8) {
    let end = Instant::now() + Duration::from_secs(20);
    while drift_metric(world).await != expected {
        assert!(Instant::now() < end, "drift is not {expected}\n{}", world.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Another name for the provider's cluster.
pub(crate) fn second_cluster(world: &World) -> String {
    let clusters = live(world, "clusters.yaml");
    let start = clusters.find("- \"@type\"").unwrap();
    let end = clusters.find("\n# The sidecar's public listener").unwrap();

    clusters[start..end].replacen("name: anthropic\n", "name: second\n", 1)
}

/// The same through the sidecar's socket: as root, who is no owner there, but has come from elsewhere.
pub(crate) fn at_socket(world: &World, words: &[&str]) -> Said {
    let output = Command::new(built("tollgate").unwrap())
        .arg("--socket")
        .arg(world.place.join("data/operator.sock"))
        .arg("envoy")
        .args(words)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();

    Said {
        exit: output.status.code().unwrap(),
        out: text(output.stdout),
        aside: text(output.stderr),
    }
}
