//! Envoy's own word: the real binary looks at one static configuration, and what it says is led back to file and line.
//!
//! What it says when it refuses may hold the whole configuration: only its sentence is taken, and secrets that stand in
//! it are taken out.

use super::fault::Fault;
use super::files::{Set, Use, is_private};
use super::mask::Secrets;
use super::place::EnvoyPlace;
use super::tree::{Tree, TreeKind};
use crate::failure::Failure;
use crate::keys;
use crate::settings::{self, FileError};
use contract::envelope::hex;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long Envoy may take. It takes 0.3 s.
const PATIENCE: Duration = Duration::from_mins(1);

/// Longest sentence, in characters.
const LONGEST: usize = 600;

/// A directory that is gone when it is dropped. Only its owner reads it: the secrets are inside.
struct Private(PathBuf);

impl Private {
    fn new() -> Result<Self, Failure> {
        let name = format!("tollgate-check-{}", hex(&keys::random::<12>()?));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|source| FileError::Write { path: path.clone(), source })?;

        Ok(Self(path))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Has Envoy look at it; what it finds, if anything. It stops at the first.
///
/// # Errors
/// [`Failure`], if it cannot be asked.
pub async fn validate(
    whole: &Tree,
    place: &EnvoyPlace,
    set: &Set,
    secrets: &Secrets,
) -> Result<Option<Fault>, Failure> {
    let private = Private::new()?;
    let file = private.0.join("check.yaml");
    settings::write_once(&file, whole.flow().as_bytes(), 0o600)?;
    let said = ask(&place.bin, &place.dir, &file).await?;
    drop(private);

    Ok(said.map(|said| read(&said, whole, set, secrets)))
}

async fn ask(bin: &Path, dir: &Path, file: &Path) -> Result<Option<String>, Failure> {
    let mut command = Command::new(bin);
    command
        .args([
            "--mode",
            "validate",
            "--reject-unknown-dynamic-fields",
            "--log-level",
            "error",
            "-c",
        ])
        .arg(file)
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let cannot = |why: String| {
        let name = bin.display();
        Failure::Refused(format!("{name} cannot be asked: {why}; --envoy-bin names Envoy's binary"))
    };
    let output = match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(cannot(error.to_string())),
        Err(_elapsed) => return Err(cannot("it does not come to an end".into())),
    };
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !said.contains("error initializing configuration") {
        let first: String = said.lines().last().unwrap_or_default().chars().take(200).collect();
        return Err(cannot(format!("it ended with {}: {first}", output.status)));
    }

    Ok(Some(said))
}

/// What Envoy said, as a fault with a place.
pub(super) fn read(said: &str, whole: &Tree, set: &Set, secrets: &Secrets) -> Fault {
    let sentence = sentence(said);
    let clean = secrets.redact(&sentence);
    let clean: String = clean.chars().take(LONGEST).collect();
    let (origin, problem) = if let Some(rest) = after(&sentence, " @ ") {
        let path = rest.split_once(": ").map_or(rest, |(path, _)| path);
        let member = between(&sentence, "no such field: '", "'");
        (find(whole, path, member), without_place(&clean))
    } else if sentence.contains("ValidationError") {
        (find(whole, &constraint(&sentence), None), reason(&clean))
    } else if sentence.starts_with(GATE) {
        (extension(set), clean)
    } else {
        (quoted(set, &sentence), clean)
    };
    let mut problem = format!("Envoy: {problem}");
    if origin.as_ref().is_none_or(|(file, _)| is_private(file)) {
        problem = veiled(&problem);
    }

    match origin {
        Some((file, at)) => Fault::at(&file, at, problem),
        None => Fault::somewhere(problem),
    }
}

/// How the sentence of a filter of ours begins.
const GATE: &str = "the filter says: ";

/// The sentence alone, without the configuration that Envoy puts before or behind it.
fn sentence(said: &str) -> String {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(told) = after(&said, "Proto constraint validation failed (") {
        return told.trim_end().trim_end_matches(')').to_owned();
    }
    if let Some(told) = after(&said, "wasm log ") {
        let told = told.split(" [20").next().unwrap_or_default();
        let told = told.split_once(": ").map_or(told, |(_, told)| told);
        return format!("{GATE}{told}");
    }
    let told = after(&said, "error initializing configuration '").unwrap_or_default();
    let told = told.split_once("': ").map_or(told, |(_, told)| told);
    if let Some(rest) = told.strip_prefix("Unable to parse JSON as proto (") {
        return rest.split("): {").next().unwrap_or_default().to_owned();
    }
    if told.starts_with("goo.gle/debug") {
        return "a value is out of its range".to_owned();
    }
    // Whatever else is not known to come without it.
    told.split(['{', '\n']).next().unwrap_or_default().trim().to_owned()
}

