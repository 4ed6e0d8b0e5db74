//! macOS: launchd. A daemon of the system's that watches the inboxes, and an agent in each person's session.

use super::{Timers, xml};
use crate::sync::install::plan::Act;

const DAEMON: &str = "/Library/LaunchDaemons/dev.tollgate.sync-apply.plist";
const AGENT: &str = "/Library/LaunchAgents/dev.tollgate.sync-fetch.plist";

pub(super) fn install(timers: &Timers<'_>) -> Vec<Act> {
    let seconds = timers.interval.as_secs();
    let inbox = timers.settings.inbox.to_string_lossy();
    let watch = format!(
        "    <key>WatchPaths</key>\n    <array>\n        <string>{}</string>\n    </array>\n    <key>ThrottleInterval</key>\n    <integer>10</integer>\n",
        xml(&inbox)
    );
    let daemon =
        plist("dev.tollgate.sync-apply", &[timers.helper, "sync", "apply"], seconds, &watch);
    let jitter = timers.jitter().to_string();
    let words = [timers.helper, "sync", "fetch", "--jitter", &jitter];
    let session = "    <key>LimitLoadToSessionType</key>\n    <string>Aqua</string>\n    <key>EnvironmentVariables</key>\n    <dict>\n        <key>CLAUDE_HELPER_CONTEXT</key>\n        <string>background</string>\n    </dict>\n";
    let agent = plist("dev.tollgate.sync-fetch", &words, seconds, session);

    vec![
        Act::file(DAEMON, daemon),
        Act::file(AGENT, agent),
        Act::try_run(&["launchctl", "bootout", "system", DAEMON]),
        Act::run(&["launchctl", "bootstrap", "system", DAEMON]),
    ]
}

pub(super) fn uninstall() -> Vec<Act> {
    vec![
        Act::try_run(&["launchctl", "bootout", "system", DAEMON]),
        Act::Remove(DAEMON.into()),
        Act::Remove(AGENT.into()),
    ]
}

fn plist(label: &str, words: &[&str], seconds: u64, more: &str) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| {
            format!(
                "        <string>{}</string>
",
                xml(word)
            )
        })
        .collect();
    let words = words.concat();

    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>{label}</string>
    <key>ProgramArguments</key>
    <array>
{words}    </array>
    <key>RunAtLoad</key>
    <true/>
    <key>StartInterval</key>
    <integer>{seconds}</integer>
    <key>ProcessType</key>
    <string>Background</string>
    <key>Umask</key>
    <integer>18</integer>
{more}</dict>
</plist>
"#
    )
}
