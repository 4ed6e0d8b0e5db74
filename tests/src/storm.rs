//! Faults under load. A storm calls the gate more than a thousand times a second, in every way a
//! call can end, breaks something at a random moment, and then compares the rows with the calls,
//! by id: none lost, none doubled.
//!
//! `TOLLGATE_ROUNDS` says how often each fault happens (once, unless said), `TOLLGATE_SEED` repeats
//! what chance chose, and with `TOLLGATE_RATE` a storm that calls less often fails.

use crate::bench::side::towards;
use crate::suite::alone_within;
use crate::world::World;
use crate::world::setup::Setup;
use anyhow::{Result, ensure};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

pub mod base;
pub mod books;
pub mod cable;
pub mod dice;
pub mod disk;
pub mod load;
pub mod report;
pub mod upstream;

use base::{Base, Which};
use books::Books;
use cable::Cable;
use dice::Dice;
use load::{Call, Fate, Load, Shape, Target};
use upstream::Upstream;

/// How long a round may take.
const ROUND: Duration = Duration::from_secs(40);

/// How long no row may come before none is waited for.
const SILENCE: Duration = Duration::from_secs(8);

/// How long a storm may take beside its rounds.
const AROUND: Duration = Duration::from_mins(3);

/// A storm.
#[derive(Debug)]
pub struct Storm<'a> {
    /// Where it happens.
    pub world: &'a World,
    /// The database.
    pub base: &'a Base,
    /// The line between Envoy and the sidecar.
    pub cable: Cable,
    /// Chance.
    pub dice: Dice,
    /// When Envoy was away.
    pub stopped: Vec<(Instant, Instant)>,
    fault: &'static str,
    seed: u32,
    upstream: Upstream,
    target: Target,
    calls: Vec<Call>,
    called: Duration,
}

/// How often each fault happens.
pub fn rounds() -> u32 {
    std::env::var("TOLLGATE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Runs a storm in a world of its own.
pub fn storm(fault: &'static str, which: Which, test: impl AsyncFnOnce(&mut Storm<'_>)) {
    storm_under(crate::world::policy(), fault, which, test);
}

/// The same under a policy.
pub fn storm_under(
    policy: Value,
    fault: &'static str,
    which: Which,
    test: impl AsyncFnOnce(&mut Storm<'_>),
) {
    let base = Base::start(which).unwrap_or_else(|error| panic!("{error:#}"));
    let setup = Setup { database: base.url.clone(), policy, ..Setup::named("storm") };
    alone_within(setup, ROUND * rounds() + AROUND, async |world| {
        let mut storm = Storm::gather(fault, world, &base).await.unwrap();
        test(&mut storm).await;
    });
}

/// The same storm on both databases, in worlds of their own: a test for each. What needs a disk of
/// its own names the function that sees to that.
#[macro_export]
macro_rules! on_both {
    ($($(#[$about:meta])* fn $name:ident($fault:literal $(, $disk:path)?) $test:ident;)+) => {$(
        $(#[$about])*
        mod $name {
            #[test]
            fn sqlite() {
                $(if !$disk(concat!(stringify!($name), "::sqlite")) { return; })?
                $crate::storm::storm($fault, $crate::storm::base::Which::Sqlite, super::$test);
            }

            #[test]
            fn postgres() {
                $(if !$disk(concat!(stringify!($name), "::postgres")) { return; })?
                $crate::storm::storm($fault, $crate::storm::base::Which::Postgres, super::$test);
            }
        }
    )+};
}

impl<'a> Storm<'a> {
    async fn gather(fault: &'static str, world: &'a World, base: &'a Base) -> Result<Self> {
        let seed = Dice::seed();
        eprintln!("{fault}, {}: TOLLGATE_SEED={seed}", base.which.name());
        let upstream = Upstream::start().await?;
        let cable = Cable::to(world.ports.gate).await?;
        towards(world, upstream.address, Some(cable.address))?;
        let next = Arc::new(AtomicU64::new(u64::from(seed) << 32));
        let target = Target { address: world.ports.plain, token: world.token(), next };
        let (called, stopped) = (Duration::ZERO, Vec::new());
        let storm = Self {
            world,
            base,
            cable,
            dice: Dice::new(seed),
            stopped,
            fault,
            seed,
            upstream,
            target,
            calls: Vec::new(),
            called,
        };
        storm.until_it_blows().await?;

        Ok(storm)
    }

    /// Envoy reads its new clusters within a moment.
    async fn until_it_blows(&self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = crate::provider::script::Script::new();
            let answer = self.world.call(&answer).send(self.world).await;
            if answer.status == 200
                && answer.text().contains("msg_01storm")
                && self.cable.lines() > 1
            {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{}: {}", answer.text(), self.world.logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The rounds: load, and at a random moment of it the fault.
    pub async fn rounds(&mut self, mut strike: impl AsyncFnMut(&mut Self)) {
        for _ in 0..rounds() {
            let load = Load::start(&self.target, Shape::STORM, &mut self.dice);
            let moment = self.dice.between(500, 1500);
            tokio::time::sleep(moment).await;
            strike(self).await;
            let rest = self.dice.between(500, 1500);
            tokio::time::sleep(rest).await;
            let (calls, took) = load.stop().await;
            self.calls.extend(calls);
            self.called += took;
        }
    }

    /// Notes that Envoy was away while this ran.
    pub async fn without_envoy(&mut self, restart: impl AsyncFnOnce(&World)) {
        let from = Instant::now();
        restart(self.world).await;
        self.stopped.push((from, Instant::now()));
    }

    /// Calls a second while Envoy was there.
    fn rate(&self) -> f64 {
        let away =
            |call: &&Call| self.stopped.iter().any(|(from, to)| (*from..=*to).contains(&call.sent));
        let calls = self.calls.len() - self.calls.iter().filter(away).count();
        let stopped: Duration = self.stopped.iter().map(|(from, to)| *to - *from).sum();

        crate::bench::load::per_second(calls, self.called.saturating_sub(stopped))
    }

    /// Compares rows and calls.
    pub async fn books(&mut self) -> Books {
        self.books_after(SILENCE).await
    }

    /// Compares them when no row has come for so long, or all have.
    pub async fn books_after(&mut self, silence: Duration) -> Books {
        let forwarded = self.upstream.seen();
        let Self { base, world, calls, stopped, .. } = &*self;
        let books = Books::close(base, world, calls, &forwarded, stopped, silence);
        let books = books.await.unwrap_or_else(|error| panic!("{error:#}"));
        let rate = self.rate();
        let store = self.base.which.name();
        let entry = report::Entry::new(self.fault, store, rounds(), self.seed, rate, &books);
        eprintln!("{}", serde_json::to_string(&entry).unwrap());
        entry.enter().unwrap();
        let least = std::env::var("TOLLGATE_RATE").ok().and_then(|text| text.parse().ok());
        assert!(rate >= least.unwrap_or(0.0), "a storm of {rate:.0} calls a second is none");
        assert!(self.calls.iter().filter(|call| call.fate == Fate::Left).count() > 10);

        books
    }
}
