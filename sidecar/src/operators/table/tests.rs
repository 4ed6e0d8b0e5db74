use super::*;
use crate::args::Args;
use crate::operators::operator::How;
use clap::CommandFactory;

fn leaves(tree: &Command, before: &str, found: &mut Vec<String>) {
    for command in tree.get_subcommands() {
        let act = format!("{before}{}", command.get_name());
        if command.has_subcommands() {
            leaves(command, &format!("{act} "), found);
        } else {
            found.push(act);
        }
    }
}

fn somebody(role: Role, tenants: Option<&[&str]>) -> Operator {
    let tenants = tenants.map(|all| all.iter().map(|one| (*one).to_owned()).collect());

    Operator::new("bob", vec![role], tenants, How::Socket(1))
}

#[test]
fn every_command_has_one_line_and_every_line_a_command() {
    let mut commands = Vec::new();
    leaves(&Args::command(), "", &mut commands);
    let mut lines: Vec<&str> = TABLE.iter().map(|line| line.act).collect();
    commands.sort();
    lines.sort_unstable();

    assert_eq!(lines, commands, "left: the table; right: the command line");
}

fn columns(line: &str) -> usize {
    line.matches('|').count().saturating_sub(1)
}

#[test]
fn the_document_shows_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operators.md");
    let document = std::fs::read_to_string(path).unwrap();
    let shown: Vec<&str> =
        document.lines().filter(|line| line.starts_with("| `") && columns(line) == 8).collect();
    let mut table = Vec::new();
    for line in TABLE {
        let cells = line.cells.map(Cell::as_str).join(" | ");
        table.push(format!("| `{}` | {} | {cells} |", line.act, line.reach.as_str()));
    }

    assert_eq!(shown.join("\n"), table.join("\n"));
}

#[test]
fn platform_tightens_and_undoes_only_its_own() {
    let may: Vec<&str> = TABLE
        .iter()
        .filter(|line| line.cell(&[Role::Platform]) == Cell::Own)
        .map(|line| line.act)
        .collect();
    assert_eq!(may, ["access restore"]);
    for loosens in ["user enable", "pat issue", "policy publish", "policy rollback", "keys rotate"]
    {
        assert!(admit(loosens, &somebody(Role::Platform, None)).is_err(), "{loosens}");
    }
    for tightens in ["access revoke", "access pause", "access throttle", "pat revoke"] {
        assert!(admit(tightens, &somebody(Role::Platform, None)).is_ok(), "{tightens}");
    }
}

#[test]
fn only_soc_sees_what_was_said_and_only_security_lifts_what_others_laid() {
    for role in Role::ALL {
        for act in ["audit query", "audit tail", "audit export", "audit find"] {
            let sees = admit(act, &somebody(role, None)).is_ok_and(|bob| bob.sees_content());
            assert_eq!(sees, role == Role::Soc, "{role:?} {act}");
        }
        let lifts = admit("policy patterns", &somebody(role, None)).unwrap().lifts_all();
        assert_eq!(lifts, role == Role::Security, "{role:?}");
    }
}

#[test]
fn what_concerns_all_takes_somebody_who_operates_all() {
    let scoped = somebody(Role::Security, Some(&["acme"]));
    for line in TABLE {
        let admitted = admit(line.act, &scoped).is_ok();
        let may = line.cell(&[Role::Security]) != Cell::No;
        let expected = may && !matches!(line.reach, All | Host);
        assert_eq!(admitted, expected, "{}", line.act);
    }
}

#[test]
fn nobody_from_elsewhere_does_what_is_for_the_host() {
    let mighty = Operator::owner_at_socket(0);
    for act in ["serve", "keys init", "policy sign", "access drill", "no such act"] {
        assert!(matches!(admit(act, &mighty), Err(Failure::Denied(_))), "{act}");
    }
}

#[test]
fn a_request_names_no_file_and_no_place_of_the_server_s() {
    let checked = |line: &str| {
        let tree = Args::command();
        let matches = tree.clone().try_get_matches_from(line.split(' ')).unwrap();
        names_no_file(&tree, &matches).is_ok()
    };
    for good in [
        "tollgate policy check -",
        "tollgate policy publish - --why x",
        "tollgate user list --json",
        "tollgate policy explain --model m",
        "tollgate mdm export --format plist --policy in-force -",
        "tollgate envoy apply --ticket OPS-1 --over-drift",
    ] {
        assert!(checked(good), "{good}");
    }
    for bad in [
        "tollgate policy check /etc/passwd",
        "tollgate policy check - /etc/passwd",
        "tollgate policy check in-force",
        "tollgate mdm export --format plist --policy /etc/passwd -",
        "tollgate mdm export --format plist --out /tmp/x -",
        "tollgate mdm diff a b",
        "tollgate mdm egress --test --authorities /etc/passwd -",
        "tollgate policy test - --cases /etc/passwd",
        "tollgate policy explain /etc/passwd --model m",
        "tollgate audit verify --key /etc/passwd",
        "tollgate audit verify --checkpoints -",
        "tollgate envoy check --from /tmp",
        "tollgate envoy apply --file routes.yaml=/etc/passwd",
        "tollgate envoy status --envoy-dir /tmp",
        "tollgate envoy status --envoy-admin 127.0.0.1:22",
        "tollgate envoy check --envoy-bin /bin/sh",
        "tollgate --data /tmp user list",
        "tollgate user list --data /tmp",
        "tollgate user list --database postgres://x@y/z",
        "tollgate --server https://x user list",
    ] {
        assert!(!checked(bad), "{bad}");
    }
}
