//! Device certificates as a way to sign in, on the real Envoy: the token is bound to one, and ends with it.

use e2e::client::Call;
use e2e::client::answer::Answer;
use e2e::client::connection::{Connection, Via};
use e2e::identity::laptop::{Laptop, line};
use e2e::identity::pki::{ClientCertificate, Device, Pki};
use e2e::identity::provider::claims;
use e2e::person::{SECONDS, call, claim};
use e2e::provider::script::Script;
use e2e::suite::{Suite, alone};
use e2e::world::setup::Setup;
use e2e::world::{ANN, World};
use serde_json::{Value, json};
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tokio::time::sleep;

static PKI: LazyLock<Pki> = LazyLock::new(|| Pki::new(ANN).unwrap());

static SUITE: Suite = Suite::new(|| setup("certificates"));

fn setup(name: &'static str) -> Setup {
    let identity =
        "schema: tollgate.identity/v1\ncertificates:\n  user: [email]\n  crl: [devices.crl]\n";
    let setup = Setup { identity: Some(identity.to_owned()), ..Setup::named(name) };

    setup.devices_of(&PKI.ca.pem()).file("devices.crl", PKI.ca.crl(&[], 24).unwrap())
}

/// Signs in with what the connection shows.
fn sign_in(world: &World) -> Call {
    world.anonymous(&Script::new()).path("/v1/auth/cowork/mtls").json(&json!({}))
}

async fn signed_in(world: &World, certificate: &ClientCertificate) -> String {
    let answer = sign_in(world).certificate(certificate).send(world).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn on(connection: &mut Connection, call: Call) -> Answer {
    call.open_on(connection).await.unwrap().read().await
}

fn list_of_revoked(world: &World, revoked: &[&ClientCertificate]) {
    let (list, beside) = (world.place.join("devices.crl"), world.place.join("devices.new"));
    fs::write(&beside, PKI.ca.crl(revoked, 24).unwrap()).unwrap();
    fs::rename(beside, list).unwrap();
}

async fn until(world: &World, token: &str, status: u16, begun: Instant) -> Answer {
    loop {
        let answer = call(world, token).await;
        if answer.status == status {
            return answer;
        }
        assert!(
            begun.elapsed() < 2 * SECONDS,
            "still {} after {:?}",
            answer.status,
            begun.elapsed()
        );
        sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_certificate_becomes_a_token_that_is_bound_to_it_and_is_over_when_it_is_revoked() {
    alone(setup("certificates-revoked"), async |world| {
        let token = signed_in(world, &PKI.good).await;
        assert_eq!((&*claim(&token, "amr"), &*claim(&token, "email")), ("mtls", ANN));
        let bound = claims(&token);
        assert_eq!(bound["cnf"]["x5t#S256"], PKI.good.thumbprint());
        let twin = signed_in(world, &PKI.twin).await;
        assert_eq!(call(world, &token).await.status, 200);
        let mut open = sign_in(world).certificate(&PKI.good).connect(world).await.unwrap();
        assert_eq!(on(&mut open, sign_in(world)).await.status, 200);

        list_of_revoked(world, &[&PKI.good]);
        let begun = Instant::now();
        let refused = loop {
            let answer = on(&mut open, sign_in(world)).await;
            if answer.status != 200 || begun.elapsed() > SECONDS {
                break answer;
            }
            sleep(Duration::from_millis(20)).await;
        };

        refused.assert_refused(403, "permission_error");
        assert_eq!(refused.header("x-tollgate-refusal"), "certificate_revoked");
        let stopped = until(world, &token, 401, begun).await;
        eprintln!("its token was refused after {:?}", begun.elapsed());
        assert_eq!(stopped.header("x-tollgate-refusal"), "token_revoked");
        assert_eq!(call(world, &twin).await.status, 200, "another device of hers goes on");
        let row = world.row_by_rule("certificate_revoked").await;
        assert_eq!(row.text("user_id"), ANN);
        assert_eq!(row.payload["cert_sha256"], PKI.good.thumbprint());

        list_of_revoked(world, &[]);
        let begun = Instant::now();
        until(world, &token, 200, begun).await;
        assert_eq!(on(&mut open, sign_in(world)).await.status, 200, "it was a mistake");
    });
}

#[test]
fn what_a_client_says_of_its_certificate_counts_for_nothing() {
    SUITE.run(async |world| {
        let pem = PKI.good.cert().replace('\n', "%0A").replace(' ', "%20").replace('+', "%2B");
        for via in Via::ALL {
            let forged = sign_in(world)
                .via(via)
                .header("x-tollgate-peer", &PKI.good.fingerprint())
                .header("x-tollgate-peer-cert", &pem)
                .header(
                    "x-forwarded-client-cert",
                    &format!("Hash={};Cert=\"{pem}\"", PKI.good.fingerprint()),
                );

            let answer = forged.send(world).await;

            answer.assert_refused(401, "authentication_error");
            assert_eq!(answer.header("x-tollgate-refusal"), "certificate_missing");
        }
    });
}

#[test]
fn a_certificate_that_names_nobody_who_is_known_signs_nobody_in() {
    SUITE.run(async |world| {
        let stranger = PKI.ca.issue(&Device::of("nobody@example.com")).unwrap();

        let answer = sign_in(world).certificate(&stranger).send(world).await;

        answer.assert_refused(403, "permission_error");
        assert_eq!(answer.header("x-tollgate-refusal"), "certificate_unknown_user");
        let row = world.row_from(answer.source).await;
        assert_eq!((row.text("kind"), row.text("outcome")), ("auth", "denied"));
    });
}

#[test]
fn envoy_s_own_list_is_a_second_wall() {
    let listed = PKI.ca.crl(&[&PKI.good], 24).unwrap();
    let walled = setup("certificates-wall").edit(
        "secrets/clients.yaml",
        "trusted_ca: {filename: ./tls/clients.pem}}",
        "trusted_ca: {filename: ./tls/clients.pem}, crl: {filename: ./tls/clients-crl.pem}, only_verify_leaf_cert_crl: true}",
    );
    alone(walled.file("run/tls/clients-crl.pem", listed), async |world| {
        assert!(sign_in(world).certificate(&PKI.good).open(world).await.is_err());
        signed_in(world, &PKI.twin).await;
    });
}

#[test]
fn the_helper_takes_the_certificate_and_without_it_the_next_way() {
    alone(setup("certificates-helper"), async |world| {
        let laptop = Laptop::new(world, "laptop");
        laptop.login_with_pat(&world.pat).unwrap();
        let (cert, key) = PKI.twin.write(&world.place, "twin").unwrap();
        let file = laptop.file("config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        config["device_certificate"] = json!({"pem": {"certificate": cert, "key": key}});
        fs::write(&file, config.to_string()).unwrap();
        let fresh = || {
            fs::remove_file(laptop.file("cache.json")).unwrap();
            line(&laptop.run(&[], "").unwrap())["token"].as_str().unwrap().to_owned()
        };

        let token = fresh();
        assert_eq!(claim(&token, "amr"), "mtls");
        assert_eq!(call(world, &token).await.status, 200);
        list_of_revoked(world, &[&PKI.twin]);
        let begun = Instant::now();
        until(world, &token, 401, begun).await;

        let next = fresh();

        assert_eq!(claim(&next, "amr"), "pat", "the next of the ladder");
        assert_eq!(call(world, &next).await.status, 200);
    });
}
