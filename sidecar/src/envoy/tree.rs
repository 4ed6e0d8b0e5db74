//! A configuration as a tree of which every node knows the file and the line it comes from.

use crate::policy::yaml::{At, Key, Kind, Node};
use std::fmt::Write;
use std::sync::Arc;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file; none for what we have put there.
    pub file: Option<Arc<str>>,
    /// Where in it.
    pub at: At,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Where it begins.
    pub origin: Origin,
    /// What it is.
    pub kind: TreeKind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeKind {
    /// A scalar.
    Scalar {
        /// As it reads.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Tree>),
    /// A mapping, in the order it stands; each member with the place of its name.
    Map(Vec<(String, At, Tree)>),
}

impl Tree {
    /// A file's.
    pub fn of(file: &Arc<str>, node: Node) -> Self {
        let origin = Origin { file: Some(Arc::clone(file)), at: node.at };
        let kind = match node.kind {
            Kind::Scalar { text, plain } => TreeKind::Scalar { text, plain },
            Kind::List(nodes) => {
                TreeKind::List(nodes.into_iter().map(|node| Self::of(file, node)).collect())
            }
            Kind::Map(pairs) => TreeKind::Map(
                pairs
                    .into_iter()
                    .map(|(Key { at, text }, node)| (text, at, Self::of(file, node)))
                    .collect(),
            ),
        };

        Self { origin, kind }
    }

    fn ours(kind: TreeKind) -> Self {
        Self { origin: Origin { file: None, at: At::START }, kind }
    }

    /// An empty list of ours.
    pub fn empty_list() -> Self {
        Self::ours(TreeKind::List(Vec::new()))
    }

    /// An empty mapping of ours.
    pub fn empty_map() -> Self {
        Self::ours(TreeKind::Map(Vec::new()))
    }

    /// A plain scalar of ours.
    pub fn plain(text: &str) -> Self {
        Self::ours(TreeKind::Scalar { text: text.to_owned(), plain: true })
    }

    /// A member of a mapping.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(known, _, _)| known == name).map(|(_, _, tree)| tree)
    }

    /// A member of a mapping, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        let TreeKind::Map(members) = &mut self.kind else { return None };

        members.iter_mut().find(|(known, _, _)| known == name).map(|(_, _, tree)| tree)
    }

    /// Where a member's name stands.
    pub fn key(&self, name: &str) -> Option<At> {
        self.members().iter().find(|(known, _, _)| known == name).map(|(_, at, _)| *at)
    }

    /// Down several members.
    pub fn walk(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |tree, name| tree.get(name))
    }

    /// A scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            TreeKind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text of a member.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Self::text)
    }

    /// A list's items; none of anything else.
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            TreeKind::List(items) => items,
            _ => &[],
        }
    }

    /// A mapping's members; none of anything else.
    pub fn members(&self) -> &[(String, At, Self)] {
        match &self.kind {
            TreeKind::Map(members) => members,
            _ => &[],
        }
    }

    /// Puts a member there, or another in its place.
    pub fn set(&mut self, name: &str, value: Self) {
        let TreeKind::Map(members) = &mut self.kind else { return };
        match members.iter_mut().find(|(known, _, _)| known == name) {
            Some((_, _, old)) => *old = value,
            None => members.push((name.to_owned(), value.origin.at, value)),
        }
    }

    /// Takes a member away.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        let TreeKind::Map(members) = &mut self.kind else { return None };
        let index = members.iter().position(|(known, _, _)| known == name)?;

        Some(members.remove(index).2)
    }

    /// More items at the end of a list.
    pub fn extend(&mut self, more: Vec<Self>) {
        if let TreeKind::List(items) = &mut self.kind {
            items.extend(more);
        }
    }

    /// Looks at every mapping, itself first.
    pub fn each_map<'t>(&'t self, look: &mut dyn FnMut(&'t Self)) {
        match &self.kind {
            TreeKind::Scalar { .. } => {}
            TreeKind::List(items) => items.iter().for_each(|item| item.each_map(look)),
            TreeKind::Map(members) => {
                look(self);
                for (_, _, member) in members {
                    member.each_map(look);
                }
            }
        }
    }

    /// Changes every mapping, itself first.
    pub fn change_maps(&mut self, change: &mut dyn FnMut(&mut Self)) {
        if matches!(self.kind, TreeKind::Map(_)) {
            change(self);
        }
        match &mut self.kind {
            TreeKind::Scalar { .. } => {}
            TreeKind::List(items) => items.iter_mut().for_each(|item| item.change_maps(change)),
            TreeKind::Map(members) => {
                for (_, _, member) in members {
                    member.change_maps(change);
                }
            }
        }
    }

    /// In one line, as YAML that Envoy reads as it would read the file: what had no quotes has none. Two that mean
    /// the same are equal in it, wherever they stand.
    pub fn flow(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);

        text
    }

    fn write(&self, text: &mut String) {
        match &self.kind {
            TreeKind::Scalar { text: scalar, plain } => scalar_to(text, scalar, *plain),
            TreeKind::List(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index == 0 { "" } else { ", " });
                    item.write(text);
                }
                text.push(']');
            }
            TreeKind::Map(members) => {
                text.push('{');
                for (index, (name, _, member)) in members.iter().enumerate() {
                    text.push_str(if index == 0 { "" } else { ", " });
                    scalar_to(text, name, false);
                    text.push_str(": ");
                    member.write(text);
                }
                text.push('}');
            }
        }
    }

    /// In lines, without comments, for people: `masked` says what stands for a scalar.
    pub fn lines(&self, masked: &dyn Fn(&Self) -> Option<&'static str>) -> String {
        let mut text = String::new();
        self.write_lines(&mut text, 0, masked);

        text
    }

    fn write_lines(
        &self,
        text: &mut String,
        depth: usize,
        masked: &dyn Fn(&Self) -> Option<&'static str>,
    ) {
        let indent = "  ".repeat(depth);
        let below = |text: &mut String, before: &str, child: &Self| {
            let inline = match &child.kind {
                TreeKind::Scalar { .. } => {
                    Some(masked(child).map_or_else(|| child.flow(), ToOwned::to_owned))
                }
                TreeKind::List(items) => items.is_empty().then(|| "[]".to_owned()),
                TreeKind::Map(members) => members.is_empty().then(|| "{}".to_owned()),
            };
            text.extend([&indent, before]);
            if let Some(inline) = inline {
                text.extend([" ", &inline, "\n"]);
            } else {
                text.push('\n');
                child.write_lines(text, depth.saturating_add(1), masked);
            }
        };
        match &self.kind {
            TreeKind::Scalar { .. } => below(text, "", self),
            TreeKind::List(items) => items.iter().for_each(|item| below(text, "-", item)),
            TreeKind::Map(members) => {
                for (name, _, tree) in members {
                    below(text, &format!("{name}:"), tree);
                }
            }
        }
    }
}

