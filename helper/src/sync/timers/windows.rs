//! Windows: the Task Scheduler. It watches no folders, so the system's half comes more often; and who may write what is said
//! to the system's own tool.

use super::{Timers, xml};
use crate::sync::install::plan::Act;
use crate::sync::places::{Os, Usual};
use std::path::{Path, PathBuf};

const APPLY: &str = r"\Tollgate\Sync apply";
const FETCH: &str = r"\Tollgate\Sync fetch";

const ADMINISTRATORS: &str = "*S-1-5-32-544";

/// How often the system's half looks into the inboxes.
const OFTEN: u64 = 5 * 60; // seconds

fn folder() -> String {
    let config = Usual::of(Os::Windows).config;
    let folder = config.rsplit_once('\\').map(|(folder, _)| folder.to_owned());

    folder.unwrap_or_default()
}

/// Names differ by language, numbers do not: the system, its administrators, its users, who made something.
const SYSTEM: &str = "*S-1-5-18:(OI)(CI)F";
const ADMINS: &str = "*S-1-5-32-544:(OI)(CI)F";
const CREATOR: &str = "*S-1-3-0:(OI)(CI)(IO)F";
/// All may read.
const READ: &str = "*S-1-5-32-545:(OI)(CI)RX";
/// All may make a folder there; not list what is there, nor write to it: an empty folder that somebody may write can be made
/// a link.
const LEAVE: &str = "*S-1-5-32-545:(X,RC,S,RA,AD)";
/// Everybody, who is signed in, who sits there: who may have been given something by hand.
const OTHERS: [&str; 3] = ["*S-1-1-0", "*S-1-5-11", "*S-1-5-4"];

/// A folder for these and nobody else. At no moment it is open meanwhile.
fn closed(path: &Path, rights: &[&str]) -> Vec<Act> {
    let path = path.to_string_lossy();
    let act = |words: &[&str]| Act::run(&[&["icacls", &*path], words, &["/L", "/Q"]].concat());

    vec![
        act(&["/setowner", ADMINISTRATORS]),
        act(&[&["/inheritance:r", "/grant:r"], rights].concat()),
        act(&[&["/remove:g"], &OTHERS[..]].concat()),
    ]
}

/// Anybody may make a folder in `ProgramData`: one that somebody made stays theirs, whatever is said of it. Ours is made or
/// seen to be the administrators', and closed, before anything in it is believed or made: what is made there is closed from its
/// first moment.
pub(super) fn closing(config: &Path) -> Vec<Act> {
    let ours = PathBuf::from(folder());
    let mut acts =
        vec![Act::Folder { path: ours.clone(), mode: 0o755 }, Act::Trusted(ours.clone())];
    acts.extend(closed(&ours, &[SYSTEM, ADMINS, READ]));
    acts.push(Act::Closed(ours));
    acts.extend(believing(config));

    acts
}

pub(super) fn believing(config: &Path) -> Vec<Act> {
    vec![Act::Trusted(config.to_owned()), Act::Closed(config.to_owned())]
}

/// The folders, also where they were configured elsewhere; and the program that the system will run.
pub(super) fn guarded(timers: &Timers<'_>) -> Vec<Act> {
    let (settings, helper) = (timers.settings, Path::new(timers.helper));
    let places = [&settings.state, &settings.inbox, &settings.pins, &settings.mount];
    let mut acts: Vec<Act> = places.iter().map(|it| Act::Trusted((*it).clone())).collect();
    let above = places.iter().map(|it| it.as_path()).chain([helper]).filter_map(Path::parent);
    acts.extend(above.map(|it| Act::Closed(it.to_owned())));
    acts.extend([Act::Trusted(helper.to_owned()), Act::Closed(helper.to_owned())]);

    acts
}

pub(super) fn install(timers: &Timers<'_>) -> Vec<Act> {
    let settings = timers.settings;
    let ours = folder();
    let (apply_xml, fetch_xml) =
        (format!(r"{ours}\sync-apply.xml"), format!(r"{ours}\sync-fetch.xml"));
    let task = |path: &str, text: String| Act::Task { path: path.into(), text };
    let mut acts = closed(&settings.state, &[SYSTEM, ADMINS]);
    acts.extend(closed(&settings.inbox, &[SYSTEM, ADMINS, LEAVE, CREATOR]));
    acts.extend(closed(&settings.mount, &[SYSTEM, ADMINS, READ]));
    acts.extend([&settings.state, &settings.mount].map(|it| Act::Closed(it.clone())));
    acts.push(task(&apply_xml, apply(timers)));
    acts.push(task(&fetch_xml, fetch(timers)));
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
        r#"<?xml version="1.0" encoding="UTF-16"?>
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
