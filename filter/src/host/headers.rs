//! A header list as the proxy hands it over: one buffer, borrowed from ever after.

use std::ops::Range;

/// Headers in the order they came. Names are lower case, values any bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    raw: Vec<u8>,
    entries: Vec<(Range<usize>, Range<usize>)>,
}

impl Headers {
    /// Reads the proxy-wasm ABI's form: a count, a length pair for each entry, then names and
    /// values, each ended by a zero byte; all numbers are little-endian `u32`.
    /// `None` if the buffer contradicts itself.
    pub fn parse(raw: Vec<u8>) -> Option<Self> {
        if raw.is_empty() {
            return Some(Self::default());
        }
        let count = number(&raw, 0)?;
        let mut sizes = 4_usize;
        let mut at = sizes.checked_add(count.checked_mul(8)?)?;
        if at > raw.len() {
            return None;
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let name = at..at.checked_add(number(&raw, sizes)?)?;
            sizes = sizes.checked_add(4)?;
            let start = name.end.checked_add(1)?;
            let value = start..start.checked_add(number(&raw, sizes)?)?;
            sizes = sizes.checked_add(4)?;
            at = value.end.checked_add(1)?;
            raw.get(value.clone())?;
            entries.push((name, value));
        }

        Some(Self { raw, entries })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().filter_map(|(name, value)| {
            Some((self.raw.get(name.clone())?, self.raw.get(value.clone())?))
        })
    }

    /// The first of a name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(candidate, _)| *candidate == name.as_bytes()).map(|(_, value)| value)
    }

    /// The first of a name, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| str::from_utf8(value).ok())
    }
}

fn number(raw: &[u8], at: usize) -> Option<usize> {
    let bytes = raw.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a [u8])>>(headers: I) -> Self {
        let mut list = Self::default();
        for (name, value) in headers {
            let start = list.raw.len();
            list.raw.extend_from_slice(name.as_bytes());
            let middle = list.raw.len();
            list.raw.extend_from_slice(value);
            list.entries.push((start..middle, middle..list.raw.len()));
        }

        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The ABI's form, written independently of the reader.
    fn wire(pairs: &[(&str, &[u8])]) -> Vec<u8> {
        let mut raw = u32::try_from(pairs.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in pairs {
            raw.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
            raw.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        }
        for (name, value) in pairs {
            raw.extend(name.as_bytes());
            raw.push(0);
            raw.extend(*value);
            raw.push(0);
        }
        raw
    }

    #[test]
    fn what_the_proxy_wrote_is_read() {
        let headers = Headers::parse(wire(&[
            (":path", b"/v1/messages"),
            ("x-empty", b""),
            ("x-bytes", &[0xff, 0]),
        ]))
        .unwrap();

        assert_eq!(headers.text(":path"), Some("/v1/messages"));
        assert_eq!(headers.get("x-empty"), Some(&b""[..]));
        assert_eq!(headers.text("x-bytes"), None, "not text");
        assert_eq!(headers.iter().count(), 3);
    }

    proptest! {
        #[test]
        fn a_buffer_that_lies_is_refused_and_never_panics(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(headers) = Headers::parse(raw) {
                let _all = headers.iter().count();
            }
        }

        #[test]
        fn a_cut_buffer_is_refused(cut in 1usize..40) {
            let whole = wire(&[(":path", b"/v1/messages"), ("accept", b"*/*")]);
            prop_assume!(cut < whole.len());
            let kept = whole.len().saturating_sub(cut);
            let parsed = Headers::parse(whole[..kept].to_vec());
            // The last value's closing zero carries nothing.
            prop_assert!(parsed.is_none() || cut == 1);
        }
    }
}
