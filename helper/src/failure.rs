//! What went wrong, what to do about it, and the exit code that says which.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use thiserror::Error;

/// Why there is no token. No variant carries a secret.
#[derive(Debug, Error)]
pub enum Failure {
    /// Nobody logged in.
    #[error("nobody is logged in")]
    LoggedOut,
    /// Signing in takes a browser, and this run may open none.
    #[error("nobody is logged in, and a run for {0} opens no browser")]
    Silent(&'static str),
    /// What is here is not what the gateway takes.
    #[error("the gateway takes {0} from here, and that is not what is configured and kept")]
    NoWay(String),
    /// The sign-in in the browser came to nothing.
    #[error("the sign-in did not succeed: {0}")]
    SignIn(String),
    /// The gateway said no.
    #[error("the gateway refused {what}: {message}")]
    Refused {
        /// What was shown to it.
        what: &'static str,
        /// 401: another credential may help. 403: it does not.
        status: u16,
        /// The stable code of the refusal, if it told one.
        code: Option<String>,
        /// The gateway's sentence.
        message: String,
    },
    /// The device's certificate or its key cannot be used.
    #[error("the device certificate cannot be used: {0}")]
    Device(String),
    /// The system's keystore was asked for by the configuration and does not serve.
    #[error("the keystore cannot be used: {0}")]
    Keystore(String),
    /// A configuration file.
    #[error("{}: {why}", path.display())]
    Configuration {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and where.
        why: String,
    },
    /// Another process of ours has been getting a token for too long.
    #[error("another tollgate-helper has been at it for {0} s")]
    Busy(u64),
    /// What was typed is no token.
    #[error("this is no personal access token of Tollgate")]
    NoToken,
    /// A file that others can read, or that is another's.
    #[error("{} is not yours alone: {why}", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file that cannot be understood.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that somebody named, or that the administrator laid down.
    #[error("{} cannot be read: {source}", path.display())]
    NoFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program of the system's, which an installation runs.
    #[error("`{words}`: {why}")]
    System {
        /// It and its arguments.
        words: String,
        /// What it said.
        why: String,
    },
    /// A file that cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The gateway was not reached.
    #[error("{gateway} cannot be reached: {source}")]
    Unreachable {
        /// Which gateway.
        gateway: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The gateway, or something in its place, answered something else.
    #[error("{gateway} answered {status}{}", again(*.retry_after))]
    Answer {
        /// Which gateway.
        gateway: String,
        /// What it answered.
        status: u16,
        /// Seconds to wait, if it said so.
        retry_after: Option<u64>,
    },
    /// The gateway's answer is no token.
    #[error("the answer of {gateway} is not understood: {why}")]
    NotUnderstood {
        /// Which gateway.
        gateway: String,
        /// What is wrong with it.
        why: String,
    },
    /// The signed manifest, or what it takes to put it in place.
    #[error("{problem}")]
    Sync {
        /// The stable word for it.
        code: String,
        /// The same for people.
        problem: String,
    },
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// The output.
    #[error("the answer cannot be written: {0}")]
    Output(io::Error),
}

impl Failure {
    /// 3 unreachable, 4 a manifest that is not taken, 5 credential, 64 usage (`EX_USAGE`), 74 files
    /// (`EX_IOERR`), 75 busy (`EX_TEMPFAIL`), 78 configuration (`EX_CONFIG`).
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Sync { code, .. } => match code.as_str() {
                "pins" | "mount" | "not_installed" | "no_run" => 78,
                "not_served" => 3,
                "disk" | "disk_full" | "locked" => 74,
                _ => 4,
            },
            Self::Unreachable { .. } | Self::Answer { .. } | Self::NotUnderstood { .. } => 3,
            Self::LoggedOut
            | Self::Silent(_)
            | Self::NoWay(_)
            | Self::SignIn(_)
            | Self::Refused { .. }
            | Self::Device(_)
            | Self::NoToken
            | Self::Exposed { .. }
            | Self::Unreadable { .. } => 5,
            Self::Usage(_) => 64,
            Self::NoFile { .. }
            | Self::System { .. }
            | Self::Unwritable { .. }
            | Self::Output(_)
            | Self::Keystore(_) => 74,
            Self::Busy(_) => 75,
            Self::Configuration { .. } => 78,
        })
    }

    /// What the person can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::LoggedOut | Self::Silent(_) => {
                "run `tollgate-helper login`, with `--gateway URL` if none is configured and \
                 `--pat -` if you have an access token"
            }
            Self::NoWay(_) => {
                "sign in by a way it takes (`tollgate-helper login`), or look at `cohort` and `modes`"
            }
            Self::SignIn(_) => "run `tollgate-helper login` again, or `tollgate-helper doctor`",
            Self::Refused { status: 403, .. } => {
                "signing in again does not help: ask your administrator"
            }
            Self::Refused { .. } => {
                "run `tollgate-helper login`; for a new access token ask your administrator"
            }
            Self::Device(_) | Self::Keystore(_) => "`tollgate-helper doctor` tells more",
            Self::NoToken => "it looks like tgp_<12 characters>_<43 characters>",
            Self::Exposed { .. } => {
                "take it away from others (chmod 600, directories 700), or log in anew"
            }
            Self::Unreadable { .. } => "run `tollgate-helper login` anew",
            Self::Unreachable { source, .. } if is_certificate(source) => {
                "if the gateway's certificate is of your own authority, give that: \
                 `tollgate-helper login --ca FILE`; `tollgate-helper doctor` tells more"
            }
            Self::Unreachable { .. } => {
                "check the network and the gateway's address; `tollgate-helper doctor` tells more"
            }
            Self::Answer { .. } => "the gateway is in trouble, or the address is another server's",
            Self::NotUnderstood { .. } => "is the address really that of a Tollgate gateway?",
            Self::Sync { code, .. } => of_a_sync(code),
            Self::NoFile { .. } => "see that the file is there, and that you may read it",
            Self::System { .. } => {
                "what was laid down before stays: mend this and run it again; `--print` tells every act"
            }
            Self::Usage(_) => "`tollgate-helper --help` tells how",
            Self::Unwritable { .. } | Self::Output(_) => "check the disk and whose directory it is",
            Self::Configuration { .. } => "mend the file; docs/helper.md names every member",
            Self::Busy(_) => "try again; somebody may be signing in in a browser",
        }
    }

    /// The stable code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            Self::Sync { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// What can be done about a word of `docs/sync.md`.
