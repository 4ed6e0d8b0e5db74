//! What a call is likely to cost chooses its route.

use e2e::provider::Provider;
use e2e::provider::script::{Script, Usage};
use e2e::suite::{Suite, bare};
use e2e::world::setup::Setup;
use e2e::world::{PROVIDER_KEY, World};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::LazyLock;

/// Where the cheap goes.
static CHEAP: LazyLock<Provider> = LazyLock::new(|| {
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    bare(Provider::start(listen, PROVIDER_KEY, None)).unwrap()
});

static SUITE: Suite = Suite::new(|| {
    let role = r#""role": "gate","#;
    let classes = r#""cost_classes": [{"name": "small", "below": "0.01"}, {"name": "large"}],"#;
    Setup::named("costs")
        .edit("gate.yaml", role, &format!("{role} {classes}"))
        .cluster("cheap", "{provider: anthropic, region: cheap}", CHEAP.address.port())
        .route(&[
            "match: {path: /v1/messages, headers: [{name: x-tollgate-cost-class, string_match: {exact: small}}]}",
            "route: {cluster: cheap, host_rewrite_literal: api.anthropic.com, timeout: 0s}",
        ])
});

/// Did a call go where the cheap goes?
async fn goes_cheap(world: &World, members: &[(&str, Value)], forged: Option<&str>) -> bool {
    let script = Script::new().usage(Usage { output: 20, ..Usage::default() });
    let mut call = world.call(&script);
    for (name, value) in members {
        call = call.member(name, value.clone());
    }
    if let Some(class) = forged {
        call = call.header("x-tollgate-cost-class", class);
    }
    let answer = call.send(world).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(CHEAP.violations(), [""; 0], "reached the provider and must not");
    let (cheap, dear) = (CHEAP.seen(&script).len(), world.provider.seen(&script).len());
    assert_eq!(cheap + dear, 1, "{cheap} and {dear}");

    cheap == 1
}

fn said(bytes: usize) -> (&'static str, Value) {
    ("messages", json!([{ "role": "user", "content": "word ".repeat(bytes / 5) }]))
}

#[test]
fn a_small_call_goes_elsewhere_and_a_large_one_does_not() {
    SUITE.run(async |world| {
        let haiku = || ("model", json!("claude-haiku-4-5"));
        assert!(goes_cheap(world, &[], None).await);
        assert!(!goes_cheap(world, &[said(40_000)], None).await, "12,000 tokens are 3.6 cents");
        assert!(goes_cheap(world, &[haiku(), said(20_000)], None).await, "a third of the price");
    });
}

#[test]
fn an_image_counts_by_its_size_and_not_by_its_bytes() {
    SUITE.run(async |world| {
        let source =
            json!({ "type": "base64", "media_type": "image/png", "data": "A".repeat(400_000) });
        let image = json!([{ "role": "user", "content": [{ "type": "image", "source": source }] }]);

        assert!(
            goes_cheap(world, &[("messages", image)], None).await,
            "1,600 tokens, and not 120,000"
        );
    });
}

#[test]
fn how_long_answers_were_is_learned() {
    SUITE.run(async |world| {
        // Nothing else here asks for this model.
        let model = || ("model", json!("claude-sonnet-4-6"));
        let members = [model(), ("max_tokens", json!(32_000))];
        for _ in 0..8 {
            assert!(!goes_cheap(world, &members, None).await, "it could be 48 cents");
        }
        assert!(goes_cheap(world, &members, None).await, "it never was over 20 tokens");
    });
}

#[test]
fn a_client_does_not_say_what_its_calls_cost() {
    SUITE.run(async |world| {
        assert!(!goes_cheap(world, &[said(40_000)], Some("small")).await);
        assert!(goes_cheap(world, &[], Some("large")).await);
    });
}
