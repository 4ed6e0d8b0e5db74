//! Callers: JSON answers, streams, and clients that leave. Each call has an id that its row will
//! have too, and each caller knows what became of its calls.

use super::dice::Dice;
use super::upstream::MARK;
use crate::bench::wire::{self, Head};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// How a load calls.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Callers at once.
    pub callers: u64,
    /// Between two calls of one.
    pub pace: Duration,
    /// No streams, and nobody leaves.
    pub only_json: bool,
}

impl Shape {
    /// A storm's: 1,600 calls a second, where the machine can.
    pub const STORM: Self = Self { callers: 56, pace: Duration::from_millis(35), only_json: false };
}

/// How long an answer may take before the call counts as broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the trace ids of storms begin with: the rows of other calls are not looked at.
pub const TRACE: &str = "570a570a570a570a";

/// How a call behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asks for JSON, and reads it.
    Json,
    /// Asks for a stream, and reads it.
    Stream,
    /// Leaves a stream after its first event.
    LeavesStream,
    /// Leaves before there is an answer.
    LeavesEarly,
}

/// What became of a call, as its caller knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No connection: nothing was sent.
    Unsent,
    /// Answered to the end, with this status.
    Answered(u16),
    /// Refused because the gate had just started and knew no keys yet: it knows no caller then.
    NotReady,
    /// The client left, as it wanted.
    Left,
    /// Cut by the other side.
    Broken,
}

/// A call.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Its id.
    pub id: u64,
    /// How it behaved.
    pub kind: Kind,
    /// What became of it.
    pub fate: Fate,
    /// Did any of an answer come?
    pub begun: bool,
    /// When it was sent.
    pub sent: Instant,
    /// When it was over.
    pub over: Instant,
}

/// A running load.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Vec<Call>>>,
    begun: Instant,
}

/// What all callers of all rounds share.
#[derive(Debug, Clone)]
pub struct Target {
    /// The gate.
    pub address: SocketAddr,
    /// A good token.
    pub token: String,
    /// The next id.
    pub next: Arc<AtomicU64>,
}

impl Load {
    /// Starts calling.
    pub fn start(target: &Target, shape: Shape, dice: &mut Dice) -> Self {
        let stop = Arc::new(AtomicBool::default());
        let callers = (0..shape.callers).map(|_| {
            let luck = Dice::new(u32::try_from(dice.below(1 << 32)).unwrap_or_default());
            tokio::spawn(caller(target.clone(), shape, luck, Arc::clone(&stop)))
        });

        Self { callers: callers.collect(), stop, begun: Instant::now() }
    }

    /// Ends it: no new calls, and those that run come to their end. All calls, and how long it took.
    pub async fn stop(self) -> (Vec<Call>, Duration) {
        let took = self.begun.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        let mut calls = Vec::new();
        for caller in self.callers {
            calls.extend(caller.await.unwrap());
        }

        (calls, took)
    }
}

async fn caller(target: Target, shape: Shape, mut dice: Dice, stop: Arc<AtomicBool>) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut connection = None;
    sleep(shape.pace.mul_f64(f64::from(u32::try_from(dice.below(100)).unwrap_or(0)) / 100.0)).await;
    let mut pace = interval(shape.pace);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let kind = match dice.below(20) {
            _ if shape.only_json => Kind::Json,
            0..12 => Kind::Json,
            12..16 => Kind::Stream,
            16..18 => Kind::LeavesStream,
            _ => Kind::LeavesEarly,
        };
        let id = target.next.fetch_add(1, Ordering::Relaxed);
        let sent = Instant::now();
        if connection.is_none() {
            connection = TcpStream::connect(target.address).await.ok();
        }
        let (fate, begun) = match connection.take() {
            None => (Fate::Unsent, false),
            Some(stream) => {
                drop(stream.set_nodelay(true));
                let ended = timeout(PATIENCE, call(stream, &target.token, id, kind, &mut dice));
                let (fate, begun, kept) = ended.await.unwrap_or((Fate::Broken, false, None));
                connection = kept;
                (fate, begun)
            }
        };
        calls.push(Call { id, kind, fate, begun, sent, over: Instant::now() });
    }

    calls
}

/// One call: what became of it, whether any answer came, and the connection, if it can be used again.
async fn call(
    mut stream: TcpStream,
    token: &str,
    id: u64,
    kind: Kind,
    dice: &mut Dice,
) -> (Fate, bool, Option<TcpStream>) {
    if stream.write_all(&request(token, id, kind)).await.is_err() {
        return (Fate::Broken, false, None);
    }
    if kind == Kind::LeavesEarly {
        sleep(dice.between(5, 40)).await;
        return (Fate::Left, false, None);
    }
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    let mut head = None;
    while head.is_none_or(|head: Head| !head.complete(&buffer[..filled])) {
        match stream.read(&mut buffer[filled..]).await {
            Ok(count @ 1..) => filled += count,
            _ => return (Fate::Broken, filled > 0, None),
        }
        head = head.or_else(|| Head::read(&buffer[..filled]));
        let served = buffer.starts_with(b"HTTP/1.1 200");
        if kind == Kind::LeavesStream && head.is_some_and(|head| served && filled > head.end) {
            return (Fate::Left, true, None);
        }
    }
    let text = String::from_utf8_lossy(&buffer[..filled]);
    if wire::find(&buffer[..filled], b"x-tollgate-refusal: not_ready").is_some() {
        return (Fate::NotReady, true, Some(stream));
    }
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let last = wire::find(&buffer[..filled], b"\nconnection: close").is_some();

    (Fate::Answered(status), true, (!last).then_some(stream))
}

fn request(token: &str, id: u64, kind: Kind) -> Vec<u8> {
    let stream = matches!(kind, Kind::Stream | Kind::LeavesStream);
    // Who leaves early shall find the provider silent.
    let wait = if kind == Kind::LeavesEarly { 60 } else { 0 };
    let body = format!(
        r#"{{"model":"claude-sonnet-4-5-20250929","max_tokens":64,"stream":{stream},"metadata":{{"user_id":"{MARK}{id:016x}:{wait}"}},"messages":[{{"role":"user","content":"Will it rain?"}}]}}"#
    );
    let length = body.len();

    format!(
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\nauthorization: Bearer {token}\r\n\
         traceparent: 00-{TRACE}{id:016x}-00000000000000a1-01\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
