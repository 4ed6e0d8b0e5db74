//! What the other commands have to do with a sync: a token that is asked for, `status`, `doctor`.

use crate::gateway::Laptop;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_fetch_of_its_own_accord_opens_no_browser() {
    let (laptop, _) = Laptop::with_a_release();
    let opened = laptop.bench.place.path().join("opened");
    let browser = laptop.bench.place.path().join("browser");
    fs::write(&browser, format!("#!/bin/sh\ntouch '{}'\n", opened.display())).unwrap();
    crate::bench::mode(&browser, 0o755);
    // The token is good for the client still, and the gateway takes neither it nor the next.
    laptop.gateway.with(|it| (it.first_good, it.refuses) = (1000, true));

    let out = laptop
        .command(&["token"])
        .env("CLAUDE_HELPER_CONTEXT", "interactive")
        .env("TOLLGATE_HELPER_BROWSER", &browser)
        .output()
        .unwrap();

    assert!(out.status.success());
    let started = Instant::now();
    while laptop.gateway.asked().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "it fetches of its own accord");
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(700));
    assert!(!opened.exists());
}

#[test]
fn a_token_asked_for_brings_the_news_when_the_last_sync_is_a_while_ago() {
    let (laptop, _) = Laptop::with_a_release();
    let out = laptop.run(&["token"]);
    assert!(out.status.success());
    assert_eq!(crate::gateway::text(&out.stdout).lines().count(), 1);
    let started = Instant::now();
    while !laptop.inbox().join("manifest.json").exists() {
        assert!(started.elapsed() < Duration::from_secs(10), "it fetches of its own accord");
        thread::sleep(Duration::from_millis(20));
    }
    laptop.apply();
    thread::sleep(Duration::from_millis(300));
    laptop.gateway.asked();

    for _ in 0..3 {
        laptop.run(&["token"]);
    }

    thread::sleep(Duration::from_millis(500));
    assert!(laptop.gateway.asked().is_empty(), "it was a moment ago");
}

#[test]
fn that_the_systems_half_ran_a_moment_ago_keeps_no_token_from_fetching() {
    let (laptop, _) = Laptop::with_a_release();
    laptop.apply();

    assert!(laptop.run(&["token"]).status.success());

    let started = Instant::now();
    while !laptop.inbox().join("manifest.json").exists() {
        assert!(started.elapsed() < Duration::from_secs(10), "it fetches of its own accord");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn where_no_sync_is_installed_a_token_fetches_nothing() {
    let (laptop, _) = Laptop::with_a_release();
    laptop.configure(
        &serde_json::json!({ "gateway": { "url": laptop.gateway.url }, "store": "file" }),
    );

    laptop.run(&["token"]);

    thread::sleep(Duration::from_millis(300));
    assert!(laptop.gateway.asked().is_empty());
    let (code, told) = laptop.fetch(&[]);
    assert_eq!(code, 78, "{told}");
}

#[test]
fn status_and_doctor_tell_of_the_sync() {
    let (laptop, _) = Laptop::standing();

    let told = crate::gateway::text(&laptop.run(&["status"]).stdout);
    assert!(told.contains("sync       version 5 for finance of acme, applied"), "{told}");
    let told = crate::gateway::text(&laptop.run(&["sync", "status"]).stdout);
    assert!(told.contains("plugin     acme 1.0.5"), "{told}");
    let told: contract::manifest::LastSync =
        serde_json::from_slice(&laptop.run(&["sync", "status", "--json"]).stdout).unwrap();
    assert_eq!(told.standing.unwrap().version, 5);
    let told = crate::gateway::text(&laptop.run(&["doctor"]).stdout);
    assert!(told.contains("ok       sync"), "{told}");
    crate::bench::mode(&laptop.bench.settings.mount, 0o777);
    let told = crate::gateway::text(&laptop.run(&["doctor"]).stdout);
    assert!(told.contains("warning  sync") && told.contains("others can write it"), "{told}");
}
