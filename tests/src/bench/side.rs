//! The two gateways that are compared: alike but for the gate.

use super::bodies::{self, Size};
use super::load::Caller;
use super::machine;
use crate::world::World;
use crate::world::lanes::Lane;
use crate::world::lanes::completes::Completes;
use crate::world::processes::{built, repository};
use crate::world::setup::Setup;
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What the side without a gate is told, because its routes ask for it and no gate says it.
const SURFACE: &str = "x-tollgate-surface: messages\r\n";

/// A model of the policy that the route to the lane of the Messages API is for.
pub const MESSAGES: &str = "claude-haiku-4-5";

/// The same for the lane of chat completions.
pub const OPENAI: &str = "claude-sonnet-4-6";

/// A gateway under load.
#[derive(Debug)]
pub struct Side {
    /// It.
    pub world: World,
    /// How many requests it was sent.
    pub sent: u64,
    requests: Vec<(Size, Bytes)>,
    /// A request for a stream.
    pub streamed: Bytes,
    gated: bool,
    /// Ann's token.
    pub token: String,
}

impl Side {
    /// Starts one. `module` is the gate's; without, there is no gate.
    pub async fn start(module: Option<&'static str>, upstream: SocketAddr) -> Result<Self> {
        let gated = module.is_some();
        let setup = Setup::named(if gated { "bench-gate" } else { "bench-bare" });

        Self::with(setup, module, upstream).await
    }

    /// The same, made from something else.
    pub async fn with(
        mut setup: Setup,
        module: Option<&'static str>,
        upstream: SocketAddr,
    ) -> Result<Self> {
        let gated = module.is_some();
        if let Some(module) = module {
            setup.module = module;
        } else {
            let whole = fs::read_to_string(repository().join("envoy/envoy.yaml"))?;
            let gate = block(&whole, "- name: gate")?;
            let ready =
                "    routes:\n    - {match: {path: /readyz}, direct_response: {status: 200}}\n";
            setup = setup.edit("envoy.yaml", &gate, "").edit("routes.yaml", "    routes:\n", ready);
        }
        Self::of(setup, gated, upstream).await
    }

    /// Starts one that has, besides the direct way, a lane for [`MESSAGES`] and one for [`OPENAI`].
    pub async fn over_lanes(module: &'static str, upstream: SocketAddr) -> Result<Self> {
        // As shipped: a lane that fails three times is left alone.
        let lanes = [Lane::new("messages", "us"), Lane::completes(Completes::OPENAI)]
            .map(|lane| Lane { ejects: true, ..lane });
        let models = [MESSAGES, OPENAI];
        let setup =
            Setup { module, ..Setup::named("bench-lanes") }.lanes_by_model(lanes.to_vec(), &models);
        let mut side = Self::of(setup, true, upstream).await?;
        for model in models {
            let request = side.asking(model, Size::Small, false);
            side.until(&request)?;
        }

        Ok(side)
    }

    async fn of(setup: Setup, gated: bool, upstream: SocketAddr) -> Result<Self> {
        let world = World::start(setup).await?;
        towards(&world, upstream, None)?;
        let token = world.token();
        let further = if gated { "" } else { SURFACE };
        let request = |size: Size| {
            (size, bodies::request(&token, &bodies::body(size.bytes(), false), further))
        };
        let requests = Size::ALL.map(request).to_vec();
        let streamed = bodies::request(&token, &bodies::body(Size::Small.bytes(), true), further);
        let mut side = Self { world, sent: 0, requests, streamed, gated, token };
        side.until_it_answers()?;

        Ok(side)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.world.ports.plain
    }

    /// Its request of this size.
    pub fn request(&self, size: Size) -> &Bytes {
        let found = self.requests.iter().find(|(candidate, _)| *candidate == size);
        found.map_or(&self.streamed, |(_, request)| request)
    }

    /// Its request of this size for another model.
    pub fn asking(&self, model: &str, size: Size, stream: bool) -> Bytes {
        let further = if self.gated { "" } else { SURFACE };
        let body = bodies::of_model(model, &bodies::body(size.bytes(), stream));

        bodies::request(&self.token, &body, further)
    }

    /// Envoy's process id.
    pub fn envoy(&self) -> Result<u32> {
        self.world.envoy_pid().context("Envoy has ended")
    }

    /// The new cluster is there within a moment. What the old one answers is counted as sent.
    fn until_it_answers(&mut self) -> Result<()> {
        let request = self.request(Size::Small).clone();

        self.until(&request)
    }

