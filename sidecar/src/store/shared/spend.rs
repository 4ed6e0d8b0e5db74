//! Sums over the audit table, for `tollgate cost`.

use super::{Backend, DbRow, dialect};
use crate::cost::spend::{NUMBERS, Query, Spend};
use crate::cost::sql::{Statement, statement};
use crate::store::StoreError;
use sqlx::Row as _;

impl Backend {
    pub(in crate::store) async fn spend(&self, query: &Query) -> Result<Vec<Spend>, StoreError> {
        let Statement { text, parameters, keys } = statement(query, dialect::COST);
        let mut asked = sqlx::query(&text);
        for parameter in &parameters {
            asked = asked.bind(parameter);
        }
        let rows = asked.fetch_all(&self.readers).await?;

        rows.iter().map(|row| read(row, keys)).collect()
    }
}

/// A group.
fn read(row: &DbRow, keys: usize) -> Result<Spend, StoreError> {
    let first = keys.saturating_add(1);
    let mut numbers = [0; NUMBERS];
    for (place, number) in numbers.iter_mut().enumerate() {
        *number = row.try_get(first.saturating_add(place))?;
    }
    let keys = (1..first).map(|place| row.try_get(place)).collect::<Result<_, _>>()?;

    Ok(Spend::new(row.try_get(0)?, keys, numbers))
}
