//! `tollgate cost`: what was spent, and whether the provider's bill says the same.
//!
//! The database sums ([`sql`]); what is done with the sums is pure: [`report`] and [`focus`] print
//! them, [`reconcile`] holds them against a [`bill`]. Money is integers throughout.

use crate::args::cost::{CostCommand, ReconcileArgs, ReportArgs};
use crate::clock;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::policy::{PolicyError, Published};
use crate::screen::{STDIN, Screen};
use crate::settings::Data;
use crate::store::Store;
use contract::policy::Policy;
use contract::price::RateCard;
use spend::{By, Per, Query};

pub mod spend;
pub mod sql;
pub mod money;
pub mod report;
pub mod focus;
pub mod bill;
pub mod reconcile;
pub mod estimate;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &CostCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        CostCommand::Report(args) => report(args, operator, data, screen).await,
        CostCommand::Reconcile(args) => reconcile(args, data, screen).await,
        CostCommand::Estimate(args) => estimate::run(args, &card(data)?, screen),
    }
}

/// The tenant whose spending is asked for, if one is; nobody sees that of one they do not operate.
fn tenant(asked: Option<&String>, operator: &Operator) -> Result<Option<String>, Failure> {
    match (asked, operator.tenants()) {
        (Some(tenant), _) if !operator.reaches(tenant) => Err(operator.beyond(tenant)),
        (None, Some([only])) => Ok(Some(only.clone())),
        (None, Some(several)) => Err(Failure::Refused(format!(
            "say of which tenant, by --tenant: {}",
            several.join(", ")
        ))),
        (asked, _) => Ok(asked.cloned()),
    }
}

async fn report(
    args: &ReportArgs,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let query = Query {
        by: each_once(&args.by),
        per: args.per,
        from: args.from,
        to: args.to.unwrap_or_else(clock::now_micros),
        tenant: tenant(args.tenant.as_ref(), operator)?,
    };
    if query.from >= query.to {
        return Err(Failure::Refused("--from is not before --to".into()));
    }
    let store = Store::open(data).await?;
    if !args.csv {
        let spent = store.spend(&query).await?;
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
    let spent = store.spend(&query).await?;

    focus::print(&query, spent, args.billing_account.as_deref(), screen)
}

fn each_once(wanted: &[By]) -> Vec<By> {
    let mut by = Vec::with_capacity(wanted.len());
    for one in wanted {
        if !by.contains(one) {
            by.push(*one);
        }
    }

    by
}

async fn reconcile(args: &ReconcileArgs, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let (Some(from), Some(to)) = (clock::whole_day(args.from), clock::whole_day(args.to)) else {
        return Err(Failure::Refused("a bill is by days: give --from and --to as days".into()));
    };
    if from >= to {
        return Err(Failure::Refused("--from is not before --to".into()));
    }
    let bill = if args.bill.as_os_str() == STDIN {
        bill::parse(&args.bill, &screen.stdin()?, args.format)?
    } else {
        bill::read(&args.bill, args.format)?
    };
    let bill = bill.within(&from, &to);
    let query = Query {
        by: vec![By::Provider, By::Model],
        per: Some(Per::Day),
        from: args.from,
        to: args.to,
        tenant: None,
    };
    let spent = Store::open(data).await?.spend(&query).await?;
    let compared = reconcile::compare(&spent, bill, &card(data)?);

    compared.print(args.tolerance_micro, screen)
}

/// The prices in force: those of the policy where it has any, else the list.
fn card(data: &Data) -> Result<RateCard, Failure> {
    let negotiated = match Published::current(data) {
        Ok(published) => Policy::parse(&published.payload).ok().and_then(|p| p.rates().cloned()),
        Err(PolicyError::None(_)) => None,
        Err(error) => return Err(error.into()),
    };
    match negotiated {
        Some(card) => Ok(card),
        None => RateCard::shipped().map_err(|error| Failure::Refused(error.to_string())),
    }
}
