//! `tollgate policy`.

use super::EXIT_CODES;
use clap::{Args as ClapArgs, Subcommand};
use contract::audit::CallSource;
use contract::policy::Tier;
use std::path::PathBuf;

/// What `policy diff` adds to the exit codes.
const DIFF_CODES: &str =
    "Exit codes: 0 they say the same; 1 they differ, or it failed; 2 wrong usage;
3 what was named is not there.";

/// `tollgate policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Tell every fault of a policy, with file, line and what would be right.
    #[command(after_help = EXIT_CODES)]
    Check {
        /// Policies, YAML or JSON.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Judge the author's own cases, by the code that judges in the gate.
    #[command(after_help = EXIT_CODES)]
    Test {
        /// The policy.
        file: PathBuf,
        /// The cases; NAME.test.yaml beside NAME.yaml unless said.
        #[arg(long, value_name = "FILE")]
        cases: Option<PathBuf>,
    },
    /// Say which rule decides a call, and why each other one does not.
    #[command(after_help = EXIT_CODES)]
    Explain(Box<AskArgs>),
    /// Say what changes from one policy to another, and whether it loosens or tightens.
    #[command(after_help = DIFF_CODES)]
    Diff {
        /// A file, or a version of the history; the policy in force if one alone is given.
        #[arg(value_name = "POLICY")]
        from: String,
        /// The other.
        #[arg(value_name = "POLICY")]
        to: Option<String>,
    },
    /// Sign a policy, where the security team's key is.
    #[command(after_help = EXIT_CODES)]
    Sign(Box<SignArgs>),
    /// Put a signed policy in force, on every sidecar of this database.
    #[command(after_help = EXIT_CODES)]
    Publish {
        /// The signed policy.
        file: PathBuf,
        /// For the record.
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// List what was published, the newest first.
    #[command(after_help = EXIT_CODES)]
    History {
        /// At most so many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Put an earlier policy in force again.
    #[command(after_help = EXIT_CODES)]
    Rollback {
        /// Its version, or the beginning of it.
        #[arg(required_unless_present = "previous")]
        version: Option<String>,
        /// The one that was in force before this one.
        #[arg(long, conflicts_with = "version")]
        previous: bool,
        /// For the record.
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Show the policy in force.
    #[command(after_help = EXIT_CODES)]
    Show {
        /// A version of the history.
        version: Option<String>,
    },
    /// List the shipped patterns that rules over secrets may name.
    #[command(after_help = EXIT_CODES)]
    Patterns,
}

/// What a change is recorded with.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct ChangeArgs {
    /// The ticket that it belongs to.
    #[arg(long, value_name = "TICKET")]
    pub ticket: Option<String>,
    /// Why.
    #[arg(long, value_name = "WORDS")]
    pub why: Option<String>,
}

/// `tollgate policy sign`.
#[derive(Debug, ClapArgs)]
pub struct SignArgs {
    /// The policy; with --add a signed one.
    pub file: PathBuf,
    /// The private key; DATA/keys/policy.key unless said.
    #[arg(long, value_name = "FILE", conflicts_with = "signer")]
    pub key: Option<PathBuf>,
    /// A command of the shell that signs, for an HSM or KMS: it gets the bytes on standard input, and
    /// prints the Ed25519 signature, 64 bytes as they are, in hex or in base64.
    #[arg(long, value_name = "CMD")]
    pub signer: Option<String>,
    /// The public key of the signer, a file as `tollgate keys init` writes it; the pinned key of that
    /// name in DATA/keys unless said.
    #[arg(long, value_name = "FILE", requires = "signer")]
    pub public_key: Option<PathBuf>,
    /// The name of the signer's key; the one in --public-key unless said.
    #[arg(long, value_name = "ID", requires = "signer")]
    pub key_id: Option<String>,
    /// Add a signature to those of a signed policy, while keys are changed.
    #[arg(long)]
    pub add: bool,
    /// Where to put the signed policy; standard output unless said.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `tollgate policy explain`.
#[derive(Debug, Default, ClapArgs)]
pub struct AskArgs {
    /// A policy; the one in force unless said.
    pub file: Option<PathBuf>,
    /// Who asks.
    #[command(flatten)]
    pub caller: CallerArgs,
    /// The model.
    #[arg(long, required_unless_present = "mcp")]
    pub model: Option<String>,
    /// An MCP server at the gate, by its id, instead of a model; with --tool, --resource or --prompt.
    #[arg(long, value_name = "ID", conflicts_with_all = ["model", "beside", "servers", "skills", "text"])]
    pub mcp: Option<String>,
    /// What its tool is called with, JSON.
    #[arg(long, value_name = "JSON", requires = "mcp")]
    pub arguments: Option<String>,
    /// The address of one of its resources.
    #[arg(long, value_name = "URI", requires = "mcp")]
    pub resource: Option<String>,
    /// The name of one of its prompts.
    #[arg(long, value_name = "NAME", requires = "mcp")]
    pub prompt: Option<String>,
    /// A model that the provider is to call beside it; may be given several times.
    #[arg(long, value_name = "MODEL")]
    pub beside: Vec<String>,
    /// A tool, by its name; may be given several times.
    #[arg(long = "tool", value_name = "NAME")]
    pub tools: Vec<String>,
    /// A remote MCP server, by its address; may be given several times.
    #[arg(long = "server", value_name = "URL")]
    pub servers: Vec<String>,
    /// A skill, TYPE/ID; may be given several times.
    #[arg(long = "skill", value_name = "SKILL")]
    pub skills: Vec<String>,
    /// What is said.
    #[arg(long, value_name = "WORDS")]
    pub text: Option<String>,
}

/// Somebody who asks.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct CallerArgs {
    /// Who asks. Whoever is known here has their groups, roles and so on from here.
    #[arg(long, value_name = "EMAIL")]
    pub user: Option<String>,
    /// Their tenant.
    #[arg(long)]
    pub tenant: Option<String>,
    /// A group; may be given several times.
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// A role; may be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// A population; may be given several times.
    #[arg(long = "population", value_name = "POPULATION")]
    pub populations: Vec<String>,
    /// Their department.
    #[arg(long)]
    pub department: Option<String>,
    /// Their region.
    #[arg(long)]
    pub region: Option<String>,
    /// The client they use.
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
    /// The agent that calls.
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,
    /// Who set the call off: cowork, subagent, job.
    #[arg(long, value_parser = source, default_value = "cowork", value_name = "SOURCE")]
    pub source: CallSource,
    /// How they signed in: mtls, session, pat, service.
    #[arg(long, value_parser = tier, default_value = "session", value_name = "TIER")]
    pub tier: Tier,
    /// Their cost centre.
    #[arg(long, value_name = "NAME")]
    pub cost_centre: Option<String>,
}

fn tier(word: &str) -> Result<Tier, String> {
    [Tier::Mtls, Tier::Session, Tier::Pat, Tier::Service]
        .into_iter()
        .find(|tier| tier.as_str() == word)
        .ok_or_else(|| "one of mtls, session, pat, service".to_owned())
}

fn source(word: &str) -> Result<CallSource, String> {
    [CallSource::Cowork, CallSource::Subagent, CallSource::Job]
        .into_iter()
        .find(|source| source.as_str() == word)
        .ok_or_else(|| "one of cowork, subagent, job".to_owned())
}
