//! A personal access token becomes a short one, or a refusal that says why.

use crate::world::{Answer, Fallible, World, ask};
use contract::audit::Acted;
use contract::claims::Claims;
use contract::headers::IDENTITY;
use jwt_simple::algorithms::{Ed25519PublicKey, EdDSAPublicKeyLike};
use tollgate::acts::Act;
use tollgate::operators::operator::Operator;

fn acted(answer: &Answer) -> Fallible<Acted> {
    Ok(serde_json::from_str(answer.header("x-tollgate-caller"))?)
}

#[tokio::test]
async fn a_good_token_is_traded_for_one_the_gate_s_keys_verify() -> Fallible {
    let world = World::start().await?;
    let (pat, id) = world.pat(60).await?;

    let answer = world.sign_in(&pat).await?;

    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let told = answer.json()?;
    assert_eq!(told["ttl"], 3600);
    assert!(IDENTITY.iter().all(|name| told["headers"][name].is_string()), "{told}");

    let keys = world.gate("/gate/keys").await?.json()?;
    let key = Ed25519PublicKey::from_jwk(&keys["keys"][0].to_string())?;
    let token = told["token"].as_str().ok_or("no token")?;
    let claims = key.verify_token::<Claims>(token, None)?;
    assert_eq!(claims.custom.credential_id, id);
    assert_eq!(claims.custom.groups, ["engineering"]);
    assert_eq!(claims.issuer.as_deref(), Some("https://tollgate.localhost"));
    let version = told["headers"]["x-policy-version"].as_str().ok_or("no version")?;
    assert_eq!(version, contract::envelope::version(crate::world::POLICY));

    let acted = acted(&answer)?;
    assert_eq!(acted.user_id, "ann@example.com");
    assert_eq!(acted.credential_id.as_deref(), Some(id.as_str()));
    assert_eq!(acted.session_id.as_deref(), told["headers"]["x-session-id"].as_str());
    assert_eq!(acted.rule_id, None);
    assert!(world.store.pats().await?.iter().all(|pat| pat.last_used_at.is_some()));
    assert_eq!(world.metric("tollgate_auth_mints_total").await?, 1);
    Ok(())
}

#[tokio::test]
async fn each_refusal_says_why_to_the_person_to_the_row_and_to_the_metric() -> Fallible {
    let world = World::start().await?;
    let (revoked, id) = world.pat(60).await?;
    world.store.revoke_pat(&id, 1, &Act::new(&Operator::owner(), "test")?).await?;
    let (expired, _) = world.pat(0).await?;
    let (other, _) = world.pat(60).await?;
    let damaged = format!("{}x", other.strip_suffix(|_| true).unwrap_or_default());

    for (pat, code) in [
        (&*revoked, "pat_revoked"),
        (&*expired, "pat_expired"),
        (&*damaged, "pat_unknown"),
        ("", "pat_missing"),
    ] {
        let answer = world.sign_in(pat).await?;
        assert_eq!(answer.status, 401, "{code}");
        assert_eq!(answer.json()?["error"]["type"], "authentication_error");
        assert_eq!(acted(&answer)?.rule_id.as_deref(), Some(code));
        let metric = format!("tollgate_auth_refusals_total{{code=\"{code}\"}}");
        assert_eq!(world.metric(&metric).await?, 1, "{code}");
    }
    world.store.disable_user("ann@example.com", 1, &Act::new(&Operator::owner(), "test")?).await?;
    let answer = world.sign_in(&other).await?;
    assert_eq!(acted(&answer)?.rule_id.as_deref(), Some("user_disabled"));
    assert_eq!(acted(&answer)?.user_id, "ann@example.com", "who it was is known");
    Ok(())
}

#[tokio::test]
async fn while_the_database_is_away_signing_in_says_so_and_then_works_again() -> Fallible {
    let world = World::start().await?;
    let (pat, _) = world.pat(60).await?;
    world.sql("ALTER TABLE pats RENAME TO away").await?;

    let answer = world.sign_in(&pat).await?;
    let ready = ask(world.at.operators, "GET", "/readyz", &[], "").await?;
    let alive = ask(world.at.operators, "GET", "/healthz", &[], "").await?;
    world.sql("ALTER TABLE away RENAME TO pats").await?;

    assert_eq!((answer.status, &answer.json()?["error"]["type"]), (503, &"api_error".into()));
    assert!(!answer.body.contains("table"), "nothing internal: {}", answer.body);
    assert_eq!(acted(&answer)?.rule_id.as_deref(), Some("auth_unavailable"));
    assert_eq!((ready.status, alive.status), (503, 200));
    assert_eq!(world.sign_in(&pat).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn other_paths_and_methods_get_the_messages_api_s_errors() -> Fallible {
    let world = World::start().await?;

    let nowhere =
        ask(world.at.public, "GET", "/gate/policy", &[("x-request-id", "r1")], "").await?;
    let get = ask(world.at.public, "GET", "/v1/auth/cowork/pat", &[], "").await?;
    let jwks = ask(world.at.public, "GET", "/.well-known/jwks.json", &[], "").await?;

    assert_eq!((nowhere.status, get.status, jwks.status), (404, 405, 200));
    assert_eq!(nowhere.json()?["request_id"], "r1");
    assert_eq!(nowhere.json()?["error"]["type"], "not_found_error", "the gate's are not public");
    assert_eq!(get.json()?["error"]["type"], "invalid_request_error");
    Ok(())
}
