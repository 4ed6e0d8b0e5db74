//! `tollgate cost`.

use crate::clock;
use crate::cost::bill::Format;
use crate::cost::spend::{By, Per};
use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// `tollgate cost`.
#[derive(Debug, Subcommand)]
pub enum CostCommand {
    /// What was spent, by whom or what, per day, week or month.
    Report(ReportArgs),
    /// Hold the rows against a provider's bill. Exit code 5 if they are further apart than allowed.
    Reconcile(ReconcileArgs),
}

/// `tollgate cost report`.
#[derive(Debug, ClapArgs)]
pub struct ReportArgs {
    /// By whom or what; may be given several times.
    #[arg(long, value_enum)]
    pub by: Vec<By>,
    /// Per day, week (from Monday) or month, in UTC; unless said, all in one.
    #[arg(long, value_enum, value_name = "PERIOD")]
    pub per: Option<Per>,
    /// From then on: a day in UTC, RFC 3339, or how long ago (15m, 2h, 7d).
    #[arg(long, value_parser = clock::day_or_point, value_name = "TIME")]
    pub from: u64,
    /// Before then; now unless said.
    #[arg(long, value_parser = clock::day_or_point, value_name = "TIME")]
    pub to: Option<u64>,
    /// Only this tenant's.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Print CSV with the columns of FOCUS 1.2, per day unless `--per month` is said.
    #[arg(long)]
    pub csv: bool,
    /// What FOCUS calls `BillingAccountId`: your account with the provider.
    #[arg(long, value_name = "ID", requires = "csv")]
    pub billing_account: Option<String>,
}

/// `tollgate cost reconcile`.
#[derive(Debug, ClapArgs)]
pub struct ReconcileArgs {
    /// The bill: the Admin API's pages as they came, or a table.
    #[arg(long, value_name = "FILE")]
    pub bill: PathBuf,
    /// How it is written; unless said, `csv` for a file of that name.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// From this day on, in UTC.
    #[arg(long, value_parser = clock::day_or_point, value_name = "DAY")]
    pub from: u64,
    /// Before this day.
    #[arg(long, value_parser = clock::day_or_point, value_name = "DAY")]
    pub to: u64,
    /// How many microdollars the two may be apart.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub tolerance_micro: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    fn parsed(line: &str) -> Option<CostCommand> {
        match Args::try_parse_from(line.split(' ')).ok()?.command {
            Command::Cost(command) => Some(command),
            _ => None,
        }
    }

    #[test]
    fn a_report_may_be_by_several_things() {
        let line = "tollgate cost report --by user --by cost-centre --per week --from 2026-11-01";
        let Some(CostCommand::Report(args)) = parsed(line) else { panic!("a report") };

        assert_eq!((args.by, args.per), (vec![By::User, By::CostCentre], Some(Per::Week)));
        assert_eq!(args.from, 1_793_491_200_000_000);
        assert!(parsed("tollgate cost report --by priced --from 2026-11-01").is_none(), "ours");
        assert!(parsed("tollgate cost report --by user").is_none(), "from when?");
    }

    #[test]
    fn a_bill_is_compared_exactly_unless_said_otherwise() {
        let line = "tollgate cost reconcile --bill b.json --from 2026-11-01 --to 2026-12-01";
        let Some(CostCommand::Reconcile(args)) = parsed(line) else { panic!("a bill") };

        assert_eq!((args.tolerance_micro, args.format), (0, None));
    }
}
