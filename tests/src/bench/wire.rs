//! As much of HTTP/1.1 as loopback needs: no library stands between the clock and the gate.

/// The member of an event that tells when it was sent.
pub const SENT: &str = "bench_sent";

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(usize),
    /// With an empty chunk.
    Chunked,
}

/// The head of a message.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Where its body begins.
    pub end: usize,
    /// How that ends.
    pub framing: Framing,
}

/// Where `what` begins.
pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

impl Head {
    /// Reads one, if it is whole. Names are lower case, as Envoy writes them.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let end = find(bytes, b"\r\n\r\n")? + 4;
        let head = &bytes[..end];
        let framing = match find(head, b"\ncontent-length: ") {
            Some(at) => {
                let digits = head[at + 17..].iter().take_while(|byte| byte.is_ascii_digit());
                Framing::Length(digits.fold(0, |n, digit| n * 10 + usize::from(digit - b'0')))
            }
            None if find(head, b"\ntransfer-encoding: chunked").is_some() => Framing::Chunked,
            None => Framing::Length(0),
        };

        Some(Self { end, framing })
    }

    /// Are these bytes, from the head on, the whole message?
    pub fn complete(&self, bytes: &[u8]) -> bool {
        match self.framing {
            Framing::Length(length) => bytes.len() >= self.end + length,
            Framing::Chunked => bytes.ends_with(b"0\r\n\r\n"),
        }
    }
}

/// When the last event in these bytes was sent.
pub fn sent(bytes: &[u8]) -> Option<u64> {
    let text = str::from_utf8(bytes).ok()?;
    let (_, after) = text.rsplit_once(SENT)?;

    after.trim_start_matches("\":").split('}').next()?.parse().ok()
}
