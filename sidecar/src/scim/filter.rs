//! Which are meant (RFC 7644 §3.4.2.2), of that language what directories use: `attribute eq value`, joined by
//! `and`. Whatever else is asked for is refused, never ignored: an answer with too many would be believed.

use super::Fault;
use crate::store::directory::Ask;
use axum::http::StatusCode;

/// Longest filter.
const LONGEST: usize = 1_024;

/// Most conditions.
const MOST: usize = 4;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// People.
    Users,
    /// Groups.
    Groups,
}

/// Reads a filter.
///
/// # Errors
/// [`Fault`]: `invalidFilter`.
pub fn parse(text: &str, of: Of) -> Result<Vec<(Ask, String)>, Fault> {
    if text.len() > LONGEST {
        return Err(invalid("it is too long"));
    }
    let mut asks = Vec::new();
    let mut rest = text.trim();
    loop {
        let (ask, value, after) = condition(rest, of)?;
        asks.push((ask, value));
        if after.is_empty() {
            return Ok(asks);
        }
        let (word, onward) = word(after);
        if !word.eq_ignore_ascii_case("and") || asks.len() >= MOST {
            return Err(invalid("conditions are joined by `and`, four at most"));
        }
        rest = onward;
    }
}

/// `attribute eq value`, or `attribute[sub eq value]`; and what stands behind it.
fn condition(text: &str, of: Of) -> Result<(Ask, String, &str), Fault> {
    let end = text.find(|sign: char| sign.is_whitespace() || sign == '[').unwrap_or(text.len());
    let (attribute, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if let Some(inner) = rest.strip_prefix('[') {
        let (sub, value, after) = comparison(inner)?;
        let after = after.strip_prefix(']').ok_or_else(|| invalid("a bracket stays open"))?;
        return Ok((ask(&format!("{attribute}.{sub}"), of)?, value, after.trim_start()));
    }
    let (_, value, after) = comparison(text)?;

    Ok((ask(attribute, of)?, value, after))
}

/// `attribute eq value`; and what stands behind it.
fn comparison(text: &str) -> Result<(&str, String, &str), Fault> {
    let (attribute, rest) = word(text);
    let (operator, rest) = word(rest);
    if !operator.eq_ignore_ascii_case("eq") {
        return Err(invalid("only `eq` is asked here"));
    }
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<serde_json::Value>();
    let value = match values.next() {
        Some(Ok(serde_json::Value::String(value))) => value,
        Some(Ok(serde_json::Value::Bool(value))) => value.to_string(),
        _ => return Err(invalid("a text in double quotes, true or false belongs behind `eq`")),
    };
    let after = rest.get(values.byte_offset()..).unwrap_or_default();

    Ok((attribute, value, after.trim_start()))
}

fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

/// Attributes are named without regard to case (RFC 7643 §2.1), with their schema before them or without.
fn ask(attribute: &str, of: Of) -> Result<Ask, Fault> {
    let lower = attribute.to_ascii_lowercase();
    let bare = match of {
        Of::Users => lower.strip_prefix("urn:ietf:params:scim:schemas:core:2.0:user:"),
        Of::Groups => lower.strip_prefix("urn:ietf:params:scim:schemas:core:2.0:group:"),
    };

    match (of, bare.unwrap_or(&lower)) {
        (_, "id") => Ok(Ask::Id),
        (_, "externalid") => Ok(Ask::ExternalId),
        (Of::Users, "username") | (Of::Groups, "displayname") => Ok(Ask::Name),
        (Of::Users, "emails" | "emails.value") => Ok(Ask::Email),
        (Of::Users, "active") => Ok(Ask::Active),
        (Of::Groups, "members" | "members.value") => Ok(Ask::Member),
        _ => Err(invalid(&format!("{attribute} is not asked for here"))),
    }
}

fn invalid(why: &str) -> Fault {
    Fault::new(StatusCode::BAD_REQUEST, "invalidFilter", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_directories_ask_is_understood() {
        let one = |ask, value: &str| vec![(ask, value.to_owned())];
        for (text, of, asks) in [
            (r#"userName eq "ann@example.com""#, Of::Users, one(Ask::Name, "ann@example.com")),
            (r#"USERNAME EQ "ann""#, Of::Users, one(Ask::Name, "ann")),
            (r#"externalId eq "a \"b\"""#, Of::Users, one(Ask::ExternalId, "a \"b\"")),
            (r#"emails.value eq "a@b""#, Of::Users, one(Ask::Email, "a@b")),
            (r#"emails[value eq "a@b"]"#, Of::Users, one(Ask::Email, "a@b")),
            ("active eq true", Of::Users, one(Ask::Active, "true")),
            (
                r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "x""#,
                Of::Users,
                one(Ask::Name, "x"),
            ),
            (
                r#"displayName eq "Engineering and more""#,
                Of::Groups,
                one(Ask::Name, "Engineering and more"),
            ),
            (
                r#"id eq "1" and members eq "2""#,
                Of::Groups,
                vec![(Ask::Id, "1".into()), (Ask::Member, "2".into())],
            ),
        ] {
            assert_eq!(parse(text, of).unwrap(), asks, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_and_not_ignored() {
        for text in [
            "",
            "userName",
            "userName eq",
            "userName eq ann",
            r#"userName co "a""#,
            "userName pr",
            r#"userName eq "a" or userName eq "b""#,
            r#"not (userName eq "a")"#,
            r#"password eq "x""#,
            r#"displayName eq "x""#,
            r#"emails[value eq "a""#,
            r#"emails[type eq "work"]"#,
            r#"(userName eq "a")"#,
            r#"userName eq "a" extra"#,
            r#"id eq "1" and id eq "1" and id eq "1" and id eq "1" and id eq "1""#,
        ] {
            assert!(parse(text, Of::Users).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_stumble(text in "\\PC{0,60}") {
            drop(parse(&text, Of::Users));
        }

        #[test]
        fn a_value_comes_out_as_it_went_in(value in "\\PC{0,40}") {
            let text = format!("userName eq {}", serde_json::Value::from(value.clone()));
            prop_assert_eq!(parse(&text, Of::Users).unwrap(), vec![(Ask::Name, value)]);
        }
    }
}
