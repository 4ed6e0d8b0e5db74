//! `tollgate cost`.

use crate::clock;
use crate::cost::bill::Format;
use crate::cost::spend::{By, Per};
use clap::{Args as ClapArgs, Subcommand};
use contract::estimate::Class;
use std::path::PathBuf;

/// `tollgate cost`.
#[derive(Debug, Subcommand)]
pub enum CostCommand {
    /// What was spent, by whom or what, per day, week or month.
    Report(ReportArgs),
    /// Hold the rows against a provider's bill. Exit code 5 if they are further apart than allowed.
    Reconcile(ReconcileArgs),
    /// What the gate expects a call to cost before it is made, step by step.
    Estimate(EstimateArgs),
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

/// `tollgate cost estimate`.
#[derive(Debug, ClapArgs)]
pub struct EstimateArgs {
    /// The model; that of the body unless said.
    #[arg(long, required_unless_present = "body")]
    pub model: Option<String>,
    /// The body of the call; `-` for standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "bytes", conflicts_with = "bytes")]
    pub body: Option<PathBuf>,
    /// How large it is, where there is none to be read.
    #[arg(long, value_name = "N")]
    pub bytes: Option<u64>,
    /// The most tokens that may be answered with; what the body says unless said.
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u64>,
    /// The usual length of the model's answers, tokens.
    #[arg(long, value_name = "N")]
    pub median: Option<u64>,
    /// A class, as in `cost_classes` of gate.yaml: small=0.01, and the last one its name alone.
    #[arg(long = "class", value_parser = class, value_name = "NAME[=BELOW]")]
    pub classes: Vec<Class>,
}

#[expect(clippy::unnecessary_wraps, reason = "clap takes parsers that can fail")]
fn class(text: &str) -> Result<Class, String> {
    let (name, below) = match text.split_once('=') {
        Some((name, below)) => (name, Some(below.to_owned())),
        None => (text, None),
    };

    Ok(Class { name: name.to_owned(), below })
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
    fn an_estimate_is_of_a_body_or_of_a_size() {
        let line = "tollgate cost estimate --model m --bytes 9 --class small=0.01 --class large";
        let Some(CostCommand::Estimate(args)) = parsed(line) else { panic!("an estimate") };

        assert_eq!((args.bytes, args.classes.len()), (Some(9), 2));
        assert!(parsed("tollgate cost estimate --body -").is_some(), "the body says its model");
        for wrong in ["--model m", "--bytes 9", "--model m --body - --bytes 9"] {
            assert!(parsed(&format!("tollgate cost estimate {wrong}")).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_bill_is_compared_exactly_unless_said_otherwise() {
        let line = "tollgate cost reconcile --bill b.json --from 2026-11-01 --to 2026-12-01";
        let Some(CostCommand::Reconcile(args)) = parsed(line) else { panic!("a bill") };

        assert_eq!((args.tolerance_micro, args.format), (0, None));
    }
}
