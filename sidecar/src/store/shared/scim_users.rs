//! People as their directories have them.

use super::scim_stand::{has_roles, is_deprovisioned, let_in, regroup, rename, stop};
use super::{Backend, Connection, Db, DbRow, append, dialect};
use crate::content::seal;
use crate::keys;
use crate::store::directory::{Ask, Page, Pen, Person, PersonForm, Written};
use crate::store::{StoreError, signed, unsigned};
use contract::envelope::hex;
use sqlx::{QueryBuilder, Row as _};

const PERSON: &str =
    "id, tenant_id, resource, external_id, email, active, version, created_at, updated_at";

/// Who is still of the tenant whose directory had them: a provider may have told of another since.
pub(super) const THEIRS: &str = "EXISTS (SELECT 1 FROM users u WHERE u.sub = scim_users.sub AND u.tenant_id = scim_users.tenant_id)";

/// A person of the directory, and whose row that is.
pub(super) struct Held {
    pub(super) person: Person,
    pub(super) sub: String,
}

impl Backend {
    pub(in crate::store) async fn person(
        &self,
        tenant_id: &str,
        id: &str,
    ) -> Result<Option<Person>, StoreError> {
        let sql = format!(
            "SELECT {PERSON} FROM scim_users
             WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL AND {THEIRS}"
        );
        let row = sqlx::query(&sql).bind(tenant_id).bind(id).fetch_optional(self.current()).await?;

        row.as_ref().map(person).transpose()
    }

    pub(in crate::store) async fn persons(
        &self,
        tenant_id: &str,
        page: &Page,
    ) -> Result<(Vec<Person>, u64), StoreError> {
        let mut count = QueryBuilder::new("SELECT COUNT(*) FROM scim_users");
        restrict(&mut count, tenant_id, &page.asks);
        let mut read = self.snapshot().await?;
        let total: i64 = count.build_query_scalar().fetch_one(&mut *read).await?;
        let mut query = QueryBuilder::new(format!("SELECT {PERSON} FROM scim_users"));
        restrict(&mut query, tenant_id, &page.asks);
        query.push(" ORDER BY created_at, id LIMIT ").push_bind(signed(page.limit));
        query.push(" OFFSET ").push_bind(signed(page.skip));
        let rows = query.build().fetch_all(&mut *read).await?;
        let people = rows.iter().map(person).collect::<Result<Vec<_>, _>>()?;

        Ok((people, unsigned(total)))
    }

    pub(in crate::store) async fn add_person(
        &self,
        id: &str,
        form: &PersonForm,
        pen: Pen<'_>,
    ) -> Result<Written<Person>, StoreError> {
        let mut write = self.write().await?;
        let Some((sub, roles)) = adopted(&mut write, form, pen).await? else {
            return Ok(Written::Taken);
        };
        if has_roles(&roles)? {
            return Ok(Written::Operator);
        }
        let ended = is_deprovisioned(&mut write, &sub).await?;
        let added = sqlx::query(
            "INSERT INTO scim_users (id, tenant_id, sub, user_name, external_id, email, active,
                 resource, version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(pen.tenant_id)
        .bind(&sub)
        .bind(&form.user_name)
        .bind(&form.external_id)
        .bind(&form.email)
        .bind(form.active)
        .bind(form.resource.to_string())
        .bind(signed(pen.now))
        .execute(&mut *write)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(Written::Taken);
        }
        facts(&mut write, &sub, form).await?;
        let grouped: Option<String> =
            sqlx::query_scalar("SELECT id FROM scim_groups WHERE tenant_id = $1 LIMIT 1")
                .bind(pen.tenant_id)
                .fetch_optional(&mut *write)
                .await?;
        if grouped.is_some() {
            regroup(&mut write, std::slice::from_ref(&sub)).await?;
        }
        if form.active {
            let_in(&mut write, &sub, ended, pen).await?;
        } else {
            stop(&mut write, &sub, pen).await?;
        }
        let act = pen.act.clone().to(form.resource.clone());
        append::add(&mut write, &self.writer, &[seal(&act.row(pen.tenant_id))]).await?;
        let Some(held) = held(&mut write, pen.tenant_id, id).await? else {
            return Ok(Written::Missing);
        };
        write.commit().await?;

        Ok(Written::Done(held.person))
    }

