use super::*;
use contract::audit::Payload;
use envoy_types::pb::envoy::config::core::v3::SocketAddress;
use envoy_types::pb::envoy::data::accesslog::v3::{
    HttpRequestProperties, HttpResponseProperties, response_flags,
};
use envoy_types::pb::google::protobuf::UInt32Value;
use serde_json::json;

/// One exchange, to be told in both forms.
#[derive(Clone)]
struct Told {
    id: &'static str,
    status: Option<u16>,
    flags: &'static [&'static str],
    details: &'static str,
    method: RequestMethod,
    path: &'static str,
    duration: Option<(i64, i32)>,
    record: Option<String>,
}

const START: i64 = 1_763_730_000;

impl Told {
    fn new() -> Self {
        Self {
            id: "4b1f0f0e-7d7a-4b52-9a52-7c9d0a1b2c3d",
            status: Some(200),
            flags: &[],
            details: "via_upstream",
            method: RequestMethod::Post,
            path: "/v1/messages?beta=true",
            duration: Some((1, 234_999_999)),
            record: None,
        }
    }

    fn by_grpc(&self) -> Event<'static> {
        let mut flags = ResponseFlags::default();
        for flag in self.flags {
            match *flag {
                "DC" => flags.downstream_connection_termination = true,
                "UR" => flags.upstream_remote_reset = true,
                "UPE" => flags.upstream_protocol_error = true,
                "DPE" => flags.downstream_protocol_error = true,
                "UAEX" => {
                    flags.unauthorized_details = Some(response_flags::Unauthorized::default());
                }
                other => panic!("{other} is not in this table"),
            }
        }
        let socket = SocketAddress { address: "10.0.0.7".into(), ..SocketAddress::default() };
        let mut common = AccessLogCommon {
            start_time: Some(Timestamp { seconds: START, nanos: 123_456_789 }),
            duration: self.duration.map(|(seconds, nanos)| Duration { seconds, nanos }),
            response_flags: Some(flags),
            downstream_remote_address: Some(Address {
                address: Some(address::Address::SocketAddress(socket)),
            }),
            upstream_cluster: "anthropic".into(),
            ..AccessLogCommon::default()
        };
        let any = |kind: &str, text: &str| Any {
            type_url: format!("type.googleapis.com/google.protobuf.{kind}"),
            value: text.as_bytes().to_vec().encode_to_vec(),
        };
        let states = &mut common.filter_state_objects;
        if !self.id.is_empty() {
            states.insert(EVENT_ID_STATE.into(), any("StringValue", self.id));
        }
        if let Some(record) = &self.record {
            states.insert(FILTER_STATE.into(), any("BytesValue", record));
        }
        let entry = HttpAccessLogEntry {
            common_properties: Some(common),
            request: Some(HttpRequestProperties {
                request_method: self.method.into(),
                path: self.path.into(),
                ..HttpRequestProperties::default()
            }),
            response: Some(HttpResponseProperties {
                response_code: self.status.map(|code| UInt32Value { value: code.into() }),
                response_code_details: self.details.into(),
                ..HttpResponseProperties::default()
            }),
            ..HttpAccessLogEntry::default()
        };

        // Over the wire, as it comes.
        let entry = HttpAccessLogEntry::decode(&*entry.encode_to_vec()).unwrap();
        Ended::from(entry).into_event()
    }

    fn by_spool(&self) -> Event<'static> {
        let dash = |text: &str| if text.is_empty() { json!(null) } else { json!(text) };
        let method = method_name(self.method.into());
        let line = json!({
            "event_id": dash(self.id),
            "started_at": format!("{START}.123456"),
            "duration_ms": self.duration.map(|(seconds, nanos)| seconds * 1000 + i64::from(nanos / 1_000_000)),
            "status": self.status.unwrap_or(0),
            "flags": if self.flags.is_empty() { json!("-") } else { json!(self.flags.join(",")) },
            "details": dash(self.details),
            "method": dash(&method),
            "path": dash(self.path.split('?').next().unwrap()),
            "source_address": "10.0.0.7",
            "cluster": "anthropic",
            "record": self.record,
        });
        Ended::from_line(line.to_string().as_bytes()).unwrap().into_event()
    }

    /// The row, which must be the same both ways.
    fn row(&self) -> Event<'static> {
        let (quick, sure) = (self.by_grpc(), self.by_spool());
        assert_eq!(quick, sure, "one exchange, one row");
        quick
    }
}

