//! A sidecar starts only if every provider is what the configuration says.

use crate::browser::{place, world};
use crate::provider::Fake;
use crate::world::{Fallible, World};
use serde_json::json;
use tollgate::run::Sidecar;

/// Another sidecar, with the provider as it is now.
pub(crate) async fn restarted(provider: &Fake) -> Fallible<World> {
    world(provider, "", "").await
}

async fn refused(sections: &str) -> Fallible<String> {
    let place = place(sections)?;
    match Sidecar::start(place.settings()).await {
        Ok(_) => Err("it started".into()),
        Err(error) => Ok(format!("{error:#}")),
    }
}

#[tokio::test]
async fn a_provider_that_is_away_or_is_another_keeps_the_sidecar_from_starting() -> Fallible {
    let provider = Fake::start().await?;
    let section = provider.section("acme", "");
    for (name, value, why) in [
        ("issuer", json!("https://evil.example"), "not its own"),
        ("jwks_uri", json!("http://evil.example/jwks"), "must be https"),
        ("token_endpoint", json!("http://evil.example/token"), "token_endpoint must be https"),
        ("code_challenge_methods_supported", json!(["plain"]), "PKCE"),
        ("id_token_signing_alg_values_supported", json!(["HS256"]), "signs with none of"),
    ] {
        provider.set().discovery = json!({ name: value });
        let told = refused(&section).await?;
        assert!(told.contains("\"acme\"") && told.contains(why), "{name}: {told}");
    }
    provider.set().discovery = json!({});
    provider.set().is_away = true;
    assert!(refused(&section).await?.contains("503"));
    let nobody =
        "  - { id: gone, issuer: 'http://127.0.0.1:9', client_id: x, tenant: a, domains: [a.b] }\n";
    assert!(refused(nobody).await?.contains("\"gone\""));
    Ok(())
}

#[tokio::test]
async fn a_faulty_file_keeps_the_sidecar_from_starting_and_tells_where() -> Fallible {
    let told =
        refused("  - { id: a, issuer: 'http://x.example', client_id: x, tenant: a }\n").await?;

    assert!(told.contains("identity.yaml:4:") && told.contains("domains: is missing"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_provider_that_goes_away_later_stops_no_token_and_no_start_of_a_sign_in() -> Fallible {
    let provider = Fake::start().await?;
    let world = world(&provider, "", "").await?;
    provider.set().is_away = true;

    let browser = crate::browser::Browser::new(&world);
    let page = browser.page(&provider).await?;

    crate::browser::is(&page, 503, "provider_away");
    provider.set().is_away = false;
    assert_eq!(browser.page(&provider).await?.status, 200);
    Ok(())
}
