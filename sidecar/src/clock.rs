//! Times: Unix microseconds in rows, Unix seconds for credentials, RFC 3339 for people.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// Seconds of a day.
pub const DAY: u64 = 86_400;

/// Now, Unix microseconds.
pub fn now_micros() -> u64 {
    u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default()
}

/// Now, Unix seconds.
pub fn now() -> u64 {
    now_micros() / 1_000_000
}

/// As a row has it: UTC with microseconds, so that text sorts as time does.
pub fn stamp(micros: u64) -> String {
    instant(micros).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// The month of a row, `2026-11`.
pub fn month(micros: u64) -> String {
    instant(micros).strftime("%Y-%m").to_string()
}

/// As a person reads it, to the second.
pub fn readable(seconds: u64) -> String {
    instant(seconds.saturating_mul(1_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// As a file name has it.
pub fn compact(seconds: u64) -> String {
    instant(seconds.saturating_mul(1_000_000)).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A point in time as people write it: RFC 3339, or how long ago (`15m`, `2h`, `7d`).
pub fn point(text: &str) -> Result<u64, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(u64::try_from(at.as_microsecond()).unwrap_or_default());
    }

    ago(text)
        .and_then(|ago| Timestamp::now().checked_sub(ago).ok())
        .and_then(|at| u64::try_from(at.as_microsecond()).ok())
        .ok_or_else(|| "write a time as 2026-11-21T13:00:00Z, or how long ago: 15m, 2h, 7d".into())
}

/// How long, as people write it (`30m`, `2h`, `7d`), in seconds. Not nothing, and no more than ten years.
pub fn span(text: &str) -> Result<u64, String> {
    ago(text)
        .and_then(|span| u64::try_from(span.as_secs()).ok())
        .filter(|seconds| (1..=3650 * DAY).contains(seconds))
        .ok_or_else(|| "write how long as 90s, 30m, 2h or 7d".into())
}

/// A point in time to come: RFC 3339, or a day, which is its midnight in UTC. Unix seconds.
pub fn later(text: &str) -> Result<u64, String> {
    let at = day(text).and_then(midnight).or_else(|| {
        let at: Timestamp = text.parse().ok()?;
        u64::try_from(at.as_microsecond()).ok()
    });
    match at.map(|micros| micros / 1_000_000) {
        Some(at) if at > now() => Ok(at),
        Some(_) => Err("that is over already".into()),
        None => Err("write a time as 2026-11-21T13:00:00Z, or a day as 2026-11-21".into()),
    }
}

/// As [`point`], or a day, which is its midnight in UTC.
pub fn day_or_point(text: &str) -> Result<u64, String> {
    if let Some(start) = day(text).and_then(midnight) {
        return Ok(start);
    }

    point(text).map_err(|words| format!("write a day as 2026-11-21; or {words}"))
}

/// The day that begins then, if one does.
pub fn whole_day(micros: u64) -> Option<String> {
    micros
        .is_multiple_of(DAY.saturating_mul(1_000_000))
        .then(|| stamp(micros).chars().take(10).collect())
}

/// From when to when a day lasts, Unix microseconds.
pub fn day_of(text: &str) -> Option<(u64, u64)> {
    let day = day(text)?;

    Some((midnight(day)?, midnight(day.tomorrow().ok()?)?))
}

/// From when to when the month of a day lasts, Unix microseconds.
pub fn month_of(text: &str) -> Option<(u64, u64)> {
    let first = day(text)?.first_of_month();

    Some((midnight(first)?, midnight(first.checked_add(1.month()).ok()?)?))
}

/// `2026-11-21`, and nothing longer.
fn day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| text.len() == 10)
}

fn midnight(day: Date) -> Option<u64> {
    let start = day.to_zoned(TimeZone::UTC).ok()?;

    u64::try_from(start.timestamp().as_microsecond()).ok()
}

fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };

    number.checked_mul(seconds).map(SignedDuration::from_secs)
}

fn instant(micros: u64) -> Timestamp {
    i64::try_from(micros)
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_s_time_is_utc_text_of_one_length() {
        assert_eq!(stamp(1_763_730_000_000_007), "2025-11-21T13:00:00.000007Z");
        assert_eq!(stamp(0).len(), stamp(1_763_730_000_123_456).len());
        assert_eq!(stamp(u64::MAX), "1970-01-01T00:00:00.000000Z", "nonsense does not panic");
    }

    #[test]
    fn a_day_is_its_midnight_in_utc() {
        assert_eq!(day_or_point("2025-11-21").unwrap(), 1_763_683_200_000_000);
        assert_eq!(day_or_point("2025-11-21T13:00:00Z").unwrap(), 1_763_730_000_000_000);
        assert!(day_or_point("2025-13-01").is_err() && day_or_point("2025-02-30").is_err());
        assert_eq!(whole_day(1_763_683_200_000_000).as_deref(), Some("2025-11-21"));
        assert_eq!(whole_day(1_763_683_200_000_001), None);
        let days = |(from, to): (u64, u64)| (to - from) / DAY / 1_000_000;
        assert_eq!(month_of("2024-02-29").map(days), Some(29));
        assert_eq!(day_of("2024-12-31").map(days), Some(1));
        assert_eq!(month_of("nonsense"), None);
    }

    #[test]
    fn people_say_how_long_in_words_and_until_when_only_of_what_is_to_come() {
        assert_eq!((span("90s"), span("2h"), span("7d")), (Ok(90), Ok(7_200), Ok(604_800)));
        for nonsense in ["", "0m", "-1h", "2", "2w", "9999d", "1é"] {
            assert!(span(nonsense).is_err(), "{nonsense}");
        }
        assert_eq!(later("2999-01-01"), later("2999-01-01T00:00:00Z"));
        assert!(later("2025-11-21").is_err() && later("2h").is_err());
    }

    #[test]
    fn people_may_say_how_long_ago() {
        let then = point("1h").unwrap();
        let hour = now_micros() - then;

        assert!((3_600_000_000..3_601_000_000).contains(&hour), "{hour}");
        assert_eq!(point("2025-11-21T13:00:00Z").unwrap(), 1_763_730_000_000_000);
        for nonsense in ["", "h", "1y", "yesterday", "9223372036854775807d", "1é"] {
            assert!(point(nonsense).is_err(), "{nonsense}");
        }
    }
}
