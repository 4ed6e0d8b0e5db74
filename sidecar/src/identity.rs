//! Who may sign in, and how: the file `--identity` (YAML).
//!
//! What stands here is about this installation and its operators' business, as Envoy's clusters are. *Which*
//! way of signing in is accepted from whom is the policy's, signed by the security team.

pub mod check;
pub mod command;
pub mod shape;

use crate::policy::compile::{SourceError, read, slips};
use crate::policy::walk::{Found, walk};
use crate::policy::yaml::{self, At};
use crate::settings::Settings;
use contract::policy::Tier;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The schema this build reads.
pub const SCHEMA: &str = "tollgate.identity/v1";

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// [`SCHEMA`].
    pub schema: String,
    /// Where people reach the gateway, such as `https://gateway.example.com`: providers send browsers back
    /// to `/oauth/callback` below it.
    #[serde(default)]
    pub public_url: Option<String>,
    /// `OpenID` providers.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// How long sessions last.
    #[serde(default)]
    pub sessions: Sessions,
    /// Device certificates.
    #[serde(default)]
    pub certificates: Option<Certificates>,
    /// Jobs, by the identity that their platform gives them.
    #[serde(default)]
    pub workloads: Vec<Workload>,
    /// Who may operate.
    #[serde(default)]
    pub operators: Vec<Operator>,
    /// How guessing is slowed.
    #[serde(default)]
    pub attempts: Attempts,
}

/// The file that `serve` was told of; nothing of it where it was told of none.
///
/// # Errors
/// [`SourceError`].
pub fn of(settings: &Settings) -> Result<Identity, SourceError> {
    settings.identity.as_deref().map_or_else(|| Ok(Identity::default()), Identity::read)
}

impl Identity {
    /// The ways of signing in that there are here.
    pub fn tiers(&self) -> Vec<Tier> {
        [
            (Tier::Pat, true),
            (Tier::Session, !self.providers.is_empty()),
            (Tier::Mtls, self.certificates.is_some()),
            (Tier::Service, !self.workloads.is_empty()),
        ]
        .into_iter()
        .filter_map(|(tier, is)| is.then_some(tier))
        .collect()
    }

    /// Reads a file, and the secrets and authorities that it names.
    ///
    /// # Errors
    /// [`SourceError`]: every fault at once, with its line.
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let text = read(path)?;

        Self::parse(&text).map_err(|found| SourceError::Faults { path: path.to_owned(), found })
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Every fault, in the order of lines: those of form and those of sense.
    pub fn parse(text: &str) -> Result<Self, Vec<Found>> {
        let root = yaml::parse(text).map_err(slips)?;
        let walked = walk(&root, shape::IDENTITY);
        let identity: Self = match serde_json::from_value(walked.value.clone()) {
            Ok(identity) => identity,
            // Only if the shapes and the types were no longer the same.
            Err(error) => {
                let problem = error.to_string();
                return Err(vec![Found { at: At::START, place: String::new(), problem }]);
            }
        };
        let sense = check::check(&identity).into_iter();
        let sense = sense.filter(|fault| !walked.is_faulty(&fault.place));
        let mut found: Vec<Found> = sense
            .map(|fault| {
                let at = walked.at(&fault.place);
                Found { at, place: fault.place, problem: fault.problem }
            })
            .collect();
        found.extend(walked.found);
        found.sort_by_key(|found| found.at);

        if found.is_empty() { Ok(identity) } else { Err(found) }
    }
}

/// An `OpenID` provider (`OpenID` Connect Core 1.0), of one tenant or of several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name here; stands in rows.
    pub id: String,
    /// The issuer, as its discovery document has it.
    pub issuer: String,
    /// What people choose by, where there are several.
    #[serde(default)]
    pub title: Option<String>,
    /// This gateway's name there.
    pub client_id: String,
    /// Where this gateway's secret is; none for a public client.
    #[serde(default)]
    pub client_secret: Option<SecretAt>,
    /// Its authority, PEM, where the system does not know it.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The tenant of everybody who signs in here, unless a claim says.
    pub tenant: String,
    /// What is asked for; `openid`, `email`, `profile` and `offline_access` unless said.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What else the request to sign in says, such as `prompt: consent`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// E-mail domains whose people may sign in here; the only ones that this provider may speak for.
    pub domains: Vec<String>,
    /// Groups whose members may; empty for everybody.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Must the provider say `email_verified`? Some never do; then this is `false`.
    #[serde(default = "yes")]
    pub email_verified: bool,
    /// Where each fact stands.
    #[serde(default)]
    pub claims: ClaimsMap,
}

fn yes() -> bool {
    true
}

