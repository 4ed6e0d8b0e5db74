//! The store's side of sessions, and of the people that providers tell of.

use super::{Store, StoreError, User};
use crate::acts::Act;

/// A fact about somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    /// Nothing is told: what is known stays.
    Kept,
    /// This is so.
    Is(T),
}

impl<T> Fact<T> {
    /// Makes it so.
    pub fn put(self, place: &mut T) {
        if let Self::Is(value) = self {
            *place = value;
        }
    }
}

/// Somebody, as a provider tells of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The provider's name here.
    pub provider: String,
    /// `sub` there.
    pub subject: String,
    /// Verified e-mail, lower case.
    pub user_id: String,
    /// The tenant.
    pub tenant_id: String,
    /// As the user's.
    pub name: Fact<Option<String>>,
    /// As the user's.
    pub department: Fact<Option<String>>,
    /// As the user's.
    pub cost_centre: Fact<Option<String>>,
    /// As the user's.
    pub region: Fact<Option<String>>,
    /// As the user's.
    pub groups: Fact<Vec<String>>,
    /// As the user's.
    pub roles: Fact<Vec<String>>,
    /// As the user's.
    pub populations: Fact<Vec<String>>,
}

impl Person {
    /// Makes a user say what is told.
    pub fn put(self, user: &mut User) {
        user.user_id = self.user_id;
        user.tenant_id = self.tenant_id;
        self.name.put(&mut user.name);
        self.department.put(&mut user.department);
        self.cost_centre.put(&mut user.cost_centre);
        self.region.put(&mut user.region);
        self.groups.put(&mut user.groups);
        self.roles.put(&mut user.roles);
        self.populations.put(&mut user.populations);
    }
}

/// What became of a person that a provider told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// They are this user.
    Is(Box<User>),
    /// Their address belongs to another account.
    Conflict,
}

/// A session whose owner has signed in at the provider and has not approved it yet.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whose.
    pub sub: &'a str,
    /// The provider's name here.
    pub provider: &'a str,
    /// `sub` there.
    pub subject: &'a str,
    /// Where the code will be sent.
    pub redirect_uri: &'a str,
    /// The SHA-256 of the verifier, base64url (RFC 7636 §4.2).
    pub challenge: &'a str,
    /// The provider's refresh token, sealed.
    pub grant: Option<&'a str>,
    /// Unix seconds.
    pub now: u64,
    /// When it is forgotten if nobody approves it, Unix seconds.
    pub expires_at: u64,
}

/// What a program trades for a session.
#[derive(Debug, Clone, Copy)]
pub struct Trade<'a> {
    /// The code's SHA-256.
    pub code_hash: &'a str,
    /// As the sign-in was begun with.
    pub redirect_uri: &'a str,
    /// The SHA-256 of the verifier that was sent.
    pub challenge: &'a str,
    /// The SHA-256 of the session's first secret.
    pub secret_hash: &'a str,
    /// Unix seconds.
    pub now: u64,
    /// When the session is over, Unix seconds.
    pub expires_at: u64,
    /// When it is if the provider cannot be asked again, Unix seconds.
    pub expires_at_unasked: u64,
}

/// A session, and whose it is.
pub type Owned = (Session, User);

/// What became of a trade.
#[derive(Debug, Clone)]
pub enum Traded {
    /// A session.
    Session(Box<Owned>),
    /// There is no such code, or it is too old.
    Unknown,
    /// It is another program's: the sign-in is void.
    Mismatch(Box<Owned>),
    /// It was traded before: the session made from it has ended (RFC 6749 §4.1.2).
    Replayed(Box<Owned>),
}

