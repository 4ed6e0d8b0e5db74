//! A laptop with the real helper on it.

use crate::identity::browser::Browser;
use crate::world::World;
use crate::world::processes::built;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use url::Url;

/// How long the helper may take to say where the browser is to go.
const PATIENCE: Duration = Duration::from_secs(20);

/// A person's machine: a home of its own, and what the helper is started with.
#[derive(Debug)]
pub struct Laptop {
    home: PathBuf,
    gateway: String,
    ca: String,
    environment: Vec<(&'static str, String)>,
}

impl Laptop {
    /// One beside this world, by this name.
    pub fn new(world: &World, name: &str) -> Self {
        Self {
            home: world.place.join(name),
            gateway: format!("https://localhost:{}", world.ports.tls.port()),
            ca: world.run().join("tls/ca.pem").display().to_string(),
            environment: Vec::new(),
        }
    }

    /// With this in the helper's environment.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// At another gateway.
    pub fn at(mut self, gateway: &str) -> Self {
        gateway.clone_into(&mut self.gateway);
        self
    }

    /// A file of the helper's.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Where the gateway is.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// The authority behind the gateway's certificate.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// Starts the helper.
    pub fn start(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = Command::new(built("tollgate-helper")?);
        command
            .args(arguments)
            .env("TOLLGATE_HELPER_HOME", &self.home)
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .env_remove("CLAUDE_HELPER_CONTEXT")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in &self.environment {
            command.env(name, value);
        }

        command.spawn().context("the helper does not start")
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut child = self.start(arguments)?;
        // A helper that asks nothing may be gone by now.
        drop(child.stdin.take().context("no input")?.write_all(input.as_bytes()));

        Ok(child.wait_with_output()?)
    }

    /// Logs in with a personal access token.
    pub fn login_with_pat(&self, pat: &str) -> Result<Output> {
        let arguments = ["login", "--gateway", &self.gateway, "--pat", "-", "--ca", &self.ca];

        self.run(&arguments, pat)
    }

    /// Begins to log in in the browser: the helper, which waits, and where it sends the browser.
    pub async fn begin_login(&self) -> Result<(Child, Url)> {
        fs::create_dir_all(&self.home)?;
        crate::world::files::close(&self.home)?;
        let (script, asked) = (self.file("browser.sh"), self.file("asked"));
        drop(fs::remove_file(&asked));
        let text =
            format!("#!/bin/sh\nprintf %s \"$1\" >{0}.new && mv {0}.new {0}\n", asked.display());
        fs::write(&script, text)?;
        crate::world::files::close(&script)?;
        let mut child = Laptop {
            home: self.home.clone(),
            gateway: self.gateway.clone(),
            ca: self.ca.clone(),
            environment: self.environment.clone(),
        }
        .with("TOLLGATE_HELPER_BROWSER", &script.display().to_string())
        .start(&["login", "--gateway", &self.gateway, "--ca", &self.ca])?;
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok(url) = fs::read_to_string(&asked) {
                return Ok((child, url.parse()?));
            }
            if Instant::now() > end || child.try_wait()?.is_some() {
                let output = child.wait_with_output()?;
                anyhow::bail!("no browser: {}", String::from_utf8_lossy(&output.stderr));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Logs in in the browser, as this person of the provider.
    pub async fn login_in(&self, browser: &Browser, user: &str) -> Result<Output> {
        let (child, url) = self.begin_login().await?;
        browser.open(&url).await;
        browser.sign_in(user).await;
        browser.click("Allow").await;

        tokio::task::spawn_blocking(|| child.wait_with_output()).await?.context("the helper")
    }
}

/// The helper's one line.
pub fn line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.trim_end().lines().count(), 1, "one line and nothing else: {text:?}");

    serde_json::from_str(&text).unwrap()
}
