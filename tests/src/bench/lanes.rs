//! What a lane costs: one that passes the Messages API on, and one that translates to chat completions, both as
//! their templates ship, against the gate's direct way to the same upstream.

use super::bodies::Size;
use super::load::{self, Caller, Streamed};
use super::report::{Report, median};
use super::side::{self, Side};
use super::{Arguments, CALLERS, Pair, listed, machine, millis};
use anyhow::Result;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// Streams of each way in a round.
const STREAMS: usize = 12;

/// One way to the upstream.
struct Way {
    /// As the notes name it.
    name: &'static str,
    /// As the figures name it; none where the way is only compared with.
    figure: Option<&'static str>,
    /// The gate's model whose route leads there; none is the side without a gate.
    model: Option<&'static str>,
}

/// Plain Envoy is there to tell what of a lane's cost is the gate's.
const WAYS: [Way; 4] = [
    Way { name: "plain", figure: None, model: None },
    Way { name: "gate", figure: None, model: Some("claude-sonnet-4-5") },
    Way { name: "lane", figure: Some("lane."), model: Some(side::MESSAGES) },
    Way { name: "openai", figure: Some("lane.openai."), model: Some(side::OPENAI) },
];

/// What a lane is held against: the gate's direct way to the same upstream.
const DIRECT: usize = 1;

/// The last way that passes streams on as they are, which tell when each event was sent.
const STREAMING: usize = 3;

/// One way's load: requests each second, and the worker's time for each, microseconds.
type Load = (f64, f64);

impl Way {
    fn side<'a>(&self, pair: &'a mut Pair) -> &'a mut Side {
        if self.model.is_some() { &mut pair.gate } else { &mut pair.bare }
    }

    fn request(&self, pair: &mut Pair, size: Size, stream: bool) -> Bytes {
        let model = self.model.unwrap_or("claude-sonnet-4-5");

        self.side(pair).asking(model, size, stream)
    }

    fn load(&self, pair: &mut Pair, request: &Bytes, time: Duration) -> Result<Load> {
        let side = self.side(pair);
        let envoy = side.envoy()?;
        let before = machine::worker_time(envoy)?;
        let rate = load::closed_loop(side.address(), request, CALLERS, time)?;
        side.sent += rate.count;
        let spent = machine::worker_time(envoy)? - before;

        #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
        Ok((rate.per_second, spent / rate.count as f64))
    }
}

/// Everything here.
pub(super) async fn lanes(
    arguments: &Arguments,
    report: &mut Report,
    upstream: SocketAddr,
) -> Result<()> {
    let module = arguments.module.clone().leak();
    let mut pair = Pair {
        gate: Side::over_lanes(module, upstream).await?,
        bare: Side::start(None, upstream).await?,
    };
    pair.arrange(report)?;
    tokio::task::block_in_place(|| {
        for size in arguments.sizes() {
            // A lane is what 1 KB tells; 75 KB is what Claude Code sends.
            if size != Size::Large {
                throughput(&mut pair, size, arguments, report)?;
            }
        }
        first_tokens(&mut pair, arguments.rounds, report)
    })
}

fn throughput(
    pair: &mut Pair,
    size: Size,
    arguments: &Arguments,
    report: &mut Report,
) -> Result<()> {
    let time = Duration::from_secs_f64(arguments.seconds);
    let requests = WAYS.map(|way| way.request(pair, size, false));
    let mut loads: [Vec<Load>; WAYS.len()] = Default::default();
    for round in 0..=arguments.rounds {
        // Whose turn is first changes with the round.
        for turn in 0..WAYS.len() {
            let nth = (round + turn) % WAYS.len();
            let load = WAYS[nth].load(pair, &requests[nth], time)?;
            if round > 0 {
                loads[nth].push(load); // V8 compiles what is hot
            }
        }
    }
    let ratios = |of: usize, to: usize| -> Vec<f64> {
        loads[of].iter().zip(&loads[to]).map(|(one, other)| one.0 / other.0).collect()
    };
    let middle = |of: fn(&Load) -> f64, nth: usize| median(loads[nth].iter().map(of).collect());
    let name = size.name();
    for (nth, way) in WAYS.iter().enumerate() {
        let Some(figure) = way.figure else { continue };
        let part = if size == Size::Small { String::new() } else { format!("{name}.") };
        report.figure(&format!("{figure}{part}rps_ratio"), median(ratios(nth, DIRECT)));
        report.note(format!(
            "{} {name}: {:.0} requests/s, {:.0} by the gate alone, {:.0} plain; the worker's time each: {:.1}, {:.1} \
             and {:.1} µs ({:.2}); against plain {:.3}; ratios {}",
            way.name,
            middle(|load| load.0, nth),
            middle(|load| load.0, 1),
            middle(|load| load.0, 0),
            middle(|load| load.1, nth),
            middle(|load| load.1, 1),
            middle(|load| load.1, 0),
            middle(|load| load.1, 0) / middle(|load| load.1, nth),
            median(ratios(nth, 0)),
            listed(&ratios(nth, DIRECT))
        ));
    }

    Ok(())
}

fn first_tokens(pair: &mut Pair, rounds: usize, report: &mut Report) -> Result<()> {
    let ways = &WAYS[..STREAMING];
    let mut callers = Vec::new();
    for way in ways {
        let request = way.request(pair, Size::Small, true);
        callers.push((Caller::new(way.side(pair).address())?, request));
    }
    let mut added: [(Vec<f64>, Vec<f64>); STREAMING] = Default::default();
    for _ in 0..rounds {
        let mut seen: [Vec<Streamed>; STREAMING] = Default::default();
        for _ in 0..STREAMS {
            for ((way, (caller, request)), seen) in ways.iter().zip(&mut callers).zip(&mut seen) {
                seen.push(caller.stream(request)?);
                way.side(pair).sent += 1;
            }
        }
        let middle = |of: fn(&Streamed) -> u64, nth: usize| {
            median(seen[nth].iter().map(|it| millis(of(it))).collect())
        };
        for (nth, added) in added.iter_mut().enumerate() {
            added.0.push(middle(|it| it.first, nth) - middle(|it| it.first, 0));
            added.1.push(middle(|it| it.way, nth) - middle(|it| it.way, 0));
        }
    }
    let [_, gate, lane] = added;
    report.figure("lane.first_token_added", median(lane.0.clone()));
    report.note(format!(
        "lane stream: of that, on the way back {:.3} ms; the gate alone adds {:.3} ms; added {}",
        median(lane.1),
        median(gate.0),
        listed(&lane.0)
    ));

    Ok(())
}
