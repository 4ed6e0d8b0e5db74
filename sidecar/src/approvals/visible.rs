//! What an agent wrote, as a person can trust their eyes with it: signs that are not seen, or that turn what stands
//! behind them around, are shown as what they are.

use std::fmt::Write;

/// A text without signs that deceive; lines stay lines.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for sign in text.chars() {
        if sign == '\n' || !deceives(sign) {
            shown.push(sign);
        } else {
            // Writing into text cannot fail.
            let _written = write!(shown, "\\u{{{:x}}}", u32::from(sign));
        }
    }

    shown
}

/// The same, at most so many characters long; says so where something is missing.
pub fn shortened(text: &str, most: usize) -> String {
    let mut shown = visible(text);
    if let Some((at, _)) = shown.char_indices().nth(most) {
        shown.truncate(at);
        shown.push_str(" […]");
    }

    shown
}

/// Controls, what has no width, and what changes the direction of writing (Unicode: Cc, Cf, and the blanks that look
/// like nothing).
fn deceives(sign: char) -> bool {
    sign.is_control()
        || matches!(
            u32::from(sign),
            0xad | 0x34f
                | 0x61c
                | 0x115f..=0x1160
                | 0x17b4..=0x17b5
                | 0x180b..=0x180f
                | 0x200b..=0x200f
                | 0x2028..=0x202e
                | 0x2060..=0x206f
                | 0x2800
                | 0x3164
                | 0xfe00..=0xfe0f
                | 0xfeff
                | 0xffa0
                | 0xfff0..=0xfffb
                | 0xe0000..=0xe0fff
        )
}

/// JSON laid out for reading: a member a line. What cannot be read stays as it is.
pub fn pretty(json: &str) -> String {
    let laid = serde_json::from_str::<&serde_json::value::RawValue>(json).ok().map(|_| lay(json));

    visible(&laid.unwrap_or_else(|| json.to_owned()))
}

/// Breaks lines between the tokens of canonical JSON, and touches none of them: what is shown is what is approved.
fn lay(json: &str) -> String {
    let (mut out, mut depth, mut inside, mut escaped) = (String::new(), 0_usize, false, false);
    let mut signs = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(sign) = signs.next() {
        if inside {
            out.push(sign);
            inside = escaped || sign != '"';
            escaped = !escaped && sign == '\\';
            continue;
        }
        match sign {
            '"' => {
                inside = true;
                out.push(sign);
            }
            '{' | '[' => {
                out.push(sign);
                if !matches!(signs.peek(), Some('}' | ']')) {
                    depth = depth.saturating_add(1);
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                if !matches!(out.chars().next_back(), Some('{' | '[')) {
                    depth = depth.saturating_sub(1);
                    line(&mut out, depth);
                }
                out.push(sign);
            }
            ',' => {
                out.push(sign);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            sign => out.push(sign),
        }
    }

    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_writing_around_or_hides_is_shown_as_what_it_is() {
        let text = "pay \u{202e}001 to\u{200b} Bob\u{7}\u{e0041}\nüber 日本";

        assert_eq!(visible(text), "pay \\u{202e}001 to\\u{200b} Bob\\u{7}\\u{e0041}\nüber 日本");
        assert_eq!(shortened("abcdef", 3), "abc […]");
        assert_eq!(shortened("abc", 3), "abc");
    }

    #[test]
    fn json_is_laid_out_without_touching_a_token() {
        let json = r#"{"a":{},"b":["x,{}\"",1e30,[]],"c":{"d":null}}"#;

        let laid = pretty(json);

        let lines = "{\n  \"a\": {},\n  \"b\": [\n    \"x,{}\\\"\",\n    1e30,\n    []\n  ],\n  \"c\": {\n    \"d\": null\n  }\n}";
        assert_eq!(laid, lines);
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&laid), read(json));
    }
}
