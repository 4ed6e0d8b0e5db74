//! `tollgate audit reader`: who may read the table of a tenant, and nothing else of it.

use crate::acts::Act;
use crate::args::ReaderCommand;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::store::Store;
use serde_json::json;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`]; an embedded database has no roles.
pub(super) async fn run(
    command: &ReaderCommand,
    operator: &Operator,
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
            let before = read_by(database.readers().await?, role);
            let mut after = before.clone();
            after.extend(tenants.iter().filter(|tenant| !before.contains(tenant)).cloned());
            let what = format!("audit reader add {role} {}", tenants.join(" "));
            let act = Act::new(operator, what)?
                .from(json!({ "role": role, "tenants": before }))
                .to(json!({ "role": role, "tenants": after }));
            database.add_reader(role, tenants, &act).await?;
            screen.say(&format!(
                "{role} may read, once it can log in: ALTER ROLE {role} LOGIN PASSWORD …"
            ));
            screen.value(role, &json!({ "role": role, "tenants": tenants }))
        }
        ReaderCommand::Remove { role } => {
            let before = read_by(database.readers().await?, role);
            let act = Act::new(operator, format!("audit reader remove {role}"))?
                .from(json!({ "role": role, "tenants": before }))
                .to(json!({ "role": role, "tenants": [] }));
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

/// The tenants that a role reads.
fn read_by(readers: Vec<(String, String)>, role: &str) -> Vec<String> {
    readers.into_iter().filter_map(|(one, tenant)| (one == role).then_some(tenant)).collect()
}
