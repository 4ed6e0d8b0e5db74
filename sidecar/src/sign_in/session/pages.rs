//! What people see in their browser: plain HTML without scripts, which nobody can frame, keep or be led away from.

use super::loopback::Loopback;
use crate::sign_in::Refused;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::headers::REFUSAL;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// How it looks: the system's letters and colours, light or dark.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1.0625rem/1.55 system-ui,sans-serif;max-width:34rem;margin:12vh auto 2rem;padding:0 1.25rem}\
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem;overflow-wrap:anywhere}\
p{margin:0 0 1rem;overflow-wrap:anywhere}\
ul{list-style:none;padding:0}li{margin:0 0 .75rem}\
small{opacity:.75}\
dl{margin:0 0 1rem}dt{font-weight:600}dd{margin:0 0 .6rem;overflow-wrap:anywhere;white-space:pre-wrap}\
pre{margin:.25rem 0;padding:.75rem;border:1px solid;border-radius:.5rem;white-space:pre-wrap;overflow-wrap:anywhere;\
font:.9375rem/1.45 ui-monospace,monospace}\
label{flex-basis:100%}textarea{font:inherit;display:block;width:100%;box-sizing:border-box;margin-top:.25rem}\
form{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0}\
button,a.button{font:inherit;padding:.6rem 1.4rem;border-radius:.5rem;border:1px solid currentColor;\
background:transparent;color:inherit;text-decoration:none;display:inline-block;cursor:pointer}\
button.yes{background:#0b57d0;border-color:#0b57d0;color:#fff}\
button:focus-visible,a:focus-visible{outline:3px solid #f9ab00;outline-offset:2px}";

/// A page.
pub struct Page {
    status: StatusCode,
    title: String,
    body: String,
    /// Where its form may lead besides here.
    leads_to: String,
    refusal: Option<&'static str>,
}

/// What the page of approval says.
#[derive(Debug, Clone, Copy)]
pub struct Approval<'a> {
    /// Who signs in.
    pub user_id: &'a str,
    /// Where they signed in.
    pub provider: &'a str,
    /// The program.
    pub program: &'a Loopback,
    /// The session.
    pub session: &'a str,
    /// What the form must send.
    pub form: &'a str,
}

/// Where the form of approval is sent.
pub const APPROVE: &str = "/v1/auth/cowork/session/approve";

impl Page {
    /// Something went wrong: what it was, and what to do.
    pub fn fault(status: StatusCode, title: &str, what_to_do: &str) -> Self {
        let body = format!("<p>{}</p>", escaped(what_to_do));

        Self { status, title: title.to_owned(), body, leads_to: String::new(), refusal: None }
    }

    /// One of another module's: `body` is markup, in which what others chose is [`escaped`].
    pub(crate) fn of(status: StatusCode, title: &str, body: String) -> Self {
        Self { status, title: title.to_owned(), body, leads_to: String::new(), refusal: None }
    }

    /// With the code that the row has.
    #[must_use]
    pub fn because(self, why: Refused) -> Self {
        Self { refusal: Some(why.code()), ..self }
    }

    /// They may not sign in.
    pub fn refused(why: Refused) -> Self {
        let title = "You are not signed in";
        let mut sentence = why.message().to_owned();
        if let Some(first) = sentence.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let body = format!(
            "<p>{}.</p><p><small>If you ask for help, tell this code: <code>{}</code></small></p>",
            escaped(&sentence),
            why.code()
        );
        let (status, title) = (why.status(), title.to_owned());

        Self { status, title, body, leads_to: String::new(), refusal: Some(why.code()) }
    }

    /// Which provider? `links`: titles and addresses.
    pub fn choice(links: &[(String, String)]) -> Self {
        let mut body = "<p>Choose where you have your work account.</p><ul>".to_owned();
        for (title, address) in links {
            let (title, address) = (escaped(title), escaped(address));
            // Writing into text cannot fail.
            let _written =
                write!(body, "<li><a class=\"button\" href=\"{address}\">{title}</a></li>");
        }
        body.push_str("</ul>");
        let title = "Sign in to the AI gateway".to_owned();

        Self { status: StatusCode::OK, title, body, leads_to: String::new(), refusal: None }
    }

    /// May this program sign in?
    pub fn approval(asked: Approval<'_>) -> Self {
        let body = format!(
            "<p>A program on <strong>this computer</strong> (waiting at port {port}) asks to use the AI gateway \
             in your name. You signed in at {provider}.</p>\
             <p>Allow it only if you have just started signing in yourself, on this computer.</p>\
             <form method=\"post\" action=\"{APPROVE}\">\
             <input type=\"hidden\" name=\"session\" value=\"{session}\">\
             <input type=\"hidden\" name=\"form\" value=\"{form}\">\
             <button class=\"yes\" name=\"choice\" value=\"allow\">Allow</button>\
             <button name=\"choice\" value=\"cancel\">Cancel</button></form>",
            port = asked.program.port(),
            provider = escaped(asked.provider),
            session = escaped(asked.session),
            form = escaped(asked.form),
        );
        let title = format!("Sign in on this computer as {}?", asked.user_id);
        let leads_to = asked.program.source();

        Self { status: StatusCode::OK, title, body, leads_to, refusal: None }
    }

    /// The answer.
    pub fn answer(self) -> Response<Body> {
        let title = escaped(&self.title);
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1>{}</main></body></html>",
            self.body
        );
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = self.status;
        let style = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self' {}; \
             frame-ancestors 'none'; base-uri 'none'",
            self.leads_to
        );
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        guard(&mut response);
        if let Some(code) = self.refusal {
            response.headers_mut().insert(REFUSAL, HeaderValue::from_static(code));
        }

        response
    }
}

/// Away to another address, with the browser's next request a GET.
pub fn see_other(address: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(header::LOCATION, address);
    }
    guard(&mut response);

    response
}

/// Nobody keeps it, frames it, or hears where it was.
fn guard(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// A text that markup cannot be made of.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(sign),
        }
    }

    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn what_others_chose_cannot_become_markup_and_the_page_has_no_script() {
        let program = Loopback::parse("http://127.0.0.1:1024/callback").unwrap();
        let page = Page::approval(Approval {
            user_id: "\"><script>alert(1)</script>@example.com",
            provider: "<b>'evil'</b>",
            program: &program,
            session: "ses_1",
            form: "f\"",
        });

        let answer = page.answer();
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        let html = answer.into_body().collect().await.unwrap().to_bytes();
        let html = String::from_utf8(html.to_vec()).unwrap();

        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("value=\"f&quot;\"") && html.contains("port 1024"));
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'")
        );
        assert!(policy.contains("form-action 'self' http://127.0.0.1:1024;"), "{policy}");
    }

    #[test]
    fn nobody_keeps_frames_or_hears_of_a_page() {
        let answer = Page::refused(Refused::NotEntitled).answer();

        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(
            (header("x-tollgate-refusal"), answer.status().as_u16()),
            ("not_entitled".into(), 403)
        );
    }
}
