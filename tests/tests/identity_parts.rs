//! What the tests of identity stand on does what it says: the `OpenID` provider, the browser, the test PKI, the
//! issuer of workload tokens.

use anyhow::Result;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use e2e::identity::agent::{Agent, Sent};
use e2e::identity::browser::{self, Browser};
use e2e::identity::pki::{DeviceAuthority, Pki, public_key_hash};
use e2e::identity::provider::lies::{Endpoint, Fault, Lie, Signed};
use e2e::identity::provider::{OidcProvider, claims, parameter};
use e2e::identity::workload::{Algorithm, WorkloadIssuer};
use e2e::suite::bare;
use e2e::world::certificates::{Authority, server};
use e2e::world::processes::place;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use url::Url;

const CALLBACK: &str = "http://127.0.0.1:9/oauth/callback";

/// Signs Ann in and trades the code; what the provider answers.
async fn tokens(provider: &OidcProvider, agent: &Agent) -> Value {
    let request = provider.request(CALLBACK);
    let back = provider.sign_in(agent, &request.url, "ann").await.unwrap();
    assert_eq!(parameter(&back, "state").unwrap(), "e2e-state");
    let code = parameter(&back, "code").unwrap();
    let page = provider.trade(&request, &code).await.unwrap();
    assert_eq!(page.status, 200, "{}\n{}", page.text(), provider.log());

    page.json()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

/// Does `openssl` find that this JWT was signed by one of these keys? Nothing here that signed it takes part.
fn verified(jwt: &str, jwks: &Value) -> bool {
    let (covered, signature) = jwt.rsplit_once('.').unwrap();
    let part = |nth| BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(nth).unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&part(0)).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    let Some(jwk) = keys.iter().find(|jwk| jwk["kid"] == header["kid"]) else { return false };
    let script = "const [jwk, covered, signature] = process.argv.slice(1), c = require('crypto');
        const key = { key: c.createPublicKey({ key: JSON.parse(jwk), format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
        process.exit(c.verify('sha256', Buffer.from(covered), key, Buffer.from(signature, 'base64url')) ? 0 : 1)";
    let node = e2e::world::processes::prepared("--node-folder").unwrap().join("node");
    let jwk = jwk.to_string();
    let verdict =
        Command::new(node).args(["-e", script, &jwk, covered, signature]).output().unwrap();

    verdict.status.success()
}

async fn jwks(provider: &OidcProvider) -> Value {
    Agent::new().get(&provider.url("/jwks")).await.unwrap().json()
}

#[test]
fn somebody_signs_in_at_the_provider_and_it_refreshes_and_rotates() {
    bare(async {
        let begun = Instant::now();
        let provider = OidcProvider::start(&[CALLBACK]).await.unwrap();
        eprintln!("the provider was there after {:?}", begun.elapsed());
        let first = tokens(&provider, &Agent::new()).await;

        let said = claims(text(&first, "id_token"));
        assert_eq!(said["iss"], json!(provider.issuer));
        assert_eq!((&said["sub"], &said["nonce"]), (&json!("sub-ann"), &json!("e2e-nonce")));
        assert_eq!(
            (&said["email"], &said["email_verified"]),
            (&json!("ann@example.com"), &json!(true))
        );
        assert_eq!(said["groups"], json!(["engineering"]));
        assert!(verified(text(&first, "id_token"), &jwks(&provider).await));
        let me = Sent::default().bearer(text(&first, "access_token"));
        let me = Agent::new().send(&provider.url("/me"), me).await.unwrap().json();
        assert_eq!((&me["sub"], &me["groups"]), (&json!("sub-ann"), &json!(["engineering"])));

        provider
            .change("ann", json!({ "groups": ["research"], "custom": { "cost": { "center": 7 } } }))
            .await;
        let second = provider.refresh(text(&first, "refresh_token")).await.unwrap().json();
        let said = claims(text(&second, "id_token"));
        assert_eq!(
            (&said["groups"], &said["custom"]["cost"]["center"]),
            (&json!(["research"]), &json!(7))
        );
        assert_ne!(second["refresh_token"], first["refresh_token"], "it rotates");

        provider.disable("ann").await;
        let refused = provider.refresh(text(&second, "refresh_token")).await.unwrap();
        assert_eq!((refused.status, text(&refused.json(), "error")), (400, "invalid_grant"));
        let request = provider.request(CALLBACK);
        let shut = provider.sign_in(&Agent::new(), &request.url, "ann").await.unwrap_err();
        assert!(format!("{shut:#}").contains("not let in"), "{shut:#}");
        let grants: Vec<_> = provider.seen().await.iter().map(|it| it["grant"].clone()).collect();
        assert_eq!(
            grants.iter().filter(|it| **it == json!("refresh_token")).count(),
            2,
            "{grants:?}"
        );
    });
}

#[test]
fn the_provider_keeps_to_the_rules_of_codes() {
    bare(async {
        let provider = OidcProvider::start(&[CALLBACK]).await.unwrap();
        let agent = Agent::new();
        let request = provider.request(CALLBACK);
        let back = provider.sign_in(&agent, &request.url, "ann").await.unwrap();
        let code = parameter(&back, "code").unwrap();
        let mut other = request.clone();
        other.verifier.push('x');

        assert_eq!(provider.trade(&other, &code).await.unwrap().status, 400, "another verifier");
        let again = provider.sign_in(&agent, &request.url, "ann").await.unwrap();
        let code = parameter(&again, "code").unwrap();
        assert_eq!(provider.trade(&request, &code).await.unwrap().status, 200);
        assert_eq!(
            provider.trade(&request, &code).await.unwrap().status,
            400,
            "a code is for once"
        );

        let elsewhere = provider.request("http://127.0.0.1:9/elsewhere");
        assert_eq!(agent.get(&elsewhere.url).await.unwrap().status, 400, "not registered");
        provider.allow_redirect("http://127.0.0.1:9/elsewhere").await;
        let back = provider.sign_in(&agent, &elsewhere.url, "ann").await.unwrap();
        assert!(back.as_str().starts_with("http://127.0.0.1:9/elsewhere?"), "{back}");
    });
}

#[test]
fn each_lie_is_told_once_and_is_one() {
    bare(async {
        let provider = OidcProvider::start(&[CALLBACK]).await.unwrap();
        let agent = Agent::new();
        let keys = jwks(&provider).await;

        provider.lie(Lie::wrong_nonce()).await;
        assert_ne!(
            claims(text(&tokens(&provider, &agent).await, "id_token"))["nonce"],
            "e2e-nonce"
        );
        provider.lie(Lie::wrong_issuer()).await;
        let told = tokens(&provider, &agent).await;
        assert_ne!(claims(text(&told, "id_token"))["iss"], json!(provider.issuer));
        assert!(verified(text(&told, "id_token"), &keys), "it is signed all the same");
        provider.lie(Lie::expired()).await;
        let said = claims(text(&tokens(&provider, &agent).await, "id_token"));
        assert!(said["exp"].as_u64().unwrap() < e2e::world::tokens::now());

        for (how, alg) in [
            (Signed::None, "none"),
            (Signed::Hs256Secret, "HS256"),
            (Signed::Hs256PublicKey, "HS256"),
            (Signed::Unpublished, "RS256"),
            (Signed::UnknownKid, "RS256"),
            (Signed::Broken, "RS256"),
        ] {
            provider.lie(Lie::signed(how)).await;
            let told = tokens(&provider, &agent).await;
            let jwt = text(&told, "id_token");
            let header = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').next().unwrap()).unwrap();
            let header: Value = serde_json::from_slice(&header).unwrap();
            assert_eq!(header["alg"], alg, "{how:?}");
            assert!(!verified(jwt, &keys), "{how:?} verifies");
        }

        provider.lie(Lie::callback(json!({ "iss": "http://127.0.0.1:1", "state": null }))).await;
        let request = provider.request(CALLBACK);
        let back = provider.sign_in(&agent, &request.url, "ann").await.unwrap();
        assert_eq!(parameter(&back, "iss").unwrap(), "http://127.0.0.1:1");
        assert!(parameter(&back, "state").is_err(), "{back}");

        let honest = tokens(&provider, &agent).await;
        assert!(verified(text(&honest, "id_token"), &keys), "each was told once");
        assert_eq!(claims(text(&honest, "id_token"))["nonce"], "e2e-nonce");
        provider.rotate_keys(false).await;
        let rotated = tokens(&provider, &agent).await;
        assert!(!verified(text(&rotated, "id_token"), &keys));
        assert!(verified(text(&rotated, "id_token"), &jwks(&provider).await));
    });
}

#[test]
fn the_provider_breaks_and_leaves_and_names_groups_elsewhere() {
    bare(async {
        let provider = OidcProvider::start(&[CALLBACK]).await.unwrap();
        let agent = Agent::new();
        provider.overage("ann", true).await;
        let over = tokens(&provider, &agent).await;
        let said = claims(text(&over, "id_token"));
        assert_eq!(said["groups"], Value::Null);
        let source = said["_claim_names"]["groups"].as_str().unwrap();
        let lookup: Url = text(&said["_claim_sources"][source], "endpoint").parse().unwrap();
        let asked = Sent::default().bearer(text(&over, "access_token"));
        assert_eq!(
            agent.send(&lookup, asked).await.unwrap().json()["value"],
            json!(["engineering"])
        );
        assert_eq!(agent.get(&lookup).await.unwrap().status, 401);
        provider.overage("ann", false).await;
        provider.only_in_userinfo(&["groups"]).await;
        let bare = tokens(&provider, &agent).await;
        assert_eq!(claims(text(&bare, "id_token"))["groups"], Value::Null);
        let me = Sent::default().bearer(text(&bare, "access_token"));
        let me = agent.send(&provider.url("/me"), me).await.unwrap().json();
        assert_eq!(me["groups"], json!(["engineering"]));

        let refresh = text(&bare, "refresh_token");
        provider.fail(Endpoint::Token, Fault::Status(500)).await;
        assert_eq!(provider.refresh(refresh).await.unwrap().status, 500);
        provider.fail(Endpoint::Token, Fault::Hang).await;
        let hung =
            tokio::time::timeout(Duration::from_millis(500), provider.refresh(refresh)).await;
        assert!(hung.is_err(), "{hung:?}");
        provider.heal(Endpoint::Token).await;
        provider.go_away().await;
        assert!(agent.get(&provider.url("/jwks")).await.is_err());
        provider.come_back().await;
        let page = provider.refresh(refresh).await.unwrap();
        assert_eq!(page.status, 200, "what was issued stays valid: {}", page.text());

        provider.refresh_tokens(false).await;
        assert_eq!(tokens(&provider, &Agent::new()).await["refresh_token"], Value::Null);
    });
}

/// A client's redirect address for one visit: what was asked for.
async fn visit(listener: TcpListener) -> Result<String> {
    let (mut stream, _) = listener.accept().await?;
    let mut request = vec![0; 8192];
    let count = stream.read(&mut request).await?;
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<p>You may close this.";
    stream.write_all(answer.as_bytes()).await?;
    let request = String::from_utf8_lossy(&request[..count]).into_owned();

    Ok(request.split(' ').nth(1).unwrap_or_default().to_owned())
}

#[test]
fn a_browser_signs_in_at_the_provider() {
    bare(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let callback = format!("http://{}/callback", listener.local_addr().unwrap());
        let provider = OidcProvider::start(&[&callback]).await.unwrap();
        let request = provider.request(&callback);
        let begun = Instant::now();
        let browser = browser::shared().await;
        eprintln!("the browser was there after {:?}", begun.elapsed());
        let visited = tokio::spawn(visit(listener));

        browser.open(&request.url).await;
        assert_eq!(browser.title().await, "Sign in at the enterprise");
        browser.fill("User name", "ann").await;
        browser.fill("Password", "wrong").await;
        browser.click("Sign in").await;
        browser.until_text("wrong password").await;
        browser.sign_in("ann").await;
        let back = browser.until_url(&callback).await;
        browser.until_text("You may close this.").await;

        assert!(visited.await.unwrap().unwrap().starts_with("/callback?code="));
        let page = provider.trade(&request, &parameter(&back, "code").unwrap()).await.unwrap();
        assert_eq!(claims(text(&page.json(), "id_token"))["sub"], "sub-ann");
        assert!(browser.screenshot().await.metadata().unwrap().len() > 1000);
        eprintln!("signed in after {:?}", begun.elapsed());
        drop(browser);

        let again = browser::shared().await;
        again.open(&request.url).await;
        assert_eq!(
            again.title().await,
            "Sign in at the enterprise",
            "the next test begins without cookies"
        );
    });
}

#[test]
fn a_browser_trusts_a_named_key_and_no_other() {
    bare(async {
        let authority = Authority::new().unwrap();
        let named = authority.certify(&["localhost"]).unwrap();
        let other = authority.certify(&["localhost"]).unwrap();
        let browser = Browser::start(&[public_key_hash(&named.key).unwrap()]).await.unwrap();
        for (certificate, trusted) in [(named, true), (other, false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
            let mut tls = server(certificate.cert.as_bytes(), certificate.key.as_bytes()).unwrap();
            std::sync::Arc::make_mut(&mut tls).alpn_protocols.clear();
            let acceptor = TlsAcceptor::from(tls);
            let serving = tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                    drop(stream.read(&mut [0; 4096]).await);
                    let page =
                        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\nInside";
                    drop(stream.write_all(page.as_bytes()).await);
                    drop(stream.shutdown().await);
                }
            });
            browser.open(&url.parse().unwrap()).await;
            assert_eq!(
                browser.text().await.contains("Inside"),
                trusted,
                "{}",
                browser.text().await
            );
            serving.abort();
        }
    });
}

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
        let (pki, stranger) =
            (Pki::new("ann@example.com").unwrap(), DeviceAuthority::new().unwrap());
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
        assert_ne!(stranger.pem(), pki.ca.pem());
    });
}

