//! What there is, for directories that ask (RFC 7643 §5 to §7).

use super::resource::{ENTERPRISE, GROUP, USER};
use super::users::page;
use super::{Caller, Fault, MOST_LISTED, Reply, serve};
use crate::directory::Directory;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};

pub(super) async fn provider(
    State(directory): State<Directory>,
    asked: HeaderMap,
) -> Response<Body> {
    serve(&directory, &asked, async |_: &Caller| {
        Ok(Reply::ok(json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": { "supported": true },
            "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
            "filter": { "supported": true, "maxResults": MOST_LISTED },
            "changePassword": { "supported": false },
            "sort": { "supported": false },
            "etag": { "supported": true },
            "authenticationSchemes": [{
                "type": "oauthbearertoken", "name": "Bearer token", "primary": true,
                "description": "a token of `tollgate scim token issue`, of one tenant",
            }],
            "meta": { "resourceType": "ServiceProviderConfig", "location": "/scim/v2/ServiceProviderConfig" },
        })))
    })
    .await
}

pub(super) async fn types(State(directory): State<Directory>, asked: HeaderMap) -> Response<Body> {
    serve(&directory, &asked, async |_: &Caller| Ok(Reply::ok(page(&resource_types(), 2, 0)))).await
}

pub(super) async fn one_type(
    State(directory): State<Directory>,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Response<Body> {
    serve(&directory, &asked, async |_: &Caller| of(resource_types(), &id)).await
}

pub(super) async fn all(State(directory): State<Directory>, asked: HeaderMap) -> Response<Body> {
    serve(&directory, &asked, async |_: &Caller| Ok(Reply::ok(page(&schemas(), 3, 0)))).await
}

pub(super) async fn one(
    State(directory): State<Directory>,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Response<Body> {
    serve(&directory, &asked, async |_: &Caller| of(schemas(), &id)).await
}

fn of(all: Vec<Value>, id: &str) -> Result<Reply, Fault> {
    let found = all.into_iter().find(|one| one.get("id").and_then(Value::as_str) == Some(id));

    found.map(Reply::ok).ok_or_else(Fault::missing)
}

fn resource_types() -> Vec<Value> {
    let one = |id: &str, path: &str, schema: &str, extensions: Value| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": id, "name": id, "endpoint": path, "schema": schema,
            "schemaExtensions": extensions,
            "meta": { "resourceType": "ResourceType", "location": format!("/scim/v2/ResourceTypes/{id}") },
        })
    };

    vec![
        one("User", "/Users", USER, json!([{ "schema": ENTERPRISE, "required": false }])),
        one("Group", "/Groups", GROUP, json!([])),
    ]
}

fn schemas() -> Vec<Value> {
    let one = |id: &str, name: &str, attributes: Value| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": id, "name": name, "attributes": attributes,
            "meta": { "resourceType": "Schema", "location": format!("/scim/v2/Schemas/{id}") },
        })
    };
    let mut user_name = attribute("userName", "string");
    let mut display_name = attribute("displayName", "string");
    for name in [&mut user_name, &mut display_name] {
        if let Some(name) = name.as_object_mut() {
            name.insert("required".into(), true.into());
            name.insert("uniqueness".into(), "server".into());
        }
    }

    vec![
        one(
            USER,
            "User",
            json!([
                user_name,
                attribute("displayName", "string"),
                parts("name", false, &["formatted", "givenName", "familyName"]),
                attribute("active", "boolean"),
                parts("emails", true, &["value", "type", "primary"]),
            ]),
        ),
        one(
            ENTERPRISE,
            "EnterpriseUser",
            json!([attribute("department", "string"), attribute("costCenter", "string")]),
        ),
        one(
            GROUP,
            "Group",
            json!([display_name, parts("members", true, &["value", "display", "type", "$ref"])]),
        ),
    ]
}

fn attribute(name: &str, kind: &str) -> Value {
    json!({
        "name": name, "type": kind, "multiValued": false, "required": false, "caseExact": false,
        "mutability": "readWrite", "returned": "default", "uniqueness": "none",
    })
}

fn parts(name: &str, many: bool, parts: &[&str]) -> Value {
    let subs: Vec<Value> = parts
        .iter()
        .map(|part| attribute(part, if *part == "primary" { "boolean" } else { "string" }))
        .collect();

    json!({
        "name": name, "type": "complex", "multiValued": many, "required": false,
        "mutability": "readWrite", "returned": "default", "subAttributes": subs,
    })
}