    fn until(&mut self, request: &Bytes) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            self.sent += 1;
            match Caller::new(self.address())?.call(request) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > end => {
                    return Err(error.context(self.world.logs()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Starts Envoy anew: its memory is as small as it was.
    pub async fn start_again(&mut self) -> Result<()> {
        self.world.stop_envoy()?;
        self.world.start_envoy().await?;

        self.until_it_answers()
    }

    /// Sends one body of 20 MB.
    pub fn send_20_megabytes(&mut self) -> Result<()> {
        let further = if self.gated { "" } else { SURFACE };
        let body = bodies::body(20_000_000, false);
        self.sent += 1;
        Caller::new(self.address())?.call(&bodies::request(&self.token, &body, further))?;

        Ok(())
    }

    /// How many VMs this Envoy runs.
    pub async fn machines(&self) -> Result<f64> {
        let stats = self.world.admin("/stats?filter=wasm.*active").await?;
        let line = stats.lines().find(|line| line.contains("runtime.v8.active"));
        let count = line.and_then(|line| line.rsplit(' ').next()).context("no VMs in the stats")?;

        Ok(count.trim().parse()?)
    }

    /// The median of some starts of the helper that finds its token in the cache, milliseconds.
    pub fn helper(&self) -> Result<f64> {
        let helper = built("tollgate-helper")?;
        let home = self.world.place.join("helper");
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&helper);
            command.args(arguments).env("TOLLGATE_HELPER_HOME", &home);
            command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped()).output()
        };
        let gateway = format!("https://localhost:{}", self.world.ports.tls.port());
        let ca = self.world.run().join("tls/ca.pem").display().to_string();
        for arguments in
            [&["login", "--gateway", &gateway, "--pat", &self.world.pat, "--ca", &ca][..], &[]]
        {
            let output = run(arguments)?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let mut times = Vec::new();
        for _ in 0..51 {
            let start = Instant::now();
            let output = run(&[])?;
            times.push(start.elapsed().as_secs_f64() * 1000.0);
            ensure!(output.stdout.starts_with(b"{"), "the helper printed no JSON");
        }

        Ok(super::report::median(times))
    }

    /// The sidecar writes its rows when nobody else wants the processor, or now.
    pub fn sidecar_yields(&self, yields: bool) -> Result<()> {
        machine::yields(self.world.sidecar_pid().context("no sidecar")?, yields)
    }
}

/// Sends the calls to the provider, and to those behind lanes, to an upstream without TLS, and the gate's own
/// line by another address if one is given, as an operator would: by a new file.
pub fn towards(world: &World, upstream: SocketAddr, gate: Option<SocketAddr>) -> Result<()> {
    let mut text = fs::read_to_string(world.run().join("clusters.yaml"))?;
    let lanes = world.lanes.iter().map(|lane| lane.stand_in.port());
    for from in std::iter::once(world.ports.provider.port()).chain(lanes) {
        text = plainly(&text, from, upstream)?;
    }
    if let Some(gate) = gate {
        let from = format!("port_value: {}}}", world.ports.gate.port());
        ensure!(text.contains(&from), "clusters.yaml names no gate listener");
        text = text.replacen(&from, &format!("port_value: {}}}", gate.port()), 1);
    }

    world.rename_into_place("clusters.yaml", &text)
}

/// The clusters, of which the one that leads to this port leads to an upstream without TLS.
fn plainly(text: &str, from: u16, upstream: SocketAddr) -> Result<String> {
    const BEGINS: &str = "\n- \"@type\": ";
    let from = format!("port_value: {from}}}");
    let mut clusters: Vec<_> = text.split(BEGINS).map(str::to_owned).collect();
    let cluster = clusters.iter_mut().find(|cluster| cluster.contains(&from));
    let cluster = cluster.context("clusters.yaml names no provider")?;
    let plain = "      explicit_http_config: {http_protocol_options: {}}\n";
    *cluster = cluster
        .replacen(&block(cluster, "transport_socket:")?, "", 1)
        .replacen(&block(cluster, "auto_config:")?, plain, 1)
        .replacen(&from, &format!("port_value: {}}}", upstream.port()), 1);

    Ok(clusters.join(BEGINS))
}

/// The first block of YAML that begins so: its line, and all that is indented more.
fn block(text: &str, begins: &str) -> Result<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.find(|line| line.trim_start().starts_with(begins)) else {
        bail!("there is no {begins:?}");
    };
    let rest = lines.take_while(|line| indent(line) > indent(first));

    Ok(std::iter::once(first).chain(rest).collect())
}
