//! What is billed, in the cases in which other gateways bill something else.

use super::*;
use contract::price::RateCard;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A whole answer with this usage, read and priced as Sonnet 4.5's.
fn bill(usage: &str) -> (Reading, Option<u64>) {
    let mut meter = Meter::new(b"application/json", None);
    meter.eat(format!(r#"{{"content":[],"usage":{usage}}}"#).as_bytes());
    priced(meter.finish(true))
}

/// A stream of `message_start` with one usage, and a `message_delta` for each of the others.
fn streamed(start: &str, deltas: &[&str], to_the_end: bool) -> (Reading, Option<u64>) {
    let mut meter = Meter::new(b"text/event-stream", None);
    let start = start.replace('\n', " ");
    meter.eat(
        format!(
            "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"usage\":{start}}}}}\n\n"
        )
        .as_bytes(),
    );
    for delta in deltas {
        let delta = delta.replace('\n', " ");
        let event = format!(r#"{{"type":"message_delta","usage":{delta}}}"#);
        meter.eat(format!("event: message_delta\ndata: {event}\n\n").as_bytes());
    }
    if to_the_end {
        meter.eat(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }
    priced(meter.finish(to_the_end))
}

fn priced(reading: Reading) -> (Reading, Option<u64>) {
    let card = RateCard::shipped().unwrap();
    let cost = reading.usage.cost_micro(&card, "anthropic", "claude-sonnet-4-5");
    (reading, cost)
}

const COMPACTED: &str = r#"{"input_tokens":23000,"output_tokens":1000,"iterations":[
    {"type":"compaction","input_tokens":180000,"output_tokens":3500},
    {"type":"message","input_tokens":23000,"output_tokens":1000}]}"#;

#[test]
fn a_compaction_is_billed_though_the_numbers_beside_it_leave_it_out() {
    let (reading, cost) = bill(COMPACTED);

    let usage = &reading.usage;
    assert_eq!((usage.input, usage.output), (Some(203_000), Some(4_500)));
    assert_eq!(cost, Some(203_000 * 3 + 4_500 * 15));
    assert!(reading.complete && reading.flags.is_empty(), "{:?}", reading.flags);
    let (in_stream, same) =
        streamed(r#"{"input_tokens":23000,"output_tokens":1}"#, &[COMPACTED], true);
    assert_eq!((in_stream.usage.output, same), (Some(4_500), cost), "in a stream as well");
}

#[test]
fn an_advisor_is_billed_at_its_own_model_s_price() {
    let usage = |model: &str| {
        format!(
            r#"{{"input_tokens":412,"output_tokens":531,"iterations":[
            {{"type":"message","input_tokens":412,"output_tokens":89}},
            {{"type":"advisor_message"{model},"input_tokens":823,"output_tokens":1612}},
            {{"type":"message","input_tokens":1348,"cache_read_input_tokens":412,"output_tokens":442}}]}}"#
        )
    };

    let (reading, cost) = bill(&usage(r#","model":"claude-opus-4-8-20260101""#));

    let sums = (reading.usage.input, reading.usage.output, reading.usage.cache_read);
    assert_eq!(sums, (Some(412 + 823 + 1348), Some(531 + 1612), Some(412)));
    let sonnet_nanos = (412 + 1348) * 3_000 + 531 * 15_000 + 412 * 300;
    let opus_nanos = 823 * 5_000 + 1612 * 25_000;
    assert_eq!(cost, Some((sonnet_nanos + opus_nanos + 500) / 1000));
    for unknown in [r#","model":"claude-next-9""#, r#","model":"not a name""#, ""] {
        let (reading, cost) = bill(&usage(unknown));
        assert_eq!((reading.usage.output, cost), (Some(531 + 1612), None), "{unknown}");
        assert!(reading.complete, "the usage is known, its price is not");
    }
}

#[test]
fn where_a_fallback_took_over_only_turns_that_name_their_model_have_a_price() {
    let usage = |declined: &str| {
        format!(
            r#"{{"input_tokens":10,"output_tokens":20,"iterations":[
            {{"type":"message"{declined},"input_tokens":10,"output_tokens":5}},
            {{"type":"fallback_message","model":"claude-haiku-4-5","input_tokens":10,"output_tokens":20}}]}}"#
        )
    };

    let named = r#","model":"claude-opus-4-8""#;
    assert_eq!(bill(&usage(named)).1, Some(10 * 5 + 5 * 25 + 10 + 20 * 5));
    assert_eq!(bill(&usage("")).1, None, "the turn may be of either model");
    let redeemed = r#"{"input_tokens":1,"output_tokens":1,"fallback_credit":{"type":"redeemed"}}"#;
    assert_eq!(bill(redeemed).1, None, "billed as if another had had the conversation");
}

#[test]
fn runs_and_the_numbers_beside_them_are_never_added_up() {
    let once = r#"{"input_tokens":5,"output_tokens":7,"server_tool_use":{"web_search_requests":2},
        "iterations":[{"type":"message","input_tokens":5,"output_tokens":7}]}"#;

    let (reading, cost) = bill(once);

    assert_eq!((reading.usage.input, reading.usage.output), (Some(5), Some(7)));
    assert_eq!(cost, Some(5 * 3 + 7 * 15 + 2 * 10_000), "and a search is billed once");
    let grows = [
        r#"{"output_tokens":3,"iterations":[{"type":"message","input_tokens":5,"output_tokens":3}]}"#,
        r#"{"output_tokens":7,"iterations":[{"type":"message","input_tokens":5,"output_tokens":7}]}"#,
        r#"{"output_tokens":7,"iterations":null}"#,
        r#"{"output_tokens":7,"iterations":[]}"#,
    ];
    let (reading, cost) = streamed(r#"{"input_tokens":5,"output_tokens":1}"#, &grows, true);
    assert_eq!((reading.usage.output, cost), (Some(7), Some(5 * 3 + 7 * 15)), "the last list said");
}