    pub(in crate::store) async fn put_person(
        &self,
        id: &str,
        form: &PersonForm,
        pen: Pen<'_>,
    ) -> Result<Written<Person>, StoreError> {
        let mut write = self.write().await?;
        let Some(before) = held(&mut write, pen.tenant_id, id).await? else {
            return Ok(Written::Missing);
        };
        if pen.version.is_some_and(|version| version != before.person.version) {
            return Ok(Written::Stale);
        }
        if is_taken(&mut write, &before, form, pen).await? {
            return Ok(Written::Taken);
        }
        sqlx::query(
            "UPDATE scim_users SET user_name = $1, external_id = $2, email = $3, active = $4,
                 resource = $5, version = version + 1, updated_at = $6 WHERE id = $7",
        )
        .bind(&form.user_name)
        .bind(&form.external_id)
        .bind(&form.email)
        .bind(form.active)
        .bind(form.resource.to_string())
        .bind(signed(pen.now))
        .bind(id)
        .execute(&mut *write)
        .await?;
        if before.person.email != form.email
            && !rename(&mut write, &before.sub, &form.email, pen).await?
        {
            return Ok(Written::Operator);
        }
        facts(&mut write, &before.sub, form).await?;
        if form.active {
            let_in(&mut write, &before.sub, !before.person.active, pen).await?;
        } else {
            stop(&mut write, &before.sub, pen).await?;
        }
        let (was, is) = (before.person.resource, form.resource.clone());
        let act = pen.act.clone().from(was).to(is);
        append::add(&mut write, &self.writer, &[seal(&act.row(pen.tenant_id))]).await?;
        let Some(held) = held(&mut write, pen.tenant_id, id).await? else {
            return Ok(Written::Missing);
        };
        write.commit().await?;

        Ok(Written::Done(held.person))
    }

    pub(in crate::store) async fn drop_person(
        &self,
        id: &str,
        pen: Pen<'_>,
    ) -> Result<Written<()>, StoreError> {
        let mut write = self.write().await?;
        let Some(before) = held(&mut write, pen.tenant_id, id).await? else {
            return Ok(Written::Missing);
        };
        if pen.version.is_some_and(|version| version != before.person.version) {
            return Ok(Written::Stale);
        }
        sqlx::query("DELETE FROM scim_members WHERE user_id = $1")
            .bind(id)
            .execute(&mut *write)
            .await?;
        sqlx::query("UPDATE scim_users SET active = FALSE, deleted_at = $1 WHERE id = $2")
            .bind(signed(pen.now))
            .bind(id)
            .execute(&mut *write)
            .await?;
        stop(&mut write, &before.sub, pen).await?;
        let act = pen.act.clone().from(before.person.resource);
        append::add(&mut write, &self.writer, &[seal(&act.row(pen.tenant_id))]).await?;
        write.commit().await?;

        Ok(Written::Done(()))
    }

    pub(in crate::store) async fn is_deprovisioned(
        &self,
        user_id: &str,
    ) -> Result<bool, StoreError> {
        is_deprovisioned(&mut *self.current().acquire().await?, user_id).await
    }
}

