//! A device's certificate becomes a token that is bound to it, and a list of revoked ones ends both.

use crate::world::{Answer, Fallible, Place, World, ask};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::audit::Acted;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tollgate::acts::Act;
use tollgate::operators::operator::Operator;
use tollgate::store::Store;

struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    crl: PathBuf,
    plain: PathBuf,
}

impl Pki {
    /// An authority whose lists are empty, and a place whose configuration names them.
    fn new(place: &mut Place) -> Fallible<Self> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "Acme devices");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        let root = place.directory.path();
        let pki = Self { authority, crl: root.join("crl.pem"), plain: root.join("revoked") };
        pki.list(&[], 2025, 2040)?;
        fs::write(&pki.plain, "")?;
        let identity = json!({
            "schema": "tollgate.identity/v1",
            "certificates": { "crl": [pki.crl], "revoked": pki.plain, "user": ["email"] },
        });
        let file = root.join("identity.yaml");
        fs::write(&file, identity.to_string())?;
        place.identity = Some(file);
        Ok(pki)
    }

    fn device(&self, change: impl FnOnce(&mut CertificateParams)) -> Fallible<Certificate> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "laptop");
        parameters.serial_number = Some(SerialNumber::from(vec![0x17]));
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        parameters.subject_alt_names = vec![SanType::Rfc822Name("ann@example.com".try_into()?)];
        parameters.not_before = date_time_ymd(2024, 1, 1);
        parameters.not_after = date_time_ymd(2040, 1, 1);
        change(&mut parameters);
        Ok(parameters.signed_by(&KeyPair::generate()?, &self.authority)?)
    }

    /// Puts a list in the place of the one that is there, as a tool does that knows how: by renaming.
    fn list(&self, serials: &[u8], this: i32, next: i32) -> Fallible {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*serial]),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(this, 1, 1),
            next_update: date_time_ymd(next, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let beside = self.crl.with_extension("new");
        fs::write(&beside, parameters.signed_by(&self.authority)?.pem()?)?;
        fs::rename(beside, &self.crl)?;
        Ok(())
    }
}

fn print(certificate: &Certificate) -> String {
    contract::envelope::hex(&Sha256::digest(certificate.der()))
}

fn encoded(certificate: &Certificate) -> String {
    utf8_percent_encode(&certificate.pem(), NON_ALPHANUMERIC).to_string()
}

async fn sign_in(world: &World, headers: &[(&str, &str)]) -> Fallible<Answer> {
    ask(world.at.public, "POST", "/v1/auth/cowork/mtls", headers, "").await
}

/// As Envoy passes it on.
async fn over(world: &World, certificate: &Certificate) -> Fallible<Answer> {
    let (peer, pem) = (print(certificate), encoded(certificate));
    sign_in(world, &[("x-tollgate-peer", &peer), ("x-tollgate-peer-cert", &pem)]).await
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.header("x-tollgate-refusal").to_owned())
}

fn acted(answer: &Answer) -> Fallible<Acted> {
    Ok(serde_json::from_str(answer.header("x-tollgate-caller"))?)
}

fn claims(answer: &Answer) -> Fallible<Value> {
    let told = answer.json()?;
    let token = told.get("token").and_then(Value::as_str).ok_or("no token")?;
    let payload = token.split('.').nth(1).ok_or("no payload")?;
    Ok(serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload)?)?)
}

async fn until(what: &str, mut so: impl AsyncFnMut() -> Fallible<bool>) -> Fallible<Duration> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        if so().await? {
            return Ok(begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("not within ten seconds: {what}").into())
}

/// How many certificates gates are told to refuse.
async fn stopped(store: &Store) -> Fallible<usize> {
    Ok(store.standing().await?.entries.len())
}

