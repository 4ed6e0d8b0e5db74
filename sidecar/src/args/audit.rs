//! `tollgate audit` on the command line.

use crate::clock;
use crate::store::row::COLUMNS;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `tollgate audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// The latest rows, oldest first.
    Tail {
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20, value_name = "ROWS")]
        lines: u32,
        /// Go on, until interrupted.
        #[arg(short, long)]
        follow: bool,
        /// Which rows.
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Rows by what they say, oldest first.
    Query {
        /// Which rows.
        #[command(flatten)]
        filter: FilterArgs,
        /// At most so many, the latest.
        #[arg(long, default_value_t = 1000, value_name = "ROWS")]
        limit: u32,
    },
    /// All rows that are wanted, as JSON lines, in the order they were stored.
    Export {
        /// Which rows.
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// What followed from what: the calls of a trace as a tree, with tokens, cost and outcome.
    Lineage {
        /// The trace, as the client was told it (`x-trace-id`) and rows have it.
        trace: String,
    },
    /// What somebody did in a time, by conversation.
    Who {
        /// Their address.
        #[arg(long, value_name = "EMAIL")]
        user: String,
        /// From then on: RFC 3339, or how long ago (15m, 2h, 7d).
        #[arg(long, value_parser = clock::point, value_name = "TIME")]
        from: u64,
        /// Before then; now unless said.
        #[arg(long, value_parser = clock::point, value_name = "TIME")]
        to: Option<u64>,
    },
    /// Is every row as it was stored, and is none missing? Exit code 4 if not.
    Verify {
        /// A file of checkpoints that was kept elsewhere; DATA/checkpoints.jsonl unless said.
        #[arg(long = "checkpoints", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
        /// The public half of a sidecar's audit key; all in DATA/keys/audit unless said.
        #[arg(long = "key", value_name = "FILE")]
        keys: Vec<PathBuf>,
    },
    /// Roles of Postgres that may read the rows of their tenants.
    #[command(subcommand)]
    Reader(ReaderCommand),
    /// Rows that know an id: event, request, trace, session, credential, provider's request, user.
    Find {
        /// The id.
        id: String,
        /// At most so many, the latest.
        #[arg(long, default_value_t = 1000, value_name = "ROWS")]
        limit: u32,
    },
}

/// Which rows.
#[derive(Debug, Default, Args)]
pub struct FilterArgs {
    /// This person's.
    #[arg(long, value_name = "EMAIL")]
    pub user: Option<String>,
    /// This tenant's.
    #[arg(long)]
    pub tenant: Option<String>,
    /// This department's.
    #[arg(long)]
    pub department: Option<String>,
    /// `allowed`, `denied` or `error`.
    #[arg(long, value_parser = ["allowed", "denied", "error"])]
    pub outcome: Option<String>,
    /// `inference`, `count`, `mcp`, `auth`, `manifest` or `admin`.
    #[arg(long, value_parser = ["inference", "count", "mcp", "auth", "manifest", "admin"])]
    pub kind: Option<String>,
    /// This model's, by its normalised name.
    #[arg(long)]
    pub model: Option<String>,
    /// This provider's.
    #[arg(long)]
    pub provider: Option<String>,
    /// Decided by this rule.
    #[arg(long)]
    pub rule: Option<String>,
    /// Of this trace.
    #[arg(long)]
    pub trace: Option<String>,
    /// Of this session.
    #[arg(long)]
    pub session: Option<String>,
    /// This client program's.
    #[arg(long)]
    pub client: Option<String>,
    /// Set off so: `cowork`, `subagent` or `job`.
    #[arg(long)]
    pub source: Option<String>,
    /// This agent's.
    #[arg(long)]
    pub agent: Option<String>,
    /// Served in this region.
    #[arg(long)]
    pub region: Option<String>,
    /// With this credential.
    #[arg(long)]
    pub credential: Option<String>,
    /// This request, by the id the client was told.
    #[arg(long)]
    pub request: Option<String>,
    /// This event.
    #[arg(long)]
    pub event: Option<String>,
    /// Continuing this event.
    #[arg(long)]
    pub parent: Option<String>,
    /// Judged by this policy version.
    #[arg(long)]
    pub bundle: Option<String>,
    /// With a token minted under this policy version.
    #[arg(long)]
    pub policy: Option<String>,
    /// With usage known to the end, or not: `true` or `false`.
    #[arg(long)]
    pub complete: Option<bool>,
    /// With this status.
    #[arg(long)]
    pub status: Option<u16>,
    /// With this value in any column, such as `tokens_out=0`; may be given several times.
    #[arg(long = "where", value_parser = column, value_name = "COLUMN=VALUE")]
    pub columns: Vec<(&'static str, String)>,
    /// From then on: RFC 3339, or how long ago (15m, 2h, 7d).
    #[arg(long, value_parser = clock::point, value_name = "TIME")]
    pub since: Option<u64>,
    /// Before then.
    #[arg(long, value_parser = clock::point, value_name = "TIME")]
    pub until: Option<u64>,
}

impl FilterArgs {
    /// Columns and the values wanted of them.
    pub fn columns(&self) -> Vec<(&'static str, String)> {
        let Self {
            user,
            tenant,
            department,
            outcome,
            kind,
            model,
            provider,
            rule,
            trace,
            session,
            client,
            source,
            agent,
            region,
            credential,
            request,
            event,
            parent,
            bundle,
            policy,
            complete,
            status,
            columns: others,
            since: _,
            until: _,
        } = self;
        let columns = [
            ("user_id", user.as_ref().map(|user| user.to_ascii_lowercase())),
            ("tenant_id", tenant.clone()),
            ("department", department.clone()),
            ("outcome", outcome.clone()),
            ("kind", kind.clone()),
            ("model", model.clone()),
            ("provider", provider.clone()),
            ("rule_id", rule.clone()),
            ("trace_id", trace.clone()),
            ("session_id", session.clone()),
            ("client_id", client.clone()),
            ("call_source", source.clone()),
            ("agent_id", agent.clone()),
            ("upstream_region", region.clone()),
            ("credential_id", credential.clone()),
            ("request_id", request.clone()),
            ("event_id", event.clone()),
            ("parent_event_id", parent.clone()),
            ("bundle_ver", bundle.clone()),
            ("policy_ver", policy.clone()),
            ("complete", complete.map(|complete| complete.to_string())),
            ("status", status.map(|status| status.to_string())),
        ];

        columns
            .into_iter()
            .filter_map(|(column, value)| value.map(|value| (column, value)))
            .chain(others.iter().cloned())
            .collect()
    }
}

/// `COLUMN=VALUE`, of a column that there is.
fn column(text: &str) -> Result<(&'static str, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as COLUMN=VALUE")?;
    let known = COLUMNS.iter().find(|(known, _)| *known == name);
    let (known, _) = known.ok_or_else(|| {
        let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        format!("there is no column {name:?}; there are {}", names.join(", "))
    })?;

    Ok((known, value.to_owned()))
}

/// `tollgate audit reader`.
#[derive(Debug, Subcommand)]
pub enum ReaderCommand {
    /// Let a role read; it is made if it is not there.
    Add {
        /// The role's name in Postgres.
        role: String,
        /// A tenant whose rows it reads; may be given several times. `*` for all.
        #[arg(long = "tenant", value_name = "TENANT", required = true)]
        tenants: Vec<String>,
    },
    /// Take it back.
    Remove {
        /// The role's name in Postgres.
        role: String,
    },
    /// List them.
    List,
}
