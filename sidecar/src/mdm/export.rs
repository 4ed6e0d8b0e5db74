//! `tollgate mdm export`.

use super::settings::{Keys, Profile, Settings};
use super::{Exported, admx, apple, chosen, format, given, intune, keys, registry, text};
use crate::args::mdm::{Format, Hive, Product, ProfileArgs};
use crate::failure::Failure;
use crate::policy::command::ask;
use crate::screen::{STDIN, Screen};
use crate::settings::{Data, FileError};
use contract::clients::Clients;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use url::Url;

/// What stands for the policy in force where a file is asked for.
pub const IN_FORCE: &str = "in-force";

/// A file that is written.
#[derive(Debug)]
pub struct Piece {
    /// Its path below the directory.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// Runs it.
///
/// # Errors
/// [`Failure`].
pub async fn run(wanted: &ProfileArgs, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let settings = given(&wanted.file, screen)?;
    let several = wanted.profile.is_none() && settings.given().nth(1).is_some();
    let into_folder = wanted.out.as_deref().is_some_and(is_folder);
    let profiles: Vec<&Profile> = if several && into_folder {
        settings.given().filter(|profile| !profile.of(wanted.product).is_empty()).collect()
    } else {
        vec![chosen(&settings, wanted.profile.as_deref())?]
    };
    let mut pieces = Vec::new();
    for profile in profiles {
        let mut keys = profile.of(wanted.product).clone();
        if wanted.policy.is_some() {
            derive(&mut keys, profile, wanted, data, screen).await?;
        }
        if keys.is_empty() {
            let client = intune::whose(wanted.product);
            let problem = format!(
                "profile {:?} says nothing for {client}: give it such keys, or `--for` the other",
                profile.name
            );
            return Err(Failure::Refused(problem));
        }
        let exported =
            Exported { product: wanted.product, keys: &keys, profile, settings: &settings };
        warn(&exported, wanted, screen);
        for piece in written(&exported, wanted, screen)? {
            if !pieces.iter().any(|other: &Piece| other.name == piece.name) {
                pieces.push(piece);
            }
        }
    }

    delivered(&pieces, wanted, &settings, screen)
}

fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with(['/', '\\'])
}

/// Windows' formats.
fn is_windows(format: Format) -> bool {
    matches!(format, Format::Reg | Format::Admx | Format::OmaUri)
}

/// What the table cannot know: for which system it is.
fn warn(exported: &Exported<'_>, wanted: &ProfileArgs, screen: &mut Screen) {
    let windows = is_windows(wanted.format);
    let Ok(table) = keys::of(exported.product) else { return };
    for (name, value) in exported.keys {
        let is_path =
            table.key(name).is_some_and(|key| key.format == Some(keys::Format::AbsolutePath));
        let path = value.as_str().filter(|_| is_path);
        if path.is_some_and(|path| format::is_windows(path) != windows) {
            let system = if windows { "Windows" } else { "this system" };
            screen.say(&format!("{name} is {value}, which is no path of {system}."));
        }
    }
    if windows && wanted.hive == Hive::Hkcu {
        screen.say(
            "HKCU is the person's own, and is not read at all where HKLM has any value of this policy.",
        );
    }
    if wanted.format == Format::Env && exported.product == Product::Desktop {
        screen.say(
            "The vendor documents /etc/claude-desktop/managed-settings.json (--format linux-json), and no variables.",
        );
    }
}

