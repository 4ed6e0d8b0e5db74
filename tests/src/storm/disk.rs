//! A disk that can be full: a tmpfs laid over a folder, in a mount namespace that the test starts
//! itself again in, so that nothing of it outlives the test.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set inside the namespace.
const INSIDE: &str = "TOLLGATE_STORM_INSIDE";

/// What the disk can grow to.
const SIZE: &str = "1g";

/// Are we in a mount namespace of our own? If not, the named test runs again in one, to its end;
/// where that is not possible, it is skipped loudly.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let possible = Command::new("unshare").args(["-m", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: {test} needs a mount namespace (root)");
        return false;
    }
    let this = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["-m", "--propagation", "private", "--"])
        .arg(this)
        .args(["--exact", "--nocapture", test])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));

    false
}

/// A disk of its own over a folder; what was in the folder is on it.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// Lays one over a folder that nobody uses at the moment.
    pub fn over(folder: &Path) -> Result<Self> {
        let beside = folder.with_extension("before");
        run(Command::new("cp").arg("-a").arg(folder).arg(&beside))?;
        let options = format!("size={SIZE}");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder))?;
        run(Command::new("cp").arg("-a").arg(beside.join(".")).arg(folder))?;
        run(Command::new("rm").arg("-rf").arg(beside))?;

        Ok(Self(folder.to_owned()))
    }

    /// Makes it as large as what is on it.
    pub fn fill(&self) -> Result<()> {
        // Who writes meanwhile makes it larger than it was when asked.
        for more in (0..100).map(|more| more * 4) {
            let used = self.used()? + more;
            if self.resize(&format!("{used}k")).is_ok() {
                return Ok(());
            }
        }

        bail!("{} cannot be made full", self.0.display())
    }

    /// Gives it space again.
    pub fn free(&self) -> Result<()> {
        self.resize(SIZE)
    }

    fn used(&self) -> Result<u64> {
        let output = Command::new("df").args(["-k", "--output=used"]).arg(&self.0).output()?;
        let text = String::from_utf8(output.stdout)?;
        let used = text.split_whitespace().last().context("df says nothing")?;

        Ok(used.parse()?)
    }

    fn resize(&self, size: &str) -> Result<()> {
        let options = format!("remount,size={size}");

        run(Command::new("mount").args(["-o", &options]).arg(&self.0))
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));

    Ok(())
}
