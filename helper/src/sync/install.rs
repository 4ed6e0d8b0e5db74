//! Lays down what a sync takes, as the administrator: the pinned keys, the folders and whose they are, the machine's
//! configuration, the timers.

mod guard;
pub mod plan;

use super::args::{Install, Uninstall};
use super::pins;
use super::places::{self, Member, Os, Settings, Usual, below};
use super::timers::Timers;
use crate::config;
use crate::config::file::{At, Members};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::run;
use crate::say;
use plan::Act;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Lays it down.
///
/// # Errors
/// [`Failure`].
pub fn install(wanted: &Install) -> Result<(), Failure> {
    let os = wanted.os.unwrap_or(Os::HERE);
    let root = root(wanted.root.as_deref())?;
    // Before a file of the machine is believed, nobody else can have written it.
    let path = file(os, root.as_deref(), wanted.print);
    let closing = Timers::closing(os, &path);
    if !wanted.print {
        perform(&closing, root.as_deref(), wanted.dry_run)?;
    }
    // For another system there is nothing here to keep.
    let keeps = os == Os::HERE && !wanted.print;
    let members = if keeps { machine(&path, root.as_deref())? } else { Members::default() };
    let acts = installing(wanted, os, root.as_deref(), (path, members))?;
    if wanted.print {
        return run::write(&plan::printed(&[closing, acts].concat()));
    }
    perform(&acts, root.as_deref(), wanted.dry_run)?;
    if !wanted.dry_run {
        say(
            "Installed. `tollgate-helper login` signs a person in; `tollgate-helper sync status` tells what stands.",
        );
    }

    Ok(())
}

/// Takes it away again.
///
/// # Errors
/// [`Failure`].
pub fn uninstall(wanted: &Uninstall) -> Result<(), Failure> {
    let root = root(wanted.root.as_deref())?;
    let path = file(Os::HERE, root.as_deref(), false);
    perform(&Timers::believing(Os::HERE, &path), root.as_deref(), wanted.dry_run)?;
    let mut members = machine(&path, root.as_deref())?;
    let settings = Settings::new(&members.sync.take().unwrap_or_default(), Os::HERE, None);
    let mut acts = Timers::uninstall(Os::HERE);
    acts.push(Act::Remove(settings.inbox));
    let text = json(&members);
    acts.push(if text.trim() == "{}" { Act::Remove(path) } else { Act::file(path, text) });
    if wanted.purge {
        acts.extend([settings.mount, settings.state, settings.pins].map(Act::Remove));
    }

    perform(&acts, root.as_deref(), wanted.dry_run)
}

/// Below which folder, if not the system's root.
fn root(wanted: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let root = wanted.map(Path::to_path_buf).or_else(places::root);

    root.map(std::path::absolute)
        .transpose()
        .map_err(|error| Failure::Usage(format!("--root: {error}")))
}

fn perform(acts: &[Act], root: Option<&Path>, dry_run: bool) -> Result<(), Failure> {
    for act in acts {
        let idle = root.is_some() && act.is_of_the_machine();
        if dry_run || idle {
            run::write(&format!("would {}\n", act.told()))?;
        } else {
            act.perform(root)?;
        }
    }

    Ok(())
}

/// Where the machine's configuration is; for another machine, at its usual place.
fn file(os: Os, root: Option<&Path>, print: bool) -> PathBuf {
    let named = std::env::var_os(config::MACHINE).filter(|path| !path.is_empty());

    match (named, root) {
        (Some(path), None) if os == Os::HERE && !print => PathBuf::from(path),
        _ => Usual::of(os).config.into(),
    }
}

/// The machine's configuration, as it is.
fn machine(path: &Path, root: Option<&Path>) -> Result<Members, Failure> {
    let place = below(root, &path.to_string_lossy());

    match fs::read_to_string(&place) {
        Ok(text) => Members::read(&text).map_err(|why| Failure::Configuration { path: place, why }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Members::default()),
        Err(source) => Err(Failure::NoFile { path: place, source }),
    }
}

fn json(members: &Members) -> String {
    let mut text = serde_json::to_string_pretty(members).unwrap_or_default();
    text.push('\n');

    text
}

fn installing(
    wanted: &Install,
    os: Os,
    root: Option<&Path>,
    (path, mut members): (PathBuf, Members),
) -> Result<Vec<Act>, Failure> {
    let member = Member {
        mount: wanted.mount.clone(),
        audience: wanted.audience.clone(),
        ..Member::default()
    };
    let before = members.sync.take().unwrap_or_default();
    let member = Member {
        mount: member.mount.or(before.mount),
        audience: member.audience.or(before.audience),
        ..before
    };
    let settings = Settings::new(&member, os, None);
    below_a_folder(&settings.mount)?;
    members.sync = Some(member);
    if let Some(url) = &wanted.gateway {
        let ca = wanted.ca.as_deref().map(config::text_of).transpose()?;
        let gateway = Gateway::new(url, ca)?;
        members.gateway = Some(At { url: gateway.url, ca: gateway.ca });
    }
    let keys = keys(wanted, &below(root, &settings.pins.to_string_lossy()))?;
    let helper = helper(wanted, os, root)?;
    let timers = Timers {
        os,
        settings: &settings,
        helper: &helper,
        interval: wanted.interval.0,
        user: wanted.user.as_deref(),
    };
    let mut acts = timers.guarded();
    acts.extend([
        Act::Folder { path: settings.state.clone(), mode: 0o700 },
        // Everybody may lay something into it; nobody may touch what is another's.
        Act::Folder { path: settings.inbox.clone(), mode: 0o1733 },
        Act::Folder { path: settings.mount.clone(), mode: 0o755 },
    ]);
    acts.extend(keys.map(|text| Act::file(settings.pins.clone(), text)));
    acts.push(Act::file(path, json(&members)));
    acts.extend(timers.install());

    Ok(acts)
}

/// Beside the folder of plugins stands its successor: the system's root is no place for that, and its half may not write it.
fn below_a_folder(mount: &Path) -> Result<(), Failure> {
    let mount = mount.to_string_lossy();
    let parts = mount.split(['/', '\\']).filter(|part| !part.is_empty() && !part.ends_with(':'));
    if parts.count() > 1 {
        return Ok(());
    }

    Err(Failure::Usage(format!("--mount {mount}: must lie in a folder that is not the root")))
}

/// The keys to pin; none if those stay that are.
fn keys(wanted: &Install, place: &Path) -> Result<Option<String>, Failure> {
    if wanted.pin.is_empty() {
        if wanted.print || place.exists() {
            return Ok(None);
        }
        return Err(Failure::Usage("no key is pinned: give one with --pin".into()));
    }
    let keys = pins::given(&wanted.pin).map_err(|why| Failure::Usage(format!("--pin {why}")))?;
    let mut text = serde_json::to_string_pretty(&keys).unwrap_or_default();
    text.push('\n');

    Ok(Some(text))
}

fn helper(wanted: &Install, os: Os, root: Option<&Path>) -> Result<String, Failure> {
    if let Some(helper) = &wanted.helper {
        return Ok(helper.to_string_lossy().into_owned());
    }
    if wanted.print || root.is_some() {
        return Ok(Usual::of(os).helper);
    }
    let here =
        std::env::current_exe().map_err(|error| Failure::Usage(format!("--helper: {error}")))?;

    Ok(here.to_string_lossy().into_owned())
}
