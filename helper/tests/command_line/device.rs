//! Keys on a token that speaks PKCS#11, here `SoftHSM2`, in a handshake with a real TLS server.

use crate::failed;
use crate::ladder::Enrolled;
use crate::laptop::{Fallible, Laptop, line, text};
use crate::office::Office;
use crate::pki::{Authority, Holds};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, CertificateType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair};
use rustls::SupportedProtocolVersion;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

const PIN: &str = "CANARY4711";

const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

fn module() -> &'static str {
    MODULES
        .into_iter()
        .find(|module| Path::new(module).exists())
        .expect("no SoftHSM2 here: run tools/prepare --tests")
}

/// A fresh token with one key and its certificate, and the settings that find it.
fn token(laptop: &Laptop, label: &str, key_pem: &str, certificate: &str) -> Fallible<String> {
    let place = laptop.place.path();
    let tokens = place.join("tokens");
    fs::create_dir(&tokens)?;
    let conf = place.join("softhsm2.conf");
    fs::write(&conf, format!("directories.tokendir = {}\n", tokens.display()))?;
    let key = laptop.private("import.key", key_pem)?;
    let run = |args: &[&str]| -> Fallible {
        let out = Command::new("softhsm2-util").env("SOFTHSM2_CONF", &conf).args(args).output()?;
        assert!(out.status.success(), "{}", text(&out.stderr));
        Ok(())
    };
    run(&["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "12345678"])?;
    let key = key.display().to_string();
    let import = ["--import", &key, "--token", label, "--label", "device", "--id", "01"];
    run(&[&import[..], &["--pin", PIN]].concat())?;
    // softhsm2-util imports no certificates: a child of this test does, with its own settings.
    let der = place.join("device.der");
    fs::write(&der, CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
    let out = Command::new(std::env::current_exe()?)
        .args(["--exact", "device::puts_a_certificate_on_the_token", "--ignored"])
        .env("SOFTHSM2_CONF", &conf)
        .env("TEST_CERTIFICATE", &der)
        .output()?;
    assert!(out.status.success(), "{}", text(&out.stdout));

    Ok(conf.display().to_string())
}

#[test]
#[ignore = "a part of the others: the library reads its settings once for each process"]
fn puts_a_certificate_on_the_token() -> Fallible {
    let library = Pkcs11::new(module())?;
    library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let slot = library.get_slots_with_initialized_token()?[0];
    let session = library.open_rw_session(slot)?;
    session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned())))?;
    let der = fs::read(std::env::var("TEST_CERTIFICATE")?)?;
    session.create_object(&[
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
        Attribute::Token(true),
        Attribute::Label(b"device".to_vec()),
        Attribute::Id(vec![1]),
        Attribute::Subject(b"subject".to_vec()),
        Attribute::Value(der),
    ])?;
    Ok(())
}

fn enrolled(
    key: &KeyPair,
    versions: &[&'static SupportedProtocolVersion],
) -> Fallible<(Enrolled, String)> {
    let (web, devices) = (Authority::new()?, Authority::new()?);
    let server = web.server_of("localhost", Holds::Now, Some(&devices), versions)?;
    let enrolled =
        Enrolled { laptop: Laptop::new()?, office: Office::start(&["mtls"], Some(server))? };
    let usage = ExtendedKeyUsagePurpose::ClientAuth;
    let certificate = devices.issue("ann.laptop", Holds::Now, usage, key)?;
    let conf = token(&enrolled.laptop, "corporate card", &key.serialize_pem(), &certificate)?;
    let pin = enrolled.laptop.private("pin", &format!("{PIN}\n"))?;
    let uri = format!(
        "pkcs11:token=corporate%20card;object=device?module-path={}&pin-source=file:{}",
        module(),
        pin.display()
    );
    enrolled.configure(&web, &json!({ "pkcs11": { "uri": uri } }))?;

    Ok((enrolled, conf))
}

fn mints(key: &KeyPair, versions: &[&'static SupportedProtocolVersion]) -> Fallible {
    let (enrolled, conf) = enrolled(key, versions)?;

    let out = enrolled.laptop.run_with(&[("SOFTHSM2_CONF", &conf)], &[], "")?;

    assert_eq!(line(&out)?["headers"]["x-user-id"], "mtls");
    assert!(enrolled.office.last().peer.is_some());
    Ok(())
}

#[test]
fn a_key_on_the_curve_p_256_signs_the_handshake() -> Fallible {
    mints(&KeyPair::generate()?, &[&TLS13])?;
    mints(&KeyPair::generate()?, &[&TLS12])
}

#[test]
fn an_rsa_key_signs_the_handshake() -> Fallible {
    let pem = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()?;
    let key = KeyPair::from_pem(&text(&pem.stdout))?;

    mints(&key, &[&TLS13])?;
    mints(&key, &[&TLS12])
}

#[test]
fn a_wrong_pin_is_told_without_the_pin() -> Fallible {
    let (enrolled, conf) = enrolled(&KeyPair::generate()?, &[&TLS13])?;
    enrolled.laptop.private("pin", "CANARY0000")?;

    let out = enrolled.laptop.run_with(&[("SOFTHSM2_CONF", &conf)], &[], "")?;

    failed(&out, 5);
    assert!(text(&out.stderr).contains("device certificate"), "{}", text(&out.stderr));
    Ok(())
}

#[test]
fn a_token_that_is_not_there_is_named() -> Fallible {
    let (enrolled, _) = enrolled(&KeyPair::generate()?, &[&TLS13])?;
    let empty = enrolled.laptop.place.path().join("empty.conf");
    fs::create_dir(enrolled.laptop.place.path().join("empty"))?;
    fs::write(
        &empty,
        format!("directories.tokendir = {}/empty\n", enrolled.laptop.place.path().display()),
    )?;

    let conf = empty.display().to_string();
    let out = enrolled.laptop.run_with(&[("SOFTHSM2_CONF", &conf)], &[], "")?;

    failed(&out, 5);
    let told = text(&out.stderr);
    assert!(told.contains("\"corporate card\"") && told.contains("no such token"), "{told}");
    Ok(())
}

#[test]
fn another_system_s_store_is_an_honest_no() -> Fallible {
    let office = Office::open(&["mtls"])?;
    let laptop = Laptop::new()?;
    let other = if cfg!(target_os = "macos") { "windows" } else { "keychain" };
    let device = json!({ other: { "label": "ann" } });
    laptop.machine(&json!({ "gateway": { "url": office.url }, "device_certificate": device }))?;

    let out = laptop.bare()?;

    failed(&out, 5);
    assert!(text(&out.stderr).contains("is not on this system"), "{}", text(&out.stderr));
    Ok(())
}
