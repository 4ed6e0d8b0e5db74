//! Everything a lane says no to itself, and what it says where Envoy answers in the provider's place: one row each.

use crate::host::HostError;
use crate::lane::dialect::{Failure, Unmappable};
use contract::refusal::ErrorType;

/// A row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    /// What stands in the row's `attempts[].why`.
    pub(super) why: &'static str,
    status: u16,
    kind: ErrorType,
    message: &'static str,
}

macro_rules! words {
    ($($name:ident $why:literal $status:literal $kind:ident $message:literal)*) => {
        $(
            pub(super) const $name: Word =
                Word { why: $why, status: $status, kind: ErrorType::$kind, message: $message };
        )*

        #[cfg(test)]
        const ALL: &[Word] = &[$($name),*];
    };
}

words! {
    FAILED        "lane_failed"   500 ApiError            "The gateway failed. The request was not forwarded."
    MISROUTED     "misrouted"     500 ApiError            "The gateway is not set up for this call. It was not forwarded."
    RESIDENCY     "residency"     403 PermissionError     "Your organization keeps your calls in a zone that this provider does not serve."
    UNKNOWN_PATH  "unknown_path"  404 NotFoundError       "There is nothing at this path."
    BODY_MISSING  "body_missing"  400 InvalidRequestError "The request has no body."
    RESTING       "resting"       429 RateLimitError      "This model's provider asked to be left alone for a while. Try again later."
    NO_CREDENTIAL "no_credential" 503 ApiError            "The gateway has no credential for the model's provider. Try again shortly."
    TOO_LARGE     "too_large"     413 RequestTooLarge     "The request is larger than this provider takes."
    TOO_SLOW      "too_slow"      504 TimeoutError        "The model's provider did not answer in time."
    UNREACHABLE   "unreachable"   529 OverloadedError     "The model's provider cannot be reached. Try again shortly."
    ANSWER_LOST   "answer_lost"   500 ApiError            "The gateway failed."
    BROKEN_OFF    "broken_off"    529 OverloadedError     "The model's provider broke off. Try again."
}

/// Why nothing is sent.
pub(super) struct No {
    pub(super) why: &'static str,
    pub(super) failure: Failure,
    pub(super) retry_after: Option<u32>,
}

impl Word {
    /// As it is said.
    pub(super) fn failure(self) -> Failure {
        Failure { status: self.status, kind: self.kind, message: self.message.to_owned() }
    }
}

/// What Envoy's own answer, of this status, says.
pub(super) fn by_envoy(status: u16) -> Word {
    match status {
        401 => NO_CREDENTIAL,
        413 => TOO_LARGE,
        408 | 504 => TOO_SLOW,
        _ => UNREACHABLE,
    }
}

impl From<Word> for No {
    fn from(word: Word) -> Self {
        Self { why: word.why, failure: word.failure(), retry_after: None }
    }
}

impl From<HostError> for No {
    fn from(error: HostError) -> Self {
        log::error!("{error}: a lane sends nothing");
        FAILED.into()
    }
}

impl From<Unmappable> for No {
    fn from(unmappable: Unmappable) -> Self {
        let Unmappable { status, kind, message } = unmappable;

        Self { why: "unmappable", failure: Failure { status, kind, message }, retry_after: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_documented_table_is_this_table() {
        let document = include_str!("../../../../docs/refusals.md");
        let lane = document.split("\n## ").find(|part| part.starts_with("A lane")).unwrap();

        for &Word { why, status, kind, message } in ALL {
            let kind = serde_json::to_value(kind).unwrap();
            let row = format!("| `{why}` | {status} | `{}` | {message} |", kind.as_str().unwrap());
            assert!(lane.contains(&row), "docs/refusals.md lacks {row}");
        }
        let rows = lane.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, ALL.len(), "and has none that is not there");
    }
}
