//! `tollgate mdm`: what device management takes is read back by parsers that are not ours, to the same settings.

use crate::starts::{text, tollgate};
use crate::world::{Fallible, Place};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../mdm/settings.yaml");
const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sidecar/goldens/mdm");
const READERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sidecar/mdm_readers.py");

/// What a parser that is not ours says.
fn reads(words: &[&Path]) -> Fallible<Value> {
    let mut command = Command::new("python3");
    let out = command.env("PYTHONDONTWRITEBYTECODE", "1").arg(READERS).args(words).output()?;
    assert!(out.status.success(), "{words:?}: {}", text(&out.stderr));
    Ok(serde_json::from_slice(&out.stdout)?)
}

/// Exports into a folder; the paths that were written.
fn exports(place: &Place, words: &[&str], folder: &Path) -> Fallible<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let folder = format!("{}/", folder.display());
    let all = [&["mdm", "export", "--json", "--out", &folder], words].concat();
    let out = tollgate(place, &all)?;
    assert!(out.status.success(), "{words:?}: {}", text(&out.stderr));
    let said: Value = serde_json::from_slice(&out.stdout)?;
    let files = said.get("files").and_then(Value::as_array).ok_or("no files")?;
    Ok(files.iter().filter_map(Value::as_str).map(PathBuf::from).collect())
}

/// The one file that was written.
fn one(paths: Vec<PathBuf>) -> Fallible<PathBuf> {
    paths.into_iter().next().ok_or_else(|| "nothing was written".into())
}

/// What stands at a JSON pointer (RFC 6901).
fn at<'v>(value: &'v Value, pointer: &str) -> Fallible<&'v Value> {
    value.pointer(pointer).ok_or_else(|| format!("nothing at {pointer}").into())
}

/// As preference stores keep them.
fn strings(native: &Value) -> Value {
    let string = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let members = native.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.clone(), Value::from(string(value)))).collect()
}

