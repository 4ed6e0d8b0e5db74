//! Signatures from elsewhere: a command that has the key, in an HSM or a KMS, and hands out none of it.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use contract::envelope::{self, EnvelopeError, PinnedKey, Signed};
use std::io;
use std::process::Stdio;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

/// How long a signer may take: somebody may have to touch a key.
const PATIENCE: Duration = Duration::from_mins(2);

/// Length of an Ed25519 signature (RFC 8032 §5.1.6).
const SIGNATURE: usize = 64;

/// Most that is read of what a signer prints, in bytes.
const MOST: u64 = 4_096;

/// Why there is no signature.
#[derive(Debug, Error)]
pub enum SignerError {
    /// The shell.
    #[error("the signer cannot be run: {0}")]
    Run(#[from] io::Error),
    /// It said no.
    #[error("the signer failed ({0}); what it said stands above")]
    Failed(std::process::ExitStatus),
    /// It did not come back.
    #[error("the signer took longer than {0} s")]
    Slow(u64),
    /// It printed something else.
    #[error(
        "the signer printed no Ed25519 signature: 64 bytes as they are, 128 hex digits or 88 of base64"
    )]
    NoSignature,
    /// What it signed does not verify.
    #[error("the signature does not verify with the public key that was given")]
    Unverified,
    /// It signed something else, or with another key.
    #[error("the signature does not verify with the public key {key_id}: {source}")]
    Other {
        /// The key's name.
        key_id: String,
        /// Why not.
        source: EnvelopeError,
    },
}

/// Has a document signed. What comes back verifies with this key, or is nothing.
///
/// # Errors
/// [`SignerError`].
pub async fn sign(
    command: &str,
    (payload_type, payload): (&str, &[u8]),
    key: &PinnedKey,
) -> Result<Signed, SignerError> {
    let covered = envelope::covered(payload_type, payload);
    let signature = ask(command, &covered, PATIENCE).await?;
    let signed = Signed::new(&key.key_id, &signature);
    verify((payload_type, payload), &signed, key)
        .map_err(|source| SignerError::Other { key_id: key.key_id.clone(), source })?;

    Ok(signed)
}

/// The signature that a command prints for these bytes. Whether it is good is the caller's to see.
///
/// # Errors
/// [`SignerError`].
pub async fn ask(command: &str, input: &[u8], patience: Duration) -> Result<Vec<u8>, SignerError> {
    let slow = |_elapsed| SignerError::Slow(patience.as_secs());
    let printed = timeout(patience, run(command, input)).await.map_err(slow)??;

    read(&printed).ok_or(SignerError::NoSignature)
}

/// Does a signature verify with this key?
fn verify(
    (payload_type, payload): (&str, &[u8]),
    signed: &Signed,
    key: &PinnedKey,
) -> Result<(), EnvelopeError> {
    let alone = envelope::enclose(payload_type, payload, vec![signed.clone()]);
    let bytes = serde_json::to_vec(&alone)?;

    envelope::open(&bytes, payload_type, std::slice::from_ref(key)).map(drop)
}

async fn run(command: &str, input: &[u8]) -> Result<Vec<u8>, SignerError> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        let Some(mut stdin) = stdin else { return Ok(()) };
        match stdin.write_all(input).await {
            // It may know enough, or have failed; which of the two its end tells.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    };
    let read = async {
        let mut printed = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MOST).read_to_end(&mut printed).await?;
        }
        Ok::<_, io::Error>(printed)
    };
    let (written, printed) = tokio::join!(write, read);
    let status = child.wait().await?;
    written?;
    if !status.success() {
        return Err(SignerError::Failed(status));
    }

    Ok(printed?)
}

