//! A session becomes a token again, if the provider still vouches for its owner.
//!
//! One refresh of a session at a time talks to the provider, over all sidecars: a provider that replaces its refresh
//! tokens would else see an old one, and end everything. The secret is replaced too, with each refresh. The one that
//! was replaced is honoured for a minute, without a new one: two terminals may have had it. Used later it is in
//! the hands of two, and the session ends (RFC 9700 §4.14.2).

use super::{Sessions, TIER, nobody, proven, random, secret_of, within};
use crate::clock;
use crate::oidc::claims;
use crate::oidc::provider::{Provider, Told as Vouched, Trouble};
use crate::pats::hash;
use crate::sign_in::{Purpose, Refused, SHORTEST, SignIn, Signed, Unsigned, Wish};
use crate::store::sessions::{Bound, Found, Renewal};
use crate::store::{StoreError, User};
use crate::{identity::GroupsFrom, keys};
use contract::audit::{Acted, SignIn as Told};
use contract::envelope::hex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tracing::{error, info, warn};

/// Seconds in which a secret that was replaced is still honoured.
pub const GRACE: u64 = 60;

/// Seconds for which one refresh may have a session for itself; longer than it can take.
const LEASE: u64 = 20;

/// How long a refresh waits for another of the same session, and how often it looks.
const WAIT: (u32, Duration) = (200, Duration::from_millis(40));

/// Longest life of an operator's token, seconds.
const OPERATOR: u64 = 900;

/// What is asked.
#[derive(Debug)]
pub struct Wanted {
    /// The session's secret.
    pub secret: String,
    /// What the token is for, if not for calls: `operator`.
    pub audience: Option<String>,
    /// How long it should live.
    pub wish: Wish,
}

/// What a refresh knows before it mints.
struct Vouch {
    user: User,
    flags: Vec<&'static str>,
    most: Option<u64>,
}

/// Refreshes, to the end: whoever asked may go, but what the provider has given must not be lost.
pub async fn whole(sign_in: &SignIn, sessions: &Arc<Sessions>, wanted: Wanted) -> Signed {
    let (sign_in, sessions) = (sign_in.clone(), Arc::clone(sessions));
    let refresh = tokio::spawn(async move { Box::pin(sign_in.refresh(&sessions, wanted)).await });

    refresh.await.unwrap_or_else(|_| Err(Unsigned::refused(Refused::ProviderAway, nobody())))
}

impl Sessions {
    /// A provider's refresh token as it is kept.
    ///
    /// # Errors
    /// [`Unsigned::Mint`]: it cannot be kept.
    pub fn seal_grant(&self, id: &str, token: Option<&str>) -> Result<Option<String>, Unsigned> {
        let seal = |token: &str| self.sealer.seal(&grant(id), token.as_bytes());

        Ok(token.map(seal).transpose()?)
    }
}

fn grant(id: &str) -> String {
    format!("grant:{id}")
}

impl SignIn {
    async fn refresh(&self, sessions: &Sessions, wanted: Wanted) -> Signed {
        let began = clock::now();
        let purpose = self.purpose(wanted.audience.as_deref())?;
        let found = self.found(sessions, &wanted.secret).await?;
        let holder = random()?;
        let had_to_wait = self.take(&found, &holder).await?;
        let refreshed = self.alone(sessions, &wanted, &purpose, had_to_wait.then_some(began)).await;
        if let Err(error) = self.store.give_session_back(&found.session.id, &holder).await {
            warn!(error = %error, session.id = found.session.id, "A session stays taken for a while");
        }

        refreshed
    }

    fn purpose(&self, audience: Option<&str>) -> Result<Purpose, Unsigned> {
        let own = &self.settings.audience;
        let most = self.settings.token_ttl.as_secs();
        match audience {
            None => Ok(Purpose { audience: own.clone(), most }),
            Some("operator") => {
                Ok(Purpose { audience: format!("{own}/operator"), most: most.min(OPERATOR) })
            }
            Some(_) => Err(Unsigned::refused(Refused::SessionMissing, nobody())),
        }
    }

