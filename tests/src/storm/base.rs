//! The database of a storm: what the sidecar stores in, and how the books read it.

use crate::world::World;
use anyhow::{Context, Result};
use cluster::{Cluster, FAST};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::collections::HashMap;
use std::path::PathBuf;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The embedded one.
    Sqlite,
    /// A Postgres of the test's own.
    Postgres,
}

impl Which {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A database.
#[derive(Debug)]
pub struct Base {
    /// Which.
    pub which: Which,
    /// The server, if there is one.
    pub cluster: Option<Cluster>,
    /// Its address, if it has one.
    pub url: Option<String>,
}

/// What one filter VM has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The start of Envoy.
    pub boot: i64,
    /// The VM.
    pub vm: i64,
    /// Numbers with a row, as ranges.
    pub stored: Vec<(u64, u64)>,
}

impl Counted {
    /// Numbers without a row below the highest that has one.
    pub fn holes(&self) -> u64 {
        let highest = self.stored.last().map_or(0, |(_, end)| *end);
        let there: u64 = self.stored.iter().map(|(start, end)| end - start + 1).sum();

        highest - there
    }
}

macro_rules! ask {
    ($self:ident, $world:ident, $connection:ident => $call:expr) => {
        match &$self.url {
            None => {
                let options = SqliteConnectOptions::new().filename(file($world)).read_only(true);
                let mut $connection: SqliteConnection = options.connect().await?;
                let answer = $call;
                $connection.close().await?;
                answer
            }
            Some(url) => {
                let mut $connection = PgConnection::connect(url).await?;
                let answer = $call;
                $connection.close().await?;
                answer
            }
        }
    };
}

/// The file of the embedded database.
pub fn file(world: &World) -> PathBuf {
    world.place.join("data/tollgate.db")
}

impl Base {
    /// A new one.
    pub fn start(which: Which) -> Result<Self> {
        if which == Which::Sqlite {
            return Ok(Self { which, cluster: None, url: None });
        }
        let settings = [FAST, &["max_wal_size=64MB", "min_wal_size=32MB"]].concat();
        let cluster = Cluster::start(&settings)?;
        let url = cluster.database()?;

        Ok(Self { which, cluster: Some(cluster), url: Some(url) })
    }

    /// The server.
    pub fn server(&self) -> Result<&Cluster> {
        self.cluster.as_ref().context("the embedded database has no server")
    }

    /// Where the server keeps its files.
    pub fn server_files(&self) -> Result<PathBuf> {
        let url = self.url.as_deref().context("no server")?;
        let (_, folder) = url.split_once("host=").context("an address without a folder")?;

        Ok(PathBuf::from(folder).join("data"))
    }

    /// How many rows there are for each id.
    pub async fn rows(&self, world: &World) -> Result<HashMap<u64, i64>> {
        let sql =
            "SELECT trace_id, count(*) FROM audit_events WHERE trace_id LIKE '570a%' GROUP BY 1";
        let found: Vec<(String, i64)> =
            ask!(self, world, connection => sqlx::query_as(sql).fetch_all(&mut connection).await?);
        let id = |trace: &str| u64::from_str_radix(trace.get(16..)?, 16).ok();

        Ok(found.iter().filter_map(|(trace, count)| Some((id(trace)?, *count))).collect())
    }

    /// How many rows there are.
    pub async fn count(&self, world: &World) -> Result<i64> {
        let sql = "SELECT count(*) FROM audit_events";

        Ok(
            ask!(self, world, connection => sqlx::query_scalar(sql).fetch_one(&mut connection).await?),
        )
    }

    /// How many refusals before the gate was ready are told.
    pub async fn not_ready(&self, world: &World) -> Result<i64> {
        let repeated = match self.which {
            Which::Sqlite => "json_extract(payload, '$.repeated')",
            Which::Postgres => "(payload ->> 'repeated')::bigint",
        };
        let sql = format!(
            "SELECT CAST(COALESCE(SUM(COALESCE({repeated}, 1)), 0) AS BIGINT)
             FROM audit_events WHERE rule_id = 'not_ready'"
        );

        Ok(
            ask!(self, world, connection => sqlx::query_scalar(&sql).fetch_one(&mut connection).await?),
        )
    }

    /// What each filter VM has counted.
    pub async fn sequences(&self, world: &World) -> Result<Vec<Counted>> {
        let sql = "SELECT boot, vm, stored FROM audit_sequences ORDER BY boot, vm";
        let found: Vec<(i64, i64, String)> =
            ask!(self, world, connection => sqlx::query_as(sql).fetch_all(&mut connection).await?);

        found
            .into_iter()
            .map(|(boot, vm, stored)| {
                Ok(Counted { boot, vm, stored: serde_json::from_str(&stored)? })
            })
            .collect()
    }
}
