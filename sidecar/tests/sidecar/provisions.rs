//! A directory says who there is (SCIM 2.0): in the shapes that Entra ID and Okta send by their public
//! documentation (learn.microsoft.com "Develop a SCIM endpoint", developer.okta.com "SCIM 2.0 protocol").

use crate::world::{Answer, Fallible, World, ask};
use contract::audit::Acted;
use serde_json::{Value, json};
use tollgate::acts::Act;
use tollgate::clock;
use tollgate::operators::operator::Operator;
use tollgate::scim::token;
use tollgate::store::directory::ScimToken;

mod bounds;

struct Directory {
    world: World,
    bearer: String,
}

impl Directory {
    async fn start() -> Fallible<Self> {
        let world = World::start().await?;
        let bearer = issue(&world, "acme", 600).await?;
        Ok(Self { world, bearer })
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Fallible<Answer> {
        self.send_with(method, path, body, &[]).await
    }

    async fn send_with(
        &self,
        method: &str,
        path: &str,
        body: Value,
        more: &[(&str, &str)],
    ) -> Fallible<Answer> {
        let bearer = format!("Bearer {}", self.bearer);
        let mut headers =
            vec![("authorization", &*bearer), ("content-type", "application/scim+json")];
        headers.extend(more);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/scim/v2{path}");
        ask(self.world.at.public, method, &path, &headers, &text).await
    }

    async fn add(&self, name: &str) -> Fallible<String> {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "active": true,
        });
        let answer = self.send("POST", "/Users", body).await?;
        assert_eq!(answer.status, 201, "{}", answer.body);
        Ok(answer.json()?.get("id").and_then(Value::as_str).ok_or("no id")?.to_owned())
    }

    async fn patch(&self, id: &str, operations: Value) -> Fallible<Answer> {
        let schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
        let body = json!({ "schemas": [schema], "Operations": operations });
        self.send("PATCH", id, body).await
    }

    async fn groups_of(&self, user: &str) -> Fallible<Vec<String>> {
        Ok(self.world.store.user(user).await?.ok_or("nobody")?.groups)
    }
}

async fn issue(world: &World, tenant: &str, lifetime: u64) -> Fallible<String> {
    let (secret, id) = token::generate()?;
    let now = clock::now();
    let kept = ScimToken {
        id,
        tenant_id: tenant.into(),
        created_at: now,
        expires_at: now + lifetime,
        ..ScimToken::default()
    };
    world
        .store
        .add_scim_token(&kept, &token::hash(&secret), &Act::new(&Operator::owner(), "test")?)
        .await?;
    Ok(secret)
}

fn acted(answer: &Answer) -> Fallible<Acted> {
    Ok(serde_json::from_str(answer.header("x-tollgate-caller"))?)
}

/// What Entra ID sends to make somebody.
fn entra() -> Value {
    json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        ],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Bob@Example.com",
        "active": true,
        "displayName": "Bob Lee",
        "emails": [{ "primary": true, "type": "work", "value": "Bob.Lee@example.com" }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Bob Lee", "familyName": "Lee", "givenName": "Bob" },
        "phoneNumbers": [{ "type": "mobile", "value": "+41 1" }],
        "roles": [],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "department": "Research", "costCenter": "CC7", "manager": { "value": "x" },
        },
    })
}

