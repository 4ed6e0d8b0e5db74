//! What of the bench is wanted.

use super::bodies::Size;
use clap::Parser;

/// What is measured.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a section")]
#[command(about = "What the gate costs, beside the same Envoy without it")]
pub struct Arguments {
    /// Rounds; each figure is their median.
    #[arg(long, default_value_t = 7)]
    pub(super) rounds: usize,
    /// Seconds of load for each side in each round.
    #[arg(long, default_value_t = 1.0)]
    pub(super) seconds: f64,
    /// The gate's module: a name in target/wasm, or a path; without `.wasm`.
    #[arg(long, default_value = "tollgate_filter")]
    pub(super) module: String,
    /// Compare with the gate of another module instead of with no gate; writes no file.
    #[arg(long)]
    pub(super) against: Option<String>,
    /// Only these sizes.
    #[arg(long, value_delimiter = ',', default_value = "1k,75k,1m")]
    pub(super) sizes: Vec<String>,
    /// Only the audit table; writes no file.
    #[arg(long)]
    pub(super) only_audit: bool,
    /// Only the standing; writes no file.
    #[arg(long)]
    pub(super) only_revoke: bool,
    /// Only the lanes; writes no file.
    #[arg(long)]
    pub(super) only_lanes: bool,
    /// Only MCP; writes no file.
    #[arg(long)]
    pub(super) only_mcp: bool,
    /// Only laptops: ten thousand after a publication, and their polls; writes no file.
    #[arg(long)]
    pub(super) only_fleet: bool,
}

impl Arguments {
    /// Is it but a section of the bench?
    pub(super) fn is_a_section(&self) -> bool {
        let only = [self.only_audit, self.only_revoke, self.only_lanes, self.only_mcp];
        self.only_fleet || only.contains(&true)
    }

    /// The sizes that are wanted.
    pub(super) fn sizes(&self) -> Vec<Size> {
        let wanted = |size: &Size| self.sizes.iter().any(|name| name == size.name());

        Size::ALL.into_iter().filter(wanted).collect()
    }
}