/// Where a secret is: in a file that only its owner can read, or in the environment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretAt {
    /// A file.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// A variable.
    #[serde(default)]
    pub env: Option<String>,
}

/// Where each fact stands in what a provider tells: JSON pointers (RFC 6901), the first that is there counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimsMap {
    /// E-mail address; `/email` unless said.
    #[serde(default)]
    pub email: Vec<String>,
    /// Name; `/name` unless said.
    #[serde(default)]
    pub name: Vec<String>,
    /// Tenant, where one provider serves several: only those of `tenants` count.
    #[serde(default)]
    pub tenant: Vec<String>,
    /// What that claim may say, and the tenant that it then is.
    #[serde(default)]
    pub tenants: BTreeMap<String, String>,
    /// Department.
    #[serde(default)]
    pub department: Vec<String>,
    /// Cost centre.
    #[serde(default)]
    pub cost_centre: Vec<String>,
    /// Region.
    #[serde(default)]
    pub region: Vec<String>,
    /// Regulatory populations: a list, or words between spaces.
    #[serde(default)]
    pub populations: Vec<String>,
    /// Groups: a list; `/groups` unless said.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Where groups are asked for, if not in the token.
    #[serde(default)]
    pub groups_from: GroupsFrom,
    /// An address that lists the groups of who has this access token, for `lookup`.
    #[serde(default)]
    pub groups_url: Option<String>,
    /// Groups that make an operator's role.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
}

/// Where a person's groups are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupsFrom {
    /// In the ID token; where they are missing there, at the userinfo endpoint.
    #[default]
    Claim,
    /// At the userinfo endpoint.
    Userinfo,
    /// At `groups_url`.
    Lookup,
    /// As the directory provisioned them (SCIM).
    Directory,
}

/// How long sessions last, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// From signing in to the end.
    pub max_age: u64,
    /// Without being used.
    pub idle: u64,
    /// How long tokens are still minted on a session's word when its provider does not answer: counted from when
    /// the provider last confirmed it. 0 for never.
    pub outage_grace: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { max_age: 12 * 3600, idle: 4 * 3600, outage_grace: 4 * 3600 }
    }
}

/// Device certificates. Envoy has verified the chain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificates {
    /// Lists of revoked certificates (RFC 5280 §5, PEM or DER), read again when they change.
    #[serde(default)]
    pub crl: Vec<PathBuf>,
    /// The authorities that sign those lists, PEM; unless said, whoever can write the files is believed.
    #[serde(default)]
    pub crl_ca: Option<PathBuf>,
    /// Serials (`serial:<hex>`) and fingerprints (`sha256:<hex>`), one a line, read again when it changes.
    #[serde(default)]
    pub revoked: Option<PathBuf>,
    /// What of the certificate names its owner; the first that is there counts.
    pub user: Vec<NamedBy>,
    /// Cut off of a name that is no e-mail address, such as `spiffe://example.com/user/`.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Put behind a name that is no e-mail address, such as `@example.com`.
    #[serde(default)]
    pub suffix: Option<String>,
}

/// What of a certificate names its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedBy {
    /// A subject alternative name: e-mail.
    Email,
    /// A subject alternative name: URI.
    Uri,
    /// A subject alternative name: DNS.
    Dns,
    /// The subject's common name.
    Cn,
}

/// A job that its platform vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Its name here; stands in rows.
    pub id: String,
    /// The platform's issuer.
    pub issuer: String,
    /// Its authority, PEM, where the system does not know it.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// What the platform's token must be meant for: `aud`.
    pub audience: String,
    /// `sub`: whole, `*` for any run of characters but `:` and `/`, `**` for any at all.
    pub subjects: Vec<String>,
    /// What other claims must say, by JSON pointer.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// May one token be exchanged only once?
    #[serde(default)]
    pub once: bool,
    /// The tenant it acts in.
    pub tenant: String,
    /// For routing and chargeback.
    #[serde(default)]
    pub department: Option<String>,
    /// For chargeback.
    #[serde(default)]
    pub cost_centre: Option<String>,
    /// Its groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Its populations.
    #[serde(default)]
    pub populations: Vec<String>,
    /// Where its data must stay.
    #[serde(default)]
    pub region: Option<String>,
}

/// Somebody of this host who may operate without being its owner.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Their name on this host.
    pub user: String,
    /// What they may.
    pub roles: Vec<String>,
    /// Where; empty for every tenant.
    #[serde(default)]
    pub tenants: Vec<String>,
}

/// How guessing is slowed: what failed, per address and per account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attempts {
    /// Failures within a minute that cost nothing.
    pub free: u32,
    /// Longest wait in seconds; it doubles from one on.
    pub longest: u64,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { free: 10, longest: 300 }
    }
}

#[cfg(test)]
mod tests;
