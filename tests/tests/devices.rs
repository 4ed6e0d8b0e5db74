//! Device certificates on the real Envoy: which calls have to come over them, and who may sign in how.

use e2e::client::Call;
use e2e::client::answer::Answer;
use e2e::client::connection::Via;
use e2e::identity::pki::{ClientCertificate, Pki};
use e2e::provider::script::Script;
use e2e::suite::Suite;
use e2e::world::setup::Setup;
use e2e::world::{ANN, World};
use serde_json::{Value, json};
use std::sync::LazyLock;

static PKI: LazyLock<Pki> = LazyLock::new(|| Pki::new(ANN).unwrap());

static SUITE: Suite = Suite::new(|| {
    let setup = Setup { policy: policy(), ..Setup::named("devices") };

    setup.devices_of(&PKI.ca.pem())
});

fn policy() -> Value {
    json!({
        "schema": "tollgate.policy/v1", "name": "devices",
        "rules": [{"id": "everyone", "models": ["*"]}],
        "sign_in": [
            {"id": "traders", "who": {"populations": ["traders"]}, "tiers": ["mtls"], "bound": true},
            {"id": "readers", "who": {"populations": ["readers"]}, "tiers": ["mtls", "session"],
             "say": "Use your laptop."},
        ],
    })
}

/// A call with a token of this population and tier, bound to this certificate.
fn call(world: &World, population: &str, amr: &str, bound: Option<&ClientCertificate>) -> Call {
    let token = world.token_with(|_, claims| {
        claims["populations"] = json!([population]);
        claims["amr"] = json!(amr);
        if let Some(certificate) = bound {
            claims["cnf"] = json!({"x5t#S256": certificate.thumbprint()});
        }
    });

    world.call(&Script::new()).via(Via::Http2).bearer(&token)
}

async fn refused(world: &World, call: Call, code: &str, rule: &str) {
    let answer: Answer = call.send(world).await;

    answer.assert_refused(403, "permission_error");
    assert_eq!(answer.header("x-tollgate-refusal"), code);
    let row = world.row_from(answer.source).await;
    assert_eq!((row.text("outcome"), row.text("rule_id")), ("denied", rule), "{row:?}");
    assert_eq!(row.payload["refusal"], code);
}

#[test]
fn a_bound_token_passes_over_its_certificate_and_over_nothing_else() {
    SUITE.run(async |world| {
        let good = || call(world, "traders", "mtls", Some(&PKI.good));

        let answer = good().certificate(&PKI.good).send(world).await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        let row = world.row_from(answer.source).await;
        assert_eq!(row.payload["cert_sha256"], PKI.good.thumbprint());
        for elsewhere in [good(), good().certificate(&PKI.twin), good().via(Via::Plain)] {
            refused(world, elsewhere, "certificate_required", "traders").await;
        }
        let unbound = call(world, "traders", "mtls", None).certificate(&PKI.good);
        refused(world, unbound, "certificate_required", "traders").await;
    });
}

#[test]
fn a_tier_that_the_policy_does_not_accept_is_refused_at_the_call_too() {
    SUITE.run(async |world| {
        refused(world, call(world, "traders", "sso", None), "tier_not_accepted", "traders").await;
        refused(world, call(world, "readers", "pat", None), "tier_not_accepted", "readers").await;

        let answer = call(world, "readers", "sso", None).send(world).await;

        assert_eq!(answer.status, 200, "{}", answer.text());
    });
}

#[test]
fn a_certificate_that_envoy_cannot_verify_ends_the_handshake() {
    SUITE.run(async |world| {
        for bad in [&PKI.expired, &PKI.not_yet_valid, &PKI.wrong_usage, &PKI.foreign] {
            let call = call(world, "readers", "mtls", Some(bad)).certificate(bad);

            let opened = call.open(world).await;

            assert!(opened.is_err(), "no HTTP is spoken with it");
        }
    });
}

#[test]
fn capabilities_are_what_the_policy_accepts_of_what_the_sidecar_offers() {
    SUITE.run(async |world| {
        let modes = async |path: &str| world.get(path).send(world).await.json();

        assert_eq!(modes("/v1/auth/cowork/capabilities").await, json!({"modes": ["pat"]}));
        let traders = modes("/v1/auth/cowork/capabilities?cohort=traders").await;
        assert_eq!(traders, json!({"modes": []}), "there is no mTLS at this sidecar");
    });
}
