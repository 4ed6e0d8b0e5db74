//! The story: what starts, in which order, and how it drains.
//!
//! Starting fails closed: a sidecar that cannot do its work says why in one line and does not
//! serve. Once it serves, the same faults stop nothing that still works: calls go on, rows wait in
//! the spool, the metrics rise.

mod listeners;

use self::listeners::{Listeners, answer};
use crate::access_log::Receiver;
use crate::approvals::Approvals;
use crate::args::{Args, Command, LogFormat, ServeArgs, SocketFor};
use crate::attempts::Attempts;
use crate::counters::Counters;
use crate::directory::Directory;
use crate::document::Document;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::keys::Kept;
use crate::manifest::serve::Serving;
use crate::operators::operator::Operator;
use crate::operators::{Elsewhere, Operators};
use crate::policy::live::Follower;
use crate::screen::Screen;
use crate::settings::{Data, GoogleAccounts, Postgres, Settings, TokenSigner};
use crate::sign_in::SignIn;
use crate::sign_in::session::Sessions;
use crate::spool::Spool;
use crate::store::Store;
use crate::{
    checkpoints, commands, envoy, gate, google, holes, identity, intake, intents, operators,
    public, remote, siem, standing,
};
use anyhow::{Context, Result, bail};
use axum::Router;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// How long running exchanges are waited for at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs the command line; the exit code tells how it ended.
pub fn main(args: &Args, line: &[OsString]) -> ExitCode {
    let mut screen = Screen::terminal(args.json);
    let ended = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let ended = runtime.block_on(command(args, line, &mut screen));
            // A name that is still being resolved for a sink holds nothing up.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(Failure::Output(error)),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failure) if failure.is_reader_gone() => ExitCode::SUCCESS,
        Err(Failure::Answered) => Failure::Answered.exit_code(),
        Err(failure) => {
            screen.say(&format!("tollgate: {failure}"));
            failure.exit_code()
        }
    }
}

async fn command(args: &Args, line: &[OsString], screen: &mut Screen) -> Result<u8, Failure> {
    let read_url = args.read_database.clone();
    let postgres = args.database.clone().map(|url| Postgres { url, read_url });
    let data = Data::new(&args.data).with_postgres(postgres);
    if let Some(place) = remote::place(args, &data, screen) {
        return remote::run(&place, line, screen).await;
    }
    if let Command::Serve(wanted) = &args.command {
        log(wanted.log);
        Box::pin(serve(settings(wanted, data))).await.map_err(Failure::Serve)?;
    } else {
        let owner = Operator::owner();
        Box::pin(commands::run(&args.command, &owner, &data, screen)).await?;
    }

    Ok(0)
}

fn settings(wanted: &ServeArgs, data: Data) -> Settings {
    let ServeArgs {
        public,
        gate,
        operators,
        issuer,
        audience,
        token_ttl,
        spool,
        siem,
        identity,
        approvals,
        token_signer,
        token_signer_key,
        google_credentials,
        google_secret,
        operator_socket,
        operator_socket_for,
        envoy,
        log: _,
    } = wanted;
    let keys = token_signer_key.clone();

    Settings {
        data: data.with_envoy(envoy.place()),
        public: *public,
        gate: *gate,
        operators: *operators,
        issuer: issuer.clone(),
        audience: audience.clone(),
        token_ttl: Duration::from_secs(u64::from(*token_ttl)),
        spool: spool.clone(),
        siem: siem.clone(),
        identity: identity.clone(),
        approvals: approvals.clone(),
        token_signer: token_signer.clone().map(|command| TokenSigner { command, keys }),
        google: GoogleAccounts {
            credentials: google_credentials.clone(),
            secrets: google_secret.clone(),
        },
        operator_socket: operator_socket.clone(),
        operator_socket_mode: match operator_socket_for {
            SocketFor::All => 0o666,
            SocketFor::Group => 0o660,
        },
    }
}

/// `RUST_LOG` chooses what is logged; unless said, what operators need.
fn log(format: LogFormat) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
        LogFormat::Text => subscriber.with_ansi(false).try_init(),
    };
    // Somebody who embeds us has their own: then theirs is used.
    drop(started);
}

/// Serves until told to stop.
///
/// # Errors
/// Why it could not start.
pub async fn serve(settings: Settings) -> Result<()> {
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let running = Sidecar::start(settings).await?;
    tokio::select! {
        _signal = interrupted.recv() => {}
        _signal = terminated.recv() => {}
    }
    running.drain().await;

    Ok(())
}

/// Where the listeners are.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Sign-in and key set.
    pub public: SocketAddr,
    /// The gate's documents and the access log.
    pub gate: SocketAddr,
    /// Health and metrics.
    pub operators: SocketAddr,
}

/// A sidecar that serves.
#[derive(Debug)]
pub struct Sidecar {
    addresses: Addresses,
    data: Data,
    store: Store,
    draining: watch::Sender<bool>,
    /// End when nothing more can arrive.
    served: JoinSet<()>,
    /// End with the sidecar.
    watching: JoinSet<()>,
    _lock: File,
}

