//! What a person approves: exactly one call of one tool, by one person, in one session.

use crate::canonical::{self, CanonicalError};
use sha2::{Digest, Sha256};

/// Sidecar → gate: the id of the approval that let a call through, `apr_…`.
pub const APPROVAL: &str = "x-tollgate-approval";

/// The digest that stands for a call: SHA-256 of the [canonical form](canonical) of
/// `[tenant, user, session, server, tool, arguments]`. `arguments` is a JSON text, however it is written.
///
/// # Errors
/// [`CanonicalError`]: the arguments have no canonical form.
pub fn digest(
    tenant: &str,
    user: &str,
    session: &str,
    server: &str,
    tool: &str,
    arguments: &[u8],
) -> Result<[u8; 32], CanonicalError> {
    // A list of texts always has a form: `\` and `"` are escaped in one way.
    let who = serde_json::to_vec(&[tenant, user, session, server, tool])
        .or(Err(CanonicalError::NotJson))?;
    let mut list = canonical::write(&who)?;
    // On its own, so that a text such as `1,2` is not read as two members.
    let arguments = canonical::write(arguments)?;
    if list.pop() != Some(b']') {
        return Err(CanonicalError::NotJson);
    }

    Ok(Sha256::new()
        .chain_update(list)
        .chain_update(b",")
        .chain_update(arguments)
        .chain_update(b"]")
        .finalize()
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::hex;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const CALL: [&str; 5] = ["acme", "ann@example.com", "ses_1", "tickets", "close"];

    fn of(call: [&str; 5], arguments: &str) -> Result<[u8; 32], CanonicalError> {
        let [tenant, user, session, server, tool] = call;

        digest(tenant, user, session, server, tool, arguments.as_bytes())
    }

    #[test]
    fn it_is_the_digest_of_one_list_and_does_not_hang_on_how_the_arguments_are_written() {
        let list =
            br#"["acme","ann@example.com","ses_1","tickets","close",{"a":1,"b":["\u00e9"]}]"#;
        let expected = canonical::digest(list).unwrap();

        for text in [r#"{"a":1,"b":["é"]}"#, " {\n\"b\" : [\"\\u00e9\"], \"a\" : 1.0}\n"] {
            assert_eq!(hex(&of(CALL, text).unwrap()), hex(&expected), "{text}");
        }
    }

    #[test]
    fn whatever_is_another_is_another_call() {
        let all = of(CALL, r#"{"id":1}"#).unwrap();

        assert_ne!(of(CALL, r#"{"id":2}"#).unwrap(), all);
        for at in 0..CALL.len() {
            let mut other = CALL;
            other[at] = "x";
            assert_ne!(of(other, r#"{"id":1}"#).unwrap(), all, "{at}");
        }
        // Nothing moves over a border.
        let one = of(["a", "b\",\"c", "d", "e", "f"], "{}").unwrap();
        assert_ne!(one, of(["a", "b", "c\",\"d", "e", "f"], "{}").unwrap());
    }

    #[test]
    fn what_two_readers_could_read_differently_has_no_digest() {
        for bad in ["", "{", r#"{"a":1,"a":2}"#, "{},{}", "{}]", "1,2", "{\"a\":\"\\ud800\"}"] {
            assert!(of(CALL, bad).is_err(), "{bad}");
        }
    }
}
