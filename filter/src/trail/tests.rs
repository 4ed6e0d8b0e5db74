use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn trail(answers: &[u16]) -> Trail {
    let trail = Trail::default();
    for (n, status) in answers.iter().enumerate() {
        let facts = Rc::new(Facts { lane: format!("lane-{n}"), ..Facts::default() });
        let place = trail.begin(&facts, 0);
        trail.note(place, |attempt| {
            attempt.status = Some(*status);
            let body = format!("{n}").into_bytes();
            attempt.failed = Some(Failed { status: *status, body, retry_after: None });
        });
    }
    trail
}

#[test]
fn of_what_all_providers_said_the_most_useful_is_the_answer() {
    for (answers, status, body) in [
        (&[429, 500][..], 429, "0"),
        (&[429, 429, 503], 429, "1"),
        (&[401, 404, 403], 403, "2"),
        (&[500, 404], 404, "1"),
        (&[500, 501], 501, "1"),
        (&[429, 400], 400, "1"),
        (&[503, 529], 502, r#""message":"all upstreams failed (2 attempted)""#),
    ] {
        let verdict = trail(answers).verdict().unwrap();

        assert_eq!(verdict.status, status, "{answers:?}");
        let said = String::from_utf8(verdict.body).unwrap();
        assert!(said.contains(body), "{answers:?}: {said}");
    }
    assert_eq!(trail(&[500]).verdict(), None, "what the only one said is the answer");
}

#[test]
fn a_provider_that_never_answered_counts_and_does_not_hide_what_another_said() {
    let asked = trail(&[429]);
    asked.begin(&Rc::default(), 0);

    assert_eq!(asked.verdict().unwrap().status, 429);
}

#[test]
fn a_row_tells_of_attempts_only_where_there_is_something_to_tell() {
    assert!(trail(&[200]).told().is_empty());
    assert_eq!(trail(&[503, 200]).told().len(), 2);
    let lossy = trail(&[200]);
    lossy.note(0, |attempt| attempt.dropped = vec!["top_k"]);
    assert_eq!(lossy.told()[0].dropped, ["top_k"]);
}

#[test]
fn attempts_without_end_take_bounded_room() {
    let asked = trail(&[500; 40]);

    assert_eq!(asked.len(), MOST);
}

#[test]
fn a_stream_is_spoken_into_only_behind_a_whole_event_and_while_it_runs() {
    let trails = Trails::default();
    assert_eq!(trails.holds(7, 10, 100), 0);
    assert_eq!(trails.holds(7, 15, 110), 10, "ten of them were held already");
    trails.ends_whole(7, false);
    assert!(!trails.may_speak(7));
    assert!(trails.silent(1_000, 50).is_empty(), "half an event is out");

    trails.ends_whole(7, true);
    assert!(trails.silent(1_000, 50).is_empty(), "something is on its way");
    assert!(trails.released(7));
    assert_eq!(trails.silent(1_000, 50), [7]);
    assert!(trails.silent(1_040, 50).is_empty(), "it was spoken into just now");

    trails.closes(7);
    assert!(!trails.may_speak(7) && !trails.released(7));
}

#[test]
fn without_lanes_nothing_is_kept() {
    let trails = Trails::default();
    let sequence = Sequence { boot: 1, vm: 2, n: 3 };
    assert!(trails.leaves(sequence, 7).is_none());

    trails.lane_is_here();
    assert!(trails.leaves(sequence, 7).is_some() && trails.of(sequence).is_some());
    trails.over(sequence);
    assert!(trails.of(sequence).is_none());
}
