//! One thing that is looked for, and whether it stands where an anchor was seen.

use regex_lite::Regex;
use std::ops::Range;

/// Bytes before a match that its left border is judged by: `\u0000` and a character.
pub(super) const BORDER: usize = 12;

/// Words that stand in examples and never in a real secret.
const PLACEHOLDERS: [&str; 9] = [
    "example",
    "xxxxxx",
    "000000000",
    "123456789",
    "abcdefgh",
    "placeholder",
    "redacted",
    "your_",
    "your-",
];

/// One thing that is looked for.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its place in the caller's list.
    pub(super) wanted: usize,
    /// What a mask says.
    pub(super) label: String,
    /// Most bytes of a match before its anchor.
    pub(super) before: usize,
    /// Most bytes of text that are looked at from the anchor on.
    pub(super) after: usize,
    /// What must stand there.
    pub(super) form: Form,
}

/// What must stand around an anchor.
#[derive(Debug)]
pub(super) enum Form {
    /// An expression that begins with the anchor.
    From(Regex, Precision),
    /// An expression with the anchor somewhere in it.
    Around(Regex, Precision),
    /// Words, the anchor being the one at that index.
    Words(Words),
}

/// What is asked of a match beyond its expression.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Precision {
    /// Must it stand alone, and not look like an example?
    pub(super) strict: bool,
    /// Must it begin where no word goes on?
    pub(super) alone: bool,
    /// Least bits per byte.
    pub(super) entropy: f64,
}

/// Words in a row, with any white space between them.
#[derive(Debug)]
pub(super) struct Words {
    /// The words.
    pub(super) all: Vec<String>,
    /// Which of them is the anchor.
    pub(super) anchor: usize,
    /// Is the case of ASCII letters disregarded?
    pub(super) fold: bool,
    /// May they be part of longer words?
    pub(super) part: bool,
}

impl Rule {
    /// Where it stands in `text`, if the anchor at `at` belongs to it.
    pub(super) fn find(&self, text: &str, at: usize) -> Option<Range<usize>> {
        match &self.form {
            Form::From(regex, precision) => {
                let end = regex.find(text.get(at..)?)?.end();
                let found = at..at.saturating_add(end);
                precision.holds(text, &found).then_some(found)
            }
            Form::Around(regex, precision) => {
                let mut from = text.floor_char_boundary(at.saturating_sub(self.before));
                while from <= at {
                    let found = regex.find_at(text, from)?.range();
                    if found.start > at {
                        return None;
                    }
                    if found.end > at && precision.holds(text, &found) {
                        return Some(found);
                    }
                    from = text.ceil_char_boundary(found.start.saturating_add(1));
                }
                None
            }
            Form::Words(words) => words.find(text, at),
        }
    }
}

impl Precision {
    fn holds(self, text: &str, found: &Range<usize>) -> bool {
        if self.alone && !opens(text, found.start) {
            return false;
        }
        if !self.strict {
            return true;
        }
        let Some(secret) = text.get(found.clone()) else { return false };
        let after = text.get(found.end..).and_then(|rest| rest.chars().next());

        !after.is_some_and(|next| next.is_ascii_alphanumeric() || next == '_')
            && entropy(secret.as_bytes()) >= self.entropy
            && !is_example(secret)
    }
}

impl Words {
    fn find(&self, text: &str, at: usize) -> Option<Range<usize>> {
        let (before, from) = self.all.split_at_checked(self.anchor)?;
        let mut start = at;
        for word in before.iter().rev() {
            let gap = text.get(..start)?;
            let kept = without_space_at_end(gap);
            (kept.len() < gap.len()).then_some(())?;
            start = kept.len().checked_sub(word.len())?;
            self.same(kept.get(start..)?, word).then_some(())?;
        }
        let mut end = at;
        for (index, word) in from.iter().enumerate() {
            if index > 0 {
                let gap = text.get(end..)?;
                let kept = without_space_at_start(gap);
                (kept.len() < gap.len()).then_some(())?;
                end = end.saturating_add(gap.len().saturating_sub(kept.len()));
            }
            let next = end.saturating_add(word.len());
            self.same(text.get(end..next)?, word).then_some(())?;
            end = next;
        }
        let first = self.all.first().and_then(|word| word.chars().next());
        let last = self.all.last().and_then(|word| word.chars().next_back());
        let opens = self.part || !first.is_some_and(is_wordy) || opens(text, start);
        let closes = self.part
            || !last.is_some_and(is_wordy)
            || !text.get(end..)?.chars().next().is_some_and(is_wordy);

        (opens && closes).then_some(start..end)
    }

    fn same(&self, there: &str, word: &str) -> bool {
        if self.fold { there.eq_ignore_ascii_case(word) } else { there == word }
    }
}

/// Text without the white space before its end; an escape that nobody undid counts as white space.
fn without_space_at_end(text: &str) -> &str {
    let mut kept = text;
    loop {
        let trimmed = kept.trim_end();
        let next = ["\\n", "\\t", "\\r"]
            .iter()
            .find_map(|escape| trimmed.strip_suffix(escape))
            .unwrap_or(trimmed);
        if next.len() == kept.len() {
            return kept;
        }
        kept = next;
    }
}

fn without_space_at_start(text: &str) -> &str {
    let mut kept = text;
    loop {
        let trimmed = kept.trim_start();
        let next = ["\\n", "\\t", "\\r"]
            .iter()
            .find_map(|escape| trimmed.strip_prefix(escape))
            .unwrap_or(trimmed);
        if next.len() == kept.len() {
            return kept;
        }
        kept = next;
    }
}

/// May a word begin at `start`? Not where one goes on; but behind an escape of JSON or of a URL that
/// nobody has undone.
fn opens(text: &str, start: usize) -> bool {
    let Some(before) = text.get(..start) else { return false };
    let Some(last) = before.chars().next_back() else { return true };
    if !is_wordy(last) {
        return true;
    }
    let bytes = before.as_bytes();
    let back = |many: usize| {
        bytes.len().checked_sub(many).and_then(|from| bytes.get(from..)).unwrap_or_default()
    };
    if matches!(back(2), [b'\\', b'n' | b'r' | b't' | b'b' | b'f']) {
        return true;
    }
    if let [b'%', digits @ ..] = back(3)
        && digits.iter().all(u8::is_ascii_hexdigit)
    {
        return true;
    }
    matches!(back(6), [b'\\', b'u', digits @ ..] if digits.iter().all(u8::is_ascii_hexdigit))
}

/// Is it part of a word? ASCII exactly, letters of the alphabets roughly; scripts that put no space
/// between their words have no such thing as a whole word.
fn is_wordy(character: char) -> bool {
    match character {
        '\0'..='\x7f' => character.is_ascii_alphanumeric() || character == '_',
        '\u{aa}' | '\u{b5}' | '\u{ba}' => true,
        '\u{80}'..='\u{bf}' | '\u{d7}' | '\u{f7}' | '\u{2000}'..='\u{2bff}' => false,
        _ => character < '\u{2e80}',
    }
}

/// Entropy of the bytes, by their frequencies, in bits per byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    let mut all = 0_u32;
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
            all = all.saturating_add(1);
        }
    }
    let all = f64::from(all);

    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / all)
        .map(|share| -share * share.log2())
        .sum()
}

fn is_example(secret: &str) -> bool {
    // In one case only: among random letters of both cases a short word turns up too often.
    PLACEHOLDERS.iter().any(|word| secret.contains(word) || secret.contains(&word.to_uppercase()))
}