fn asking(cert: &str, key: &str, ca: &str) -> std::sync::Arc<rustls::ServerConfig> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let ring = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let clients =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), ring.clone());
    let mut config = rustls::ServerConfig::builder_with_provider(ring)
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

#[test]
fn workload_tokens_verify_until_the_key_is_gone() {
    bare(async {
        let begun = Instant::now();
        for (first, second) in
            [(Algorithm::Rs256, Algorithm::Es256), (Algorithm::Es256, Algorithm::Rs256)]
        {
            let issuer = WorkloadIssuer::start(first).await.unwrap();
            let agent = Agent::new();
            let description: Url =
                format!("{}/.well-known/openid-configuration", issuer.issuer).parse().unwrap();
            let described = agent.get(&description).await.unwrap().json();
            assert_eq!(described["issuer"], json!(issuer.issuer));
            let address: Url = text(&described, "jwks_uri").parse().unwrap();
            let keys = async || agent.get(&address).await.unwrap().json();

            let github =
                issuer.github("acme/app", "refs/heads/main", "https://tollgate.example.com");
            assert_eq!(text(&github, "sub"), "repo:acme/app:ref:refs/heads/main");
            let token = issuer.mint(&github);
            assert!(verified(&token, &keys().await));
            assert!(!verified(&issuer.forge(&github), &keys().await));
            issuer.rotate(second, true).unwrap();
            let pod = issuer.kubernetes("ci", "reviewer", "https://tollgate.example.com");
            assert_eq!(text(&pod, "sub"), "system:serviceaccount:ci:reviewer");
            assert!(verified(&issuer.mint(&pod), &keys().await));
            assert!(verified(&token, &keys().await), "the old key is still published");
            issuer.rotate(first, false).unwrap();
            assert!(!verified(&token, &keys().await), "and now it is not");

            issuer.go_away().await;
            assert!(agent.get(&address).await.is_err());
            issuer.come_back().await.unwrap();
            assert!(verified(&issuer.mint(&pod), &keys().await));
            assert_eq!(issuer.asked().first().map(String::as_str), Some(description.path()));
        }
        eprintln!("two issuers in {:?}", begun.elapsed());
    });
    assert!(
        BASE64_STANDARD
            .decode(
                public_key_hash(&Authority::new().unwrap().certify(&["a"]).unwrap().key).unwrap()
            )
            .is_ok()
    );
}
