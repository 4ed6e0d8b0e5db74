//! Who the policy pins to a zone does not leave it: not by a wrong route, not by a cluster that says nothing, not by
//! retry or failover, not by a header of their own.

use e2e::client::answer::Answer;
use e2e::client::connection::Via;
use e2e::provider::Provider;
use e2e::provider::script::Script;
use e2e::suite::{Suite, alone, bare};
use e2e::world::rows::Row;
use e2e::world::setup::{Setup, upstream};
use e2e::world::{PROVIDER_KEY, World, ports};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::LazyLock;

/// The provider in Europe. The world's own is the one in America.
static EUROPE: LazyLock<Provider> = LazyLock::new(|| {
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    bare(Provider::start(listen, PROVIDER_KEY, None)).unwrap()
});

static SUITE: Suite = Suite::new(|| setup("resides"));

fn policy(residency: &Value) -> Value {
    json!({ "schema": "tollgate.policy/v1", "name": "e2e", "residency": residency,
        "rules": [{ "id": "everyone", "models": ["claude-haiku-*", "claude-sonnet-*"] }] })
}

fn pins() -> Value {
    policy(&json!([
        { "id": "gdpr", "who": { "regions": ["eu"] }, "zone": "eu" },
        { "id": "mandates", "who": { "tenants": ["bank"] }, "zone": "ch" },
    ]))
}

/// Who calls from Europe with haiku is routed to Europe. All else goes to America, unless an agent's name says
/// otherwise: the routes that somebody got wrong.
fn setup(name: &'static str) -> Setup {
    let europe = EUROPE.address.port();
    let dead = ports::port().unwrap().port();
    let mut setup = Setup { policy: pins(), ..Setup::named(name) }
        .cluster("europe", "{provider: anthropic, region: eu, zones: [ch, eu]}", europe)
        .cluster("silent", "{provider: anthropic, region: eu}", europe)
        .cluster("garbled", "{provider: anthropic, region: eu, zones: eu}", europe)
        .cluster(
            "neighbour",
            "{provider: anthropic, region: eu, zones: [eu-west, e, eurasia]}",
            europe,
        )
        .cluster("down", "{provider: anthropic, region: eu, zones: [eu]}", dead)
        .clusters(&aggregate(
            "failover",
            "{provider: anthropic, region: eu, zones: [eu]}",
            "down, europe",
        ))
        .clusters(&aggregate("world_wide", "{provider: anthropic}", "down, anthropic"));
    for (agent, target) in [
        ("silent", "cluster: silent"),
        ("garbled", "cluster: garbled"),
        ("neighbour", "cluster: neighbour"),
        ("down", "cluster: down"),
        ("failover", "cluster: failover"),
        ("world-wide", "cluster: world_wide"),
        (
            "weighted",
            "weighted_clusters: {clusters: [{name: anthropic, weight: 1}, {name: europe, weight: 1}]}",
        ),
        ("missing", "cluster_header: x-tollgate-agent"),
    ] {
        setup = setup.route(&[
            &format!("match: {{path: /v1/messages, headers: [{{name: x-tollgate-agent, string_match: {{exact: {agent}}}}}]}}"),
            &format!(
                "route: {{{target}, host_rewrite_literal: api.anthropic.com, timeout: 0s, retry_policy: {{retry_on: \
                 \"connect-failure,refused-stream,reset-before-request,5xx\", num_retries: 3, \
                 retry_priority: {{name: previous, typed_config: {{\"@type\": {PREVIOUS}, update_frequency: 1}}}}}}}}"
            ),
        ]);
    }

    setup.route(&[
        "match: {path: /v1/messages, headers: [{name: x-tollgate-region, string_match: {exact: eu}}, {name: \
         x-tollgate-model, string_match: {prefix: claude-haiku}}]}",
        "route: {cluster: europe, host_rewrite_literal: api.anthropic.com, timeout: 0s}",
    ])
}

fn aggregate(name: &str, metadata: &str, members: &str) -> String {
    format!(
        "- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: {name}\n  \
         metadata: {{filter_metadata: {{tollgate: {metadata}}}}}\n  connect_timeout: 1s\n  lb_policy: CLUSTER_PROVIDED\n  \
         cluster_type: {{name: envoy.clusters.aggregate, typed_config: {{\"@type\": \
         type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig, clusters: [{members}]}}}}\n{}",
        upstream()
    )
}

