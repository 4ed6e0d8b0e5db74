//! The real helper, as a client starts it: from a personal access token to a call.

use e2e::identity::laptop::{Laptop, line};
use e2e::provider::script::Script;
use e2e::suite::alone;
use e2e::world::setup::Setup;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

#[test]
fn a_personal_access_token_becomes_calls_by_the_helper_alone() {
    alone(Setup::named("signs-in"), async |world| {
        let laptop = Laptop::new(world, "laptop");
        let before = laptop.run(&[], "").unwrap();
        assert_eq!(
            (before.status.code(), before.stdout.len()),
            (Some(5), 0),
            "nothing is kept yet"
        );

        let kept = laptop.login_with_pat(&world.pat).unwrap();
        assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
        let printed = line(&laptop.run(&[], "").unwrap());

        let headers = printed["headers"].as_object().unwrap();
        assert_eq!(headers.len(), 7, "{printed}");
        assert!(printed["ttl"].as_u64().is_some_and(|ttl| ttl > 3000 && ttl <= 3600), "{printed}");
        let token = printed["token"].as_str().unwrap();
        let mut call = world.anonymous(&Script::new()).bearer(token).streamed();
        for (name, value) in headers {
            call = call.header(name, value.as_str().unwrap());
        }
        let answer = call.send(world).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let row = world.row_from(answer.source).await;
        assert_eq!(row.text("user_id"), "ann@example.com");
        assert!(row.text("credential_id").starts_with("pat_"), "{row:#?}");

        for entry in fs::read_dir(laptop.file("")).unwrap().flatten() {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{:?} is open to others: {mode:o}", entry.path());
        }

        world.stop_envoy().unwrap();
        let begun = Instant::now();
        let cached = line(&laptop.run(&[], "").unwrap());
        eprintln!("from the cache in {:?}", begun.elapsed());
        assert_eq!(cached["token"], printed["token"], "inside its life no network is needed");
    });
}

#[test]
fn a_wrong_token_is_not_kept_and_standard_output_stays_empty() {
    alone(Setup::named("signs-in-wrong"), async |world| {
        let laptop = Laptop::new(world, "laptop");
        let wrong = format!("{}x", &world.pat[..world.pat.len() - 1]);

        let refused = laptop.login_with_pat(&wrong).unwrap();

        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(5), 0));
        assert!(
            !String::from_utf8_lossy(&refused.stderr).contains(&wrong),
            "a secret is not echoed"
        );
        assert_eq!(laptop.run(&[], "").unwrap().status.code(), Some(5));
        world.stop_envoy().unwrap();
        assert_eq!(
            laptop.login_with_pat(&world.pat).unwrap().status.code(),
            Some(3),
            "unreachable is another thing"
        );
    });
}
