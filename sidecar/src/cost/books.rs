//! Where the sums come from: the one place of `tollgate cost` that knows a database.

use super::spend::{NUMBERS, Query, Spend};
use super::sql::{Dialect, Statement, statement};
use crate::settings::{Data, Postgres};
use crate::store::{Store, StoreError};
use sqlx::{ColumnIndex, Connection, Decode, PgConnection, Row, SqliteConnection, Type};

/// The sums that are asked for.
///
/// # Errors
/// [`StoreError`].
pub async fn spend(data: &Data, query: &Query) -> Result<Vec<Spend>, StoreError> {
    // Says what is wrong with the database, and brings it up to date.
    let store = Store::open(data).await?;
    let spent = match data.postgres() {
        Some(place) => in_postgres(place, query).await,
        None => in_sqlite(data, query).await,
    };
    store.close().await;

    Ok(spent?)
}

async fn in_sqlite(data: &Data, query: &Query) -> Result<Vec<Spend>, sqlx::Error> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.database());
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let Statement { text, parameters, keys } = statement(query, Dialect::Sqlite);
    let mut asked = sqlx::query(&text);
    for parameter in &parameters {
        asked = asked.bind(parameter);
    }
    let rows = asked.fetch_all(&mut connection).await?;
    connection.close().await?;

    rows.iter().map(|row| read(row, keys)).collect()
}

async fn in_postgres(place: &Postgres, query: &Query) -> Result<Vec<Spend>, sqlx::Error> {
    let url = place.read_url.as_deref().unwrap_or(&place.url);
    let mut connection = PgConnection::connect(url).await?;
    let Statement { text, parameters, keys } = statement(query, Dialect::Postgres);
    let mut asked = sqlx::query(&text);
    for parameter in &parameters {
        asked = asked.bind(parameter);
    }
    let rows = asked.fetch_all(&mut connection).await?;
    connection.close().await?;

    rows.iter().map(|row| read(row, keys)).collect()
}

/// A group, from a row of either database.
fn read<R: Row>(row: &R, keys: usize) -> Result<Spend, sqlx::Error>
where
    usize: ColumnIndex<R>,
    for<'r> Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let first = keys.saturating_add(1);
    let mut numbers = [0; NUMBERS];
    for (place, number) in numbers.iter_mut().enumerate() {
        *number = row.try_get(first.saturating_add(place))?;
    }
    let keys = (1..first).map(|place| row.try_get(place)).collect::<Result<_, _>>()?;

    Ok(Spend::new(row.try_get(0)?, keys, numbers))
}
