//! Why the client starts the helper (`CLAUDE_HELPER_CONTEXT`, Claude Desktop's credential helper),
//! and how long it may take.

use std::time::{Duration, Instant};

/// Names why the client starts the helper.
pub const CONTEXT: &str = "CLAUDE_HELPER_CONTEXT";

/// The older way to say `setup-test`.
pub const MANUAL_RUN: &str = "CLAUDE_HELPER_MANUAL_RUN";

/// Most for one exchange with the gateway.
const EXCHANGE: Duration = Duration::from_secs(15);

/// Why the helper runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// Somebody sits before it: a browser may open.
    Interactive,
    /// In the middle of a session; the client gives up after 20 s.
    MidSessionRefresh,
    /// A task that runs by the clock.
    ScheduledTask,
    /// An administrator tries the configuration.
    SetupTest,
    /// Anything else the client does on its own, and what we do not know.
    Background,
    /// Not said: a person's shell, or a client that knows no contexts.
    Unsaid,
}

impl Context {
    /// From the environment.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        match variable(CONTEXT).as_deref() {
            Some("interactive") => Self::Interactive,
            Some("mid-session-refresh") => Self::MidSessionRefresh,
            Some("scheduled-task") => Self::ScheduledTask,
            Some("setup-test") => Self::SetupTest,
            // A context that is new to us might have nobody before it.
            Some(_) => Self::Background,
            None if variable(MANUAL_RUN).as_deref() == Some("1") => Self::SetupTest,
            None => Self::Unsaid,
        }
    }

    /// Only where the client says that somebody sits before it.
    pub fn may_open_a_browser(self) -> bool {
        self == Self::Interactive
    }

    /// Its name, as the client writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::MidSessionRefresh => "mid-session-refresh",
            Self::ScheduledTask => "scheduled-task",
            Self::SetupTest => "setup-test",
            Self::Background => "background",
            Self::Unsaid => "a shell",
        }
    }

    /// When the run must be over, with a margin to say why. The client's own limits are 20 s in the
    /// middle of a session and 60 s elsewhere.
    pub fn deadline(self) -> Deadline {
        let seconds = if self == Self::MidSessionRefresh { 18 } else { 55 };

        Deadline::within(Duration::from_secs(seconds))
    }
}

/// When the run must be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// This long from now.
    pub fn within(time: Duration) -> Self {
        let now = Instant::now();

        Self(now.checked_add(time).unwrap_or(now))
    }

    /// What is left of it.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// What one exchange may take. Never zero, which some would read as for ever.
    pub fn exchange(self) -> Duration {
        self.left().clamp(Duration::from_millis(1), EXCHANGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interactive_opens_a_browser_and_the_unknown_is_background() {
        let with = |context: Option<&str>, manual: Option<&str>| {
            Context::from_environment(|name| {
                let value = if name == CONTEXT { context } else { manual };
                value.map(str::to_owned)
            })
        };

        assert_eq!(with(None, None), Context::Unsaid);
        assert_eq!(with(None, Some("1")), Context::SetupTest);
        assert_eq!(with(Some("interactive"), Some("1")), Context::Interactive);
        assert_eq!(with(Some("tomorrow"), None), Context::Background);
        for silent in ["mid-session-refresh", "scheduled-task", "setup-test", "background", "new"] {
            assert!(!with(Some(silent), None).may_open_a_browser(), "{silent}");
        }
    }

    #[test]
    fn in_the_middle_of_a_session_it_is_over_before_the_client_gives_up() {
        assert!(Context::MidSessionRefresh.deadline().left() < Duration::from_secs(20));
        assert!(Context::Background.deadline().left() < Duration::from_mins(1));
    }
}
