//! A text that does not print itself.

use std::fmt;

/// What a secret is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A personal access token, `tgp_…`.
    Pat,
    /// A session, `tgs_…`.
    Session,
}

impl Kind {
    /// Its name, for files and the keystore.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pat => "pat",
            Self::Session => "session",
        }
    }

    /// What people call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Pat => "the personal access token",
            Self::Session => "the session",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Pat => "tgp",
            Self::Session => "tgs",
        }
    }
}

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    kind: Kind,
    text: String,
}

impl Secret {
    /// A personal access token, if it looks like one.
    pub fn pat(text: &str) -> Option<Self> {
        Self::new(Kind::Pat, text)
    }

    /// A secret of this kind, if it looks like one.
    pub fn new(kind: Kind, text: &str) -> Option<Self> {
        let text = text.trim();
        let mut parts = text.splitn(3, '_');
        let (prefix, name, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = prefix == kind.prefix()
            && name.len() == 12
            && name.bytes().all(|byte| byte.is_ascii_hexdigit())
            && secret.len() == 43
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));

        fits.then(|| Self { kind, text: text.to_owned() })
    }

    /// What it is good for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text itself: for the wire and the keystore, nowhere else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The credential's id, which is no secret.
    pub fn id(&self) -> String {
        let name = self.text.split('_').nth(1).unwrap_or_default();
        match self.kind {
            Kind::Pat => format!("pat_{name}"),
            Kind::Session => format!("ses_{name}"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_token_is_one_and_it_does_not_print_itself() {
        let token = format!("tgp_0123456789ab_{}", "s_-".repeat(14) + "s");

        let secret = Secret::pat(&format!(" {token}\n")).unwrap();

        assert_eq!(secret.expose(), token);
        assert_eq!(format!("{secret:?}"), "Secret(pat_0123456789ab)");
        for other in
            ["", "tgp_x_y", "sk-ant-abc", &token.replace("tgp", "gp"), &format!("{token}x")]
        {
            assert!(Secret::pat(other).is_none(), "{other}");
        }
        let session = Secret::new(Kind::Session, &token.replace("tgp", "tgs")).unwrap();
        assert_eq!(format!("{session:?}"), "Secret(ses_0123456789ab)");
        assert!(Secret::new(Kind::Session, &token).is_none(), "one is not the other");
    }
}