/// The user behind an address, and their roles: whoever of this tenant has it, or somebody new. `None` if another
/// tenant's has it.
async fn adopted(
    write: &mut Connection,
    form: &PersonForm,
    pen: Pen<'_>,
) -> Result<Option<(String, String)>, StoreError> {
    let new = format!("usr_{}", hex(&keys::random::<8>()?));
    sqlx::query(
        "INSERT INTO users (sub, user_id, tenant_id, groups, roles, populations, created_at)
         VALUES ($1, $2, $3, '[]', '[]', '[]', $4) ON CONFLICT (user_id) DO NOTHING",
    )
    .bind(&new)
    .bind(&form.email)
    .bind(pen.tenant_id)
    .bind(signed(pen.now))
    .execute(&mut *write)
    .await?;

    let sql = format!(
        "SELECT sub, roles FROM users WHERE user_id = $1 AND tenant_id = $2{}",
        dialect::FOR_UPDATE
    );

    Ok(sqlx::query_as(&sql)
        .bind(&form.email)
        .bind(pen.tenant_id)
        .fetch_optional(&mut *write)
        .await?)
}

/// Does another have the name or the address?
async fn is_taken(
    write: &mut Connection,
    before: &Held,
    form: &PersonForm,
    pen: Pen<'_>,
) -> Result<bool, StoreError> {
    let named: Option<String> = sqlx::query_scalar(
        "SELECT id FROM scim_users
         WHERE tenant_id = $1 AND user_name = $2 AND id <> $3 AND deleted_at IS NULL",
    )
    .bind(pen.tenant_id)
    .bind(&form.user_name)
    .bind(&before.person.id)
    .fetch_optional(&mut *write)
    .await?;
    let addressed: Option<String> =
        sqlx::query_scalar("SELECT sub FROM users WHERE user_id = $1 AND sub <> $2")
            .bind(&form.email)
            .bind(&before.sub)
            .fetch_optional(&mut *write)
            .await?;

    Ok(named.is_some() || addressed.is_some())
}

/// What the directory says of them; what it does not say stays.
async fn facts(write: &mut Connection, sub: &str, form: &PersonForm) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE users SET name = COALESCE($1, name), department = COALESCE($2, department),
             cost_centre = COALESCE($3, cost_centre) WHERE sub = $4",
    )
    .bind(&form.name)
    .bind(&form.department)
    .bind(&form.cost_centre)
    .bind(sub)
    .execute(write)
    .await?;

    Ok(())
}

fn restrict<'a>(query: &mut QueryBuilder<'a, Db>, tenant_id: &'a str, asks: &'a [(Ask, String)]) {
    query.push(" WHERE deleted_at IS NULL AND ").push(THEIRS);
    query.push(" AND tenant_id = ").push_bind(tenant_id);
    for (ask, value) in asks {
        match ask {
            Ask::Id => query.push(" AND id = ").push_bind(value),
            Ask::ExternalId => query.push(" AND external_id = ").push_bind(value),
            Ask::Name => query.push(" AND user_name = ").push_bind(value.to_lowercase()),
            Ask::Email => query.push(" AND email = ").push_bind(value.to_lowercase()),
            Ask::Active => query.push(" AND active = ").push_bind(value == "true"),
            Ask::Member => query.push(" AND FALSE"),
        };
    }
}

async fn held(
    write: &mut Connection,
    tenant_id: &str,
    id: &str,
) -> Result<Option<Held>, StoreError> {
    let sql = format!(
        "SELECT {PERSON}, sub FROM scim_users
         WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL AND {THEIRS}{}",
        dialect::FOR_UPDATE
    );
    let row = sqlx::query(&sql).bind(tenant_id).bind(id).fetch_optional(write).await?;
    let Some(row) = row else { return Ok(None) };

    Ok(Some(Held { person: person(&row)?, sub: row.try_get("sub")? }))
}

fn person(row: &DbRow) -> Result<Person, StoreError> {
    Ok(Person {
        id: row.try_get("id")?,
        tenant_id: row.try_get("tenant_id")?,
        resource: serde_json::from_str(row.try_get("resource")?)?,
        external_id: row.try_get("external_id")?,
        email: row.try_get("email")?,
        active: row.try_get("active")?,
        version: unsigned(row.try_get("version")?),
        created_at: unsigned(row.try_get("created_at")?),
        updated_at: unsigned(row.try_get("updated_at")?),
    })
}
