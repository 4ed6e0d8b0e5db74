//! What channels are told, in the shapes that Slack, Teams and programs of your own take.
//!
//! What an agent or a person wrote stands in fields that render as plain text, so that it can mention nobody, link
//! nowhere, and look like nothing that we say. The call's arguments are not told: they stand on the page.

use super::config::Kind;
use super::visible::shortened;
use crate::clock;
use crate::store::approvals::{Approval, State};
use serde_json::{Value, json};

/// Most characters of a reason or note: Slack takes 3,000 in a section.
const MOST: usize = 1_000;

/// Most characters of a name.
const NAME: usize = 150;

/// A message: that somebody asks, or what was decided. `link` leads to the page.
pub fn message(kind: Kind, approval: &Approval, decided: bool, link: &str, now: u64) -> Value {
    let told = Told::new(approval, decided);
    match kind {
        Kind::Slack => slack(&told, link),
        Kind::Teams => teams(&told, link),
        Kind::Json => plain(approval, decided, link, now),
    }
}

/// What both chats are told.
struct Told {
    title: &'static str,
    facts: Vec<(&'static str, String)>,
    words: Option<(&'static str, String)>,
    button: &'static str,
    urgent: bool,
}

impl Told {
    fn new(approval: &Approval, decided: bool) -> Self {
        let name = |text: &str| shortened(text, NAME);
        let mut facts = vec![
            ("Server", name(&approval.server)),
            ("Tool", name(&approval.tool)),
            ("Asked by", name(&approval.user_id)),
        ];
        if !decided {
            facts.push(("Open until", clock::readable(approval.until)));
            let words = Some(("Why, in the agent's words", shortened(&approval.reason, MOST)));
            let (title, button) = ("An agent asks for approval", "Look and decide");
            return Self { title, facts, words, button, urgent: true };
        }
        facts.push(("Decided by", name(approval.decided_by.as_deref().unwrap_or("?"))));
        let words = approval.note.as_deref().map(|note| ("Note", shortened(note, MOST)));
        let title =
            if approval.state == State::Denied { "Denied" } else { "Approved, for one call" };

        Self { title, facts, words, button: "Show", urgent: false }
    }
}

fn slack(told: &Told, link: &str) -> Value {
    let text = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let fields: Vec<Value> =
        told.facts.iter().map(|(name, value)| text(&format!("{name}\n{value}"))).collect();
    let mut button = json!({
        "type": "button", "action_id": "tollgate_open", "text": text(told.button), "url": link
    });
    if told.urgent
        && let Some(button) = button.as_object_mut()
    {
        button.insert("style".to_owned(), "primary".into());
    }
    let mut blocks = vec![
        json!({ "type": "header", "text": text(told.title) }),
        json!({ "type": "section", "fields": fields }),
    ];
    if let Some((name, words)) = &told.words {
        let words = text(&format!("{name}:\n{words}"));
        blocks.push(json!({ "type": "section", "text": words }));
    }
    blocks.push(json!({ "type": "actions", "elements": [button] }));

    // Shown in notifications. It is the one text that Slack would parse, so nobody else's words are in it.
    json!({ "text": told.title, "mrkdwn": false, "unfurl_links": false, "blocks": blocks })
}

/// Runs of text, because blocks of text would read Markdown.
fn teams(told: &Told, link: &str) -> Value {
    let run = |text: &str| json!({ "type": "TextRun", "text": text });
    let strong = |text: &str| json!({ "type": "TextRun", "text": text, "weight": "Bolder" });
    let mut body = vec![json!({
        "type": "TextBlock", "text": told.title, "size": "Large", "weight": "Bolder", "wrap": true
    })];
    for (name, value) in &told.facts {
        let inlines = [strong(&format!("{name}: ")), run(value)];
        body.push(json!({ "type": "RichTextBlock", "spacing": "None", "inlines": inlines }));
    }
    if let Some((name, words)) = &told.words {
        body.push(json!({ "type": "RichTextBlock", "inlines": [strong(&format!("{name}:"))] }));
        body.push(json!({ "type": "RichTextBlock", "spacing": "None", "inlines": [run(words)] }));
    }
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{ "type": "Action.OpenUrl", "title": told.button, "url": link }]
    });

    json!({ "type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card
    }] })
}

fn plain(approval: &Approval, decided: bool, link: &str, now: u64) -> Value {
    let event = if decided { "decided" } else { "asked" };
    let decision = decided.then(|| {
        json!({
            "state": if approval.state == State::Denied { "denied" } else { "approved" },
            "by": approval.decided_by, "note": approval.note,
            "valid_until": clock::readable(approval.until),
        })
    });

    json!({
        "schema": "tollgate.approval/v1", "event": event, "sent_at": clock::readable(now),
        "approval": {
            "id": approval.id, "digest": approval.digest, "tenant_id": approval.tenant_id,
            "asked_by": approval.user_id, "server": approval.server, "tool": approval.tool,
            "reason": approval.reason, "trace_id": approval.trace_id,
            "asked_at": clock::readable(approval.asked_at),
            "open_until": (!decided).then(|| clock::readable(approval.until)), "url": link,
        },
        "decision": decision,
    })
}