/// Where calls arrived.
#[derive(Debug, PartialEq, Eq)]
enum Arrived {
    Nowhere,
    America,
    Europe,
}

/// A caller of a tenant and a region.
struct Caller<'w> {
    world: &'w World,
    token: String,
}

impl<'w> Caller<'w> {
    fn of(world: &'w World, tenant: &str, region: Option<&str>) -> Self {
        let token = world.token_with(|_, claims| {
            claims["tenant_id"] = json!(tenant);
            if let Some(region) = region {
                claims["region"] = json!(region);
            }
        });
        Self { world, token }
    }

    /// A call with this model and these headers: its answer, where it arrived, its row.
    async fn calls(&self, model: &str, headers: &[(&str, &str)]) -> (Answer, Arrived, Row) {
        let (world, script) = (self.world, Script::new());
        let mut call =
            world.call(&script).via(Via::Http2).bearer(&self.token).member("model", json!(model));
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let answer = call.send(world).await;
        let row = world.row_from(answer.source).await;
        let arrived = match (world.provider.seen(&script).len(), EUROPE.seen(&script).len()) {
            (0, 0) => Arrived::Nowhere,
            (1.., 0) => Arrived::America,
            (0, 1..) => Arrived::Europe,
            both => panic!("{both:?}"),
        };
        assert_eq!(EUROPE.violations(), [""; 0], "reached the provider and must not");

        (answer, arrived, row)
    }

    /// A call by a route that somebody got wrong.
    async fn by(&self, agent: &str) -> (Answer, Arrived, Row) {
        self.calls(SONNET, &[("x-claude-code-agent-id", agent)]).await
    }
}

/// A retry goes to another priority, which in an aggregate cluster is another cluster.
const PREVIOUS: &str = "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig";

const HAIKU: &str = "claude-haiku-4-5";
const SONNET: &str = "claude-sonnet-4-5";

/// It was refused because its route led out of its zone, and told so.
fn assert_kept(
    what: &str,
    (answer, arrived, row): &(Answer, Arrived, Row),
    rule: &str,
    zone: &str,
) {
    answer.assert_refused(403, "permission_error");
    let body = answer.json();
    let message = "No provider of your region's zone serves this call. It has not left.";
    assert_eq!(body["error"]["message"], message, "{what}");
    assert_eq!(body["request_id"], row.text("event_id"), "{what}");

    assert_eq!(*arrived, Arrived::Nowhere, "{what}");
    assert_eq!((row.text("outcome"), row.text("rule_id")), ("denied", rule), "{what}: {row:?}");
    assert_eq!(row.payload["refusal"], "outside_zone", "{what}");
    assert_eq!(row.payload["zone"], zone, "{what}");
    assert_eq!((row.text("provider"), row.text("upstream_region")), ("", ""), "{what}");
}

#[test]
fn a_pinned_caller_reaches_the_cluster_of_their_zone_by_one_line() {
    SUITE.run(async |world| {
        let (answer, arrived, row) = Caller::of(world, "acme", Some("eu")).calls(HAIKU, &[]).await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(arrived, Arrived::Europe);
        assert_eq!((row.text("outcome"), row.text("upstream_region")), ("allowed", "eu"));
        assert_eq!(row.payload["zone"], "eu");
    });
}

#[test]
fn a_wrong_route_is_refused_before_anything_reaches_the_other_zone() {
    SUITE.run(async |world| {
        let european = Caller::of(world, "acme", Some("eu"));

        assert_kept("the default", &european.calls(SONNET, &[]).await, "gdpr", "eu");
        let swiss = Caller::of(world, "bank", Some("us"));
        assert_kept("a tenant", &swiss.calls(HAIKU, &[]).await, "mandates", "ch");
    });
}

#[test]
fn a_cluster_that_does_not_say_the_zone_is_none_of_it() {
    SUITE.run(async |world| {
        let european = Caller::of(world, "acme", Some("eu"));
        for agent in ["silent", "garbled", "neighbour", "missing"] {
            assert_kept(agent, &european.by(agent).await, "gdpr", "eu");
        }
    });
}

