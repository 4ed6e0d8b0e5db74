//! Who leaves the company is out by one act in the directory: SCIM through the real Envoy.

use e2e::client::Call;
use e2e::person::{Person, SECONDS, call};
use e2e::provider::script::Script;
use e2e::suite::Suite;
use e2e::world::World;
use e2e::world::setup::Setup;
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

static SUITE: Suite = Suite::new(|| Setup::named("leavers"));

fn directory(world: &World, tenant: &str) -> String {
    let issued = world.tollgate(&["scim", "token", "issue", "--tenant", tenant, "--json"]).unwrap();
    let issued: Value = serde_json::from_str(&issued).unwrap();

    issued["token"].as_str().unwrap().to_owned()
}

fn asks(world: &World, token: &str, method: Method, path: &str, body: &Value) -> Call {
    let call = world.anonymous(&Script::new()).bearer(token).method(method).path(path).json(body);

    call.without("content-type").header("content-type", "application/scim+json")
}

fn active(on: bool) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "Replace", "path": "active", "value": on}],
    })
}

async fn until(world: &World, token: &str, status: u16) {
    let begun = Instant::now();
    while call(world, token).await.status != status {
        assert!(begun.elapsed() < SECONDS, "no {status} after {:?}", begun.elapsed());
        sleep(Duration::from_millis(10)).await;
    }
    eprintln!("{status} after {:?}", begun.elapsed());
}

#[test]
fn who_is_deactivated_in_the_directory_is_out_within_seconds_and_back_when_they_are() {
    SUITE.run(async |world| {
        let token = directory(world, "acme");
        let carl = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "carl@example.com",
            "externalId": "e-1", "displayName": "Carl", "active": true,
            "emails": [{"value": "carl@example.com", "primary": true, "type": "work"}],
        });
        let made = asks(world, &token, Method::POST, "/scim/v2/Users", &carl).send(world).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let path = format!("/scim/v2/Users/{id}");
        let pat = world.tollgate(&["pat", "issue", "carl@example.com", "--json"]).unwrap();
        let pat: Value = serde_json::from_str(&pat).unwrap();
        let text = |name: &str| pat[name].as_str().unwrap().to_owned();
        let person = Person { email: "carl@example.com".into(), pat: text("token"), pat_id: text("id") };
        let held = person.token(world).await;
        assert_eq!(call(world, &held).await.status, 200);

        let out = asks(world, &token, Method::PATCH, &path, &active(false)).send(world).await;

        assert!(matches!(out.status, 200 | 204), "{}", out.text());
        until(world, &held, 401).await;
        assert_eq!(person.sign_in(world).await.status, 401, "and nothing new is had");
        let back = asks(world, &token, Method::PATCH, &path, &active(true)).send(world).await;
        assert!(matches!(back.status, 200 | 204), "{}", back.text());
        until(world, &held, 200).await;
        let gone = asks(world, &token, Method::DELETE, &path, &json!({})).send(world).await;
        assert_eq!(gone.status, 204, "{}", gone.text());
        until(world, &held, 401).await;

        let rows = world.rows().await;
        let acts: Vec<_> = rows.iter().filter(|row| row.text("kind") == "admin").collect();
        let of_directory = acts.iter().filter(|row| row.text("user_id").starts_with("scim:"));
        assert!(of_directory.count() >= 4, "{acts:#?}");
        assert!(!format!("{rows:?}").contains(&token), "its token is in no row");
    });
}

#[test]
fn a_directory_sees_and_touches_its_own_tenant_alone_and_nobody_comes_in_without_its_token() {
    SUITE.run(async |world| {
        let other = directory(world, "other");
        let filter = "/scim/v2/Users?filter=userName%20eq%20%22ann%40example.com%22";

        let list = asks(world, &other, Method::GET, filter, &json!({})).send(world).await;
        let nobody = world.get("/scim/v2/Users").send(world).await;
        let wrong = world.get("/scim/v2/Users").bearer("tgd_000000000000_x").send(world).await;
        let ann = world.get("/scim/v2/Users").bearer(&world.token()).send(world).await;

        assert_eq!(
            (list.status, &list.json()["totalResults"]),
            (200, &json!(0)),
            "{}",
            list.text()
        );
        assert_eq!((nobody.status, wrong.status, ann.status), (401, 401, 401));
    });
}
