//! A real browser: Debian's Chromium without a window, driven over `WebDriver`.
//!
//! ```ignore
//! let browser = browser::shared().await;
//! browser.open(&url).await;
//! browser.sign_in("ann").await;
//! browser.click("Allow").await;
//! browser.until_url("http://127.0.0.1:4711/callback").await;
//! ```
//!
//! Whatever fails panics, after a screenshot beside the logs (`target/e2e/browser-…`). It can reach loopback only.

use crate::identity::provider::PASSWORD;
use crate::world::ports;
use crate::world::processes::{self, Process};
use anyhow::{Context, Result, bail};
use fantoccini::elements::Element;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;
use url::{ParseError, Url};

/// Longest wait for what a page shall show.
const PATIENCE: Duration = Duration::from_secs(20);

/// What people can press.
const PRESSED: &str = "button, a, input[type=submit], input[type=button], [role=button]";

/// What they can fill in.
const FILLED: &str = "input, textarea";

/// As root in a container; nothing of its own on the network; no place outside this computer exists.
const ARGUMENTS: [&str; 13] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]",
    // It ends when its driver does, however that ends: the pipe closes.
    "--remote-debugging-pipe",
    "--window-size=900,700",
];

/// A running one, with a profile of its own. It ends when this is dropped, and with the tests.
#[derive(Debug)]
pub struct Browser {
    /// Where its log and screenshots are.
    pub place: PathBuf,
    client: Client,
    _driver: Process,
}

/// The shared browser, as long as one test has it.
#[derive(Debug)]
pub struct Shared(MutexGuard<'static, Option<Browser>>);

impl Deref for Shared {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        self.0.as_ref().expect("it was started before it was lent")
    }
}

static SHARED: Mutex<Option<Browser>> = Mutex::const_new(None);

/// The one browser of a suite: started by the first test that asks, for one test at a time, without cookies and with
/// an empty page. For tests in [`crate::suite`]'s runtime.
pub async fn shared() -> Shared {
    shared_trusting(&[]).await
}

/// The same. The first test's keys count ([`crate::identity::pki::public_key_hash`]); so all say the same.
pub async fn shared_trusting(keys: &[String]) -> Shared {
    let mut slot = SHARED.lock().await;
    match slot.as_ref() {
        Some(browser) => browser.forget().await,
        None => *slot = Some(Browser::start(keys).await.unwrap()),
    }

    Shared(slot)
}

/// A command that `fantoccini` has no name for.
#[derive(Debug)]
struct Raw {
    method: Method,
    path: String,
    body: Option<Value>,
}

impl WebDriverCompatibleCommand for Raw {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        (self.method.clone(), self.body.as_ref().map(Value::to_string))
    }
}

impl Browser {
    /// Starts one that trusts servers with these keys, whoever certified them
    /// ([`crate::identity::pki::public_key_hash`]).
    pub async fn start(keys: &[String]) -> Result<Self> {
        let place = processes::place("browser")?;
        let port = ports::port()?.port();
        let driver = Process::start(
            Path::new("chromedriver"),
            &[&format!("--port={port}")],
            &place,
            &place.join("logs/chromedriver.log"),
        )
        .context("no chromedriver: tools/prepare --tests")?;
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", place.join("profile").display()));
        if !keys.is_empty() {
            arguments.push(format!("--ignore-certificate-errors-spki-list={}", keys.join(",")));
        }
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let capabilities: Capabilities = serde_json::from_value(options)?;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let end = Instant::now() + PATIENCE;
        let client = loop {
            match builder.connect(&format!("http://127.0.0.1:{port}")).await {
                Ok(client) => break client,
                Err(error) if Instant::now() > end => {
                    let log = fs::read_to_string(place.join("logs/chromedriver.log"));
                    bail!("no browser: {error}\n{}", log.unwrap_or_default());
                }
                Err(_) => sleep(Duration::from_millis(30)).await,
            }
        };

        Ok(Self { place, client, _driver: driver })
    }