/// One profile in one format.
///
/// # Errors
/// [`Failure`], if there is no such format for this client.
pub fn written(
    exported: &Exported<'_>,
    wanted: &ProfileArgs,
    screen: &mut Screen,
) -> Result<Vec<Piece>, Failure> {
    let table = keys::of(exported.product)?;
    let profile = &exported.profile.name;
    let client = match exported.product {
        Product::Desktop => "claude-desktop",
        Product::Code => "claude-code",
    };
    let one = |ending: &str, text: String| {
        Ok(vec![Piece { name: format!("{profile}.{client}.{ending}"), text }])
    };
    match wanted.format {
        Format::Mobileconfig => one("mobileconfig", apple::mobileconfig(exported)?),
        Format::Plist => one("plist", apple::preferences(exported)?),
        Format::Reg => one("reg", registry::file(exported, wanted.hive)),
        Format::LinuxJson => one("json", pretty(&Value::Object(exported.keys.clone()))?),
        Format::Env => one("env", env(exported, screen)),
        Format::OmaUri => {
            let (rows, left) = intune::rows(exported, table, wanted.hive)?;
            if !left.is_empty() {
                let names = left.join(", ");
                screen
                    .say(&format!("No policy is there for: {names}. The registry file has them."));
            }
            let rows: Vec<Value> = rows.iter().map(intune::Row::object).collect();
            one("oma-uri.json", pretty(&Value::Array(rows))?)
        }
        Format::Admx => {
            let name = admx::name(exported.product);
            Ok(vec![
                Piece { name: format!("{name}.admx"), text: admx::admx(exported.product, table)? },
                Piece {
                    name: format!("en-US/{name}.adml"),
                    text: admx::adml(exported.product, table)?,
                },
                Piece {
                    name: format!("{profile}.{client}.policies.json"),
                    text: pretty(&intune::entries(exported, table))?,
                },
            ])
        }
    }
}

fn pretty(value: &Value) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');

    Ok(text)
}

/// Claude Code's own variables; Claude Desktop's keys, each as one.
fn env(exported: &Exported<'_>, screen: &mut Screen) -> String {
    if exported.product == Product::Desktop {
        return text::exports(
            exported.keys.iter().map(|(key, value)| (text::variable(key), value)),
        );
    }
    let left: Vec<&str> =
        exported.keys.keys().map(String::as_str).filter(|name| *name != "env").collect();
    if !left.is_empty() {
        screen.say(&format!("There are no variables for: {}.", left.join(", ")));
    }
    let variables = exported.keys.get("env").and_then(Value::as_object);

    text::exports(variables.into_iter().flatten().map(|(name, value)| (name.clone(), value)))
}

