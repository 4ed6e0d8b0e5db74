//! The plugin configuration, checked: what an operator writes in `gate.yaml`.

use crate::lane;
use crate::stages::cost::Costing;
use contract::envelope::PinnedKey;
use contract::estimate::Class;
use serde::Deserialize;
use thiserror::Error;

/// What the filter is on this listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    /// The front: every check, every row.
    Gate,
    /// One provider.
    Lane,
}

/// A plugin's configuration, by its role.
#[derive(Debug, Clone)]
pub enum Plugin {
    /// The front's.
    Gate(Box<Settings>),
    /// A lane's.
    Lane(Box<lane::Settings>),
}

impl Plugin {
    /// Reads the configuration (JSON text).
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse(configuration: &[u8]) -> Result<Self, SettingsError> {
        #[derive(Deserialize)]
        struct Named {
            role: Role,
        }
        match read::<Named>(configuration)?.role {
            Role::Gate => Ok(Self::Gate(Box::new(Settings::parse(configuration)?))),
            Role::Lane => Ok(Self::Lane(Box::new(lane::Settings::parse(configuration)?))),
        }
    }
}

/// Reads JSON into a form.
pub(crate) fn read<'a, T: Deserialize<'a>>(configuration: &'a [u8]) -> Result<T, SettingsError> {
    serde_json::from_slice(configuration)
        .map_err(|error| SettingsError(vec![format!("configuration: {error}")]))
}

/// A claim that routes may match on beside those that always can. Each costs a call of the host, so
/// only those that are asked for are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteClaim {
    /// The person.
    User,
    /// Their groups.
    Groups,
    /// Their regulatory populations.
    Populations,
    /// Their operator roles.
    Roles,
    /// The client program.
    Client,
    /// The cost centre.
    CostCentre,
    /// How they signed in.
    Tier,
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[expect(dead_code, reason = "it was read to come here")]
    role: Role,
    gate_cluster: String,
    issuer: String,
    audience: String,
    policy_keys: Vec<PinnedKey>,
    #[serde(default)]
    clock_skew_seconds: Option<u32>,
    #[serde(default)]
    anonymous_rows_per_second: Option<u32>,
    #[serde(default)]
    route_claims: Vec<RouteClaim>,
    #[serde(default)]
    cost_classes: Option<Vec<Class>>,
    #[serde(default)]
    public_url: Option<String>,
}

/// As it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The cluster that serves policy, keys and standing.
    pub gate_cluster: String,
    /// `iss` that a token must have.
    pub issuer: String,
    /// `aud` that a token must have.
    pub audience: String,
    /// The keys that may sign a policy; two during a rotation.
    pub policy_keys: Vec<PinnedKey>,
    /// How far clocks may differ, in seconds.
    pub clock_skew: u64,
    /// How many anonymous refusals of one address get rows of their own, each second.
    pub anonymous_rows: u32,
    /// Claims that routes match on beside those that always can.
    pub route_claims: Vec<RouteClaim>,
    /// What routes are told of what calls are likely to cost; none: nothing.
    pub costing: Option<Costing>,
    /// Where clients reach this gateway, `https://HOST[:PORT]`; none: as each client says.
    pub public_url: Option<String>,
}

/// Why a configuration was refused: every fault, one a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.join("; "))]
pub struct SettingsError(pub Vec<String>);

const CLOCK_SKEW: u32 = 10; // hosts of one enterprise keep time by NTP; ten seconds is generous
const ANONYMOUS_ROWS: u32 = 10; // a helper that retries makes one or two a second

impl Settings {
    /// Reads the configuration (JSON text).
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse(configuration: &[u8]) -> Result<Self, SettingsError> {
        let raw: Raw = read(configuration)?;
        let Raw { gate_cluster, issuer, audience, policy_keys, .. } = raw;
        let mut faults = Vec::new();
        for (key, value) in
            [("gate_cluster", &gate_cluster), ("issuer", &issuer), ("audience", &audience)]
        {
            if value.is_empty() {
                faults.push(format!("{key}: is empty"));
            }
        }
        if policy_keys.is_empty() {
            faults.push("policy_keys: name at least one key that may sign a policy".to_owned());
        }
        for (index, key) in policy_keys.iter().enumerate() {
            if let Err(error) = key.decode() {
                faults.push(format!("policy_keys[{index}] ({}): {error}", key.key_id));
            }
        }
        let clock_skew =
            bounded("clock_skew_seconds", raw.clock_skew_seconds, CLOCK_SKEW, 300, &mut faults);
        let anonymous_rows = bounded(
            "anonymous_rows_per_second",
            raw.anonymous_rows_per_second,
            ANONYMOUS_ROWS,
            100_000,
            &mut faults,
        );
        let costing = match raw.cost_classes.map(Costing::new).transpose() {
            Ok(costing) => costing,
            Err(wrong) => {
                faults.extend(wrong.into_iter().map(|fault| format!("cost_classes{fault}")));
                None
            }
        };
        if raw.public_url.as_deref().is_some_and(|url| !is_origin(url)) {
            faults.push("public_url: must be https://HOST[:PORT], without a path".to_owned());
        }
        if !faults.is_empty() {
            return Err(SettingsError(faults));
        }

        Ok(Self {
            gate_cluster,
            issuer,
            audience,
            policy_keys,
            clock_skew: u64::from(clock_skew),
            anonymous_rows,
            route_claims: raw.route_claims,
            costing,
            public_url: raw.public_url,
        })
    }
}

/// Is it `https://HOST[:PORT]`, or `http://` for a gateway on this machine?
fn is_origin(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);

    host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain))
}

/// A number from 0 to `most`.
fn bounded(
    key: &str,
    value: Option<u32>,
    default: u32,
    most: u32,
    faults: &mut Vec<String>,
) -> u32 {
    let value = value.unwrap_or(default);
    if value > most {
        faults.push(format!("{key}: {value} is more than {most}"));
    }

    value
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const GOOD: &str = r#"{"role":"gate","gate_cluster":"tollgate_gate","issuer":"https://i",
        "audience":"a","clock_skew_seconds":5,
        "policy_keys":[{"key_id":"k","public_key":"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}]}"#;

    #[test]
    fn a_good_configuration_is_taken_with_its_defaults() {
        let settings = Settings::parse(GOOD.as_bytes()).unwrap();

        assert_eq!((settings.clock_skew, settings.anonymous_rows), (5, 10));
    }

    #[test]
    fn every_fault_is_named() {
        let bad = r#"{"role":"gate","gate_cluster":"","issuer":"i","audience":"",
            "policy_keys":[{"key_id":"k","public_key":"AAAA"}],"clock_skew_seconds":301,
            "public_url":"https://h/p","cost_classes":[{"name":"none","below":"1"},{"name":"large","below":"2"}]}"#;

        let SettingsError(faults) = Settings::parse(bad.as_bytes()).unwrap_err();

        let keys: Vec<_> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
        assert_eq!(
            keys,
            [
                "gate_cluster",
                "audience",
                "policy_keys[0] (k)",
                "clock_skew_seconds",
                "cost_classes[0].name",
                "cost_classes[1].below",
                "public_url"
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_a_fault() {
        let odd = GOOD.replace("\"role\"", "\"insecure\":true,\"role\"");

        let SettingsError(faults) = Settings::parse(odd.as_bytes()).unwrap_err();

        assert!(faults[0].contains("insecure"), "{faults:?}");
    }
}
