//! A person's browser.

use crate::text;
use anyhow::Result;
use e2e::identity::browser::{self, Browser};
use e2e::identity::pki::public_key_hash;
use e2e::identity::provider::{OidcProvider, claims, parameter};
use e2e::suite::bare;
use e2e::world::certificates::{Authority, server};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A client's redirect address for one visit: what was asked for.
async fn visit(listener: TcpListener) -> Result<String> {
    let (mut stream, _) = listener.accept().await?;
    let mut request = vec![0; 8192];
    let count = stream.read(&mut request).await?;
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<p>You may close this.";
    stream.write_all(answer.as_bytes()).await?;
    let request = String::from_utf8_lossy(&request[..count]).into_owned();

    Ok(request.split(' ').nth(1).unwrap_or_default().to_owned())
}

#[test]
fn a_browser_signs_in_at_the_provider() {
    bare(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let callback = format!("http://{}/callback", listener.local_addr().unwrap());
        let provider = OidcProvider::start(&[&callback]).await.unwrap();
        let request = provider.request(&callback);
        let begun = Instant::now();
        let browser = browser::shared().await;
        eprintln!("the browser was there after {:?}", begun.elapsed());
        let visited = tokio::spawn(visit(listener));

        browser.open(&request.url).await;
        assert_eq!(browser.title().await, "Sign in at the enterprise");
        browser.fill("User name", "ann").await;
        browser.fill("Password", "wrong").await;
        browser.click("Sign in").await;
        browser.until_text("wrong password").await;
        browser.sign_in("ann").await;
        let back = browser.until_url(&callback).await;
        browser.until_text("You may close this.").await;

        assert!(visited.await.unwrap().unwrap().starts_with("/callback?code="));
        let page = provider.trade(&request, &parameter(&back, "code").unwrap()).await.unwrap();
        assert_eq!(claims(text(&page.json(), "id_token"))["sub"], "sub-ann");
        assert!(browser.screenshot().await.metadata().unwrap().len() > 1000);
        eprintln!("signed in after {:?}", begun.elapsed());
        drop(browser);

        let again = browser::shared().await;
        again.open(&request.url).await;
        assert_eq!(
            again.title().await,
            "Sign in at the enterprise",
            "the next test begins without cookies"
        );
    });
}

#[test]
fn a_browser_trusts_a_named_key_and_no_other() {
    bare(async {
        let authority = Authority::new().unwrap();
        let named = authority.certify(&["localhost"]).unwrap();
        let other = authority.certify(&["localhost"]).unwrap();
        let browser = Browser::start(&[public_key_hash(&named.key).unwrap()]).await.unwrap();
        for (certificate, trusted) in [(named, true), (other, false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
            let mut tls = server(certificate.cert.as_bytes(), certificate.key.as_bytes()).unwrap();
            std::sync::Arc::make_mut(&mut tls).alpn_protocols.clear();
            let acceptor = TlsAcceptor::from(tls);
            let serving = tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                    drop(stream.read(&mut [0; 4096]).await);
                    let page =
                        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\nInside";
                    drop(stream.write_all(page.as_bytes()).await);
                    drop(stream.shutdown().await);
                }
            });
            browser.open(&url.parse().unwrap()).await;
            assert_eq!(
                browser.text().await.contains("Inside"),
                trusted,
                "{}",
                browser.text().await
            );
            serving.abort();
        }
    });
}
