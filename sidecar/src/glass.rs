//! Break-glass: whoever passes rules in an emergency is heard of, beside the flag in their rows.

use contract::audit::{BREAK_GLASS, Event};
use tracing::warn;

/// Tells of those among rows that were stored just now. What comes both ways may be told twice.
pub fn tell(events: &[Event<'static>]) {
    for event in events.iter().filter(|event| is_broken(event)) {
        warn!(
            event.id = &*event.event_id,
            user.id = &*event.user_id,
            tenant.id = &*event.tenant_id,
            credential.id = event.credential_id.as_deref(),
            rules.passed = event.payload.passed.join(" "),
            "Somebody has broken the glass"
        );
    }
}

fn is_broken(event: &Event<'static>) -> bool {
    event.payload.flags.iter().any(|flag| flag == BREAK_GLASS)
}
