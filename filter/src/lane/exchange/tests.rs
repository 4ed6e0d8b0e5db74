use super::*;
use crate::host::fake::FakeHost;
use crate::lane::Settings;
use crate::trail::Trails;
use contract::audit::Sequence;
use contract::headers::Boundary;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BODY: &str = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}"#;
const STREAM: &str =
    "event: message_start\ndata: {}\n\nevent: ping\ndata: {}\n\nevent: message_stop\ndata: {}\n\n";
const SEQUENCE: Sequence = Sequence { boot: 17, vm: 2, n: 5 };

fn lane(provider: &str, trails: &Rc<Trails>) -> Rc<Lane> {
    let settings = format!(
        r#"{{"role":"lane","name":"one","provider":"{provider}","region":"us","zones":["us","eu"],
        "models":{{"*":"one"}},"attribution":["x-end-user"],"insecure_attribution_to_others":true}}"#
    );
    let settings = Settings::parse(settings.as_bytes()).unwrap();
    let boundary = Boundary::shipped().unwrap();
    Rc::new(Lane::start(settings, boundary, Rc::clone(trails)))
}

/// A host as Envoy is when a call comes to a lane.
fn world(told: &str) -> FakeHost {
    let host = FakeHost::default();
    host.now.set(1_000_000_000_000);
    host.put_headers(
        Map::Request,
        &[
            (":method", "POST"),
            (":path", "/v1/messages?beta=true"),
            ("tollgate-lane", told),
            ("x-forwarded-proto", "https"),
            ("x-end-user", "ann"),
            ("x-tollgate-user", "ann"),
            ("content-length", "58"),
            ("anthropic-beta", "a,b"),
        ],
    );
    host.bodies.borrow_mut().insert(Body::Request, BODY.as_bytes().to_vec());
    answers(&host, "200", "text/event-stream");
    host
}

fn answers(host: &FakeHost, status: &str, content_type: &str) {
    host.put_headers(
        Map::Response,
        &[
            (":status", status),
            ("content-type", content_type),
            ("content-length", "3"),
            ("retry-after", "7"),
            ("anthropic-organization-id", "org-1"),
        ],
    );
    let details = b"via_upstream".to_vec();
    host.properties.borrow_mut().insert("response.code_details".into(), details);
}

fn asks(host: &FakeHost, exchange: &mut Exchange) -> Step {
    if exchange.request_headers(host, false) == Step::Go {
        return Step::Go;
    }
    if !host.replies.borrow().is_empty() {
        return Step::Wait;
    }
    exchange.request_body(host, BODY.len(), true)
}

fn beside() -> (Rc<Trails>, Rc<Trail>, Rc<Lane>) {
    to("anthropic")
}

fn to(provider: &str) -> (Rc<Trails>, Rc<Trail>, Rc<Lane>) {
    let trails = Rc::new(Trails::default());
    let lane = lane(provider, &trails);
    let trail = trails.leaves(SEQUENCE, 9).unwrap();
    (trails, trail, lane)
}

/// Gives the lane a piece of the answer, as Envoy does: what was held stands before it. Returns what leaves.
fn piece(host: &FakeHost, exchange: &mut Exchange, piece: &[u8], last: bool) -> Vec<u8> {
    let mut bodies = host.bodies.borrow_mut();
    let body = bodies.entry(Body::Response).or_default();
    body.extend_from_slice(piece);
    let size = body.len();
    drop(bodies);
    match exchange.response_body(host, size, last) {
        Step::Go => std::mem::take(host.bodies.borrow_mut().get_mut(&Body::Response).unwrap()),
        Step::Wait => Vec::new(),
    }
}

#[test]
fn what_leaves_is_the_allow_list_and_what_its_routes_may_tell() {
    let (_trails, trail, lane) = beside();
    let host = world("17.2.5;none");
    let mut exchange = Exchange::new(lane);

    assert_eq!(asks(&host, &mut exchange), Step::Go);

    let maps = host.maps.borrow();
    let names: Vec<_> = maps[&Map::Request].iter().map(|(name, _)| name.as_str()).collect();
    for gone in ["tollgate-lane", "x-tollgate-user"] {
        assert!(!names.contains(&gone), "{names:?}");
    }
    for there in ["x-end-user", "content-length", "anthropic-beta"] {
        assert!(names.contains(&there), "{names:?}");
    }
    assert_eq!(trail.len(), 1);
}

