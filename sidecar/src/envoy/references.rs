//! What Envoy does not look at, even in one configuration: names that nobody has, and what costs streams.

use super::fault::Fault;
use super::files::{BOOTSTRAP, Set, Use};
use super::tree::{Origin, Tree};
use std::collections::BTreeSet;

/// Clusters that are ours: no provider stands behind them, and no stream runs to them.
const OURS: &str = "tollgate_";

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Must not be put in force.
    pub faults: Vec<Fault>,
    /// Is hardly meant so.
    pub warnings: Vec<Fault>,
}

/// A name that is used.
#[derive(Debug, Clone)]
struct Used {
    name: String,
    origin: Origin,
    by: &'static str,
}

/// Looks at the files as they would be; `before` as they are, to say what an edit takes away.
pub fn look(set: &Set, before: Option<&Set>) -> Findings {
    let mut found = Findings::default();
    let clusters = clusters(set);
    let known: BTreeSet<&str> = clusters.iter().filter_map(|it| it.text_of("name")).collect();
    let was: BTreeSet<String> = before.map(names).unwrap_or_default();
    for used in used(set) {
        if !known.contains(used.name.as_str()) {
            let removed = was.contains(&used.name);
            found.faults.push(told(&used.origin, unknown(&used, &known, removed)));
        }
    }
    twice(set, &mut found);
    several(set, &mut found);
    listeners(set, &clusters, &mut found);
    provider(set, &clusters, &mut found);
    streams(set, &mut found);
    found.faults.sort();
    found.faults.dedup();
    found.warnings.sort();
    found.warnings.dedup();

    found
}

fn told(origin: &Origin, problem: String) -> Fault {
    match &origin.file {
        Some(file) => Fault::at(file, origin.at, problem),
        None => Fault::somewhere(problem),
    }
}

fn unknown(used: &Used, known: &BTreeSet<&str>, removed: bool) -> String {
    let Used { name, by, .. } = used;
    if removed {
        return format!("{by} names the cluster {name:?}, which this edit takes away");
    }
    let near = known.iter().max_by(|one, other| {
        strsim::jaro_winkler(one, name).total_cmp(&strsim::jaro_winkler(other, name))
    });
    let hint = near
        .filter(|near| strsim::jaro_winkler(near, name) > 0.8)
        .map(|near| format!("; did you mean {near:?}?"))
        .unwrap_or_default();

    format!("{by} names the cluster {name:?}, which is not there{hint}")
}

/// All clusters: those of the files, and the bootstrap's own.
fn clusters(set: &Set) -> Vec<&Tree> {
    let own = set.tree(BOOTSTRAP).and_then(|it| it.walk(&["static_resources", "clusters"]));
    let own = own.map(Tree::items).unwrap_or_default().iter();

    own.chain(set.resources(Use::Clusters).map(|(_, it)| it)).collect()
}

fn names(set: &Set) -> BTreeSet<String> {
    clusters(set).iter().filter_map(|it| it.text_of("name")).map(ToOwned::to_owned).collect()
}

/// Every cluster that is named anywhere.
fn used(set: &Set) -> Vec<Used> {
    let mut all = Vec::new();
    for tree in set.files().values().filter_map(|file| file.tree.as_ref()) {
        tree.each_map(&mut |map| {
            let mut add = |node: Option<&Tree>, by| {
                if let Some((name, node)) = node.and_then(|it| Some((it.text()?, it))) {
                    all.push(Used { name: name.to_owned(), origin: node.origin.clone(), by });
                }
            };
            if let Some(route) = map.get("route") {
                add(route.get("cluster"), "a route");
                let weighted = route.walk(&["weighted_clusters", "clusters"]);
                for one in weighted.map(Tree::items).unwrap_or_default() {
                    add(one.get("name"), "a route");
                }
                let mirrors = route.get("request_mirror_policies");
                for one in mirrors.map(Tree::items).unwrap_or_default() {
                    add(one.get("cluster"), "a mirror of a route");
                }
            }
            if let Some(grpc) = map.get("envoy_grpc") {
                add(grpc.get("cluster_name"), "a gRPC service");
            }
            if let Some(aggregate) = aggregate(map) {
                for one in aggregate.items() {
                    add(Some(one), "an aggregate");
                }
            }
        });
    }
    all.extend(gate(set));

    all
}

/// What an aggregate cluster chooses from.
fn aggregate(map: &Tree) -> Option<&Tree> {
    let typed = map.walk(&["cluster_type", "typed_config"])?;
    let kind = typed.text_of("@type")?;

    kind.contains("clusters.aggregate").then(|| typed.get("clusters")).flatten()
}

/// The cluster that a filter of ours fetches from stands in JSON, as text.
fn gate(set: &Set) -> Vec<Used> {
    let mut all = Vec::new();
    for tree in set.files().values().filter_map(|file| file.tree.as_ref()) {
        tree.each_map(&mut |map| {
            let Some(value) = map.walk(&["configuration", "value"]) else { return };
            let json: Option<serde_json::Value> =
                value.text().and_then(|text| serde_json::from_str(text).ok());
            let name = json.as_ref().and_then(|it| it.get("gate_cluster")?.as_str());
            if let Some(name) = name {
                let (name, origin) = (name.to_owned(), value.origin.clone());
                all.push(Used { name, origin, by: "gate_cluster" });
            }
        });
    }

    all
}

