//! The command line.

pub mod access;
pub mod approval;
mod audit;
pub mod cost;
pub mod envoy;
pub mod fleet;
mod identity;
mod manifest;
mod mcp;
pub mod mdm;
mod policy;
pub mod scim;

pub use self::audit::{AuditCommand, FilterArgs, ReaderCommand};
pub use self::identity::{IdentityCommand, SessionCommand};
pub use self::manifest::{
    ManifestBuildArgs, ManifestCheckArgs, ManifestCommand, ManifestKeyArgs, ManifestSignArgs,
};
pub use self::mcp::{ClientDocument, ExportArgs, McpCommand};
pub use self::policy::{AskArgs, CallerArgs, ChangeArgs, PolicyCommand, SignArgs};

use self::access::AccessCommand;
use self::approval::ApprovalCommand;
use self::cost::CostCommand;
use self::envoy::{EnvoyArgs, EnvoyCommand};
use self::fleet::FleetCommand;
use self::mdm::MdmCommand;
use self::scim::ScimCommand;
use crate::clock;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

const EXIT_CODES: &str =
    "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 what was named is not there; 4 not whole;
5 a bill differs; 6 not allowed.
Data goes to standard output, everything else to standard error.";

/// Tollgate's sidecar: signs people in, feeds the gate, keeps the audit table.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = EXIT_CODES)]
pub struct Args {
    /// Where keys, policy and database are.
    #[arg(
        long,
        global = true,
        env = "TOLLGATE_DATA",
        hide_env_values = true,
        default_value = "./data",
        value_name = "DIR"
    )]
    pub data: PathBuf,
    /// A Postgres to keep the tables in, rather than a file in the data directory:
    /// `postgres://USER@HOST/DATABASE`. With a password, better by the environment.
    #[arg(
        long,
        global = true,
        env = "TOLLGATE_DATABASE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub database: Option<String>,
    /// Where rows are read, if elsewhere: a replica of it.
    #[arg(
        long,
        global = true,
        env = "TOLLGATE_READ_DATABASE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub read_database: Option<String>,
    /// Have it done by the sidecar behind this Unix socket. Stands before the command.
    #[arg(
        long,
        env = "TOLLGATE_SOCKET",
        hide_env_values = true,
        value_name = "PATH",
        conflicts_with = "server"
    )]
    pub socket: Option<PathBuf>,
    /// Have it done by the sidecar behind this gateway, with an operator's token: from `TOLLGATE_OPERATOR_TOKEN`, or
    /// of `tollgate-helper token --audience operator`. Stands before the command.
    #[arg(long, env = "TOLLGATE_SERVER", hide_env_values = true, value_name = "URL")]
    pub server: Option<String>,
    /// The authorities that the gateway's certificate is verified with, PEM; unless said, the system's.
    #[arg(long, requires = "server", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the sidecar.
    #[command(after_help = EXIT_CODES)]
    Serve(Box<ServeArgs>),
    /// People.
    #[command(subcommand, after_help = EXIT_CODES)]
    User(UserCommand),
    /// Personal access tokens.
    #[command(subcommand, after_help = EXIT_CODES)]
    Pat(PatCommand),
    /// Who may call for the time being: revoke, pause, throttle, restore, and drill.
    #[command(subcommand, after_help = EXIT_CODES)]
    Access(AccessCommand),
    /// Calls that agents ask a person to approve.
    #[command(subcommand, after_help = EXIT_CODES)]
    Approval(ApprovalCommand),
    /// What directories call with, to say who there is (SCIM).
    #[command(subcommand, after_help = EXIT_CODES)]
    Scim(ScimCommand),
    /// The policy: check, test, sign, publish, explain.
    #[command(subcommand, after_help = EXIT_CODES)]
    Policy(PolicyCommand),
    /// What stands on laptops: plugins, skills, agents, MCP servers.
    #[command(subcommand, after_help = EXIT_CODES)]
    Manifest(ManifestCommand),
    /// MCP servers that are reached through the gate, and what clients are told of them.
    #[command(subcommand, after_help = EXIT_CODES)]
    Mcp(McpCommand),
    /// What device management gives to clients: check, export, compare, and which hosts they reach.
    #[command(subcommand, after_help = EXIT_CODES)]
    Mdm(MdmCommand),
    /// Laptops: what stands on them, who lags behind, how far a revocation has come.
    #[command(subcommand, after_help = EXIT_CODES)]
    Fleet(FleetCommand),
    /// Envoy's own files: check an edit, put it in force, see whether it still holds.
    #[command(subcommand, after_help = EXIT_CODES)]
    Envoy(EnvoyCommand),
    /// The audit table.
    #[command(subcommand, after_help = EXIT_CODES)]
    Audit(Box<AuditCommand>),
    /// What was spent, and whether the bill says the same.
    #[command(subcommand, after_help = EXIT_CODES)]
    Cost(CostCommand),
    /// Who may sign in, and how: the file of `serve --identity`.
    #[command(subcommand, after_help = EXIT_CODES)]
    Identity(IdentityCommand),
    /// Sessions of people who signed in by browser.
    #[command(subcommand, after_help = EXIT_CODES)]
    Session(SessionCommand),
    /// The keys of this installation.
    #[command(subcommand, after_help = EXIT_CODES)]
    Keys(KeysCommand),
}