    /// Goes to this address. That nobody answers there is no error: see [`Browser::url`].
    pub async fn open(&self, url: &Url) {
        // Chromium reports an unreachable address as an error, after it shows its page about it.
        if let Err(error) = self.client.goto(url.as_str()).await {
            eprintln!("{url}: {error}");
        }
    }

    /// Where it is.
    pub async fn url(&self) -> Url {
        self.client.current_url().await.unwrap()
    }

    /// The page's title.
    pub async fn title(&self) -> String {
        self.client.title().await.unwrap_or_default()
    }

    /// What a person reads on the page.
    pub async fn text(&self) -> String {
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// What a script returns in the page (`return …`), for what no person could ask.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Presses the button or link that is called so, by its accessible name; waits until there is one.
    pub async fn click(&self, name: &str) {
        let found = self.named(PRESSED, name).await;
        if let Err(error) = found.click().await {
            self.failed(&format!("{name:?} cannot be pressed: {error}")).await;
        }
    }

    /// Fills in the field that is called so, by its accessible name; waits until there is one.
    pub async fn fill(&self, name: &str, value: &str) {
        let found = self.named(FILLED, name).await;
        let done = async {
            found.clear().await?;
            found.send_keys(value).await
        };
        if let Err(error) = done.await {
            self.failed(&format!("{name:?} cannot be filled in: {error}")).await;
        }
    }

    /// Signs in at [`crate::identity::provider::OidcProvider`]'s form.
    pub async fn sign_in(&self, user: &str) {
        self.fill("User name", user).await;
        self.fill("Password", PASSWORD).await;
        self.click("Sign in").await;
    }

    /// Waits until it is at an address that begins so, and returns the whole.
    pub async fn until_url(&self, prefix: &str) -> Url {
        let end = Instant::now() + PATIENCE;
        loop {
            let url = self.url().await;
            if url.as_str().starts_with(prefix) {
                return url;
            }
            if Instant::now() > end {
                self.failed(&format!("never came to {prefix}")).await;
            }
            sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until the page says this.
    pub async fn until_text(&self, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.text().await.contains(wanted) {
            if Instant::now() > end {
                self.failed(&format!("never said {wanted:?}")).await;
            }
            sleep(Duration::from_millis(30)).await;
        }
    }

    /// Forgets all cookies, of all sites, and shows an empty page.
    pub async fn forget(&self) {
        self.open(&Url::parse("about:blank").unwrap()).await;
        let body = json!({ "cmd": "Network.clearBrowserCookies", "params": {} });
        let path = "goog/cdp/execute".to_owned();
        self.client.issue_cmd(Raw { method: Method::POST, path, body: Some(body) }).await.unwrap();
    }

    /// Writes what it shows, and returns where.
    pub async fn screenshot(&self) -> PathBuf {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let file = self.place.join(format!("page-{}.png", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::write(&file, self.client.screenshot().await.unwrap_or_default()).unwrap();

        file
    }

    /// The name that assistive technology reads for an element: `WebDriver` §12.4.10.
    async fn label(&self, element: &Element) -> Option<String> {
        let path = format!("element/{}/computedlabel", element.element_id().as_ref());
        let said = self.client.issue_cmd(Raw { method: Method::GET, path, body: None }).await;

        Some(said.ok()?.as_str()?.trim().to_owned())
    }

    async fn named(&self, kind: &str, name: &str) -> Element {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut labels = Vec::new();
            for element in self.client.find_all(Locator::Css(kind)).await.unwrap_or_default() {
                match self.label(&element).await {
                    Some(label) if label == name => return element,
                    other => labels.extend(other),
                }
            }
            if Instant::now() > end {
                self.failed(&format!("nothing is called {name:?}, but {labels:?}")).await;
            }
            sleep(Duration::from_millis(30)).await;
        }
    }

    async fn failed(&self, what: &str) -> ! {
        let (url, text) = (self.url().await, self.text().await);
        let picture = self.screenshot().await;
        panic!("{what}\nat {url}, {}:\n{text}", picture.display());
    }
}