/// Names that two resources of a kind have.
fn twice(set: &Set, found: &mut Findings) {
    for (what, kind) in [
        (Use::Clusters, "cluster"),
        (Use::Listeners, "listener"),
        (Use::Routes, "route configuration"),
        (Use::Secrets, "secret"),
    ] {
        let mut seen = BTreeSet::new();
        for (file, resource) in set.resources(what) {
            let Some(name) = resource.text_of("name") else {
                found.faults.push(told(&resource.origin, format!("a {kind} needs a name")));
                continue;
            };
            // Several secrets files may hold one name each for another place.
            let key = (name, if what == Use::Secrets { file } else { "" });
            if !seen.insert(key) {
                let problem = format!("the {kind} {name:?} stands here twice");
                found.faults.push(told(&resource.origin, problem));
            }
        }
    }
}

/// Of these Envoy takes one from a file, and refuses a file with more.
fn several(set: &Set, found: &mut Findings) {
    for (what, kind) in [
        (Use::Routes, "route configuration"),
        (Use::Secrets, "secret"),
        (Use::Extensions, "extension"),
    ] {
        let mut before = "";
        for (file, resource) in set.resources(what) {
            if file == before {
                let problem =
                    format!("Envoy takes one {kind} from a file: give it a file of its own");
                found.faults.push(told(&resource.origin, problem));
            }
            before = file;
        }
    }
}

/// Internal listeners that clusters lead to.
fn listeners(set: &Set, clusters: &[&Tree], found: &mut Findings) {
    let own = set.tree(BOOTSTRAP).and_then(|it| it.walk(&["static_resources", "listeners"]));
    let own = own.map(Tree::items).unwrap_or_default().iter();
    let all = own.chain(set.resources(Use::Listeners).map(|(_, it)| it));
    let internal: BTreeSet<&str> = all
        .filter(|it| it.get("internal_listener").is_some())
        .filter_map(|it| it.text_of("name"))
        .collect();
    for cluster in clusters {
        cluster.each_map(&mut |map| {
            let named = map.walk(&["envoy_internal_address", "server_listener_name"]);
            let Some((node, name)) = named.and_then(|it| Some((it, it.text()?))) else { return };
            if !internal.contains(name) {
                let problem = format!("no internal listener is called {name:?}");
                found.faults.push(told(&node.origin, problem));
            }
        });
    }
}

/// Clusters that routes lead to, be it through an aggregate.
fn led_to(set: &Set, clusters: &[&Tree]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut next: Vec<String> = Vec::new();
    for (_, routes) in set.resources(Use::Routes) {
        routes.each_map(&mut |map| {
            let Some(route) = map.get("route") else { return };
            next.extend(route.text_of("cluster").map(ToOwned::to_owned));
            let weighted = route.walk(&["weighted_clusters", "clusters"]);
            let weighted = weighted.map(Tree::items).unwrap_or_default();
            next.extend(weighted.iter().filter_map(|it| it.text_of("name")).map(ToOwned::to_owned));
        });
    }
    while let Some(name) = next.pop() {
        let cluster = clusters.iter().find(|it| it.text_of("name") == Some(&name));
        if let Some(below) = cluster.and_then(|it| aggregate(it)).filter(|_| !all.contains(&name)) {
            next.extend(below.items().iter().filter_map(Tree::text).map(ToOwned::to_owned));
        }
        all.insert(name);
    }

    all
}

fn provider(set: &Set, clusters: &[&Tree], found: &mut Findings) {
    let called = led_to(set, clusters);
    for cluster in clusters {
        let name = cluster.text_of("name").unwrap_or_default();
        let ours = name.starts_with(OURS) || aggregate(cluster).is_some();
        let says = cluster.walk(&["metadata", "filter_metadata", "tollgate", "provider"]).is_some();
        if called.contains(name) && !ours && !says {
            let problem = format!(
                "the cluster {name:?} has no metadata filter_metadata.tollgate.provider: rows will not say who served"
            );
            found.warnings.push(told(&cluster.origin, problem));
        }
    }
}

/// Envoy's own timeouts cut a stream of a model.
fn streams(set: &Set, found: &mut Findings) {
    for (_, routes) in set.resources(Use::Routes) {
        routes.each_map(&mut |map| {
            let Some(route) = map.get("route") else { return };
            let cluster = route.text_of("cluster").unwrap_or_default();
            if cluster.starts_with(OURS) {
                return;
            }
            let name = map.text_of("name").unwrap_or("without a name");
            if route.get("timeout").is_none() {
                let problem = format!(
                    "the route {name} has no timeout: Envoy's default, 15 s, cuts every longer stream; write `timeout: 0s`"
                );
                found.warnings.push(told(&route.origin, problem));
            }
            if route.get("idle_timeout").is_none() {
                let problem = format!(
                    "the route {name} has no idle_timeout: say how long a model may think without a byte, as `idle_timeout: 900s`"
                );
                found.warnings.push(told(&route.origin, problem));
            }
        });
    }
}