impl Sidecar {
    /// Starts: what is on disk first, the listeners next, then the work behind them.
    ///
    /// # Errors
    /// Why it could not, in one line.
    pub async fn start(settings: Settings) -> Result<Self> {
        let settings = Arc::new(settings);
        let data = &settings.data;
        let counters = Arc::new(Counters::default());

        data.create()?;
        let identity = Arc::new(identity::of(&settings)?);
        let lock = lock(data)?;
        let keys = Kept::read(&settings, &identity)?;
        let keys_now = keys.now();
        let store = Store::create(data).await?;
        let follower = Follower::start(data, &store, &counters).await?;
        let (standing, standing_now) = watch::channel(standing::current(&store).await?);
        standing::confirmed(&counters);
        let sessions = Sessions::start(&identity, data).await?;
        let spool = Spool::resume(&settings.spool, store.clone(), Arc::clone(&counters)).await?;

        let elsewhere = Elsewhere::open(&settings, &store, &keys_now, &identity)?;
        let (listeners, addresses) = Listeners::open(&settings).await?;
        let (draining, drain) = watch::channel(false);
        let (inbox, outlet) = intake::channel(Arc::clone(&counters));
        let receiver = Receiver::new(inbox, Arc::clone(&counters), drain.clone());

        let mut watching = JoinSet::new();
        keys.follow(&settings, &store, &counters, &mut watching);
        watching.spawn(standing::watch(store.clone(), standing, Arc::clone(&counters)));
        watch_rows(&mut watching, data, &store, &counters)?;

        let sign_in = SignIn {
            store: store.clone(),
            keys: keys_now,
            policy: follower.now(),
            settings: Arc::clone(&settings),
            counters: Arc::clone(&counters),
            away: Arc::default(),
            attempts: Arc::new(Attempts::new(&identity.attempts)),
            sessions,
        };
        watching.spawn(follower.follow());
        let directory = Directory::start(sign_in.clone(), identity, &mut watching).await?;
        let documents = documents(&sign_in, standing_now.clone()).await?;
        let about =
            operators::routes(Operators { store: store.clone(), counters: Arc::clone(&counters) });

        let mut served = JoinSet::new();
        google::start(&settings, &counters, &mut watching)?;
        siem::start(&settings, &store, &counters, &drain, &mut served)?;
        served.spawn(spool.follow(drain.clone()));
        served.spawn(intake::store_all(outlet, store.clone(), counters));
        let operated = elsewhere.serve(&drain, &mut served);
        let people = people(
            (sign_in, directory, operated),
            (standing_now, &drain),
            (&mut served, &mut watching),
        )
        .await?;
        served.spawn(answer(listeners.public, people, drain.clone()));
        served.spawn(answer(listeners.gate, gate::routes(documents, receiver), drain.clone()));
        served.spawn(answer(listeners.operators, about, drain));
        announce(&settings, &addresses);

        Ok(Self { addresses, data: data.clone(), store, draining, served, watching, _lock: lock })
    }

    /// Where the listeners are: port 0 in the settings takes a free one.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Takes nothing new, stores what has arrived, and closes.
    pub async fn drain(mut self) {
        info!("Draining");
        self.draining.send_replace(true);
        ended(&mut self.served).await;
        self.watching.shutdown().await;
        checkpoints::last(&self.data, &self.store).await;
        self.store.close().await;
        info!("Stopped");
    }
}

/// What gates fetch.
async fn documents(sign_in: &SignIn, standing: watch::Receiver<Document>) -> Result<Gate> {
    Ok(Gate {
        policy: sign_in.policy.clone(),
        keys: sign_in.keys.clone(),
        standing,
        sessions: gate::session_key(&sign_in.store).await?,
        store: sign_in.store.clone(),
        counters: Arc::clone(&sign_in.counters),
    })
}

/// What Envoy routes clients to.
async fn people(
    (sign_in, directory, operated): (SignIn, Directory, Router),
    (standing, drain): (watch::Receiver<Document>, &watch::Receiver<bool>),
    (served, watching): (&mut JoinSet<()>, &mut JoinSet<()>),
) -> Result<Router> {
    let settings = Arc::clone(&sign_in.settings);
    let approvals = Approvals::start(&sign_in, &settings, drain, watching)?;
    let laptops = Serving::start(&sign_in, standing, (served, watching)).await?;
    let people = public::routes(sign_in, directory).merge(operated);

    Ok(people.merge(approvals.routes()).merge(laptops.routes()))
}

/// What looks after the rows, and after Envoy's files.
fn watch_rows(
    watching: &mut JoinSet<()>,
    data: &Data,
    store: &Store,
    counters: &Arc<Counters>,
) -> Result<()> {
    watching.spawn(intents::watch(store.clone(), Arc::clone(counters)));
    watching.spawn(holes::watch(store.clone(), Arc::clone(counters)));
    watching.spawn(checkpoints::watch(data.clone(), store.clone(), Arc::clone(counters)));
    envoy::watch::start(data, store, counters, watching)?;

    Ok(())
}

async fn ended(served: &mut JoinSet<()>) {
    if timeout(DRAIN, async { while served.join_next().await.is_some() {} }).await.is_err() {
        warn!("Not everything ended in time; the spool has what was not stored");
    }
}

fn announce(settings: &Settings, addresses: &Addresses) {
    info!(
        listener.public = %addresses.public,
        listener.gate = %addresses.gate,
        listener.operators = %addresses.operators,
        data = %settings.data.root().display(),
        spool = %settings.spool.display(),
        issuer = settings.issuer,
        audience = settings.audience,
        token.ttl = settings.token_ttl.as_secs(),
        "Tollgate's sidecar serves"
    );
    if settings.data.envoy().is_none() {
        info!("Envoy's files are not looked after: --envoy-dir says where they are");
    }
}

/// One sidecar for one data directory: two would read the spool twice and fight over its mark.
fn lock(data: &Data) -> Result<File> {
    let path = data.lock();
    let place = data.root().display();
    let file = File::create(&path).with_context(|| format!("{place} is not writable"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("another sidecar serves from {place}"),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("{place} cannot be locked"));
        }
    }

    Ok(file)
}
