//! Each of the doctor's findings, provoked.

use crate::ladder::Enrolled;
use crate::laptop::{Fallible, Laptop, PAT, mode_of, text};
use crate::office::Office;
use crate::pki::{Authority, Holds};
use crate::proxy::{Proxy, behind};
use serde_json::{Value, json};
use std::fs;

/// What it found about one thing, and its exit code.
fn about(laptop: &Laptop, check: &str) -> Fallible<(Value, Option<i32>)> {
    let out = laptop.run(&["doctor", "--json"], "")?;
    let told: Value = serde_json::from_slice(&out.stdout)?;
    let finding = told["findings"]
        .as_array()
        .and_then(|all| all.iter().find(|finding| finding["check"] == check))
        .cloned()
        .ok_or_else(|| format!("nothing about {check}: {told}"))?;
    assert_eq!(told["healthy"].as_bool(), Some(out.status.code() == Some(0)));
    Ok((finding, out.status.code()))
}

/// Something is wrong, it is this, and it says what to do.
fn faulty(laptop: &Laptop, check: &str, found: &str, remedy: &str) -> Fallible {
    let (finding, code) = about(laptop, check)?;
    assert_eq!(code, Some(1), "{finding}");
    assert_eq!(finding["state"], "fault", "{finding}");
    assert!(finding["found"].as_str().is_some_and(|told| told.contains(found)), "{finding}");
    assert!(finding["do"].as_str().is_some_and(|told| told.contains(remedy)), "{finding}");
    Ok(())
}

fn logged_in(office: &Office) -> Fallible<Laptop> {
    let laptop = Laptop::new()?;
    let out = laptop.run(&["login", "--gateway", &office.url, "--pat", "-"], PAT)?;
    assert!(out.status.success(), "{}", text(&out.stderr));
    Ok(laptop)
}

fn at(url: &str, ca: Option<&Authority>) -> Fallible<Laptop> {
    let laptop = Laptop::new()?;
    let ca = ca.map(Authority::pem);
    let mut gateway = json!({ "url": url });
    if let Some(ca) = ca {
        gateway["ca"] = ca.into();
    }
    laptop.machine(&json!({ "gateway": gateway }))?;
    Ok(laptop)
}

#[test]
fn where_all_is_well_it_says_so() -> Fallible {
    let office = Office::open(&["session", "pat"])?;
    office.with(|rules| rules.date = Some(now_and(0)));
    let laptop = logged_in(&office)?;

    let out = laptop.run(&["doctor"], "")?;

    assert!(out.status.success(), "{}", text(&out.stdout));
    let told = text(&out.stdout);
    assert!(told.contains("it takes session, pat"), "{told}");
    assert!(told.contains("pat_0123456789ab") && !told.contains("FAULT"), "{told}");
    assert!(about(&laptop, "config.user")?.0["found"].to_string().contains("sets gateway"));
    assert!(about(&laptop, "keystore")?.0["found"].to_string().contains("files"));
    Ok(())
}

fn now_and(seconds: i64) -> String {
    let now = std::time::SystemTime::now();
    let far = std::time::Duration::from_secs(seconds.unsigned_abs());
    httpdate::fmt_http_date(if seconds < 0 { now - far } else { now + far })
}

#[test]
fn a_clock_that_is_wrong() -> Fallible {
    let office = Office::open(&["pat"])?;
    let laptop = logged_in(&office)?;

    office.with(|rules| rules.date = Some(now_and(-3600)));
    faulty(&laptop, "clock", "ahead of", "NTP")?;
    office.with(|rules| rules.date = Some(now_and(3600)));
    faulty(&laptop, "clock", "behind", "NTP")
}

#[test]
fn a_name_that_nobody_knows() -> Fallible {
    faulty(&at("https://gateway.invalid", None)?, "dns", "gateway.invalid", "VPN")
}

#[test]
fn a_port_where_nobody_listens() -> Fallible {
    faulty(&at("http://127.0.0.1:1", None)?, "connect", "127.0.0.1:1", "firewall")
}

#[test]
fn certificates_that_are_not_believed() -> Fallible {
    let web = Authority::new()?;
    let ended = Office::start(&["pat"], Some(web.server("localhost", Holds::Ended, None)?))?;
    faulty(&at(&ended.url, Some(&web))?, "tls", "localhost", "has expired")?;

    let good = Office::start(&["pat"], Some(web.server("localhost", Holds::Now, None)?))?;
    faulty(&at(&good.url, Some(&Authority::new()?))?, "tls", "localhost", "gateway.ca")?;

    let other = Office::start(&["pat"], Some(web.server("other.test", Holds::Now, None)?))?;
    faulty(&at(&other.url, Some(&web))?, "tls", "localhost", "another name")?;

    let plain = Office::open(&["pat"])?;
    let tls = plain.url.replace("http://127.0.0.1", "https://localhost");
    faulty(&at(&tls, Some(&web))?, "tls", "localhost", "is this port TLS")?;

    let laptop = Laptop::new()?;
    laptop.machine(&json!({ "gateway": { "url": good.url, "ca": "/nowhere/ca.pem" } }))?;
    faulty(&laptop, "tls", "/nowhere/ca.pem", "gateway.ca")
}

