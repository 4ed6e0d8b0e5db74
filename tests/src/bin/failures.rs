//! Prints the table of `target/failures.json`; see [`e2e::storm::report`].

fn main() -> anyhow::Result<()> {
    e2e::storm::report::print()
}
