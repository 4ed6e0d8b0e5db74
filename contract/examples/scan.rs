//! Measures the scan.
//!
//! `cargo run --release -p contract --example scan -- speed BODY…` scans each JSON body many times;
//! `… -- finds FOLDER…` says what the precise patterns find in all files below, and how often per 10 MB.

use contract::scan::{Hits, Scanner, Wanted, catalogue};
use std::collections::BTreeMap;
use std::io::{Error, Result, Write, stdout};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Words as a blocklist has them: names of projects.
const WORDS: [&str; 20] = [
    "falcon", "apollo", "mercury", "atlas", "phoenix", "titan", "orion", "nebula", "project",
    "internal", "aurora", "condor", "zephyr", "granite", "cobalt", "harbor", "summit", "willow",
    "ember", "onyx",
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((what, bodies)) if what == "speed" => bodies.iter().try_for_each(|body| speed(body)),
        Some((what, folders)) if what == "finds" => finds(folders),
        _ => Err(Error::other("speed BODY… or finds FOLDER…")),
    }
}

fn patterns() -> Vec<Wanted> {
    catalogue().precise().map(|pattern| Wanted::Shipped(pattern.id.clone())).collect()
}

fn made(wanted: &[Wanted]) -> Result<Scanner> {
    Scanner::new(wanted).map_err(|faults| Error::other(format!("{faults:?}")))
}

/// 200 words, most of two parts.
fn words() -> impl Iterator<Item = Wanted> {
    let pairs = WORDS.iter().flat_map(|one| WORDS.iter().map(move |two| format!("{one} {two}")));
    let joined = WORDS.iter().enumerate().map(|(number, word)| format!("{word}{number}x"));

    pairs.take(180).chain(joined).map(|text| Wanted::Word { text, case: false, part: false })
}

fn speed(path: &str) -> Result<()> {
    let body = std::fs::read(path)?;
    let mut out = stdout().lock();
    let all: Vec<Wanted> = patterns().into_iter().chain(words()).collect();
    for (name, wanted) in [("patterns", patterns()), ("patterns and 200 words", all)] {
        let started = Instant::now();
        let scanner = made(&wanted)?;
        writeln!(out, "{name}: made in {:?}", started.elapsed())?;
        let mut best = f64::INFINITY;
        let mut hits = Hits::default();
        for _ in 0..200 {
            let started = Instant::now();
            hits = scanner.scan(&body);
            best = best.min(started.elapsed().as_secs_f64());
        }
        let found = hits.list.len();
        writeln!(out, "{path}, {} bytes: {:.1} µs, {found} finds", body.len(), best * 1e6)?;
    }

    Ok(())
}

fn finds(folders: &[String]) -> Result<()> {
    let wanted = patterns();
    let scanner = made(&wanted)?;
    let mut out = stdout().lock();
    let mut bytes = 0_usize;
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    let mut left: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    while let Some(path) = left.pop() {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            left.extend(entries(&path));
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        bytes = bytes.saturating_add(text.len());
        for hit in scanner.scan_text(&text).list {
            let id = match wanted.get(hit.wanted) {
                Some(Wanted::Shipped(id)) => id.as_str(),
                _ => "",
            };
            let count = found.entry(id).or_default();
            *count = count.saturating_add(1);
            writeln!(out, "{id} {} {}", hit.digest, path.display())?;
        }
    }
    let all: u32 = found.values().sum();
    let megabytes = f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0;
    writeln!(out, "{found:?}")?;

    writeln!(out, "{all} in {megabytes:.1} MB: {:.2} in 10 MB", f64::from(all) * 10.0 / megabytes)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };

    entries.flatten().map(|entry| entry.path()).collect()
}