fn record() -> Event<'static> {
    Event {
        occurred_at: 1_763_730_000_123_400,
        tenant_id: "acme".into(),
        user_id: "ann@example.com".into(),
        request_id: Some("4b1f0f0e-7d7a-4b52-9a52-7c9d0a1b2c3d".into()),
        model: Some("claude-sonnet-4-5".into()),
        latency_ms: Some(1_230),
        status: Some(200),
        outcome: Outcome::Allowed,
        complete: true,
        ..Event::default()
    }
}

fn wire(event: &Event<'_>) -> String {
    serde_json::to_string(event).unwrap()
}

#[test]
fn a_whole_record_is_the_row_and_only_gaps_are_filled() {
    let row = Told { record: Some(wire(&record())), ..Told::new() }.row();

    let source = Some("10.0.0.7".into());
    let expected = Event {
        event_id: Told::new().id.into(),
        payload: Payload { source_address: source, ..Payload::default() },
        ..record()
    };
    assert_eq!(row, expected);
}

#[test]
fn a_provisional_record_keeps_who_and_learns_how_it_ended() {
    let mut cut = record();
    cut.payload.flags = vec!["provisional".into()];
    let told = Told {
        status: Some(503),
        details: "wasm_fail_stream",
        flags: &["DC"],
        record: Some(wire(&cut)),
        ..Told::new()
    };

    let row = told.row();

    assert_eq!(row.user_id, "ann@example.com");
    assert_eq!((row.outcome, row.status, row.latency_ms), (Outcome::Error, Some(503), Some(1_234)));
    assert!(!row.complete);
    assert_eq!(row.payload.ending.as_deref(), Some("DC wasm_fail_stream"));
}

#[test]
fn a_record_without_a_status_is_one_that_was_cut() {
    let cut = Event { status: None, ..record() };

    let row = Told { status: None, duration: None, record: Some(wire(&cut)), ..Told::new() }.row();

    assert_eq!((row.outcome, row.status, row.latency_ms), (Outcome::Error, Some(0), None));
}

#[test]
fn what_envoy_refuses_itself_has_a_row_of_its_words() {
    use Outcome::{Denied, Error};
    let table: &[(u16, &'static [&'static str], &'static str, Outcome)] = &[
        (400, &["DPE"], "http1.codec_error", Denied),
        (404, &[], "direct_response", Denied),
        (408, &[], "request_header_timeout", Denied),
        (413, &[], "request_payload_too_large", Denied),
        (503, &["UR", "DC"], "upstream_reset_before_response_started{connection}", Error),
        (0, &["DC"], "", Error),
        (503, &[], "", Error),
    ];
    let rules = table.iter().map(|&(status, flags, details, outcome)| {
        let row = Told { status: Some(status), flags, details, ..Told::new() }.row();
        assert_eq!((row.outcome, row.status), (outcome, Some(status)), "{details}");
        assert_eq!(row.payload.target.as_deref(), Some("POST /v1/messages"), "without the query");
        assert_eq!(row.occurred_at, 1_763_730_000_123_456, "cut and not rounded");
        assert_eq!(row.latency_ms, Some(1_234), "cut and not rounded");
        assert_eq!(row.payload.flags, ["no_record"]);
        let ending = row.payload.ending.unwrap_or_default();
        (row.rule_id.unwrap().into_owned(), ending.into_owned())
    });

    let rules: Vec<_> = rules.collect();
    let expected = [
        ("envoy:http1.codec_error", "DPE http1.codec_error"),
        ("envoy:direct_response", "direct_response"),
        ("envoy:request_header_timeout", "request_header_timeout"),
        ("envoy:request_payload_too_large", "request_payload_too_large"),
        (
            "envoy:upstream_reset_before_response_started",
            "DC,UR upstream_reset_before_response_started{connection}",
        ),
        ("envoy:DC", "DC"),
        ("envoy:unknown", ""),
    ];
    assert_eq!(rules, expected.map(|(rule, ending)| (rule.to_owned(), ending.to_owned())));
}