#[tokio::test]
async fn a_device_s_certificate_is_traded_for_a_token_bound_to_it() -> Fallible {
    let mut place = Place::new()?;
    let pki = Pki::new(&mut place)?;
    let world = World::start_in(place).await?;
    let laptop = pki.device(|_| {})?;

    let answer = over(&world, &laptop).await?;

    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let (claims, x5t) =
        (claims(&answer)?, BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(laptop.der())));
    assert_eq!(claims["cnf"]["x5t#S256"], x5t);
    let id = format!("cert_{}", print(&laptop).get(..16).unwrap_or_default());
    assert_eq!((&claims["amr"], &claims["credential_id"]), (&json!("mtls"), &json!(id)));
    assert_eq!(
        (&claims["email"], &claims["tenant_id"]),
        (&json!("ann@example.com"), &json!("acme"))
    );
    let acted = acted(&answer)?;
    assert_eq!((acted.user_id.as_str(), acted.cert_sha256), ("ann@example.com", Some(x5t)));
    assert_eq!(acted.sign_in.map(|it| it.tier).as_deref(), Some("mtls"));
    Ok(())
}

#[tokio::test]
async fn each_certificate_that_signs_nobody_in_is_refused_by_name() -> Fallible {
    let mut place = Place::new()?;
    let pki = Pki::new(&mut place)?;
    let world = World::start_in(place).await?;
    let good = pki.device(|_| {})?;
    let other = pki.device(|_| {})?;
    for (certificate, name) in [
        (pki.device(|it| it.not_after = date_time_ymd(2025, 1, 1))?, "certificate_expired"),
        (pki.device(|it| it.not_before = date_time_ymd(2039, 1, 1))?, "certificate_expired"),
        (
            pki.device(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])?,
            "certificate_unusable",
        ),
        (
            pki.device(|it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))?,
            "certificate_unusable",
        ),
        (
            pki.device(|it| {
                it.subject_alt_names =
                    vec![SanType::Rfc822Name("eve@example.com".try_into().unwrap())];
            })?,
            "certificate_unknown_user",
        ),
        (pki.device(|it| it.subject_alt_names.clear())?, "certificate_unknown_user"),
    ] {
        let answer = over(&world, &certificate).await?;
        assert_eq!(code(&answer), (403, name.to_owned()));
        assert_eq!(acted(&answer)?.rule_id.as_deref(), Some(name));
    }
    // Forged: Envoy's header without a connection that says so, and with another's.
    let xfcc = format!("Hash={};Cert=\"{}\"", print(&good), encoded(&good));
    let forged = sign_in(&world, &[("x-forwarded-client-cert", &xfcc)]).await?;
    assert_eq!(code(&forged), (401, "certificate_missing".into()));
    let peer = print(&other);
    let headers = [("x-tollgate-peer", &*peer), ("x-forwarded-client-cert", &xfcc)];
    assert_eq!(code(&sign_in(&world, &headers).await?), (403, "certificate_unusable".into()));
    assert_eq!(code(&sign_in(&world, &[]).await?), (401, "certificate_missing".into()));

    world.store.disable_user("ann@example.com", 1, &Act::new(&Operator::owner(), "test")?).await?;
    assert_eq!(code(&over(&world, &good).await?), (401, "user_disabled".into()));
    Ok(())
}

