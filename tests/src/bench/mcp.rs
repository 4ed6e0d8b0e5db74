//! What the gate costs an MCP server: calls of a tool, and lists of a hundred, by fifty sessions at once that keep their
//! connections, with the gate and without.

use super::load::{self, Caller};
use super::report::{Report, median};
use super::side::Side;
use super::{Arguments, Pair, listed, machine, millis};
use crate::world::setup::Setup;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// Sessions at once.
const SESSIONS: usize = 50;

/// Tools of the server.
const TOOLS: usize = 100;

/// The server's id, and the path of its own.
const SERVER: &str = "bench";

/// Where clients reach it.
const PATH: &str = "/mcp/bench";

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Call,
    List,
}

impl Ask {
    /// As the figures name it.
    fn figure(self) -> &'static str {
        match self {
            Self::Call => "mcp.",
            Self::List => "mcp.list.",
        }
    }

    /// The message, as the SDK for Python writes it.
    fn message(self) -> String {
        match self {
            Self::Call => {
                let arguments = json!({ "path": "/srv/app/src/main.rs", "limit": 200 });
                format!(
                    r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"tool_042","arguments":{arguments}}}}}"#
                )
            }
            Self::List => r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned(),
        }
    }

    /// How often this stands in a right answer.
    fn proof(self) -> (&'static str, usize) {
        match self {
            Self::Call => ("All is well with the file.", 1),
            Self::List => ("\"name\":\"tool_", TOOLS),
        }
    }
}

/// What the upstream has ready for a server's clients.
pub(super) struct Answers {
    begun: Vec<u8>,
    called: Vec<u8>,
    list: Vec<u8>,
}

impl Answers {
    pub(super) fn new() -> Self {
        let answer = |result: &Value, further: &str| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
            format!("{head}{further}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
        };
        let begun = json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "tollgate-bench", "version": "1" } });
        let called = json!({ "content": [{ "type": "text", "text": Ask::Call.proof().0 }] });
        let list: Vec<Value> = (0..TOOLS).map(tool).collect();

        Self {
            begun: answer(&begun, "mcp-session-id: 1f0c5b1c9a5243ab4d5c9d2e0a1b2c3d\r\n"),
            called: answer(&called, ""),
            list: answer(&json!({ "tools": list }), ""),
        }
    }

    /// The answer to a body that begins so.
    pub(super) fn to(&self, body: &[u8]) -> &Vec<u8> {
        let asks = |method: &str| super::wire::find(body, method.as_bytes()).is_some();
        if asks("\"tools/call\"") {
            &self.called
        } else if asks("\"tools/list\"") {
            &self.list
        } else {
            &self.begun
        }
    }
}

fn tool(number: usize) -> Value {
    json!({
        "name": format!("tool_{number:03}"), "title": "Read a file",
        "description": "Reads a file of the project. Lines are numbered from one; long ones are cut.",
        "inputSchema": { "type": "object", "required": ["path"], "properties": {
            "path": { "type": "string", "description": "Where it is" },
            "limit": { "type": "number", "description": "How many lines" } } },
        "annotations": { "readOnlyHint": true, "destructiveHint": false, "openWorldHint": false },
    })
}

/// The gateway of a world whose policy opens all of the server's tools to everybody.
fn setup(name: &'static str, upstream: SocketAddr) -> Setup {
    let mut setup = Setup::named(name);
    setup.policy["servers"] = json!([{ "id": SERVER, "gateway": { "tools": { "*": "allow" } } }]);
    let metadata = format!("{{provider: {SERVER}, region: us, zones: [us]}}");
    let matches = format!("match: {{path: {PATH}}}");
    let route = "route: {cluster: mcp_bench, prefix_rewrite: /mcp, timeout: 0s}";

    setup.cluster("mcp_bench", &metadata, upstream.port()).route(&[
        &format!("name: mcp_{SERVER}"),
        &matches,
        route,
    ])
}

/// Everything here.
pub(super) async fn mcp(
    arguments: &Arguments,
    report: &mut Report,
    upstream: SocketAddr,
) -> Result<()> {
    let module = arguments.module.clone().leak();
    let gate = Side::with(setup("bench-mcp", upstream), Some(module), upstream).await?;
    let bare = Side::with(setup("bench-mcp-bare", upstream), None, upstream).await?;
    let mut pair = Pair { gate, bare };
    pair.arrange(report)?;
    tokio::task::block_in_place(|| {
        for ask in [Ask::Call, Ask::List] {
            let requests = (requests(&mut pair.gate, ask), requests(&mut pair.bare, ask)?);
            match requests {
                (Ok(gate), bare) => {
                    throughput(&mut pair, ask, (&gate, &bare), arguments, report)?;
                    latency(&mut pair, ask, (&gate, &bare), arguments.rounds, report)?;
                }
                (Err(error), bare) => {
                    let time = Duration::from_secs_f64(arguments.seconds);
                    let rate = load::closed_loops(pair.bare.address(), &bare, time)?;
                    report.note(format!(
                        "{ask:?} of MCP: {:.0} requests/s without the gate; with it nothing: {error:#}",
                        rate.per_second
                    ));
                }
            }
        }
        Ok(())
    })
}

