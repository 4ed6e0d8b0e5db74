use super::*;
use crate::envoy::assemble::assemble;
use crate::envoy::tests::{Bench, edited};

const SAID: &str = "[2026-11-22 01:54:34.380][1][critical][main] [source/server/config_validation/server.cc:76] \
    error initializing configuration '/tmp/x/check.yaml': ";

fn told(bench: &Bench, said: &str) -> Fault {
    let set = bench.live();
    let whole = assemble(&set).unwrap();
    let secrets = Secrets::of([&set]);

    read(&format!("{SAID}{said}"), &whole, &set, &secrets)
}

#[test]
fn a_field_that_envoy_does_not_know_is_led_back_to_its_line() {
    let bench = Bench::new();
    bench.edit(
        "clusters.yaml",
        "connect_timeout: 1s\n  load_assignment:\n    cluster_name: tollgate_sidecar",
        "connect_timout: 1s\n  load_assignment:\n    cluster_name: tollgate_sidecar",
    );
    let line = bench.line("clusters.yaml", "connect_timout");

    let fault = told(
        &bench,
        "Protobuf message (type envoy.config.bootstrap.v3.Bootstrap reason INVALID_ARGUMENT: invalid JSON  in envoy.config.bootstrap.v3.Bootstrap @ static_resources.clusters[1]: message envoy.config.cluster.v3.Cluster,  near   1:30580 (offset  30579): no  such   field: 'connect_timout') has unknown fields",
    );

    assert_eq!(
        fault.line(),
        format!("clusters.yaml:{line}:3: Envoy: no such field: 'connect_timout'")
    );
}

#[test]
fn a_place_within_a_filter_s_configuration_is_found_through_what_was_put_together() {
    let bench = Bench::new();
    bench.edit("routes.yaml", "timeout: 0s #", "timeut: 0s #");
    let line = bench.line("routes.yaml", "timeut: 0s #");

    let fault = told(
        &bench,
        "Protobuf message (type x reason INVALID_ARGUMENT: invalid JSON in y @ static_resources.listeners[0].filter_chains[0].filters[0].typed_config.<any>.route_config.virtual_hosts[0].routes[0].route: message envoy.config.route.v3.RouteAction, near 1:11615 (offset 11614): no such field: 'timeut') has unknown fields",
    );

    assert_eq!(fault.line(), format!("routes.yaml:{line}:9: Envoy: no such field: 'timeut'"));
}

#[test]
fn a_constraint_is_led_back_from_the_names_of_its_classes_and_the_dump_before_it_is_not_told() {
    let bench = Bench::new();
    let line = bench.line("clusters.yaml", "connect_timeout: 1s");

    let fault = told(
        &bench,
        "goo.gle/debugproto\nnode {\n id: \"ANTHROPIC_API_KEY\"\n}\n: Proto constraint validation failed (BootstrapValidationError.StaticResources: embedded message failed validation | caused by StaticResourcesValidationError.Clusters[1]: embedded message failed validation | caused by ClusterValidationError.ConnectTimeout: value must be greater than 0s)\n",
    );

    let expected =
        format!("clusters.yaml:{line}:20: Envoy: connect_timeout: value must be greater than 0s");
    assert_eq!(fault.line(), expected);
}

#[test]
fn what_stands_behind_a_sentence_is_never_told() {
    let bench = Bench::new();
    for said in [
        "Unable to parse JSON as proto (INVALID_ARGUMENT: invalid JSON in x @ static_resources.secrets[0].generic_secret.secret.inline_string: string, near 1:31206 (offset 31205): unexpected character: '['; expected '\"'): {\"node\": {\"x\": \"CANARY\"}}",
        "something new ANTHROPIC_API_KEY {\"x\": \"CANARY\"}",
        "goo.gle/debugstr\n x: \"CANARY\"",
        "route: unknown cluster 'ANTHROPIC_API_KEY'",
    ] {
        let line = told(&bench, said).line();
        assert!(!line.contains("CANARY") && !line.contains("API_KEY"), "{line}");
    }
}

#[test]
fn a_secret_that_stands_where_a_name_belongs_is_not_quoted() {
    assert_eq!(veiled("no such field: 'sk-ant-CANARY'"), "no such field: '…'");
    let plain = "no such field: 'inline_strin'; unexpected character: '['; expected '\"'";
    assert_eq!(veiled(plain), plain);
}

#[test]
fn a_name_that_is_quoted_is_looked_for_in_the_operator_s_files() {
    let bench = Bench::new();
    let line = bench.line("clusters.yaml", "trusted_ca");

    let fault = told(&bench, "Invalid path: /etc/ssl/certs/ca-certificates.crt\n");

    assert_eq!(fault.file.as_deref(), Some("clusters.yaml"));
    assert_eq!(fault.at.map(|at| at.line), Some(line));
}

#[test]
fn the_filter_s_own_words_stand_at_its_configuration() {
    let bench = Bench::new();
    let said = "[2026-11-22 01:54:34.022][2][error][wasm] [source/x.cc:1157] wasm log gate tollgate: the gate does not start: no keys\n[2026-11-22 01:54:34.022][2][error][wasm] [source/y.cc:104] Wasm VM failed\n";
    let set = bench.live();
    let whole = assemble(&set).unwrap();

    let fault = read(said, &whole, &set, &Secrets::default());

    assert_eq!(fault.file.as_deref(), Some("gate.yaml"));
    assert!(fault.problem.ends_with("the gate does not start: no keys"), "{}", fault.problem);
}

#[tokio::test]
async fn a_binary_that_is_none_is_said_to_be_none_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let set = edited(&bench, &[]);
    let whole = assemble(&set).unwrap();
    let secrets = Secrets::default();
    for bin in ["/nowhere/envoy", "false"] {
        let place = EnvoyPlace { bin: bin.into(), ..bench.place() };

        let error = validate(&whole, &place, &set, &secrets).await.unwrap_err().to_string();

        assert!(error.contains("--envoy-bin"), "{error}");
    }
}
