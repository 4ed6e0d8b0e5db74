use super::settings::{PROFILE, SETTINGS, UNCHECKED};
use super::*;
use crate::args::mdm::EgressArgs;
use crate::mdm::security::Effect::{Changes, Loosens, Redirects, Tightens};
use crate::operators::operator::{How, Role};
use proptest::prelude::*;

const SAMPLE: &str = include_str!("../../../mdm/settings.yaml");

fn file(desktop: &str, code: &str) -> String {
    let indented = |text: &str| {
        let lines: Vec<&str> = text.lines().collect();
        format!("      {}\n", lines.join("\n      "))
    };
    format!(
        "schema: tollgate.mdm/v1\norganization: O\nidentifier: com.example.t\nprofiles:\n  p:\n    \
         claude_desktop:\n{}    claude_code:\n{}",
        indented(desktop),
        indented(code)
    )
}

const DESKTOP: &str = "inferenceProvider: gateway\ninferenceGatewayBaseUrl: https://g.example";
const CODE: &str = "apiKeyHelper: h\nenv: { ANTHROPIC_BASE_URL: https://g.example }";

fn faults(text: &str) -> Vec<(usize, String)> {
    let faults = settings::parse(text).unwrap().expect_err("there are faults");
    faults.into_iter().map(|one| (one.at.line, format!("{}: {}", one.place, one.problem))).collect()
}

/// One fault, on this line, with these words.
#[track_caller]
fn says(text: &str, line: usize, words: &str) {
    let faults = faults(text);
    let [(at, said)] = faults.as_slice() else { panic!("{faults:#?}") };
    assert!(*at == line && said.contains(words), "{at}: {said}");
}

#[track_caller]
fn warns(text: &str, words: &str) {
    let settings = settings::parse(text).unwrap().unwrap();
    let told: Vec<&String> = settings.warnings.iter().map(|one| &one.problem).collect();
    assert!(told.iter().any(|one| one.contains(words)), "{told:#?}");
}

#[test]
fn the_sample_has_no_faults_and_no_warnings_and_inherits() {
    let settings = settings::parse(SAMPLE).unwrap().unwrap();

    assert_eq!(settings.warnings, []);
    let names: Vec<&str> = settings.given().map(|profile| profile.name.as_str()).collect();
    assert_eq!(names, ["engineering", "engineering-windows", "restricted", "restricted-windows"]);
    let windows = chosen(&settings, Some("engineering-windows")).unwrap();
    assert_eq!(windows.desktop["inferenceProvider"], "gateway", "of the template");
    assert_eq!(windows.desktop["otlpEndpoint"], "https://otel.example.com", "of the other");
    let helper = r"C:\Program Files\Tollgate\tollgate-helper.exe";
    assert_eq!(windows.desktop["inferenceCredentialHelper"], helper, "its own");
    assert!(chosen(&settings, Some("base")).is_err() && chosen(&settings, None).is_err());
}

#[test]
fn each_fault_is_told_with_its_line_and_what_would_be_right() {
    let desktop = |more: &str| file(&format!("{DESKTOP}\n{more}"), CODE);
    for (more, words) in [
        ("inferenceGatewayBaseURL2: x", "Did you mean inferenceGatewayBaseUrl?"),
        ("isDxtEnabled: false", "write isDesktopExtensionEnabled"),
        ("inferenceGatewayOidc.clientId: x", "has a dot"),
        ("isLocalDevMcpEnabled: no", "write false"),
        ("isLocalDevMcpEnabled: 0", "true or false belongs here"),
        ("autoUpdaterEnforcementHours: 100", "1 to 72"),
        ("autoUpdaterEnforcementHours: '24'", "write 24"),
        ("inferenceGatewayAuthScheme: sso", "no longer read"),
        ("inferenceGatewayAuthScheme: bearr", "Did you mean bearer?"),
        ("deploymentDisplayName: 5", "write \"5\""),
        ("deploymentOrganizationUuid: x", "no UUID"),
        ("otlpEndpoint: ftp://x", "http:// or https://"),
        ("bootstrapUrl: http://x.example", "https:// (http:// only to 127.0.0.1)"),
        ("bootstrapUrl: https://u:hunter2@x.example", "has a credential"),
        ("inferenceBedrockAwsCliPath: aws", "absolute path"),
        ("coworkEgressAllowedHosts: https://x", "a list belongs here"),
        ("coworkEgressAllowedHosts: ['https://x']", "a host belongs here"),
        ("managedMcpServers: [{ name: a, urll: 'https://x.example' }]", "Did you mean url?"),
        ("managedMcpServers: [{ url: 'https://x.example' }]", "name: is missing"),
        ("managedMcpServers: [{ name: a, toolPolicy: { t: block } }]", "Did you mean blocked?"),
        ("banner: { backgroundColor: red }", "#F5F5F5"),
        ("deploymentDisplayName: \"a\\u0001\"", "U+0001"),
        ("inferenceMaxTokensPerWindow: 5", "inferenceTokenWindowHours: is missing"),
        ("modelDiscoveryEnabled: false", "inferenceModels: is missing"),
        ("inferenceCredentialKind: helper-script", "inferenceCredentialHelper: is missing"),
        (
            "allowedPluginMarketplaces: [{ source: url, url: 'https://x.example/m', installationPreference: required }]",
            "manifestSha256",
        ),
    ] {
        says(&desktop(more), 9, words);
    }
    for name in ["'FOO;rm'", "a-b", "1A", "\"A\\nB\""] {
        let code = format!("apiKeyHelper: h\nenv: {{ {name}: x }}");
        let told = faults(&file(DESKTOP, &code));
        assert!(told.iter().any(|(_, problem)| problem.contains("name of a variable")), "{told:?}");
    }
    let key = faults(&desktop("inferenceGatewayApiKey: [hunter2]"));
    assert!(!format!("{key:?}").contains("hunter2"), "a secret is not told: {key:?}");
    says(&file("inferenceProvider: gateway", CODE), 7, "inferenceGatewayBaseUrl: is missing");
    says(&file("inferenceProvider: gatway", CODE), 7, "Did you mean gateway?");
}

