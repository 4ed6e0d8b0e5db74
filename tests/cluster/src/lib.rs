//! A throw-away Postgres of the system's own binaries (Debian: package `postgresql`), reached by a
//! Unix socket in a folder of its own, and gone with the process that made it, however that ends.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// Who owns the databases.
const USER: &str = "tollgate";

/// For databases nobody will miss: a commit outlives the server, not the machine.
pub const FAST: &[&str] = &["fsync=off", "full_page_writes=off"];

/// As an installation has it.
pub const DURABLE: &[&str] = &[];

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    binaries: PathBuf,
    options: String,
    databases: AtomicU32,
    /// Stops the server and removes its files when its standard input ends.
    watchdog: Child,
}

impl Cluster {
    /// Makes and starts one, with these settings.
    ///
    /// # Errors
    /// If there is no Postgres, or it does not start; the message tells what it said.
    pub fn start(settings: &[&str]) -> io::Result<Self> {
        let binaries = binaries()?;
        let folder = tempfile::Builder::new().prefix("pg-").tempdir_in("/tmp")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let base = folder.path();
        let script = format!(
            "cat >/dev/null; '{}/pg_ctl' -D '{}/data' -m immediate stop >/dev/null 2>&1; rm -rf '{}'",
            binaries.display(),
            base.display(),
            base.display()
        );
        own(base)?;
        let watchdog = unprivileged("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut options = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c max_connections=200",
            base.display()
        );
        for setting in settings {
            options.push_str(" -c ");
            options.push_str(setting);
        }
        let cluster = Self { folder, binaries, options, databases: AtomicU32::new(0), watchdog };
        cluster
            .run("initdb", &["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync"])?;
        cluster.resume()?;

        Ok(cluster)
    }

    fn base(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<()> {
        let data = self.base().join("data");
        let said = self.base().join(format!("{program}.out"));
        // Postgres keeps what it inherits: a pipe would never end.
        let out = fs::File::create(&said)?;
        let ended = unprivileged(&self.binaries.join(program).display().to_string())
            .arg("-D")
            .arg(&data)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .status()?;
        if ended.success() {
            return Ok(());
        }
        let log = fs::read_to_string(self.base().join("log")).unwrap_or_default();

        Err(io::Error::other(format!("{program}: {}{log}", fs::read_to_string(said)?)))
    }

    /// Stops the server at once, as a crash would.
    ///
    /// # Errors
    /// If it does not stop.
    pub fn stop(&self) -> io::Result<()> {
        self.run("pg_ctl", &["-m", "immediate", "-w", "stop"])
    }

    /// Starts the server again.
    ///
    /// # Errors
    /// If it does not start.
    pub fn resume(&self) -> io::Result<()> {
        let log = self.base().join("log").display().to_string();

        self.run("pg_ctl", &["-w", "-l", &log, "-o", &self.options, "start"])
    }

    /// A new, empty database: its address.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn database(&self) -> io::Result<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;

        Ok(self.url(&name, USER))
    }

    /// The address of a database for a role.
    pub fn url(&self, database: &str, role: &str) -> String {
        format!("postgres://{role}@localhost/{database}?host={}", self.base().display())
    }

    /// Runs SQL as the owner; what it printed, fields parted by `|`.
    ///
    /// # Errors
    /// What `psql` said.
    pub fn sql(&self, database: &str, sql: &str) -> io::Result<String> {
        self.sql_as(database, USER, sql)
    }

    /// Runs SQL as a role.
    ///
    /// # Errors
    /// What `psql` said.
    pub fn sql_as(&self, database: &str, role: &str, sql: &str) -> io::Result<String> {
        let out = Command::new(self.binaries.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h"])
            .arg(self.base())
            .args(["-U", role, "-d", database, "-c", sql])
            .output()?;
        if !out.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&out.stderr).into_owned()));
        }

        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        drop(self.watchdog.wait());
    }
}

/// The cluster that all tests of this process share, each with a database of its own.
///
/// # Errors
/// As [`Cluster::start`].
pub fn shared() -> io::Result<&'static Cluster> {
    static SHARED: OnceLock<io::Result<Cluster>> = OnceLock::new();

    let cluster = SHARED.get_or_init(|| Cluster::start(FAST));
    cluster.as_ref().map_err(|error| io::Error::other(error.to_string()))
}

/// The folder of the newest Postgres here.
fn binaries() -> io::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();

    found.pop().map(|(_, bin)| bin).ok_or_else(|| {
        io::Error::other("no Postgres in /usr/lib/postgresql: apt-get install postgresql")
    })
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}

/// Postgres does not run as root: then as the user that Debian made for it.
fn unprivileged(program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--", program]);
    command.current_dir("/tmp");

    command
}

fn own(path: &Path) -> io::Result<()> {
    if !is_root() {
        return Ok(());
    }
    let done = Command::new("chown").arg("postgres:postgres").arg(path).status()?;

    if done.success() { Ok(()) } else { Err(io::Error::other("cannot give a folder to postgres")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_serves_stops_as_in_a_crash_and_leaves_nothing_behind() {
        let cluster = Cluster::start(FAST).unwrap();
        cluster.database().unwrap();
        cluster.sql("test_0", "CREATE TABLE t AS SELECT 7 AS n").unwrap();
        cluster.stop().unwrap();
        assert!(cluster.sql("test_0", "SELECT 1").is_err());
        cluster.resume().unwrap();

        assert_eq!(cluster.sql("test_0", "SELECT n FROM t").unwrap().trim(), "7");
        let base = cluster.base().to_owned();
        drop(cluster);
        assert!(!base.exists());
    }
}
