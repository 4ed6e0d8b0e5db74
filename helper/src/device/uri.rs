//! The PKCS#11 URI scheme (RFC 7512), as far as it names a token and an object on it.

use std::fmt::Write as _;

/// What a URI names. Absent: whatever there is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pkcs11Uri {
    /// The token's label.
    pub token: Option<String>,
    /// The token's serial number.
    pub serial: Option<String>,
    /// The token's manufacturer.
    pub manufacturer: Option<String>,
    /// The token's model.
    pub model: Option<String>,
    /// The object's label.
    pub object: Option<String>,
    /// The object's id.
    pub id: Option<Vec<u8>>,
    /// The library that speaks to the token.
    pub module_path: Option<String>,
    /// The file in which the PIN is.
    pub pin_file: Option<String>,
}

impl Pkcs11Uri {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong. Never a value, since somebody may have written a PIN.
    pub fn read(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("pkcs11:").ok_or("it does not begin with pkcs11:")?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        for (name, value) in attributes(path, ';') {
            uri.set(name, &decoded(value).ok_or_else(|| format!("`{name}` is badly escaped"))?)?;
        }
        for (name, value) in attributes(query, '&') {
            uri.ask(name, &decoded(value).ok_or_else(|| format!("`{name}` is badly escaped"))?)?;
        }

        Ok(uri)
    }

    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), String> {
        let place = match name {
            "id" => {
                self.id = Some(value.to_vec());
                return Ok(());
            }
            // Both the certificate and the key are looked for.
            "type" => return Ok(()),
            "token" => &mut self.token,
            "serial" => &mut self.serial,
            "manufacturer" => &mut self.manufacturer,
            "model" => &mut self.model,
            "object" => &mut self.object,
            _ => return Err(format!("`{name}` is not supported")),
        };
        *place = Some(text(name, value)?);

        Ok(())
    }

    fn ask(&mut self, name: &str, value: &[u8]) -> Result<(), String> {
        match name {
            "module-path" => self.module_path = Some(text(name, value)?),
            "pin-source" => {
                let source = text(name, value)?;
                let path = source.strip_prefix("file:").unwrap_or(&source);
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.starts_with('|') {
                    return Err("`pin-source` must be a file".into());
                }
                self.pin_file = Some(path.to_owned());
            }
            "pin-value" => {
                return Err(
                    "`pin-value` is not taken: a PIN is given by `pin-source=file:…`".into()
                );
            }
            _ => return Err(format!("`{name}` is not supported")),
        }

        Ok(())
    }

    /// What it names, without where the PIN is.
    pub fn words(&self) -> String {
        let mut words = String::from("PKCS#11");
        for (name, value) in [("token", &self.token), ("object", &self.object)] {
            if let Some(value) = value {
                let _never = write!(words, " {name} {value:?}").is_err();
            }
        }

        words
    }
}

fn attributes(text: &str, between: char) -> impl Iterator<Item = (&str, &str)> {
    text.split(between)
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
}

fn text(name: &str, value: &[u8]) -> Result<String, String> {
    match std::str::from_utf8(value) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(format!("`{name}` is no text")),
    }
}

/// Without percent escapes (RFC 3986 §2.1).
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'%' {
            let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
            (high << 4) | low
        } else {
            byte
        });
    }

    Some(plain)
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_a_token_and_an_object() {
        let uri = Pkcs11Uri::read(
            "pkcs11:token=The%20Software;object=device;id=%01%fF;type=private\
             ?module-path=/usr/lib/x.so&pin-source=file:/run/pin",
        )
        .unwrap();

        assert_eq!(uri.token.as_deref(), Some("The Software"));
        assert_eq!(uri.object.as_deref(), Some("device"));
        assert_eq!(uri.id.as_deref(), Some(&[1, 0xff][..]));
        assert_eq!(uri.module_path.as_deref(), Some("/usr/lib/x.so"));
        assert_eq!(uri.pin_file.as_deref(), Some("/run/pin"));
    }

    #[test]
    fn a_pin_in_it_is_refused_and_not_repeated() {
        let why = Pkcs11Uri::read("pkcs11:token=x?pin-value=4711").unwrap_err();

        assert!(why.contains("pin-source") && !why.contains("4711"), "{why}");
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for bad in ["", "pkcs12:", "pkcs11:colour=red", "pkcs11:token=%2", "pkcs11:object=%ff"] {
            assert!(Pkcs11Uri::read(bad).is_err(), "{bad}");
        }
        assert_eq!(Pkcs11Uri::read("pkcs11:"), Ok(Pkcs11Uri::default()));
    }
}