/// A request for each session, each proved to be answered as it should.
fn requests(side: &mut Side, ask: Ask) -> Result<Vec<Bytes>> {
    (0..SESSIONS)
        .map(|_| {
            let mut caller = Caller::new(side.address())?;
            let begin = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
            let answer = caller.exchange(&request(&side.token, "", begin))?;
            let session = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
            let session = session.with_context(|| format!("no session: {}", beginning(&answer)))?;
            let further = format!("mcp-session-id: {session}\r\nmcp-protocol-version: 2025-11-25\r\n");
            let request = request(&side.token, &further, &ask.message());
            let answer = caller.exchange(&request)?;
            let (proof, times) = ask.proof();
            let found = answer.matches(proof).count();
            ensure!(found == times, "{found} of {times}: {}", beginning(&answer));
            side.sent += 2;

            Ok(request)
        })
        .collect()
}

fn beginning(answer: &str) -> String {
    answer.chars().take(600).collect()
}

/// A whole request, with the headers that the SDK for Python sends.
fn request(token: &str, further: &str, body: &str) -> Bytes {
    let length = body.len();

    Bytes::from(format!(
        "POST {PATH} HTTP/1.1\r\nhost: tollgate.localhost\r\naccept-encoding: gzip, deflate\r\n\
         user-agent: python-httpx2/2.16.2\r\nauthorization: Bearer {token}\r\n\
         accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
         {further}content-length: {length}\r\n\r\n{body}"
    ))
}

/// Both sides' requests.
type Requests<'a> = (&'a [Bytes], &'a [Bytes]);

fn throughput(
    pair: &mut Pair,
    ask: Ask,
    requests: Requests<'_>,
    arguments: &Arguments,
    report: &mut Report,
) -> Result<()> {
    let time = Duration::from_secs_f64(arguments.seconds);
    let gate = pair.gate.address();
    let measure = |side: &mut Side| -> Result<(f64, f64)> {
        let requests = if side.address() == gate { requests.0 } else { requests.1 };
        let envoy = side.envoy()?;
        let before = machine::worker_time(envoy)?;
        let rate = load::closed_loops(side.address(), requests, time)?;
        side.sent += rate.count;
        let spent = machine::worker_time(envoy)? - before;
        #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
        Ok((rate.per_second, spent / rate.count as f64))
    };
    pair.each(0, measure)?; // V8 compiles what is hot
    let (mut gates, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        let (gate, bare) = pair.each(round, measure)?;
        ratios.push(gate.0 / bare.0);
        gates.push(gate);
        bares.push(bare);
    }
    let middle =
        |all: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| median(all.iter().map(of).collect());
    report.figure(&format!("{}rps_ratio", ask.figure()), median(ratios.clone()));
    report.note(format!(
        "{ask:?} of MCP, {SESSIONS} sessions: {:.0} of {:.0} requests/s; the worker's time each: {:.1} and {:.1} µs; \
         ratios {}",
        middle(&gates, |it| it.0),
        middle(&bares, |it| it.0),
        middle(&gates, |it| it.1),
        middle(&bares, |it| it.1),
        listed(&ratios)
    ));

    Ok(())
}

fn latency(
    pair: &mut Pair,
    ask: Ask,
    requests: Requests<'_>,
    rounds: usize,
    report: &mut Report,
) -> Result<()> {
    /// The sides change after so many calls, so that a disturbance meets both.
    const BLOCK: usize = 20;
    const BLOCKS: usize = 20;
    let first = |all: &[Bytes]| all.first().cloned().context("no request");
    let requests = [first(requests.0)?, first(requests.1)?];
    let mut callers = [Caller::new(pair.gate.address())?, Caller::new(pair.bare.address())?];
    let mut added = Vec::new();
    for _ in 0..rounds {
        let mut times: [Vec<f64>; 2] = Default::default();
        for _ in 0..BLOCKS {
            for ((caller, request), times) in callers.iter_mut().zip(&requests).zip(&mut times) {
                for _ in 0..BLOCK {
                    times.push(millis(caller.call(request)?));
                }
            }
        }
        let [gate, bare] = times;
        added.push(median(gate) - median(bare));
    }
    report.figure(&format!("{}added_p50", ask.figure()), median(added.clone()));
    report.note(format!("{ask:?} of MCP: one caller waits longer by {} ms", listed(&added)));

    Ok(())
}
