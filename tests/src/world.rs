//! One gateway with everything around it: provider, sidecar, Envoy, keys, certificates.
//!
//! It starts as in production (keys by the real `tollgate`, policy signed and published, Envoy in
//! a directory with copies of `envoy/`), in the order provider, sidecar, Envoy, and is there when
//! all three answer. Its directory, `target/e2e/<name>-<pid>`, stays for a look after a failure.

use crate::provider::Provider;
use anyhow::{Context, Result, bail, ensure};
use certificates::Authority;
use processes::{Process, Programs};
use serde_json::{Value, json};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub mod setup;
pub mod ports;
pub mod certificates;
pub mod processes;
pub mod files;
pub mod lanes;
pub mod tokens;
pub mod rows;

use setup::Setup;

/// The key that Envoy puts into calls to the provider.
pub const PROVIDER_KEY: &str = "sk-ant-e2e-provider-key";

/// The person that every world knows.
pub const ANN: &str = "ann@example.com";

/// How long anything may take to be there.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running gateway.
#[derive(Debug)]
pub struct World {
    /// What it was made from.
    pub setup: Setup,
    /// Its directory.
    pub place: PathBuf,
    /// The model's provider.
    pub provider: Provider,
    /// The providers behind lanes, in the setup's order.
    pub lanes: Vec<lanes::Behind>,
    /// Where everything listens.
    pub ports: ports::Ports,
    /// Who made the certificates.
    pub authority: Authority,
    /// Ann's personal access token.
    pub pat: String,
    programs: Programs,
    envoy: Mutex<Option<Process>>,
    sidecar: Mutex<Option<Process>>,
    minter: tokens::Minter,
    rows: rows::Table,
}

impl World {
    /// Starts one.
    pub async fn start(setup: Setup) -> Result<Self> {
        let programs = Programs::find(setup.oldest, setup.database.clone())?;
        let place = processes::place(setup.name)?;
        let authority = Authority::new()?;
        let provider = provider(&authority).await?;
        let mut behind = Vec::new();
        for lane in &setup.lanes {
            behind.push(lane.start(&authority).await?);
        }
        let ports = ports::Ports::free(provider.address)?;
        let data = place.join("data");
        let pat = match &setup.beside {
            Some(twin) => twin.install(&data)?,
            None => installed(&programs, &data, &setup.policy)?,
        };
        let minter = tokens::Minter::read(&programs, &data)?;
        files::write(&place, &setup, &ports, &authority, &programs.pins(&data)?)?;
        lanes::append(&place.join("run"), &setup.lanes, &behind)?;
        if let Some(identity) = &setup.identity {
            let gateway = format!("https://localhost:{}", ports.tls.port());
            fs::write(place.join("identity.yaml"), identity.replace("GATEWAY", &gateway))?;
        }

        let world = Self {
            rows: rows::Table::new(&data.join("tollgate.db")),
            setup,
            place,
            provider,
            lanes: behind,
            ports,
            authority,
            pat,
            programs,
            envoy: Mutex::default(),
            sidecar: Mutex::default(),
            minter,
        };
        if world.setup.sidecar {
            world.start_sidecar().await?;
        }
        world.start_envoy().await?;

        Ok(world)
    }

    /// Starts the sidecar, and waits until it is ready.
    pub async fn start_sidecar(&self) -> Result<()> {
        let ports = &self.ports;
        let (public, gate) = (ports.public.to_string(), ports.gate.to_string());
        let operators = ports.operators.to_string();
        #[rustfmt::skip]
        let mut arguments = vec![
            "serve", "--public", &public, "--gate", &gate, "--operators", &operators,
            "--spool", "run/spool/audit.jsonl",
        ];
        if self.setup.identity.is_some() {
            arguments.extend(["--identity", "identity.yaml"]);
        }
        arguments.extend(self.setup.serve.iter().map(String::as_str));
        let process = self.programs.sidecar(&self.place, &arguments)?;
        *self.sidecar.lock().unwrap() = Some(process);

        self.until_ready(&self.sidecar, ports.operators, "the sidecar").await
    }

