//! What a provider says it took, in the Messages API's numbers.

use super::json::{Members, Object};

/// Numbers of one answer. `None` where the provider says nothing: then nothing is said, and the meter flags it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Usage {
    input: Option<u64>,
    cached: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Usage {
    /// Reads `usage` of a completion. `prompt_tokens` counts what came from a cache as well, `input_tokens` does not.
    /// Some leave the thinking out of `completion_tokens`: then the total knows better.
    pub(super) fn read(usage: &Object<'_>) -> Self {
        let detail = |list: &str, name: &str| usage.object(list).and_then(|list| list.number(name));
        let prompt = usage.number("prompt_tokens");
        let cached = detail("prompt_tokens_details", "cached_tokens");
        let total = usage.number("total_tokens");
        let rest = total.and_then(|total| total.checked_sub(prompt?)).unwrap_or(0);

        Self {
            input: prompt.map(|prompt| prompt.saturating_sub(cached.unwrap_or(0))),
            cached,
            output: usage.number("completion_tokens").map(|output| output.max(rest)),
            thinking: detail("completion_tokens_details", "reasoning_tokens"),
        }
    }

    /// Writes `usage`. Nobody writes to a cache at a price here.
    pub(super) fn put(self, out: &mut Vec<u8>) {
        let mut members = Members::begin(out);
        members.number("input_tokens", self.input);
        members.number("cache_creation_input_tokens", self.input.map(|_| 0));
        members.number("cache_read_input_tokens", self.cached.or_else(|| self.input.map(|_| 0)));
        members.number("output_tokens", self.output);
        if self.thinking.is_some() {
            let mut details = Members::begin(members.name("output_tokens_details"));
            details.number("thinking_tokens", self.thinking);
            details.end();
        }
        members.end();
    }
}
