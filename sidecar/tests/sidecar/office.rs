//! A sidecar with somebody of each role, and the way they ask it.

use crate::world::{Answer, Fallible, Place, World, ask};
use contract::claims::Method;
use serde_json::{Value, json};
use std::fs;
use tollgate::acts::Act;
use tollgate::clock;
use tollgate::keys::Ring;
use tollgate::operators::operator::{Operator, Role};
use tollgate::store::{Cursor, Filter, Row, User};
use tollgate::tokens::{self, Ids, Order};

pub(crate) const AUDIENCE: &str = "tollgate/operator";

/// Where they are.
const FIRST_KEYS: &str = "first-keys";

/// A sidecar whose `identity.yaml` has somebody of each role, everywhere; each is known to it.
pub(crate) async fn office() -> Fallible<World> {
    let mut place = Place::new()?;
    let mut text = "schema: tollgate.identity/v1\noperators:\n".to_owned();
    for role in Role::ALL.map(Role::as_str) {
        text.extend(["  - user: ", role, "@example.com\n    roles: [", role, "]\n"]);
    }
    let file = place.directory.path().join("identity.yaml");
    fs::write(&file, text)?;
    place.identity = Some(file);
    // The keys that a token is minted with here, whatever is rotated meanwhile.
    let kept = place.directory.path().join(FIRST_KEYS);
    fs::create_dir(&kept)?;
    for one in fs::read_dir(place.data.signing())? {
        let one = one?;
        fs::copy(one.path(), kept.join(one.file_name()))?;
    }
    let world = World::start_in(place).await?;
    for (user, tenant) in [("zoe", "acme"), ("otto", "other"), ("bob", "acme"), ("eve", "acme")] {
        add(&world, user, tenant).await?;
    }
    for role in Role::ALL {
        add(&world, role.as_str(), "acme").await?;
    }
    Ok(world)
}

pub(crate) async fn add(world: &World, name: &str, tenant: &str) -> Fallible {
    let user = User {
        sub: format!("usr_{name}"),
        user_id: format!("{name}@example.com"),
        tenant_id: tenant.into(),
        ..User::default()
    };
    world.store.add_user(&user, &Act::new(&Operator::owner(), "test")?).await?;
    Ok(())
}

/// A token such as a session mints.
pub(crate) struct Minted {
    pub(crate) audience: &'static str,
    pub(crate) method: Method,
    pub(crate) issuer: &'static str,
    pub(crate) now: u64,
}

impl Default for Minted {
    fn default() -> Self {
        let (audience, issuer) = (AUDIENCE, "https://tollgate.localhost");
        Self { audience, method: Method::Sso, issuer, now: clock::now() }
    }
}

/// A token of somebody with these roles, its session and its own id.
pub(crate) async fn token(
    world: &World,
    name: &str,
    roles: &[&str],
    like: Minted,
) -> Fallible<(String, Ids)> {
    let user_id = format!("{name}@example.com");
    let user = world.store.user(&user_id).await?.ok_or("nobody")?;
    let user = User { roles: roles.iter().map(|role| (*role).to_owned()).collect(), ..user };
    let ids = Ids::draw()?;
    let order = Order {
        user: &user,
        method: like.method,
        credential_id: &ids.sid,
        client_id: "tollgate-helper",
        certificate: None,
        policy_version: "v1",
        issuer: like.issuer,
        audience: like.audience,
        now: like.now,
        ttl: 300,
    };
    let ring = Ring::read(&world.place.directory.path().join(FIRST_KEYS))?;
    let (token, _) = tokens::mint(&order, &ids, ring.newest()).await?;
    Ok((token, ids))
}

pub(crate) async fn post(world: &World, token: &str, line: &str, stdin: &str) -> Fallible<Answer> {
    let args: Vec<&str> = line.split(' ').collect();
    let body = json!({ "args": args, "stdin": stdin }).to_string();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    ask(world.at.public, "POST", "/v1/operator", &headers, &body).await
}

/// Exit code, standard output, standard error.
pub(crate) type Told = (u64, String, String);

pub(crate) async fn told(world: &World, token: &str, line: &str, stdin: &str) -> Fallible<Told> {
    let answer = post(world, token, line, stdin).await?;
    assert_eq!(answer.status, 200, "{line}: {}", answer.body);
    let told = answer.json()?;
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((told.get("exit").and_then(Value::as_u64).ok_or("no code")?, text("stdout"), text("stderr")))
}

/// What somebody with this role says, everywhere or in their own tenant.
pub(crate) async fn says(world: &World, name: &str, role: &str, line: &str) -> Fallible<Told> {
    let (token, _) = token(world, name, &[role], Minted::default()).await?;
    told(world, &token, line, "").await
}

pub(crate) async fn admin_rows(world: &World) -> Fallible<Vec<Row>> {
    let filter = Filter { after: Some(Cursor::default()), limit: 10_000, ..Filter::default() };
    let mut rows = world.store.rows(&filter).await?;
    rows.retain(|row| row.text("kind") == "admin");
    Ok(rows)
}

/// The latest row of an act that begins so.
pub(crate) async fn row_of(world: &World, act: &str) -> Fallible<Row> {
    let rows = admin_rows(world).await?;
    let of = |row: &Row| {
        let target = row.get("payload").get("target").and_then(Value::as_str).map(str::to_owned);
        target.is_some_and(|target| target.starts_with(act))
    };
    rows.into_iter().rfind(of).ok_or_else(|| format!("no row of {act}").into())
}