#[test]
fn a_proxy_that_is_away_or_says_no() -> Fallible {
    let (office, web) = behind()?;
    let laptop = at("https://gateway.test", Some(&web))?;
    let mut config: Value = serde_json::from_str(&fs::read_to_string(laptop.machine_file())?)?;

    config["proxy"] = "http://127.0.0.1:1".into();
    laptop.machine(&config)?;
    faulty(&laptop, "proxy", "127.0.0.1:1, from the configuration", "NO_PROXY")?;

    let refusing = Proxy::to(&office, "403 Forbidden")?;
    config["proxy"] = refusing.url.clone().into();
    laptop.machine(&config)?;
    let told = text(&laptop.run(&["doctor"], "")?.stdout);
    assert!(told.contains("allowed on it"), "{told}");
    Ok(())
}

#[test]
fn another_server_at_the_address() -> Fallible {
    let office = Office::open(&["pat"])?;
    let laptop = at(&office.url, None)?;
    for page in [
        ("200 OK", "", "<html>sign in to this hotel".to_owned()),
        ("404 Not Found", "", String::new()),
    ] {
        office.with(|rules| {
            rules.instead.insert("capabilities", page);
        });
        faulty(&laptop, "answer", "not as a Tollgate gateway", "gateway.url")?;
    }
    let away = ("503 Service Unavailable", "", String::new());
    office.with(|rules| {
        rules.instead.insert("capabilities", away);
    });
    faulty(&laptop, "answer", "503", "try later")
}

#[test]
fn a_public_address_is_a_warning_of_what_another_client_wants() -> Fallible {
    // Documentation's own addresses (RFC 5737): nobody is there.
    let (finding, _) = about(&at("https://203.0.113.1:9", None)?, "private_address")?;

    assert_eq!(finding["state"], "warning", "{finding}");
    assert!(finding["found"].to_string().contains("203.0.113.1 is public"), "{finding}");
    let (private, _) = about(&at("http://127.0.0.1:1", None)?, "private_address")?;
    assert_eq!(private["state"], "ok", "{private}");
    Ok(())
}

#[test]
fn a_device_certificate_that_ended_is_away_or_is_open_to_others() -> Fallible {
    let ended = Enrolled::new(&["mtls"], Holds::Ended)?;
    faulty(&ended.laptop, "device_certificate", "expired", "enrolled again")?;

    let away = Enrolled::new(&["mtls"], Holds::Now)?;
    assert_eq!(about(&away.laptop, "device_certificate")?.0["state"], "ok");
    mode_of(&away.laptop.beside("device.key"), 0o644)?;
    faulty(&away.laptop, "device_certificate", "others can reach it", "chmod 600")?;
    fs::remove_file(away.laptop.beside("device.pem"))?;
    faulty(&away.laptop, "device_certificate", "device.pem cannot be read", "enrolled again")
}

#[test]
fn the_policy_s_key() -> Fallible {
    let office = Office::open(&["pat"])?;
    let laptop = logged_in(&office)?;
    assert_eq!(about(&laptop, "policy_key")?.0["state"], "skipped");

    let path = laptop.private("policy.pub", r#"{"key_id":"k1","public_key":"AAAA"}"#)?;
    laptop.machine(&json!({ "policy_key": path }))?;
    let (finding, _) = about(&laptop, "policy_key")?;
    assert!(finding["found"].to_string().contains("k1 is "), "{finding}");
    fs::write(&path, "hello")?;
    faulty(&laptop, "policy_key", "no public key", "policy.pub")?;
    fs::remove_file(&path)?;
    faulty(&laptop, "policy_key", "policy.pub", "deploy")
}

#[test]
fn configuration_files_with_faults_and_nobody_logged_in() -> Fallible {
    let laptop = Laptop::new()?;
    faulty(&laptop, "gateway", "no gateway", "login --gateway")?;
    fs::write(laptop.machine_file(), r#"{"store":"drawer"}"#)?;
    faulty(&laptop, "config.machine", "`drawer`", "docs/helper.md")?;
    laptop.machine(&json!({ "gateway": { "url": "http://127.0.0.1:1" } }))?;
    faulty(&laptop, "credentials", "none for", "login")?;
    mode_of(&laptop.machine_file(), 0o666)?;
    faulty(&laptop, "config.machine", "others can write it", "chmod")
}

#[test]
fn a_keystore_that_is_wanted_and_does_not_serve() -> Fallible {
    let laptop = Laptop::new()?;
    laptop.machine(&json!({ "store": "keystore" }))?;

    faulty(&laptop, "keystore", "no message bus", "store")
}
