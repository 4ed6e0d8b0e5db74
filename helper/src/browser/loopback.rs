//! A server for one answer, on this machine alone.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Longest head of a request that is read.
const LARGEST: u64 = 16 * 1024;

/// How long one connection may take to ask.
const SLOWEST: Duration = Duration::from_secs(5);

/// Between two looks at whether somebody has come.
const PAUSE: Duration = Duration::from_millis(20);

/// The path the browser comes back to.
const PATH: &str = "/callback";

/// The server, and the state that its one answer must have.
#[derive(Debug)]
pub struct Loopback {
    listener: TcpListener,
    port: u16,
    state: String,
}

/// The code and its issuer, or why there is none.
type Outcome = Result<(String, String), String>;

impl Loopback {
    /// Listens on a port that the system chooses.
    ///
    /// # Errors
    /// The system's.
    pub fn listen(state: String) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();

        Ok(Self { listener, port, state })
    }

    /// Where the browser is to come back to.
    pub fn redirect_uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for the one right request. All others are answered, and change nothing.
    ///
    /// # Errors
    /// Why the sign-in did not succeed.
    pub fn wait(self, patience: Duration) -> Outcome {
        let started = Instant::now();
        let (sender, receiver) = mpsc::channel();
        while started.elapsed() < patience {
            match self.next(&sender, &receiver) {
                Some(outcome) => return outcome,
                None => thread::sleep(PAUSE),
            }
        }

        Err(format!("nobody came back within {} s", patience.as_secs()))
    }

    /// Each connection has a thread of its own: browsers open some that ask nothing.
    fn next(&self, sender: &Sender<Outcome>, receiver: &Receiver<Outcome>) -> Option<Outcome> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                let (sender, state, port) = (sender.clone(), self.state.clone(), self.port);
                thread::spawn(move || {
                    if let Ok(Some(outcome)) = serve(stream, &state, port) {
                        let _over = sender.send(outcome).is_err();
                    }
                });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Some(Err(error.to_string())),
        }
        receiver.try_recv().ok()
    }
}

fn serve(mut stream: TcpStream, state: &str, port: u16) -> io::Result<Option<Outcome>> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(SLOWEST))?;
    stream.set_write_timeout(Some(SLOWEST))?;
    let head = head(&mut stream)?;
    let outcome = judged(&head, state, port);
    let (status, words) = match &outcome {
        Some(Ok(_)) => ("200 OK", "You are signed in. You can close this window."),
        Some(Err(_)) => ("200 OK", "The sign-in did not succeed. You can close this window."),
        None => ("400 Bad Request", "This is not the answer that is waited for."),
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tollgate</title><p>{words}</p></html>\n"
    );
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\ncontent-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
         referrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n{page}",
        page.len()
    )?;
    stream.flush()?;

    Ok(outcome)
}

/// Up to the empty line.
fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut stream = stream.take(LARGEST);
    let mut piece = [0_u8; 2048];
    loop {
        let count = stream.read(&mut piece)?;
        head.extend(piece.get(..count).unwrap_or_default());
        if count == 0 || head.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(String::from_utf8_lossy(&head).into_owned());
        }
    }
}

/// `None`: not the one that is waited for.
fn judged(head: &str, state: &str, port: u16) -> Option<Outcome> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    if first.next() != Some("GET") {
        return None;
    }
    let (path, query) = first.next()?.split_once('?')?;
    let here = format!("127.0.0.1:{port}");
    // A name of the web's that leads here would come with that name.
    let named = lines
        .filter_map(|line| line.split_once(':'))
        .any(|(name, value)| name.eq_ignore_ascii_case("host") && value.trim() == here);
    let told: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
    if path != PATH || !named || told.get("state").is_none_or(|told| told != state) {
        return None;
    }
    if let Some(error) = told.get("error") {
        let word: String = error
            .chars()
            .filter(|sign| sign.is_ascii_alphanumeric() || *sign == '_')
            .take(64)
            .collect();
        return Some(Err(match word.as_str() {
            "access_denied" => "it was cancelled".into(),
            _ => format!("the gateway says {word}"),
        }));
    }

    Some(match (told.get("code"), told.get("iss")) {
        (Some(code), Some(issuer)) => Ok((code.to_string(), issuer.to_string())),
        (Some(_), None) => Err("the answer does not say which issuer it is from".into()),
        (None, _) => Err("the answer holds no code".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str) -> Option<Outcome> {
        judged(&format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:99\r\n\r\n"), "right", 99)
    }

    #[test]
    fn only_the_right_path_and_state_are_the_answer() {
        for other in [
            "/",
            "/callback",
            "/favicon.ico",
            "/callback?code=c&iss=i",
            "/callback?code=c&iss=i&state=wrong",
            "/other?code=c&iss=i&state=right",
        ] {
            assert_eq!(asked(other), None, "{other}");
        }
        let good = "/callback?code=a%2Fb&state=right&iss=https%3A%2F%2Fx";
        assert_eq!(asked(good), Some(Ok(("a/b".into(), "https://x".into()))));
        assert_eq!(judged(&format!("POST {good} HTTP/1.1\r\n"), "right", 99), None);
        let elsewhere = format!("GET {good} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
        assert_eq!(judged(&elsewhere, "right", 99), None, "a name that was bent to this machine");
    }

    #[test]
    fn an_answer_without_its_issuer_or_with_an_error_ends_the_sign_in() {
        assert!(matches!(asked("/callback?code=c&state=right"), Some(Err(_))));
        assert!(matches!(asked("/callback?state=right"), Some(Err(_))));
        let denied = asked("/callback?state=right&error=access_denied");
        assert_eq!(denied, Some(Err("it was cancelled".into())));
        let odd = asked("/callback?state=right&error=%1b%5b2J");
        assert_eq!(odd, Some(Err("the gateway says 2J".into())), "no terminal is steered");
    }
}
