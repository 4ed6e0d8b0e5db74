//! One static configuration of all files: `envoy --mode validate` reads none of the files that the bootstrap names.
//!
//! CDS and LDS resources become `static_resources`, each `rds` an inline `route_config` that checks its clusters, each
//! secret a static one, and each `config_discovery` the extension itself.

use super::fault::Fault;
use super::files::{BOOTSTRAP, Reference, Set, Use};
use super::tree::{Origin, Tree};

/// The configuration, or why there is none.
///
/// # Errors
/// Names that a file lacks, each where it is named.
pub fn assemble(set: &Set) -> Result<Tree, Vec<Fault>> {
    let Some(bootstrap) = set.tree(BOOTSTRAP) else { return Err(Vec::new()) };
    let mut whole = bootstrap.clone();
    let mut faults = Vec::new();
    whole.take("dynamic_resources");
    if whole.get("static_resources").is_none() {
        whole.set("static_resources", Tree::empty_map());
    }
    if let Some(resources) = whole.get_mut("static_resources") {
        for (member, what) in
            [("clusters", Use::Clusters), ("listeners", Use::Listeners), ("secrets", Use::Secrets)]
        {
            if resources.get(member).is_none() {
                resources.set(member, Tree::empty_list());
            }
            let more = set.resources(what).map(|(_, it)| bare(it)).collect();
            if let Some(list) = resources.get_mut(member) {
                list.extend(more);
            }
        }
    }
    whole.change_maps(&mut |map| inline(map, set, &mut faults));

    if faults.is_empty() { Ok(whole) } else { Err(faults) }
}

/// A resource as it stands in a static configuration.
fn bare(resource: &Tree) -> Tree {
    let mut bare = resource.clone();
    bare.take("@type");

    bare
}

fn inline(map: &mut Tree, set: &Set, faults: &mut Vec<Fault>) {
    // To look at a log Envoy opens it, and would make it as whoever checks: Envoy itself could not write there then.
    if map.text_of("@type").is_some_and(|kind| kind.ends_with(".FileAccessLog")) {
        map.set("path", Tree::plain("/dev/null"));
    }
    if let Some(routes) = named(map.get("rds"), "config_source", Use::Routes, set, faults) {
        map.take("rds");
        let mut routes = bare(routes);
        routes.set("validate_clusters", Tree::plain("true"));
        map.set("route_config", routes);
    }
    if let Some(discovery) = map.get("config_discovery") {
        let name = map.text_of("name").unwrap_or_default();
        let source = discovery.get("config_source");
        let extension = of(source, Use::Extensions, name, set, faults);
        if let Some(typed) = extension.and_then(|it| it.get("typed_config")).cloned() {
            map.take("config_discovery");
            map.set("typed_config", typed);
        }
    }
    if let Some(source) = map.get("sds_config") {
        let name = map.text_of("name").unwrap_or_default();
        if of(Some(source), Use::Secrets, name, set, faults).is_some() {
            map.take("sds_config");
        }
    }
}

fn named<'s>(
    rds: Option<&Tree>,
    source: &str,
    what: Use,
    set: &'s Set,
    faults: &mut Vec<Fault>,
) -> Option<&'s Tree> {
    let rds = rds?;
    let name = rds.text_of("route_config_name").unwrap_or_default();

    of(rds.get(source), what, name, set, faults)
}

/// The resource that is named, if it comes from a file.
fn of<'s>(
    source: Option<&Tree>,
    what: Use,
    name: &str,
    set: &'s Set,
    faults: &mut Vec<Fault>,
) -> Option<&'s Tree> {
    let path = source?.walk(&["path_config_source", "path"])?;
    let known = set
        .references()
        .iter()
        .find(|it| it.what == what && it.resource == name && it.origin == path.origin);
    // What a file brings in that came from another names its own place.
    let file = known.map(|Reference { file, .. }| file.as_str())?;
    let mut resources = set.resources(what).filter(|(of, _)| *of == file).map(|(_, it)| it);
    if let Some(found) = resources.find(|it| it.text_of("name") == Some(name)) {
        return Some(found);
    }
    // A file that is missing or broken has said so.
    if set.tree(file).is_some() {
        let Origin { file: here, at } = &path.origin;
        let kind = match what {
            Use::Routes => "route configuration",
            Use::Secrets => "secret",
            _ => "extension",
        };
        let problem = format!("{file} has no {kind} {name:?}");
        faults.push(match here {
            Some(here) => Fault::at(here, *at, problem),
            None => Fault::somewhere(problem),
        });
    }

    None
}