/// To a file, a directory or the screen.
fn delivered(
    pieces: &[Piece],
    wanted: &ProfileArgs,
    settings: &Settings,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let out = wanted.out.as_ref().filter(|out| out.as_os_str() != STDIN);
    let Some(out) = out else {
        return shown(pieces, wanted, screen);
    };
    let paths: Vec<(PathBuf, &Piece)> = match pieces {
        [piece] if !is_folder(out) => vec![(out.clone(), piece)],
        _ => pieces.iter().map(|piece| (out.join(&piece.name), piece)).collect(),
    };
    for (path, piece) in &paths {
        let utf16 = wanted.format == Format::Reg;
        let bytes =
            if utf16 { registry::utf16(&piece.text) } else { piece.text.clone().into_bytes() };
        let failed = |source| FileError::Write { path: path.clone(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(path, bytes).map_err(failed)?;
    }
    if screen.json() {
        let files: Vec<String> = paths.iter().map(|(path, _)| path.display().to_string()).collect();
        return screen.object(&json!({ "files": files, "organization": settings.organization }));
    }
    for (path, _) in &paths {
        screen.say(&format!("Wrote {}.", path.display()));
    }

    Ok(())
}

fn shown(pieces: &[Piece], wanted: &ProfileArgs, screen: &mut Screen) -> Result<(), Failure> {
    if screen.json() {
        let files: Vec<Value> =
            pieces.iter().map(|piece| json!({ "name": piece.name, "text": piece.text })).collect();
        return screen.object(&json!({ "files": files }));
    }
    let [piece] = pieces else {
        return Err(Failure::Refused("that is several files: say --out DIR/".to_owned()));
    };
    if wanted.format == Format::OmaUri {
        let rows: Vec<Value> = serde_json::from_str(&piece.text)?;
        screen.say("As a table. --out FILE and --json have the values whole.");
        return screen.table(&["NAME", "OMA-URI", "DATA TYPE", "VALUE"], &cells(&rows));
    }
    if wanted.format == Format::Reg {
        screen.say("As text. regedit wants UTF-16, which --out FILE writes.");
    }

    screen.print(&piece.text)
}

/// Rows for people: the template is not shown whole.
fn cells(rows: &[Value]) -> Vec<Vec<String>> {
    let cell = |row: &Value, name: &str| {
        let text = row.get(name).and_then(Value::as_str).unwrap_or_default();
        if text.starts_with("<?xml") {
            format!("(the template, {} characters)", text.chars().count())
        } else {
            text.to_owned()
        }
    };
    let names = ["name", "oma_uri", "data_type", "value"];

    rows.iter().map(|row| names.iter().map(|name| cell(row, name)).collect()).collect()
}

/// Fills in what the policy opens.
async fn derive(
    keys: &mut Keys,
    profile: &Profile,
    wanted: &ProfileArgs,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let file = wanted.policy.as_deref().filter(|file| file.as_os_str() != IN_FORCE);
    let (policy, version) = ask::meant(file, data, screen).await?;
    let (somebody, _) = ask::somebody(&wanted.caller, data).await?;
    let url = origin(profile, wanted.product)?;
    if let Some(helper) = wanted.helper.as_deref().filter(|helper| !format::is_absolute(helper)) {
        let problem = format!("--helper is {helper:?}, and clients want an absolute path");
        return Err(Failure::Refused(problem));
    }
    let clients = Clients {
        policy: &policy,
        subject: somebody.subject(),
        url: &url,
        helper: wanted.helper.as_deref(),
    };
    let made = match wanted.product {
        Product::Desktop => clients.cowork(wanted.strict),
        Product::Code => clients.claude_code_settings(),
    };
    for warning in &made.warnings {
        screen.say(&format!("{}: {}: {}", warning.server, warning.tools, warning.problem));
    }
    for (name, value) in made.document.as_object().into_iter().flatten() {
        let value = match keys.get(name) {
            None => value.clone(),
            Some(said) if said == value => continue,
            Some(said) if name == "permissions" => joined(said, value),
            Some(_) => {
                return Err(Failure::Refused(format!(
                    "profile {:?} says {name} itself, and policy {version} says another thing: leave it \
                     out of the profile, or export without --policy",
                    profile.name
                )));
            }
        };
        keys.insert(name.clone(), value);
    }

    Ok(())
}

/// Where the client reaches the gateway, by its own settings.
fn origin(profile: &Profile, product: Product) -> Result<String, Failure> {
    let said = match product {
        Product::Desktop => profile.desktop.get("inferenceGatewayBaseUrl"),
        Product::Code => {
            let env = profile.code.get("env").and_then(|env| env.get("ANTHROPIC_BASE_URL"));
            env.or_else(|| profile.code.get("forceLoginGatewayUrl"))
        }
    };
    let url = said.and_then(Value::as_str).and_then(|text| Url::parse(text).ok());
    let Some(url) = url else {
        let problem = format!("profile {:?} says no address of the gateway", profile.name);
        return Err(Failure::Refused(problem));
    };

    Ok(url.origin().ascii_serialization())
}

/// Both lists of permissions.
fn joined(said: &Value, made: &Value) -> Value {
    let mut both = said.clone();
    for (name, list) in made.as_object().into_iter().flatten() {
        let Some(both) = both.as_object_mut() else { continue };
        let of = both.entry(name.clone()).or_insert_with(|| json!([]));
        if let (Some(of), Some(list)) = (of.as_array_mut(), list.as_array()) {
            let new: Vec<Value> = list.iter().filter(|one| !of.contains(one)).cloned().collect();
            of.extend(new);
        }
    }

    both
}
