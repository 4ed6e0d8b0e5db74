//! The callers: many in a closed loop for throughput, one for latency.

use super::upstream::clock;
use super::wire::{self, Head};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a closed loop came to.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Answers.
    pub count: u64,
    /// Of them, each second.
    pub per_second: f64,
}

/// How many each second.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
pub fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// So many callers, each sending its next request when it has its answer.
pub fn closed_loop(
    to: SocketAddr,
    request: &Bytes,
    callers: usize,
    time: Duration,
) -> Result<Rate> {
    closed_loops(to, &vec![request.clone(); callers], time)
}

/// A caller for each request, which sends it again when it has its answer.
pub fn closed_loops(to: SocketAddr, requests: &[Bytes], time: Duration) -> Result<Rate> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let start = Instant::now();
        let begin = |request: &Bytes| tokio::spawn(caller(to, request.clone(), start + time));
        let tasks: Vec<_> = requests.iter().map(begin).collect();
        let mut count = 0;
        for task in tasks {
            count += task.await??;
        }
        let seconds = start.elapsed().as_secs_f64();

        #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
        Ok(Rate { count, per_second: count as f64 / seconds })
    })
}

async fn caller(to: SocketAddr, request: Bytes, end: Instant) -> Result<u64> {
    let mut stream = tokio::net::TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut count = 0;
    while Instant::now() < end {
        stream.write_all(&request).await?;
        let mut filled = 0;
        let mut head = None;
        while head.is_none_or(|head: Head| !head.complete(&buffer[..filled])) {
            let read = stream.read(&mut buffer[filled..]).await?;
            ensure!(read > 0, "closed before the answer was whole");
            filled += read;
            head = head.or_else(|| Head::read(&buffer[..filled]));
        }
        accepted(&buffer[..filled])?;
        count += 1;
    }

    Ok(count)
}

fn accepted(answer: &[u8]) -> Result<()> {
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));

    Ok(())
}

/// One caller on one connection that stays open.
#[derive(Debug)]
pub struct Caller {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What one stream came to, nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Streamed {
    /// From the request to the first event.
    pub first: u64,
    /// The first event's own way, from the upstream's hand to ours.
    pub way: u64,
    /// The slowest way of the later ones.
    pub slowest: u64,
}

impl Caller {
    /// Connects.
    pub fn new(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;

        Ok(Self { stream, buffer: vec![0; 64 * 1024] })
    }

    /// Sends a request, and returns the nanoseconds until its answer was whole.
    pub fn call(&mut self, request: &[u8]) -> Result<u64> {
        let (elapsed, answer) = self.timed(request)?;
        accepted(answer)?;

        Ok(u64::try_from(elapsed.as_nanos())?)
    }

    /// Sends a request, and returns its answer, whatever it is.
    pub fn exchange(&mut self, request: &[u8]) -> Result<String> {
        let (_, answer) = self.timed(request)?;

        Ok(String::from_utf8_lossy(answer).into_owned())
    }

    fn timed(&mut self, request: &[u8]) -> Result<(Duration, &[u8])> {
        let start = Instant::now();
        self.stream.write_all(request)?;
        let mut filled = 0;
        let mut head = None;
        while head.is_none_or(|head: Head| !head.complete(&self.buffer[..filled])) {
            filled += self.more(filled)?;
            head = head.or_else(|| Head::read(&self.buffer[..filled]));
        }

        Ok((start.elapsed(), &self.buffer[..filled]))
    }

    fn more(&mut self, filled: usize) -> Result<usize> {
        let read = self.stream.read(&mut self.buffer[filled..])?;
        ensure!(read > 0, "closed before the answer was whole");

        Ok(read)
    }

    /// Sends a request for a stream, and times its events.
    pub fn stream(&mut self, request: &[u8]) -> Result<Streamed> {
        let start = clock();
        self.stream.write_all(request)?;
        let (mut filled, mut seen) = (0, 0);
        let mut result: Option<Streamed> = None;
        while !self.buffer[..filled].ends_with(b"0\r\n\r\n") {
            filled += self.more(filled)?;
            let now = clock();
            let Some(sent) = wire::sent(&self.buffer[seen..filled]) else { continue };
            seen = filled;
            let way = now.saturating_sub(sent);
            match &mut result {
                None => result = Some(Streamed { first: now - start, way, slowest: 0 }),
                Some(result) => result.slowest = result.slowest.max(way),
            }
        }
        accepted(&self.buffer[..filled])?;

        result.context("a stream without an event")
    }
}
