//! Where the sums come from: the one place of `tollgate cost` that knows a database.

use super::spend::{NUMBERS, Query, Spend};
use super::sql::{Dialect, statement};
use crate::settings::Data;
use crate::store::{Store, StoreError};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};

/// The sums that are asked for.
///
/// # Errors
/// [`StoreError`].
pub async fn spend(data: &Data, query: &Query) -> Result<Vec<Spend>, StoreError> {
    let path = data.database();
    // Says what is wrong with the database, and brings it up to date.
    let store = Store::open(&path).await?;
    let options = SqliteConnectOptions::new().filename(&path);
    let failed = |source| StoreError::Open { path: path.clone(), source };
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options).await.map_err(failed)?;
    let spent = in_sqlite(&pool, query).await?;
    pool.close().await;
    store.close().await;

    Ok(spent)
}

/// The sums, from `SQLite`.
///
/// # Errors
/// As the database says.
pub async fn in_sqlite(pool: &SqlitePool, query: &Query) -> Result<Vec<Spend>, sqlx::Error> {
    let statement = statement(query, Dialect::Sqlite);
    let mut asked = sqlx::query(&statement.text);
    for parameter in &statement.parameters {
        asked = asked.bind(parameter);
    }
    let rows = asked.fetch_all(pool).await?;

    rows.iter().map(|row| read(row, statement.keys)).collect()
}

fn read(row: &SqliteRow, keys: usize) -> Result<Spend, sqlx::Error> {
    let first = keys.saturating_add(1);
    let mut numbers = [0; NUMBERS];
    for (place, number) in numbers.iter_mut().enumerate() {
        *number = row.try_get(first.saturating_add(place))?;
    }
    let keys = (1..first).map(|place| row.try_get(place)).collect::<Result<_, _>>()?;

    Ok(Spend::new(row.try_get(0)?, keys, numbers))
}