    /// Starts Envoy, and waits until the gate is ready.
    pub async fn start_envoy(&self) -> Result<()> {
        let process = self.programs.envoy(&self.place, self.setup.concurrency)?;
        *self.envoy.lock().unwrap() = Some(process);

        self.until_ready(&self.envoy, self.ports.plain, "the gate").await
    }

    async fn until_ready(
        &self,
        process: &Mutex<Option<Process>>,
        address: SocketAddr,
        what: &str,
    ) -> Result<()> {
        let expected = if self.setup.sidecar { "/readyz" } else { "/healthz" };
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = crate::client::raw::get(address, expected).await;
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            let ended = process.lock().unwrap().as_mut().is_none_or(|process| !process.runs());
            if ended {
                bail!("{what} ended while it started\n{}", self.logs());
            }
            if Instant::now() > end {
                bail!("{what} is not ready: {answer:?}\n{}", self.logs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the sidecar at once, as a crash would.
    pub fn kill_sidecar(&self) {
        drop(self.sidecar.lock().unwrap().take());
    }

    /// Ends Envoy at once, as a crash would.
    pub fn kill_envoy(&self) {
        drop(self.envoy.lock().unwrap().take());
    }

    /// Asks Envoy to end (SIGTERM), and waits until it has.
    pub fn stop_envoy(&self) -> Result<()> {
        let process = self.envoy.lock().unwrap().take();
        process.context("Envoy does not run")?.terminate()
    }

    /// Envoy's process id.
    pub fn envoy_pid(&self) -> Option<u32> {
        self.envoy.lock().unwrap().as_ref().map(Process::id)
    }

    /// The sidecar's process id.
    pub fn sidecar_pid(&self) -> Option<u32> {
        self.sidecar.lock().unwrap().as_ref().map(Process::id)
    }

    /// Runs a command of `tollgate` on this world's data, and returns what it printed.
    pub fn tollgate(&self, arguments: &[&str]) -> Result<String> {
        self.programs.tollgate(&self.place.join("data"), arguments)
    }

    /// The provider behind a lane.
    pub fn behind(&self, lane: &str) -> &Provider {
        match self.stand_in(lane) {
            lanes::StandIn::Messages(provider) => provider,
            lanes::StandIn::Cloud(_) => panic!("behind {lane} is a cloud"),
        }
    }

    /// The cloud behind a lane.
    pub fn cloud(&self, lane: &str) -> &crate::provider::clouds::Cloud {
        match self.stand_in(lane) {
            lanes::StandIn::Cloud(cloud) => cloud,
            lanes::StandIn::Messages(_) => panic!("behind {lane} is no cloud"),
        }
    }

    fn stand_in(&self, lane: &str) -> &lanes::StandIn {
        let behind = self.lanes.iter().find(|behind| behind.name == lane);

        &behind.unwrap_or_else(|| panic!("no lane {lane}")).stand_in
    }

    /// What must never have reached any provider, and did.
    pub fn violations(&self) -> Vec<String> {
        let behind = self.lanes.iter().flat_map(|behind| behind.stand_in.violations());

        self.provider.violations().into_iter().chain(behind).collect()
    }

    /// Envoy's directory.
    pub fn run(&self) -> PathBuf {
        self.place.join("run")
    }

    /// Replaces one of Envoy's files as an operator does: by a rename.
    pub fn rename_into_place(&self, file: &str, text: &str) -> Result<()> {
        let path = self.run().join(file);
        let beside = path.with_extension("new");
        fs::write(&beside, text)?;

        Ok(fs::rename(beside, path)?)
    }

    /// Asks Envoy whether one of its files is valid.
    pub fn validate(&self, file: &str) -> Result<()> {
        self.programs.validate(&self.run(), file)
    }

    /// What Envoy's admin listener says.
    pub async fn admin(&self, path: &str) -> Result<String> {
        Ok(crate::client::raw::get(self.ports.admin, path).await?.body())
    }

    /// The ends of all logs.
    pub fn logs(&self) -> String {
        processes::logs(&self.place)
    }

    /// A token as the sidecar mints it for Ann.
    pub fn token(&self) -> String {
        self.minter.mint(|_, _| {})
    }

    /// A token signed with the sidecar's key, after its header and claims were changed.
    pub fn token_with(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        self.minter.mint(change)
    }

    /// The sidecar's signing key, for forgeries.
    pub fn minter(&self) -> &tokens::Minter {
        &self.minter
    }

    /// The audit rows of calls from this address: waits until there are `count`, and a little
    /// longer, to see that there are not more.
    pub async fn rows_from(&self, address: Ipv4Addr, count: usize) -> Vec<rows::Row> {
        self.rows.from(address, count).await
    }

    /// The one row of calls from this address.
    pub async fn row_from(&self, address: Ipv4Addr) -> rows::Row {
        let mut rows = self.rows_from(address, 1).await;
        assert_eq!(rows.len(), 1, "exactly one row for {address}: {rows:#?}");

        rows.remove(0)
    }

    /// The one row of each of these addresses: as [`World::row_from`], but they settle together.
    pub async fn row_of_each(&self, addresses: &[Ipv4Addr]) -> Vec<rows::Row> {
        self.rows.of_each(addresses).await
    }

    /// The first row that this rule or code decided: waits until there is one.
    pub async fn row_by_rule(&self, rule: &str) -> rows::Row {
        let end = Instant::now() + PATIENCE;
        loop {
            let rows = self.rows().await;
            if let Some(row) = rows.into_iter().find(|row| row.text("rule_id") == rule) {
                return row;
            }
            assert!(Instant::now() < end, "no row says {rule}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All audit rows.
    pub async fn rows(&self) -> Vec<rows::Row> {
        self.rows.all().await.unwrap_or_default()
    }
}

async fn provider(authority: &Authority) -> Result<Provider> {
    let certificate = authority.certify(&["api.anthropic.com"])?;
    let tls = certificates::server(certificate.cert.as_bytes(), certificate.key.as_bytes())?;

    Provider::start((Ipv4Addr::LOCALHOST, 0).into(), PROVIDER_KEY, Some(tls)).await
}

/// Makes keys, publishes a policy, adds Ann. Returns her personal access token.
fn installed(programs: &Programs, data: &Path, policy: &Value) -> Result<String> {
    programs.tollgate(data, &["keys", "init"])?;
    let (plain, signed) = (data.join("policy.json"), data.join("policy.signed.json"));
    fs::write(&plain, policy.to_string())?;
    let (plain, signed) = (plain.display().to_string(), signed.display().to_string());
    programs.tollgate(data, &["policy", "sign", &plain, "--out", &signed])?;
    programs.tollgate(data, &["policy", "publish", &signed])?;
    programs.tollgate(
        data,
        &[
            "user",
            "add",
            ANN,
            "--tenant",
            "acme",
            "--department",
            "engineering",
            "--group",
            "engineering",
        ],
    )?;
    let pat = programs.tollgate(data, &["pat", "issue", ANN])?;
    let pat = pat.split_whitespace().find(|word| word.starts_with("tgp_"));
    let pat = pat.context("`tollgate pat issue` printed no personal access token")?.to_owned();
    ensure!(pat.len() > 40, "a personal access token is longer: {}", pat.len());

    Ok(pat)
}

/// The policy of worlds that do not care.
pub fn policy() -> Value {
    json!({ "schema": "tollgate.policy/v1", "name": "e2e", "rules": [
        { "id": "everyone", "models": ["claude-haiku-*", "claude-sonnet-*"] },
        { "id": "research", "who": { "groups": ["research"] }, "models": ["claude-opus-*"] },
    ]})
}
