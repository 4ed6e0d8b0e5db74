//! The programs under test, as processes that end with the tests.
//!
//! A suite's world is a static, and statics are never dropped: so each child asks the kernel to
//! end it with its parent (`setpriv --pdeathsig`). The kernel takes the *thread* for the parent,
//! hence one thread that starts them all and never ends.

use anyhow::{Context, Result, anyhow, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// Lines of each log that are shown after a failure.
const TAIL: usize = 60;

/// Numbers the worlds of this process.
static NEXT: AtomicUsize = AtomicUsize::new(0);

type Errand = Box<dyn FnOnce() + Send>;

static KEEPER: LazyLock<Mutex<Sender<Errand>>> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel::<Errand>();
    std::thread::spawn(move || receiver.into_iter().for_each(|errand| errand()));
    Mutex::new(sender)
});

/// A child that is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a program in a directory; what it says goes to `log`.
    pub fn start(program: &Path, arguments: &[&str], place: &Path, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .current_dir(place)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let (sender, receiver) = mpsc::channel();
        let errand = Box::new(move || drop(sender.send(command.spawn())));
        KEEPER.lock().unwrap().send(errand).map_err(|_| anyhow!("the keeper has ended"))?;

        Ok(Self { child: receiver.recv()?.with_context(|| format!("{}", program.display()))? })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Does it still run?
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        ensure!(
            Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status()?.success(),
            "kill {id}"
        );
        let end = Instant::now() + Duration::from_secs(15);
        while self.runs() {
            ensure!(Instant::now() < end, "process {id} does not end");
            std::thread::sleep(Duration::from_millis(20));
        }

        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    envoy: PathBuf,
    tollgate: PathBuf,
    database: Option<String>,
}

/// The repository.
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// A path that `tools/prepare` knows.
pub fn prepared(question: &str) -> Result<PathBuf> {
    let output = Command::new(repository().join("tools/prepare")).arg(question).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    Ok(String::from_utf8(output.stdout)?.trim().into())
}

/// A program of this workspace: cargo puts it beside other programs, and beside the folder of the
/// test programs.
pub fn built(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let mut folders = this.ancestors().skip(1).take(2);
    let found = folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.exists()));

    found.with_context(|| {
        format!("{name} is not beside {}: cargo build --workspace", this.display())
    })
}

impl Programs {
    /// Finds them.
    pub fn find(oldest: bool, database: Option<String>) -> Result<Self> {
        let question = if oldest { "--envoy-min-path" } else { "--envoy-path" };

        Ok(Self { envoy: prepared(question)?, tollgate: built("tollgate")?, database })
    }

    /// Runs a command of `tollgate` and returns what it printed.
    pub fn tollgate(&self, data: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.tollgate);
        command.arg("--data").arg(data).args(arguments);
        if let Some(url) = &self.database {
            command.args(["--database", url]);
        }
        let output = command.output()?;
        if !output.status.success() {
            bail!("tollgate {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }

        Ok(String::from_utf8(output.stdout)?)
    }

    /// The public keys of a data directory.
    pub fn pins(&self, data: &Path) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.tollgate(data, &["keys", "show", "--json"])?)?)
    }

    /// Starts the sidecar.
    pub fn sidecar(&self, place: &Path, arguments: &[&str]) -> Result<Process> {
        let mut all = vec!["--data", "data"];
        all.extend(arguments);
        if let Some(url) = &self.database {
            all.extend(["--database", url]);
        }

        Process::start(&self.tollgate, &all, place, &place.join("logs/sidecar.log"))
    }

    /// Starts Envoy, with the flags that `envoy/README.md` asks for.
    pub fn envoy(&self, place: &Path, concurrency: u32) -> Result<Process> {
        let concurrency = concurrency.to_string();
        #[rustfmt::skip]
        let arguments = [
            "-c", "envoy.yaml", "--file-flush-interval-msec", "100", "--drain-strategy", "immediate",
            "--drain-time-s", "3600", "--reject-unknown-dynamic-fields", "--use-dynamic-base-id",
            "--concurrency", &concurrency, "--log-level", "warning", "--component-log-level", "wasm:info",
        ];

        Process::start(&self.envoy, &arguments, &place.join("run"), &place.join("logs/envoy.log"))
    }

    /// Asks Envoy whether a configuration is valid; `Err` holds what it said.
    pub fn validate(&self, place: &Path, file: &str) -> Result<()> {
        let output = Command::new(&self.envoy)
            .args(["--mode", "validate", "--log-level", "warn", "-c", file])
            .current_dir(place)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        Ok(())
    }
}

/// A new directory for a world. Those of tests that have ended are removed.
pub fn place(name: &str) -> Result<PathBuf> {
    let all = repository().join("target/e2e");
    fs::create_dir_all(&all)?;
    for old in fs::read_dir(&all)?.flatten() {
        let file = old.file_name();
        let pid = file.to_str().and_then(|name| name.rsplit('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            drop(fs::remove_dir_all(old.path()));
        }
    }
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    let place = all.join(format!("{name}-{nth}-{}", std::process::id()));
    fs::create_dir_all(place.join("logs"))?;

    Ok(place)
}

/// The ends of all logs of a world.
pub fn logs(place: &Path) -> String {
    let mut text = String::new();
    for log in ["logs/sidecar.log", "logs/envoy.log", "run/spool/audit.jsonl"] {
        let whole = fs::read(place.join(log)).unwrap_or_default();
        let whole = String::from_utf8_lossy(&whole);
        let lines: Vec<&str> = whole.lines().collect();
        let end = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
        let name = place.join(log).display().to_string();
        text.extend(["---- ", &name, "\n", &end.join("\n"), "\n"]);
    }

    text
}
