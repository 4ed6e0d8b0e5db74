//! `tollgate audit export`: all rows that are wanted, as JSON lines, however many.

use super::Rows;
use crate::args::FilterArgs;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::store::{Cursor, Filter};

/// Rows read at once.
const AT_ONCE: u32 = 2_000;

/// Rows between two words of progress.
const STEP: usize = 100_000;

/// Prints them in the order they were stored, writer by writer.
///
/// # Errors
/// [`Failure`].
pub(super) async fn export(
    rows: &Rows<'_>,
    wanted: &FilterArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    // What is stored meanwhile is for the next export.
    let end = rows.store.end().await?;
    let mut cursor = Cursor::default();
    let mut count = 0_usize;
    loop {
        let filter = Filter { after: Some(cursor.clone()), ..super::chosen(wanted, AT_ONCE) };
        let next = rows.of(filter).await?;
        let whole = next.len() >= usize::try_from(AT_ONCE).unwrap_or(usize::MAX);
        for row in next {
            cursor.pass(&row.writer, row.place);
            if end.covers(&row.writer, row.place) {
                screen.object(&row)?;
                count = count.saturating_add(1);
                if count.is_multiple_of(STEP) {
                    screen.say(&format!("{count} rows"));
                }
            }
        }
        if !whole {
            break;
        }
    }
    screen.say(&format!("{count} rows, all there are"));

    Ok(())
}
