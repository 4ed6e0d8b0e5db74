//! Rows for Intune's custom settings: the template that is ingested, then each key.
//!
//! Addresses are those of the Policy CSP (learn.microsoft.com, "Win32 and Desktop Bridge app ADMX policy ingestion",
//! "Understanding ADMX policies").

use super::Exported;
use super::admx::{self, Element, Policy};
use super::keys::Table;
use super::registry;
use crate::args::mdm::{Hive, Product};
use quick_xml::escape::escape;
use serde_json::{Value, json};
use std::io;

/// A row.
#[derive(Debug)]
pub struct Row {
    /// What it is called in the console.
    pub name: String,
    /// Where it goes.
    pub address: String,
    /// What it is given.
    pub value: String,
}

impl Row {
    /// As the console asks for it.
    pub fn object(&self) -> Value {
        json!({
            "name": self.name, "oma_uri": self.address, "data_type": "String", "value": self.value,
        })
    }
}

/// The rows of a profile, and the keys that no policy is there for.
///
/// # Errors
/// Writing the template, which goes to memory.
pub fn rows(
    exported: &Exported<'_>,
    table: &Table,
    hive: Hive,
) -> io::Result<(Vec<Row>, Vec<String>)> {
    let product = exported.product;
    let app = admx::name(product);
    let policies = admx::policies(product, table);
    let mut rows = vec![Row {
        name: format!("{app}: template"),
        address: format!(
            "./Device/Vendor/MSFT/Policy/ConfigOperations/ADMXInstall/{app}/Policy/{app}Admx"
        ),
        value: admx::admx(product, table)?,
    }];
    let root = match hive {
        Hive::Hklm => "./Device",
        Hive::Hkcu => "./User",
    };
    let mut left = Vec::new();
    for (name, text) in registry::values(product, exported.keys) {
        let Some(policy) = policies.iter().find(|policy| policy.name == name) else {
            left.push(name);
            continue;
        };
        let category = category(app, policy);
        rows.push(Row {
            address: format!("{root}/Vendor/MSFT/Policy/Config/{app}~Policy~{category}/{name}"),
            value: value(policy, &text),
            name: format!("{app}: {name}"),
        });
    }

    Ok((rows, left))
}

fn category(app: &str, policy: &Policy) -> String {
    if policy.category == app { app.to_owned() } else { format!("{app}~{}", policy.category) }
}

/// Enabled, with what stands in it; a line's end in an attribute would become a space.
fn value(policy: &Policy, text: &str) -> String {
    match (&policy.element, text) {
        (Element::Switch, "true") => "<enabled/>".to_owned(),
        (Element::Switch, _) => "<disabled/>".to_owned(),
        _ => {
            let escaped = escape(text).replace('\n', "&#10;").replace('\t', "&#9;");
            format!("<enabled/><data id=\"{}\" value=\"{escaped}\"/>", policy.name)
        }
    }
}

/// What is entered in Group Policy, for those who do it by hand.
pub fn entries(exported: &Exported<'_>, table: &Table) -> Value {
    let policies = admx::policies(exported.product, table);
    let each = registry::values(exported.product, exported.keys).into_iter().map(|(name, text)| {
        let policy = policies.iter().find(|policy| policy.name == name);
        let switch = policy.is_some_and(|policy| policy.element == Element::Switch);
        let state = if switch && text == "false" { "disabled" } else { "enabled" };
        let category = policy.map_or("", |policy| policy.category.as_str());
        let mut entry = json!({ "policy": name, "category": category, "state": state });
        if !switch && let Some(entry) = entry.as_object_mut() {
            entry.insert("value".to_owned(), text.into());
        }
        entry
    });

    json!({ "profile": exported.profile.name, "policies": each.collect::<Vec<_>>() })
}

/// Whose rows they are, for people.
pub fn whose(product: Product) -> &'static str {
    match product {
        Product::Desktop => "Claude Desktop",
        Product::Code => "Claude Code",
    }
}
