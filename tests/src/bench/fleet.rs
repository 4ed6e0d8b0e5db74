//! Ten thousand laptops after one publication, and the same laptops when nothing has changed.
//!
//! The laptops are simulated: each has a token of its own, a connection of its own, and asks at a moment of its own
//! within a minute, as timers with jitter do. Bodies are counted; of one laptop in a hundred they are also hashed.

use super::machine;
use super::report::Report;
use super::wire::Head;
use crate::fleet::{Catalogue, Folder};
use crate::storm::dice::Dice;
use crate::world::World;
use crate::world::setup::Setup;
use anyhow::{Context, Result, bail, ensure};
use contract::envelope::hex;
use contract::manifest::Document;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

/// Laptops.
const LAPTOPS: usize = 10_000;

/// Within what they ask.
const WITHIN: Duration = Duration::from_mins(1);

/// Bytes of the plugin that changes.
const PLUGIN: usize = 5 * 1024 * 1024;

/// One of so many is hashed.
const HASHED: usize = 100;

/// Connections that poll at once.
const POLLERS: usize = 64;

/// How long they poll.
const POLLS: Duration = Duration::from_secs(10);

/// Longest that one answer may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Departments, each an audience of its own.
const AUDIENCES: [&str; 3] = ["finance", "platform", "security"];

/// What a laptop saw.
#[derive(Debug, Default)]
struct Seen {
    document: Duration,
    plugin: Duration,
    bytes: usize,
}

