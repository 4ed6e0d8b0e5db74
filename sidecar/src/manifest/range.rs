//! Which bytes of an archive are asked for (RFC 9110 §14).

use axum::http::{HeaderMap, HeaderValue, header};

/// Which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// All of it.
    Whole,
    /// From the first to the last, both included.
    Part(u64, u64),
    /// None that it has.
    Beyond,
}

/// What the head asks for, of so many bytes with this tag. Several ranges, other units and what is no range are answered
/// with the whole, as §14.2 allows.
pub fn asked(head: &HeaderMap, length: u64, tag: &HeaderValue) -> Asked {
    let mut values = head.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Asked::Whole };
    // §13.1.5: only for who has the beginning of these very bytes. A date says nothing here.
    if head.get(header::IF_RANGE).is_some_and(|known| known != tag) {
        return Asked::Whole;
    }
    let range = value.to_str().ok().and_then(|text| text.trim().strip_prefix("bytes="));
    let Some((from, to)) = range.and_then(|range| range.trim().split_once('-')) else {
        return Asked::Whole;
    };
    let last = length.saturating_sub(1);
    let (from, to) = (from.trim(), to.trim());
    match (from.is_empty(), number(from), number(to)) {
        // The last so many.
        (true, _, Some(count)) if count == 0 || length == 0 => Asked::Beyond,
        (true, _, Some(count)) => Asked::Part(length.saturating_sub(count), last),
        (false, Some(from), last_of) if last_of.is_some() || to.is_empty() => {
            let to = last_of.unwrap_or(u64::MAX);
            match (to < from, from < length) {
                (true, _) => Asked::Whole,
                (false, false) => Asked::Beyond,
                (false, true) => Asked::Part(from, to.min(last)),
            }
        }
        _ => Asked::Whole,
    }
}

/// A number; one of more digits than fit is beyond any length.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());

    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(range: &str, length: u64) -> Asked {
        let tag = HeaderValue::from_static("\"a\"");
        asked(&[(header::RANGE, range.parse().unwrap())].into_iter().collect(), length, &tag)
    }

    #[test]
    fn a_range_is_read_as_the_standard_says() {
        for (range, expected) in [
            ("bytes=0-0", Asked::Part(0, 0)),
            ("bytes=2-", Asked::Part(2, 9)),
            ("bytes=2-4", Asked::Part(2, 4)),
            ("bytes=2-400", Asked::Part(2, 9)),
            ("bytes=-3", Asked::Part(7, 9)),
            ("bytes=-300", Asked::Part(0, 9)),
            ("bytes=10-", Asked::Beyond),
            ("bytes=99999999999999999999-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=4-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=0-1,3-", Asked::Whole),
            ("bytes=-1,3-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("bytes", Asked::Whole),
        ] {
            assert_eq!(of(range, 10), expected, "{range}");
        }
        assert_eq!(of("bytes=0-", 0), Asked::Beyond);
        assert_eq!(of("bytes=-1", 0), Asked::Beyond);
    }

    #[test]
    fn who_has_the_beginning_of_something_else_gets_the_whole() {
        let tag = HeaderValue::from_static("\"a\"");
        let with = |known: &'static str| {
            let head = [
                (header::RANGE, HeaderValue::from_static("bytes=1-")),
                (header::IF_RANGE, HeaderValue::from_static(known)),
            ];
            asked(&head.into_iter().collect(), 10, &tag)
        };

        assert_eq!(with("\"a\""), Asked::Part(1, 9));
        assert_eq!(with("\"b\""), Asked::Whole);
        assert_eq!(with("W/\"a\""), Asked::Whole, "a weak tag is none here");
        assert_eq!(with("Sun, 22 Nov 2026 09:00:00 GMT"), Asked::Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_in_what_there_is(range in "bytes=[0-9]{0,3}-[0-9]{0,3}", length in 0_u64..500) {
            if let Asked::Part(from, to) = of(&range, length) {
                prop_assert!(from <= to && to < length);
            }
        }
    }
}
