//! A text that does not print itself.

use std::fmt;

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A personal access token, if it looks like one.
    pub fn pat(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut parts = text.splitn(3, '_');
        let (kind, name, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = kind == "tgp"
            && name.len() == 12
            && name.bytes().all(|byte| byte.is_ascii_hexdigit())
            && secret.len() == 43
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));

        fits.then(|| Self(text.to_owned()))
    }

    /// The text itself: for the wire and the file, nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The token's id, which is no secret.
    pub fn id(&self) -> String {
        let name = self.0.split('_').nth(1).unwrap_or_default();
        format!("pat_{name}")
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
    }
}
