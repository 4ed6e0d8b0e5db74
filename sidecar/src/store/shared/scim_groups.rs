//! Groups as directories have them, and who is in them: what becomes of people's groups.

use super::scim_stand::regroup;
use super::scim_users::THEIRS;
use super::{Backend, Connection, Db, DbRow, append, dialect};
use crate::content::seal;
use crate::store::directory::{Ask, Group, GroupChange, Membership, Page, Pen, Written};
use crate::store::{StoreError, signed, unsigned};
use serde_json::{Value, json};
use sqlx::{QueryBuilder, Row as _};
use std::collections::BTreeSet;

const GROUP: &str = "id, name, external_id, version, created_at, updated_at";

/// Who was looked at, and who of them is there: id and `sub`.
type Known = Vec<(String, String)>;

impl Backend {
    pub(in crate::store) async fn group(
        &self,
        tenant_id: &str,
        id: &str,
        members: bool,
    ) -> Result<Option<Group>, StoreError> {
        let mut read = self.snapshot().await?;
        let Some(mut group) = held(&mut read, tenant_id, id, "").await? else { return Ok(None) };
        if members {
            group.members = members_of(&mut read, id).await?;
        }

        Ok(Some(group))
    }

    pub(in crate::store) async fn groups(
        &self,
        tenant_id: &str,
        page: &Page,
    ) -> Result<(Vec<Group>, u64), StoreError> {
        let mut read = self.snapshot().await?;
        let mut count = QueryBuilder::new("SELECT COUNT(*) FROM scim_groups");
        restrict(&mut count, tenant_id, &page.asks);
        let total: i64 = count.build_query_scalar().fetch_one(&mut *read).await?;
        let mut query = QueryBuilder::new(format!("SELECT {GROUP} FROM scim_groups"));
        restrict(&mut query, tenant_id, &page.asks);
        query.push(" ORDER BY created_at, id LIMIT ").push_bind(signed(page.limit));
        query.push(" OFFSET ").push_bind(signed(page.skip));
        let rows = query.build().fetch_all(&mut *read).await?;
        let mut groups = rows.iter().map(group).collect::<Result<Vec<_>, _>>()?;
        if page.members {
            for group in &mut groups {
                group.members = members_of(&mut read, &group.id).await?;
            }
        }

        Ok((groups, unsigned(total)))
    }

    pub(in crate::store) async fn add_group(
        &self,
        id: &str,
        change: &GroupChange,
        pen: Pen<'_>,
    ) -> Result<Written<()>, StoreError> {
        let mut write = self.write().await?;
        let name = change.name.clone().unwrap_or_default();
        let added = sqlx::query(
            "INSERT INTO scim_groups (id, tenant_id, name, name_key, external_id, version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, 1, $6, $6) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(pen.tenant_id)
        .bind(&name)
        .bind(name.to_lowercase())
        .bind(change.external_id.clone().flatten())
        .bind(signed(pen.now))
        .execute(&mut *write)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(Written::Taken);
        }
        let mut concerned = BTreeSet::new();
        if let Some(stranger) = step(&mut write, id, change, pen, &mut concerned).await? {
            return Ok(Written::Stranger(stranger));
        }
        regroup(&mut write, &concerned.into_iter().collect::<Vec<_>>()).await?;
        let act = pen.act.clone().to(told(&name, change));
        append::add(&mut write, &self.writer, &[seal(&act.row(pen.tenant_id))]).await?;
        write.commit().await?;

        Ok(Written::Done(()))
    }