/// A session, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// `ses_…`; `sid` of its tokens.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// The provider's name here.
    pub provider: String,
    /// `sub` there.
    pub subject: String,
    /// The provider's refresh token, sealed; none if it gave none.
    pub grant: Option<String>,
    /// Unix seconds, as all times here.
    pub created_at: u64,
    /// When the provider last vouched.
    pub confirmed_at: u64,
    /// When the person's program got it; none if it never did.
    pub signed_in_at: Option<u64>,
    /// When a token was last minted from it.
    pub used_at: Option<u64>,
    /// When it is over whatever happens.
    pub expires_at: u64,
    /// When it was ended.
    pub ended_at: Option<u64>,
    /// Why.
    pub ended_why: Option<String>,
}

/// A session that a secret belongs to.
#[derive(Debug, Clone)]
pub struct Found {
    /// The session.
    pub session: Session,
    /// Whose.
    pub user: User,
    /// When the secret was replaced by another, Unix seconds.
    pub replaced_at: Option<u64>,
}

/// What a refresh changes of a session.
#[derive(Debug, Clone, Copy, Default)]
pub struct Renewal<'a> {
    /// Its id.
    pub id: &'a str,
    /// When the provider vouched, if it was asked now.
    pub confirmed_at: Option<u64>,
    /// The provider's new refresh token, sealed.
    pub grant: Option<&'a str>,
    /// The SHA-256 of the secret that is replaced, and of the one that replaces it.
    pub secret: Option<(&'a str, &'a str)>,
    /// Unix seconds.
    pub now: u64,
}

impl<'a> Renewal<'a> {
    /// Nothing yet.
    pub fn of(id: &'a str) -> Self {
        Self { id, ..Self::default() }
    }
}

impl Store {
    /// Finds or makes the user that a provider tells of. `new_sub` is theirs if they are new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bind(&self, person: Person, new_sub: &str, now: u64) -> Result<Bound, StoreError> {
        each!(self, db => db.bind(person, new_sub, now).await)
    }

    /// Notes a session that its owner is asked to approve.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ask_session(&self, asked: &Asked<'_>) -> Result<(), StoreError> {
        each!(self, db => db.ask_session(asked).await)
    }

    /// Its owner approves it: a code may be traded for it until then. False if it cannot be approved (any more).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn approve_session(
        &self,
        id: &str,
        code_hash: &str,
        now: u64,
        until: u64,
    ) -> Result<bool, StoreError> {
        each!(self, db => db.approve_session(id, code_hash, now, until).await)
    }

    /// Trades a code, once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn trade_code(&self, trade: &Trade<'_>) -> Result<Traded, StoreError> {
        each!(self, db => db.trade_code(trade).await)
    }

    /// The session that a secret with this SHA-256 belongs or belonged to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session_by_secret(&self, hash: &str) -> Result<Option<Found>, StoreError> {
        each!(self, db => db.session_by_secret(hash).await)
    }

    /// A session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session(&self, id: &str) -> Result<Option<Owned>, StoreError> {
        each!(self, db => db.session(id).await)
    }

    /// All sessions that somebody has signed in to, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        each!(self, db => db.sessions().await)
    }

    /// Takes a session for one refresh, on whichever sidecar; false while another has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_session(
        &self,
        id: &str,
        holder: &str,
        now: u64,
        until: u64,
    ) -> Result<bool, StoreError> {
        each!(self, db => db.take_session(id, holder, now, until).await)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_session_back(&self, id: &str, holder: &str) -> Result<(), StoreError> {
        each!(self, db => db.give_session_back(id, holder).await)
    }

    /// Notes what a refresh changes; false if the secret to be replaced was replaced meanwhile: then it is not
    /// replaced again, and the rest is noted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renew_session(&self, renewal: &Renewal<'_>) -> Result<bool, StoreError> {
        each!(self, db => db.renew_session(renewal).await)
    }

    /// Ends a session and what was minted from it. An operator's act leaves its row; what ends by itself is told
    /// in the row of the exchange. `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_session(
        &self,
        id: &str,
        why: &str,
        now: u64,
        act: Option<&Act>,
    ) -> Result<Option<Session>, StoreError> {
        each!(self, db => db.end_session(id, why, now, act).await)
    }
}