#[tokio::test]
async fn somebody_is_made_found_changed_and_deleted_as_entra_does_it() -> Fallible {
    let directory = Directory::start().await?;
    let query = "/Users?filter=userName%20eq%20%22bob@example.com%22";
    let none = directory.send("GET", query, Value::Null).await?;
    assert_eq!((none.status, &none.json()?["totalResults"]), (200, &json!(0)));

    let made = directory.send("POST", "/Users", entra()).await?;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("content-type"), "application/scim+json");
    let told = made.json()?;
    let id = told["id"].as_str().ok_or("no id")?;
    let path = format!("/Users/{id}");
    assert!(made.header("location").ends_with(&format!("/scim/v2{path}")));
    assert_eq!((made.header("etag"), &told["meta"]["version"]), ("W/\"1\"", &json!("W/\"1\"")));
    assert_eq!(
        (&told["userName"], &told["phoneNumbers"]),
        (&json!("Bob@Example.com"), &Value::Null)
    );
    let bob = directory.world.store.user("bob.lee@example.com").await?.ok_or("nobody")?;
    assert_eq!((bob.tenant_id.as_str(), bob.name.as_deref()), ("acme", Some("Bob Lee")));
    assert_eq!(
        (bob.department.as_deref(), bob.cost_centre.as_deref()),
        (Some("Research"), Some("CC7"))
    );
    let found = directory.send("GET", query, Value::Null).await?.json()?;
    assert_eq!((&found["totalResults"], &found["Resources"][0]["id"]), (&json!(1), &json!(id)));

    let changed = directory
        .patch(&path, json!([
            { "op": "Replace", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Sales" },
            { "op": "Add", "path": "name.givenName", "value": "Robert" },
            { "op": "Replace", "path": "active", "value": "False" },
        ]))
        .await?;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!((&changed.json()?["active"], changed.header("etag")), (&json!(false), "W/\"2\""));
    let bob = directory.world.store.user("bob.lee@example.com").await?.ok_or("nobody")?;
    assert_eq!((bob.department.as_deref(), bob.disabled_at.is_some()), (Some("Sales"), true));

    let gone = directory.send("DELETE", &path, Value::Null).await?;
    assert_eq!((gone.status, &*gone.body), (204, ""));
    let missing = directory.send("GET", &path, Value::Null).await?;
    assert_eq!((missing.status, &missing.json()?["status"]), (404, &json!("404")));
    assert_eq!(missing.json()?["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
    Ok(())
}

#[tokio::test]
async fn who_leaves_is_out_at_once_and_who_comes_back_is_in_as_okta_does_it() -> Fallible {
    let directory = Directory::start().await?;
    let (pat, _) = directory.world.pat(600).await?; // Ann was here before
    let id = directory.add("ann@example.com").await?;
    let path = format!("/Users/{id}");
    assert_eq!(directory.world.sign_in(&pat).await?.status, 200);

    let operations = json!([{ "op": "replace", "value": { "active": false } }]);
    assert_eq!(directory.patch(&path, operations).await?.status, 200);

    let standing = directory.world.store.standing().await?;
    assert_eq!(standing.entries[0].id, "ann@example.com", "gates are told in the same transaction");
    assert_eq!(directory.world.sign_in(&pat).await?.status, 401);
    let mut whole = directory.send("GET", &path, Value::Null).await?.json()?;
    whole["active"] = json!(true);
    let back = directory.send("PUT", &path, whole).await?;
    assert_eq!(back.status, 200, "{}", back.body);
    assert!(directory.world.store.standing().await?.entries.is_empty());
    assert_eq!(directory.world.sign_in(&pat).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn groups_and_their_members_are_what_tokens_say() -> Fallible {
    let directory = Directory::start().await?;
    let ann = directory.add("ann@example.com").await?;
    let bob = directory.add("bob@example.com").await?;
    let made = directory
        .send("POST", "/Groups", json!({ "displayName": "Engineering", "externalId": "g1", "members": [{ "value": ann }] }))
        .await?;
    assert_eq!(made.status, 201, "{}", made.body);
    let path = format!("/Groups/{}", made.json()?["id"].as_str().ok_or("no id")?);
    assert_eq!(directory.groups_of("ann@example.com").await?, ["Engineering"]);

    // Entra: add with a list, remove with a list; Okta: remove by a filter in the path.
    let add = json!([{ "op": "Add", "path": "members", "value": [{ "value": bob }] }]);
    assert_eq!(directory.patch(&path, add).await?.status, 204);
    assert_eq!(directory.groups_of("bob@example.com").await?, ["Engineering"]);
    let remove = json!([{ "op": "Remove", "path": "members", "value": [{ "value": bob }] }]);
    assert_eq!(directory.patch(&path, remove).await?.status, 204);
    assert!(directory.groups_of("bob@example.com").await?.is_empty());
    let path_filter = format!("members[value eq \"{ann}\"]");
    let remove = json!([{ "op": "remove", "path": path_filter }]);
    assert_eq!(directory.patch(&path, remove).await?.status, 204);
    assert!(directory.groups_of("ann@example.com").await?.is_empty());
    let all = json!([{ "op": "replace", "path": "members", "value": [{ "value": ann }, { "value": bob }] }]);
    assert_eq!(directory.patch(&path, all).await?.status, 204);
    let name = json!([{ "op": "replace", "value": { "id": "x", "displayName": "Research" } }]);
    assert_eq!(directory.patch(&path, name).await?.status, 204);
    assert_eq!(directory.groups_of("bob@example.com").await?, ["Research"]);

    let shown = directory.send("GET", &path, Value::Null).await?.json()?;
    assert_eq!(shown["members"].as_array().map(Vec::len), Some(2));
    let bare =
        directory.send("GET", &format!("{path}?excludedAttributes=members"), Value::Null).await?;
    assert_eq!(bare.json()?["members"], Value::Null);
    let query = format!(
        "/Groups?filter=displayName%20eq%20%22research%22%20and%20members%20eq%20%22{ann}%22"
    );
    assert_eq!(directory.send("GET", &query, Value::Null).await?.json()?["totalResults"], 1);
    let stranger = json!([{ "op": "add", "path": "members", "value": [{ "value": "nobody" }] }]);
    let refused = directory.patch(&path, stranger).await?;
    assert_eq!((refused.status, &refused.json()?["scimType"]), (400, &json!("invalidValue")));
    let many: Vec<Value> = (0..1_001).map(|nth| json!({ "value": nth.to_string() })).collect();
    let many = json!([{ "op": "add", "path": "members", "value": many }]);
    assert_eq!(directory.patch(&path, many).await?.status, 413);
    assert_eq!(directory.send("DELETE", &path, Value::Null).await?.status, 204);
    assert!(directory.groups_of("bob@example.com").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn each_request_that_is_not_done_says_why_in_scim_s_words() -> Fallible {
    let directory = Directory::start().await?;
    let id = directory.add("ann@example.com").await?;
    directory.add("bob@example.com").await?;
    let path = format!("/Users/{id}");
    let steps = |operations: Value| json!({ "Operations": operations });
    for (method, place, body, status, kind) in [
        ("POST", "/Users", json!({ "userName": "ann@example.com" }), 409, json!("uniqueness")),
        ("POST", "/Users", json!({}), 400, json!("invalidValue")),
        ("POST", "/Users", json!({ "userName": "no address" }), 400, json!("invalidValue")),
        (
            "POST",
            "/Users",
            json!({ "userName": "c@example.com", "active": "perhaps" }),
            400,
            json!("invalidValue"),
        ),
        ("POST", "/Users", json!([]), 400, json!("invalidSyntax")),
        ("PUT", &*path, json!({ "userName": "bob@example.com" }), 409, json!("uniqueness")),
        ("PUT", "/Users/nobody", json!({ "userName": "x@example.com" }), 404, Value::Null),
        ("PATCH", &*path, steps(json!([{ "op": "jump" }])), 400, json!("invalidSyntax")),
        (
            "PATCH",
            &*path,
            steps(json!([{ "op": "add", "path": "a[", "value": 1 }])),
            400,
            json!("invalidPath"),
        ),
        ("PATCH", &*path, steps(json!([{ "op": "remove" }])), 400, json!("noTarget")),
        ("PATCH", "/Users/nobody", steps(json!([])), 404, Value::Null),
        ("DELETE", "/Users/nobody", Value::Null, 404, Value::Null),
        ("GET", "/Users?filter=userName%20co%20%22a%22", Value::Null, 400, json!("invalidFilter")),
        ("GET", "/Users?filter=password%20eq%20%22a%22", Value::Null, 400, json!("invalidFilter")),
        ("GET", "/Groups/nobody", Value::Null, 404, Value::Null),
        ("POST", "/Groups", json!({ "members": [] }), 400, json!("invalidValue")),
        ("PATCH", "/Groups/nobody", steps(json!([])), 404, Value::Null),
    ] {
        let answer = directory.send(method, place, body).await?;
        assert_eq!(answer.status, status, "{method} {place} {}", answer.body);
        assert_eq!(
            answer.json()?.get("scimType").cloned().unwrap_or_default(),
            kind,
            "{method} {place}"
        );
        assert!(acted(&answer)?.rule_id.is_some_and(|rule| rule.starts_with("scim_")), "{place}");
    }
    let large = json!({ "userName": "x".repeat(1_100_000) });
    assert_eq!(directory.send("POST", "/Users", large).await?.status, 413);
    Ok(())
}

#[tokio::test]
async fn a_version_that_has_changed_is_said_to_have() -> Fallible {
    let directory = Directory::start().await?;
    let path = format!("/Users/{}", directory.add("ann@example.com").await?);
    let with = async |method: &str, name: &str, value: &str, body: Value| {
        directory.send_with(method, &path, body, &[(name, value)]).await
    };
    let body = json!({ "userName": "ann@example.com" });

    assert_eq!(with("GET", "if-none-match", "W/\"1\"", Value::Null).await?.status, 304);
    assert_eq!(with("GET", "if-none-match", "W/\"9\"", Value::Null).await?.status, 200);
    assert_eq!(with("PUT", "if-match", "W/\"9\"", body.clone()).await?.status, 412);
    assert_eq!(with("PUT", "if-match", "W/\"1\"", body).await?.status, 200);
    let off = json!({ "Operations": [{ "op": "replace", "value": { "active": false } }] });
    assert_eq!(with("PATCH", "if-match", "W/\"1\"", off.clone()).await?.status, 412);
    assert_eq!(with("DELETE", "if-match", "W/\"1\"", Value::Null).await?.status, 412);
    assert_eq!(with("PATCH", "if-match", "*", off).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn only_a_token_that_is_good_may_and_only_in_its_tenant() -> Fallible {
    let mut directory = Directory::start().await?;
    let id = directory.add("ann@example.com").await?;
    let path = format!("/Users/{id}");
    let (expired, other) =
        (issue(&directory.world, "acme", 0).await?, issue(&directory.world, "globex", 600).await?);
    let good = std::mem::replace(&mut directory.bearer, "tgd_000000000000_x".into());
    let unknown = directory.send("GET", "/Users", Value::Null).await?;
    assert_eq!((unknown.status, unknown.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(unknown.header("x-tollgate-refusal"), "scim_unknown");
    assert_eq!(unknown.json()?["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
    directory.bearer = expired;
    assert_eq!(
        directory.send("GET", &path, Value::Null).await?.header("x-tollgate-refusal"),
        "scim_expired"
    );
    let missing = ask(directory.world.at.public, "GET", "/scim/v2/Users", &[], "").await?;
    assert_eq!((missing.status, missing.header("x-tollgate-refusal")), (401, "scim_missing"));

    directory.bearer = other;
    assert_eq!(directory.send("GET", &path, Value::Null).await?.status, 404);
    assert_eq!(directory.send("DELETE", &path, Value::Null).await?.status, 404);
    assert_eq!(directory.send("GET", "/Users", Value::Null).await?.json()?["totalResults"], 0);
    let taken = directory.send("POST", "/Users", json!({ "userName": "ann@example.com" })).await?;
    assert_eq!(taken.status, 409);

    directory.bearer = good;
    let ok = directory.send("GET", &path, Value::Null).await?;
    let acted = acted(&ok)?;
    let id = acted.credential_id.ok_or("no credential")?;
    assert_eq!(
        (ok.status, acted.tenant_id.as_str(), acted.user_id),
        (200, "acme", format!("scim:{id}"))
    );
    assert!(
        directory
            .world
            .store
            .revoke_scim_token(&id, 1, &Act::new(&Operator::owner(), "test")?)
            .await?
    );
    assert_eq!(
        directory.send("GET", &path, Value::Null).await?.header("x-tollgate-refusal"),
        "scim_revoked"
    );
    Ok(())
}

#[tokio::test]
async fn what_there_is_can_be_asked_for_and_lists_come_in_pages() -> Fallible {
    let directory = Directory::start().await?;
    for name in ["a", "b", "c"] {
        directory.add(&format!("{name}@example.com")).await?;
    }
    let get = async |path: &str| directory.send("GET", path, Value::Null).await?.json();

    let config = get("/ServiceProviderConfig").await?;
    assert_eq!(
        (&config["patch"]["supported"], &config["bulk"]["supported"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(get("/ResourceTypes").await?["totalResults"], 2);
    assert_eq!(get("/ResourceTypes/User").await?["endpoint"], "/Users");
    assert_eq!(get("/Schemas").await?["totalResults"], 3);
    assert_eq!(get("/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group").await?["name"], "Group");
    let page = get("/Users?startIndex=2&count=1").await?;
    assert_eq!(
        (&page["totalResults"], &page["startIndex"], &page["itemsPerPage"]),
        (&json!(3), &json!(2), &json!(1))
    );
    let mut names = Vec::new();
    for start in 1..=3 {
        let page = get(&format!("/Users?startIndex={start}&count=1")).await?;
        names.push(page["Resources"][0]["userName"].as_str().unwrap_or_default().to_owned());
    }
    names.sort();
    assert_eq!(names, ["a@example.com", "b@example.com", "c@example.com"], "each on one page");
    assert_eq!(get("/Users?startIndex=-5&count=-1").await?["itemsPerPage"], 0);
    Ok(())
}
