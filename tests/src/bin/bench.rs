//! See [`e2e::bench`] and `docs/bench.md`.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    e2e::bench::run(e2e::bench::Arguments::parse()).await
}
