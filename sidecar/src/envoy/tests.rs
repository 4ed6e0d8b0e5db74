//! Edits of the files we ship, without an Envoy: what is found, shown and planned.

use super::assemble::assemble;
use super::check::Candidate;
use super::files::Set;
use super::mask::Secrets;
use super::place::EnvoyPlace;
use super::plan::plan;
use super::{apply, diff, references};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// A directory with the files we ship.
pub(super) struct Bench {
    place: tempfile::TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let shipped = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../envoy"));
        for folder in ["", "secrets"] {
            fs::create_dir_all(place.path().join(folder)).unwrap();
            for entry in fs::read_dir(shipped.join(folder)).unwrap().flatten() {
                if entry.path().is_file() {
                    fs::copy(entry.path(), place.path().join(folder).join(entry.file_name()))
                        .unwrap();
                }
            }
        }

        Self { place }
    }

    pub(super) fn place(&self) -> EnvoyPlace {
        EnvoyPlace { dir: self.place.path().to_owned(), admin: None, bin: "envoy".into() }
    }

    pub(super) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.place.path().join(file)).unwrap()
    }

    pub(super) fn edit(&self, file: &str, from: &str, to: &str) {
        fs::write(self.place.path().join(file), changed(&self.text(file), from, to)).unwrap();
    }

    pub(super) fn live(&self) -> Set {
        Set::read(self.place.path(), &Candidate::new())
    }

    /// The line that this stands in first.
    pub(super) fn line(&self, file: &str, what: &str) -> usize {
        self.text(file).lines().position(|line| line.contains(what)).unwrap() + 1
    }
}

fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// The files as some edits would have them.
pub(super) fn edited(bench: &Bench, edits: &[(&str, &str, &str)]) -> Set {
    let mut candidate = Candidate::new();
    for (file, from, to) in edits {
        let text = match candidate.get(*file) {
            Some(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            None => bench.text(file),
        };
        candidate.insert((*file).to_owned(), changed(&text, from, to).into_bytes());
    }

    Set::read(bench.place.path(), &candidate)
}

fn lines(bench: &Bench, edits: &[(&str, &str, &str)]) -> Vec<String> {
    let set = edited(bench, edits);
    let mut faults = set.faults().to_vec();
    faults.extend(references::look(&set, Some(&bench.live())).faults);
    faults.extend(assemble(&set).err().unwrap_or_default());

    faults.iter().map(super::fault::Fault::line).collect()
}

/// A cluster with nothing in it but a name and what is said.
fn cluster(name: &str, rest: &str) -> String {
    format!(
        "resources:\n- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: {name}\n{rest}"
    )
}

#[test]
fn the_files_we_ship_have_no_faults_and_no_warnings() {
    let bench = Bench::new();
    let set = bench.live();

    assert!(set.faults().is_empty(), "{:?}", set.faults());
    assert_eq!(references::look(&set, None), references::Findings::default());
    let whole = assemble(&set).unwrap().flow();
    for gone in ["\"rds\"", "sds_config", "config_discovery", "dynamic_resources"] {
        assert!(!whole.contains(gone), "{gone}");
    }
    assert_eq!(whole.matches("\"validate_clusters\": true").count(), 2, "one for each front");
}

#[test]
fn each_wrong_name_is_found_with_its_file_and_line() {
    let bench = Bench::new();
    let agg = cluster(
        "models",
        "  lb_policy: CLUSTER_PROVIDED\n  cluster_type:\n    name: envoy.clusters.aggregate\n    typed_config:\n      \"@type\": type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig\n      clusters: [anthropic, opnai]\n",
    );
    let lane = cluster(
        "lane",
        "  load_assignment:\n    cluster_name: lane\n    endpoints:\n    - lb_endpoints:\n      - endpoint: {address: {envoy_internal_address: {server_listener_name: bedrock}}}\n",
    );
    for (edit, expected) in [
        (
            ("routes.yaml", "cluster: anthropic", "cluster: anthropc"),
            "the cluster \"anthropc\", which is not there; did you mean \"anthropic\"?",
        ),
        (
            ("clusters.yaml", "  name: anthropic\n", "  name: claude\n"),
            "the cluster \"anthropic\", which this edit takes away",
        ),
        (("clusters.yaml", "resources:\n", &agg), "an aggregate names the cluster \"opnai\""),
        (("clusters.yaml", "resources:\n", &lane), "no internal listener is called \"bedrock\""),
        (
            (
                "gate.yaml",
                "\"gate_cluster\": \"tollgate_gate\"",
                "\"gate_cluster\": \"tollgate_gat\"",
            ),
            "gate_cluster names the cluster",
        ),
        (
            ("routes.yaml", "  name: front\n  validate", "  name: frnt\n  validate"),
            "routes.yaml has no route configuration \"front\"",
        ),
        (
            ("secrets/anthropic.yaml", "name: anthropic", "name: other"),
            "secrets/anthropic.yaml has no secret \"anthropic\"",
        ),
        (
            ("clusters.yaml", "path: ./secrets/anthropic.yaml", "path: ./secrets/nobody.yaml"),
            "secrets/nobody.yaml cannot be read",
        ),
        (
            (
                "routes.yaml",
                "  validate_clusters: true",
                "  validate_clusters: true\n  name: again",
            ),
            "\"name\" stands here twice",
        ),
        (("routes.yaml", "  virtual_hosts:", "\tvirtual_hosts:"), "is no YAML"),
        (
            ("clusters.yaml", "  name: tollgate_gate", "  name: tollgate_sidecar"),
            "\"tollgate_sidecar\" stands here twice",
        ),
    ] {
        let found = lines(&bench, &[edit]);
        let fault = found.iter().find(|line| line.contains(expected));
        let fault = fault.unwrap_or_else(|| panic!("{expected}: {found:#?}"));
        assert!(fault.split(':').nth(1).unwrap().parse::<usize>().is_ok(), "{fault}");
    }
}

#[test]
fn a_wrong_name_s_line_is_the_line_it_stands_in() {
    let bench = Bench::new();
    let at = bench.line("routes.yaml", "        cluster: anthropic");

    let found = lines(&bench, &[("routes.yaml", "cluster: anthropic", "cluster: anthropc")]);

    assert!(found[0].starts_with(&format!("routes.yaml:{at}:18: ")), "{found:?}");
}

#[test]
fn two_secrets_in_a_file_are_a_fault_which_envoy_would_find_too_late() {
    let bench = Bench::new();
    let two = "resources:\n- {name: other, generic_secret: {secret: {inline_string: x}}}\n";

    let found = lines(&bench, &[("secrets/anthropic.yaml", "resources:\n", two)]);

    assert!(found[0].contains("one secret from a file"), "{found:?}");
}

#[test]
fn a_file_that_nothing_names_is_a_fault() {
    let bench = Bench::new();
    let set = Set::read(
        &bench.place().dir,
        &Candidate::from([("route.yaml".to_owned(), b"resources: []\n".to_vec())]),
    );

    assert!(set.faults()[0].line().starts_with("route.yaml: none of Envoy's files names it"));
}

#[test]
fn what_cuts_streams_and_what_leaves_rows_without_a_provider_is_warned_of() {
    let bench = Bench::new();
    let set = edited(
        &bench,
        &[
            (
                "clusters.yaml",
                "  metadata: {filter_metadata: {tollgate: {provider: anthropic, region: us, zones: [us]}}}",
                "  metadata: {}",
            ),
            ("routes.yaml", "        timeout: 0s #", "        #"),
            ("routes.yaml", "        idle_timeout: 900s #", "        #"),
        ],
    );

    let found = references::look(&set, None);

    assert!(found.faults.is_empty());
    let all: String = found.warnings.iter().map(|it| it.line() + "\n").collect();
    for word in
        ["filter_metadata.tollgate.provider", "cuts every longer stream", "idle_timeout: 900s"]
    {
        assert!(all.contains(word), "{word}: {all}");
    }
    assert!(!all.contains("sign_in"), "what leads to the sidecar is short: {all}");
}

#[test]
fn a_diff_names_resources_and_shows_no_secret_old_or_new_or_in_a_comment() {
    let bench = Bench::new();
    bench.edit("secrets/anthropic.yaml", "ANTHROPIC_API_KEY", "sk-ant-OLD-CANARY");
    bench.edit("secrets/anthropic.yaml", "resources:", "# was sk-ant-OLDER-CANARY\nresources:");
    let before = bench.live();
    let models = cluster("openai", "  connect_timeout: 1s\n");
    let after = edited(
        &bench,
        &[
            ("secrets/anthropic.yaml", "sk-ant-OLD-CANARY", "sk-ant-NEW-CANARY"),
            ("clusters.yaml", "resources:\n", &models),
            ("routes.yaml", "cluster: anthropic", "cluster: openai"),
            ("routes.yaml", "    - name: keys\n", "    - name: keyset\n"),
        ],
    );

    let changes = diff::changes(&before, &after);
    let text = diff::unified(&before, &after);

    for expected in [
        "+ cluster openai",
        "~ route messages: cluster anthropic → openai",
        "- route keys",
        "+ route keyset → tollgate_sidecar",
        "~ secret anthropic",
    ] {
        assert!(changes.iter().any(|it| it == expected), "{expected}: {changes:#?}");
    }
    assert!(!text.contains("CANARY") && text.contains("(another secret)"), "{text}");
    assert!(
        text.contains("+        cluster: openai") && text.contains("+++ candidate/routes.yaml")
    );
    assert!(!Secrets::of([&after]).redact("x sk-ant-NEW-CANARY y").contains("CANARY"));
    assert!(
        diff::changes(&before, &before).is_empty() && diff::unified(&before, &before).is_empty()
    );
}

#[test]
fn additions_come_before_what_names_them_and_removals_after_it() {
    let bench = Bench::new();
    let old = cluster("old", "  connect_timeout: 1s\n");
    bench.edit("clusters.yaml", "resources:\n", &old);
    bench.edit("routes.yaml", "cluster: anthropic", "cluster: old");
    let before = bench.live();
    let after = edited(
        &bench,
        &[
            ("clusters.yaml", "  name: old\n", "  name: new\n"),
            ("routes.yaml", "cluster: old", "cluster: new"),
            ("secrets/anthropic.yaml", "ANTHROPIC_API_KEY", "x"),
            ("lanes.yaml", "resources: []", "resources: [] # none"),
            ("gate.yaml", "\"audience\": \"tollgate\"", "\"audience\": \"other\""),
        ],
    );

    let steps = plan(&before, &after, Some("v"));

    let order: Vec<&str> = steps.iter().map(|step| step.file.as_str()).collect();
    let expected = [
        "secrets/anthropic.yaml",
        "clusters.yaml",
        "lanes.yaml",
        "gate.yaml",
        "routes.yaml",
        "clusters.yaml",
    ];
    assert_eq!(order, expected);
    let union = String::from_utf8(steps[1].bytes.clone()).unwrap();
    assert!(union.contains("\"name\": old") && union.contains("\"name\": new"), "{union}");
    let last = String::from_utf8(steps[5].bytes.clone()).unwrap();
    assert!(!last.contains("name: old") && last.contains("name: new"));
    let versions: std::collections::BTreeSet<&str> =
        steps.iter().map(|step| step.version.as_str()).collect();
    assert_eq!(versions.len(), steps.len(), "each is waited for by a version of its own");
    assert!(steps.iter().all(|it| String::from_utf8_lossy(&it.bytes).contains(&it.version)));
}

#[test]
fn what_is_taken_back_goes_the_same_way_and_ends_with_the_old_bytes() {
    let bench = Bench::new();
    let old = cluster("old", "  connect_timeout: 1s\n");
    let before = bench.live();
    let after = edited(&bench, &[("clusters.yaml", "resources:\n", &old)]);

    let steps = plan(&after, &before, None);

    assert_eq!(steps.len(), 2, "the new cluster goes last");
    assert_eq!(steps[1].bytes, before.files()["clusters.yaml"].bytes);
}

/// A volume as Kubernetes mounts it: the files are links through `..data`, which is swapped.
#[tokio::test]
async fn in_a_volume_of_kubernetes_everything_is_looked_at_and_nothing_renamed() {
    let bench = Bench::new();
    let dir = bench.place().dir;
    fs::create_dir(dir.join("..v1")).unwrap();
    symlink("..v1", dir.join("..data")).unwrap();
    for name in ["routes.yaml", "clusters.yaml"] {
        fs::rename(dir.join(name), dir.join("..v1").join(name)).unwrap();
        symlink(format!("..data/{name}"), dir.join(name)).unwrap();
    }

    assert!(bench.live().faults().is_empty(), "it reads through links");
    assert!(!lines(&bench, &[("routes.yaml", "cluster: anthropic", "cluster: x")]).is_empty());
    let after = edited(&bench, &[("routes.yaml", "timeout: 0s #", "timeout: 1s #")]);
    assert_eq!(diff::files(&bench.live(), &after), ["routes.yaml"]);
    let error = apply::prepare(&bench.place(), &Candidate::new()).await.unwrap_err().to_string();
    assert!(error.contains("ConfigMap") && error.contains("link"), "{error}");
}

#[test]
fn an_edit_whose_process_was_killed_is_taken_back() {
    let bench = Bench::new();
    let dir = bench.place().dir;
    let (routes, kept) = (bench.text("routes.yaml"), dir.join(".tollgate-apply"));
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("0.old"), &routes).unwrap();
    fs::write(dir.join("routes.yaml"), "resources: []\n").unwrap();
    fs::write(dir.join("secrets/new.yaml"), "resources: []\n").unwrap();

    assert!(
        apply::recover(&bench.place()).unwrap().is_empty(),
        "without a list nothing was touched"
    );
    let list = r#"[{"name":"routes.yaml","copy":"0.old","mode":420},{"name":"secrets/new.yaml","copy":null,"mode":384}]"#;
    fs::write(kept.join("files.json"), list).unwrap();
    let back = apply::recover(&bench.place()).unwrap();

    assert_eq!(back, ["routes.yaml", "secrets/new.yaml"]);
    assert_eq!(bench.text("routes.yaml"), routes);
    assert!(!kept.exists() && !dir.join("secrets/new.yaml").exists());
}