    pub(in crate::store) async fn put_group(
        &self,
        id: &str,
        change: &GroupChange,
        pen: Pen<'_>,
    ) -> Result<Written<()>, StoreError> {
        let mut write = self.write().await?;
        let Some(before) = held(&mut write, pen.tenant_id, id, dialect::FOR_UPDATE).await? else {
            return Ok(Written::Missing);
        };
        if pen.version.is_some_and(|version| version != before.version) {
            return Ok(Written::Stale);
        }
        let name = change.name.as_deref().unwrap_or(&before.name);
        if is_taken(&mut write, id, name, pen).await? {
            return Ok(Written::Taken);
        }
        let external_id = change.external_id.clone().unwrap_or(before.external_id);
        sqlx::query(
            "UPDATE scim_groups SET name = $1, name_key = $2, external_id = $3,
                 version = version + 1, updated_at = $4 WHERE id = $5",
        )
        .bind(name)
        .bind(name.to_lowercase())
        .bind(external_id)
        .bind(signed(pen.now))
        .bind(id)
        .execute(&mut *write)
        .await?;
        let mut concerned = BTreeSet::new();
        let count = count(&mut write, id).await?;
        if let Some(stranger) = step(&mut write, id, change, pen, &mut concerned).await? {
            return Ok(Written::Stranger(stranger));
        }
        if name != before.name {
            concerned.extend(subs_of(&mut write, id).await?);
        }
        regroup(&mut write, &concerned.into_iter().collect::<Vec<_>>()).await?;
        let was = json!({ "displayName": before.name, "members": count });
        let act = pen.act.clone().from(was).to(told(name, change));
        append::add(&mut write, &self.writer, &[seal(&act.row(pen.tenant_id))]).await?;
        write.commit().await?;

        Ok(Written::Done(()))
    }

    pub(in crate::store) async fn drop_group(
        &self,
        id: &str,
        pen: Pen<'_>,
    ) -> Result<Written<()>, StoreError> {
        let mut write = self.write().await?;
        let Some(before) = held(&mut write, pen.tenant_id, id, dialect::FOR_UPDATE).await? else {
            return Ok(Written::Missing);
        };
        if pen.version.is_some_and(|version| version != before.version) {
            return Ok(Written::Stale);
        }
        let concerned = subs_of(&mut write, id).await?;
        for sql in [
            "DELETE FROM scim_members WHERE group_id = $1",
            "DELETE FROM scim_groups WHERE id = $1",
        ] {
            sqlx::query(sql).bind(id).execute(&mut *write).await?;
        }
        regroup(&mut write, &concerned).await?;
        let was = json!({ "displayName": before.name, "members": concerned.len() });
        let act = pen.act.clone().from(was);
        append::add(&mut write, &self.writer, &[seal(&act.row(pen.tenant_id))]).await?;
        write.commit().await?;

        Ok(Written::Done(()))
    }
}

/// Who joins and who leaves; the first who is not there, if any.
async fn step(
    write: &mut Connection,
    id: &str,
    change: &GroupChange,
    pen: Pen<'_>,
    concerned: &mut BTreeSet<String>,
) -> Result<Option<String>, StoreError> {
    for step in &change.members {
        match step {
            Membership::Nobody => {
                concerned.extend(subs_of(write, id).await?);
                sqlx::query("DELETE FROM scim_members WHERE group_id = $1")
                    .bind(id)
                    .execute(&mut *write)
                    .await?;
            }
            Membership::Join(ids) => {
                let known = known(write, pen.tenant_id, ids).await?;
                let stranger = ids.iter().find(|id| !known.iter().any(|(known, _)| known == *id));
                if let Some(stranger) = stranger {
                    return Ok(Some(stranger.clone()));
                }
                for (member, sub) in known {
                    let sql = "INSERT INTO scim_members (group_id, user_id) VALUES ($1, $2)
                               ON CONFLICT DO NOTHING";
                    sqlx::query(sql).bind(id).bind(&member).execute(&mut *write).await?;
                    concerned.insert(sub);
                }
            }
            // Who is not there has left.
            Membership::Leave(ids) => {
                for (member, sub) in known(write, pen.tenant_id, ids).await? {
                    let sql = "DELETE FROM scim_members WHERE group_id = $1 AND user_id = $2";
                    sqlx::query(sql).bind(id).bind(&member).execute(&mut *write).await?;
                    concerned.insert(sub);
                }
            }
        }
    }

    Ok(None)
}

