use super::*;
use crate::manifest::archive;
use crate::manifest::diff::{Side, diff};
use crate::manifest::publication::{Contents, Publication};
use crate::manifest::signing;
use contract::manifest::Kind;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

mod faults;

const AT: u64 = 1_790_000_000;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../catalogue")
}

/// A copy of the sample, its files made in another order and mode, and older.
fn copied(to: &Path, reversed: bool) {
    fs::create_dir_all(to).unwrap();
    let mut entries = vec![sample()];
    let mut all = Vec::new();
    while let Some(folder) = entries.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { entries.push(path) } else { all.push(path) }
        }
    }
    all.sort();
    if reversed {
        all.reverse();
    }
    for path in all {
        let target = to.join(path.strip_prefix(sample()).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&path, &target).unwrap();
        if reversed {
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
            let file = fs::File::options().append(true).open(&target).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
        }
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        copied(place.path(), false);
        Self(place)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("catalogue.yaml")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let path = self.0.path().join(path);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn faults(&self) -> Vec<Found> {
        match file(&self.file(), None) {
            Err(SourceError::Faults { found, .. }) => found,
            other => panic!("{other:?}"),
        }
    }
}

/// The one fault that a change of the sample brings.
fn fault(change: impl FnOnce(&Place)) -> String {
    let place = Place::new();
    file(&place.file(), None).unwrap();
    change(&place);
    let faults = place.faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    format!("{}: {}: {}", faults[0].at.line, faults[0].place, faults[0].problem)
}

fn has(told: &str, words: &[&str]) {
    for word in words {
        assert!(told.contains(word), "{word}: {told}");
    }
}

