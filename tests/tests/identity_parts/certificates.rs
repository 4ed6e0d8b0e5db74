//! Certificates of devices, as `openssl` and `rustls` judge them.

use e2e::identity::pki::Pki;
use e2e::suite::bare;
use e2e::world::certificates::Authority;
use e2e::world::processes::place;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Does `openssl` take this certificate for a client's, of this authority, with this list of revoked ones?
fn accepted(folder: &Path, ca: &str, crl: Option<&str>, certificate: &str) -> Result<(), String> {
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name).display().to_string()
    };
    let (ca, certificate) = (file("ca.pem", ca), file("certificate.pem", certificate));
    let mut command = Command::new("openssl");
    command.args(["verify", "-purpose", "sslclient", "-CAfile", &ca]);
    if let Some(crl) = crl {
        command.args(["-crl_check", "-CRLfile", &file("crl.pem", crl)]);
    }
    let output = command.arg(&certificate).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();

    if output.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn of_all_certificates_only_the_good_ones_are_good() {
    let pki = Pki::new("ann@example.com").unwrap();
    let folder = place("pki").unwrap();
    let ca = pki.ca.pem();
    let check = |crl: Option<&str>, it: &str| accepted(&folder, &ca, crl, it);
    let refused = |it: &str, why: &str| {
        let said = check(None, it).unwrap_err();
        assert!(said.contains(why), "{said}");
    };

    check(None, pki.good.cert()).unwrap();
    check(None, pki.twin.cert()).unwrap();
    refused(pki.expired.cert(), "has expired");
    refused(pki.not_yet_valid.cert(), "not yet valid");
    refused(pki.wrong_usage.cert(), "purpose");
    refused(pki.foreign.cert(), "error");

    let crl = pki.ca.crl(&[&pki.good], 24).unwrap();
    assert!(check(Some(&crl), pki.good.cert()).unwrap_err().contains("revoked"));
    check(Some(&crl), pki.twin.cert()).unwrap();
    let overdue = pki.ca.crl(&[], -1).unwrap();
    assert!(check(Some(&overdue), pki.twin.cert()).unwrap_err().contains("CRL has expired"));

    let (cert, _) = pki.good.write(&folder, "good").unwrap();
    let output = Command::new("openssl")
        .args([
            "x509",
            "-noout",
            "-serial",
            "-fingerprint",
            "-sha256",
            "-ext",
            "subjectAltName",
            "-in",
        ])
        .arg(cert)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap().replace(':', "").to_lowercase();
    assert!(said.contains(&format!("serial={}", pki.good.serial())), "{said}");
    assert!(said.contains(&pki.good.fingerprint()), "{said}");
    for name in
        ["emailann@example.com", "urispiffe//example.com/device/ann", "dnsann.devices.example.com"]
    {
        assert!(said.contains(name), "{said}");
    }
    assert_ne!(pki.good.serial(), pki.twin.serial());
}

#[test]
fn a_client_shows_its_certificate_to_whoever_asks() {
    bare(async {
        let authority = Authority::new().unwrap();
        let pki = Pki::new("ann@example.com").unwrap();
        let front = authority.certify(&["localhost"]).unwrap();
        let acceptor = TlsAcceptor::from(asking(&front.cert, &front.key, &pki.ca.pem()));
        for (certificate, welcome) in [
            (Some(&pki.good), true),
            (Some(&pki.expired), false),
            (Some(&pki.foreign), false),
            (Some(&pki.wrong_usage), false),
            (None, false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let connector =
                TlsConnector::from(authority.client_with(&["h2"], certificate).unwrap());
            let (served, _client) = tokio::join!(
                async { acceptor.accept(listener.accept().await.unwrap().0).await },
                async {
                    let stream = TcpStream::connect(address).await.unwrap();
                    connector.connect("localhost".try_into().unwrap(), stream).await
                },
            );
            assert_eq!(served.is_ok(), welcome, "{:?}", served.err());
            if let Ok(stream) = served {
                let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                assert_eq!(shown, certificate.unwrap().der());
            }
        }
    });
}

fn asking(cert: &str, key: &str, ca: &str) -> Arc<ServerConfig> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), ring.clone());
    let mut config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];

    config.into()
}
