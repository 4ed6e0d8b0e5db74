//! Proxies, and authorities of one's own.

use crate::failed;
use crate::laptop::{Fallible, Laptop, PAT, text};
use crate::office::Office;
use crate::pki::{Authority, Holds};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A proxy that leads every name to one gateway on this machine, and writes down what it was asked.
pub(crate) struct Proxy {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn to(office: &Office, status: &'static str) -> Fallible<Self> {
        let target = office.url.rsplit('/').next().unwrap_or_default().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (target, log) = (target.clone(), Arc::clone(&log));
                thread::spawn(move || lead(stream, &target, status, &log).is_ok());
            }
        });

        Ok(Self { url, asked })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn lead(mut client: TcpStream, target: &str, status: &str, log: &Mutex<Vec<String>>) -> Fallible {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    log.lock().unwrap().extend(head);
    write!(client, "HTTP/1.1 {status}\r\n\r\n")?;
    if !status.starts_with("200") {
        return Ok(());
    }
    let mut server = TcpStream::connect(target)?;
    let (mut back, mut from) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || std::io::copy(&mut from, &mut back).is_ok());
    std::io::copy(&mut reader, &mut server)?;
    Ok(())
}

/// A gateway of another name, which only the proxy knows, and its authority.
pub(crate) fn behind() -> Fallible<(Office, Authority)> {
    let web = Authority::new()?;
    let server = web.server("gateway.test", Holds::Now, None)?;

    Ok((Office::start(&["pat"], Some(server))?, web))
}

const LOGIN: [&str; 3] = ["login", "--pat", "-"];

fn configured(web: &Authority, proxy: Option<&str>) -> Fallible<Laptop> {
    let laptop = Laptop::new()?;
    let gateway = json!({ "url": "https://gateway.test", "ca": web.pem() });
    let mut config = json!({ "gateway": gateway });
    if let Some(proxy) = proxy {
        config["proxy"] = proxy.into();
    }
    laptop.machine(&config)?;
    Ok(laptop)
}

#[test]
fn a_proxy_of_the_configuration_or_the_environment_is_a_tunnel() -> Fallible {
    let (office, web) = behind()?;
    let proxy = Proxy::to(&office, "200 OK")?;

    let set = configured(&web, Some(&proxy.url))?.run(&LOGIN, PAT)?;
    assert!(set.status.success(), "{}", text(&set.stderr));
    let environment = [("HTTPS_PROXY", proxy.url.as_str())];
    let found = configured(&web, None)?.run_with(&environment, &LOGIN, PAT)?;
    assert!(found.status.success(), "{}", text(&found.stderr));

    let asked = proxy.asked();
    let tunnels = asked.iter().filter(|line| *line == "CONNECT gateway.test:443 HTTP/1.1").count();
    assert_eq!(tunnels, 2, "{asked:?}");
    assert!(!asked.join("\n").contains("CANARY"), "it sees no secret: {asked:?}");
    Ok(())
}

#[test]
fn none_and_no_proxy_go_round_it() -> Fallible {
    let (office, web) = behind()?;
    let proxy = Proxy::to(&office, "200 OK")?;
    let environment = [("HTTPS_PROXY", proxy.url.as_str())];

    let none = configured(&web, Some("none"))?.run_with(&environment, &LOGIN, PAT)?;
    failed(&none, 3);
    let excepted = [environment[0], ("NO_PROXY", "gateway.test")];
    let no_proxy = configured(&web, None)?.run_with(&excepted, &LOGIN, PAT)?;
    failed(&no_proxy, 3);

    assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
    Ok(())
}

#[test]
fn a_password_for_the_proxy_is_not_told() -> Fallible {
    let (office, web) = behind()?;
    let proxy = Proxy::to(&office, "407 Proxy Authentication Required")?;
    let with = proxy.url.replace("http://", "http://ann:CANARY@");

    let out = configured(&web, Some(&with))?.run(&LOGIN, PAT)?;

    failed(&out, 3);
    assert!(proxy.asked().iter().any(|line| line.starts_with("Proxy-Authorization: Basic")));
    Ok(())
}

#[test]
fn an_authority_is_given_as_a_path_as_text_or_not_believed() -> Fallible {
    let web = Authority::new()?;
    let office = Office::start(&["pat"], Some(web.server("localhost", Holds::Now, None)?))?;
    let laptop = Laptop::new()?;
    let path = laptop.private("ca.pem", &web.pem())?.display().to_string();
    let login = ["login", "--gateway", &office.url, "--pat", "-"];

    let unknown = laptop.run(&login, PAT)?;
    failed(&unknown, 3);
    assert!(text(&unknown.stderr).contains("--ca FILE"), "{}", text(&unknown.stderr));
    let given = laptop.run(&[&login[..], &["--ca", &path]].concat(), PAT)?;
    assert!(given.status.success(), "{}", text(&given.stderr));
    // The system's own authorities, as OpenSSL's variable names them.
    let system = Laptop::new()?.run_with(&[("SSL_CERT_FILE", &path)], &login, PAT)?;
    assert!(system.status.success(), "{}", text(&system.stderr));
    let configured = Laptop::new()?;
    configured.machine(&json!({ "gateway": { "url": office.url, "ca": path } }))?;
    assert!(configured.run(&LOGIN, PAT)?.status.success());
    Ok(())
}
