//! Takes out of a provider's sentence what is none of the reader's business: keys, accounts, resources, hosts and
//! addresses. Rather a word too many than one too few.

/// Longest sentence that is passed on, in characters.
const LONGEST: usize = 1000;

/// What stands where something was taken out.
const HIDDEN: &str = "[hidden]";

/// How words begin that name an account, a resource or a key.
const BEGINNINGS: [&str; 15] = [
    "sk-",
    "gsk_",
    "aiza",
    "ya29.",
    "org-",
    "org_",
    "proj_",
    "proj-",
    "acct_",
    "arn:",
    "projects/",
    "/subscriptions",
    "subscriptions/",
    "resourcegroups/",
    "organizations/",
];

/// How the names of hosts end.
const ENDINGS: [&str; 12] = [
    ".com",
    ".net",
    ".org",
    ".ai",
    ".io",
    ".dev",
    ".cloud",
    ".local",
    ".internal",
    ".svc",
    ".us",
    ".eu",
];

/// A provider's sentence without what is hidden.
pub(super) fn clean(message: &str) -> String {
    let mut out = String::new();
    let mut before = ["", ""];
    let text: String = message.chars().take(LONGEST).collect();
    for piece in text.split_inclusive(is_border) {
        let word = piece.trim_end_matches(is_border);
        let bare = word.trim_end_matches(['.', ':', '!', '?']);
        let named = before == ["in", "organization"] && !bare.is_empty();
        if named || is_hidden(bare) {
            out.push_str(HIDDEN);
            out.extend(piece.strip_prefix(bare));
        } else {
            out.extend(piece.chars().map(|sign| if sign.is_control() { ' ' } else { sign }));
        }
        if !bare.is_empty() {
            before = [before[1], bare];
        }
    }

    out
}

fn is_border(sign: char) -> bool {
    sign.is_whitespace() || "\"'`,;()[]{}<>=|*".contains(sign)
}

#[inline(never)]
fn is_hidden(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    // The longest run of signs of a kind.
    let run = |kind: &dyn Fn(u8) -> bool| {
        let (mut longest, mut run) = (0_usize, 0_usize);
        for byte in lower.bytes() {
            run = if kind(byte) { run.saturating_add(1) } else { 0 };
            longest = longest.max(run);
        }
        longest
    };
    let host = lower.split(['/', ':']).next().unwrap_or_default();
    let is_host = ENDINGS.iter().any(|ending| host.ends_with(ending) && host.len() > ending.len());
    let is_address = host.bytes().filter(|byte| *byte == b'.').count() == 3
        && host.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
    let has_digit = lower.bytes().any(|byte| byte.is_ascii_digit());

    BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning) && lower.len() > beginning.len())
        || ["://", "@", ":arn:", "****"].iter().any(|sign| lower.contains(sign))
        || is_host
        || is_address
        // Numbers of accounts and projects; tokens are never counted in thousands of millions.
        || run(&|byte| byte.is_ascii_digit()) >= 10
        // Keys and ids that look like nothing else: a hash, a UUID.
        || has_digit && run(&|byte| byte.is_ascii_alphanumeric()) >= 20
        || has_digit && run(&|byte| byte.is_ascii_alphanumeric() || byte == b'-') >= 36
}