/// Who may open the operators' socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SocketFor {
    /// Mode 0666.
    All,
    /// Mode 0660.
    Group,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One object a line.
    Json,
    /// For people.
    Text,
}

/// `tollgate serve`.
#[derive(Debug, ClapArgs)]
pub struct ServeArgs {
    /// Sign-in and key set: what Envoy routes clients to.
    #[arg(long, default_value = "127.0.0.1:7080", value_name = "ADDRESS")]
    pub public: SocketAddr,
    /// The gate's documents and the access log: Envoy alone may reach it.
    #[arg(long, default_value = "127.0.0.1:7081", value_name = "ADDRESS")]
    pub gate: SocketAddr,
    /// Health and metrics.
    #[arg(long, default_value = "127.0.0.1:7082", value_name = "ADDRESS")]
    pub operators: SocketAddr,
    /// `iss` of the tokens; the gate expects the same.
    #[arg(long, default_value = "https://tollgate.localhost")]
    pub issuer: String,
    /// `aud` of the tokens; the gate expects the same.
    #[arg(long, default_value = "tollgate")]
    pub audience: String,
    /// How long a token lives, in seconds; the fleet follows a revocation within a second anyway.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(300..=86_400))]
    pub token_ttl: u32,
    /// The file Envoy appends its access log to.
    #[arg(long, default_value = "./spool/audit.jsonl", value_name = "FILE")]
    pub spool: PathBuf,
    /// Where the rows go besides the table: a JSON file that names the sinks.
    #[arg(long, env = "TOLLGATE_SIEM", hide_env_values = true, value_name = "FILE")]
    pub siem: Option<PathBuf>,
    /// Who may sign in, and how: a YAML file that names `OpenID` providers, certificates, workloads and
    /// operators. Without it: personal access tokens.
    #[arg(long, env = "TOLLGATE_IDENTITY", hide_env_values = true, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// Where people are told that an agent asks for approval: a YAML file that names webhooks. Without it they are not
    /// told, and look at `tollgate approval list`.
    #[arg(long, env = "TOLLGATE_APPROVALS", hide_env_values = true, value_name = "FILE")]
    pub approvals: Option<PathBuf>,
    /// A command of the shell that signs tokens, for an HSM or KMS: it gets the bytes on standard input, and
    /// prints the Ed25519 signature, 64 bytes as they are, in hex or in base64, within two seconds.
    #[arg(long, value_name = "CMD", requires = "token_signer_key")]
    pub token_signer: Option<String>,
    /// Its public key, a file as `tollgate keys init` writes it; may be given several times, for keys that signed
    /// before: the first one signs.
    #[arg(long, value_name = "FILE", requires = "token_signer")]
    pub token_signer_key: Vec<PathBuf>,
    /// A key file of a Google service account, mode 0600: its access tokens are kept fresh for Envoy. May be given
    /// several times, each with its own --google-secret behind it.
    #[arg(long, value_name = "FILE", requires = "google_secret")]
    pub google_credentials: Vec<PathBuf>,
    /// Where Envoy reads the token: a file of its secrets/, whose name without `.yaml` is the secret's.
    #[arg(long, value_name = "FILE", requires = "google_credentials")]
    pub google_secret: Vec<PathBuf>,
    /// The operators' Unix socket; DATA/operator.sock unless said. The directory is closed to others: name one that
    /// is not, where others operate too.
    #[arg(long, env = "TOLLGATE_OPERATOR_SOCKET", hide_env_values = true, value_name = "PATH")]
    pub operator_socket: Option<PathBuf>,
    /// Who may open it: anybody on this host (who they are decides what they may), or its group alone.
    #[arg(long, value_enum, default_value = "all", value_name = "WHO")]
    pub operator_socket_for: SocketFor,
    /// Where Envoy is, so that its files are looked after: drift is told, and SIGHUP puts the edit in
    /// ENVOY-DIR/staged in force.
    #[command(flatten)]
    pub envoy: EnvoyArgs,
    /// How log lines look.
    #[arg(long, default_value = "json", value_name = "FORMAT")]
    pub log: LogFormat,
}