#[test]
fn all_faults_are_told_at_once() {
    let text = file("inferenceProvider: x\nfoo: 1\nautoModeEnabled: maybe", "nope: 1");

    let lines: Vec<usize> = faults(&text).into_iter().map(|(line, _)| line).collect();

    assert_eq!(lines, [7, 8, 9, 11]);
}

#[test]
fn a_sign_in_that_is_forced_goes_with_no_key_helper() {
    let both = "forceLoginMethod: gateway\nforceLoginGatewayUrl: https://g.example\napiKeyHelper: h\nenv: { ANTHROPIC_BASE_URL: https://g.example }";
    says(&file(DESKTOP, both), 10, "apiKeyHelper: does not go with forceLoginMethod");
    let token = "forceLoginMethod: claudeai\nenv: { ANTHROPIC_AUTH_TOKEN: x }";
    says(&file(DESKTOP, token), 10, "env.ANTHROPIC_AUTH_TOKEN: does not go with");
    says(&file(DESKTOP, "forceLoginMethod: gateway"), 10, "forceLoginGatewayUrl: is missing");
    let alone = "forceLoginMethod: gateway\nforceLoginGatewayUrl: https://g.example";
    assert!(settings::parse(&file(DESKTOP, alone)).unwrap().is_ok());
}

#[test]
fn secrets_and_what_loosens_are_warned_of() {
    let desktop = |more: &str| file(&format!("{DESKTOP}\n{more}"), CODE);
    warns(&desktop("inferenceGatewayApiKey: hunter2"), "is a secret");
    warns(
        &desktop("otlpEndpoint: https://o.example\notlpHeaders: { x-api-key: hunter2 }"),
        "is a secret",
    );
    warns(&desktop("isLocalDevMcpEnabled: true"), "loosens: false is the stricter");
    warns(&desktop("coworkEgressAllowedHosts: ['*']"), "* opens everything");
    warns(&desktop("requireCoworkFullVmSandbox: true"), "is deprecated");
    warns(&file(DESKTOP, "apiKeyHelper: h"), "goes to Anthropic");
}

#[test]
fn a_profile_extends_one_that_is_there_and_not_itself() {
    let text = |one: &str, two: &str| {
        format!(
            "schema: tollgate.mdm/v1\norganization: O\nidentifier: com.example.t\nprofiles:\n  aa: {{ extends: {one} }}\n  bb: {{ extends: {two} }}\n"
        )
    };
    says(&text("bbb", "aa"), 5, "Did you mean bb?");
    assert_eq!(faults(&text("bb", "aa")).len(), 2);
    let taken = SAMPLE.replace(
        "otlpEndpoint: https://otel.example.com",
        "banner: null\n      autoUpdaterEnforcementHours: null",
    );
    let settings = settings::parse(&taken).unwrap().unwrap();
    let engineering = chosen(&settings, Some("engineering")).unwrap();
    assert!(!engineering.desktop.contains_key("autoUpdaterEnforcementHours"), "taken away");
}