#[tokio::test]
async fn without_a_configuration_nobody_has_a_certificate() -> Fallible {
    let pki = Pki::new(&mut Place::new()?)?;
    let world = World::start().await?;

    let answer = over(&world, &pki.device(|_| {})?).await?;

    assert_eq!(code(&answer), (401, "certificate_missing".into()));
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_is_revoked_later_takes_its_tokens_along_and_gives_them_back() -> Fallible
{
    let mut place = Place::new()?;
    let pki = Pki::new(&mut place)?;
    let world = World::start_in(place).await?;
    let laptop = pki.device(|_| {})?;
    let other = pki.device(|it| it.serial_number = Some(SerialNumber::from(vec![0x18])))?;
    for it in [&laptop, &other] {
        assert_eq!(over(&world, it).await?.status, 200);
    }

    pki.list(&[0x17], 2025, 2040)?;
    let took = until("gates are told", async || Ok(stopped(&world.store).await? == 1)).await?;
    assert!(took < Duration::from_secs(2), "{took:?}");
    let entry = world.store.standing().await?.entries.remove(0);
    assert_eq!(entry.id, BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(laptop.der())));
    let refused = over(&world, &laptop).await?;
    assert_eq!(code(&refused), (403, "certificate_revoked".into()));
    assert_eq!(acted(&refused)?.user_id, "ann@example.com", "the row says whose it is");
    assert_eq!(over(&world, &other).await?.status, 200);
    let measure = world.store.measures(tollgate::clock::now()).await?.remove(0);
    assert_eq!(measure.set_by, "crl");

    // Off the list, and by the other list back on it.
    pki.list(&[], 2025, 2040)?;
    until("it is lifted", async || Ok(stopped(&world.store).await? == 0)).await?;
    assert_eq!(over(&world, &laptop).await?.status, 200);
    fs::write(&pki.plain, format!("sha256:{} # lost in a train\n", print(&laptop)))?;
    until("it is laid again", async || Ok(stopped(&world.store).await? == 1)).await?;
    assert_eq!(code(&over(&world, &laptop).await?), (403, "certificate_revoked".into()));
    Ok(())
}

#[tokio::test]
async fn a_list_that_cannot_be_taken_leaves_the_one_before_in_force_and_is_counted() -> Fallible {
    let mut place = Place::new()?;
    let pki = Pki::new(&mut place)?;
    pki.list(&[0x17], 2025, 2040)?;
    let world = World::start_in(place).await?;
    let laptop = pki.device(|_| {})?;
    assert_eq!(code(&over(&world, &laptop).await?), (403, "certificate_revoked".into()));
    let refused = async || world.metric("tollgate_revocation_refused_total").await;
    let until_refused =
        async |count| until("it is counted", async || Ok(refused().await? == count)).await;

    fs::write(&pki.crl, "rubbish")?;
    until_refused(1).await?;
    fs::remove_file(&pki.crl)?;
    until_refused(2).await?;
    pki.list(&[], 2025, 2026)?;
    until_refused(3).await?;
    pki.list(&[], 2024, 2040)?; // put back from a copy, it would let in who was revoked since
    until_refused(4).await?;
    assert_eq!(code(&over(&world, &laptop).await?), (403, "certificate_revoked".into()));
    pki.list(&[], 2026, 2040)?;
    until("it is taken", async || Ok(over(&world, &laptop).await?.status == 200)).await?;
    Ok(())
}

#[tokio::test]
async fn what_an_operator_has_laid_on_a_certificate_no_list_lifts() -> Fallible {
    use contract::standing::{Effect, Kind};
    use tollgate::store::measures::Measure;

    let mut place = Place::new()?;
    let pki = Pki::new(&mut place)?;
    let world = World::start_in(place).await?;
    let laptop = pki.device(|_| {})?;
    assert_eq!(over(&world, &laptop).await?.status, 200);
    let id = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(laptop.der()));
    let now = tollgate::clock::now();
    let (set_by, why) = ("root".to_owned(), "lost".to_owned());
    let effect = Effect::Revoked;
    let measure = Measure { kind: Kind::Cert, id, effect, ends_at: None, set_at: now, set_by, why };
    world.store.lay(&measure, false, &Act::new(&Operator::owner(), "test")?).await?;

    fs::write(&pki.plain, "serial:99\n")?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;

    assert_eq!(stopped(&world.store).await?, 1);
    assert_eq!(code(&over(&world, &laptop).await?), (403, "certificate_revoked".into()));
    Ok(())
}

#[tokio::test]
async fn a_sidecar_that_cannot_tell_who_is_revoked_does_not_start() -> Fallible {
    let mut place = Place::new()?;
    let pki = Pki::new(&mut place)?;
    fs::remove_file(&pki.crl)?;

    let Err(error) = World::start_in(place).await else { return Err("it started".into()) };

    assert!(error.to_string().contains("crl.pem"), "{error}");
    Ok(())
}
