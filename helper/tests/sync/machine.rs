//! On real file systems: one that is mounted there, and one that is full. Only root may mount, and not everywhere; elsewhere
//! these say so and look at nothing.

use crate::bench::Release;
use crate::gateway::{Laptop, text};
use std::io::Write;
use std::process::Command;

/// Runs this with a small file system mounted as the folder of plugins, that is gone again afterwards.
fn mounted(laptop: &Laptop, size: &str, script: &str) -> Option<String> {
    let out = Command::new("unshare")
        .args(["-m", "sh", "-ec"])
        .arg(format!("mkdir -p \"$MOUNT\"; mount -t tmpfs -o mode=755,size={size} none \"$MOUNT\" || {{ echo CANNOT; exit; }}\n{script}"))
        .env("MOUNT", &laptop.bench.settings.mount)
        .env("INBOX", laptop.inbox())
        .env("DROP", laptop.bench.place.path().join("drop"))
        .env("HELPER", env!("CARGO_BIN_EXE_tollgate-helper"))
        .env("TOLLGATE_HELPER_ROOT", laptop.bench.place.path())
        .output()
        .ok()?;
    let told = text(&out.stdout) + &text(&out.stderr);
    if !out.status.success() && told.contains("unshare") || told.contains("CANNOT") {
        let _closed = writeln!(std::io::stderr(), "nothing can be mounted here: {told}").is_err();
        return None;
    }
    assert!(out.status.success(), "{told}");
    Some(told)
}

fn drop_into(laptop: &Laptop, release: &Release) {
    let user = laptop.inbox();
    laptop.bench.lay_for("drop", release);
    let drop = laptop.bench.place.path().join("drop");
    std::fs::rename(laptop.bench.inbox("drop"), &drop).unwrap();
    std::fs::create_dir_all(user).unwrap();
}

#[test]
fn a_folder_of_plugins_that_is_a_mount_point_is_switched_plugin_by_plugin() {
    let laptop = Laptop::new();
    drop_into(&laptop, &laptop.release(5));

    let told = mounted(
        &laptop,
        "1m",
        "cp -r \"$DROP\"/. \"$INBOX\"; \"$HELPER\" sync apply 2>&1; find \"$MOUNT\" -type f; ls -A \"$MOUNT\"",
    );

    let Some(told) = told else { return };
    assert!(told.contains("plugin by plugin"), "{told}");
    assert!(told.contains("acme/skills/a/SKILL.md"), "{told}");
    assert!(!told.contains("\n.staging"), "{told}");
}

#[test]
fn a_file_system_that_is_full_changes_nothing() {
    let laptop = Laptop::new();
    laptop.bench.lay_for(&rustix::process::geteuid().as_raw().to_string(), &laptop.release(5));
    let large = "x".repeat(300_000);
    drop_into(&laptop, &laptop.release(6).with("large", &[("SKILL.md", &large)]));

    let told = mounted(
        &laptop,
        "200k",
        "\"$HELPER\" sync apply >/dev/null 2>&1; cp -r \"$DROP\"/. \"$INBOX\"; \
         \"$HELPER\" sync apply 2>&1 || echo ENDED $?; cat \"$MOUNT/.tollgate/last-sync.json\" \"$MOUNT/acme/.claude-plugin/plugin.json\"; ls -A \"$MOUNT\"",
    );

    let Some(told) = told else { return };
    assert!(told.contains("ENDED 74") && told.contains("\"code\": \"disk_full\""), "{told}");
    assert!(told.contains("{\"version\":5}"), "{told}");
    assert!(!told.contains("\n.staging"), "{told}");
}

#[test]
fn the_halves_are_different_users_and_the_person_changes_nothing_that_stands() {
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let laptop = Laptop::new();
    let release = laptop.release(5);
    drop_into(&laptop, &release);
    crate::bench::mode(laptop.bench.place.path(), 0o755);
    crate::bench::mode(&laptop.bench.settings.inbox, 0o1733);
    let home = laptop.bench.place.path().join("theirs");
    std::fs::create_dir(&home).unwrap();
    crate::bench::mode(&home, 0o700);
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let file = laptop.bench.place.path().join("drop/manifest.json").display().to_string();
    let theirs = |args: &[&str]| {
        let mut command = laptop.command(args);
        command.env("TOLLGATE_HELPER_HOME", &home).uid(NOBODY).gid(NOBODY);
        command.output().unwrap()
    };

    let out = theirs(&["sync", "fetch", "--wait", "0", "--from", &file]);

    assert!(out.status.success(), "{}", text(&out.stderr));
    let inbox = std::fs::metadata(laptop.bench.inbox("65534")).unwrap();
    assert_eq!((inbox.uid(), inbox.mode() & 0o777), (NOBODY, 0o700));
    assert_eq!(theirs(&["sync", "apply"]).status.code(), Some(74), "the state is the system's");
    assert_eq!(laptop.apply().0, 0);
    laptop.bench.stands(&release);
    assert!(theirs(&["sync", "status"]).status.success(), "which all may read");
    let mut meddle = Command::new("sh");
    meddle
        .arg("-c")
        .arg("echo evil >> \"$0/acme/skills/a/SKILL.md\"; rm -rf \"$0/acme\"; touch \"$0/x\"");
    meddle.arg(&laptop.bench.settings.mount).uid(NOBODY).gid(NOBODY).output().unwrap();
    laptop.bench.stands(&release);
}
