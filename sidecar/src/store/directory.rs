//! What directories, device certificates and workloads leave in the store.

use super::{Store, StoreError, User};
use crate::acts::Act;
use serde_json::Value;

/// A certificate that has signed somebody in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificate {
    /// SHA-256 of its DER, as `cnf.x5t#S256` has it.
    pub sha256: String,
    /// Its issuer's name.
    pub issuer: String,
    /// Hex, lower case, no zeros before it.
    pub serial: String,
    /// Its subject's name.
    pub subject: String,
    /// Whose it is.
    pub sub: String,
    /// Unix seconds.
    pub not_after: u64,
}

/// What a directory calls us with, without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScimToken {
    /// `dir_…`.
    pub id: String,
    /// The only tenant that it sees.
    pub tenant_id: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Who made it.
    pub created_by: String,
    /// Unix seconds.
    pub expires_at: u64,
    /// Unix seconds.
    pub revoked_at: Option<u64>,
    /// Unix seconds.
    pub last_used_at: Option<u64>,
}

/// Somebody as their directory has them (RFC 7643 §4.1).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Person {
    /// Ours; the directory calls them by it.
    pub id: String,
    /// The tenant.
    pub tenant_id: String,
    /// What of the resource is kept; the name as the directory writes it is in there.
    pub resource: Value,
    /// The directory's own id.
    pub external_id: Option<String>,
    /// The address that they sign in by, lower case.
    pub email: String,
    /// May they call?
    pub active: bool,
    /// Rises with each change.
    pub version: u64,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub updated_at: u64,
}

/// What a directory says of somebody.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PersonForm {
    /// What of the resource is kept.
    pub resource: Value,
    /// As it is compared.
    pub user_name: String,
    /// The directory's own id.
    pub external_id: Option<String>,
    /// Lower case.
    pub email: String,
    /// May they call?
    pub active: bool,
    /// The name shown to people.
    pub name: Option<String>,
    /// For routing and chargeback.
    pub department: Option<String>,
    /// For chargeback.
    pub cost_centre: Option<String>,
}

/// A group as its directory has it (RFC 7643 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Ours.
    pub id: String,
    /// Its name: what policies know it by.
    pub name: String,
    /// The directory's own id.
    pub external_id: Option<String>,
    /// Id and name of who is in it.
    pub members: Vec<(String, String)>,
    /// Rises with each change.
    pub version: u64,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub updated_at: u64,
}

/// What is to become of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupChange {
    /// Its new name.
    pub name: Option<String>,
    /// The directory's new id for it, or none.
    pub external_id: Option<Option<String>>,
    /// Who joins and who leaves, in this order.
    pub members: Vec<Membership>,
}

/// A step in who is in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// Everybody leaves.
    Nobody,
    /// These join.
    Join(Vec<String>),
    /// These leave.
    Leave(Vec<String>),
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written<T> {
    /// It is so.
    Done(T),
    /// There is nothing of that id in this tenant.
    Missing,
    /// Another has that name or address.
    Taken,
    /// An operator, whom no directory takes over or renames.
    Operator,
    /// It has changed since.
    Stale,
    /// A member that is not there.
    Stranger(String),
}

/// Which people or groups are meant: a column that may be asked for, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ask {
    /// Our id.
    Id,
    /// The directory's id.
    ExternalId,
    /// `userName`, or a group's `displayName`.
    Name,
    /// An address.
    Email,
    /// May they call? `true` or `false`.
    Active,
    /// A group's member, by our id.
    Member,
}

/// Some of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// All of these must be so.
    pub asks: Vec<(Ask, String)>,
    /// How many are left out before.
    pub skip: u64,
    /// At most so many.
    pub limit: u64,
    /// With a group's members?
    pub members: bool,
}

/// Whose write it is, and when.
#[derive(Debug, Clone, Copy)]
pub struct Pen<'a> {
    /// The only tenant that is touched.
    pub tenant_id: &'a str,
    /// The version that it must have, where that matters.
    pub version: Option<u64>,
    /// Unix seconds.
    pub now: u64,
    /// Its row.
    pub act: &'a Act,
}

