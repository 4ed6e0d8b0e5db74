//! The tier for managed devices: a client certificate (`POST /v1/auth/cowork/mtls`).

use super::{Proven, Refused, Signed, Unsigned, Wish, acted};
use crate::certificates::Device;
use crate::clock;
use crate::directory::Directory;
use crate::store::directory::Certificate;
use crate::store::{Held, User};
use crate::tokens::HELPER;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use contract::audit::{Acted, SignIn as Told};
use contract::claims::{Confirmation, Method};

/// Trades the certificate of the connection for a token that is bound to it.
pub async fn trade(
    State(directory): State<Directory>,
    asked: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let device = directory.device(&asked);
    let account = device.as_ref().ok().map(Device::credential_id);
    let wish = Wish::read(&body);
    let trade = directory.trade_certificate(device, &wish);
    let signed = directory.sign_in.slowly(&asked, account.as_deref(), trade).await;

    directory.sign_in.answer(signed, &asked)
}

impl Directory {
    /// The certificate of the connection; where none is configured, nobody has one.
    fn device(&self, asked: &HeaderMap) -> Result<Device, Refused> {
        let names = self.identity.certificates.as_ref().ok_or(Refused::CertificateMissing)?;

        Device::of(asked, names)
    }

    async fn trade_certificate(&self, device: Result<Device, Refused>, wish: &Wish) -> Signed {
        let device = device.map_err(|why| Unsigned::refused(why, Acted::default()))?;
        let now = clock::now();
        let refused = |why| Unsigned::refused(why, of(&device, None));
        // Who is revoked hears that, whatever else there is to say.
        if self.revoked.borrow().has(&device) {
            let whose = match &device.owner {
                Some(owner) => self.sign_in.store.user(owner).await?,
                None => None,
            };
            return Err(Unsigned::refused(
                Refused::CertificateRevoked,
                of(&device, whose.as_ref()),
            ));
        }
        device.check(now).map_err(refused)?;
        let user = match &device.owner {
            Some(owner) => self.sign_in.store.user(owner).await?,
            None => None,
        };
        let user = user.ok_or_else(|| refused(Refused::CertificateUnknownUser))?;
        let credential_id = device.credential_id();
        let proven = Proven {
            user: &user,
            method: Method::Mtls,
            credential_id: &credential_id,
            sid: None,
            client_id: HELPER,
            certificate: Some(Confirmation { x5t_s256: device.x5t() }),
            held: Held::Nothing,
            told: told(),
        };
        if user.disabled_at.is_none() {
            // Noted first and then asked for again: a list that comes between the two finds it noted, and one
            // that came before is seen here.
            self.sign_in.store.note_certificate(&noted(&device, &user), now).await?;
            if self.revoked.borrow().has(&device) {
                let version = self.sign_in.policy.borrow().version.clone();
                let acted = acted(&proven, &version);
                return Err(Unsigned::refused(Refused::CertificateRevoked, acted));
            }
        }
        // What it is bound to is over with the certificate, and so is the token.
        let until = Some(device.not_after.saturating_add(1));

        self.sign_in.mint(proven, &Wish { until, ..wish.clone() }).await
    }
}

fn noted(device: &Device, user: &User) -> Certificate {
    Certificate {
        sha256: device.x5t(),
        issuer: device.issuer.clone(),
        serial: device.serial.clone(),
        subject: device.subject.clone(),
        sub: user.sub.clone(),
        not_after: device.not_after,
    }
}

fn told() -> Told {
    Told { tier: "mtls".into(), ..Told::default() }
}

/// What a row says of a certificate that signs nobody in.
fn of(device: &Device, user: Option<&User>) -> Acted {
    Acted {
        tenant_id: user.map(|user| user.tenant_id.clone()).unwrap_or_default(),
        user_id: user.map(|user| user.user_id.clone()).unwrap_or_default(),
        credential_id: Some(device.credential_id()),
        cert_sha256: Some(device.x5t()),
        sign_in: Some(told()),
        ..Acted::default()
    }
}
