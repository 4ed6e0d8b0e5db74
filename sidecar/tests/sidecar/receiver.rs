//! A SIEM of the test's own: it notes what it is sent and answers as it is told.

use crate::world::Fallible;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// Unpacked.
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The objects in it, one a line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.body.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// What it does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Status, more headers, body.
    Answer(u16, &'static str, String),
    /// Never answers.
    Hang,
    /// Begins to answer and hangs up.
    Break,
}

pub(crate) fn ok() -> Act {
    Act::Answer(200, "", String::new())
}

pub(crate) fn status(status: u16) -> Act {
    Act::Answer(status, "", String::new())
}

type Decide = Arc<Mutex<dyn FnMut(&Asked) -> Act + Send>>;

/// The SIEM.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start(
        decide: impl FnMut(&Asked) -> Act + Send + 'static,
    ) -> Fallible<Self> {
        Self::listen(None, decide).await
    }

    pub(crate) async fn listen(
        tls: Option<TlsAcceptor>,
        decide: impl FnMut(&Asked) -> Act + Send + 'static,
    ) -> Fallible<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let decide: Decide = Arc::new(Mutex::new(decide));
        let notes = Arc::clone(&asked);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (notes, decide, tls) = (Arc::clone(&notes), Arc::clone(&decide), tls.clone());
                connections.spawn(async move {
                    let ended = match tls {
                        None => serve(stream, notes, decide).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, notes, decide).await,
                            Err(error) => Err(error.into()),
                        },
                    };
                    drop(ended);
                });
            }
        });
        Ok(Self { port, asked, _serving: serving })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until what was asked is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[Asked]) -> bool) -> Fallible<Vec<Asked>> {
        for _ in 0..600 {
            let asked = self.asked();
            if wanted(&asked) {
                return Ok(asked);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("not within 30 s; {} requests came", self.asked().len()).into())
    }
}

async fn serve<S>(stream: S, notes: Arc<Mutex<Vec<Asked>>>, decide: Decide) -> Fallible
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream).await? {
        let act = {
            let mut decide = decide.lock().unwrap_or_else(PoisonError::into_inner);
            decide(&asked)
        };
        notes.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        match act {
            Act::Answer(status, headers, body) => {
                let head = format!(
                    "HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await?;
                stream.flush().await?;
            }
            Act::Hang => std::future::pending().await,
            Act::Break => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"it").await?;
                stream.flush().await?;
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn read<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Fallible<Option<Asked>> {
    let mut asked = Asked::default();
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    assert!(line.starts_with("POST "), "{line}");
    line.split(' ').nth(1).unwrap_or_default().clone_into(&mut asked.target);
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        asked.headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; asked.header("content-length").parse()?];
    stream.read_exact(&mut body).await?;
    if asked.header("content-encoding") == "gzip" {
        flate2::read::GzDecoder::new(&*body).read_to_string(&mut asked.body)?;
    } else {
        asked.body = String::from_utf8(body)?;
    }
    Ok(Some(asked))
}