impl Store {
    /// Notes a certificate that signs somebody in, *before* it is asked whether it is revoked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_certificate(&self, it: &Certificate, now: u64) -> Result<(), StoreError> {
        each!(self, db => db.note_certificate(it, now).await)
    }

    /// Certificates that have signed somebody in and could still, or whose tokens live; in the order of their
    /// fingerprints, those behind one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn certificates(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Certificate>, StoreError> {
        each!(self, db => db.certificates(after, limit).await)
    }

    /// Notes that a workload's token was exchanged; false if it was before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn exchange_once(&self, id: &str, expires_at: u64) -> Result<bool, StoreError> {
        each!(self, db => db.exchange_once(id, expires_at).await)
    }

    /// Makes a workload's user, or makes them as the configuration now says. Who was stopped stays so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_service(&self, user: &User, act: &Act) -> Result<(), StoreError> {
        each!(self, db => db.put_service(user, act).await)
    }

    /// Adds a directory's token by its hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_scim_token(
        &self,
        token: &ScimToken,
        hash: &str,
        act: &Act,
    ) -> Result<(), StoreError> {
        each!(self, db => db.add_scim_token(token, hash, act).await)
    }

    /// All of them, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scim_tokens(&self) -> Result<Vec<ScimToken>, StoreError> {
        each!(self, db => db.scim_tokens().await)
    }

    /// The one with this hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scim_token(&self, hash: &str) -> Result<Option<ScimToken>, StoreError> {
        each!(self, db => db.scim_token(hash).await)
    }

    /// Notes that one was used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scim_token_used(&self, id: &str, now: u64) -> Result<(), StoreError> {
        each!(self, db => db.scim_token_used(id, now).await)
    }

    /// Ends one; false if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_scim_token(
        &self,
        id: &str,
        now: u64,
        act: &Act,
    ) -> Result<bool, StoreError> {
        each!(self, db => db.revoke_scim_token(id, now, act).await)
    }

    /// Somebody of a tenant, by the id the directory calls them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn person(&self, tenant_id: &str, id: &str) -> Result<Option<Person>, StoreError> {
        each!(self, db => db.person(tenant_id, id).await)
    }

    /// People of a tenant, and how many there are in all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn persons(
        &self,
        tenant_id: &str,
        page: &Page,
    ) -> Result<(Vec<Person>, u64), StoreError> {
        each!(self, db => db.persons(tenant_id, page).await)
    }

    /// Takes somebody in. Who was here before under the address, and of this tenant, is who it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_person(
        &self,
        id: &str,
        form: &PersonForm,
        pen: Pen<'_>,
    ) -> Result<Written<Person>, StoreError> {
        each!(self, db => Box::pin(db.add_person(id, form, pen)).await)
    }

    /// Makes somebody as their directory has them now: who may not call any more is stopped in the same step.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_person(
        &self,
        id: &str,
        form: &PersonForm,
        pen: Pen<'_>,
    ) -> Result<Written<Person>, StoreError> {
        each!(self, db => Box::pin(db.put_person(id, form, pen)).await)
    }

    /// Takes somebody out, and stops them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_person(&self, id: &str, pen: Pen<'_>) -> Result<Written<()>, StoreError> {
        each!(self, db => Box::pin(db.drop_person(id, pen)).await)
    }

    /// Has their directory taken this person out, or said that they may not call?
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_deprovisioned(&self, user_id: &str) -> Result<bool, StoreError> {
        each!(self, db => db.is_deprovisioned(user_id).await)
    }

    /// A group of a tenant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn group(
        &self,
        tenant_id: &str,
        id: &str,
        members: bool,
    ) -> Result<Option<Group>, StoreError> {
        each!(self, db => db.group(tenant_id, id, members).await)
    }

    /// Groups of a tenant, and how many there are in all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn groups(
        &self,
        tenant_id: &str,
        page: &Page,
    ) -> Result<(Vec<Group>, u64), StoreError> {
        each!(self, db => db.groups(tenant_id, page).await)
    }

    /// Makes a group, and the groups of who is in it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_group(
        &self,
        id: &str,
        change: &GroupChange,
        pen: Pen<'_>,
    ) -> Result<Written<()>, StoreError> {
        each!(self, db => Box::pin(db.add_group(id, change, pen)).await)
    }

    /// Changes a group, and the groups of whom that concerns.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_group(
        &self,
        id: &str,
        change: &GroupChange,
        pen: Pen<'_>,
    ) -> Result<Written<()>, StoreError> {
        each!(self, db => Box::pin(db.put_group(id, change, pen)).await)
    }

    /// Takes a group away, and from the groups of who was in it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_group(&self, id: &str, pen: Pen<'_>) -> Result<Written<()>, StoreError> {
        each!(self, db => Box::pin(db.drop_group(id, pen)).await)
    }
}