fn scalar_to(text: &mut String, scalar: &str, plain: bool) {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-~".contains(&byte);
    if plain && scalar.is_empty() {
        text.push_str("null");
    } else if plain && scalar.bytes().all(harmless) && scalar != "-" {
        text.push_str(scalar);
    } else {
        // JSON's escapes are YAML's too, within double quotes (YAML 1.2, 5.7).
        let quoted = serde_json::Value::from(scalar).to_string();
        let written = write!(text, "{quoted}");
        debug_assert!(written.is_ok(), "a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::yaml;

    fn tree(text: &str) -> Tree {
        Tree::of(&"a.yaml".into(), yaml::parse(text).unwrap())
    }

    #[test]
    fn what_had_no_quotes_has_none_and_reads_the_same_again() {
        let one = tree(
            "a: {b: y, c: 'y', d: 1s, e: \"x: {\", f: , g: a b, h: [1, ~]}\ni: |\n  {\"x\": 1}\n",
        );
        let flow = one.flow();

        assert_eq!(
            flow,
            r#"{"a": {"b": y, "c": "y", "d": 1s, "e": "x: {", "f": null, "g": "a b", "h": [1, ~]}, "i": "{\"x\": 1}\n"}"#
        );
        assert_eq!(tree(&flow).flow(), flow);
    }

    #[test]
    fn in_lines_it_reads_the_same_and_a_mask_stands_for_what_it_hides() {
        let one = tree("a:\n- b: 1\n  c: secret\n- []\nd: {}\n");

        let lines = one.lines(&|tree| (tree.text() == Some("secret")).then_some("(secret)"));

        assert_eq!(lines, "a:\n  -\n    b: 1\n    c: (secret)\n  - []\nd: {}\n");
    }
}
