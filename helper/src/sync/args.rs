//! The command line of `sync`, `install` and `uninstall`.

use super::places::Os;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// The two halves, and what they say.
#[derive(Debug, Subcommand)]
pub enum Sync {
    /// As the person: ask the gateway for the document and its archives, and lay them into the inbox.
    Fetch(Fetch),
    /// As the system: put in place what lies in the inboxes, if it is signed.
    Apply(Apply),
    /// Tell what stands, and how the last run went.
    Status {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// How to fetch.
#[derive(Debug, Default, Args)]
pub struct Fetch {
    /// A document that device management has dropped, instead of the gateway's. Archives are taken from `archives/` beside it,
    /// or fetched.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Seconds to wait for the system's half; 0: not at all.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub wait: u64,
    /// Begin after a moment by chance, of so many seconds at most.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub jitter: u64,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// How to apply.
#[derive(Debug, Default, Args)]
pub struct Apply {
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// What to lay down.
#[derive(Debug, Default, Args)]
pub struct Install {
    /// A key that signs manifests: a file as `tollgate manifest keys` leaves it (DATA/keys/manifest/manifest.pub), or KEYID:BASE64. Two while one replaces the other. Without:
    /// those that are pinned stay.
    #[arg(long, value_name = "KEY")]
    pub pin: Vec<String>,
    /// The folder of plugins, if it is not the usual one.
    #[arg(long, value_name = "DIR")]
    pub mount: Option<PathBuf>,
    /// The only audience whose documents are taken.
    #[arg(long, value_name = "NAME")]
    pub audience: Option<String>,
    /// Where the gateway is.
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// The authority that signed the gateway's certificate, PEM, if this system does not know it.
    #[arg(long, value_name = "FILE", requires = "gateway")]
    pub ca: Option<PathBuf>,
    /// How often the gateway is asked, such as 15m.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = interval)]
    pub interval: Interval,
    /// Linux: switch on the fetching for this user at once, besides for all at their next log-in.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Where this program is, if it is not where it runs from.
    #[arg(long, value_name = "FILE")]
    pub helper: Option<PathBuf>,
    /// Lay all down below this folder, and start nothing: for images and tests.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print the files, and do nothing.
    #[arg(long)]
    pub print: bool,
    /// For which system the files are printed.
    #[arg(long, value_name = "OS", requires = "print")]
    pub os: Option<Os>,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// What to take away.
#[derive(Debug, Default, Args)]
pub struct Uninstall {
    /// Also what stands in the folder of plugins, the pinned keys, and what was known.
    #[arg(long)]
    pub purge: bool,
    /// All is below this folder.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval(pub Duration);

impl Default for Interval {
    fn default() -> Self {
        Self(Duration::from_mins(15))
    }
}

/// `15m`, `900s`, `1h`; from a minute to a day.
fn interval(text: &str) -> Result<Interval, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.strip_prefix(number).unwrap_or_default()),
        None => (text, "s"),
    };
    let number: u64 = number.parse().map_err(|_unsaid| "write 15m, 900s or 1h".to_owned())?;
    let each = match unit {
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let seconds = number.saturating_mul(each);
    if (60..=86_400).contains(&seconds) {
        Ok(Interval(Duration::from_secs(seconds)))
    } else {
        Err("must be from 1m to 24h".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_minute_at_least_and_a_day_at_most() {
        assert_eq!(interval("15m"), Ok(Interval(Duration::from_mins(15))));
        assert_eq!(interval("900"), interval("15m"));
        assert_eq!(interval("1h"), interval("60m"));
        for bad in ["", "m", "30s", "25h", "-1m", "1d", "1.5h"] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }
}