/// A signature as signers print it.
fn read(printed: &[u8]) -> Option<Vec<u8>> {
    if printed.len() == SIGNATURE {
        return Some(printed.to_vec());
    }
    let text = std::str::from_utf8(printed).ok()?.trim();
    let decoded = match text.len() {
        128 => unhex(text),
        88 => BASE64_STANDARD.decode(text).ok(),
        86 => BASE64_STANDARD_NO_PAD
            .decode(text)
            .or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(text))
            .ok(),
        _ => None,
    };

    decoded.filter(|bytes| bytes.len() == SIGNATURE)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    digits?
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high.checked_mul(16)?.checked_add(*low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::envelope::{POLICY_TYPE, hex};
    use ed25519_compact::{KeyPair, Seed};
    use std::path::Path;

    const PAYLOAD: &[u8] = b"{}";
    const POLICY: (&str, &[u8]) = (POLICY_TYPE, PAYLOAD);

    fn key() -> (KeyPair, PinnedKey) {
        let pair = KeyPair::from_seed(Seed::new([7; 32]));
        let public_key = BASE64_STANDARD.encode(pair.pk.as_ref());
        (pair, PinnedKey { key_id: "hsm".into(), public_key })
    }

    fn signature(payload: &[u8]) -> Vec<u8> {
        key().0.sk.sign(envelope::covered(POLICY_TYPE, payload), None).to_vec()
    }

    async fn error(command: &str) -> String {
        sign(command, POLICY, &key().1).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_signature_may_be_printed_as_it_is_in_hex_or_in_base64() {
        let good = signature(PAYLOAD);
        let place = tempfile::tempdir().unwrap();
        let raw = place.path().join("a b'c.sig");
        std::fs::write(&raw, &good).unwrap();
        let at = |path: &Path| path.display().to_string().replace('\'', "'\\''");
        for command in [
            format!("cat >/dev/null; cat '{}'", at(&raw)),
            format!("cat >/dev/null; echo {}", hex(&good)),
            format!("cat >/dev/null; echo {}", hex(&good).to_uppercase()),
            format!("echo {}", BASE64_STANDARD.encode(&good)),
            format!("printf %s {}", BASE64_URL_SAFE_NO_PAD.encode(&good)),
        ] {
            let signed = sign(&command, POLICY, &key().1).await.unwrap();
            assert_eq!(signed, Signed::new("hsm", &good), "{command}");
        }
    }

    #[tokio::test]
    async fn the_signer_gets_the_very_bytes_that_are_signed() {
        let place = tempfile::tempdir().unwrap();
        let got = place.path().join("got");
        let command = format!("cat >'{}'; echo {}", got.display(), hex(&signature(PAYLOAD)));

        sign(&command, POLICY, &key().1).await.unwrap();

        assert_eq!(std::fs::read(&got).unwrap(), envelope::covered(POLICY_TYPE, PAYLOAD));
    }

    #[tokio::test]
    async fn a_signature_of_something_else_a_failure_and_silence_are_told() {
        let other = hex(&signature(b"{ }"));
        assert!(error(&format!("echo {other}")).await.contains("does not verify"));
        assert!(error("echo no key; exit 3").await.contains("exit status: 3"));
        assert!(error("true").await.contains("no Ed25519 signature"));
        assert!(error("yes").await.contains("no Ed25519") || error("yes").await.contains("failed"));
        assert!(error(&format!("echo zz{}", "0".repeat(126))).await.contains("no Ed25519"));
    }

    /// As an HSM or KMS would be called: openssl has the key, and we have its public half.
    #[tokio::test]
    async fn openssl_signs_a_policy() {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str| place.path().join(name).display().to_string();
        let openssl = |arguments: &str| {
            let run = std::process::Command::new("sh")
                .args(["-c", &format!("openssl {arguments}")])
                .current_dir(place.path())
                .output();
            run.is_ok_and(|run| run.status.success())
        };
        if !openssl("genpkey -algorithm ed25519 -out k.pem") {
            // `openssl_signs_a_policy` says nothing on a machine without it; Debian's has it.
            return;
        }
        assert!(openssl("pkey -in k.pem -pubout -outform DER -out p.der"));
        let der = std::fs::read(file("p.der")).unwrap();
        // RFC 8410 §4: 12 bytes say that it is Ed25519, 32 are the key.
        let public_key = BASE64_STANDARD.encode(&der[12..]);
        let key = PinnedKey { key_id: "openssl".into(), public_key };
        let command = format!(
            "cat >'{0}' && openssl pkeyutl -sign -rawin -inkey '{1}' -in '{0}'",
            file("bytes"),
            file("k.pem")
        );

        let signed = sign(&command, POLICY, &key).await.unwrap();

        assert!(verify(POLICY, &signed, &key).is_ok());
        assert!(verify((POLICY_TYPE, b"{ }"), &signed, &key).is_err());
        assert!(verify(("another/type", PAYLOAD), &signed, &key).is_err());
    }
}
