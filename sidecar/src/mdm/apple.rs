//! Apple's formats: the bare preference domain, and the configuration profile around it.

use super::Exported;
use super::keys::Table;
use super::settings::Keys;
use super::text;
use crate::args::mdm::Product;
use crate::failure::Failure;
use plist::{Dictionary, Value as Plist};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The preference domain of a client, which is also the payload's type.
pub fn domain(product: Product) -> &'static str {
    match product {
        Product::Desktop => "com.anthropic.claudefordesktop",
        Product::Code => "com.anthropic.claudecode",
    }
}

/// The bare preference domain.
///
/// # Errors
/// [`Failure::Refused`], if the library cannot write it.
pub fn preferences(exported: &Exported<'_>) -> Result<String, Failure> {
    written(&Plist::Dictionary(dictionary(exported.product, exported.keys)))
}

/// A configuration profile. The same profile has the same bytes, identifiers included.
///
/// # Errors
/// [`Failure::Refused`], if the library cannot write it.
pub fn mobileconfig(exported: &Exported<'_>) -> Result<String, Failure> {
    let Exported { product, keys, settings, profile } = *exported;
    let client = match product {
        Product::Desktop => "Claude Desktop",
        Product::Code => "Claude Code",
    };
    let outer = identifier(&settings.identifier, &profile.name, product);
    let inner = format!("{outer}.settings");
    let name = format!("{client}: {}", profile.name);
    let common = |identifier: &str, kind: &str| {
        let mut payload = Dictionary::new();
        let mut put = |key: &str, text: &str| payload.insert(key.to_owned(), text.into());
        put("PayloadDisplayName", &name);
        put("PayloadIdentifier", identifier);
        put("PayloadOrganization", &settings.organization);
        put("PayloadType", kind);
        put("PayloadUUID", &uuid(identifier));
        payload.insert("PayloadVersion".to_owned(), 1.into());
        payload
    };
    let mut payload = common(&inner, domain(product));
    for (key, value) in dictionary(product, keys) {
        payload.insert(key, value);
    }
    let mut profile_of = common(&outer, "Configuration");
    let about = profile.about.clone().unwrap_or_else(|| format!("Managed settings of {client}."));
    profile_of.insert("PayloadDescription".to_owned(), about.into());
    profile_of.insert("PayloadScope".to_owned(), "System".into());
    profile_of.insert("PayloadRemovalDisallowed".to_owned(), true.into());
    let content = vec![Plist::Dictionary(payload)];
    profile_of.insert("PayloadContent".to_owned(), Plist::Array(content));
    profile_of.sort_keys();

    written(&Plist::Dictionary(profile_of))
}

fn identifier(prefix: &str, profile: &str, product: Product) -> String {
    let client = match product {
        Product::Desktop => "claude-desktop",
        Product::Code => "claude-code",
    };

    format!("{prefix}.{client}.{profile}")
}

/// Version 5 (RFC 9562, section 5.5): of the identifier alone, so that a changed profile replaces itself.
fn uuid(identifier: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, identifier.as_bytes()).to_string().to_uppercase()
}

/// Claude Desktop reads strings; Claude Code the property list's own types.
fn dictionary(product: Product, keys: &Keys) -> Dictionary {
    let value = |value: &Value| match product {
        Product::Desktop => Plist::String(text::encode(value)),
        Product::Code => native(value),
    };

    keys.iter().map(|(name, of)| (name.clone(), value(of))).collect()
}

fn native(value: &Value) -> Plist {
    match value {
        // A property list has no nothing.
        Value::Null => Plist::String(String::new()),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(whole)) => whole.into(),
            (None, None) => number.as_f64().unwrap_or_default().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => Plist::Array(values.iter().map(native).collect()),
        Value::Object(members) => Plist::Dictionary(
            members.iter().map(|(name, value)| (name.clone(), native(value))).collect(),
        ),
    }
}

fn written(value: &Plist) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let failed = |why: String| Failure::Refused(format!("cannot write the property list: {why}"));
    value.to_writer_xml(&mut bytes).map_err(|error| failed(error.to_string()))?;
    bytes.push(b'\n');

    String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
}

/// What a profile or preference domain says, and for whom.
///
/// # Errors
/// Why it cannot be read.
pub fn read(bytes: &[u8], tables: [&Table; 2]) -> Result<Vec<(Product, Keys)>, String> {
    let value =
        Plist::from_reader(std::io::Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let Some(root) = value.as_dictionary() else { return Err("is no dictionary".to_owned()) };
    let content = root.get("PayloadContent").and_then(Plist::as_array);
    let Some(content) = content else {
        let members = root.iter().map(|(name, value)| (name.clone(), json(value)));
        let keys: Map<String, Value> = members.collect();
        let product = super::diff::whose(&keys, tables);
        return Ok(vec![(product, typed(product, keys, tables))]);
    };
    let mut found = Vec::new();
    for payload in content.iter().filter_map(Plist::as_dictionary) {
        let kind = payload.get("PayloadType").and_then(Plist::as_string).unwrap_or_default();
        let products = [Product::Desktop, Product::Code];
        let Some(product) = products.into_iter().find(|product| domain(*product) == kind) else {
            continue;
        };
        let members = payload.iter().filter(|(name, _)| !name.starts_with("Payload"));
        let keys = members.map(|(name, value)| (name.clone(), json(value))).collect();
        found.push((product, typed(product, keys, tables)));
    }
    if found.is_empty() {
        return Err("has no payload of Claude Desktop or Claude Code".to_owned());
    }

    Ok(found)
}

fn typed(product: Product, keys: Keys, [desktop, _]: [&Table; 2]) -> Keys {
    if product == Product::Code {
        return keys;
    }
    let value = |(name, value): (String, Value)| {
        let value = match &value {
            Value::String(text) => text::decode(desktop, &name, text),
            _ => value,
        };
        (name, value)
    };

    keys.into_iter().map(value).collect()
}

fn json(value: &Plist) -> Value {
    match value {
        Plist::Array(values) => values.iter().map(json).collect(),
        Plist::Dictionary(members) => {
            members.iter().map(|(name, value)| (name.clone(), json(value))).collect()
        }
        Plist::Boolean(truth) => (*truth).into(),
        Plist::Integer(whole) => match whole.as_signed() {
            Some(whole) => whole.into(),
            None => whole.as_unsigned().into(),
        },
        Plist::Real(number) => (*number).into(),
        Plist::String(text) => text.as_str().into(),
        _ => Value::Null,
    }
}
