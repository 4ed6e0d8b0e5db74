//! A sidecar with its data, and the ways to talk to it.

use envoy_types::pb::envoy::data::accesslog::v3::{
    AccessLogCommon, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties,
};
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_client::AccessLogServiceClient;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, LogEntries,
};
use envoy_types::pb::google::protobuf::{Any, Timestamp, UInt32Value};
use prost::Message;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;
use tollgate::acts::Act;
use tollgate::operators::operator::Operator;
use tollgate::run::{Addresses, Sidecar};
use tollgate::settings::{Data, GoogleAccounts, Settings, TokenSigner};
use tollgate::store::{Cursor, Filter, Pat, Row, Store, User};
use tollgate::{clock, keys, pats};
use tonic::transport::Channel;

pub(crate) type Fallible<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) const POLICY: &[u8] =
    br#"{"schema":"tollgate.policy/v1","name":"acme","rules":[{"id":"all","models":["*"]}]}"#;

/// A directory with keys and a policy.
pub(crate) struct Place {
    pub(crate) data: Data,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) siem: Option<PathBuf>,
    pub(crate) identity: Option<PathBuf>,
    pub(crate) approvals: Option<PathBuf>,
    pub(crate) token_signer: Option<TokenSigner>,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) google: GoogleAccounts,
}

impl Place {
    pub(crate) fn new() -> Fallible<Self> {
        let directory = tempfile::tempdir()?;
        let data = Data::new(directory.path().join("data"));
        data.create()?;
        keys::init(&data)?;
        let place = Self {
            data,
            directory,
            siem: None,
            identity: None,
            approvals: None,
            token_signer: None,
            socket: None,
            google: GoogleAccounts::default(),
        };
        place.publish(POLICY)?;
        Ok(place)
    }

    /// Signs and publishes.
    pub(crate) fn publish(&self, payload: &[u8]) -> Fallible {
        let (key_id, pair) = keys::policy_key(&self.data.policy_key())?;
        let kind = contract::envelope::POLICY_TYPE;
        let envelope = contract::envelope::seal(kind, payload, &key_id, &pair);
        let file = self.directory.path().join("signed.json");
        fs::write(&file, serde_json::to_vec(&envelope)?)?;
        tollgate::policy::publish(&self.data, &file)?;
        Ok(())
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.directory.path().join("audit.jsonl")
    }

    pub(crate) fn settings(&self) -> Settings {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Settings {
            data: self.data.clone(),
            public: any,
            gate: any,
            operators: any,
            issuer: "https://tollgate.localhost".into(),
            audience: "tollgate".into(),
            token_ttl: Duration::from_hours(1),
            spool: self.spool(),
            siem: self.siem.clone(),
            identity: self.identity.clone(),
            approvals: self.approvals.clone(),
            token_signer: self.token_signer.clone(),
            google: self.google.clone(),
            operator_socket: self.socket.clone(),
            operator_socket_mode: 0o666,
        }
    }
}

/// A sidecar that serves, with one user.
pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) at: Addresses,
    pub(crate) store: Store,
    pub(crate) sidecar: Sidecar,
}

impl World {
    pub(crate) async fn start() -> Fallible<Self> {
        Self::start_in(Place::new()?).await
    }

    pub(crate) async fn start_in(place: Place) -> Fallible<Self> {
        let sidecar = Sidecar::start(place.settings()).await?;
        let store = Store::open(&place.data).await?;
        let ann = User {
            sub: "usr_1".into(),
            user_id: "ann@example.com".into(),
            tenant_id: "acme".into(),
            department: Some("engineering".into()),
            groups: vec!["engineering".into()],
            ..User::default()
        };
        store.add_user(&ann, &Act::new(&Operator::owner(), "test")?).await?;
        Ok(Self { at: sidecar.addresses(), place, store, sidecar })
    }

    /// A token for Ann, and its id.
    pub(crate) async fn pat(&self, lifetime: u64) -> Fallible<(String, String)> {
        let (token, id) = pats::generate()?;
        let now = clock::now();
        let pat = Pat {
            id: id.clone(),
            user_id: "ann@example.com".into(),
            created_at: now,
            expires_at: now + lifetime,
            ..Pat::default()
        };
        self.store
            .add_pat(&pat, &pats::hash(&token), &Act::new(&Operator::owner(), "test")?)
            .await?;
        Ok((token, id))
    }

    pub(crate) async fn sign_in(&self, pat: &str) -> Fallible<Answer> {
        let bearer = format!("Bearer {pat}");
        ask(self.at.public, "POST", "/v1/auth/cowork/pat", &[("authorization", &bearer)], "").await
    }

    pub(crate) async fn gate(&self, path: &str) -> Fallible<Answer> {
        ask(self.at.gate, "GET", path, &[], "").await
    }

