//! `/scim/v2/Users`.

use super::filter::{self, Of};
use super::patch;
use super::resource::{Domains, form, shown};
use super::{Caller, Fault, LIST, MOST_LISTED, Reply, body, has, location, serve, wanted};
use crate::directory::Directory;
use crate::keys;
use crate::store::directory::{Page, Person, Written};
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode};
use contract::envelope::hex;
use serde::Deserialize;
use serde_json::{Value, json};

/// How often a change is tried while others change the same.
const TRIES: usize = 5;

/// What of a list is wanted (RFC 7644 §3.4.2).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    filter: Option<String>,
    start_index: Option<i64>,
    count: Option<i64>,
    #[serde(default)]
    excluded_attributes: String,
    #[serde(default)]
    attributes: String,
}

impl Listed {
    /// As the store is asked.
    pub(super) fn page(&self, of: Of) -> Result<Page, Fault> {
        let asks = match self.filter.as_deref().map(str::trim) {
            None | Some("") => Vec::new(),
            Some(text) => filter::parse(text, of)?,
        };
        // RFC 7644 §3.4.2.4: below one is one, below nought is nought.
        let start = u64::try_from(self.start_index.unwrap_or(1)).unwrap_or(1).max(1);
        let count = self.count.map_or(MOST_LISTED, |count| u64::try_from(count).unwrap_or(0));

        Ok(Page {
            asks,
            skip: start.saturating_sub(1),
            limit: count.min(MOST_LISTED),
            members: self.members(),
        })
    }

    /// With the members of groups?
    pub(super) fn members(&self) -> bool {
        let names = |text: &str| {
            text.split(',').any(|name| name.trim().to_ascii_lowercase().starts_with("members"))
        };

        !names(&self.excluded_attributes) && (self.attributes.is_empty() || names(&self.attributes))
    }
}

/// A page of a list (RFC 7644 §3.4.2).
pub(super) fn page(resources: &[Value], total: u64, skip: u64) -> Value {
    json!({
        "schemas": [LIST], "totalResults": total, "startIndex": skip.saturating_add(1),
        "itemsPerPage": resources.len(), "Resources": resources,
    })
}

pub(super) async fn list(
    State(directory): State<Directory>,
    Query(listed): Query<Listed>,
    asked: HeaderMap,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let wanted = listed.page(Of::Users)?;
        let store = &directory.sign_in.store;
        let (people, total) = store.persons(caller.tenant(), &wanted).await?;
        let resources: Vec<Value> = people.iter().map(|person| view(&directory, person)).collect();

        Ok(Reply::ok(page(&resources, total, wanted.skip)))
    })
    .await
}

pub(super) async fn one(
    State(directory): State<Directory>,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let person = directory.sign_in.store.person(caller.tenant(), &id).await?;
        let person = person.ok_or_else(Fault::missing)?;
        if has(&asked, person.version) {
            let version = Some(person.version);
            return Ok(Reply { status: StatusCode::NOT_MODIFIED, version, ..Reply::default() });
        }

        Ok(written(&directory, StatusCode::OK, &person))
    })
    .await
}

pub(super) async fn add(
    State(directory): State<Directory>,
    asked: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let form = form(&body(&bytes)?, &domains(&directory, caller), true)?;
        let id = format!("scu_{}", hex(&keys::random::<12>()?));
        let act = caller.act(&format!("user add {}", form.email))?;
        let pen = caller.pen(&act, None);
        match directory.sign_in.store.add_person(&id, &form, pen).await? {
            Written::Done(person) => Ok(written(&directory, StatusCode::CREATED, &person)),
            Written::Operator => Err(Fault::operator()),
            _ => Err(Fault::taken()),
        }
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
        let sent = body(&bytes)?;

        settle(&directory, caller, &id, wanted(&asked)?, |_| sent.clone()).await
    })
    .await
}

pub(super) async fn change(
    State(directory): State<Directory>,
    Path(id): Path<String>,
    asked: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let operations = patch::read(&body(&bytes)?)?;
        if operations.iter().any(patch::Operation::is_active_nulled) {
            return Err(Fault::value("active is true or false"));
        }
        settle(&directory, caller, &id, wanted(&asked)?, |person| {
            let mut resource = person.resource.as_object().cloned().unwrap_or_default();
            for operation in &operations {
                patch::apply(&mut resource, operation.clone());
            }

            Value::Object(resource)
        })
        .await
    })
    .await
}

/// Makes somebody as `sent` says, which sees them as they are.
async fn settle(
    directory: &Directory,
    caller: &Caller,
    id: &str,
    version: Option<u64>,
    sent: impl Fn(&Person) -> Value,
) -> Result<Reply, Fault> {
    for _ in 0..TRIES {
        let person = directory.sign_in.store.person(caller.tenant(), id).await?;
        let person = person.ok_or_else(Fault::missing)?;
        if version.is_some_and(|version| version != person.version) {
            break;
        }
        // Somebody else's change in between is not overwritten: it is read, and this one applied to it.
        if let Some(reply) = replace(directory, caller, &person, &sent(&person)).await? {
            return Ok(reply);
        }
    }

    Err(Fault::stale())
}

pub(super) async fn remove(
    State(directory): State<Directory>,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Response<Body> {
    serve(&directory, &asked, async |caller: &Caller| {
        let act = caller.act(&format!("user delete {id}"))?;
        let pen = caller.pen(&act, wanted(&asked)?);
        match directory.sign_in.store.drop_person(&id, pen).await? {
            Written::Done(()) => Ok(Reply { status: StatusCode::NO_CONTENT, ..Reply::default() }),
            Written::Stale => Err(Fault::stale()),
            _ => Err(Fault::missing()),
        }
    })
    .await
}

/// Makes somebody as they are sent; `None` if they have another version by now.
async fn replace(
    directory: &Directory,
    caller: &Caller,
    was: &Person,
    sent: &Value,
) -> Result<Option<Reply>, Fault> {
    let form = form(sent, &domains(directory, caller), was.active)?;
    let what = if form.active { "user put" } else { "user deactivate" };
    let act = caller.act(&format!("{what} {}", form.email))?;
    let pen = caller.pen(&act, Some(was.version));
    match directory.sign_in.store.put_person(&was.id, &form, pen).await? {
        Written::Done(person) => Ok(Some(written(directory, StatusCode::OK, &person))),
        Written::Stale => Ok(None),
        Written::Taken => Err(Fault::taken()),
        Written::Operator => Err(Fault::operator()),
        Written::Missing | Written::Stranger(_) => Err(Fault::missing()),
    }
}

fn domains(directory: &Directory, caller: &Caller) -> Domains {
    Domains::of(&directory.identity.providers, caller.tenant())
}

fn view(directory: &Directory, person: &Person) -> Value {
    shown(person, &location(directory, "Users", &person.id))
}

fn written(directory: &Directory, status: StatusCode, person: &Person) -> Reply {
    Reply {
        status,
        body: Some(view(directory, person)),
        location: Some(location(directory, "Users", &person.id)),
        version: Some(person.version),
    }
}