/// Those of them who are of this tenant.
async fn known(
    write: &mut Connection,
    tenant_id: &str,
    ids: &[String],
) -> Result<Known, StoreError> {
    let mut known = Vec::with_capacity(ids.len());
    for some in ids.chunks(dialect::IDS) {
        let mut query: QueryBuilder<'_, Db> =
            QueryBuilder::new("SELECT id, sub FROM scim_users WHERE deleted_at IS NULL AND ");
        query.push(THEIRS).push(" AND tenant_id = ").push_bind(tenant_id);
        query.push(" AND id IN (");
        let mut list = query.separated(", ");
        for id in some {
            list.push_bind(id);
        }
        query.push(")");
        let rows = query.build_query_as().persistent(false).fetch_all(&mut *write).await?;
        known.extend(rows);
    }

    Ok(known)
}

/// What a row tells of a change: who joined and left by id, as they were named.
fn told(name: &str, change: &GroupChange) -> Value {
    let steps: Vec<Value> = change
        .members
        .iter()
        .map(|step| match step {
            Membership::Nobody => json!("nobody"),
            Membership::Join(ids) => json!({ "join": ids }),
            Membership::Leave(ids) => json!({ "leave": ids }),
        })
        .collect();

    json!({ "displayName": name, "members": steps })
}

async fn is_taken(
    write: &mut Connection,
    id: &str,
    name: &str,
    pen: Pen<'_>,
) -> Result<bool, StoreError> {
    let other: Option<String> = sqlx::query_scalar(
        "SELECT id FROM scim_groups WHERE tenant_id = $1 AND name_key = $2 AND id <> $3",
    )
    .bind(pen.tenant_id)
    .bind(name.to_lowercase())
    .bind(id)
    .fetch_optional(write)
    .await?;

    Ok(other.is_some())
}

async fn subs_of(write: &mut Connection, id: &str) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT s.sub FROM scim_members m JOIN scim_users s ON s.id = m.user_id
         JOIN users u ON u.sub = s.sub AND u.tenant_id = s.tenant_id WHERE m.group_id = $1",
    )
    .bind(id)
    .fetch_all(write)
    .await?)
}

async fn members_of(read: &mut Connection, id: &str) -> Result<Vec<(String, String)>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT s.id, s.user_name FROM scim_members m JOIN scim_users s ON s.id = m.user_id
         WHERE m.group_id = $1 ORDER BY s.user_name",
    )
    .bind(id)
    .fetch_all(read)
    .await?)
}

async fn count(write: &mut Connection, id: &str) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM scim_members WHERE group_id = $1")
        .bind(id)
        .fetch_one(write)
        .await?;

    Ok(unsigned(count))
}

fn restrict<'a>(query: &mut QueryBuilder<'a, Db>, tenant_id: &'a str, asks: &'a [(Ask, String)]) {
    query.push(" WHERE tenant_id = ").push_bind(tenant_id);
    for (ask, value) in asks {
        match ask {
            Ask::Id => query.push(" AND id = ").push_bind(value),
            Ask::ExternalId => query.push(" AND external_id = ").push_bind(value),
            Ask::Name => query.push(" AND name_key = ").push_bind(value.to_lowercase()),
            Ask::Member => query
                .push(" AND id IN (SELECT group_id FROM scim_members WHERE user_id = ")
                .push_bind(value)
                .push(")"),
            Ask::Email | Ask::Active => query.push(" AND FALSE"),
        };
    }
}

async fn held(
    read: &mut Connection,
    tenant_id: &str,
    id: &str,
    lock: &str,
) -> Result<Option<Group>, StoreError> {
    let sql = format!("SELECT {GROUP} FROM scim_groups WHERE tenant_id = $1 AND id = $2{lock}");
    let row = sqlx::query(&sql).bind(tenant_id).bind(id).fetch_optional(read).await?;

    row.as_ref().map(group).transpose()
}

fn group(row: &DbRow) -> Result<Group, StoreError> {
    Ok(Group {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        external_id: row.try_get("external_id")?,
        members: Vec::new(),
        version: unsigned(row.try_get("version")?),
        created_at: unsigned(row.try_get("created_at")?),
        updated_at: unsigned(row.try_get("updated_at")?),
    })
}
