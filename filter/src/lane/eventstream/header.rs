//! The headers of a frame: a name (length in one byte), a type (one byte), a value.

use super::Corrupt;

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name; those of the protocol begin with a colon.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Types 0 and 1.
    Bool(bool),
    /// Type 2.
    Byte(i8),
    /// Type 3.
    Int16(i16),
    /// Type 4.
    Int32(i32),
    /// Type 5.
    Int64(i64),
    /// Type 6.
    Bytes(&'a [u8]),
    /// Type 7.
    Text(&'a str),
    /// Type 8: milliseconds since 1970.
    Timestamp(i64),
    /// Type 9.
    Uuid([u8; 16]),
}

/// Reads headers; after the first that cannot be read, none.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn read(&mut self) -> Option<Header<'a>> {
        let [length] = self.take()?;
        let name = std::str::from_utf8(self.bytes(usize::from(length))?).ok()?;
        if name.is_empty() {
            return None;
        }
        let [kind] = self.take()?;
        let value = match kind {
            0 => Value::Bool(true),
            1 => Value::Bool(false),
            2 => Value::Byte(i8::from_be_bytes(self.take()?)),
            3 => Value::Int16(i16::from_be_bytes(self.take()?)),
            4 => Value::Int32(i32::from_be_bytes(self.take()?)),
            5 => Value::Int64(i64::from_be_bytes(self.take()?)),
            6 => Value::Bytes(self.sized()?),
            7 => Value::Text(std::str::from_utf8(self.sized()?).ok()?),
            8 => Value::Timestamp(i64::from_be_bytes(self.take()?)),
            9 => Value::Uuid(self.take()?),
            _ => return None,
        };

        Some(Header { name, value })
    }

    /// So many bytes, known when this is compiled.
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;

        Some(*taken)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;

        Some(taken)
    }

    /// What says its own length.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.take()?);

        self.bytes(usize::from(length))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<Header<'a>, Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.rest = &[];
        }

        Some(read.ok_or(Corrupt::Header))
    }
}
