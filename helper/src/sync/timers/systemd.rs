//! Linux: systemd. The system's half has no network at all and may write two folders; the person's is a unit of each user.

use super::Timers;
use crate::sync::install::plan::Act;

const SYSTEM: &str = "/etc/systemd/system";
const USER: &str = "/etc/systemd/user";

pub(super) fn install(timers: &Timers<'_>) -> Vec<Act> {
    let mut acts = vec![
        Act::file(format!("{SYSTEM}/tollgate-sync-apply.service"), apply(timers)),
        Act::file(format!("{SYSTEM}/tollgate-sync-apply.path"), path(timers)),
        Act::file(format!("{SYSTEM}/tollgate-sync-apply.timer"), apply_timer(timers)),
        Act::file(format!("{USER}/tollgate-sync-fetch.service"), fetch(timers)),
        Act::file(format!("{USER}/tollgate-sync-fetch.timer"), fetch_timer(timers)),
    ];
    acts.extend(links().into_iter().map(|(path, to)| Act::Link { path: path.into(), to }));
    acts.push(Act::run(&["systemctl", "daemon-reload"]));
    for unit in ["tollgate-sync-apply.path", "tollgate-sync-apply.timer"] {
        acts.push(Act::run(&["systemctl", "restart", unit]));
    }
    acts.push(Act::run(&["systemctl", "start", "--no-block", "tollgate-sync-apply.service"]));
    if let Some(user) = timers.user {
        let of = format!("{user}@");
        acts.push(Act::run(&["systemctl", "--user", "-M", &of, "daemon-reload"]));
        acts.push(Act::run(&[
            "systemctl",
            "--user",
            "-M",
            &of,
            "start",
            "tollgate-sync-fetch.timer",
        ]));
    }

    acts
}

pub(super) fn uninstall() -> Vec<Act> {
    let mut acts = vec![Act::try_run(&[
        "systemctl",
        "stop",
        "tollgate-sync-apply.path",
        "tollgate-sync-apply.timer",
    ])];
    acts.extend(links().into_iter().map(|(path, _)| Act::Remove(path.into())));
    for name in ["service", "path", "timer"] {
        acts.push(Act::Remove(format!("{SYSTEM}/tollgate-sync-apply.{name}").into()));
    }
    for name in ["service", "timer"] {
        acts.push(Act::Remove(format!("{USER}/tollgate-sync-fetch.{name}").into()));
    }
    acts.push(Act::try_run(&["systemctl", "daemon-reload"]));

    acts
}

/// What `systemctl enable` would make; so it holds in an image too.
fn links() -> Vec<(String, String)> {
    [
        (SYSTEM, "multi-user.target.wants", "tollgate-sync-apply.path"),
        (SYSTEM, "timers.target.wants", "tollgate-sync-apply.timer"),
        (USER, "timers.target.wants", "tollgate-sync-fetch.timer"),
    ]
    .map(|(place, target, unit)| (format!("{place}/{target}/{unit}"), format!("{place}/{unit}")))
    .into()
}

/// A path as systemd reads it: quoted, and `%` is its own.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

fn apply(timers: &Timers<'_>) -> String {
    let settings = timers.settings;
    // Beside the folder of plugins stands its successor, before the two change places.
    let above = settings.mount.parent().unwrap_or(&settings.mount);

    format!(
        "[Unit]
Description=Puts in place what Tollgate's signed manifest says
ConditionPathExists={pins}
# Whoever wakes it often does not put it to sleep.
StartLimitIntervalSec=0

[Service]
Type=oneshot
# A file that never answers, such as one of a file system that somebody serves, ends it; the next run begins anew.
TimeoutStartSec=30min
ExecStart={helper} sync apply
UMask=0022
# It takes no network and no credential.
PrivateNetwork=yes
RestrictAddressFamilies=none
IPAddressDeny=any
ProtectSystem=strict
ReadWritePaths={above} {state}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateIPC=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
# To read the inboxes, which are their owners' alone.
CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER
MemoryMax=512M
Nice=10
",
        helper = quoted(timers.helper),
        pins = settings.pins.display(),
        above = quoted(&above.to_string_lossy()),
        state = quoted(&settings.state.to_string_lossy()),
    )
}

fn path(timers: &Timers<'_>) -> String {
    format!(
        "[Unit]
Description=Watches the inboxes of Tollgate's signed manifest

[Path]
PathChanged={inbox}
Unit=tollgate-sync-apply.service

[Install]
WantedBy=multi-user.target
",
        inbox = timers.settings.inbox.display(),
    )
}

fn apply_timer(timers: &Timers<'_>) -> String {
    format!(
        "[Unit]
Description=Looks after what Tollgate's signed manifest says

[Timer]
OnBootSec=1min
OnUnitActiveSec={seconds}s
RandomizedDelaySec=30s

[Install]
WantedBy=timers.target
",
        seconds = timers.interval.as_secs(),
    )
}

fn fetch(timers: &Timers<'_>) -> String {
    format!(
        "[Unit]
Description=Fetches Tollgate's signed manifest
ConditionUser=!@system

[Service]
Type=oneshot
ExecStart={helper} sync fetch
Environment=CLAUDE_HELPER_CONTEXT=background
NoNewPrivileges=yes
Nice=10
",
        helper = quoted(timers.helper),
    )
}

fn fetch_timer(timers: &Timers<'_>) -> String {
    format!(
        "[Unit]
Description=Fetches Tollgate's signed manifest at log-in and by the clock

[Timer]
OnStartupSec=10s
OnUnitActiveSec={seconds}s
RandomizedDelaySec={jitter}s

[Install]
WantedBy=timers.target
",
        seconds = timers.interval.as_secs(),
        jitter = timers.jitter(),
    )
}