#[test]
fn neither_weights_nor_retries_nor_failover_lead_out_of_the_zone() {
    SUITE.run(async |world| {
        let european = Caller::of(world, "acme", Some("eu"));
        for _ in 0..8 {
            let (answer, arrived, row) = european.by("weighted").await;
            match answer.status {
                200 => assert_eq!(arrived, Arrived::Europe),
                _ => assert_kept("weighted", &(answer, arrived, row), "gdpr", "eu"),
            }
        }

        let (answer, arrived, row) = european.by("down").await;
        answer.assert_refused(529, "overloaded_error");
        assert_eq!((arrived, row.text("outcome")), (Arrived::Nowhere, "error"));

        let (answer, arrived, _) = european.by("failover").await;
        assert_eq!((answer.status, arrived), (200, Arrived::Europe), "{}", answer.text());
        assert_kept("world wide", &european.by("world-wide").await, "gdpr", "eu");
    });
}

#[test]
fn what_a_client_says_of_its_zone_counts_for_nothing() {
    SUITE.run(async |world| {
        let european = Caller::of(world, "acme", Some("eu"));
        for forged in ["none", "us", "", "us, none"] {
            let headers = [("x-tollgate-residency", forged), ("x-tollgate-region", "us")];
            assert_kept(forged, &european.calls(SONNET, &headers).await, "gdpr", "eu");
        }

        let american = Caller::of(world, "acme", Some("us"));
        let (answer, arrived, _) = american.calls(SONNET, &[("x-tollgate-residency", "eu")]).await;
        assert_eq!((answer.status, arrived), (200, Arrived::America), "{}", answer.text());
    });
}

#[test]
fn who_is_not_pinned_goes_wherever_routes_lead() {
    SUITE.run(async |world| {
        for region in [None, Some("us")] {
            let caller = Caller::of(world, "acme", region);
            let (answer, arrived, row) = caller.calls(HAIKU, &[]).await;
            assert_eq!((answer.status, arrived), (200, Arrived::America), "{}", answer.text());
            assert_eq!((row.text("upstream_region"), row.payload.get("zone")), ("us", None));
            for agent in ["silent", "garbled", "failover"] {
                assert_eq!(caller.by(agent).await.1, Arrived::Europe, "{agent}");
            }
            assert_eq!(caller.by("world-wide").await.1, Arrived::America);
        }
        let (answer, ..) = Caller::of(world, "acme", None).by("missing").await;
        assert_eq!(answer.status, 529, "{}", answer.text());
    });
}

#[test]
fn a_policy_that_pins_nobody_sets_no_header() {
    let seen =
        "match: {path: /v1/messages, headers: [{name: x-tollgate-residency, present_match: true}]}";
    let setup = Setup { policy: policy(&json!([])), ..Setup::named("resides-nobody") }
        .route(&[seen, "direct_response: {status: 418}"]);
    alone(setup, async |world| {
        let forged = [("x-tollgate-residency", "eu")];
        let (answer, arrived, _) =
            Caller::of(world, "acme", Some("eu")).calls(HAIKU, &forged).await;

        assert_eq!((answer.status, arrived), (200, Arrived::America), "{}", answer.text());
    });
}

#[test]
fn the_oldest_envoy_keeps_them_too() {
    alone(Setup { oldest: true, ..setup("resides-oldest") }, async |world| {
        let european = Caller::of(world, "acme", Some("eu"));
        let (answer, arrived, _) = european.calls(HAIKU, &[]).await;
        assert_eq!((answer.status, arrived), (200, Arrived::Europe), "{}", answer.text());
        assert_kept("the default", &european.calls(SONNET, &[]).await, "gdpr", "eu");
        for agent in ["silent", "garbled", "neighbour", "missing", "world-wide"] {
            assert_kept(agent, &european.by(agent).await, "gdpr", "eu");
        }
        let (_, arrived, _) = Caller::of(world, "acme", None).calls(HAIKU, &[]).await;
        assert_eq!(arrived, Arrived::America);
    });
}

#[test]
fn a_foreign_ingress_keeps_them_by_the_drop_in() {
    let setup = Setup { foreign: true, policy: pins(), ..Setup::named("resides-foreign") };
    alone(setup, async |world| {
        for (region, status, outcome, rule) in
            [("eu", 403, "denied", "gdpr"), ("us", 200, "allowed", "everyone")]
        {
            let token = world.token_with(|_, claims| claims["region"] = json!(region));
            let script = Script::new();
            let answer = world.call(&script).bearer(&token).via(Via::Plain).send(world).await;

            assert_eq!(answer.status, status, "{region}: {}", answer.text());
            assert_eq!(world.provider.seen(&script).len(), usize::from(status == 200), "{region}");
            let row = world.row_from(answer.source).await;
            assert_eq!((row.text("outcome"), row.text("rule_id")), (outcome, rule), "{region}");
        }
    });
}
