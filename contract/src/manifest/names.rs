//! Names of plugins and paths of files: such as mean the same, and are harmless, on every laptop.
//!
//! Windows takes away dots and spaces at the end, reads `a:b` as a stream, `CON` as a device and `A` as `a`; macOS reads two
//! spellings of `é` as one. So they are printable ASCII and no two differ by case alone.

/// Longest name of a plugin, a skill, an agent or an audience.
const LONGEST_NAME: usize = 64;

/// Longest path below a plugin's folder: with the mount before it, it stays below Windows' 260.
const LONGEST_PATH: usize = 160;

/// Names that Windows reads as devices, whatever stands behind a dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Names that clients keep for themselves.
const RESERVED: [&str; 3] = ["unknown", "org", "org-provisioned"];

/// What is wrong with a name; none if it may be a folder's.
pub fn name_fault(name: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Some("must have 1 to 64 characters");
    }
    if !name.bytes().all(plain) || !name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return Some("must be letters, digits and - _ . and begin with a letter or a digit");
    }
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Some("is a name that clients keep for themselves");
    }

    part_fault(name)
}

/// What is wrong with a file's path; none if it may be written.
pub fn path_fault(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.len() > LONGEST_PATH {
        return Some("must have 1 to 160 characters");
    }
    if path.starts_with('/') {
        return Some("must not begin at the root");
    }

    path.split('/').find_map(part_fault)
}

fn part_fault(part: &str) -> Option<&'static str> {
    if part.is_empty() {
        return Some("has an empty part");
    }
    if part == "." || part == ".." {
        return Some("leads elsewhere: no part may be . or ..");
    }
    if !part.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Some("must be printable ASCII: other characters have several spellings");
    }
    if part.bytes().any(|byte| b"\\:*?\"<>|".contains(&byte)) {
        return Some("must have none of \\ : * ? \" < > |, which mean something on Windows");
    }
    if part.ends_with(['.', ' ']) || part.starts_with(' ') {
        return Some("has a part that ends with a dot or a space, or begins with one");
    }
    // `NUL .txt` is the device too.
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let is_device = match numbered {
        Some(number) => number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit()),
        None => DEVICES.contains(&stem.as_str()),
    };
    if is_device {
        return Some("has a part that Windows reads as a device");
    }

    None
}

/// Is it a SHA-256 as digests are written: 64 digits, lower case?
pub fn is_hex_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
