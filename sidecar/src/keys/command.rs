//! `tollgate keys`.

use super::{KeyError, Ring, SigningKey, add, init, key_files, pin, retire};
use crate::acts::Act;
use crate::args::KeysCommand;
use crate::clock;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::sealing;
use crate::settings::Data;
use crate::store::Store;
use serde_json::{Value, json};

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &KeysCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        KeysCommand::Init => make(data, screen),
        KeysCommand::Show => show(data, screen),
        KeysCommand::Rotate => rotate(operator, data, screen).await,
        KeysCommand::Retire { kid, after } => give_up(kid, *after, (operator, data), screen).await,
    }
}

async fn rotate(operator: &Operator, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let store = Store::create(data).await?;
    let before = Ring::read(&data.signing()).ok().map(|ring| ring.newest().kid().to_owned());
    let kid = add(data)?;
    let act = Act::new(operator, format!("keys rotate {kid}"))?
        .from(before.map(|kid| json!({ "kid": kid })).unwrap_or_default())
        .to(json!({ "kid": kid }));
    let told = store.append(&[act.row("")], None).await;
    told.map_err(|why| Failure::Untold { done: format!("key {kid} was added"), why })?;
    screen.say("A running sidecar publishes it at once and signs with it 5 s later.");
    screen.say("The older one retires by itself when the last token that it signed has expired.");

    screen.value(&kid, &json!({ "signing": { "kid": kid } }))
}

/// Lets an older key go.
async fn give_up(
    kid: &str,
    after: Option<u64>,
    (operator, data): (&Operator, &Data),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut paths = key_files(&data.signing())?;
    let newest = paths.pop();
    if let Some(newest) = newest
        && SigningKey::read(&newest)?.kid() == kid
    {
        let why = format!("{kid} is the newest, which signs: `tollgate keys rotate` first");
        return Err(Failure::Refused(why));
    }
    let mut found = None;
    for path in paths {
        if SigningKey::read(&path)?.kid() == kid {
            found = Some(path);
        }
    }
    let unknown = || Failure::NotFound(format!("no key {kid}: `tollgate keys show` lists them"));
    let path = found.ok_or_else(unknown)?;
    let store = Store::create(data).await?;
    let at = after.map(|seconds| clock::now().saturating_add(seconds));
    let (state, done) = if let Some(at) = at {
        retire::plan(&path, at)?;
        screen.say("A running sidecar lets it go then, and every token that it signed.");
        (json!({ "kid": kid, "state": "verifies", "until": clock::readable(at) }), "is planned")
    } else {
        retire::retire(&path)?;
        screen.say("Tokens that it signed are refused within two seconds.");
        (retire::after(kid), "was done")
    };
    let act = Act::new(operator, format!("keys retire {kid}"))?
        .from(retire::before(kid))
        .to(state.clone());
    let told = store.append(&[act.row("")], None).await;
    told.map_err(|why| Failure::Untold { done: format!("retiring {kid} {done}"), why })?;

    screen.value(kid, &state)
}

fn make(data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    if data.policy_key().exists() || !key_files(&data.signing()).unwrap_or_default().is_empty() {
        return Err(Failure::Refused(format!(
            "there are keys in {} already, and they are never overwritten",
            data.keys().display()
        )));
    }
    data.create()?;
    init(data)?;
    sealing::make(data)?;
    screen.say(&format!("{} signs policies.", data.policy_key().display()));
    screen.say("In production it belongs to the security team, on another machine: move it away,");
    screen.say("sign there, and publish here. This machine only needs keys/policy.pub.");

    show(data, screen)
}

fn show(data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let pin = match pin(&data.policy_pin()) {
        Err(KeyError::File(error)) => {
            return Err(Failure::NotFound(format!("{error}: run `tollgate keys init`")));
        }
        other => other?,
    };
    let keys = states(data)?;
    let kid = keys.iter().rev().find(|key| key.state == "signs tokens").map(|key| &key.kid);
    let retired = retire::retired(&data.signing());

    if screen.json() {
        let all: Vec<&str> = keys.iter().map(|key| &*key.kid).collect();
        let states: Vec<Value> = keys
            .iter()
            .map(|key| json!({ "kid": key.kid, "state": key.state, "until": key.until }))
            .collect();
        return screen.object(&json!({
            "policy": { "key_id": pin.key_id, "public_key": pin.public_key },
            "signing": { "kid": kid, "all": all, "states": states, "retired": retired },
        }));
    }
    let mut rows = vec![vec!["policy".into(), pin.key_id, pin.public_key, String::new()]];
    rows.extend(
        keys.into_iter()
            .map(|key| vec![key.state.into(), key.kid, key.public, key.until.unwrap_or_default()]),
    );
    let text = |key: &Value, name: &str| {
        key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    rows.extend(retired.iter().map(|key| {
        let [kid, public, at] = ["kid", "public_key", "retired_at"].map(|name| text(key, name));
        vec!["retired".into(), kid, public, at]
    }));

    screen.table(&["USE", "KEY ID", "PUBLIC KEY", "UNTIL"], &rows)
}

/// A signing key, as it is shown.
struct Shown {
    kid: String,
    public: String,
    state: &'static str,
    until: Option<String>,
}

/// The keys of the data directory, the oldest first.
fn states(data: &Data) -> Result<Vec<Shown>, KeyError> {
    let paths = key_files(&data.signing())?;
    let mut keys = Vec::with_capacity(paths.len());
    for (nth, path) in paths.iter().enumerate() {
        let key = SigningKey::read(path)?;
        let newest = nth.saturating_add(1) == paths.len();
        keys.push(Shown {
            kid: key.kid().to_owned(),
            public: key.public_text(),
            state: if newest { "signs tokens" } else { "verifies tokens" },
            until: retire::planned(path).filter(|_| !newest).map(clock::readable),
        });
    }

    Ok(keys)
}