    pub(crate) async fn metric(&self, name: &str) -> Fallible<u64> {
        let text = ask(self.at.operators, "GET", "/metrics", &[], "").await?.body;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.ok_or_else(|| format!("no metric {name}"))?.trim().parse()?)
    }

    /// Rows of exchanges, not of operators' acts.
    pub(crate) async fn rows(&self) -> Fallible<Vec<Row>> {
        let filter = Filter { after: Some(Cursor::default()), limit: 100_000, ..Filter::default() };
        let mut rows = self.store.rows(&filter).await?;
        rows.retain(|row| row.text("kind") != "admin");
        Ok(rows)
    }

    /// Waits until there are that many rows.
    pub(crate) async fn until_rows(&self, count: usize) -> Fallible<Vec<Row>> {
        for _ in 0..200 {
            let rows = self.rows().await?;
            if rows.len() >= count {
                return Ok(rows);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("{} rows after ten seconds, {count} expected", self.rows().await?.len()).into())
    }

    pub(crate) async fn envoy(&self) -> Fallible<AccessLogServiceClient<Channel>> {
        Ok(AccessLogServiceClient::connect(format!("http://{}", self.at.gate)).await?)
    }

    /// Something behind the sidecar's back, as a broken database would.
    pub(crate) async fn sql(&self, sql: &str) -> Fallible {
        let url = format!("sqlite://{}", self.place.data.database().display());
        let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await?;
        sqlx::query(sql).execute(&mut connection).await?;
        sqlx::Connection::close(connection).await?;
        Ok(())
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// The body as it came.
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Fallible<Value> {
        Ok(serde_json::from_str(&self.body)?)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// One HTTP/1.1 exchange.
pub(crate) async fn ask(
    at: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Fallible<Answer> {
    let length = body.len().to_string();
    let fixed = [("host", "x"), ("connection", "close"), ("content-length", &length)];
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in fixed.iter().chain(headers) {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.extend(["\r\n", body]);
    let raw = tokio::task::spawn_blocking(move || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(at)?;
        stream.write_all(request.as_bytes())?;
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw)?;
        Ok(raw)
    })
    .await??;
    let head = raw.windows(4).position(|end| end == b"\r\n\r\n").ok_or("no head")?;
    let bytes = raw.get(head + 4..).unwrap_or_default().to_vec();
    let text = String::from_utf8_lossy(&raw);

    let (head, body) = text.split_once("\r\n\r\n").ok_or("no head")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no status")?;
    // One that comes several times, as `set-cookie` may, has a line each.
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let all = headers.entry(name.to_ascii_lowercase()).or_default();
        *all = if all.is_empty() { value.to_owned() } else { format!("{all}\n{value}") };
    }
    Ok(Answer { status: status.parse()?, headers, body: body.to_owned(), bytes })
}

/// One exchange as Envoy tells it, by gRPC and in the spool.
pub(crate) fn told(id: &str, number: u64) -> (HttpAccessLogEntry, String) {
    let seconds = 1_763_730_000 + number;
    let record = json!({
        "occurred_at": seconds * 1_000_000 + 7, "tenant_id": "acme", "user_id": "ann@example.com",
        "kind": "inference", "model": "claude-haiku-4-5", "status": 200, "outcome": "allowed",
        "tokens_in": number, "complete": true, "request_id": id, "payload": {},
    })
    .to_string();
    let any = |kind: &str, text: &str| Any {
        type_url: format!("type.googleapis.com/google.protobuf.{kind}"),
        value: text.as_bytes().to_vec().encode_to_vec(),
    };
    let mut common = AccessLogCommon {
        start_time: Some(Timestamp { seconds: seconds.cast_signed(), nanos: 7_999 }),
        ..AccessLogCommon::default()
    };
    let states = &mut common.filter_state_objects;
    states.insert("wasm.tollgate".into(), any("BytesValue", &record));
    if !id.is_empty() {
        states.insert("tollgate.event_id".into(), any("StringValue", id));
    }
    let entry = HttpAccessLogEntry {
        common_properties: Some(common),
        request: Some(HttpRequestProperties { path: "/v1/messages".into(), ..Default::default() }),
        response: Some(HttpResponseProperties {
            response_code: Some(UInt32Value { value: 200 }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let id = if id.is_empty() { Value::Null } else { id.into() };
    let line = json!({
        "event_id": id, "started_at": format!("{seconds}.000007"), "duration_ms": null,
        "status": 200, "flags": "-", "path": "/v1/messages", "record": record,
    });
    (entry, format!("{line}\n"))
}

pub(crate) fn message(entries: Vec<HttpAccessLogEntry>) -> StreamAccessLogsMessage {
    let entries = HttpAccessLogEntries { log_entry: entries };
    StreamAccessLogsMessage { identifier: None, log_entries: Some(LogEntries::HttpLogs(entries)) }
}
