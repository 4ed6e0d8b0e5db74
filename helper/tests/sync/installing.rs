//! What `install` lays down, and `uninstall` takes away.

use crate::bench::{Bench, pin};
use crate::gateway::text;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn helper(root: Option<&Path>, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-helper"));
    command.args(args).env_clear();
    if let Some(root) = root {
        command.arg("--root").arg(root);
    }
    command.output().unwrap()
}

fn key() -> String {
    let key = pin("security", 7);
    format!("{}:{}", key.key_id, key.public_key)
}

fn installed(more: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let key = key();
    let out = helper(Some(root.path()), &[&["install", "--pin", &key], more].concat());
    assert!(out.status.success(), "{}", text(&out.stderr));
    root
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn it_lays_down_keys_folders_configuration_and_timers() {
    let root = installed(&[
        "--gateway",
        "https://gateway.example",
        "--audience",
        "finance",
        "--interval",
        "20m",
    ]);

    let at = |path: &str| root.path().join(path);
    assert_eq!(mode(&at("opt/claude/org-plugins")), 0o755);
    assert_eq!(mode(&at("var/spool/tollgate-helper")), 0o1733);
    assert_eq!(mode(&at("var/lib/tollgate-helper")), 0o700);
    assert_eq!(mode(&at("etc/tollgate-helper/manifest-pins.json")), 0o644);
    let config = fs::read_to_string(at("etc/tollgate-helper/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["gateway"]["url"], "https://gateway.example");
    assert_eq!(config["sync"]["audience"], "finance");
    let unit = fs::read_to_string(at("etc/systemd/system/tollgate-sync-apply.service")).unwrap();
    for line in [
        "TimeoutStartSec=30min",
        "PrivateNetwork=yes",
        "ProtectSystem=strict",
        "ReadWritePaths=\"/opt/claude\" \"/var/lib/tollgate-helper\"",
        "ExecStart=\"/usr/local/bin/tollgate-helper\" sync apply",
    ] {
        assert!(unit.contains(line), "{line} in {unit}");
    }
    let timer = fs::read_to_string(at("etc/systemd/user/tollgate-sync-fetch.timer")).unwrap();
    assert!(timer.contains("OnUnitActiveSec=1200s") && timer.contains("RandomizedDelaySec=240s"));
    let link = at("etc/systemd/system/timers.target.wants/tollgate-sync-apply.timer");
    assert_eq!(
        fs::read_link(link).unwrap(),
        Path::new("/etc/systemd/system/tollgate-sync-apply.timer")
    );
}

#[test]
fn what_it_lays_down_is_what_the_halves_use() {
    let root = installed(&["--mount", "/srv/plugins"]);
    let bench = Bench::new();
    bench.lay_for(
        "0",
        &crate::bench::Release::usual(5).change(|it| {
            it.issued_at = tollgate_helper::cache::now() - 10;
            it.expires_at = it.issued_at + 1000;
        }),
    );
    let inbox = root.path().join("var/spool/tollgate-helper/0");
    fs::rename(bench.inbox("0"), &inbox).or_else(|_| copy(&bench.inbox("0"), &inbox)).unwrap();

    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-helper"));
    let out = command
        .args(["sync", "apply"])
        .env_clear()
        .env("TOLLGATE_HELPER_ROOT", root.path())
        .output()
        .unwrap();

    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(root.path().join("srv/plugins/acme/skills/a/SKILL.md").exists());
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to.join("archives"))?;
    fs::copy(from.join("manifest.json"), to.join("manifest.json"))?;
    for entry in fs::read_dir(from.join("archives"))? {
        let entry = entry?;
        fs::copy(entry.path(), to.join("archives").join(entry.file_name()))?;
    }
    Ok(())
}

#[test]
fn installed_again_it_keeps_what_is_not_said_and_takes_two_keys() {
    let root = installed(&["--gateway", "https://gateway.example", "--audience", "finance"]);
    let config = root.path().join("etc/tollgate-helper/config.json");
    let before = fs::read(&config).unwrap();

    let out = helper(Some(root.path()), &["install"]);

    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(fs::read(&config).unwrap(), before);
    let next = pin("next", 8);
    let next = format!("{}:{}", next.key_id, next.public_key);
    assert!(
        helper(Some(root.path()), &["install", "--pin", &key(), "--pin", &next]).status.success()
    );
    let pins =
        fs::read_to_string(root.path().join("etc/tollgate-helper/manifest-pins.json")).unwrap();
    assert_eq!(
        tollgate_helper::sync::pins::parse(&pins).unwrap(),
        [pin("security", 7), pin("next", 8)]
    );
}

#[test]
fn without_a_key_or_with_a_bad_one_nothing_is_laid_down() {
    for args in [
        &["install"][..],
        &["install", "--pin", "security:AAAA"],
        &["install", "--pin", "/nowhere"],
    ] {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(helper(Some(root.path()), args).status.code(), Some(64));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_folder_of_plugins_directly_below_the_root_is_refused() {
    for mount in ["/plugins", "/", "C:\\plugins", "//plugins/"] {
        let root = tempfile::tempdir().unwrap();
        let out = helper(Some(root.path()), &["install", "--pin", &key(), "--mount", mount]);
        assert_eq!(out.status.code(), Some(64), "{mount}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_dry_run_tells_each_act_and_does_none() {
    let root = tempfile::tempdir().unwrap();
    let out = helper(Some(root.path()), &["install", "--pin", &key(), "--dry-run"]);

    let told = text(&out.stdout);
    assert!(told.contains("would folder /opt/claude/org-plugins (755)"), "{told}");
    assert!(told.contains("would run systemctl daemon-reload"), "{told}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn uninstalled_the_timers_are_gone_and_with_purge_all_is() {
    let root = installed(&["--gateway", "https://gateway.example"]);
    let at = |path: &str| root.path().join(path);

    assert!(helper(Some(root.path()), &["uninstall"]).status.success());

    let units = walk(&at("etc/systemd"));
    assert!(units.is_empty(), "{units:?}");
    assert!(!at("var/spool/tollgate-helper").exists());
    assert!(
        at("opt/claude/org-plugins").exists()
            && at("etc/tollgate-helper/manifest-pins.json").exists()
    );
    let config: Value =
        serde_json::from_str(&fs::read_to_string(at("etc/tollgate-helper/config.json")).unwrap())
            .unwrap();
    assert_eq!(config, serde_json::json!({ "gateway": { "url": "https://gateway.example" } }));
    assert!(helper(Some(root.path()), &["uninstall", "--purge"]).status.success());
    assert_eq!(walk(&at("opt")).len() + walk(&at("var")).len(), 0);
    assert!(!at("etc/tollgate-helper/manifest-pins.json").exists());
}

/// Every file.
fn walk(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(walk(&entry.path()));
        } else {
            files.push(entry.path().display().to_string());
        }
    }
    files
}

#[test]
fn the_files_of_every_system_can_be_printed_on_any() {
    for (os, wanted) in [
        ("linux", &["PathChanged=/var/spool/tollgate-helper", "OnStartupSec=10s"][..]),
        (
            "macos",
            &[
                "<key>WatchPaths</key>",
                "/Library/Application Support/Tollgate/inbox",
                "<integer>900</integer>",
                "launchctl bootstrap system",
            ],
        ),
        (
            "windows",
            &[
                "<UserId>S-1-5-18</UserId>",
                "<GroupId>S-1-5-4</GroupId>",
                r"C:\Program Files\Tollgate\tollgate-helper.exe",
                "<Interval>PT900S</Interval>",
                "schtasks /Create",
                r"icacls C:\ProgramData\Tollgate /setowner *S-1-5-32-544 /L /Q",
                r#"encoding="UTF-16""#,
            ],
        ),
    ] {
        let out = helper(None, &["install", "--pin", &key(), "--print", "--os", os]);
        let told = text(&out.stdout);
        assert!(out.status.success(), "{}", text(&out.stderr));
        for words in wanted {
            assert!(told.contains(words), "{os}: {words} in {told}");
        }
    }
}

#[test]
fn on_windows_the_folder_is_closed_before_anything_is_made_in_it() {
    let out = helper(None, &["install", "--pin", &key(), "--print", "--os", "windows"]);

    let told = text(&out.stdout);
    let acts: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    let at = |words: &str| acts.iter().position(|act| act.contains(words)).unwrap();
    let order = [
        r"folder C:\ProgramData\Tollgate (",
        r"refuse C:\ProgramData\Tollgate if others made it",
        r"icacls C:\ProgramData\Tollgate /inheritance:r",
        r"refuse C:\ProgramData\Tollgate if others can write it",
        r"refuse C:\ProgramData\Tollgate\helper.json if others made it",
        r"refuse C:\ProgramData\Tollgate\state if others made it",
        r"refuse C:\Program Files\Tollgate\tollgate-helper.exe if others can write it",
        r"folder C:\ProgramData\Tollgate\state",
        r"file C:\ProgramData\Tollgate\manifest-pins.json",
        r"file C:\ProgramData\Tollgate\helper.json",
        r"refuse C:\Program Files\Claude\org-plugins if others can write it",
        r"task C:\ProgramData\Tollgate\sync-apply.xml",
        "schtasks /Create",
    ];
    let places = order.map(at);
    assert!(places.is_sorted(), "{places:?} of {acts:#?}");
    let opens = acts.iter().filter(|act| act.contains("/reset") || act.contains("/T "));
    assert_eq!(opens.count(), 0, "at no moment it is open: {acts:#?}");
}
