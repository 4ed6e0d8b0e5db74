//! Group Policy templates: one policy for every key of a table (ADMX, and ADML for what people read).
//!
//! The schema is Microsoft's ([MS-GPREG], ADMX file schema). Where a key is true or false, the policy is enabled or
//! disabled; else it has one element. All are texts in the registry, as the client wants them.

use super::keys::{Key, Kind, Table};
use super::registry;
use crate::args::mdm::Product;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use std::collections::BTreeSet;
use std::io;

const XMLNS: &str = "http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions";

/// Most characters of a list or mapping: the element's own limit would be 1,023.
const LONGEST: &str = "1048576";

/// What a template is called, and its files.
pub fn name(product: Product) -> &'static str {
    match product {
        Product::Desktop => "Claude",
        Product::Code => "ClaudeCode",
    }
}

/// A policy of the template.
#[derive(Debug)]
pub struct Policy {
    /// Its name, which is the key's.
    pub name: String,
    /// The category.
    pub category: String,
    /// What stands in it.
    pub element: Element,
    title: String,
    about: String,
    default: Option<i64>,
}

/// What a policy asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Element {
    /// Enabled or disabled.
    Switch,
    /// Text of at most so many characters.
    Text(String),
    /// A number from here to there.
    Decimal(i64, i64),
    /// One of these words.
    Words(Vec<String>),
}

/// The policies for a client.
pub fn policies(product: Product, table: &Table) -> Vec<Policy> {
    if product == Product::Code {
        return vec![Policy {
            name: "Settings".to_owned(),
            category: "ClaudeCode".to_owned(),
            element: Element::Text(LONGEST.to_owned()),
            title: "Managed settings".to_owned(),
            about: "The managed settings of Claude Code: one JSON document.".to_owned(),
            default: None,
        }];
    }

    table.keys.iter().map(policy).collect()
}

fn policy(key: &Key) -> Policy {
    let element = match key.kind {
        Kind::Bool => Element::Switch,
        Kind::Integer => {
            let (least, most) = key.range.unwrap_or_else(|| (0, i64::from(u32::MAX)));
            if most > i64::from(u32::MAX) {
                // A decimal of Group Policy has 32 bits.
                Element::Text("20".to_owned())
            } else {
                Element::Decimal(least, most)
            }
        }
        Kind::Enum => Element::Words(key.values.clone()),
        Kind::String => Element::Text(key.max_length.unwrap_or(4096).to_string()),
        _ => Element::Text(LONGEST.to_owned()),
    };
    let mut about = key.about.clone();
    if let Some(default) = &key.default {
        about.extend(["\n\nUnless set: ", &default.to_string(), "."]);
    }
    if let Some(why) = &key.deprecated {
        about.extend(["\n\nDeprecated: ", why, "."]);
    }
    if matches!(key.kind, Kind::Strings | Kind::Object | Kind::Objects | Kind::Any) {
        about.push_str("\n\nOne JSON document.");
    }

    Policy {
        name: key.name.clone(),
        category: key.section.replace(' ', ""),
        element,
        title: key.title.clone(),
        about,
        default: key.default.as_ref().and_then(serde_json::Value::as_i64),
    }
}

type Xml = Writer<Vec<u8>>;

fn open(xml: &mut Xml, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
    let tag = BytesStart::new(name).with_attributes(attributes.iter().copied());

    xml.write_event(Event::Start(tag))
}

fn close(xml: &mut Xml, name: &str) -> io::Result<()> {
    xml.write_event(Event::End(BytesEnd::new(name)))
}

fn empty(xml: &mut Xml, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
    let tag = BytesStart::new(name).with_attributes(attributes.iter().copied());

    xml.write_event(Event::Empty(tag))
}

fn text(xml: &mut Xml, name: &str, attributes: &[(&str, &str)], text: &str) -> io::Result<()> {
    open(xml, name, attributes)?;
    xml.write_event(Event::Text(BytesText::new(text)))?;

    close(xml, name)
}

fn begun(root: &str) -> io::Result<Xml> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    let attributes = [("xmlns", XMLNS), ("revision", "1.0"), ("schemaVersion", "1.0")];
    open(&mut xml, root, &attributes)?;

    Ok(xml)
}

fn ended(mut xml: Xml, root: &str) -> io::Result<String> {
    close(&mut xml, root)?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');

    String::from_utf8(bytes).map_err(io::Error::other)
}

/// The definitions.
///
/// # Errors
/// Writing, which goes to memory.
pub fn admx(product: Product, table: &Table) -> io::Result<String> {
    let policies = policies(product, table);
    let root = name(product);
    let mut xml = begun("policyDefinitions")?;
    open(&mut xml, "policyNamespaces", &[])?;
    let namespace = format!("Anthropic.Policies.{root}");
    empty(&mut xml, "target", &[("prefix", "claude"), ("namespace", &namespace)])?;
    close(&mut xml, "policyNamespaces")?;
    empty(&mut xml, "resources", &[("minRequiredRevision", "1.0")])?;
    open(&mut xml, "supportedOn", &[])?;
    open(&mut xml, "definitions", &[])?;
    let supported = [("name", "Supported"), ("displayName", "$(string.Supported)")];
    empty(&mut xml, "definition", &supported)?;
    close(&mut xml, "definitions")?;
    close(&mut xml, "supportedOn")?;
    open(&mut xml, "categories", &[])?;
    empty(&mut xml, "category", &[("name", root), ("displayName", "$(string.Category_Root)")])?;
    for category in categories(product, &policies) {
        let shown = format!("$(string.Category_{category})");
        open(&mut xml, "category", &[("name", category), ("displayName", &shown)])?;
        empty(&mut xml, "parentCategory", &[("ref", root)])?;
        close(&mut xml, "category")?;
    }
    close(&mut xml, "categories")?;
    open(&mut xml, "policies", &[])?;
    for policy in &policies {
        defined(&mut xml, policy, registry::path(product))?;
    }
    close(&mut xml, "policies")?;

    ended(xml, "policyDefinitions")
}

