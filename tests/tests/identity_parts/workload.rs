//! Workload tokens.

use crate::{text, verified};
use e2e::identity::agent::Agent;
use e2e::identity::workload::{Algorithm, WorkloadIssuer};
use e2e::suite::bare;
use serde_json::json;
use std::time::Instant;
use url::Url;

#[test]
fn workload_tokens_verify_until_the_key_is_gone() {
    bare(async {
        let begun = Instant::now();
        for (first, second) in
            [(Algorithm::Rs256, Algorithm::Es256), (Algorithm::Es256, Algorithm::Rs256)]
        {
            let issuer = WorkloadIssuer::start(first).await.unwrap();
            let agent = Agent::new();
            let description: Url =
                format!("{}/.well-known/openid-configuration", issuer.issuer).parse().unwrap();
            let described = agent.get(&description).await.unwrap().json();
            assert_eq!(described["issuer"], json!(issuer.issuer));
            let address: Url = text(&described, "jwks_uri").parse().unwrap();
            let keys = async || agent.get(&address).await.unwrap().json();

            let github =
                issuer.github("acme/app", "refs/heads/main", "https://tollgate.example.com");
            assert_eq!(text(&github, "sub"), "repo:acme/app:ref:refs/heads/main");
            let token = issuer.mint(&github);
            assert!(verified(&token, &keys().await));
            assert!(!verified(&issuer.forge(&github), &keys().await));
            issuer.rotate(second, true).unwrap();
            let pod = issuer.kubernetes("ci", "reviewer", "https://tollgate.example.com");
            assert_eq!(text(&pod, "sub"), "system:serviceaccount:ci:reviewer");
            assert!(verified(&issuer.mint(&pod), &keys().await));
            assert!(verified(&token, &keys().await), "the old key is still published");
            issuer.rotate(first, false).unwrap();
            assert!(!verified(&token, &keys().await), "and now it is not");

            issuer.go_away().await;
            assert!(agent.get(&address).await.is_err());
            issuer.come_back().await.unwrap();
            assert!(verified(&issuer.mint(&pod), &keys().await));
            assert_eq!(issuer.asked().first().map(String::as_str), Some(description.path()));
        }
        eprintln!("two issuers in {:?}", begun.elapsed());
    });
}
