//! `tollgate cost`: what was spent.
//!
//! The database sums ([`sql`]); what is done with the sums is pure: [`report`] and [`focus`] print
//! them. Money is integers throughout.

use crate::args::cost::{CostCommand, ReportArgs};
use crate::clock;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::settings::Data;
use spend::{Per, Query};

pub mod spend;
pub mod sql;
pub mod books;
pub mod money;
pub mod report;
pub mod focus;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(command: &CostCommand, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        CostCommand::Report(args) => report(args, data, screen).await,
    }
}

async fn report(args: &ReportArgs, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let mut by = args.by.clone();
    by.dedup();
    let query = Query {
        by,
        per: args.per,
        from: args.from,
        to: args.to.unwrap_or_else(clock::now_micros),
        tenant: args.tenant.clone(),
    };
    if query.from >= query.to {
        return Err(Failure::Refused("--from is not before --to".into()));
    }
    if !args.csv {
        let spent = books::spend(data, &query).await?;
        return report::print(&query, spent, screen);
    }
    if screen.json() || args.per == Some(Per::Week) {
        return Err(Failure::Refused(
            "--csv goes with --per day or --per month, and not with --json: a week can lie in the \
             bills of two months"
                .into(),
        ));
    }
    let query = focus::query(query);
    let spent = books::spend(data, &query).await?;

    focus::print(&query, spent, args.billing_account.as_deref(), screen)
}