#[test]
fn white_space_and_strange_methods_are_told_alike_both_ways() {
    let told = Told { status: Some(503), details: "tls error: bad\tcertificate", ..Told::new() };
    assert_eq!(told.by_grpc().payload.ending.as_deref(), Some("tls_error:_bad_certificate"));
    let file = br#"{"started_at":"1.0","details":"tls_error:_bad_certificate","status":503}"#;
    let sure = Ended::from_line(file).unwrap().into_event();
    assert_eq!(sure.payload.ending, told.row().payload.ending);

    let strange = Told { method: RequestMethod::MethodUnspecified, ..Told::new() };
    let file = br#"{"started_at":"1.0","method":"PROPFIND","path":"/v1/messages"}"#;
    let sure = Ended::from_line(file).unwrap().into_event();
    assert_eq!(sure.payload.target, strange.by_grpc().payload.target);
}

#[test]
fn the_kind_of_an_unrecorded_exchange_is_its_path_s() {
    let kind = |path| Told { path, ..Told::new() }.row().kind;

    assert_eq!(kind("/v1/messages/count_tokens"), Kind::Count);
    assert_eq!(kind("/v1/auth/cowork/pat"), Kind::Auth);
    assert_eq!(kind("/anything"), Kind::Inference);
}

#[test]
fn a_request_without_anything_still_has_a_row() {
    let told = Told {
        id: "",
        method: RequestMethod::MethodUnspecified,
        path: "",
        flags: &["DPE"],
        details: "",
        status: Some(400),
        ..Told::new()
    };

    let row = told.row();

    assert_eq!((row.event_id.as_ref(), row.payload.target, row.request_id), ("", None, None));
}

#[test]
fn a_record_that_cannot_be_read_is_said_to_be_so() {
    let row = Told { record: Some("{\"tenant_id\":".into()), ..Told::new() }.row();

    assert_eq!(row.payload.flags, ["record_unreadable"]);
    assert_eq!(row.outcome, Outcome::Error, "a call without its record is no success");
}

#[test]
fn a_failure_told_by_envoy_alone_is_kept_beside_the_record() {
    let row = Told { flags: &["UPE", "DC"], record: Some(wire(&record())), ..Told::new() }.row();

    assert_eq!(row.outcome, Outcome::Allowed, "the filter judged, knowing more");
    assert_eq!(row.payload.ending.as_deref(), Some("DC,UPE via_upstream"));
}

#[test]
fn numbers_may_be_text_and_dashes_are_nothing() {
    let line = br#"{"event_id":"-","started_at":"1763730000.5","duration_ms":"-","status":"404",
        "flags":"-","details":"-","method":"-","path":"-","source_address":"-","record":"-","new":1}"#;

    let ended = Ended::from_line(line).unwrap();

    assert_eq!(ended, Ended { started_at: 1_763_730_000_500_000, status: 404, ..Ended::default() });
}

#[test]
fn an_endless_path_is_cut() {
    let line = json!({ "path": "/é".repeat(5_000), "status": 404 }).to_string();

    let row = Ended::from_line(line.as_bytes()).unwrap().into_event();

    assert_eq!(row.payload.target.unwrap().chars().count(), LONGEST_TARGET);
}
