//! Certificate, session, personal access token: the strongest that is taken and that is here.

use crate::failed;
use crate::laptop::{Fallible, Laptop, PAT, line, mode_of, text};
use crate::office::{Office, refused};
use crate::pki::{Authority, Holds};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair};
use serde_json::{Value, json};
use std::fs;

/// A laptop with a certificate, and a gateway that asks for one.
pub(crate) struct Enrolled {
    pub(crate) laptop: Laptop,
    pub(crate) office: Office,
}

impl Enrolled {
    pub(crate) fn new(modes: &[&'static str], holds: Holds) -> Fallible<Self> {
        let (web, devices) = (Authority::new()?, Authority::new()?);
        let office =
            Office::start(modes, Some(web.server("localhost", Holds::Now, Some(&devices))?))?;
        let laptop = Laptop::new()?;
        let key = KeyPair::generate()?;
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let pem = devices.issue("ann.laptop", holds, usage, &key)?;
        let enrolled = Self { laptop, office };
        let certificate = enrolled.laptop.private("device.pem", &pem)?;
        let key = enrolled.laptop.private("device.key", &key.serialize_pem())?;
        enrolled.configure(&web, &json!({ "pem": { "certificate": certificate, "key": key } }))?;

        Ok(enrolled)
    }

    pub(crate) fn configure(&self, web: &Authority, device: &Value) -> Fallible {
        let gateway = json!({ "url": self.office.url, "ca": web.pem() });
        self.laptop.machine(&json!({ "gateway": gateway, "device_certificate": device }))
    }

    pub(crate) fn with_pat(self) -> Fallible<Self> {
        self.office.with(|rules| rules.ttl = 20);
        let out = self.laptop.run(&["login", "--pat", "-"], PAT)?;
        assert!(out.status.success(), "{}", text(&out.stderr));
        self.office.with(|rules| rules.asked.clear());
        Ok(self)
    }

    /// By which way the bare command got its token.
    pub(crate) fn by(&self) -> Fallible<String> {
        let told = line(&self.laptop.bare()?)?;
        Ok(told["headers"]["x-user-id"].as_str().unwrap_or_default().to_owned())
    }
}

#[test]
fn the_certificate_comes_first_and_over_its_own_connection() -> Fallible {
    let enrolled = Enrolled::new(&["mtls", "session", "pat"], Holds::Now)?.with_pat()?;

    assert_eq!(enrolled.by()?, "mtls");

    assert_eq!(enrolled.office.asked(), ["GET capabilities", "POST mtls"]);
    assert!(enrolled.office.last().peer.is_some());
    let rules = enrolled.office.rules.lock().unwrap();
    assert!(rules.asked[0].peer.is_none(), "others are not shown the certificate");
    Ok(())
}

#[test]
fn a_certificate_alone_needs_no_login() -> Fallible {
    let enrolled = Enrolled::new(&["mtls"], Holds::Now)?;

    assert_eq!(enrolled.by()?, "mtls");

    assert_eq!(enrolled.office.asked(), ["POST mtls"], "one way needs no choice");
    Ok(())
}

#[test]
fn what_the_gateway_does_not_take_is_not_tried() -> Fallible {
    let enrolled = Enrolled::new(&["pat"], Holds::Now)?.with_pat()?;

    assert_eq!(enrolled.by()?, "pat");

    assert_eq!(enrolled.office.asked(), ["GET capabilities", "POST pat"]);
    Ok(())
}

#[test]
fn a_certificate_that_is_refused_falls_back() -> Fallible {
    let enrolled = Enrolled::new(&["mtls", "session", "pat"], Holds::Now)?.with_pat()?;
    let (_, _, body) = refused("", "", "this certificate was revoked");
    enrolled.office.with(|rules| {
        rules.instead.insert("mtls", ("403 Forbidden", "certificate_revoked", body));
    });

    let out = enrolled.laptop.bare()?;

    assert_eq!(line(&out)?["headers"]["x-user-id"], "pat");
    assert!(text(&out.stderr).contains("this certificate was revoked"), "{}", text(&out.stderr));
    Ok(())
}

#[test]
fn a_refused_certificate_leads_to_the_sign_in_where_somebody_sits() -> Fallible {
    let enrolled = Enrolled::new(&["mtls", "session"], Holds::Now)?;
    enrolled.office.with(|rules| {
        rules.instead.insert("mtls", ("403 Forbidden", "certificate_revoked", String::new()));
    });
    // The browser does not know the test's authority.
    let browser = enrolled.laptop.browser()?;
    fs::write(&browser, fs::read_to_string(&browser)?.replace("curl -sL", "curl -skL"))?;

    let out = enrolled.laptop.run_with(
        &[("CLAUDE_HELPER_CONTEXT", "interactive"), ("TOLLGATE_HELPER_BROWSER", &browser)],
        &[],
        "",
    )?;

    assert_eq!(line(&out)?["headers"]["x-user-id"], "session");
    Ok(())
}

#[test]
fn a_certificate_that_has_ended_is_not_shown_and_falls_back() -> Fallible {
    let enrolled = Enrolled::new(&["mtls", "pat"], Holds::Ended)?.with_pat()?;

    let out = enrolled.laptop.bare()?;

    assert_eq!(line(&out)?["headers"]["x-user-id"], "pat");
    assert!(text(&out.stderr).contains("expired"), "{}", text(&out.stderr));
    assert_eq!(enrolled.office.asked(), ["GET capabilities", "POST pat"]);
    Ok(())
}

#[test]
fn a_key_that_others_can_read_is_not_used() -> Fallible {
    let enrolled = Enrolled::new(&["mtls"], Holds::Now)?;
    mode_of(&enrolled.laptop.beside("device.key"), 0o644)?;

    let out = enrolled.laptop.bare()?;

    failed(&out, 5);
    assert!(text(&out.stderr).contains("device.key is not yours alone"), "{}", text(&out.stderr));
    assert!(enrolled.office.asked().is_empty());
    Ok(())
}

#[test]
fn the_cohort_is_asked_for_and_modes_narrow_the_ladder() -> Fallible {
    let enrolled = Enrolled::new(&["mtls", "pat"], Holds::Now)?.with_pat()?;
    let mut config: Value =
        serde_json::from_str(&fs::read_to_string(enrolled.laptop.machine_file())?)?;
    config["cohort"] = "blue team".into();
    enrolled.laptop.machine(&config)?;
    line(&enrolled.laptop.bare()?)?;
    let asked = enrolled.office.rules.lock().unwrap().asked[0].query.clone();
    assert_eq!(asked["cohort"], "blue team");

    config["modes"] = json!(["pat"]);
    enrolled.laptop.machine(&config)?;
    assert_eq!(enrolled.by()?, "pat");
    Ok(())
}

#[test]
fn where_nothing_here_is_taken_it_says_what_is() -> Fallible {
    let enrolled = Enrolled::new(&["session"], Holds::Now)?.with_pat()?;

    let out = enrolled.laptop.bare()?;

    failed(&out, 5);
    assert!(text(&out.stderr).contains("takes session from here"), "{}", text(&out.stderr));
    Ok(())
}

#[test]
fn a_way_that_this_person_may_not_use_is_passed_over() -> Fallible {
    let office = Office::open(&["session", "pat"])?;
    office.with(|rules| rules.ttl = 20);
    let laptop = Laptop::new()?;
    assert!(laptop.sign_in(&office, &[])?.status.success());
    let login = ["login", "--gateway", &office.url, "--pat", "-"];
    assert!(laptop.run(&login, PAT)?.status.success());
    let not = |code| ("403 Forbidden", code, String::new());
    office.with(|rules| {
        rules.instead.insert("session", not("tier_not_accepted"));
    });
    assert_eq!(line(&laptop.bare()?)?["headers"]["x-user-id"], "pat");

    office.with(|rules| {
        rules.instead.insert("session", not("user_disabled"));
    });
    let out = laptop.bare()?;
    failed(&out, 5);
    assert!(text(&out.stderr).contains("does not help"), "{}", text(&out.stderr));
    Ok(())
}
