//! Who operates: a name, roles, and the tenants they reach. Whoever acts is handed on to every command;
//! nothing asks the process who runs it but [`Operator::owner`].

use crate::failure::Failure;
use std::fmt;
use std::fs;

/// Where the names of this machine's users are.
const NAMES: &str = "/etc/passwd";

/// What somebody may operate. [`super::table`] says what that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs the gateway: looks, and tightens.
    Platform,
    /// Signs and publishes the policy, restores, keeps the keys.
    Security,
    /// People, and what they hold.
    Endpoint,
    /// Reads what was said, and what followed from what.
    Soc,
    /// Reads what it cost.
    Finance,
    /// Reads everything but what was said.
    Auditor,
}

impl Role {
    /// All, in the order of the table's columns.
    pub const ALL: [Self; 6] =
        [Self::Platform, Self::Security, Self::Endpoint, Self::Soc, Self::Finance, Self::Auditor];

    /// The word for it in `identity.yaml`, in the directory's groups and in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Security => "security",
            Self::Endpoint => "endpoint",
            Self::Soc => "soc",
            Self::Finance => "finance",
            Self::Auditor => "auditor",
        }
    }

    /// The roles among these words. Others mean something elsewhere, such as breaking the glass.
    pub fn among(words: &[String]) -> Vec<Self> {
        Self::ALL.into_iter().filter(|role| words.iter().any(|it| it == role.as_str())).collect()
    }
}

/// How they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// On this host, with the data directory open before them.
    Owner,
    /// Over the Unix socket, as this user of the system.
    Socket(u32),
    /// With a token, minted in this session.
    Token(String),
    /// By browser, vouched for by the provider of this name.
    Browser(String),
    /// It is this program, on somebody else's word: a directory, a list of revoked certificates.
    Itself,
}

/// Somebody who operates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    name: String,
    roles: Vec<Role>,
    /// `None` for every one, and for what concerns all.
    tenants: Option<Vec<String>>,
    how: How,
    /// May they lift what others have laid?
    lifts_all: bool,
    /// May they see what was said?
    content: bool,
}

impl Operator {
    /// Whoever runs this command on the host, as the system knows them: the environment could say anybody.
    /// They have the database and the keys before them, and may do everything.
    pub fn owner() -> Self {
        Self::all_powerful(rustix::process::getuid().as_raw(), How::Owner)
    }

    /// Somebody at the socket who could as well open the data directory: its owner, or root.
    pub fn owner_at_socket(uid: u32) -> Self {
        Self::all_powerful(uid, How::Socket(uid))
    }

    fn all_powerful(uid: u32, how: How) -> Self {
        Self {
            name: system_name(uid),
            roles: Role::ALL.to_vec(),
            tenants: None,
            how,
            lifts_all: true,
            content: true,
        }
    }

    /// Nobody: what the sidecar itself does, such as ending a session that was stolen.
    pub fn nobody() -> Self {
        Self::new("tollgate", Vec::new(), None, How::Owner)
    }

    /// Somebody with these roles. What a role lets them see and lift, an act of the table has to grant.
    pub fn new(
        name: impl Into<String>,
        roles: Vec<Role>,
        tenants: Option<Vec<String>>,
        how: How,
    ) -> Self {
        Self { name: name.into(), roles, tenants, how, lifts_all: false, content: false }
    }

    /// This program, as what somebody else's word makes it do: lifts what it laid, and only who lifts
    /// everything lifts it for it.
    pub fn itself(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            roles: Vec::new(),
            tenants: None,
            how: How::Itself,
            lifts_all: true,
            content: false,
        }
    }

    /// The same, as far as one act lets them see and lift.
    #[must_use]
    pub(super) fn granted(&self, content: bool, lifts_all: bool) -> Self {
        Self { lifts_all, content, ..self.clone() }
    }

    /// As rows name them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What they may.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// How they came.
    pub fn how(&self) -> &How {
        &self.how
    }

    /// Do they sit at the host, where files are theirs anyway?
    pub fn is_on_host(&self) -> bool {
        self.how == How::Owner
    }

    /// The tenants they reach; `None` for all.
    pub fn tenants(&self) -> Option<&[String]> {
        self.tenants.as_deref()
    }

    /// Do they reach this tenant?
    pub fn reaches(&self, tenant: &str) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.iter().any(|one| one == tenant))
    }

    /// Do they reach every tenant, and what concerns all?
    pub fn reaches_all(&self) -> bool {
        self.tenants.is_none()
    }

    /// May they see what was said?
    pub fn sees_content(&self) -> bool {
        self.content
    }

    /// May they lift what others have laid? Else only what was laid in a role that they share.
    pub fn lifts_all(&self) -> bool {
        self.lifts_all
    }

    /// May they make others operators?
    pub fn gives_roles(&self) -> bool {
        self.is_on_host() || self.roles.contains(&Role::Security)
    }

    /// The roles as words, for what they lay.
    pub fn role_words(&self) -> String {
        let words: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();

        words.join(" ")
    }

    /// The refusal of what is not of their tenants. Whether it exists is not said.
    pub fn beyond(&self, id: &str) -> Failure {
        Failure::Denied(format!("{id} is of no tenant that {} operates", self.name))
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles = if self.roles.is_empty() { "no role".into() } else { self.role_words() };
        match &self.tenants {
            None => write!(formatter, "{} ({roles}, every tenant)", self.name),
            Some(tenants) => write!(formatter, "{} ({roles}; {})", self.name, tenants.join(" ")),
        }
    }
}

/// A user of this system, by name where there is one.
pub fn system_name(uid: u32) -> String {
    let names = fs::read_to_string(NAMES).unwrap_or_default();

    name(&names, uid).map_or_else(|| format!("uid:{uid}"), ToOwned::to_owned)
}

/// `name:password:uid:…`, one a line.
fn name(names: &str, uid: u32) -> Option<&str> {
    names.lines().find_map(|line| {
        let mut members = line.split(':');
        let (name, _, number) = (members.next()?, members.next()?, members.next()?);

        (number.parse() == Ok(uid) && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_acts_has_the_name_the_system_knows_or_a_number() {
        let names = "root:x:0:0::/root:/bin/sh\nrubbish\nann:x:1000:1000::/home/ann:/bin/sh\n";

        assert_eq!(name(names, 1000), Some("ann"));
        assert_eq!(name(names, 100), None);
        assert!(!Operator::owner().name().is_empty());
    }

    #[test]
    fn words_that_are_no_role_make_no_operator() {
        let words = ["soc", "breakglass", "Security"].map(ToOwned::to_owned);

        assert_eq!(Role::among(&words), [Role::Soc]);
    }

    #[test]
    fn a_new_operator_sees_and_lifts_nothing_until_an_act_grants_it() {
        let tenants = Some(vec!["acme".to_owned()]);
        let bob = Operator::new("bob", vec![Role::Soc], tenants, How::Socket(1));

        assert!(!bob.sees_content() && !bob.lifts_all() && !bob.gives_roles());
        assert!(bob.reaches("acme") && !bob.reaches("") && !bob.reaches("other"));
    }
}