    /// The session of a secret, if it is good.
    async fn found(&self, sessions: &Sessions, secret: &str) -> Result<Found, Unsigned> {
        let Some(found) = self.store.session_by_secret(&hash(secret)).await? else {
            return Err(Unsigned::refused(Refused::SessionUnknown, nobody()));
        };
        let now = clock::now();
        let Found { session, user, replaced_at } = &found;
        let used = session.used_at.unwrap_or(session.created_at);
        let why = if user.disabled_at.is_some() {
            Refused::UserDisabled
        } else if session.ended_at.is_some() {
            Refused::SessionEnded
        } else if replaced_at.is_some_and(|at| at.saturating_add(GRACE) <= now) {
            self.store.end_session(&session.id, "reused", now, None).await?;
            warn!(
                session.id,
                user.id = session.user_id,
                "A session's old secret came again: it has ended"
            );
            Refused::SessionReused
        } else if session.expires_at <= now || used.saturating_add(sessions.terms.idle) <= now {
            Refused::SessionExpired
        } else {
            return Ok(found);
        };

        Err(self.no(why, &found, &[]))
    }

    /// Takes a session for this refresh alone; tells whether another had it.
    async fn take(&self, found: &Found, holder: &str) -> Result<bool, Unsigned> {
        let (times, pause) = WAIT;
        for turn in 0..times {
            let now = clock::now();
            let until = now.saturating_add(LEASE);
            if self.store.take_session(&found.session.id, holder, now, until).await? {
                return Ok(turn > 0);
            }
            sleep(pause).await;
        }

        Err(self.no(Refused::ProviderAway, found, &["busy"]))
    }

    /// The refresh itself. `since`: another refresh was waited for from then on, whose word may be new enough.
    async fn alone(
        &self,
        sessions: &Sessions,
        wanted: &Wanted,
        purpose: &Purpose,
        since: Option<u64>,
    ) -> Signed {
        let found = self.found(sessions, &wanted.secret).await?;
        let is_new = since.is_some_and(|since| found.session.confirmed_at >= since);
        let Vouch { user, flags, most } = match &found.session.grant {
            None => {
                Vouch { user: found.user.clone(), flags: vec!["provider_not_asked"], most: None }
            }
            Some(_) if is_new => Vouch { user: found.user.clone(), flags: Vec::new(), most: None },
            Some(sealed) => self.ask_again(sessions, &found, sealed).await?,
        };
        if wanted.audience.is_some() && user.roles.is_empty() {
            return Err(self.no(Refused::NoRole, &found, &flags));
        }
        let now = clock::now();
        let ttl = within(wanted.wish.ttl.or(Some(purpose.most)), &found.session, now);
        let wish = Wish { ttl: Some(most.map_or(ttl, |most| ttl.min(most))), until: None };
        let proven = proven(&found.session, &user, "refreshed", &flags);
        let (mut answer, acted) = self.mint_for(proven, &wish, purpose).await?;
        // Only now: who is paused keeps the secret that they have.
        if found.replaced_at.is_none() {
            let new = secret_of(&wanted.secret)?;
            let secret = Some((&*hash(&wanted.secret), &*hash(&new)));
            let renewal = Renewal { secret, now, ..Renewal::of(&found.session.id) };
            if self.store.renew_session(&renewal).await? {
                answer.session = Some(new);
                answer.session_expires_in = Some(found.session.expires_at.saturating_sub(now));
            }
        }

        Ok((answer, acted))
    }

    /// Asks the provider whether it still vouches.
    async fn ask_again(
        &self,
        sessions: &Sessions,
        found: &Found,
        sealed: &str,
    ) -> Result<Vouch, Unsigned> {
        let session = &found.session;
        let Some(provider) = sessions.providers.by_id(&session.provider) else {
            return Err(self.over(Refused::ProviderRefused, "its provider is gone", found).await?);
        };
        let token = match sessions.sealer.open(&grant(&session.id), sealed) {
            Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
            Err(why) => {
                error!(session.id, "A provider's refresh token {why}");
                return Err(self.no(Refused::ProviderAway, found, &["unreadable"]));
            }
        };
        let renewed = provider.renew(&token, &session.subject).await;
        // First of all, whatever else it says: some give each of these once.
        if let Some(token) = &renewed.refresh_token {
            let grant = sessions.seal_grant(&session.id, Some(token))?;
            let kept = Renewal { grant: grant.as_deref(), ..Renewal::of(&session.id) };
            self.store.renew_session(&kept).await?;
        }
        provider.note(renewed.told.as_ref().err());
        match renewed.told {
            Ok(vouched) => self.confirmed(provider, found, &vouched).await,
            Err(trouble) => self.not_confirmed(sessions, found, &trouble).await,
        }
    }

