//! `tollgate audit reader`: who may read the table of a tenant, and nothing else of it.

use crate::acts::Act;
use crate::args::ReaderCommand;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::store::Store;
use serde_json::json;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`]; an embedded database has no roles.
pub(super) async fn run(
    command: &ReaderCommand,
    store: &Store,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let Store::Postgres(database) = store else {
        return Err(Failure::Refused(
            "readers are roles of Postgres: the embedded database has none".into(),
        ));
    };
    match command {
        ReaderCommand::Add { role, tenants } => {
            let act = Act::new(format!("audit reader add {role} {}", tenants.join(" ")))?;
            database.add_reader(role, tenants, &act).await?;
            screen.say(&format!(
                "{role} may read, once it can log in: ALTER ROLE {role} LOGIN PASSWORD …"
            ));
            screen.value(role, &json!({ "role": role, "tenants": tenants }))
        }
        ReaderCommand::Remove { role } => {
            let act = Act::new(format!("audit reader remove {role}"))?;
            if !database.remove_reader(role, &act).await? {
                return Err(Failure::NotFound(format!("{role} is no reader")));
            }
            screen.value(role, &json!({ "role": role, "tenants": [] }))
        }
        ReaderCommand::List => {
            let readers = database.readers().await?;
            if screen.json() {
                return readers.iter().try_for_each(|(role, tenant)| {
                    screen.object(&json!({ "role": role, "tenant_id": tenant }))
                });
            }
            let rows: Vec<Vec<String>> =
                readers.into_iter().map(|(role, tenant)| vec![role, tenant]).collect();
            screen.table(&["ROLE", "TENANT"], &rows)
        }
    }
}
