//! Ids as people paste them, in the one form they are compared in.

use crate::args::access::What;
use crate::failure::Failure;
use crate::users;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// The id of what is meant.
///
/// # Errors
/// [`Failure::Refused`], if it cannot be one. A secret is not repeated.
pub(super) fn checked(what: What, id: &str) -> Result<String, Failure> {
    if let Some(token) = id.strip_prefix("tgp_") {
        let name = token.split('_').next().unwrap_or_default();
        return Err(Failure::Refused(format!(
            "that is the token itself, which is a secret: its id is pat_{name}"
        )));
    }
    let plain = id.len() <= 256 && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
    match what {
        What::User if id.contains('@') => users::address(id),
        What::Cert => fingerprint(id),
        _ if plain => Ok(id.to_owned()),
        _ => Err(Failure::Refused("an id is printable ASCII without spaces".to_owned())),
    }
}

/// The SHA-256 of a certificate as `cnf.x5t#S256` has it (RFC 8705 §3.1): base64url. OpenSSL prints it as
/// hex with colons, others without.
fn fingerprint(id: &str) -> Result<String, Failure> {
    let hex: String = id.chars().filter(|sign| *sign != ':').collect();
    let digits: Option<Vec<u8>> = hex
        .as_bytes()
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let raw = match digits {
        Some(raw) if hex.len() == 64 => Some(raw),
        _ => BASE64_URL_SAFE_NO_PAD.decode(id).ok(),
    };

    raw.filter(|raw| raw.len() == 32).map(|raw| BASE64_URL_SAFE_NO_PAD.encode(raw)).ok_or_else(
        || {
            let told =
                "the SHA-256 of a certificate is 64 hex digits, or 43 characters of base64url";
            Failure::Refused(told.to_owned())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_has_one_form_however_it_was_printed() {
        let plain = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let colons = plain.to_uppercase().as_bytes().chunks(2).fold(String::new(), |text, pair| {
            let colon = if text.is_empty() { "" } else { ":" };
            text + colon + str::from_utf8(pair).unwrap()
        });
        let claim = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

        for text in [plain, &colons, claim] {
            assert_eq!(checked(What::Cert, text).unwrap(), claim);
        }
        for bad in ["", "abc", plain.strip_prefix('e').unwrap(), &format!("{claim}="), "pat_1"] {
            assert!(checked(What::Cert, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_pastes_the_secret_is_told_its_id_and_not_the_secret() {
        let told = checked(What::Pat, "tgp_0123456789ab_hunter2").unwrap_err().to_string();

        assert!(told.contains("pat_0123456789ab") && !told.contains("hunter2"), "{told}");
        assert_eq!(checked(What::User, "Ann@Example.com").unwrap(), "ann@example.com");
        assert_eq!(checked(What::User, "usr_1").unwrap(), "usr_1");
        assert!(checked(What::Session, "two words").is_err());
    }
}
