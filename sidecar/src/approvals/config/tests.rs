use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn secret(place: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = place.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

fn told(text: &str) -> String {
    let found = parse(text).unwrap_err();
    let lines = found.iter().map(|it| format!("{}: {}: {}", it.at.line, it.place, it.problem));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_file_names_channels_and_whom_each_is_for() {
    let place = tempfile::tempdir().unwrap();
    let url = secret(&place, "slack", "https://hooks.slack.example/services/T0/B0/hunter2\n");
    let key = secret(&place, "key", "hunter3\n");

    let webhooks = parse(&format!(
        "schema: tollgate.approvals/v1\nwebhooks:\n\
         - {{name: ops, shape: slack, url_file: {url}, for: {{servers: [tickets, 'db-*']}}}}\n\
         - {{name: bus, shape: json, url: 'http://127.0.0.1:9/x', secret_file: {key}, timeout: 3s}}\n"
    ))
    .unwrap();

    let [ops, bus] = webhooks.as_slice() else { panic!("two") };
    assert!(ops.is_for("tickets") && ops.is_for("db-1") && !ops.is_for("mail"));
    assert!(bus.is_for("mail"), "for every server");
    assert_eq!((ops.timeout.as_secs(), bus.timeout.as_secs()), (10, 3));
    assert!(bus.secret.is_some());
    let shown = format!("{webhooks:?}");
    assert!(!shown.contains("hunter") && !shown.contains("hooks.slack"), "{shown}");
    let said =
        "cannot reach https://hooks.slack.example/services/T0/B0/hunter2, /services/T0/B0/hunter2";
    assert!(!ops.address.hide_in(said).contains("hunter2"));
}

#[test]
fn every_fault_is_named_with_its_line_and_no_secret_is_repeated() {
    let place = tempfile::tempdir().unwrap();
    let plain = secret(&place, "plain", "http://hooks.slack.example/hunter2\n");
    let open = secret(&place, "open", "https://x.example/hunter2\n");
    fs::set_permissions(place.path().join("open"), fs::Permissions::from_mode(0o644)).unwrap();

    let faults = told(&format!(
        "schema: tollgate.approvals/v2\nwebhooks:\n\
         - {{name: A, shape: slack, url: 'https://x.example/hunter2'}}\n\
         - {{name: b, shape: teams, url_file: {plain}, secret_file: {plain}}}\n\
         - {{name: b, shape: json}}\n\
         - {{name: c, shape: json, url: 'https://x.example', url_file: {open}, timeout: 2m}}\n\
         - {{name: d, shape: teams, url_file: {open}}}\n"
    ));

    for part in [
        "1: schema: must be tollgate.approvals/v1",
        "3: webhooks[0].name: must be of a-z",
        "3: webhooks[0].url: is a secret of this shape's",
        "4: webhooks[1].url_file: must be https",
        "4: webhooks[1].secret_file: is for the shape json alone",
        "5: webhooks[2].name: is another webhook's too",
        "webhooks[2].url_file: is missing",
        "6: webhooks[3].url_file: stands beside url",
        "6: webhooks[3].timeout: must be from 1s to 60s",
        "7: webhooks[4].url_file: ",
    ] {
        assert!(faults.contains(part), "{part}:\n{faults}");
    }
    assert!(!faults.contains("hunter2"), "{faults}");
    for (text, part) in [
        ("schema: tollgate.approvals/v1\nwebhooks: []\n", "webhooks"),
        (
            "schema: tollgate.approvals/v1\nwebhooks:\n- {name: a, shape: irc, url: 'https://x.example'}\n",
            "shape",
        ),
        (
            "schema: tollgate.approvals/v1\nwebhooks:\n- {name: a, shape: json, url: 'https://x.example', to: x}\n",
            "to",
        ),
    ] {
        assert!(told(text).contains(part), "{}", told(text));
    }
}