fn of_a_sync(code: &str) -> &'static str {
    match code {
        "unknown_key" | "forged" | "pins" => {
            "the administrator pins the key of the security team: `tollgate-helper install --pin FILE`"
        }
        "archive_missing" | "archive_differs" => "`tollgate-helper sync fetch` brings it",
        "disk_full" => "make room",
        "locked" => "close the client, or wait: the next run tries again",
        "ambiguous" | "other_audience" => {
            "the administrator pins the audience: `tollgate-helper install --audience NAME`"
        }
        "from_the_future" => "set this machine's clock, or have who published set theirs",
        "expired" => "have the security team publish anew",
        "not_served" => {
            "ask whoever publishes the plugins, or see that the address is the gateway's"
        }
        "not_installed" => "the administrator installs it: `tollgate-helper install --pin FILE`",
        "no_run" => {
            "the administrator runs `tollgate-helper sync apply`, or `tollgate-helper install` if no timer is there"
        }
        _ => "`tollgate-helper sync status` tells what stands; ask whoever publishes the plugins",
    }
}

fn again(seconds: Option<u64>) -> String {
    seconds.map(|seconds| format!(", try again in {seconds} s")).unwrap_or_default()
}

/// Whether it was the other side's certificate.
pub(crate) fn is_certificate(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Rustls(_) | ureq::Error::Tls(_))
        || error.to_string().contains("certificate")
}
