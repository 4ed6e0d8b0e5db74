//! Answers in one piece.

use super::Provider;
use super::table::{Count, Framing};
use crate::lane::dialect::{Failure, What, kind_of};
use crate::lane::edit::{Edits, Object, quoted};

/// A good answer's body as the Messages API has it; `None` where the bytes stay as they are.
/// `asked` is the model by the client's name.
///
/// # Errors
/// If the provider's answer cannot be understood.
pub fn body(
    provider: &Provider,
    what: What,
    asked: &str,
    body: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    match what {
        What::CountTokens if provider.row.count == Count::Bedrock => {
            let counted = Object::read(body, &["inputTokens"]).ok().ok_or_else(odd)?;
            let tokens = counted.value("inputTokens").ok_or_else(odd)?;
            if !tokens.iter().all(u8::is_ascii_digit) {
                return Err(odd());
            }

            Ok(Some([b"{\"input_tokens\":", tokens, b"}"].concat()))
        }
        What::Messages if provider.row.framing == Framing::AwsEventstream => model(body, asked),
        _ => Ok(None),
    }
}

/// Bedrock answers with Anthropic's name for the model, which passes: it says which release spoke.
/// An address of a resource tells the account and does not.
fn model(body: &[u8], asked: &str) -> Result<Option<Vec<u8>>, Failure> {
    let object = Object::read(body, &["model"]).ok().ok_or_else(odd)?;
    if !object.text("model").is_some_and(|told| told.contains("arn:")) {
        return Ok(None);
    }
    let mut edits = Edits::default();
    object.replace("model", quoted(asked), &mut edits);

    Ok(Some(object.apply(edits)))
}

/// What a message says, or the message within an event ([`model`]).
pub(super) fn without_address(message: &[u8], asked: &str) -> Result<Option<Vec<u8>>, Failure> {
    model(message, asked)
}

/// An answer that is none.
pub(super) fn odd() -> Failure {
    Failure {
        status: 502,
        kind: kind_of(502),
        message: "the upstream's answer cannot be understood".to_owned(),
    }
}