    /// The provider does not vouch, or does not answer: then its last word holds for a while. What cannot be
    /// believed is no silence.
    async fn not_confirmed(
        &self,
        sessions: &Sessions,
        found: &Found,
        trouble: &Trouble,
    ) -> Result<Vouch, Unsigned> {
        let session = &found.session;
        if let Trouble::Refused(why) = trouble {
            self.counters.provider_refused.one();
            info!(session.id, provider.answer = why, "A provider does not vouch any more");
            return Err(self.over(Refused::ProviderRefused, "provider_refused", found).await?);
        }
        self.counters.provider_away.one();
        let until = session.confirmed_at.saturating_add(sessions.terms.outage_grace);
        if matches!(trouble, Trouble::Away(_)) && clock::now() < until {
            let flags = vec!["provider_away"];
            return Ok(Vouch { user: found.user.clone(), flags, most: Some(SHORTEST) });
        }

        Err(self.no(Refused::ProviderAway, found, &[]))
    }

    /// The provider vouches: what it told is checked as at the sign-in.
    async fn confirmed(
        &self,
        provider: &Provider,
        found: &Found,
        vouched: &Vouched,
    ) -> Result<Vouch, Unsigned> {
        match self.person(provider, vouched).await {
            Ok(user) => {
                self.counters.provider_confirmed.one();
                let now = Some(clock::now());
                let confirmed = Renewal { confirmed_at: now, ..Renewal::of(&found.session.id) };
                self.store.renew_session(&confirmed).await?;
                Ok(Vouch { user, flags: Vec::new(), most: None })
            }
            Err(Unsigned::Refused(why, _)) => Err(self.over(why, why.code(), found).await?),
            Err(other) => Err(other),
        }
    }

    /// Who a provider's word makes them here, if they may sign in.
    pub(super) async fn person(
        &self,
        provider: &Provider,
        vouched: &Vouched,
    ) -> Result<User, Unsigned> {
        let config = provider.config();
        let told = Told { tier: TIER.into(), provider: config.id.clone(), ..Told::default() };
        let user_id = claims::address(config, vouched).unwrap_or_default();
        let acted = Acted { user_id: user_id.clone(), sign_in: Some(told), ..Acted::default() };
        let no = |why| Unsigned::refused(why, acted.clone());
        let provisioned = match config.claims.groups_from {
            GroupsFrom::Directory => self.store.user(&user_id).await?.map(|user| user.groups),
            _ => None,
        };
        let person = claims::person(config, vouched, provisioned.as_deref()).map_err(no)?;
        let new = format!("usr_{}", hex(&keys::random::<8>()?));
        match self.store.bind(person, &new, clock::now()).await? {
            Bound::Conflict => Err(no(Refused::AccountConflict)),
            Bound::Is(user) if user.disabled_at.is_some() => Err(no(Refused::UserDisabled)),
            Bound::Is(user) => Ok(*user),
        }
    }

    /// A refusal that ends the session.
    async fn over(&self, why: Refused, ended: &str, found: &Found) -> Result<Unsigned, StoreError> {
        self.store.end_session(&found.session.id, ended, clock::now(), None).await?;

        Ok(self.no(why, found, &[]))
    }

    fn no(&self, why: Refused, found: &Found, flags: &[&str]) -> Unsigned {
        let version = self.policy.borrow().version.clone();
        let proven = proven(&found.session, &found.user, "refreshed", flags);

        Unsigned::refused(why, super::acted(&proven, &version))
    }
}
