//! What is sent: Messages bodies as Claude Code sends them, and whole requests, written out once.

use bytes::Bytes;
use serde_json::{Value, json};

/// One size of body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// A question.
    Small,
    /// What Claude Code really sends: instructions, tools, some turns.
    Usual,
    /// A long conversation with files in it.
    Large,
}

impl Size {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Small, Self::Usual, Self::Large];

    /// Its name in the figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "1k",
            Self::Usual => "75k",
            Self::Large => "1m",
        }
    }

    /// Bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Small => 1024,
            Self::Usual => 75 * 1024,
            Self::Large => 1024 * 1024,
        }
    }
}

/// What stands in prompts: code, prose, logs, configuration; quotes and line ends are escaped in JSON.
/// Words are among it of which secrets are made, and none is one.
const LINES: [&str; 24] = [
    "    let Some(value) = map.get(\"key\") else { return Err(Missing(\"key\")) };\n",
    "export async function refresh(token: string): Promise<Session> {\n",
    "  const res = await fetch(`https://api.example.com/v1/items?limit=${limit}`, { headers });\n",
    "    password = getpass.getpass(\"Password: \")  # never stored\n",
    "2026-11-02T10:14:07.221Z INFO  gateway::pool connection 17 reused after 211 ms\n",
    "The reviewer asked whether the cache key should include the tenant, and I think it should.\n",
    "        assert_eq!(parse(\"a = 1\\nb = 2\").unwrap().len(), 2);\n",
    "+    if (secret.length < MIN_SECRET_LENGTH) throw new RangeError('too short');\n",
    "-    return self.client.get(url, timeout=30, verify=True).json()[\"items\"]\n",
    "    pub fn with_capacity(capacity: usize) -> Self { Self { buffer: Vec::with_capacity(capacity) } }\n",
    "| name | type | default | what it does when the upstream is away |\n",
    "\tif err := json.NewDecoder(r.Body).Decode(&req); err != nil {\n",
    "SELECT o.id, o.total, c.email FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.state = 'open';\n",
    "  - name: API_TOKEN\n    valueFrom: { secretKeyRef: { name: api, key: token } }\n",
    "error[E0502]: cannot borrow `*self` as mutable because it is also borrowed as immutable\n",
    "commit 4f2a9c1e7b3d5a6f8e9c0b1a2d3e4f5a6b7c8d9e\nAuthor: Ann Example <ann@example.com>\n",
    "Then we sketched the key-value layout: one row per user, risk-score and task-queue beside it.\n",
    "const AUTH_HEADER: &str = \"authorization\"; // Bearer tokens only, see RFC 6750\n",
    "    <div className=\"flex items-center gap-2 text-sm text-gray-500\">{t('settings.keys')}</div>\n",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  dist/app.js\n",
    "def test_login_refuses_unknown_user(client):\n    assert client.post(\"/login\").status_code == 401\n",
    "// Later: the disk-cache should honour max-age; right now it is kept until the process ends.\n",
    "    \"@types/node\": \"^22.1.0\", \"eslint\": \"^9.9.0\", \"typescript\": \"~5.6.2\",\n",
    "Project plans are due on Friday; falcon-like speed is not needed, but please keep the heron calm.\n",
];

/// The model that [`body`] asks for.
const MODEL: &str = "claude-sonnet-4-5-20250929";

/// A body that asks for another model.
pub fn of_model(model: &str, body: &[u8]) -> Bytes {
    Bytes::from(String::from_utf8_lossy(body).replacen(MODEL, model, 1))
}

/// A body of about this many bytes.
pub fn body(bytes: usize, stream: bool) -> Bytes {
    let mut value = json!({
        "metadata": { "user_id": "user_1f0c_account__session_5b1c9a" },
        "system": [{ "type": "text", "text": "You are Claude Code, Anthropic's CLI for Claude.",
            "cache_control": { "type": "ephemeral" } }],
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": "Fix the test." }] }],
    });
    if bytes > 16 * 1024 {
        value["tools"] = (0..16).map(tool).collect();
    }
    // The rest: turns of some KiB, half of them files that a tool read.
    let largest = (bytes / 64).max(16 * 1024);
    let mut turn = 0;
    loop {
        let text = value.to_string();
        let missing = bytes.saturating_sub(text.len() + 200);
        if missing < 256 {
            // A client speaks last: a provider of chat completions cannot go on with an assistant's turn.
            if turn % 2 == 1 {
                push(&mut value, turn, "ok 1 - it compiles");
            }
            let text = value.to_string();
            // The model comes first, as with the SDK; a map of serde_json's is sorted.
            let rest = text.trim_start_matches('{');
            return Bytes::from(format!(
                r#"{{"model":"{MODEL}","max_tokens":32000,"stream":{stream},{rest}"#
            ));
        }
        let text = lines(missing.min(largest), turn);
        push(&mut value, turn, &text);
        turn += 1;
    }
}

/// Lines of about so many bytes in JSON, other ones in each turn.
fn lines(bytes: usize, turn: usize) -> String {
    let mut text = String::new();
    let mut size = 0;
    for line in LINES.iter().cycle().skip(turn) {
        size += line.len() + line.matches(['"', '\n', '\t', '\\']).count();
        if size > bytes {
            return text;
        }
        text.push_str(line);
    }

    text
}

fn push(value: &mut Value, turn: usize, text: &str) {
    let id = format!("toolu_{turn:024}");
    let message = match turn % 2 {
        0 => json!({ "role": "assistant", "content": [{ "type": "text", "text": text }] }),
        _ => json!({ "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": id, "content": text }] }),
    };
    if let Some(messages) = value["messages"].as_array_mut() {
        messages.push(message);
    }
}

fn tool(number: usize) -> Value {
    json!({
        "name": format!("tool_{number}"),
        "description": "Reads a file from the local filesystem. ".repeat(30),
        "input_schema": { "type": "object", "required": ["path"], "properties": {
            "path": { "type": "string", "description": "The absolute path of the file to read" },
            "limit": { "type": "number", "description": "How many lines to read" } } },
    })
}

/// A whole request, with the headers that Claude Code sends. `further` are lines of more headers.
pub fn request(token: &str, body: &[u8], further: &str) -> Bytes {
    let head = format!(
        "POST /v1/messages?beta=true HTTP/1.1\r\nhost: tollgate.localhost\r\n\
         accept: application/json\r\naccept-encoding: gzip, deflate, br, zstd\r\n\
         anthropic-beta: claude-code-20250219,interleaved-thinking-2025-05-14\r\n\
         anthropic-dangerous-direct-browser-access: true\r\nanthropic-version: 2023-06-01\r\n\
         authorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         user-agent: claude-cli/2.1.197 (external, cli)\r\nx-app: cli\r\n\
         x-claude-code-session-id: 5b1c9a52-43ab-4d5c-9d2e-0a1b2c3d4e5f\r\n\
         x-stainless-arch: x64\r\nx-stainless-lang: js\r\nx-stainless-os: Linux\r\n\
         x-stainless-package-version: 0.70.0\r\nx-stainless-retry-count: 0\r\n\
         x-stainless-runtime: node\r\nx-stainless-runtime-version: v24.3.0\r\n\
         x-stainless-timeout: 600\r\n{further}content-length: {}\r\n\r\n",
        body.len()
    );

    Bytes::from([head.as_bytes(), body].concat())
}
