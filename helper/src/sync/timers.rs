//! What starts the two halves: files for the system's own scheduler, and how it is told of them.
//!
//! The system's half runs at the start of the machine, by the clock, and when something comes into the inboxes; the person's at
//! log-in and by the clock, each laptop at its own moment.

mod launchd;
mod systemd;
mod windows;

use super::install::plan::Act;
use super::places::{Os, Settings};
use std::path::Path;
use std::time::Duration;

/// What the files are made for.
#[derive(Debug)]
pub struct Timers<'a> {
    /// Which system.
    pub os: Os,
    /// The folders.
    pub settings: &'a Settings,
    /// This program, an absolute path.
    pub helper: &'a str,
    /// How often the gateway is asked.
    pub interval: Duration,
    /// Whose fetching is switched on at once.
    pub user: Option<&'a str>,
}

impl Timers<'_> {
    /// What comes before all others: that nobody else can lay something where the system will look.
    pub fn closing(os: Os, config: &Path) -> Vec<Act> {
        match os {
            Os::Linux | Os::Macos => Vec::new(),
            Os::Windows => windows::closing(config),
        }
    }

    /// What comes before the machine's configuration is believed by whoever takes all away again.
    pub fn believing(os: Os, config: &Path) -> Vec<Act> {
        match os {
            Os::Linux | Os::Macos => Vec::new(),
            Os::Windows => windows::believing(config),
        }
    }

    /// What must not be somebody else's: the folders, and the program itself.
    pub fn guarded(&self) -> Vec<Act> {
        match self.os {
            Os::Linux | Os::Macos => Vec::new(),
            Os::Windows => windows::guarded(self),
        }
    }

    /// What lays them down and starts them.
    pub fn install(&self) -> Vec<Act> {
        match self.os {
            Os::Linux => systemd::install(self),
            Os::Macos => launchd::install(self),
            Os::Windows => windows::install(self),
        }
    }

    /// What stops them and takes them away.
    pub fn uninstall(os: Os) -> Vec<Act> {
        match os {
            Os::Linux => systemd::uninstall(),
            Os::Macos => launchd::uninstall(),
            Os::Windows => windows::uninstall(),
        }
    }

    /// By how much the moment differs between laptops, in seconds.
    fn jitter(&self) -> u64 {
        (self.interval.as_secs() / 5).clamp(10, 600)
    }
}

/// Text that stands in XML.
fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