#[test]
fn keys_that_the_table_does_not_have_pass_where_they_are_said_to_be_unchecked() {
    let newer = format!(
        "{}    unchecked: {{ claude_desktop: {{ newKey: [1, a] }} }}\n",
        file(DESKTOP, CODE)
    );
    warns(&newer, "is not checked");
    let settings = settings::parse(&newer).unwrap().unwrap();
    assert_eq!(settings.profiles[0].desktop["newKey"], json!([1, "a"]));
    let known = newer.replace("newKey", "banner");
    says(&known, 12, "is a key of the table");
}

#[test]
fn a_change_that_opens_something_loosens() {
    let table = keys::of(Product::Desktop).unwrap();
    let of = |name: &str, before: Value, after: Value| {
        let some = |value: Value| (!value.is_null()).then_some(value);
        security::effect(table, name, some(before).as_ref(), some(after).as_ref())
    };
    for (name, before, after, effect) in [
        ("isLocalDevMcpEnabled", json!(false), json!(null), Loosens),
        ("isLocalDevMcpEnabled", json!(null), json!(false), Tightens),
        ("isLocalDevMcpEnabled", json!(null), json!(true), Changes),
        ("isDesktopExtensionEnabled", json!(false), json!(null), Changes),
        ("isDesktopExtensionEnabled", json!(null), json!(true), Loosens),
        ("skillCreationEnabled", json!(false), json!(null), Loosens),
        ("coworkEgressAllowedHosts", json!(["a"]), json!(["a", "b"]), Loosens),
        ("coworkEgressAllowedHosts", json!(["a", "b"]), json!(["a"]), Tightens),
        ("coworkEgressAllowedHosts", json!(["a"]), json!(null), Tightens),
        ("allowedWorkspaceFolders", json!(["a"]), json!(null), Loosens),
        ("allowedWorkspaceFolders", json!(null), json!(["a"]), Tightens),
        ("disabledBuiltinTools", json!(["WebFetch"]), json!(null), Loosens),
        ("disabledBuiltinTools", json!(null), json!(["WebFetch"]), Tightens),
        ("otlpAuthMode", json!("none"), json!("inference-credential"), Loosens),
        ("autoUpdaterEnforcementHours", json!(24), json!(null), Loosens),
        ("inferenceGatewayBaseUrl", json!("https://a"), json!("https://b"), Redirects),
        ("deploymentDisplayName", json!("a"), json!("b"), Changes),
        ("nobodyKnows", json!(1), json!(2), Redirects),
    ] {
        assert_eq!(of(name, before.clone(), after.clone()), effect, "{name}: {before} → {after}");
    }
    let code = keys::of(Product::Code).unwrap();
    let permissions = |before: Value, after: Value| {
        security::effect(code, "permissions", Some(&before), Some(&after))
    };
    assert_eq!(permissions(json!({"deny": ["a"]}), json!({})), Loosens);
    assert_eq!(permissions(json!({}), json!({"deny": ["a"]})), Tightens);
    assert_eq!(permissions(json!({}), json!({"allow": ["a"]})), Loosens);
    let mode = |mode: &str| json!({ "defaultMode": mode });
    assert_eq!(permissions(json!({}), mode("bypassPermissions")), Loosens);
    assert_eq!(permissions(mode("plan"), mode("acceptEdits")), Loosens);
    assert_eq!(permissions(mode("acceptEdits"), mode("plan")), Tightens);
}

#[test]
fn the_page_says_what_may_stand_in_the_file() {
    let page = include_str!("../../../docs/mdm.md");
    for member in [SETTINGS, PROFILE, UNCHECKED].concat() {
        assert!(page.contains(&format!("`{}`", member.name)), "docs/mdm.md lacks {}", member.name);
    }
    let table = keys::of(Product::Desktop).unwrap();
    assert!(page.contains(&table.as_of), "docs/mdm.md lacks the table's date");
}

