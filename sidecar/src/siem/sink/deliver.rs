//! Getting a batch across: whole, or in parts until it is known which row is refused.
//!
//! A row goes to the dead letters only if the sink takes others. A sink that takes none has another
//! fault, which an operator must put right, and no row is lost for it.

use super::{Answer, Door, Item, Letters, Sink, Trouble};
use crate::counters::Reason;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use tracing::error;

/// What is known of a batch so far.
#[derive(Default)]
struct Sorting {
    /// Rows that were refused, and why.
    refused: Vec<(usize, String)>,
    /// Rows that were taken.
    taken: u64,
}

impl Sink {
    /// Sends a batch; when it returns each row was acknowledged or is a dead letter. Says how many
    /// were acknowledged.
    pub(super) async fn deliver(&mut self, items: &[Item]) -> Result<u64, Trouble> {
        let mut sorting = Sorting::default();
        let mut unfit = Vec::new();
        let mut run = 0;
        let mut work: Vec<Range<usize>> = Vec::new();
        for (number, item) in items.iter().enumerate() {
            if let Some(why) = &item.fault {
                unfit.push((number, why.clone()));
                work.push(run..number);
                run = number.saturating_add(1);
            }
        }
        work.push(run..items.len());
        work.reverse();
        while let Some(range) = work.pop() {
            let part = items.get(range.clone()).unwrap_or_default();
            if part.is_empty() {
                continue;
            }
            match self.send(part).await {
                Answer::Taken(rejected) => self.took(&range, part, rejected, &mut sorting),
                Answer::Refused(why) if part.len() == 1 => sorting.refused.push((range.start, why)),
                Answer::Refused(_) => {
                    let middle = range.start.midpoint(range.end);
                    work.push(middle..range.end);
                    work.push(range.start..middle);
                }
                Answer::Later(trouble) => return Err(trouble),
            }
        }
        if let Some((_, why)) = sorting.refused.first()
            && sorting.taken == 0
            && !self.takes_others().await?
        {
            let told = format!("it takes no row at all: {why}");
            return Err(Trouble::new(Reason::Rejected, told));
        }
        sorting.refused.extend(unfit);
        sorting.refused.sort_unstable();
        self.give_up(items, &sorting.refused).await?;

        Ok(sorting.taken)
    }

    fn took(
        &mut self,
        range: &Range<usize>,
        part: &[Item],
        rejected: Vec<(usize, String)>,
        sorting: &mut Sorting,
    ) {
        let is_rejected = |number: usize| rejected.iter().any(|(row, _)| *row == number);
        let taken = part.len().saturating_sub(rejected.len());
        sorting.taken = sorting.taken.saturating_add(u64::try_from(taken).unwrap_or_default());
        let last = part.iter().enumerate().rev().find(|(number, _)| !is_rejected(*number));
        if let Some((_, item)) = last {
            self.known = Some(item.clone());
        }
        let named = rejected.into_iter().map(|(row, why)| (range.start.saturating_add(row), why));
        sorting.refused.extend(named);
    }

    /// Is a row taken that was taken before? It is then there twice, as any row may be.
    async fn takes_others(&mut self) -> Result<bool, Trouble> {
        let Some(known) = self.known.clone() else { return Ok(false) };
        match self.send(&[known]).await {
            Answer::Taken(rejected) => Ok(rejected.is_empty()),
            Answer::Refused(_) => Ok(false),
            Answer::Later(trouble) => Err(trouble),
        }
    }

    async fn send(&mut self, items: &[Item]) -> Answer {
        match &mut self.door {
            Door::Service(service) => {
                let framed: Vec<&[u8]> = items.iter().map(|item| &*item.framed).collect();
                service.send(&framed).await
            }
            Door::Scribe(scribe) => {
                let framed = items.iter().map(|item| &*item.framed);
                scribe.write(self.config.vendor.body(framed)).await
            }
        }
    }

    /// Keeps rows that will never be taken in a file; not before that is on the disk does the
    /// stream go on.
    async fn give_up(&self, items: &[Item], refused: &[(usize, String)]) -> Result<(), Trouble> {
        let mut letters = Vec::new();
        for (item, why) in refused.iter().filter_map(|(row, why)| Some((items.get(*row)?, why))) {
            letters.extend(item.letter(why));
        }
        if letters.is_empty() {
            return Ok(());
        }
        self.letters.keep(letters).await?;
        for (item, why) in refused.iter().filter_map(|(row, why)| Some((items.get(*row)?, why))) {
            self.counts.dead_letters.one();
            let (sink, event) = (&self.config.name, &item.event_id);
            error!(sink, event.id = event, error = why, "A sink refuses a row: a dead letter");
        }

        Ok(())
    }
}

impl Letters {
    async fn keep(&self, letters: Vec<u8>) -> Result<(), Trouble> {
        let file = Arc::clone(&self.file);
        let kept = tokio::task::spawn_blocking(move || {
            file.lock().unwrap_or_else(PoisonError::into_inner).append(&letters)
        });
        let failed = |why: &dyn std::fmt::Display| Trouble::new(Reason::File, why.to_string());

        kept.await.map_err(|why| failed(&why))?.map_err(|why| failed(&why))
    }
}