/// `tollgate user`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add somebody.
    Add(UserAdd),
    /// List everybody.
    List,
    /// Stop somebody: no new tokens, and those in use end within a second.
    Disable {
        /// Their e-mail address.
        email: String,
    },
    /// Let somebody back in: what they hold works again, unless it was revoked or has expired.
    Enable {
        /// Their e-mail address.
        email: String,
    },
}

/// `tollgate user add`.
#[derive(Debug, ClapArgs)]
pub struct UserAdd {
    /// Their verified e-mail address.
    pub email: String,
    /// The tenant they belong to.
    #[arg(long)]
    pub tenant: String,
    /// The name shown to people.
    #[arg(long)]
    pub name: Option<String>,
    /// For routing and chargeback.
    #[arg(long)]
    pub department: Option<String>,
    /// For chargeback.
    #[arg(long)]
    pub cost_centre: Option<String>,
    /// A group of the directory; may be given several times.
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// An operator role; may be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// A regulatory population; may be given several times.
    #[arg(long = "population", value_name = "POPULATION")]
    pub populations: Vec<String>,
    /// Where their data must stay.
    #[arg(long)]
    pub region: Option<String>,
}

/// `tollgate pat`.
#[derive(Debug, Subcommand)]
pub enum PatCommand {
    /// Issue one. It is printed once and kept nowhere.
    Issue {
        /// Whose it is.
        email: String,
        /// Days until it expires.
        #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
        /// The rollout it belongs to.
        #[arg(long)]
        cohort: Option<String>,
    },
    /// List them.
    List {
        /// Only theirs.
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
        /// Only this rollout's.
        #[arg(long)]
        cohort: Option<String>,
    },
    /// Revoke one; what was minted from it ends within a second.
    Revoke {
        /// Its id, `pat_…`.
        id: String,
    },
}

/// `tollgate keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the keys of a new installation; nothing is overwritten.
    Init,
    /// Show the public halves.
    Show,
    /// Add a signing key, which signs from then on; the others still verify.
    Rotate,
    /// Let an older key go, and with it every token that it signed. Unless this is said, `serve` does it when the
    /// last of them has expired.
    Retire {
        /// Its name, as `keys show` has it.
        kid: String,
        /// Not at once, but after this time: 30m, 2h.
        #[arg(long, value_parser = clock::span, value_name = "TIME")]
        after: Option<u64>,
    },
}
