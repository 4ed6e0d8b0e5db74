//! Envoy's directory: copies of `envoy/`, with what `envoy/README.md` says tests substitute.

use crate::world::PROVIDER_KEY;
use crate::world::certificates::Authority;
use crate::world::ports::Ports;
use crate::world::processes::repository;
use crate::world::setup::{Edit, Setup};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

/// The files that Envoy reads.
pub const FILES: [&str; 8] = [
    "envoy.yaml",
    "routes.yaml",
    "clusters.yaml",
    "lanes.yaml",
    "gate.yaml",
    "secrets/anthropic.yaml",
    "secrets/tls.yaml",
    "secrets/clients.yaml",
];

/// Makes `run/` in a world's directory.
pub fn write(
    place: &Path,
    setup: &Setup,
    ports: &Ports,
    authority: &Authority,
    keys: &Value,
) -> Result<()> {
    let run = place.join("run");
    for folder in ["secrets", "tls", "spool"] {
        fs::create_dir_all(run.join(folder))?;
    }
    // Read by nobody, unless a test makes it a monitor of Envoy's.
    fs::write(run.join("pressure"), "0.0")?;
    let edits = substitutions(ports, keys)?;
    let edits: Vec<&Edit> = edits.iter().chain(&setup.edits).collect();
    for file in FILES {
        let text = fs::read_to_string(repository().join("envoy").join(file))?;
        fs::write(run.join(file), edited(file, text, &edits)?)?;
    }
    if setup.foreign {
        fs::write(run.join("envoy.yaml"), foreign(ports, &run, keys)?)?;
    }
    let front = authority.certify(&["localhost", "tollgate.localhost", "127.0.0.1"])?;
    fs::write(run.join("tls/cert.pem"), front.cert)?;
    fs::write(run.join("tls/key.pem"), front.key)?;
    fs::write(run.join("tls/ca.pem"), authority.pem())?;
    for (path, text) in &setup.files {
        secret(&place.join(path), text)?;
    }
    let module = repository().join("target/wasm").join(format!("{}.wasm", setup.module));
    ensure!(module.exists(), "{} is not there: tools/build-wasm", module.display());
    symlink(module, run.join("tollgate_filter.wasm"))?;

    Ok(())
}

/// Takes a file or a directory from everybody but its owner.
pub fn close(path: &Path) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o700))?)
}

/// Writes a file that only its owner can read.
fn secret(path: &Path, text: &str) -> Result<()> {
    let mut options = fs::File::options();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;

    Ok(file.write_all(text.as_bytes())?)
}

/// A file's text after the edits that are meant for it.
pub fn edited(file: &str, mut text: String, edits: &[&Edit]) -> Result<String> {
    for edit in edits.iter().filter(|edit| edit.file == file) {
        let found = text.matches(&edit.from).count();
        ensure!(found == 1, "{file}: {:?} stands there {found} times, not once", edit.from);
        text = text.replace(&edit.from, &edit.to);
    }

    Ok(text)
}

/// Somebody else's ingress with `envoy/drop-in` in it.
fn foreign(ports: &Ports, run: &Path, keys: &Value) -> Result<String> {
    let read = |path: &str| fs::read_to_string(repository().join(path));
    let route = "\
        - match: {prefix: /v1/messages, headers: [{name: x-tollgate-surface, present_match: true}]}\n  \
          route: {cluster: their_provider, host_rewrite_literal: api.anthropic.com, timeout: 0s}";
    let mut merged = String::new();
    for line in read("tests/data/foreign.yaml")?.lines() {
        let Some((margin, file)) = line.split_once("# HERE ") else {
            merged.push_str(line);
            merged.push('\n');
            continue;
        };
        let part = read(&format!("envoy/drop-in/{file}"))?;
        let own = "# The host's own routes to the provider go here";
        let part = part.lines().flat_map(|line| {
            if line.starts_with(own) { route.lines().collect() } else { vec![line] }
        });
        merged.extend(part.map(|line| format!("{margin}{line}\n")));
    }
    let pin = |name: &str| keys.pointer(name).and_then(Value::as_str).unwrap_or_default();
    let run = run.display().to_string();
    for (from, to) in [
        ("port_value: ADMIN", format!("port_value: {}", ports.admin.port())),
        ("port_value: PLAIN", format!("port_value: {}", ports.plain.port())),
        ("port_value: PROVIDER", format!("port_value: {}", ports.provider.port())),
        ("port_value: 7080", format!("port_value: {}", ports.public.port())),
        ("port_value: 7081", format!("port_value: {}", ports.gate.port())),
        ("POLICY_KEY_ID", pin("/policy/key_id").to_owned()),
        ("POLICY_PUBLIC_KEY", pin("/policy/public_key").to_owned()),
        ("/etc/tollgate", run.clone()),
        ("/var/spool/tollgate", format!("{run}/spool")),
    ] {
        ensure!(merged.contains(from), "{from:?} stands nowhere in the drop-in");
        merged = merged.replace(from, &to);
    }

    Ok(merged)
}

fn substitutions(ports: &Ports, keys: &Value) -> Result<Vec<Edit>> {
    let pin = |name: &str| -> Result<String> {
        let value = keys.pointer(&format!("/policy/{name}")).and_then(Value::as_str);
        Ok(value.context("`keys show` names no policy key")?.to_owned())
    };
    let port = |file, from: u16, to: u16| Edit {
        file,
        from: format!("port_value: {from}}}"),
        to: format!("port_value: {to}}}"),
    };
    let word = |file, from: &str, to: &str| Edit { file, from: from.into(), to: to.into() };

    Ok(vec![
        word("envoy.yaml", "address: 0.0.0.0", "address: 127.0.0.1"),
        port("envoy.yaml", 8443, ports.tls.port()),
        port("envoy.yaml", 8080, ports.plain.port()),
        port("envoy.yaml", 9901, ports.admin.port()),
        port("clusters.yaml", 7080, ports.public.port()),
        port("clusters.yaml", 7081, ports.gate.port()),
        word(
            "clusters.yaml",
            "{address: api.anthropic.com, port_value: 443}",
            &format!("{{address: 127.0.0.1, port_value: {}}}", ports.provider.port()),
        ),
        word("clusters.yaml", "/etc/ssl/certs/ca-certificates.crt", "tls/ca.pem"),
        word("gate.yaml", "POLICY_KEY_ID", &pin("key_id")?),
        word("gate.yaml", "POLICY_PUBLIC_KEY", &pin("public_key")?),
        word("secrets/anthropic.yaml", "ANTHROPIC_API_KEY", PROVIDER_KEY),
    ])
}
