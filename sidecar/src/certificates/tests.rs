use super::*;
use crate::certificates::revoked::{Lists, read};
use crate::identity::Certificates;
use axum::http::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use std::fs;
use std::path::PathBuf;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];

    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "ann-laptop");
    parameters.serial_number = Some(SerialNumber::from(vec![0, 0xab, 1]));
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mail = "Ann@Example.com".try_into().unwrap();
    let uri = "spiffe://example.com/user/bob".try_into().unwrap();
    parameters.subject_alt_names = vec![SanType::Rfc822Name(mail), SanType::URI(uri)];
    parameters.not_before = date_time_ymd(2024, 1, 1);
    parameters.not_after = date_time_ymd(2040, 1, 1);

    parameters
}

fn made(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut parameters = parameters();
    change(&mut parameters);

    parameters.signed_by(&KeyPair::generate().unwrap(), &authority("Acme devices")).unwrap()
}

fn names(user: Vec<NamedBy>) -> Certificates {
    Certificates {
        crl: Vec::new(),
        crl_ca: None,
        revoked: None,
        user,
        prefix: Some("spiffe://example.com/user/".into()),
        suffix: Some("@example.com".into()),
    }
}

fn device(certificate: &Certificate) -> Device {
    Device::read(certificate.der(), &names(vec![NamedBy::Email])).unwrap()
}

fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
    let pairs = pairs.iter();

    pairs
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

/// What an ingress may pass on of whatever a client says.
const FORWARDED: &str = "x-forwarded-client-cert";

