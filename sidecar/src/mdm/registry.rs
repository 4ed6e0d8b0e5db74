//! Files of the Windows registry, as regedit writes and reads them.

use super::Exported;
use super::keys::Table;
use super::settings::Keys;
use super::text;
use crate::args::mdm::{Hive, Product};
use regashii::{KeyName, Registry, Value as Entry, ValueName};
use serde_json::Value;
use std::fmt::Write;

/// The value that holds Claude Code's settings, all in one.
const SETTINGS: &str = "Settings";

/// Where a client's policy is, below the hive.
pub fn path(product: Product) -> &'static str {
    match product {
        Product::Desktop => r"SOFTWARE\Policies\Claude",
        Product::Code => r"SOFTWARE\Policies\ClaudeCode",
    }
}

/// What stands below the key: a name and a text each.
pub fn values(product: Product, keys: &Keys) -> Vec<(String, String)> {
    match product {
        Product::Desktop => {
            keys.iter().map(|(name, value)| (name.clone(), text::encode(value))).collect()
        }
        Product::Code => {
            vec![(SETTINGS.to_owned(), Value::Object(keys.clone()).to_string())]
        }
    }
}

/// The file as text. It sets what the profile says and deletes nothing.
pub fn file(exported: &Exported<'_>, hive: Hive) -> String {
    let hive = match hive {
        Hive::Hklm => "HKEY_LOCAL_MACHINE",
        Hive::Hkcu => "HKEY_CURRENT_USER",
    };
    let mut file = format!(
        "Windows Registry Editor Version 5.00\r\n\r\n[{hive}\\{}]\r\n",
        path(exported.product)
    );
    for (name, text) in values(exported.product, exported.keys) {
        file.extend([&quoted(&name), "=", &data(&text), "\r\n"]);
    }
    file.push_str("\r\n");

    file
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// A `REG_SZ`. What quotes cannot hold is written as its bytes: `hex(1)`, UTF-16 with an end.
fn data(text: &str) -> String {
    if !text.contains(char::is_control) {
        return quoted(text);
    }
    let units = text.encode_utf16().chain([0]);
    let mut hex = String::new();
    for byte in units.flat_map(u16::to_le_bytes) {
        if !hex.is_empty() {
            hex.push(',');
        }
        // Writing to a string does not fail.
        if write!(hex, "{byte:02x}").is_err() {
            break;
        }
    }

    format!("hex(1):{hex}")
}

/// As regedit writes it: UTF-16, the least byte first, with its mark.
pub fn utf16(text: &str) -> Vec<u8> {
    let units = [0xfeff].into_iter().chain(text.encode_utf16());

    units.flat_map(u16::to_le_bytes).collect()
}

/// Reads what [`utf16`] writes; UTF-8 and other single-byte files without a mark too.
///
/// # Errors
/// Why it cannot be read.
pub fn decoded(bytes: &[u8]) -> Result<String, String> {
    let Some(rest) = bytes.strip_prefix(&[0xff, 0xfe]) else {
        let text = String::from_utf8_lossy(bytes);
        return Ok(text.trim_start_matches('\u{feff}').to_owned());
    };
    let units = rest.chunks(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0xfffd,
    });

    char::decode_utf16(units)
        .collect::<Result<String, _>>()
        .map_err(|error| format!("is not UTF-16: {error}"))
}

/// What a file of the registry says, and for whom.
///
/// # Errors
/// Why it cannot be read.
pub fn read(bytes: &[u8], [desktop, _]: [&Table; 2]) -> Result<Vec<(Product, Keys)>, String> {
    let text = decoded(bytes)?;
    // The library takes four bytes of such a value without looking whether they are there.
    if text.contains("=hex(5)") {
        return Err("has a value of a kind (hex(5)) that no policy has".to_owned());
    }
    let registry =
        Registry::deserialize(&text).map_err(|error| format!("does not read: {error}"))?;
    let mut found = Vec::new();
    for (key, of) in registry.keys() {
        for product in [Product::Desktop, Product::Code] {
            if !is_at(key, product) {
                continue;
            }
            let texts = of.values().iter().filter_map(|(name, value)| match name {
                ValueName::Named(name) => Some((name.clone(), entry(value)?)),
                ValueName::Default => None,
            });
            let keys = match product {
                Product::Desktop => text::decoded(desktop, texts),
                Product::Code => {
                    let all: Option<String> =
                        texts.filter(|(name, _)| name == SETTINGS).map(|(_, text)| text).next();
                    serde_json::from_str(&all.unwrap_or_default())
                        .map_err(|error| format!("{SETTINGS} is no JSON: {error}"))?
                }
            };
            found.push((product, keys));
        }
    }
    if found.is_empty() {
        return Err("has no policy of Claude Desktop or Claude Code".to_owned());
    }

    Ok(found)
}

fn is_at(key: &KeyName, product: Product) -> bool {
    let key = key.raw().to_ascii_lowercase();
    let path = path(product).to_ascii_lowercase();

    key.ends_with(&format!("\\{path}"))
}

fn entry(value: &Entry) -> Option<String> {
    match value {
        Entry::Sz(text) | Entry::ExpandSz(text) => Some(text.clone()),
        Entry::Dword(number) => Some(number.to_string()),
        _ => None,
    }
}
