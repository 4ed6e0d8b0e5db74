//! The commands, whoever gives them and from wherever: on the host, at the socket, with a token.

use crate::args::Command;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::{
    access, approvals, audit, cost, envoy, identity, keys, manifest, mcp, mdm, pats, policy, scim,
    sessions, users,
};

/// Runs one. That they may has been looked at before: [`crate::operators::table`].
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &Command,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        Command::Serve(_) => Err(Failure::Refused("a sidecar is not started from here".into())),
        Command::User(command) => users::run(command, operator, data, screen).await,
        Command::Pat(command) => pats::run(command, operator, data, screen).await,
        Command::Access(command) => access::run(command, operator, data, screen).await,
        Command::Scim(command) => scim::command::run(command, operator, data, screen).await,
        Command::Approval(command) => {
            approvals::command::run(command, operator, data, screen).await
        }
        Command::Audit(command) => audit::run(command, operator, data, screen).await,
        Command::Cost(command) => cost::run(command, operator, data, screen).await,
        Command::Policy(command) => policy::command::run(command, operator, data, screen).await,
        Command::Manifest(command) => manifest::command::run(command, operator, data, screen).await,
        Command::Fleet(command) => manifest::fleet::run(command, operator, data, screen).await,
        Command::Mcp(command) => mcp::run(command, data, screen).await,
        Command::Mdm(command) => mdm::run(command, operator, data, screen).await,
        Command::Envoy(command) => envoy::command::run(command, operator, data, screen).await,
        Command::Identity(command) => identity::command::run(command, screen),
        Command::Session(command) => sessions::run(command, operator, data, screen).await,
        Command::Keys(command) => keys::command::run(command, operator, data, screen).await,
    }
}