/// Categories below the root.
fn categories(product: Product, policies: &[Policy]) -> BTreeSet<&str> {
    let root = name(product);
    let all = policies.iter().map(|policy| policy.category.as_str());

    all.filter(|category| *category != root).collect()
}

fn defined(xml: &mut Xml, policy: &Policy, key: &str) -> io::Result<()> {
    let Policy { name, category, element, .. } = policy;
    let (shown, help) = (format!("$(string.{name})"), format!("$(string.{name}_Help)"));
    let presentation = format!("$(presentation.{name})");
    let mut attributes = vec![
        ("name", name.as_str()),
        ("class", "Both"),
        ("displayName", &shown),
        ("explainText", &help),
        ("key", key),
    ];
    if *element == Element::Switch {
        attributes.push(("valueName", name));
    } else {
        attributes.push(("presentation", &presentation));
    }
    open(xml, "policy", &attributes)?;
    empty(xml, "parentCategory", &[("ref", category)])?;
    empty(xml, "supportedOn", &[("ref", "Supported")])?;
    let value = [("id", name.as_str()), ("valueName", name.as_str())];
    match element {
        Element::Switch => {
            for (tag, word) in [("enabledValue", "true"), ("disabledValue", "false")] {
                open(xml, tag, &[])?;
                text(xml, "string", &[], word)?;
                close(xml, tag)?;
            }
        }
        Element::Text(most) => {
            open(xml, "elements", &[])?;
            let more = [("required", "true"), ("maxLength", most.as_str())];
            empty(xml, "text", &[&value[..], &more[..]].concat())?;
            close(xml, "elements")?;
        }
        Element::Decimal(least, most) => {
            open(xml, "elements", &[])?;
            let (least, most) = (least.to_string(), most.to_string());
            let more = [("required", "true"), ("minValue", &*least), ("maxValue", &*most)];
            let stored = [("storeAsText", "true")];
            empty(xml, "decimal", &[&value[..], &more[..], &stored[..]].concat())?;
            close(xml, "elements")?;
        }
        Element::Words(words) => {
            open(xml, "elements", &[])?;
            open(xml, "enum", &[&value[..], &[("required", "true")]].concat())?;
            for word in words {
                let shown = format!("$(string.{})", word_id(name, word));
                open(xml, "item", &[("displayName", &shown)])?;
                open(xml, "value", &[])?;
                text(xml, "string", &[], word)?;
                close(xml, "value")?;
                close(xml, "item")?;
            }
            close(xml, "enum")?;
            close(xml, "elements")?;
        }
    }

    close(xml, "policy")
}

fn word_id(name: &str, word: &str) -> String {
    format!("{name}_{}", word.replace(|sign: char| !sign.is_ascii_alphanumeric(), "_"))
}

/// What people read, in English.
///
/// # Errors
/// Writing, which goes to memory.
pub fn adml(product: Product, table: &Table) -> io::Result<String> {
    let policies = policies(product, table);
    let client = match product {
        Product::Desktop => "Claude Desktop",
        Product::Code => "Claude Code",
    };
    let mut xml = begun("policyDefinitionResources")?;
    text(&mut xml, "displayName", &[], client)?;
    let about = format!("Managed settings of {client}, as documented on {}.", table.as_of);
    text(&mut xml, "description", &[], &about)?;
    open(&mut xml, "resources", &[])?;
    open(&mut xml, "stringTable", &[])?;
    let mut string = |id: &str, said: &str| text(&mut xml, "string", &[("id", id)], said);
    string("Supported", "Windows 10 or later")?;
    string("Category_Root", client)?;
    for category in categories(product, &policies) {
        let section = table.keys.iter().find(|key| key.section.replace(' ', "") == category);
        let shown = section.map_or(category, |key| key.section.as_str());
        string(&format!("Category_{category}"), shown)?;
    }
    for policy in &policies {
        string(&policy.name, &format!("{} ({})", policy.title, policy.name))?;
        string(&format!("{}_Help", policy.name), &policy.about)?;
        if let Element::Words(words) = &policy.element {
            for word in words {
                string(&word_id(&policy.name, word), word)?;
            }
        }
    }
    close(&mut xml, "stringTable")?;
    open(&mut xml, "presentationTable", &[])?;
    for policy in policies.iter().filter(|policy| policy.element != Element::Switch) {
        presented(&mut xml, policy)?;
    }
    close(&mut xml, "presentationTable")?;
    close(&mut xml, "resources")?;

    ended(xml, "policyDefinitionResources")
}

fn presented(xml: &mut Xml, policy: &Policy) -> io::Result<()> {
    let Policy { name, title, .. } = policy;
    open(xml, "presentation", &[("id", name)])?;
    match &policy.element {
        Element::Switch => {}
        Element::Text(_) => {
            open(xml, "textBox", &[("refId", name)])?;
            text(xml, "label", &[], title)?;
            close(xml, "textBox")?;
        }
        Element::Decimal(least, _) => {
            let default = policy.default.unwrap_or(*least).to_string();
            let attributes =
                [("refId", name.as_str()), ("defaultValue", &default), ("spin", "false")];
            text(xml, "decimalTextBox", &attributes, title)?;
        }
        Element::Words(_) => text(xml, "dropdownList", &[("refId", name)], title)?,
    }

    close(xml, "presentation")
}
