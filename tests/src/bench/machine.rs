//! What the system says of a process, and where it shall run.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::Command;

/// Resident memory of a process, MiB.
pub fn resident(pid: u32) -> Result<f64> {
    memory(pid, "VmRSS:")
}

/// The most resident memory that a process has ever had, MiB.
pub fn peak(pid: u32) -> Result<f64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, name: &'static str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()).context(name)?;

    Ok(kibibytes.parse::<f64>()? / 1024.0)
}

/// Processor time that Envoy's one worker has used, microseconds.
pub fn worker_time(pid: u32) -> Result<f64> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.starts_with("wrk:worker_0") {
            let text = fs::read_to_string(task.path().join("schedstat"))?;
            let nanos = text.split(' ').next().context("schedstat is empty")?;
            return Ok(nanos.parse::<f64>()? / 1000.0);
        }
    }

    anyhow::bail!("Envoy has no worker")
}

/// Envoy has a core of its own where there are two: then it is what limits, not the callers.
pub fn split(envoys: &[u32], others: &[u32]) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    if cores < 2 {
        return Ok(());
    }
    let (last, rest) = (format!("{}", cores - 1), format!("0-{}", cores - 2));
    for (pids, cores) in [(envoys, &last), (others, &rest)] {
        for pid in pids {
            run("taskset", &["-a", "-c", "-p", cores, &pid.to_string()])?;
        }
    }

    Ok(())
}

/// Lets a process run only when nobody else wants to, or like everybody again.
pub fn yields(pid: u32, to_all: bool) -> Result<()> {
    run("chrt", &["-a", if to_all { "-i" } else { "-o" }, "-p", "0", &pid.to_string()])
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().context(program.to_owned())?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));

    Ok(())
}

/// How busy the machine was in the last minute.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();

    text.split(' ').next().unwrap_or("unknown").to_owned()
}