fn bytes(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                all.insert(path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    all
}

#[tokio::test]
async fn the_same_catalogue_makes_the_same_bytes_wherever_and_whenever_it_lies() {
    let place = tempfile::tempdir().unwrap();
    let build = |name: &str, reversed: bool| {
        let from = place.path().join(name);
        copied(&from, reversed);
        let out = place.path().join(format!("{name}.out"));
        let compiled = file(&from.join("catalogue.yaml"), None).unwrap();
        compiled.contents(7, AT).unwrap().write(&out).unwrap();
        out
    };
    let (one, other) = (build("one", false), build("a longer/other", true));

    let files = bytes(&one);
    assert_eq!(files, bytes(&other));
    assert_eq!(files.len(), 1 + 3 + 3 + 4, "index, documents, marketplaces, archives: {files:?}");
    let key = crate::manifest::tests::key(1);
    let contents = Contents::read(&one).unwrap();
    signing::envelopes(&contents, &key, None).await.unwrap().write(&one).unwrap();
    Publication::read(&one, &[key.public()]).unwrap();
}

#[test]
fn an_audience_has_what_those_have_that_it_includes() {
    let compiled = file(&sample().join("catalogue.yaml"), None).unwrap();
    let names = |at: usize| {
        let it: &Document = &compiled.documents[at];
        (
            it.plugins.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
            it.skills.len(),
            it.agents.len(),
            it.managed_mcp_servers.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(),
        )
    };

    assert_eq!(names(0), (vec!["acme-skills", "ledger"], 2, 0, vec!["books", "tickets"]));
    assert_eq!(names(1), (vec!["acme-skills", "deploy-review"], 2, 1, vec!["tickets"]));
    assert_eq!(names(2), (vec!["acme-skills"], 2, 0, vec!["tickets"]));
    assert!(compiled.documents.iter().all(|it| it.revokes(Kind::Plugin, "quick-export")));
    assert!(compiled.warnings.is_empty(), "{:?}", compiled.warnings);
    let url = compiled.documents[2].managed_mcp_servers[0].url.as_deref();
    assert_eq!(url, Some("https://gateway.example.com/mcp/tickets"));
}

#[test]
fn skills_and_agents_land_as_files_with_front_matter() {
    let compiled = file(&sample().join("catalogue.yaml"), None).unwrap();
    let plugin = &compiled.documents[1].plugins[0];
    let files = archive::unpack(&compiled.archives[&plugin.archive.sha256], &plugin.files).unwrap();
    let text = |path: &str| {
        let file = files.iter().find(|it| it.path == path).unwrap();
        String::from_utf8(file.bytes.clone()).unwrap()
    };

    assert_eq!(
        text("agents/desk.md"),
        "---\nname: desk\ndescription: \"Sorts a ticket, looks up what is known, and drafts an answer for a person to send.\"\n\
         model: \"claude-sonnet-5\"\nskills:\n  - triage\n  - plain-answers\ntools: Read, Grep, mcp__tickets\n---\n\n\
         Take one ticket at a time. Sort it, search for others like it, and draft an answer. A person sends it.\n"
    );
    assert!(text("skills/plain-answers/SKILL.md").starts_with("---\nname: plain-answers\n"));
    has(&text(".claude-plugin/plugin.json"), &["acme-skills", "required", &plugin.version]);
    assert_eq!(text("version.json"), format!("{{\"version\":\"{}\"}}\n", plugin.version));
}

#[test]
fn what_runs_and_what_nobody_gets_is_a_warning() {
    let place = Place::new();
    place.write("plugins/ledger/hooks/run.sh", "#!/bin/sh\n");
    let run = place.0.path().join("plugins/ledger/hooks/run.sh");
    fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
    place.edit("catalogue.yaml", "    agents: [desk]\n", "");

    let warnings = file(&place.file(), None).unwrap().warnings;

    let told: Vec<_> = warnings.iter().map(|it| format!("{}: {}", it.place, it.problem)).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    has(&told[0], &["plugins[1].path", "has hooks", "1 files"]);
    has(&told[1], &["1 executable"]);
    has(&told[2], &["agents[0]", "nobody gets it"]);
}

#[test]
fn beside_a_policy_what_the_gate_would_refuse_is_told() {
    let policy = |text: &str| crate::policy::compile::compile(text).unwrap().policy;
    let head = "schema: tollgate.policy/v1\nname: x\nrules:\n";
    let tickets =
        "  - { id: tickets, gateway: { tools: { search: ask, comment: ask, delete: blocked } } }\n";
    let books =
        "  - { id: books, who: { groups: [finance] }, gateway: { tools: { 'read_*': allow } } }\n";
    let good = policy(&format!(
        "{head}  - {{ id: all, models: [claude-sonnet-*] }}\nservers:\n{tickets}{books}"
    ));
    let warnings = file(&sample().join("catalogue.yaml"), Some(&good)).unwrap().warnings;
    assert!(!warnings.is_empty());
    for warning in &warnings {
        assert_eq!(warning.place, "mcp_servers[0].tools.search", "{warning:?}");
        has(&warning.problem, &["is allow here, and ask by the policy"]);
    }

    let other =
        policy(&format!("{head}  - {{ id: all, models: [claude-haiku-*] }}\nservers:\n{books}"));
    let Err(SourceError::Faults { found, .. }) =
        file(&sample().join("catalogue.yaml"), Some(&other))
    else {
        panic!("it is refused");
    };
    let places: Vec<_> = found.iter().map(|it| it.place.as_str()).collect();
    assert_eq!(places, ["agents[0].model", "mcp_servers[0].id"], "{found:?}");
}

#[test]
fn a_diff_tells_what_comes_goes_and_changes_for_whom() {
    let place = Place::new();
    let before = Side::read(&sample()).unwrap();
    assert_eq!(diff(&before, &Side::read(&place.file()).unwrap()), []);
    place.edit(
        "catalogue.yaml",
        "    plugins: [ledger]\n    mcp_servers: [books]\n",
        "    plugins: []\n",
    );
    place.edit("catalogue.yaml", "comment: ask", "comment: allow");
    place.edit("plugins/deploy-review/commands/review.md", "diff", "change");
    place.edit("catalogue.yaml", "[platform, sre]", "[platform]");
    let out = place.0.path().join("out");
    file(&place.file(), None).unwrap().contents(9, AT).unwrap().write(&out).unwrap();

    let told: Vec<_> =
        diff(&before, &Side::read(&out).unwrap()).iter().map(ToString::to_string).collect();

    assert_eq!(
        told,
        [
            "~ everyone: mcp_server tickets: comment ask → allow (loosens)",
            "- finance: plugin ledger (tightens)",
            "- finance: mcp_server books (tightens)",
            "~ finance: mcp_server tickets: comment ask → allow (loosens)",
            "~ platform: audience platform: who (depends)",
            "~ platform: plugin deploy-review: ~commands/review.md (depends)",
            "~ platform: mcp_server tickets: comment ask → allow (loosens)",
        ]
    );
}
