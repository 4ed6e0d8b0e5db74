//! The page of a request: who asks for what, and two buttons. Whoever opens it signs in at their provider first; what
//! stands on it is seen only by who may decide it.

use super::Approvals;
use super::decide::{self, NOTE, decide as store_decision};
use super::terms::{self, Barred};
use super::visible::{pretty, visible};
use crate::clock;
use crate::operators::operator::{How, Operator};
use crate::pats::hash;
use crate::sign_in::reply;
use crate::sign_in::session::browser::{is_from_here, pairs, set};
use crate::sign_in::session::pages::{Page, escaped};
use crate::sign_in::session::visit::{Visitor, address};
use crate::sign_in::session::{Sessions, TIER};
use crate::store::User;
use crate::store::approvals::{Approval, State as Stand};
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use contract::audit::{Acted, SignIn as Told};
use contract::headers::REFUSAL;
use std::fmt::{Display, Write};
use std::sync::Arc;
use tracing::{error, info};

/// Somebody who may decide, and what.
struct Before {
    visitor: Visitor,
    user: User,
    approval: Approval,
}

/// A page that ends it, and its row.
type Ended = Box<(Page, Option<&'static str>, Acted)>;

/// `GET /approvals/{id}`.
pub async fn show(
    State(approvals): State<Approvals>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Response<Body> {
    let sessions = approvals.sign_in.sessions.clone();
    let Some(sessions) = sessions.filter(|_| is_id(&id)) else { return unknown().answer() };
    let Some(visitor) = sessions.at_page(&id, &asked) else {
        let query = query.as_deref().and_then(pairs).unwrap_or_default();
        let issuer = query.get("issuer").map(String::as_str);
        return approvals.sign_in.visit(&sessions, &id, issuer);
    };
    match approvals.before(visitor).await {
        Ok(before) => {
            let acted = acted(&before, "looks");
            reply::told(page(&before), &acted)
        }
        Err(ended) => end(*ended),
    }
}

/// `POST /approvals/{id}`: they have decided.
pub async fn decide(
    State(approvals): State<Approvals>,
    Path(id): Path<String>,
    asked: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let sessions = approvals.sign_in.sessions.clone();
    let Some(sessions) = sessions.filter(|_| is_id(&id)) else { return unknown().answer() };
    let form = std::str::from_utf8(&body).ok().and_then(pairs).unwrap_or_default();
    let field = |name: &str| form.get(name).map(String::as_str);
    let sent = field("form").map(hash);
    let visitor = sessions.at_page(&id, &asked).filter(|_| is_from_here(&sessions, &asked));
    let visitor = visitor.filter(|visitor| sent.as_deref() == Some(&*hash(&visitor.form)));
    let approved = match field("choice") {
        Some("approve") => Some(true),
        Some("deny") => Some(false),
        _ => None,
    };
    let (Some(visitor), Some(approved)) = (visitor, approved) else {
        return elsewhere(&id).answer();
    };
    let note = field("note").unwrap_or_default().trim().to_owned();
    let mut response = match approvals.before(visitor).await {
        Ok(before) => approvals.decided(before, approved, &note).await,
        Err(ended) => end(*ended),
    };
    set(&mut response, &done(&sessions, &id));

    response
}

fn done(sessions: &Arc<Sessions>, id: &str) -> String {
    sessions.done::<Visitor>(id)
}

impl Approvals {
    /// Whoever is at the page, if they may decide; asked anew each time.
    async fn before(&self, visitor: Visitor) -> Result<Before, Ended> {
        let store = &self.sign_in.store;
        let user = store.user(&visitor.user_id).await.map_err(|fault| self.away(&fault))?;
        let Some(user) = user.filter(|user| user.sub == visitor.sub) else {
            return Err(Box::new((unknown(), Some("approval_stopped"), Acted::default())));
        };
        let found = store.approval(&visitor.page).await.map_err(|fault| self.away(&fault))?;
        // Of another tenant's nobody hears that it is there.
        let Some(approval) = found.filter(|it| it.tenant_id == user.tenant_id) else {
            let acted = of(&user, &visitor.provider, "looks");
            return Err(Box::new((unknown(), Some("approval_unknown"), acted)));
        };
        let barred = terms::admits(&self.sign_in, &user, &approval.user_id, clock::now()).await;
        match barred.map_err(|fault| self.away(&fault))? {
            Ok(()) => Ok(Before { visitor, user, approval }),
            Err(barred) => {
                let acted = of(&user, &visitor.provider, "looks");
                Err(Box::new((no(barred), Some(barred.code()), acted)))
            }
        }
    }

    async fn decided(&self, before: Before, approved: bool, note: &str) -> Response<Body> {
        if note.chars().count() > NOTE {
            let what = format!("A note has at most {NOTE} characters. Go back and shorten it.");
            return Page::fault(StatusCode::BAD_REQUEST, "That note is too long", &what).answer();
        }
        let Before { visitor, user, approval } = &before;
        let how = How::Browser(visitor.provider.clone());
        let tenants = Some(vec![user.tenant_id.clone()]);
        let operator = Operator::new(user.user_id.clone(), Vec::new(), tenants, how);
        match store_decision(&self.sign_in.store, &operator, approval, (approved, note)).await {
            Ok(Some(approval)) => {
                decide::count(&self.sign_in.counters, approved);
                info!(approval = approval.id, user.id = user.user_id, approved, "It is decided");
                let act = if approved { "approved" } else { "denied" };
                reply::told(over(&approval).answer(), &acted(&before, act))
            }
            Ok(None) => {
                // Somebody else was faster, or the time was up.
                let known = self.sign_in.store.approval(&approval.id).await.ok().flatten();
                let page = over(known.as_ref().unwrap_or(approval));
                reply::told(page.answer(), &acted(&before, "looks"))
            }
            Err(fault) => end(*self.away(&fault)),
        }
    }

    fn away(&self, fault: &impl Display) -> Ended {
        self.sign_in.counters.store_errors.one();
        error!(error = %fault, "A request for approval cannot be decided");
        let what = "Wait a moment, then open the link again.";
        let title = "Deciding is not possible at the moment";

        let page = Page::fault(StatusCode::SERVICE_UNAVAILABLE, title, what);
        Box::new((page, Some("auth_unavailable"), Acted::default()))
    }
}

fn is_id(id: &str) -> bool {
    let digits = id.strip_prefix("apr_").unwrap_or_default();

    digits.len() == 24 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn end((page, code, acted): (Page, Option<&'static str>, Acted)) -> Response<Body> {
    let mut response = page.answer();
    if let Some(code) = code {
        response.headers_mut().insert(REFUSAL, HeaderValue::from_static(code));
    }

    reply::told(response, &Acted { rule_id: code.map(ToOwned::to_owned), ..acted })
}

fn of(user: &User, provider: &str, act: &str) -> Acted {
    Acted {
        tenant_id: user.tenant_id.clone(),
        user_id: user.user_id.clone(),
        client_id: Some(terms::CLIENT.to_owned()),
        department: user.department.clone(),
        sign_in: Some(Told {
            tier: TIER.into(),
            act: act.to_owned(),
            provider: provider.to_owned(),
            ..Told::default()
        }),
        ..Acted::default()
    }
}

fn acted(before: &Before, act: &str) -> Acted {
    of(&before.user, &before.visitor.provider, act)
}

/// The page itself. Everything on it but the form was chosen by others.
fn page(before: &Before) -> Response<Body> {
    let Before { visitor, user, approval } = before;
    if approval.standing(clock::now()) != Stand::Open {
        return over(approval).answer();
    }
    let mut body = format!(
        "<p>An agent of <strong>{}</strong> asks to make one call, once.</p>{}",
        escaped(&visible(&approval.user_id)),
        facts(approval)
    );
    let action = address(&approval.id);
    // Writing into text cannot fail.
    let _written = write!(
        body,
        "<form method=\"post\" action=\"{action}\">\
         <input type=\"hidden\" name=\"form\" value=\"{form}\">\
         <label>Note, for the agent and the audit (optional)\
         <textarea name=\"note\" rows=\"2\" maxlength=\"{NOTE}\"></textarea></label>\
         <button class=\"yes\" name=\"choice\" value=\"approve\">Approve once</button>\
         <button name=\"choice\" value=\"deny\">Deny</button></form>\
         <p><small>You are {user}. Approve only what you understand: the reason is the agent's own words, and nobody \
         has checked them.</small></p>",
        form = escaped(&visitor.form),
        user = escaped(&user.user_id),
    );

    Page::of(StatusCode::OK, "Approve this call?", body).answer()
}

/// What is asked, in full: what is not shown is not approved.
fn facts(approval: &Approval) -> String {
    let mut list = "<dl>".to_owned();
    for (name, value) in [
        ("Server", &*approval.server),
        ("Tool", &*approval.tool),
        ("Why, in the agent's words", &*approval.reason),
        ("Trace", approval.trace_id.as_deref().unwrap_or("-")),
        ("Open until", &*clock::readable(approval.until)),
    ] {
        let value = escaped(&visible(value));
        let _written = write!(list, "<dt>{name}</dt><dd>{value}</dd>");
    }
    let arguments = escaped(&pretty(&approval.arguments));
    let _written = write!(list, "<dt>Arguments</dt><dd><pre>{arguments}</pre></dd></dl>");

    list
}

/// It is decided, or its time is over.
fn over(approval: &Approval) -> Page {
    let by = approval.decided_by.as_deref().unwrap_or("nobody");
    let until = clock::readable(approval.until);
    let (title, what) = match approval.standing(clock::now()) {
        Stand::Open => ("It is still open", "Open the link again to decide.".to_owned()),
        Stand::Approved => (
            "Approved",
            format!(
                "Approved by {by}. The call passes once, until {until}. You can close this page."
            ),
        ),
        Stand::Denied => ("Denied", format!("Denied by {by}. You can close this page.")),
        Stand::Used => ("Approved, and used", format!("Approved by {by}. The call was made.")),
        Stand::Lapsed => {
            ("Its time is over", "Nothing is approved. The agent can ask again.".to_owned())
        }
    };

    Page::of(StatusCode::OK, title, format!("<p>{}</p>", escaped(&visible(&what))))
}

fn no(barred: Barred) -> Page {
    Page::fault(StatusCode::FORBIDDEN, "You cannot decide this", barred.message())
}

fn unknown() -> Page {
    let what = "There is no such request, or it is not for you. Check the link in the channel.";

    Page::fault(StatusCode::NOT_FOUND, "Nothing to decide here", what)
}

fn elsewhere(id: &str) -> Page {
    let what = "The page was open for more than ten minutes, or the form was sent from elsewhere. Nothing is decided.";
    let again = format!(
        "<p>{what}</p><p><a class=\"button\" href=\"{}\">Open it again</a></p>",
        address(id)
    );

    Page::of(StatusCode::BAD_REQUEST, "This decision cannot be taken", again)
}
