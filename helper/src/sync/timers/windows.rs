//! Windows: the Task Scheduler. It watches no folders, so the system's half comes more often; and who may write what is said
//! to the system's own tool.

use super::{Timers, xml};
use crate::sync::install::plan::Act;
use crate::sync::places::{Os, Usual};

const APPLY: &str = r"\Tollgate\Sync apply";
const FETCH: &str = r"\Tollgate\Sync fetch";

/// By number, since the names differ by language.
const ADMINISTRATORS: &str = "*S-1-5-32-544";

/// How often the system's half looks into the inboxes.
const OFTEN: u64 = 5 * 60; // seconds

fn folder() -> String {
    let config = Usual::of(Os::Windows).config;
    let folder = config.rsplit_once('\\').map(|(folder, _)| folder.to_owned());

    folder.unwrap_or_default()
}

pub(super) fn install(timers: &Timers<'_>) -> Vec<Act> {
    let settings = timers.settings;
    let ours = folder();
    let (apply_xml, fetch_xml) =
        (format!(r"{ours}\sync-apply.xml"), format!(r"{ours}\sync-fetch.xml"));
    // By number, since the names differ by language: system, administrators, users, who made it.
    let (system, admins, users) =
        ("*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F", "*S-1-5-32-545");
    let read = format!("{users}:(OI)(CI)RX");
    let leave = format!("{users}:(RX,AD,WD)");
    let mut acts = vec![
        Act::file(apply_xml.clone(), apply(timers)),
        Act::file(fetch_xml.clone(), fetch(timers)),
    ];
    let icacls = |path: &str, words: &[&str]| {
        Act::run(&[&["icacls", path, "/inheritance:r", "/grant:r"], words].concat())
    };
    let (state, inbox) = (settings.state.to_string_lossy(), settings.inbox.to_string_lossy());
    // Anybody may have made them before: whose a folder is may open it again.
    let all: &[&str] = &["/T"];
    for (path, deep) in [(&*ours, &[][..]), (&*inbox, &[]), (&*state, all)] {
        let act = |words: &[&str]| Act::run(&[&["icacls", path], words, deep, &["/Q"]].concat());
        acts.push(act(&["/setowner", ADMINISTRATORS]));
        acts.push(act(&["/reset"]));
    }
    acts.push(icacls(&ours, &[system, admins, &read]));
    acts.push(icacls(&state, &[system, admins]));
    acts.push(icacls(&inbox, &[system, admins, &leave, "*S-1-3-0:(OI)(CI)(IO)F"]));
    acts.push(icacls(&settings.mount.to_string_lossy(), &[system, admins, &read]));
    acts.push(Act::run(&["schtasks", "/Create", "/F", "/TN", APPLY, "/XML", &apply_xml]));
    acts.push(Act::run(&["schtasks", "/Create", "/F", "/TN", FETCH, "/XML", &fetch_xml]));
    acts.push(Act::try_run(&["schtasks", "/Run", "/TN", APPLY]));

    acts
}

pub(super) fn uninstall() -> Vec<Act> {
    let ours = folder();

    vec![
        Act::try_run(&["schtasks", "/Delete", "/F", "/TN", APPLY]),
        Act::try_run(&["schtasks", "/Delete", "/F", "/TN", FETCH]),
        Act::Remove(format!(r"{ours}\sync-apply.xml").into()),
        Act::Remove(format!(r"{ours}\sync-fetch.xml").into()),
    ]
}

fn apply(timers: &Timers<'_>) -> String {
    let often = timers.interval.as_secs().min(OFTEN);
    let triggers = format!(
        "    <BootTrigger>\n      <Enabled>true</Enabled>\n      <Delay>PT1M</Delay>\n    </BootTrigger>\n{}",
        by_the_clock(often, 30)
    );
    let principal =
        "      <UserId>S-1-5-18</UserId>\n      <RunLevel>HighestAvailable</RunLevel>\n";

    task(timers.helper, "sync apply", &triggers, principal)
}

fn fetch(timers: &Timers<'_>) -> String {
    let triggers = format!(
        "    <LogonTrigger>\n      <Enabled>true</Enabled>\n      <Delay>PT10S</Delay>\n    </LogonTrigger>\n{}",
        by_the_clock(timers.interval.as_secs(), timers.jitter())
    );
    // INTERACTIVE: whoever is signed in, as themselves.
    let principal = "      <GroupId>S-1-5-4</GroupId>\n      <RunLevel>LeastPrivilege</RunLevel>\n";

    task(timers.helper, "sync fetch", &triggers, principal)
}

fn by_the_clock(seconds: u64, jitter: u64) -> String {
    format!(
        "    <TimeTrigger>
      <Repetition>
        <Interval>PT{seconds}S</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
      <StartBoundary>2026-01-01T00:00:00</StartBoundary>
      <Enabled>true</Enabled>
      <RandomDelay>PT{jitter}S</RandomDelay>
    </TimeTrigger>
"
    )
}

fn task(helper: &str, words: &str, triggers: &str, principal: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers>
{triggers}  </Triggers>
  <Principals>
    <Principal id="Author">
{principal}    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <Enabled>true</Enabled>
    <Hidden>true</Hidden>
    <ExecutionTimeLimit>PT30M</ExecutionTimeLimit>
    <Priority>7</Priority>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{helper}</Command>
      <Arguments>{words}</Arguments>
    </Exec>
  </Actions>
</Task>
"#,
        helper = xml(helper),
    )
}