fn after<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    after(text, start)?.split_once(end).map(|(inner, _)| inner)
}

/// `…: message envoy.X, near 1:30580 (offset 30579): no such field: 'x') has unknown fields` → what is behind the offset.
fn without_place(sentence: &str) -> String {
    let Some(rest) = after(sentence, "(offset ").and_then(|rest| after(rest, "): ")) else {
        return sentence.to_owned();
    };

    rest.trim_end_matches(" has unknown fields").trim_end_matches(')').to_owned()
}

/// `XValidationError.StaticResources: … | caused by YValidationError.Clusters[1]: …` as a path.
fn constraint(sentence: &str) -> String {
    let steps = sentence.split("caused by ").filter_map(|step| {
        let member = after(step, "ValidationError.")?.split(':').next()?;
        Some(snake(member))
    });

    steps.collect::<Vec<_>>().join(".")
}

/// The last cause: what is wrong with the value itself.
fn reason(sentence: &str) -> String {
    let last = sentence.split("caused by ").last().unwrap_or(sentence);
    let Some(rest) = after(last, "ValidationError.") else { return last.to_owned() };

    match rest.split_once(": ") {
        Some((member, why)) => format!("{}: {why}", snake(member)),
        None => rest.to_owned(),
    }
}

fn snake(member: &str) -> String {
    let mut snake = String::new();
    for sign in member.chars() {
        if sign.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(sign.to_ascii_lowercase());
    }

    snake
}

/// A sentence without what it quotes, unless that is written as a field is: a secret may stand where a name belongs.
fn veiled(sentence: &str) -> String {
    let is_name = |word: &str| word.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    let words = sentence.split('\'').enumerate().map(|(index, word)| {
        let quoted = index % 2 == 1;
        if quoted && word.len() > 1 && !is_name(word) { "…" } else { word }
    });

    words.collect::<Vec<_>>().join("'")
}

type Place = (String, crate::policy::yaml::At);

/// The deepest place of a path such as `static_resources.clusters[1].typed_config.<any>.x` that a file stands behind.
fn find(whole: &Tree, path: &str, member: Option<&str>) -> Option<Place> {
    let mut tree = whole;
    let mut place = None;
    let names = path.split(['.', '[', ']', '"']).filter(|it| !it.is_empty() && *it != "<any>");
    let mut names = names.peekable();
    while let Some(name) = names.next() {
        let next = match &tree.kind {
            TreeKind::List(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            TreeKind::Map(_) => {
                // Keys of a map are names with dots in them: take as many words as one of them has.
                let mut key = name.to_owned();
                while tree.get(&key).is_none()
                    && let Some(more) = names.peek()
                    && tree
                        .members()
                        .iter()
                        .any(|(known, _, _)| known.starts_with(&format!("{key}.")))
                {
                    key = format!("{key}.{more}");
                    names.next();
                }
                tree.get(&key)
            }
            TreeKind::Scalar { .. } => None,
        };
        let Some(next) = next else { break };
        if let Some(file) = &next.origin.file {
            place = Some((file.to_string(), next.origin.at));
        }
        tree = next;
    }
    if let Some(at) = member.and_then(|member| tree.key(member))
        && let Some((_, known)) = &mut place
    {
        *known = at;
    }

    place
}

/// Where our filter's configuration stands.
fn extension(set: &Set) -> Option<Place> {
    let mut place = None;
    for (file, resource) in set.resources(Use::Extensions) {
        resource.each_map(&mut |map| {
            if let Some(configuration) = map.get("configuration") {
                place = Some((file.to_owned(), configuration.origin.at));
            }
        });
    }

    place
}

/// The first value of a file, not the bootstrap's, that Envoy quotes in its sentence: a cluster, a path.
fn quoted(set: &Set, sentence: &str) -> Option<Place> {
    let mut words: Vec<&str> = sentence.split('\'').skip(1).step_by(2).collect();
    words.extend(after(sentence, "path: "));
    words.extend(after(sentence, "invalid file path "));
    let mut place = None;
    for name in set.files().keys().filter(|name| set.use_of(name).is_some()) {
        let Some(tree) = set.tree(name) else { continue };
        let mut look = |map: &Tree| {
            for (_, _, member) in map.members() {
                let hit = member.text().is_some_and(|text| words.contains(&text));
                if hit && place.is_none() {
                    place = Some((name.clone(), member.origin.at));
                }
            }
        };
        tree.each_map(&mut |map| look(map));
    }

    place
}

#[cfg(test)]
mod tests;
