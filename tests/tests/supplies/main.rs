//! What stands on laptops comes from the security team's key and from nowhere else: one publication moves three
//! populations, one revocation is gone from all of them, and a gateway in wrong hands lands no file.

mod attacks;

use e2e::fleet::{Catalogue, Folder, Machine, told};
use e2e::suite::alone;
use e2e::world::World;
use e2e::world::setup::Setup;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A department, and what its people have in two publications.
const POPULATIONS: [(&str, &[&str], &[&str]); 3] = [
    ("finance", &["ledger", "shared"], &["ledger", "shared", "tax"]),
    ("platform", &["deploy", "shared"], &["deploy", "shared"]),
    ("security", &["shared"], &["deploy", "shared", "triage"]),
];

/// When a publication is in force on every sidecar.
const SETTLES: Duration = Duration::from_millis(700);

fn catalogue(second: bool) -> Catalogue {
    let mut catalogue = Catalogue::new();
    for name in ["deploy", "ledger", "shared", "tax", "triage"] {
        let text = format!("---\nname: {name}\ndescription: {name}\n---\nDo {name}.\n");
        let edition = if second && name == "deploy" { "2" } else { "1" };
        let files: [(&str, &[u8]); 2] = [
            (&format!("skills/{name}/SKILL.md"), text.as_bytes()),
            ("NOTES.md", edition.as_bytes()),
        ];
        catalogue = catalogue.plugin(name, &files);
    }
    for (name, first, then) in POPULATIONS {
        catalogue = catalogue.audience(name, Some(name), if second { then } else { first });
    }

    catalogue
}

/// Somebody of a department: their personal access token.
pub fn person(world: &World, department: &str) -> String {
    let email = format!("somebody@{department}.example.com");
    let add = ["user", "add", &email, "--tenant", "acme", "--department", department];
    world.tollgate(&add).unwrap();

    world.tollgate(&["pat", "issue", &email]).unwrap().trim().to_owned()
}

fn synced(machine: &Machine) {
    let (fetched, applied) = machine.sync().unwrap();
    assert!(fetched.status.success(), "{}", told(&fetched));
    assert!(applied.status.success(), "{}", told(&applied));
}

#[test]
fn one_publication_moves_three_populations_and_one_revocation_is_gone_from_all() {
    alone(Setup::named("supplies"), async |world| {
        let folder = Folder::new(&world.place.join("catalogue")).unwrap();
        folder.publish(world, &catalogue(false), 1).unwrap();
        let machines: Vec<Machine> = POPULATIONS
            .iter()
            .map(|(name, ..)| {
                let pat = person(world, name);
                Machine::install(world, name, &[]).unwrap().person(&pat).unwrap()
            })
            .collect();
        sleep(SETTLES).await;
        for (machine, (name, first, _)) in machines.iter().zip(POPULATIONS) {
            synced(machine);
            assert_eq!(machine.names(), first, "{name}");
        }

        let begun = Instant::now();
        folder.publish(world, &catalogue(true), 2).unwrap();
        sleep(SETTLES).await;
        for (machine, (name, _, then)) in machines.iter().zip(POPULATIONS) {
            synced(machine);
            assert_eq!(machine.names(), then, "{name}");
            assert_eq!(machine.last().unwrap()["standing"]["version"], 2);
        }
        eprintln!("published, and on three laptops: {:?}", begun.elapsed());

        let begun = Instant::now();
        let revoke =
            ["manifest", "revoke", "--kind", "plugin", "--id", "shared", "--reason", "leaks"];
        world.tollgate(&revoke).unwrap();
        sleep(SETTLES).await;
        for (machine, (_, _, then)) in machines.iter().zip(POPULATIONS) {
            synced(machine);
            let left: Vec<&str> = then.iter().copied().filter(|name| *name != "shared").collect();
            assert_eq!(machine.names(), left);
        }
        eprintln!("revoked, and gone from three laptops: {:?}", begun.elapsed());
        // What stands on a laptop is told with its next run.
        for machine in &machines {
            synced(machine);
        }
        let told = ["fleet", "progress", "--revocation", "plugin/shared", "--json"];
        let progress: Value = serde_json::from_str(&world.tollgate(&told).unwrap()).unwrap();
        eprintln!("{progress}");
        let rows = world.rows().await;
        let rows: Vec<_> = rows.iter().filter(|row| row.text("kind") == "manifest").collect();
        for (name, ..) in POPULATIONS {
            let user = format!("somebody@{name}.example.com");
            let mine = rows.iter().filter(|row| row.text("user_id") == user).count();
            assert_eq!(mine, 3, "one for each document that {user} was given, none for the others");
        }
    });
}