/// Everything here.
pub async fn fleet(report: &mut Report) -> Result<()> {
    let world = World::start(Setup { concurrency: 2, ..Setup::named("bench-fleet") }).await?;
    let folder = Folder::new(&world.place.join("catalogue"))?;
    publish(&world, &folder, 1)?;
    let tokens = tokens(&world);
    let address = world.ports.plain;
    let etags = etags(address, &tokens).await?;

    polls(address, &tokens, &etags, report).await?;
    let begun = Instant::now();
    publish(&world, &folder, 2)?;
    report.note(format!("fleet: published in {:.1} s", begun.elapsed().as_secs_f64()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    changes(address, &tokens, &etags, report).await?;
    if let Some(pid) = world.sidecar_pid() {
        report.figure("fleet.sidecar_peak.mb", machine::peak(pid)?);
    }

    Ok(())
}

/// One plugin of 5 MB that no compression makes smaller, another in each version.
fn publish(world: &World, folder: &Folder, version: u32) -> Result<()> {
    let mut dice = Dice::new(version);
    let mut bytes = Vec::with_capacity(PLUGIN);
    while bytes.len() < PLUGIN {
        bytes.extend_from_slice(&dice.roll().to_le_bytes());
    }
    let catalogue = Catalogue::new().plugin(
        "tools",
        &[("data.bin", &bytes), ("SKILL.md", b"---\nname: tools\n---\nUse them.\n")],
    );
    let catalogue =
        AUDIENCES.iter().fold(catalogue, |all, name| all.audience(name, Some(name), &["tools"]));

    tokio::task::block_in_place(|| folder.publish(world, &catalogue, version)).map(drop)
}

fn tokens(world: &World) -> Arc<Vec<String>> {
    let token = |number: usize| {
        world.token_with(|_, claims| {
            claims["sub"] = format!("person-{number}").into();
            claims["email"] = format!("person-{number}@example.com").into();
            claims["jti"] = format!("laptop-{number}").into();
            claims["department"] = AUDIENCES[number % AUDIENCES.len()].into();
        })
    };

    Arc::new((0..LAPTOPS).map(token).collect())
}

/// The `ETag` of the document in each audience.
async fn etags(address: SocketAddr, tokens: &[String]) -> Result<Arc<Vec<String>>> {
    let mut etags = Vec::new();
    for token in tokens.iter().take(AUDIENCES.len()) {
        let mut line = Line::new(address).await?;
        let answer = line.ask(token, "/v1/cowork/manifest", None).await?;
        ensure!(answer.status == 200, "no manifest: {}", answer.head);
        etags.push(answer.header("etag").context("no etag")?.to_owned());
    }

    Ok(Arc::new(etags))
}

/// Nothing has changed: how many are told so in a second?
async fn polls(
    address: SocketAddr,
    tokens: &Arc<Vec<String>>,
    etags: &Arc<Vec<String>>,
    report: &mut Report,
) -> Result<()> {
    let end = Instant::now() + POLLS;
    let mut pollers = JoinSet::new();
    for first in 0..POLLERS {
        let (tokens, etags) = (Arc::clone(tokens), Arc::clone(etags));
        pollers.spawn(async move {
            let mut line = Line::new(address).await?;
            let (mut polls, mut worst) = (0_u64, Duration::ZERO);
            let mut laptop = first;
            while Instant::now() < end {
                let etag = &etags[laptop % etags.len()];
                let begun = Instant::now();
                let answer = line.ask(&tokens[laptop], "/v1/cowork/manifest", Some(etag)).await?;
                ensure!(answer.status == 304, "not unchanged: {}", answer.head);
                worst = worst.max(begun.elapsed());
                polls += 1;
                laptop = (laptop + POLLERS) % tokens.len();
            }
            Ok((polls, worst))
        });
    }
    let mut all = 0;
    while let Some(done) = pollers.join_next().await {
        all += done??.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "it is a few thousand")]
    report.figure("fleet.polls_s", all as f64 / POLLS.as_secs_f64());

    Ok(())
}

/// All of them get the new document, and the plugin.
async fn changes(
    address: SocketAddr,
    tokens: &Arc<Vec<String>>,
    etags: &Arc<Vec<String>>,
    report: &mut Report,
) -> Result<()> {
    let mut dice = Dice::new(7);
    let mut laptops = JoinSet::new();
    let begun = Instant::now();
    for number in 0..tokens.len() {
        let after = dice.between(0, u64::try_from(WITHIN.as_millis())?);
        let (tokens, etags) = (Arc::clone(tokens), Arc::clone(etags));
        laptops.spawn(async move {
            tokio::time::sleep(after).await;
            changed(address, &tokens[number], &etags[number % etags.len()], number).await
        });
    }
    let (mut seen, mut failed) = (Vec::new(), Vec::new());
    while let Some(done) = laptops.join_next().await {
        match done? {
            Ok(one) => seen.push(one),
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    let all = begun.elapsed();
    let p99 = |of: fn(&Seen) -> Duration| {
        let mut times: Vec<Duration> = seen.iter().map(of).collect();
        times.sort_unstable();
        times.get(times.len() * 99 / 100).copied().unwrap_or_default()
    };
    report.figure("fleet.document_p99_ms", p99(|one| one.document).as_secs_f64() * 1e3);
    report.figure("fleet.plugin_p99_ms", p99(|one| one.plugin).as_secs_f64() * 1e3);
    report.figure("fleet.all_s", all.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "it is at most ten thousand")]
    report.figure("fleet.failed", failed.len() as f64);
    let gigabytes = seen.iter().map(|one| one.bytes / 1_000).sum::<usize>() / 1_000_000;
    report.note(format!(
        "fleet: {} laptops got {gigabytes} GB in {:.0} s; {} failed{}",
        seen.len(),
        all.as_secs_f64(),
        failed.len(),
        failed.first().map(|one| format!(", such as: {one}")).unwrap_or_default()
    ));

    Ok(())
}

async fn changed(address: SocketAddr, token: &str, etag: &str, number: usize) -> Result<Seen> {
    let begun = Instant::now();
    let mut line = Line::new(address).await?;
    let answer = line.ask(token, "/v1/cowork/manifest", Some(etag)).await?;
    ensure!(answer.status == 200, "no new manifest: {}", answer.head);
    let document_took = begun.elapsed();
    let envelope: Value = serde_json::from_slice(&answer.body)?;
    let document: Document = serde_json::from_slice(&crate::fleet::payload(&envelope)?)?;
    let begun = Instant::now();
    let mut bytes = answer.body.len();
    for plugin in &document.plugins {
        let path = format!("/v1/cowork/plugins/{}", plugin.archive.sha256);
        let hashes = number.is_multiple_of(HASHED);
        let (length, digest) = line.fetch(token, &path, hashes).await?;
        ensure!(length as u64 == plugin.archive.bytes, "{length} bytes of a plugin");
        ensure!(!hashes || digest == plugin.archive.sha256, "another plugin");
        bytes += length;
    }

    Ok(Seen { document: document_took, plugin: begun.elapsed(), bytes })
}

/// A laptop's connection.
struct Line {
    stream: tokio::net::TcpStream,
    buffer: Vec<u8>,
}

/// A small answer.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Line {
    async fn new(address: SocketAddr) -> Result<Self> {
        let stream = TcpSocket::new_v4()?.connect(address).await?;
        stream.set_nodelay(true)?;

        Ok(Self { stream, buffer: Vec::new() })
    }

    async fn send(&mut self, token: &str, path: &str, etag: Option<&str>) -> Result<()> {
        let known = etag.map(|etag| format!("if-none-match: {etag}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: tollgate.localhost\r\nauthorization: Bearer {token}\r\n{known}\r\n"
        );

        Ok(self.stream.write_all(request.as_bytes()).await?)
    }

    /// Reads until the head is here: it, its text, and what of the body came along.
    async fn head(&mut self) -> Result<(Head, String)> {
        self.buffer.clear();
        loop {
            if let Some(head) = Head::read(&self.buffer) {
                let text = String::from_utf8_lossy(&self.buffer[..head.end]).into_owned();
                return Ok((head, text));
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
            if read.await.context("no answer")?? == 0 {
                bail!("closed without an answer");
            }
        }
    }

    async fn ask(&mut self, token: &str, path: &str, etag: Option<&str>) -> Result<Answer> {
        self.send(token, path, etag).await?;
        let (head, text) = self.head().await?;
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let bodiless = status == 304 || status == 204;
        while !bodiless && !head.complete(&self.buffer) {
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
            ensure!(read.await.context("half an answer")?? > 0, "closed in its answer");
        }

        Ok(Answer { status, head: text, body: self.buffer[head.end..].to_vec() })
    }

    /// Takes a plugin, and keeps nothing of it: its length, and its digest where it is wanted.
    async fn fetch(&mut self, token: &str, path: &str, hashes: bool) -> Result<(usize, String)> {
        self.send(token, path, None).await?;
        let (head, text) = self.head().await?;
        ensure!(text.starts_with("HTTP/1.1 200"), "no plugin: {text}");
        let super::wire::Framing::Length(length) = head.framing else { bail!("in chunks") };
        let mut sum = Sha256::new();
        let mut known = self.buffer.len() - head.end;
        if hashes {
            sum.update(&self.buffer[head.end..]);
        }
        let mut chunk = vec![0; 128 * 1024];
        while known < length {
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut chunk));
            let count = read.await.context("half a plugin")??;
            ensure!(count > 0, "closed after {known} of {length} bytes");
            known += count;
            if hashes {
                sum.update(&chunk[..count]);
            }
        }

        Ok((known, hex(&sum.finalize())))
    }
}