#[test]
fn who_is_pinned_to_a_zone_is_served_in_it_and_nowhere_else() {
    for (zone, step) in [
        ("none", Step::Go),
        ("-", Step::Go),
        ("", Step::Go),
        ("eu", Step::Go),
        ("us", Step::Go),
        ("e", Step::Wait),
        ("ch", Step::Wait),
        ("eu,ch", Step::Wait),
    ] {
        let (_trails, trail, lane) = beside();
        let host = world(&format!("17.2.5;{zone}"));

        assert_eq!(asks(&host, &mut Exchange::new(lane)), step, "{zone}");
        if step == Step::Wait {
            assert_eq!(host.replies.borrow()[0].status, 403);
            assert_eq!(trail.told().len(), 0, "one attempt; why it failed stands in the trail");
            assert_eq!(host.bodies.borrow()[&Body::Request].len(), BODY.len(), "not touched");
        }
    }
}

#[test]
fn a_route_that_does_not_say_which_exchange_it_is_leads_nowhere() {
    let (_trails, _, lane) = beside();
    let host = world("17.2.5");

    assert_eq!(asks(&host, &mut Exchange::new(lane)), Step::Wait);
    assert_eq!(host.replies.borrow()[0].status, 500);
}

#[test]
fn a_call_of_another_vm_passes_and_leaves_no_trail() {
    let (_trails, trail, lane) = beside();
    let host = world("18.2.5;none");

    assert_eq!(asks(&host, &mut Exchange::new(lane)), Step::Go);
    assert!(trail.is_empty());
}

#[test]
fn a_stream_cut_anywhere_leaves_in_whole_events_and_whole() {
    for cut in 1..STREAM.len() {
        let (_trails, _, lane) = beside();
        let host = world("17.2.5;none");
        let mut exchange = Exchange::new(lane);
        assert_eq!(asks(&host, &mut exchange), Step::Go);
        assert_eq!(exchange.response_headers(&host, false), Step::Wait, "until its first event");

        let (first, second) = STREAM.as_bytes().split_at(cut);
        let mut left = piece(&host, &mut exchange, first, false);
        assert!(left.is_empty() || left.ends_with(b"\n\n"), "{cut}");
        left.extend(piece(&host, &mut exchange, second, false));
        left.extend(piece(&host, &mut exchange, b"", true));

        assert_eq!(String::from_utf8(left).unwrap(), STREAM, "{cut}");
    }
}

#[test]
fn an_error_passes_as_it_was_said_and_is_kept_for_where_nobody_serves() {
    let (_trails, trail, lane) = beside();
    let host = world("17.2.5;none");
    let mut exchange = Exchange::new(lane);
    assert_eq!(asks(&host, &mut exchange), Step::Go);
    answers(&host, "429", "application/json");

    assert_eq!(exchange.response_headers(&host, false), Step::Wait);
    let said = br#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}"#;
    assert_eq!(piece(&host, &mut exchange, &said[..20], false), b"");
    assert_eq!(piece(&host, &mut exchange, &said[20..], true), said);

    assert_eq!(host.header(Map::Response, "anthropic-organization-id"), None);
    trail.begin(&Rc::default(), 0);
    let verdict = trail.verdict().unwrap();
    assert_eq!((verdict.status, verdict.retry_after), (429, Some(7)));
    let (_, _, again) = beside();
    host.replies.borrow_mut().clear();
    host.put_headers(Map::Request, &[(":path", "/v1/messages"), ("tollgate-lane", "-;-")]);
    assert_eq!(asks(&host, &mut Exchange::new(again)), Step::Wait, "it is left alone");
    let reply = host.replies.borrow()[0].clone();
    assert_eq!(reply.status, 429);
    assert!(reply.headers.contains(&("retry-after".into(), "7".into())), "{reply:?}");
}

