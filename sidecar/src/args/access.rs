//! `tollgate access`.

use crate::clock;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use contract::standing::{Kind, MOST_PER_MINUTE};
use std::path::PathBuf;

/// What is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// A person, by address or `usr_…`.
    User,
    /// A session, `ses_…`.
    Session,
    /// One token of the gate's, `jti_…`.
    Token,
    /// A personal access token, `pat_…`.
    Pat,
    /// A client certificate, by its SHA-256: hex, or as `cnf.x5t#S256` has it.
    Cert,
}

impl From<What> for Kind {
    fn from(what: What) -> Self {
        match what {
            What::User => Self::User,
            What::Session => Self::Session,
            What::Token => Self::Token,
            What::Pat => Self::Credential,
            What::Cert => Self::Cert,
        }
    }
}

/// `tollgate access`.
#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// Refuse every call, and no new sign-in, until it is restored.
    Revoke(RevokeArgs),
    /// The same for a time; it ends by itself.
    Pause(PauseArgs),
    /// Serve only so many calls a minute. Each gateway counts for itself.
    Throttle(ThrottleArgs),
    /// Lift what was laid on somebody or something; what they hold works again unless it has expired.
    Restore(RestoreArgs),
    /// Who is revoked, paused or throttled: by whom, why, until when.
    List,
    /// Measure it: revoke a person, wait for their first refused call, restore them.
    Drill(DrillArgs),
}

/// On whom or what, and why.
#[derive(Debug, ClapArgs)]
pub struct OnArgs {
    /// What is meant.
    #[arg(value_enum, value_name = "WHAT")]
    pub what: What,
    /// Its id.
    pub id: String,
    /// Why: stands in the list and in the audit row.
    #[arg(long, value_parser = reason)]
    pub why: String,
    /// Also a session, token or certificate that the store has never heard of.
    #[arg(long)]
    pub unknown_too: bool,
}

/// `tollgate access revoke`.
#[derive(Debug, ClapArgs)]
pub struct RevokeArgs {
    /// On whom or what, and why.
    #[command(flatten)]
    pub on: OnArgs,
    /// It ends then by itself: RFC 3339, or a day in UTC. Unless said, only `restore` ends it.
    #[arg(long, value_parser = clock::later, value_name = "TIME")]
    pub until: Option<u64>,
}

/// `tollgate access pause`.
#[derive(Debug, ClapArgs)]
pub struct PauseArgs {
    /// On whom or what, and why.
    #[command(flatten)]
    pub on: OnArgs,
    /// For how long: 30m, 2h, 7d.
    #[arg(long = "for", value_parser = clock::span, value_name = "TIME")]
    pub lasting: u64,
}

/// `tollgate access throttle`.
#[derive(Debug, ClapArgs)]
pub struct ThrottleArgs {
    /// On whom or what, and why.
    #[command(flatten)]
    pub on: OnArgs,
    /// Calls in any 60 seconds.
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_PER_MINUTE)))]
    pub per_minute: u32,
    /// For how long: 30m, 2h, 7d. Unless said, only `restore` ends it.
    #[arg(long = "for", value_parser = clock::span, value_name = "TIME")]
    pub lasting: Option<u64>,
}

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// What `revoke` did.
    Revoke,
    /// What `pause` did.
    Pause,
    /// What `throttle` did.
    Throttle,
}

impl Only {
    /// The store's word for its effect.
    pub fn effect(self) -> &'static str {
        match self {
            Self::Revoke => "revoked",
            Self::Pause => "paused",
            Self::Throttle => "throttled",
        }
    }
}

/// `tollgate access restore`.
#[derive(Debug, ClapArgs)]
pub struct RestoreArgs {
    /// What is meant.
    #[arg(value_enum, value_name = "WHAT")]
    pub what: What,
    /// Its id.
    pub id: String,
    /// Lift only this; unless said, all.
    #[arg(long, value_enum)]
    pub only: Option<Only>,
    /// Why: stands in the audit row.
    #[arg(long, value_parser = reason)]
    pub why: Option<String>,
}

/// `tollgate access drill`.
#[derive(Debug, ClapArgs)]
pub struct DrillArgs {
    /// Who is revoked for the drill, by address.
    #[arg(long, value_name = "EMAIL")]
    pub user: String,
    /// Make the calls too, to the gateway at this address: with a token for them, and a body that the
    /// gate refuses before any provider hears of it. Unless said, their own calls are waited for.
    #[arg(long, value_name = "URL")]
    pub probe: Option<String>,
    /// The authorities that the gateway's certificate is verified with, PEM; unless said, the system's.
    #[arg(long, value_name = "FILE", requires = "probe")]
    pub ca: Option<PathBuf>,
    /// `iss` of the probe's token; as `serve` was told.
    #[arg(long, default_value = "https://tollgate.localhost")]
    pub issuer: String,
    /// `aud` of the probe's token; as `serve` was told.
    #[arg(long, default_value = "tollgate")]
    pub audience: String,
    /// How long the first refused call is waited for.
    #[arg(long, value_parser = clock::span, default_value = "60s", value_name = "TIME")]
    pub timeout: u64,
    /// Why: stands in the audit rows.
    #[arg(long, value_parser = reason, default_value = "revocation drill")]
    pub why: String,
}

/// It stands in tables and rows, where a line break would forge a line.
fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err("say why in 1 to 200 characters on one line".into());
    }

    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    fn parsed(line: &[&str]) -> Option<AccessCommand> {
        let line = ["tollgate", "access"].iter().chain(line);
        match Args::try_parse_from(line).ok()?.command {
            Command::Access(command) => Some(command),
            _ => None,
        }
    }

    #[test]
    fn nobody_is_stopped_without_a_reason() {
        let on = ["user", "ann@example.com"];
        for verb in [&["revoke"][..], &["pause", "--for", "2h"], &["throttle", "--per-minute", "9"]]
        {
            let bare: Vec<&str> = verb.iter().chain(&on).copied().collect();
            assert!(parsed(&bare).is_none(), "{bare:?}");
            for why in ["", "  ", "two\nlines"] {
                assert!(parsed(&[&bare[..], &["--why", why]].concat()).is_none(), "{why:?}");
            }
            assert!(
                parsed(&[&bare[..], &["--why", "laptop stolen"]].concat()).is_some(),
                "{bare:?}"
            );
        }
    }

    #[test]
    fn a_pause_has_an_end_and_a_throttle_a_number_that_throttles() {
        let pause = ["pause", "user", "ann@example.com", "--why", "looks odd"];
        assert!(parsed(&pause).is_none());
        let throttle = |many| {
            parsed(&["throttle", "pat", "pat_1", "--why", "loops", "--per-minute", many]).is_some()
        };
        assert_eq!(["0", "1", "600", "601", "-1"].map(throttle), [false, true, true, false, false]);
    }
}
