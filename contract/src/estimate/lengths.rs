//! How long the answers of models are: a running median for each.

/// Most models that are kept apart.
const MODELS: usize = 64;

/// Fewer answers than this tell nothing.
const ENOUGH: u32 = 8;

/// Beyond so many answers the old ones count half.
const MANY: u32 = 512;

/// Steps of half an octave up to 2^20 tokens.
const STEPS: usize = 42;

/// The lengths of answers by model. Bounded: at most 64 models, about a hundred bytes each.
#[derive(Debug, Clone, Default)]
pub struct Lengths(Vec<(String, Histogram)>);

#[derive(Debug, Clone)]
struct Histogram {
    counts: [u16; STEPS],
    total: u32,
}

impl Lengths {
    /// An answer of a model had so many tokens. Beyond 64 models others are not learned.
    pub fn add(&mut self, model: &str, tokens: u64) {
        if let Some((_, known)) = self.0.iter_mut().find(|(name, _)| name == model) {
            known.add(tokens);
        } else if self.0.len() < MODELS {
            let mut new = Histogram { counts: [0; STEPS], total: 0 };
            new.add(tokens);
            self.0.push((model.to_owned(), new));
        }
    }

    /// The median of a model's answers, to about a fifth; none as long as there are fewer than eight.
    pub fn median(&self, model: &str) -> Option<u64> {
        let (_, known) = self.0.iter().find(|(name, _)| name == model)?;

        known.median()
    }
}

impl Histogram {
    fn add(&mut self, tokens: u64) {
        let Some(count) = self.counts.get_mut(step(tokens)) else { return };
        *count = count.saturating_add(1);
        self.total = self.total.saturating_add(1);
        if self.total < MANY {
            return;
        }
        for count in &mut self.counts {
            *count >>= 1;
        }
        self.total = self.counts.iter().copied().map(u32::from).sum();
    }

    fn median(&self) -> Option<u64> {
        if self.total < ENOUGH {
            return None;
        }
        let mut left = self.total.div_ceil(2);
        for (at, count) in self.counts.iter().enumerate() {
            let count = u32::from(*count);
            if count >= left {
                return Some(middle(at));
            }
            left = left.saturating_sub(count);
        }

        None
    }
}

/// The step of a number: its octave, and which half of it.
fn step(tokens: u64) -> usize {
    let Some(octave) = tokens.checked_ilog2() else { return 0 };
    let half = octave.checked_sub(1).map_or(0, |below| (tokens >> below) & 1);
    let step = u64::from(octave).saturating_mul(2).saturating_add(half);

    usize::try_from(step).unwrap_or(STEPS).min(STEPS.saturating_sub(1))
}

/// The middle of a step.
fn middle(step: usize) -> u64 {
    let octave = u32::try_from(step.checked_div(2).unwrap_or_default()).unwrap_or_default();
    let quarters = if step.is_multiple_of(2) { 5 } else { 7 };

    1_u64.checked_shl(octave).unwrap_or(u64::MAX).saturating_mul(quarters) >> 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn too_few_answers_tell_nothing_and_old_ones_fade() {
        let mut lengths = Lengths::default();
        for _ in 0..7 {
            lengths.add("m", 100);
        }
        assert_eq!(lengths.median("m"), None);
        lengths.add("m", 100);
        assert_eq!(lengths.median("m"), Some(112), "the middle of 96 to 128");
        for _ in 0..2_000 {
            lengths.add("m", 100);
        }
        for _ in 0..600 {
            lengths.add("m", 8_000);
        }
        assert_eq!(lengths.median("m"), Some(7_168), "the middle of 6,144 to 8,192");
    }

    #[test]
    fn models_without_end_take_no_memory_without_end() {
        let mut lengths = Lengths::default();
        for number in 0..1_000 {
            lengths.add(&format!("m-{number}"), 1);
        }
        assert_eq!(lengths.0.len(), MODELS);
    }

    proptest! {
        #[test]
        fn the_median_is_off_by_a_quarter_at_most(mut all in proptest::collection::vec(1_u64..500_000, 8..200)) {
            let mut lengths = Lengths::default();
            for tokens in &all {
                lengths.add("m", *tokens);
            }
            all.sort_unstable();
            let exact = all[(all.len() - 1) / 2];
            let told = lengths.median("m").unwrap();
            prop_assert!(told.abs_diff(exact) * 4 <= exact.max(4), "{told} for {exact}");
        }

        #[test]
        fn no_number_has_no_place(tokens in any::<u64>()) {
            let mut lengths = Lengths::default();
            for _ in 0..8 {
                lengths.add("m", tokens);
            }
            prop_assert!(lengths.median("m").is_some());
        }
    }
}
