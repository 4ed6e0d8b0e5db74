//! Secrets made up from their documented forms, so that none stands in the source.

use crate::scan::Pattern;

/// A source of chance that is the same each time (xorshift64*, Marsaglia).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound
    }
}

/// A part of a form.
#[derive(Clone)]
enum Part {
    Literal(String),
    Random(usize, &'static str),
}

fn letters(class: &str) -> &'static str {
    match class {
        "hex" => "0123456789abcdef",
        "digit" => "0123456789",
        "lower" => "abcdefghijklmnopqrstuvwxyz0123456789",
        "upper" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "alpha" => "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "alnum" => "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "url" => "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
        "base64" => "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/",
        "base32" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "bech32" => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
        other => panic!("no such class: {other}"),
    }
}

fn parts(form: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = form;
    while let Some((literal, after)) = rest.split_once('<') {
        parts.push(Part::Literal(literal.into()));
        let (random, after) = after.split_once('>').unwrap();
        let (length, class) = random.split_once(' ').unwrap();
        parts.push(Part::Random(length.parse().unwrap(), letters(class)));
        rest = after;
    }
    parts.push(Part::Literal(rest.into()));

    parts
}

fn made(parts: &[Part], chance: &mut Chance) -> String {
    let mut made = String::new();
    for part in parts {
        match part {
            Part::Literal(literal) => made.push_str(literal),
            Part::Random(length, letters) => {
                for index in 0..*length {
                    let mut letter = letters.as_bytes()[chance.below(letters.len())];
                    // The last letter is one of a word, so that the secret ends with it.
                    while index + 1 == *length && !letter.is_ascii_alphanumeric() {
                        letter = letters.as_bytes()[chance.below(letters.len())];
                    }
                    // Neither does the first hide where the secret begins.
                    made.push(char::from(letter));
                }
            }
        }
    }

    made
}

/// A true sample: of each of the pattern's forms in turn.
pub(super) fn sample(pattern: &Pattern, number: usize, chance: &mut Chance) -> String {
    made(&parts(&pattern.form[number % pattern.form.len()]), chance)
}

/// What looks like a sample and is none.
pub(super) fn near_miss(pattern: &Pattern, number: usize, chance: &mut Chance) -> String {
    let mut parts = parts(&pattern.form[number / 5 % pattern.form.len()]);
    let longest = |part: &&mut Part| match part {
        Part::Random(length, _) => *length,
        Part::Literal(_) => 0,
    };
    match number % 5 {
        // A letter that cannot be there.
        0 => {
            let mut sample = made(&parts, chance);
            let mut at = 0;
            let mut longest = (0, 0);
            for part in &parts {
                let length = match part {
                    Part::Literal(literal) => literal.len(),
                    Part::Random(length, _) => {
                        longest = longest.max((*length, at));
                        *length
                    }
                };
                at += length;
            }
            let at = longest.1 + longest.0 / 6;
            sample.replace_range(at..=at, "!");
            sample
        }
        // The name in the wrong case.
        1 => {
            let literal = parts.iter_mut().find_map(|part| match part {
                Part::Literal(literal) if literal.bytes().any(|b| b.is_ascii_alphabetic()) => {
                    Some(literal)
                }
                _ => None,
            });
            let literal = literal.unwrap();
            let at = literal.find(|c: char| c.is_ascii_alphabetic()).unwrap();
            let other = char::from(literal.as_bytes()[at] ^ 0x20);
            literal.replace_range(at..=at, &other.to_string());
            made(&parts, chance)
        }
        // In the middle of a word, if it begins with one.
        2 if !pattern.form[0].starts_with('-') => format!("x{}", made(&parts, chance)),
        // Far too short.
        2 | 3 => {
            if let Some(Part::Random(length, _)) = parts.iter_mut().max_by_key(longest) {
                *length /= 5;
            }
            made(&parts, chance)
        }
        // What stands in a manual.
        _ => {
            for part in &mut parts {
                if let Part::Random(length, _) = part {
                    *part = Part::Literal("x".repeat(*length));
                }
            }
            made(&parts, chance)
        }
    }
}
