//! Which subjects are meant: a pattern covers a whole subject or it does not.
//!
//! `*` stands for any run of characters without `:` and `/`, so it stays within one part of a subject such as
//! `repo:acme/api:ref:refs/heads/main`; `**` stands for any run at all. Everything else stands for itself, case
//! and all.

/// Does it cover all of this subject?
pub fn matches(pattern: &str, subject: &str) -> bool {
    // `ends` holds how far into the subject the pattern's tokens so far can reach: no going back, so a
    // pattern of many stars costs what its length costs.
    let signs: Vec<char> = subject.chars().collect();
    let mut reach = vec![false; signs.len().saturating_add(1)];
    if let Some(start) = reach.first_mut() {
        *start = true;
    }
    for token in tokens(pattern) {
        reach = step(token, &reach, &signs);
    }

    reach.last().copied().unwrap_or(false)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    One(char),
    Part,
    Any,
}

fn tokens(pattern: &str) -> impl Iterator<Item = Token> {
    let mut rest = pattern.chars().peekable();
    std::iter::from_fn(move || {
        Some(match rest.next()? {
            '*' if rest.next_if_eq(&'*').is_some() => Token::Any,
            '*' => Token::Part,
            sign => Token::One(sign),
        })
    })
}

fn step(token: Token, reach: &[bool], signs: &[char]) -> Vec<bool> {
    let mut next = Vec::with_capacity(reach.len());
    let mut open = false; // does a run that began before go on to here?
    for (nth, here) in reach.iter().enumerate() {
        let before = nth.checked_sub(1).and_then(|before| signs.get(before));
        let came = nth.checked_sub(1).and_then(|before| reach.get(before)).copied();
        let reached = match token {
            Token::One(sign) => came == Some(true) && before == Some(&sign),
            Token::Any => {
                open |= *here;
                open
            }
            Token::Part => {
                open = *here || (open && before.is_some_and(|sign| !matches!(sign, ':' | '/')));
                open
            }
        };
        next.push(reached);
    }

    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_covers_a_whole_subject_and_a_star_stays_in_its_part() {
        let main = "repo:acme/api:ref:refs/heads/main";
        for (pattern, subject, covers) in [
            (main, main, true),
            ("repo:acme/*:ref:refs/heads/main", main, true),
            ("repo:acme/*:ref:refs/heads/*", main, true),
            ("repo:*:ref:refs/heads/main", main, false),
            ("repo:acme/**", main, true),
            ("**", main, true),
            ("*", main, false),
            ("repo:acme/api", main, false),
            ("acme/api:ref:refs/heads/main", main, false),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme-evil/api:ref:refs/heads/main", false),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme/api:ref:refs/heads/main2", false),
            ("repo:acme/*:ref:refs/heads/main", "xrepo:acme/api:ref:refs/heads/main", false),
            (
                "repo:acme/*:ref:refs/heads/main",
                "repo:acme/a:pull_request:ref:refs/heads/main",
                false,
            ),
            ("repo:acme/api:environment:prod", "repo:acme/api:environment:PROD", false),
            ("system:serviceaccount:ci:*", "system:serviceaccount:ci:builder", true),
            ("system:serviceaccount:ci:*", "system:serviceaccount:ci:a:b", false),
            ("a.c", "abc", false),
            ("", "", true),
            ("", "x", false),
            ("***", "a:b/c", true),
        ] {
            assert_eq!(matches(pattern, subject), covers, "{pattern} {subject}");
        }
    }

    /// The same, said plainly and slowly.
    fn slowly(pattern: &[char], subject: &[char]) -> bool {
        match pattern {
            [] => subject.is_empty(),
            ['*', '*', rest @ ..] => (0..=subject.len()).any(|run| slowly(rest, &subject[run..])),
            ['*', rest @ ..] => (0..=subject.len())
                .take_while(|run| !subject[..*run].iter().any(|sign| matches!(sign, ':' | '/')))
                .any(|run| slowly(rest, &subject[run..])),
            [sign, rest @ ..] => subject.first() == Some(sign) && slowly(rest, &subject[1..]),
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_says_what_the_plain_one_does(pattern in "[ab:/*]{0,8}", subject in "[ab:/]{0,8}") {
            let signs = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &subject), slowly(&signs(&pattern), &signs(&subject)));
        }

        #[test]
        fn without_a_star_only_the_same_is_covered(pattern in "[a-c:/.]{0,6}", subject in "[a-c:/.]{0,6}") {
            prop_assert_eq!(matches(&pattern, &subject), pattern == subject);
        }

        #[test]
        fn what_a_star_stands_for_crosses_no_boundary(left in "[a-z]{0,4}", run in "[a-z:/]{0,6}", right in "[a-z]{0,4}") {
            let covers = matches(&format!("x:{left}*{right}:y"), &format!("x:{left}{run}{right}:y"));
            prop_assert_eq!(covers, !run.contains([':', '/']));
        }

        #[test]
        fn many_stars_take_no_longer(stars in 1_usize..40) {
            prop_assert!(!matches(&"a*".repeat(stars).replace("a*", "*a*"), &"b".repeat(4_000)));
        }
    }
}
