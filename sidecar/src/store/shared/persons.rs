//! The people that providers tell of.

use super::moves::follow;
use super::people::{USER, user};
use super::{Backend, Connection, dialect};
use crate::store::sessions::{Bound, Person};
use crate::store::{StoreError, User, signed};

impl Backend {
    pub(in crate::store) async fn bind(
        &self,
        person: Person,
        new_sub: &str,
        now: u64,
    ) -> Result<Bound, StoreError> {
        let mut write = self.write().await?;
        let subject = (person.provider.clone(), person.subject.clone());
        let known = by_subject(&mut write, &subject.0, &subject.1).await?;
        let namesake = by_address(&mut write, &person.user_id).await?;
        let mut found = match (known, namesake) {
            // Somebody else has the address.
            (Some(known), Some((namesake, _))) if known.sub != namesake.sub => {
                return Ok(Bound::Conflict);
            }
            (Some(known), _) => known,
            // Added by hand or by a directory, in the tenant that the provider speaks for.
            (None, Some((namesake, false))) if namesake.tenant_id == person.tenant_id => namesake,
            (None, Some(_)) => return Ok(Bound::Conflict),
            (None, None) => {
                let new = User { sub: new_sub.to_owned(), created_at: now, ..User::default() };
                insert(&mut write, &new, &person).await?;
                new
            }
        };
        let before = std::mem::take(&mut found.user_id);
        person.put(&mut found);
        if !before.is_empty() && before != found.user_id {
            // It stays on the old one too: tokens that name it may be in use.
            follow(&mut write, &before, &found.user_id, now).await?;
        }
        update(&mut write, &found, &subject).await?;
        write.commit().await?;

        Ok(Bound::Is(Box::new(found)))
    }
}

async fn by_subject(
    write: &mut Connection,
    provider: &str,
    subject: &str,
) -> Result<Option<User>, StoreError> {
    let sql = format!(
        "SELECT {USER} FROM users u WHERE u.provider = $1 AND u.subject = $2{}",
        dialect::FOR_UPDATE
    );
    let row = sqlx::query(&sql).bind(provider).bind(subject).fetch_optional(&mut *write).await?;

    row.as_ref().map(user).transpose()
}

/// Who has the address, and whether a provider vouches for them.
async fn by_address(
    write: &mut Connection,
    user_id: &str,
) -> Result<Option<(User, bool)>, StoreError> {
    use sqlx::Row as _;

    let sql = format!(
        "SELECT {USER}, u.provider FROM users u WHERE u.user_id = $1{}",
        dialect::FOR_UPDATE
    );
    let Some(row) = sqlx::query(&sql).bind(user_id).fetch_optional(&mut *write).await? else {
        return Ok(None);
    };
    let provider: Option<String> = row.try_get("provider")?;

    Ok(Some((user(&row)?, provider.is_some())))
}

async fn insert(write: &mut Connection, new: &User, person: &Person) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO users (sub, user_id, tenant_id, groups, roles, populations, created_at)
         VALUES ($1, $2, $3, '[]', '[]', '[]', $4)",
    )
    .bind(&new.sub)
    .bind(&person.user_id)
    .bind(&person.tenant_id)
    .bind(signed(new.created_at))
    .execute(write)
    .await?;

    Ok(())
}

async fn update(
    write: &mut Connection,
    user: &User,
    (provider, subject): &(String, String),
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE users SET user_id = $1, name = $2, tenant_id = $3, department = $4,
             cost_centre = $5, groups = $6, roles = $7, populations = $8, region = $9,
             provider = $10, subject = $11 WHERE sub = $12",
    )
    .bind(&user.user_id)
    .bind(&user.name)
    .bind(&user.tenant_id)
    .bind(&user.department)
    .bind(&user.cost_centre)
    .bind(serde_json::to_string(&user.groups)?)
    .bind(serde_json::to_string(&user.roles)?)
    .bind(serde_json::to_string(&user.populations)?)
    .bind(&user.region)
    .bind(provider)
    .bind(subject)
    .bind(&user.sub)
    .execute(write)
    .await?;

    Ok(())
}