#[test]
fn hosts_follow_the_settings_that_open_them() {
    let hosts = |desktop: &str| -> Vec<String> {
        let settings =
            settings::parse(&file(&format!("{DESKTOP}:8443\n{desktop}"), CODE)).unwrap().unwrap();
        let needs = egress::needs(&settings.profiles[0]).unwrap();
        needs.iter().map(|need| format!("{} {}", need.feature, need.host.line())).collect()
    };
    let all = hosts(
        "managedMcpServers: [{ name: a, transport: http, url: 'https://mcp.example/x' }]\ncoworkEgressAllowedHosts: ['*.a.example', 'b.example:22']",
    );
    for host in [
        "inference g.example:8443",
        "inference g.example",
        "MCP servers mcp.example",
        "sandbox *.a.example",
        "sandbox b.example:22",
        "always downloads.claude.ai",
        "updates api.anthropic.com",
        "essential telemetry *.sentry.io",
        "other services cdn.jsdelivr.net",
    ] {
        assert!(all.iter().any(|one| one == host), "{host}: {all:#?}");
    }
    let closed = hosts(
        "disableAutoUpdates: true\ndisableEssentialTelemetry: true\ndisableNonessentialTelemetry: true\ndisableNonessentialServices: true",
    );
    assert_eq!(
        closed,
        ["always downloads.claude.ai", "inference g.example", "inference g.example:8443"]
    );
    let feed = hosts("updateViaUpdatesHost: true\ndisableNonessentialTelemetry: true");
    assert!(feed.contains(&"updates releases.claude.com".to_owned()));
    assert!(!feed.iter().any(|host| host.ends_with("api.anthropic.com")), "{feed:#?}");
}

#[tokio::test]
async fn nobody_elsewhere_has_the_gateways_host_try_addresses() {
    let file = "/nowhere/settings.yaml".into();
    let wanted = EgressArgs { file, profile: None, txt: false, test: true, authorities: None };
    let somebody =
        Operator::new("ann@example.com", Role::ALL.to_vec(), None, How::Token("s".into()));
    for (operator, words) in [(somebody, "--test tries them"), (Operator::owner(), "no file")] {
        let ended = egress::run(&wanted, &operator, &mut Screen::nowhere()).await;
        let error = ended.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Texts that formats stumble over.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("'".to_owned()),
        Just("\n".to_owned()),
        Just("\t".to_owned()),
        Just(" ".to_owned()),
        Just("&amp;<a b='c'>]]>".to_owned()),
        Just("%VAR%".to_owned()),
        Just("$(x)`y`".to_owned()),
        Just("é漢😀".to_owned()),
        Just("\u{2028}".to_owned()),
        Just(";#=[x]".to_owned()),
        Just("true".to_owned()),
        "[ -~]{0,8}".prop_map(|text| text),
    ];
    proptest::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_comes_back_from_every_format_as_it_was(text in texts(), truth: bool, number in 1i64..72) {
        let mut keys = Keys::new();
        keys.insert("organizationInstructions".into(), text.as_str().into());
        keys.insert("otlpHeaders".into(), json!({ text.as_str(): [text.as_str()] }));
        keys.insert("coworkEgressAllowedHosts".into(), json!([text.as_str(), ""]));
        keys.insert("autoModeEnabled".into(), truth.into());
        keys.insert("autoUpdaterEnforcementHours".into(), number.into());
        let settings = Settings { organization: text.clone(), identifier: "com.example.t".into(), ..Settings::default() };
        let profile = Profile { name: "p".into(), about: Some(text.clone()), ..Profile::default() };
        let tables = [keys::of(Product::Desktop).unwrap(), keys::of(Product::Code).unwrap()];
        for product in [Product::Desktop, Product::Code] {
            let exported = Exported { product, keys: &keys, profile: &profile, settings: &settings };
            let expected = vec![(product, keys.clone())];
            let profile = apple::mobileconfig(&exported).unwrap();
            prop_assert_eq!(&apple::read(profile.as_bytes(), tables).unwrap(), &expected);
            let file = registry::file(&exported, crate::args::mdm::Hive::Hklm);
            prop_assert_eq!(&registry::read(&registry::utf16(&file), tables).unwrap(), &expected);
            prop_assert_eq!(apple::mobileconfig(&exported).unwrap(), profile, "the same bytes");
        }
        let exported = Exported { product: Product::Desktop, keys: &keys, profile: &profile, settings: &settings };
        let bare = apple::preferences(&exported).unwrap();
        prop_assert_eq!(&apple::read(bare.as_bytes(), tables).unwrap(), &vec![(Product::Desktop, keys.clone())]);
    }

    #[test]
    fn no_file_of_the_registry_and_no_property_list_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in texts()) {
        let tables = [keys::of(Product::Desktop).unwrap(), keys::of(Product::Code).unwrap()];
        drop(registry::read(&bytes, tables));
        drop(apple::read(&bytes, tables));
        let file = format!("Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Claude]\r\n\"a\"={text}\r\n\"b\"=hex(1):00\r\n\"c\"=dword:0000000a\r\n");
        drop(registry::read(file.as_bytes(), tables));
    }
}
