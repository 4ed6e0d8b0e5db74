//! `/scim/v2/Groups`.

use super::filter::Of;
use super::patch::{self, Operation, Verb, member};
use super::resource::{GROUP, text};
use super::users::{Listed, page};
use super::{Caller, Fault, MOST_MEMBERS, Reply, body, etag, has, location, serve, wanted};
use crate::clock;
use crate::directory::Directory;
use crate::keys;
use crate::store::directory::{Group, GroupChange, Membership, Written};
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode};
use contract::envelope::hex;
use serde_json::{Value, json};

pub(super) async fn list(
    State(directory): State<Directory>,
    Query(listed): Query<Listed>,
    asked: HeaderMap,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let wanted = listed.page(Of::Groups)?;
        let store = &directory.sign_in.store;
        let (groups, total) = store.groups(caller.tenant(), &wanted).await?;
        let all: Vec<Value> =
            groups.iter().map(|group| view(&directory, group, wanted.members)).collect();

        Ok(Reply::ok(page(&all, total, wanted.skip)))
    })
    .await
}

pub(super) async fn one(
    State(directory): State<Directory>,
    Path(id): Path<String>,
    Query(listed): Query<Listed>,
    asked: HeaderMap,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let reply = read(&directory, caller, &id, listed.members(), StatusCode::OK).await?;
        if let Some(version) = reply.version.filter(|version| has(&asked, *version)) {
            let version = Some(version);
            return Ok(Reply { status: StatusCode::NOT_MODIFIED, version, ..Reply::default() });
        }

        Ok(reply)
    })
    .await
}

pub(super) async fn add(
    State(directory): State<Directory>,
    asked: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let change = whole(&body(&bytes)?)?;
        let id = format!("scg_{}", hex(&keys::random::<12>()?));
        let name = change.name.clone().unwrap_or_default();
        let act = caller.act(&format!("group add {name}"))?;
        let pen = caller.pen(&act, None);
        done(directory.sign_in.store.add_group(&id, &change, pen).await?)?;

        read(&directory, caller, &id, true, StatusCode::CREATED).await
    })
    .await
}

pub(super) async fn put(
    State(directory): State<Directory>,
    Path(id): Path<String>,
    asked: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let mut change = whole(&body(&bytes)?)?;
        change.members.insert(0, Membership::Nobody);
        let act = caller.act(&format!("group put {id}"))?;
        let pen = caller.pen(&act, wanted(&asked)?);
        done(directory.sign_in.store.put_group(&id, &change, pen).await?)?;

        read(&directory, caller, &id, true, StatusCode::OK).await
    })
    .await
}

/// Answered without a body: a group may have many members, and who joined is known to who asked.
pub(super) async fn change(
    State(directory): State<Directory>,
    Path(id): Path<String>,
    asked: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let change = steps(patch::read(&body(&bytes)?)?)?;
        let act = caller.act(&format!("group change {id}"))?;
        let pen = caller.pen(&act, wanted(&asked)?);
        done(directory.sign_in.store.put_group(&id, &change, pen).await?)?;

        Ok(Reply { status: StatusCode::NO_CONTENT, ..Reply::default() })
    })
    .await
}

pub(super) async fn remove(
    State(directory): State<Directory>,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let act = caller.act(&format!("group delete {id}"))?;
        let pen = caller.pen(&act, wanted(&asked)?);
        done(directory.sign_in.store.drop_group(&id, pen).await?)?;

        Ok(Reply { status: StatusCode::NO_CONTENT, ..Reply::default() })
    })
    .await
}

fn done(written: Written<()>) -> Result<(), Fault> {
    match written {
        Written::Done(()) => Ok(()),
        Written::Missing | Written::Operator => Err(Fault::missing()),
        Written::Taken => Err(Fault::taken()),
        Written::Stale => Err(Fault::stale()),
        Written::Stranger(id) => Err(Fault::value(format!("nobody has the id {id}"))),
    }
}

async fn read(
    directory: &Directory,
    caller: &Caller,
    id: &str,
    members: bool,
    status: StatusCode,
) -> Result<Reply, Fault> {
    let group = directory.sign_in.store.group(caller.tenant(), id, members).await?;
    let group = group.ok_or_else(Fault::missing)?;

    Ok(Reply {
        status,
        body: Some(view(directory, &group, members)),
        location: Some(location(directory, "Groups", id)),
        version: Some(group.version),
    })
}

