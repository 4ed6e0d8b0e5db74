//! A session id, sealed for who opened it.
//!
//! The server's id goes to the client with a seal behind it: HMAC-SHA-256 (RFC 2104) over the caller, the server and the
//! id, cut to 128 bits. No table knows the sessions, so none can mix them up, and every worker and every gateway of
//! the installation knows a seal again. The key is the sidecars', and a client never sees it.

use crate::stages::authenticate::Caller;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of a seal (RFC 2104 §5: half of the hash at least).
const SEAL: usize = 16;

/// Longest id of a server's, bytes. SDKs make 32 to 36.
const LONGEST: usize = 512;

/// What seals are made with.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(…)")
    }
}

impl Key {
    /// Of 32 bytes, and of no other number.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    fn mac(&self, caller: &Caller, server: &str, id: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        // No part can have a zero byte: claims were checked to be plain, and so is the id.
        let Caller { issuer, subject, user_id, claims, .. } = caller;
        for part in [issuer, subject, user_id, &claims.tenant_id, server, id] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }

        Some(mac)
    }

    /// The id as the client gets it; none for an id that no header should carry (MCP 2025-11-25, "Session
    /// Management": visible ASCII).
    pub fn seal(&self, caller: &Caller, server: &str, id: &str) -> Option<String> {
        if id.is_empty() || id.len() > LONGEST || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let code = self.mac(caller, server, id)?.finalize().into_bytes();
        let seal = BASE64_URL_SAFE_NO_PAD.encode(code.get(..SEAL)?);

        Some(format!("{id}.{seal}"))
    }

    /// The server's id, if this caller was given it, for this server.
    pub fn open<'a>(&self, caller: &Caller, server: &str, sealed: &'a str) -> Option<&'a str> {
        let (id, seal) = sealed.rsplit_once('.')?;
        let seal = BASE64_URL_SAFE_NO_PAD.decode(seal).ok().filter(|seal| seal.len() == SEAL)?;
        self.mac(caller, server, id)?.verify_truncated_left(&seal).ok()?;

        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::authenticate::tests::caller;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_session_opens_for_who_was_given_it_and_for_nobody_else() {
        let key = Key::new(&[7; 32]).unwrap();
        let (ann, bob) = (caller("ann@example.com"), caller("bob@example.com"));
        let sealed = key.seal(&ann, "stripe", "s.1").unwrap();

        assert_eq!(key.open(&ann, "stripe", &sealed), Some("s.1"));
        assert_eq!(key.open(&bob, "stripe", &sealed), None, "another caller");
        assert_eq!(key.open(&ann, "github", &sealed), None, "another server");
        assert_eq!(Key::new(&[8; 32]).unwrap().open(&ann, "stripe", &sealed), None, "another key");
        let mut other_tenant = ann.clone();
        other_tenant.claims.tenant_id = "other".into();
        assert_eq!(key.open(&other_tenant, "stripe", &sealed), None);
        let cut = sealed.get(..sealed.len() - 1).unwrap();
        for forged in ["s.1", "s.1.", "", ".", "s.2.AAAAAAAAAAAAAAAAAAAAAA", cut] {
            assert_eq!(key.open(&ann, "stripe", forged), None, "{forged}");
        }
    }

    #[test]
    fn what_no_header_should_carry_is_no_session() {
        let key = Key::new(&[7; 32]).unwrap();
        let ann = caller("ann@example.com");

        for id in ["", "a b", "a\u{e9}", "a\n", &"x".repeat(513)] {
            assert_eq!(key.seal(&ann, "s", id), None, "{id}");
        }
        assert!(Key::new(&[7; 31]).is_none());
        assert_eq!(format!("{key:?}"), "Key(…)");
    }
}
