//! What an edit changes: in a line for each resource, and as text without secrets.

use super::files::{File, Set, Use, without_version};
use super::mask::Secrets;
use super::tree::Tree;
use similar::TextDiff;
use std::collections::BTreeMap;

/// The files whose text differs, but for the version that an earlier apply wrote into them.
pub fn files(before: &Set, after: &Set) -> Vec<String> {
    let differs = |name: &&String| {
        let text = |set: &Set| set.files().get(*name).map(without_version);
        text(before) != text(after)
    };

    after.files().keys().filter(differs).cloned().collect()
}

/// A line for each resource that came, went or changed: `+ cluster openai`.
pub fn changes(before: &Set, after: &Set) -> Vec<String> {
    let mut all = Vec::new();
    for (what, kind) in [
        (Use::Clusters, "cluster"),
        (Use::Listeners, "lane"),
        (Use::Extensions, "extension"),
        (Use::Routes, "routes"),
        (Use::Secrets, "secret"),
    ] {
        let (old, new) = (by_name(before, what), by_name(after, what));
        for (name, one) in &new {
            match old.get(name) {
                None => all.push(format!("+ {kind} {name}")),
                Some(other) if other.flow() == one.flow() => {}
                Some(other) if what == Use::Routes => routes(other, one, &mut all),
                Some(_) if what == Use::Secrets => all.push(format!("~ {kind} {name}")),
                Some(other) => all.push(format!("~ {kind} {name}: {}", members(other, one))),
            }
        }
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        all.extend(gone.map(|name| format!("- {kind} {name}")));
    }
    if all.is_empty() && !files(before, after).is_empty() {
        all.push("~ comments and spelling alone".to_owned());
    }

    all
}

/// The resources of a kind; of several without a name the last counts.
fn by_name(set: &Set, what: Use) -> BTreeMap<String, &Tree> {
    let named = set.resources(what).map(|(_, it)| (it.text_of("name").unwrap_or_default(), it));

    named.map(|(name, it)| (name.to_owned(), it)).collect()
}

/// Which members differ, by name.
fn members(old: &Tree, new: &Tree) -> String {
    let names = old.members().iter().chain(new.members()).map(|(name, _, _)| name.as_str());
    let mut differ: Vec<&str> = names
        .filter(|name| old.get(name).map(Tree::flow) != new.get(name).map(Tree::flow))
        .collect();
    differ.sort_unstable();
    differ.dedup();

    differ.join(", ")
}

/// Routes one by one: what each leads to is what matters.
fn routes(old: &Tree, new: &Tree, all: &mut Vec<String>) {
    let start = all.len();
    let (before, after) = (each_route(old), each_route(new));
    for (name, route) in &after {
        match before.get(name) {
            None => all.push(format!("+ route {name}{}", to(route))),
            Some(other) if other.flow() == route.flow() => {}
            Some(other) if leads(other) != leads(route) => {
                all.push(format!("~ route {name}: cluster {} → {}", leads(other), leads(route)));
            }
            Some(other) => all.push(format!("~ route {name}: {}", members(other, route))),
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    all.extend(gone.map(|name| format!("- route {name}")));
    let order = |routes: &Tree| listed(routes).map(|(name, _)| name).collect::<Vec<_>>();
    let known = |names: Vec<String>, other: &BTreeMap<String, &Tree>| {
        names.into_iter().filter(|name| other.contains_key(name)).collect::<Vec<_>>()
    };
    if known(order(old), &after) != known(order(new), &before) {
        all.push("~ routes: their order".to_owned());
    }
    if all.len() == start {
        let name = new.text_of("name").unwrap_or_default();
        all.push(format!("~ routes {name}: {}", members(old, new)));
    }
}

fn listed(routes: &Tree) -> impl Iterator<Item = (String, &Tree)> {
    let hosts = routes.get("virtual_hosts").map(Tree::items).unwrap_or_default();

    hosts.iter().flat_map(|host| {
        let each = host.get("routes").map(Tree::items).unwrap_or_default();
        each.iter().enumerate().map(|(index, route)| {
            let nth = || format!("#{}", index.saturating_add(1));
            (route.text_of("name").map_or_else(nth, ToOwned::to_owned), route)
        })
    })
}

fn each_route(routes: &Tree) -> BTreeMap<String, &Tree> {
    listed(routes).collect()
}

/// Where a route leads.
fn leads(route: &Tree) -> String {
    let Some(action) = route.get("route") else { return "nowhere".into() };
    if let Some(cluster) = action.text_of("cluster") {
        return cluster.to_owned();
    }
    let weighted = action.walk(&["weighted_clusters", "clusters"]);
    let weighted = weighted.map(Tree::items).unwrap_or_default();
    let each = weighted.iter().map(|it| {
        let (name, weight) =
            (it.text_of("name").unwrap_or("?"), it.text_of("weight").unwrap_or("?"));
        format!("{name} {weight}")
    });

    each.collect::<Vec<_>>().join(" + ")
}

fn to(route: &Tree) -> String {
    format!(" → {}", leads(route))
}

/// The edit as text. A file in which something secret stands is shown as what it says, without its comments, which may
/// hold an old key.
pub fn unified(before: &Set, after: &Set) -> String {
    let mut text = String::new();
    let olds = Secrets::of([before]);
    for name in files(before, after) {
        let secret = [before, after].iter().any(|set| {
            let tree = set.tree(&name);
            super::files::is_private(&name)
                || tree.is_some_and(|tree| !Secrets::in_tree(&name, tree).is_empty())
        });
        let shown = |set: &Set| -> String {
            let Some(file) = set.files().get(&name) else { return String::new() };
            if secret { masked(&name, file, &olds) } else { without_version(file) }
        };
        let (old, new) = (shown(before), shown(after));
        let (from, to) = (format!("live/{name}"), format!("candidate/{name}"));
        let diff = TextDiff::from_lines(&old, &new);
        text.push_str(&diff.unified_diff().context_radius(3).header(&from, &to).to_string());
    }

    text
}

fn masked(name: &str, file: &File, olds: &Secrets) -> String {
    let Some(tree) = &file.tree else { return "(not shown)\n".into() };
    let secrets = Secrets::in_tree(name, tree);
    let mut tree = tree.clone();
    tree.take("version_info");

    tree.lines(&|scalar| {
        let text = scalar.text()?;
        match (secrets.has(text), olds.has(text)) {
            (false, false) => None,
            (_, true) => Some("(secret)"),
            (true, false) => Some("(another secret)"),
        }
    })
}