/// A group as it is sent whole.
fn whole(sent: &Value) -> Result<GroupChange, Fault> {
    let name = name(sent)?.ok_or_else(|| Fault::value("displayName is missing"))?;
    let members = match member(sent, "members") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => ids(value)?,
    };
    bounded(members.len())?;

    Ok(GroupChange {
        name: Some(name),
        external_id: Some(text(sent, "externalId")?),
        members: vec![Membership::Join(members)],
    })
}

/// A change in parts.
fn steps(operations: Vec<Operation>) -> Result<GroupChange, Fault> {
    let mut change = GroupChange::default();
    let mut count = 0_usize;
    for Operation { verb, path, value } in operations {
        let attribute = path.attribute.to_ascii_lowercase();
        match (&*attribute, verb) {
            ("members", verb) => {
                let some = members(verb, path.filter, &value)?;
                for step in &some {
                    if let Membership::Join(ids) | Membership::Leave(ids) = step {
                        count = count.saturating_add(ids.len());
                    }
                }
                change.members.extend(some);
            }
            ("displayname", Verb::Add | Verb::Replace) => {
                change.name = name(&json!({ "displayName": value }))?;
                if change.name.is_none() {
                    return Err(Fault::value("displayName is missing"));
                }
            }
            ("externalid", Verb::Remove) => change.external_id = Some(None),
            ("externalid", _) => {
                change.external_id = Some(text(&json!({ "externalId": value }), "externalId")?);
            }
            // Okta says which group it changes; what else there may be is not kept.
            ("id" | "schemas" | "meta", _) => {}
            _ => return Err(Fault::path(format!("a group has no {}", path.attribute))),
        }
    }
    bounded(count)?;

    Ok(change)
}

fn members(
    verb: Verb,
    filter: Option<(String, Value)>,
    value: &Value,
) -> Result<Vec<Membership>, Fault> {
    // `members[value eq "…"]`
    if let Some((name, wanted)) = filter {
        let id = wanted.as_str().filter(|_| name.eq_ignore_ascii_case("value"));
        let id = id.ok_or_else(|| Fault::path("members are asked for by value"))?;
        let ids = vec![id.to_owned()];
        return Ok(vec![match verb {
            Verb::Remove => Membership::Leave(ids),
            Verb::Add | Verb::Replace => Membership::Join(ids),
        }]);
    }

    Ok(match (verb, value) {
        (Verb::Add, value) => vec![Membership::Join(ids(value)?)],
        (Verb::Replace | Verb::Remove, Value::Null) => vec![Membership::Nobody],
        (Verb::Replace, value) => vec![Membership::Nobody, Membership::Join(ids(value)?)],
        (Verb::Remove, value) => vec![Membership::Leave(ids(value)?)],
    })
}

/// `[{"value": "…"}, …]`, or one of them.
fn ids(value: &Value) -> Result<Vec<String>, Fault> {
    let some = match value {
        Value::Array(some) => some.as_slice(),
        one => std::slice::from_ref(one),
    };

    some.iter()
        .map(|one| {
            let id = one.as_str().or_else(|| member(one, "value").and_then(Value::as_str));
            id.map(ToOwned::to_owned).ok_or_else(|| Fault::value("a member has a value"))
        })
        .collect()
}

fn name(sent: &Value) -> Result<Option<String>, Fault> {
    Ok(text(sent, "displayName")?.filter(|name| !name.is_empty()))
}

fn bounded(members: usize) -> Result<(), Fault> {
    if members > MOST_MEMBERS {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        let detail = format!("more than {MOST_MEMBERS} members in one request: send several");
        return Err(Fault::new(status, "tooMany", detail));
    }

    Ok(())
}

fn view(directory: &Directory, group: &Group, members: bool) -> Value {
    let location_of = |id: &str| location(directory, "Users", id);
    let mut shown = json!({
        "schemas": [GROUP], "id": group.id, "displayName": group.name,
        "meta": {
            "resourceType": "Group", "created": clock::readable(group.created_at),
            "lastModified": clock::readable(group.updated_at),
            "location": location(directory, "Groups", &group.id),
            "version": etag(group.version),
        },
    });
    let Some(object) = shown.as_object_mut() else { return shown };
    if let Some(id) = &group.external_id {
        object.insert("externalId".into(), id.as_str().into());
    }
    if members {
        let members: Vec<Value> = group
            .members
            .iter()
            .map(|(id, name)| {
                json!({ "value": id, "display": name, "type": "User", "$ref": location_of(id) })
            })
            .collect();
        object.insert("members".into(), members.into());
    }

    shown
}
