//! The runs that one answer took (`usage.iterations`): turns of a server-side tool loop, a
//! compaction, an advisor, the hops of a fallback.
//!
//! The numbers beside them are no sum: they leave out compactions and advisors, and their input is
//! the first turn's alone (Anthropic's API reference, `BetaIterationsUsage`, and its pages on
//! compaction and the advisor tool). What is billed is each run, at its own model's rates.

use super::clip;
use super::usage::WireCache;
use contract::price::Used;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// How many kinds of runs are told apart. Runs of one kind are summed as they are read, so a long
/// loop takes no memory.
const MOST: usize = 16;

/// The runs of an answer, summed by what they are priced by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runs {
    list: Vec<Run>,
    count: u64,
    /// Of some run the numbers were not said, or they are beyond counting.
    torn: bool,
}

/// Runs of one kind and model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Run {
    kind: Kind,
    model: Option<String>,
    /// Did they say how long what they wrote to a cache stays there?
    split: bool,
    sum: Sum,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_write: u64,
    cache_write_1h: u64,
    pub(super) cache_read: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    Message,
    Compaction,
    Advisor,
    Fallback,
    /// Of a newer kind: it is counted, and priced if it names its model.
    #[default]
    Other,
}

/// One run on the wire.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    r#type: Option<String>,
    model: Option<String>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<WireCache>,
}

impl<'de> Deserialize<'de> for Runs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Runs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of runs")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Runs, A::Error> {
                let mut runs = Runs::default();
                while let Some(wire) = list.next_element::<Wire>()? {
                    runs.count = runs.count.saturating_add(1);
                    runs.torn |= runs.add(wire).is_none();
                }
                Ok(runs)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

impl Runs {
    fn add(&mut self, wire: Wire) -> Option<()> {
        let kind = match wire.r#type.as_deref() {
            Some("message") => Kind::Message,
            Some("compaction") => Kind::Compaction,
            Some("advisor_message") => Kind::Advisor,
            Some("fallback_message") => Kind::Fallback,
            Some(_) | None => Kind::Other,
        };
        let model = wire.model.map(clip);
        let written = wire.cache_creation_input_tokens.unwrap_or_default();
        let cache = wire.cache_creation.unwrap_or_default();
        let (hour, short) = (cache.ephemeral_1h_input_tokens, cache.ephemeral_5m_input_tokens);
        let split = hour.is_some() || short.is_some() || written == 0;
        let hour = hour.unwrap_or_default();
        let (Some(input), Some(output)) = (wire.input_tokens, wire.output_tokens) else {
            // It is a run all the same.
            self.slot(kind, model, split)?;
            return None;
        };
        let cache_read = wire.cache_read_input_tokens.unwrap_or_default();
        let new = Sum { input, output, cache_write: written, cache_write_1h: hour, cache_read };
        let run = self.slot(kind, model, split)?;
        run.sum = run.sum.plus(new)?;

        Some(())
    }

    fn slot(&mut self, kind: Kind, model: Option<String>, split: bool) -> Option<&mut Run> {
        let same = |run: &Run| run.kind == kind && run.model == model && run.split == split;
        match self.list.iter().position(same) {
            Some(index) => self.list.get_mut(index),
            None if self.list.len() < MOST => {
                self.list.push(Run { kind, model, split, sum: Sum::default() });
                self.list.last_mut()
            }
            None => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One turn without numbers of its own: those beside it are its.
    pub(super) fn say_nothing_more(&self) -> bool {
        let turns = self.list.iter().all(|run| run.kind == Kind::Message);

        turns && self.count == 1 && self.torn
    }

    /// What was taken in all; `None` if the runs do not say it. `output` is the number beside them:
    /// it sums the answer's own turns, so where they have less they are not all there.
    pub(super) fn sum(&self, output: Option<u64>) -> Option<Sum> {
        let apart = |run: &&Run| !matches!(run.kind, Kind::Compaction | Kind::Advisor);
        let own = self.list.iter().filter(apart).map(|run| run.sum.output);
        let own = own.fold(0_u64, u64::saturating_add);
        if self.torn || output.is_some_and(|output| output > own) {
            return None;
        }

        self.list.iter().try_fold(Sum::default(), |sum, run| sum.plus(run.sum))
    }

    /// Says of the runs that did not how long what they wrote stays in a cache, where the numbers
    /// beside them tell: `written` in all, `hour` of it for an hour. Could it be told?
    pub(super) fn split(&mut self, written: Option<u64>, hour: Option<u64>) -> bool {
        let hour = hour.unwrap_or_default();
        let unsaid = self.list.iter().filter(|run| !run.split).count();
        for run in self.list.iter_mut().filter(|run| !run.split) {
            let same = unsaid == 1 && written == Some(run.sum.cache_write);
            if hour != 0 && !same {
                return false;
            }
            run.sum.cache_write_1h = hour;
            run.split = true;
        }

        true
    }

    /// Of what was written to a cache, that for an hour; `None` if that is not known of all of it.
    pub(super) fn lasting_an_hour(&self) -> Option<u64> {
        let all = self.list.iter().all(|run| run.split);
        let hour = self.list.iter().map(|run| run.sum.cache_write_1h);

        all.then(|| hour.fold(0, u64::saturating_add))
    }

    /// What each run is priced by; `None` if one does not say its model. `answer` is the answer's
    /// model, and `apart` holds what is not said of a run alone.
    pub(super) fn bill<'a>(
        &'a self,
        answer: &'a str,
        apart: Used<'a>,
    ) -> Option<Vec<(Cow<'a, str>, Used<'a>)>> {
        // Where another model took over, a turn that names none may be of either.
        let fell_back = self.list.iter().any(|run| run.kind == Kind::Fallback);
        let model = |run: &'a Run| match (&run.model, run.kind) {
            (Some(model), _) => contract::model::normalise(model).ok(),
            (None, Kind::Message | Kind::Compaction) if !fell_back => Some(Cow::Borrowed(answer)),
            (None, _) => None,
        };

        self.list.iter().map(|run| Some((model(run)?, run.sum.used(apart)))).collect()
    }
}

impl Sum {
    fn plus(self, more: Self) -> Option<Self> {
        Some(Self {
            input: self.input.checked_add(more.input)?,
            output: self.output.checked_add(more.output)?,
            cache_write: self.cache_write.checked_add(more.cache_write)?,
            cache_write_1h: self.cache_write_1h.checked_add(more.cache_write_1h)?,
            cache_read: self.cache_read.checked_add(more.cache_read)?,
        })
    }

    fn used(self, apart: Used<'_>) -> Used<'_> {
        let Self { input, output, cache_write, cache_write_1h, cache_read } = self;

        Used { input, output, cache_write, cache_write_1h, cache_read, ..apart }
    }
}
