use super::check::ROLES;
use super::shape::*;
use super::*;
use crate::operators::operator::Role;
use crate::policy::shape::tests::same;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const WHOLE: &str = r"
schema: tollgate.identity/v1
public_url: https://gateway.example.com
providers:
  - id: acme
    issuer: https://login.example.com
    client_id: tollgate
    tenant: acme
    domains: [example.com]
    email_verified: false
    claims:
      email: [/email, /upn]
      tenant: [/org]
      tenants: { a: acme }
      roles: { admins: platform }
sessions: { max_age: 8h, idle: 1h, outage_grace: 0s }
operators:
  - user: ann
    roles: [platform, security]
";

fn problems(text: &str) -> String {
    let found = Identity::parse(text).unwrap_err();
    let line = |found: &Found| format!("{}:{} {}", found.at.line, found.place, found.problem);
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shapes_are_those_of_the_types() {
    same::<Identity>(IDENTITY);
    same::<Provider>(PROVIDER);
    same::<SecretAt>(SECRET);
    same::<ClaimsMap>(CLAIMS);
    same::<Sessions>(SESSIONS);
    same::<Certificates>(CERTIFICATES);
    same::<Workload>(WORKLOAD);
    same::<Operator>(OPERATOR);
    same::<Attempts>(ATTEMPTS);
}

#[test]
fn the_roles_are_those_of_operators() {
    let roles: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();

    assert_eq!(roles, ROLES);
}

#[test]
fn every_member_stands_in_the_documentation() {
    let text = include_str!("../../../docs/identity.md");
    for members in
        [IDENTITY, PROVIDER, SECRET, CLAIMS, SESSIONS, CERTIFICATES, WORKLOAD, OPERATOR, ATTEMPTS]
    {
        for member in members {
            assert!(text.contains(&format!("`{}`", member.name)), "lacks `{}`", member.name);
        }
    }
    for role in ROLES {
        assert!(text.contains(&format!("`{role}`")), "lacks `{role}`");
    }
}

#[test]
fn a_whole_file_reads_as_it_stands() {
    let identity = Identity::parse(WHOLE).unwrap();

    let provider = &identity.providers[0];
    assert_eq!((&*provider.id, provider.email_verified), ("acme", false));
    assert_eq!(provider.claims.email, ["/email", "/upn"]);
    assert_eq!(identity.sessions, Sessions { max_age: 28_800, idle: 3_600, outage_grace: 0 });
    assert_eq!(Identity::parse("schema: tollgate.identity/v1").unwrap().attempts.free, 10);
}

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    let told = problems(
        r#"schema: tollgate.identity/v2
public_url: http://gateway.example.com
providers:
  - id: a
    issuer: http://login.example.com
    client_id: x
    tenant: "Zürich"
    domains: [Example.com]
    claims: { email: [email], tenant: [/t], groups_from: lookup, roles: { g: king } }
  - id: a
    issuer: https://user:hunter2@login.example.com
    client_id: x
    tenant: b
    domains: []
    client_secrte: { env: X }
sessions: { max_age: 1m, outage_grace: 99d }
operators:
  - user: ann
    roles: [root]
"#,
    );

    for line in [
        "1:schema must be",
        "2:public_url must be https",
        "5:providers[0].issuer must be https",
        "7:providers[0].tenant",
        "8:providers[0].domains[0] is no e-mail domain",
        "9:providers[0].claims.email[0] is no JSON pointer",
        "9:providers[0].claims.tenants and tenant need each other",
        "9:providers[0].claims.groups_url is missing",
        "9:providers[0].claims.roles.g",
        "10:providers[1].id \"a\" stands there twice",
        "11:providers[1].issuer must not hold a user",
        "14:providers[1].domains is an empty list",
        "15:providers[1].client_secrte is no member here: did you mean client_secret?",
        "16:sessions.max_age must be from 5m",
        "16:sessions.outage_grace must be 30d",
        "19:operators[0].roles[0] is \"root\"",
    ] {
        assert!(told.contains(line), "{line} is missing in:\n{told}");
    }
    assert!(!told.contains("hunter2"));
}

#[test]
fn providers_without_domains_or_without_a_way_back_are_faults() {
    let told = problems(
        "schema: tollgate.identity/v1\nproviders:\n  - id: a\n    issuer: https://a.example\n    client_id: x\n    tenant: b\n",
    );

    assert!(told.contains("providers[0].domains is missing"), "{told}");
    assert!(told.contains("public_url is missing"), "{told}");
}

#[test]
fn a_secret_that_others_can_read_is_a_fault_and_is_not_told() {
    let place = tempfile::tempdir().unwrap();
    let secret = place.path().join("secret");
    fs::write(&secret, "hunter2").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let text = WHOLE.replace(
        "    client_id: tollgate\n",
        &format!("    client_id: tollgate\n    client_secret: {{ file: {} }}\n", secret.display()),
    );

    let told = problems(&text);
    assert!(told.contains("8:providers[0].client_secret") && told.contains("chmod 600"), "{told}");
    assert!(!told.contains("hunter2"));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Identity::parse(&text).is_ok());
    let unset = WHOLE.replace("email_verified: false", "client_secret: { env: TOLLGATE_NO_SUCH }");
    assert!(problems(&unset).contains("the environment has no TOLLGATE_NO_SUCH"));
}

#[test]
fn a_subject_that_is_everybody_s_is_a_fault() {
    let text = "schema: tollgate.identity/v1\nworkloads:\n  - id: ci\n    issuer: https://token.example\n    audience: tollgate\n    subjects: ['**']\n    tenant: acme\n";

    assert!(problems(text).contains("6:workloads[0].subjects[0] would let every job"));
    assert!(Identity::parse(&text.replace("**", "repo:acme/*")).is_ok());
}