/// Where trailers follow, no piece of a body is the last one.
#[test]
fn what_waited_for_its_end_leaves_with_the_trailers() {
    let limited = r#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}"#;
    let chat = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},
        "finish_reason":"stop"}]}"#;
    for (provider, status, kind, said, wanted) in [
        ("anthropic", "429", "application/json", limited, limited),
        ("anthropic", "200", "text/event-stream", STREAM, STREAM),
        ("openai", "200", "application/json", chat, r#""text":"Hi""#),
        (
            "openai",
            "429",
            "application/json",
            r#"{"error":{"message":"Slow"}}"#,
            "rate_limit_error",
        ),
    ] {
        let case = format!("{provider} {status} {kind}");
        let (_trails, trail, lane) = to(provider);
        let host = world("17.2.5;none");
        let mut exchange = Exchange::new(lane);
        assert_eq!(asks(&host, &mut exchange), Step::Go, "{case}");
        answers(&host, status, kind);
        assert_eq!(exchange.response_headers(&host, false), Step::Wait, "{case}");

        let (first, second) = said.split_at(said.len() / 2);
        let mut left = piece(&host, &mut exchange, first.as_bytes(), false);
        left.extend(piece(&host, &mut exchange, second.as_bytes(), false));
        assert_eq!(left.is_empty(), !kind.ends_with("stream"), "{case}");
        assert_eq!(exchange.response_trailers(&host), Step::Go, "{case}");
        left.extend(std::mem::take(host.bodies.borrow_mut().get_mut(&Body::Response).unwrap()));
        exchange.finished(&host);

        let left = String::from_utf8(left).unwrap();
        assert!(left.contains(wanted) && host.replies.borrow().is_empty(), "{case}: {left}");
        if wanted != said {
            let length = host.header(Map::Response, "content-length");
            assert_eq!(length, Some(left.len().to_string()), "{case}");
        }
        trail.begin(&Rc::default(), 0);
        let verdict = trail.verdict().unwrap();
        assert_eq!(status == "429", verdict.body == left.as_bytes(), "{case}: the gate has it");
        assert!(trail.told()[0].why.is_none(), "{case}");
    }
}

#[test]
fn an_error_without_a_body_gets_one() {
    let (_trails, _, lane) = beside();
    let host = world("17.2.5;none");
    let mut exchange = Exchange::new(lane);
    assert_eq!(asks(&host, &mut exchange), Step::Go);
    answers(&host, "503", "text/html");

    assert_eq!(exchange.response_headers(&host, true), Step::Wait);

    let reply = host.replies.borrow()[0].clone();
    assert_eq!(reply.status, 529, "for which clients wait longer");
    assert!(reply.body.contains(r#""type":"overloaded_error""#), "{}", reply.body);
}

/// Fails each host call of a call in turn: whatever fails before it was sent, it is not; whatever fails behind that,
/// no half-translated answer passes for a whole one.
#[test]
fn whichever_host_call_fails_nothing_is_sent_that_should_not_be() {
    let told = String::from_utf8(no::ANSWER_LOST.failure().event()).unwrap();
    let walk = |fails: Option<usize>| {
        let (_trails, _, lane) = beside();
        let host = world("17.2.5;none");
        host.fails.set(fails);
        let mut exchange = Exchange::new(lane);
        let sent = asks(&host, &mut exchange) == Step::Go;
        let asked = host.calls.borrow().len();
        let mut left = Vec::new();
        if sent {
            assert_eq!(exchange.response_headers(&host, false), Step::Wait);
            // The second leaves with the first event and half of the next one held.
            for (range, last) in [(0..20, false), (20..50, false), (50..STREAM.len(), true)] {
                if host.replies.borrow().is_empty() {
                    left.extend(piece(&host, &mut exchange, &STREAM.as_bytes()[range], last));
                }
            }
        }
        exchange.finished(&host);
        (host, sent, asked, String::from_utf8(left).unwrap())
    };
    let (host, sent, asked, left) = walk(None);
    assert!(sent && left == STREAM);
    let calls = host.calls.borrow().clone();

    for (index, call) in calls.iter().enumerate() {
        let (host, sent, _, left) = walk(Some(index + 1));
        let place = format!("call {index}, {call}");
        if index < asked {
            assert!(!sent, "{place}");
            assert_eq!(host.replies.borrow().len(), 1, "{place}");
        }
        let events = left.strip_suffix(&told).unwrap_or(&left);
        assert!(STREAM.starts_with(events), "{place}: {left}");
        assert!(events.is_empty() || events.ends_with("\n\n"), "{place}: {left}");
        assert!(
            left.is_empty() || left != events || events == STREAM,
            "{place}: nobody told: {left}"
        );
    }
}

#[test]
fn only_a_stream_that_the_provider_broke_is_told_to_the_client() {
    for (flags, spoken) in [(1_u64 << 2, 1), (1 << 14, 0)] {
        let (trails, _, lane) = beside();
        let host = world("17.2.5;none");
        let mut exchange = Exchange::new(lane);
        assert_eq!(asks(&host, &mut exchange), Step::Go);
        exchange.response_headers(&host, false);
        piece(&host, &mut exchange, STREAM.as_bytes(), false);
        trails.holds(9, 10, 0);
        host.properties.borrow_mut().insert("response.flags".into(), flags.to_le_bytes().to_vec());

        exchange.finished(&host);

        let said = host.spoken.borrow();
        assert_eq!(said.len(), spoken, "flags {flags}");
        assert!(
            said.iter().all(|(stream, event)| *stream == 9 && event.starts_with("event: error"))
        );
    }
}