fn without_payload(dictionary: &Value) -> Value {
    let members = dictionary.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| !name.starts_with("Payload"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What a shell makes of the lines.
fn shell(file: &Path) -> Fallible<Map<String, Value>> {
    let script = ". \"$1\"; exec env -0";
    let out = Command::new("/bin/sh").env_clear().args(["-c", script, "sh"]).arg(file).output()?;
    assert!(out.status.success(), "{}", text(&out.stderr));
    let all = String::from_utf8(out.stdout)?;
    let pairs = all.split('\0').filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect())
}

/// Every format of a profile for Claude Desktop says what the native file says. `policies`: those without a policy
/// of their own are left out of Group Policy.
fn desktop_is_the_same(place: &Place, file: &str, profile: &str, policies: bool) -> Fallible {
    let root = place.directory.path().join(profile);
    let export = |format: &str| -> Fallible<PathBuf> {
        let words = ["--format", format, "--profile", profile, file];
        one(exports(place, &words, &root.join(format))?)
    };
    let native: Value = serde_json::from_slice(&fs::read(export("linux-json")?)?)?;
    let wanted = strings(&native);
    assert!(wanted.as_object().is_some_and(|keys| keys.len() > 5));

    assert_eq!(reads(&["plist".as_ref(), &export("plist")?])?, wanted, "plist");
    let outer = reads(&["plist".as_ref(), &export("mobileconfig")?])?;
    assert_eq!(at(&outer, "/PayloadType")?, "Configuration");
    assert_eq!(at(&outer, "/PayloadScope")?, "System");
    let inner = at(&outer, "/PayloadContent/0")?;
    assert_eq!(at(inner, "/PayloadType")?, "com.anthropic.claudefordesktop");
    assert_ne!(at(inner, "/PayloadUUID")?, at(&outer, "/PayloadUUID")?);
    assert_eq!(without_payload(inner), wanted, "mobileconfig");

    let reg = reads(&["reg".as_ref(), &export("reg")?, &root])?;
    assert_eq!(at(&reg, "/key")?, r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Claude");
    assert_eq!(*at(&reg, "/values")?, wanted, "reg");

    let variables = shell(&export("env")?)?;
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let name = tollgate::mdm::text::variable(name);
        assert_eq!(variables.get(&name), Some(value), "env: {name}");
    }
    if policies {
        export("admx")?;
        let entries = root.join(format!("admx/{profile}.claude-desktop.policies.json"));
        let admx = reads(&["admx".as_ref(), &root.join("admx"), &entries])?;
        assert_eq!(*at(&admx, "/values")?, wanted, "admx");
        assert_eq!(*at(&admx, "/keys")?, json!([r"SOFTWARE\Policies\Claude"]));
        let all = at(&admx, "/policies")?.as_array().map(Vec::len);
        assert!(all.is_some_and(|all| all >= 100), "a policy for every key");
        let rows = reads(&["rows".as_ref(), &export("oma-uri")?])?;
        assert_eq!(*at(&rows, "/values")?, wanted, "oma-uri");
    }
    Ok(())
}

#[test]
fn every_export_of_the_sample_is_read_back_by_others_to_the_same_settings() -> Fallible {
    let place = Place::new()?;
    for profile in ["engineering", "engineering-windows", "restricted", "restricted-windows"] {
        desktop_is_the_same(&place, SAMPLE, profile, true)?;
    }
    Ok(())
}

#[test]
fn claude_code_is_given_its_own_types() -> Fallible {
    let place = Place::new()?;
    let root = place.directory.path();
    let export = |format: &str| -> Fallible<PathBuf> {
        let words = ["--for", "code", "--format", format, "--profile", "restricted", SAMPLE];
        one(exports(&place, &words, &root.join(format))?)
    };
    let native: Value = serde_json::from_slice(&fs::read(export("linux-json")?)?)?;
    assert_eq!(native["allowedMcpServers"], json!([]));

    assert_eq!(reads(&["plist".as_ref(), &export("plist")?])?, native);
    let outer = reads(&["plist".as_ref(), &export("mobileconfig")?])?;
    assert_eq!(outer["PayloadContent"][0]["PayloadType"], "com.anthropic.claudecode");
    assert_eq!(without_payload(&outer["PayloadContent"][0]), native);
    let reg = reads(&["reg".as_ref(), &export("reg")?, root])?;
    assert_eq!(reg["key"], r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\ClaudeCode");
    let settings = reg["values"]["Settings"].as_str().ok_or("no Settings")?;
    assert_eq!(serde_json::from_str::<Value>(settings)?, native);
    export("admx")?;
    let entries = root.join("admx/restricted.claude-code.policies.json");
    let admx = reads(&["admx".as_ref(), &root.join("admx"), &entries])?;
    assert_eq!(admx["values"]["Settings"], settings);
    let rows = reads(&["rows".as_ref(), &export("oma-uri")?])?;
    assert_eq!(rows["values"]["Settings"], settings);
    let variables = shell(&export("env")?)?;
    assert_eq!(variables["ANTHROPIC_BASE_URL"], "https://gateway.example.com");
    Ok(())
}

/// Texts that formats stumble over: quotes, backslashes, ends of lines, markup, variables, all scripts.
fn texts(count: usize) -> Fallible<Vec<String>> {
    let pieces = [
        "\"",
        "\\",
        "'",
        "\n",
        "\t",
        " ",
        "&",
        "<",
        ">",
        "]]>",
        "&amp;",
        "%VAR%",
        "$(x)",
        "`y`",
        "é",
        "漢",
        "😀",
        "\u{2028}",
        ";",
        "#",
        "=",
        "[x]",
        "\\\"",
        "true",
        "1",
        "-",
        "@",
        "\r".trim(),
    ];
    let strategy = proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 1..12);
    let mut runner = TestRunner::deterministic();
    let mut texts = Vec::new();
    for _ in 0..count {
        let tree = strategy.new_tree(&mut runner).map_err(|why| why.to_string())?;
        texts.push(format!("x{}", tree.current().concat()));
    }
    Ok(texts)
}

#[test]
fn any_text_survives_every_format_and_is_read_by_others() -> Fallible {
    let place = Place::new()?;
    let texts = texts(205)?;
    let (known, free) = texts.split_at(5);
    let [one, two, three, fourth, last] = known else { return Err("five".into()) };
    let mut desktop = json!({
        "inferenceProvider": "gateway", "inferenceGatewayBaseUrl": "https://g.example",
        "organizationInstructions": one, "deploymentDisplaySubtitle": two, "deploymentDisplayName": three,
        "otlpEndpoint": "https://o.example", "otlpResourceAttributes": { "a": fourth },
        "managedMcpServers": [{ "name": last, "transport": "stdio", "command": last, "args": known }],
    });
    let free: Map<String, Value> = free
        .iter()
        .enumerate()
        .map(|(n, text)| (format!("free{n}"), text.as_str().into()))
        .collect();
    for (profile, more) in [("known", Map::new()), ("free", free)] {
        if profile == "free" {
            desktop = json!({});
        }
        let written = place.directory.path().join(format!("{profile}.yaml"));
        let settings = json!({
            "schema": "tollgate.mdm/v1", "organization": one, "identifier": "com.example.t",
            "profiles": { profile: {
                "about": two, "claude_desktop": desktop, "unchecked": { "claude_desktop": more },
            }},
        });
        fs::write(&written, settings.to_string())?;
        desktop_is_the_same(&place, &written.display().to_string(), profile, profile == "known")?;
    }
    Ok(())
}

#[test]
fn the_same_settings_make_the_same_bytes_which_are_those_that_were_looked_at() -> Fallible {
    let place = Place::new()?;
    let write = std::env::var_os("TOLLGATE_GOLDENS").is_some();
    for (client, profile) in
        [("desktop", "restricted"), ("code", "restricted"), ("desktop", "restricted-windows")]
    {
        let windows = profile.ends_with("windows");
        let formats: &[&str] = match (client, windows) {
            ("desktop", true) => &["reg", "oma-uri", "admx"],
            ("code", _) => &["mobileconfig", "reg", "linux-json"],
            _ => &["mobileconfig", "plist", "linux-json", "env"],
        };
        for format in formats {
            let folder = place.directory.path().join(format!("{client}-{profile}-{format}"));
            let words = ["--for", client, "--format", format, "--profile", profile, SAMPLE];
            for path in exports(&place, &words, &folder)? {
                let golden = Path::new(GOLDENS).join(path.strip_prefix(&folder)?);
                let bytes = fs::read(&path)?;
                if write {
                    fs::create_dir_all(golden.parent().ok_or("no folder")?)?;
                    fs::write(&golden, &bytes)?;
                }
                assert!(bytes == fs::read(&golden)?, "{} is another", golden.display());
            }
        }
    }
    Ok(())
}

#[test]
fn what_was_exported_is_compared_with_the_file_it_came_from() -> Fallible {
    let place = Place::new()?;
    let root = place.directory.path();
    let from = format!("{SAMPLE}:restricted");
    for format in ["mobileconfig", "plist", "reg", "linux-json"] {
        for client in ["desktop", "code"] {
            let words = ["--for", client, "--format", format, "--profile", "restricted", SAMPLE];
            let path = exports(&place, &words, &root.join(client))?.remove(0);
            let path = path.display().to_string();
            let out = tollgate(&place, &["mdm", "diff", &from, &path])?;
            assert_eq!(out.status.code(), Some(0), "{format} {client}: {}", text(&out.stdout));
            let other = format!("{SAMPLE}:engineering");
            let out = tollgate(&place, &["mdm", "diff", &path, &other, "--json"])?;
            assert_eq!(out.status.code(), Some(1), "{format} {client}");
            let first = text(&out.stdout);
            assert!(first.contains("\"loosens\":true"), "{format} {client}: {first}");
        }
    }
    let key = |key: &str| {
        format!("{{\"inferenceProvider\":\"gateway\",\"inferenceGatewayApiKey\":\"{key}\"}}")
    };
    fs::write(root.join("a.json"), key("hunter1"))?;
    fs::write(root.join("b.json"), key("hunter2"))?;
    let paths = ["a.json", "b.json"].map(|name| root.join(name).display().to_string());
    let out = tollgate(&place, &["mdm", "diff", &paths[0], &paths[1]])?;
    assert_eq!(out.status.code(), Some(1));
    let told = text(&out.stdout);
    assert!(told.contains("inferenceGatewayApiKey") && !told.contains("hunter"), "{told}");
    Ok(())
}

#[test]
fn faults_are_listed_with_file_line_and_column_and_nothing_is_written() -> Fallible {
    let place = Place::new()?;
    let file = place.directory.path().join("s.yaml");
    let wrong = fs::read_to_string(SAMPLE)?
        .replace("inferenceProvider: gateway", "inferenceProvider: gatway");
    fs::write(&file, wrong)?;
    let file = file.display().to_string();
    let out = tollgate(&place, &["mdm", "check", &file])?;
    assert_eq!(out.status.code(), Some(1));
    let told = text(&out.stderr);
    let line = format!("{file}:13:26: profiles.base.claude_desktop.inferenceProvider: ");
    assert!(told.starts_with(&line) && told.contains("Did you mean gateway?"), "{told}");
    let out = tollgate(&place, &["mdm", "check", &file, "--json"])?;
    let said: Value = serde_json::from_slice(&out.stdout)?;
    assert_eq!(
        (&said["faults"][0]["line"], &said["faults"][1]),
        (&json!(13), &Value::Null),
        "once"
    );
    let to = place.directory.path().join("x.reg");
    let to = to.display().to_string();
    let out = tollgate(&place, &["mdm", "export", "--format", "reg", "--out", &to, &file])?;
    assert!(!out.status.success() && !Path::new(&to).exists());
    let out = tollgate(&place, &["mdm", "export", "--format", "reg", "--profile", "nope", SAMPLE])?;
    assert_eq!(out.status.code(), Some(3));
    let out = tollgate(&place, &["mdm", "check", SAMPLE])?;
    assert_eq!((out.status.code(), text(&out.stdout).as_str()), (Some(0), ""));
    Ok(())
}