#[test]
fn only_the_certificate_whose_fingerprint_the_connection_tells_is_believed() {
    let (mine, other) = (made(|_| {}), made(|_| {}));
    let names = names(vec![NamedBy::Email]);
    let print = |it: &Certificate| hex(&Sha256::digest(it.der()));
    let bare = |it: &Certificate| utf8_percent_encode(&it.pem(), NON_ALPHANUMERIC).to_string();
    let forwarded = |it: &Certificate| format!("Hash={};Cert=\"{}\"", print(it), bare(it));
    let of = |pairs: &[(&'static str, String)]| Device::of(&headers(pairs), &names);

    let good = of(&[(PEER, print(&mine)), (PEER_CERT, bare(&mine))]).unwrap();
    assert_eq!(good.owner.as_deref(), Some("ann@example.com"));
    assert_eq!(
        of(&[(PEER_CERT, bare(&mine))]),
        Err(Refused::CertificateMissing),
        "nothing vouches for it"
    );
    assert_eq!(of(&[(FORWARDED, forwarded(&mine))]), Err(Refused::CertificateMissing));
    assert_eq!(
        of(&[(PEER, "-".into()), (PEER_CERT, bare(&mine))]),
        Err(Refused::CertificateMissing)
    );
    let twice = vec![(PEER, print(&mine)), (PEER, print(&other)), (PEER_CERT, bare(&mine))];
    assert_eq!(of(&twice), Err(Refused::CertificateMissing));
    for forged in [
        vec![(PEER, print(&other)), (PEER_CERT, bare(&mine))],
        vec![(PEER, print(&mine)), (FORWARDED, forwarded(&mine))],
        vec![(PEER, print(&mine))],
        vec![(PEER, print(&mine).to_uppercase()), (PEER_CERT, bare(&mine))],
        vec![(PEER, print(&mine)), (PEER_CERT, "rubbish".into())],
    ] {
        assert_eq!(of(&forged), Err(Refused::CertificateUnusable), "{forged:?}");
    }
}

#[test]
fn what_is_for_servers_or_for_anything_or_an_authority_signs_nobody_in() {
    let now = 1_763_000_000;
    assert_eq!(device(&made(|_| {})).check(now), Ok(()));
    for (unusable, what) in [
        (
            made(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            "for servers",
        ),
        (made(|it| it.extended_key_usages.clear()), "for nothing said"),
        (made(|it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "an authority"),
    ] {
        assert_eq!(device(&unusable).check(now), Err(Refused::CertificateUnusable), "{what}");
    }
    let over = made(|it| it.not_after = date_time_ymd(2025, 1, 1));
    let early = made(|it| it.not_before = date_time_ymd(2039, 1, 1));
    for it in [over, early] {
        assert_eq!(device(&it).check(now), Err(Refused::CertificateExpired));
    }
    assert!(Device::read(b"rubbish", &names(vec![])).is_err());
}

#[test]
fn the_configuration_says_what_names_the_owner() {
    let of = |user: Vec<NamedBy>| Device::read(made(|_| {}).der(), &names(user)).unwrap().owner;

    assert_eq!(of(vec![NamedBy::Email, NamedBy::Cn]).as_deref(), Some("ann@example.com"));
    assert_eq!(of(vec![NamedBy::Uri]).as_deref(), Some("bob@example.com"));
    assert_eq!(of(vec![NamedBy::Dns, NamedBy::Email]).as_deref(), Some("ann@example.com"));
    assert_eq!(of(vec![NamedBy::Cn]), None, "it has not the prefix");
    assert_eq!(of(vec![NamedBy::Dns]), None);
    let other = made(|it| {
        let uri = "spiffe://evil.example/user/bob".try_into().unwrap();
        it.subject_alt_names = vec![SanType::URI(uri)];
    });
    let owner = Device::read(other.der(), &names(vec![NamedBy::Uri, NamedBy::Cn])).unwrap().owner;
    assert_eq!(owner, None, "what is there first counts, and no other is tried");
}

fn list(authority: &Authority, serial: &[u8], next: i32) -> String {
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: date_time_ymd(2025, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let parameters = CertificateRevocationListParams {
        this_update: date_time_ymd(2025, 1, 1),
        next_update: date_time_ymd(next, 1, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };

    parameters.signed_by(authority).unwrap().pem().unwrap()
}

#[test]
fn a_list_names_serials_of_its_issuer_and_a_plain_one_serials_or_fingerprints() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = place.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let device = device(&made(|_| {}));
    let mut config = names(vec![]);
    let (ours, theirs) = (authority("Acme devices"), authority("Others"));
    let has = |path: &PathBuf, config: &Certificates| {
        read(path, config).map(|list| Lists(vec![list]).has(&device))
    };

    let crl = file("ours.pem", &list(&ours, &[0xab, 1], 2040));
    assert!(has(&crl, &config).unwrap());
    let both = file("both.pem", &(list(&theirs, &[9], 2040) + &list(&ours, &[0, 0xab, 1], 2040)));
    assert!(has(&both, &config).unwrap());
    assert!(!has(&file("theirs.pem", &list(&theirs, &[0xab, 1], 2040)), &config).unwrap());
    assert!(has(&file("rubbish.pem", "rubbish"), &config).is_err());
    assert!(has(&file("empty.pem", ""), &config).is_err(), "an empty file is no empty list");

    config.crl_ca = Some(file("ca.pem", &ours.as_ref().pem()));
    assert!(has(&crl, &config).unwrap());
    let namesake = authority("Acme devices");
    let forged = file("forged.pem", &list(&namesake, &[0xab, 1], 2040));
    assert!(has(&forged, &config).is_err(), "signed by another of that name");

    let sha256 = hex(&device.sha256);
    for (text, revoked) in [
        ("serial:ab01", true),
        ("# lost\n serial: 00:AB:01 # Ann's", true),
        (&*format!("sha256:{sha256}"), true),
        ("serial:ab02", false),
        ("", false),
    ] {
        let path = file("plain", text);
        let config = Certificates { revoked: Some(path.clone()), ..config.clone() };
        assert_eq!(has(&path, &config).unwrap(), revoked, "{text}");
    }
    for slip in ["ab01", "serial:", "serial:xyz", "sha256:ab", "subject:ann"] {
        let path = file("plain", slip);
        let config = Certificates { revoked: Some(path.clone()), ..config.clone() };
        assert!(has(&path, &config).unwrap_err().to_string().contains("line 1"), "{slip}");
    }
}