#[test]
fn runs_that_do_not_say_what_they_took_are_flagged_and_have_no_price() {
    for (usage, known) in [
        (r#"{"input_tokens":1,"output_tokens":2,"iterations":[{"type":"message"}]}"#, true),
        (r#"{"input_tokens":1,"output_tokens":2,"iterations":[{"type":"compaction"}]}"#, false),
        (
            r#"{"input_tokens":1,"output_tokens":2,"iterations":[{"type":"message"},{"type":"message"}]}"#,
            false,
        ),
        (
            r#"{"input_tokens":1,"output_tokens":2,"iterations":[{"type":"message","input_tokens":1,"output_tokens":1}]}"#,
            false,
        ),
    ] {
        let (reading, cost) = bill(usage);
        assert_eq!((reading.complete, cost.is_some()), (known, known), "{usage}");
        assert_eq!(reading.flags.contains(&flags::ITERATIONS), !known, "{usage}");
        assert_eq!(reading.usage.output, Some(2), "{usage}");
    }
    let odd = bill(r#"{"input_tokens":1,"output_tokens":2,"iterations":[{"input_tokens":"x"}]}"#);
    assert_eq!((odd.0.flags, odd.1), (vec![flags::UNREADABLE], None));
}

#[test]
fn many_runs_take_no_more_memory_than_few() {
    let turn = r#"{"type":"message","input_tokens":1,"output_tokens":1}"#;
    let many = vec![turn; 1000].join(",");
    let (reading, cost) =
        bill(&format!(r#"{{"input_tokens":1,"output_tokens":1000,"iterations":[{many}]}}"#));
    assert_eq!((reading.usage.input, cost), (Some(1000), Some(18_000)));

    let models: Vec<_> = (0..100)
        .map(|n| {
            format!(r#"{{"type":"message","model":"m-{n}","input_tokens":1,"output_tokens":1}}"#)
        })
        .collect();
    let runs = models.join(",");
    let (reading, cost) =
        bill(&format!(r#"{{"input_tokens":1,"output_tokens":1,"iterations":[{runs}]}}"#));
    assert_eq!((reading.flags, cost), (vec![flags::ITERATIONS], None), "beyond what is told apart");
}

#[test]
fn a_cache_written_for_an_hour_is_not_billed_as_five_minutes() {
    let hour = r#"{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":1000,
        "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":1000}}"#;
    assert_eq!(bill(hour).1, Some(6_000));

    // The last delta says the whole and not the split.
    let delta = r#"{"output_tokens":0,"cache_creation_input_tokens":1000}"#;
    assert_eq!(streamed(hour, &[delta], true).1, Some(6_000));

    let in_runs = |split: &str| {
        let run = format!(
            r#"{{"type":"message","input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":1000{split}}}"#
        );
        format!(r#"{{"output_tokens":0,"iterations":[{run}]}}"#)
    };
    let said = in_runs(r#","cache_creation":{"ephemeral_1h_input_tokens":1000}"#);
    assert_eq!(streamed(hour, &[&said], true).1, Some(6_000), "said of the run");
    assert_eq!(streamed(hour, &[&in_runs("")], true).1, Some(6_000), "said beside it");
    let other = in_runs("").replace("1000", "1500");
    let (reading, cost) = streamed(hour, &[&other], true);
    assert_eq!((reading.usage.cache_write, cost), (Some(1_500), None), "not said: not guessed");
    assert_eq!(reading.usage.fine.cache_write_1h, None);
}

#[test]
fn cache_reads_are_counted_once() {
    let usage = r#"{"input_tokens":10,"output_tokens":0,"cache_read_input_tokens":100000}"#;

    let (reading, cost) = bill(usage);

    assert_eq!((reading.usage.input, reading.usage.cache_read), (Some(10), Some(100_000)));
    assert_eq!(cost, Some(10 * 3 + 30_000), "at their own price and not at the input's too");
    let again = streamed(usage, &[usage, usage], true);
    assert_eq!((again.0.usage.cache_read, again.1), (Some(100_000), cost), "said three times");
}

#[test]
fn usage_that_is_said_only_at_the_end_is_read() {
    let end = r#"{"input_tokens":10,"output_tokens":20,"cache_read_input_tokens":5}"#;

    for start in
        ["null", "{}", r#"{"input_tokens":null}"#, r#"{"input_tokens":0,"output_tokens":0}"#]
    {
        let (reading, cost) = streamed(start, &[end], true);
        assert_eq!((reading.usage.input, reading.usage.output), (Some(10), Some(20)), "{start}");
        assert!(reading.complete, "{start}");
        assert_eq!(cost, Some(332), "{start}");
    }
}

#[test]
fn usage_of_zero_is_zero_and_missing_usage_is_not() {
    let (reading, cost) = bill(r#"{"input_tokens":0,"output_tokens":0}"#);
    assert_eq!((reading.usage.input, reading.complete, cost), (Some(0), true, Some(0)));

    let (reading, _) = streamed("null", &[], true);
    assert_eq!((reading.usage.input, reading.usage.is_known()), (None, false));
    assert_eq!((reading.complete, reading.flags), (false, vec![flags::USAGE_MISSING]));
}

#[test]
fn a_stream_that_the_client_left_is_billed_from_what_was_seen_and_marked_incomplete() {
    let (reading, cost) = streamed(r#"{"input_tokens":1000,"output_tokens":3}"#, &[], false);

    assert_eq!((reading.usage.input, reading.complete), (Some(1000), false));
    assert_eq!(cost, Some(1000 * 3 + 3 * 15), "the least it can be");
}
