//! What is said otherwise, what is left out and what is refused: one line for each, by name.
//!
//! The names of what is left out stand in the row of a call. `docs/providers-openai.md` explains each line, and a test
//! holds the two together.

/// Lines of what is left out. Each is a name for [`crate::lane::dialect::Outgoing::dropped`].
pub mod dropped {
    /// The system prompt's first block where it is Claude Code's attribution, which is for Anthropic alone.
    pub const ATTRIBUTION: &str = "attribution";
    /// `cache_control`, wherever it stands: providers cache by prefix, unasked.
    pub const CACHE_CONTROL: &str = "cache_control";
    /// `citations` of documents and of earlier answers.
    pub const CITATIONS: &str = "citations";
    /// `context_management`: the provider cannot edit a conversation.
    pub const CONTEXT_MANAGEMENT: &str = "context_management";
    /// How hard to think, where the provider or the lane has no `reasoning_effort`.
    pub const EFFORT: &str = "effort";
    /// `metadata`: it says who asks.
    pub const METADATA: &str = "metadata";
    /// `disable_parallel_tool_use`, where the provider has no `parallel_tool_calls`.
    pub const PARALLEL: &str = "parallel_tool_use";
    /// `temperature`, `top_p` and `top_k`, where the lane says that its models refuse them.
    pub const SAMPLING: &str = "sampling";
    /// `service_tier`: tiers have other names and other prices there.
    pub const SERVICE_TIER: &str = "service_tier";
    /// `speed`.
    pub const SPEED: &str = "speed";
    /// `strict` of a tool, where the provider does not know it.
    pub const STRICT: &str = "strict";
    /// `output_config.task_budget`.
    pub const TASK_BUDGET: &str = "task_budget";
    /// Earlier thinking, where the provider does not take it back, and thinking that only its author can read.
    pub const THINKING: &str = "thinking";
    /// `tool_choice`, where the provider does not know it.
    pub const TOOL_CHOICE: &str = "tool_choice";
    /// A tool's other members: `defer_loading`, `input_examples`, `allowed_callers`, `eager_input_streaming`.
    pub const TOOL_MEMBERS: &str = "tool_members";
    /// The tool that searches for tools: all tools are shown instead.
    pub const TOOL_SEARCH: &str = "tool_search";
    /// `top_k`, where the provider does not know it.
    pub const TOP_K: &str = "top_k";
    /// A member of the body that this table does not know.
    pub const UNKNOWN: &str = "unknown_member";

    /// All of them.
    pub const ALL: [&str; 18] = [
        ATTRIBUTION,
        CACHE_CONTROL,
        CITATIONS,
        CONTEXT_MANAGEMENT,
        EFFORT,
        METADATA,
        PARALLEL,
        SAMPLING,
        SERVICE_TIER,
        SPEED,
        STRICT,
        TASK_BUDGET,
        THINKING,
        TOOL_CHOICE,
        TOOL_MEMBERS,
        TOOL_SEARCH,
        TOP_K,
        UNKNOWN,
    ];
}

/// Members of the body that are said in the provider's words.
pub const MAPPED: [&str; 13] = [
    "model",
    "messages",
    "system",
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
];

/// Blocks that are said in the provider's words.
pub const BLOCKS: [&str; 6] = ["text", "image", "document", "tool_use", "tool_result", "thinking"];

/// Members of the body without which the answer would be another: a call with one of them is refused.
pub const REFUSED: [&str; 3] = ["container", "inference_geo", "mcp_servers"];
