//! Tokens signed elsewhere: a command that has the key, in an HSM or a KMS. The contract is the policy
//! signer's ([`crate::policy::signer`]): the bytes on its standard input, the signature on its standard output.

use super::{KeyError, SigningKey, pin};
use crate::policy::signer::{self, SignerError};
use crate::settings::TokenSigner as Wanted;
use ed25519_compact::{PublicKey, Signature};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long one signature may take: somebody waits for a token.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many run at once: an HSM has few sessions.
const AT_ONCE: usize = 8;

/// A command that signs.
pub struct TokenSigner {
    command: String,
    key: PublicKey,
    slots: Semaphore,
}

/// The command may hold a PIN.
impl fmt::Debug for TokenSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenSigner")
    }
}

impl TokenSigner {
    /// Signs. What comes back verifies, or is nothing.
    ///
    /// # Errors
    /// [`SignerError`], also if all are busy for as long as one may take.
    pub async fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SignerError> {
        let slow = || SignerError::Slow(PATIENCE.as_secs());
        let slot = timeout(PATIENCE, self.slots.acquire()).await.map_err(|_elapsed| slow())?;
        let _slot = slot.map_err(|_closed| slow())?;
        let bytes = signer::ask(&self.command, input, PATIENCE).await?;
        let signature = Signature::from_slice(&bytes).map_err(|_bad| SignerError::NoSignature)?;
        self.key.verify(input, &signature).map_err(|_bad| SignerError::Unverified)?;

        Ok(bytes)
    }
}

/// The keys that are not in the data directory, the one that signs last.
///
/// # Errors
/// [`KeyError`].
pub fn keys(wanted: Option<&Wanted>) -> Result<Vec<SigningKey>, KeyError> {
    let Some(wanted) = wanted else { return Ok(Vec::new()) };
    let mut keys = Vec::new();
    for (nth, path) in wanted.keys.iter().enumerate() {
        let key = pin(path)?.decode().map_err(|_bad| KeyError::Malformed(path.clone()))?;
        let signer = (nth == 0).then(|| {
            let command = wanted.command.clone();
            Arc::new(TokenSigner { command, key, slots: Semaphore::new(AT_ONCE) })
        });
        keys.push(SigningKey::elsewhere(&key, signer)?);
    }
    keys.reverse();

    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::envelope::hex;
    use ed25519_compact::{KeyPair, Seed};

    fn signer(command: String) -> TokenSigner {
        let key = KeyPair::from_seed(Seed::new([7; 32])).pk;

        TokenSigner { command, key, slots: Semaphore::new(AT_ONCE) }
    }

    #[tokio::test]
    async fn a_signature_counts_only_if_it_verifies() {
        let good = KeyPair::from_seed(Seed::new([7; 32])).sk.sign(b"a.b", None);
        let print = format!("cat >/dev/null; echo {}", hex(good.as_ref()));

        assert_eq!(signer(print.clone()).sign(b"a.b").await.unwrap(), good.to_vec());
        assert!(matches!(signer(print).sign(b"a.c").await, Err(SignerError::Unverified)));
        let failed = signer("exit 3".into()).sign(b"a.b").await;
        assert!(matches!(failed, Err(SignerError::Failed(_))));
    }

    #[tokio::test]
    async fn a_signer_that_hangs_is_given_up() {
        let begun = std::time::Instant::now();

        let slow = signer("exec sleep 30".into()).sign(b"a.b").await;

        assert!(matches!(slow, Err(SignerError::Slow(2))), "{slow:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
