//! The ladder: certificate, session, personal access token; the strongest that the gateway takes
//! and that is here. What is not here or not taken is passed over.

use crate::browser::{self, Wish};
use crate::cache::{self, Origin};
use crate::config::{Config, Keep};
use crate::context::{Context, Deadline};
use crate::device::certificate::About;
use crate::failure::{Failure, is_certificate};
use crate::gateway::wire::{Caller, Minted, Session};
use crate::gateway::{Answer, Gateway, Mode};
use crate::home::Home;
use crate::line::Line;
use crate::say;
use crate::secret::Kind;
use crate::store::{Kept, Store};
use std::sync::Arc;
use std::time::Duration;

/// The code that a gateway gives where it does not take this way from this person.
const NOT_ACCEPTED: &str = "tier_not_accepted";

/// How long the exchanges after a sign-in may take.
const AFTERWARDS: Duration = Duration::from_secs(30);

/// One walk up the ladder.
pub struct Ladder<'a> {
    /// Where things are kept.
    pub home: &'a Home,
    /// What holds here.
    pub config: &'a Config,
    /// The gateway.
    pub gateway: &'a Gateway,
    /// Where secrets are kept.
    pub store: &'a Store<'a>,
    /// Why it is walked.
    pub context: Context,
    /// When it must be over.
    pub deadline: Deadline,
    /// Seconds the token is asked to hold.
    pub ttl: Option<u64>,
}

/// What there is to climb with.
struct Rungs {
    certificate: bool,
    session: Option<Kept>,
    pat: Option<Kept>,
}

impl Rungs {
    fn count(&self) -> usize {
        [self.certificate, self.session.is_some(), self.pat.is_some()]
            .into_iter()
            .filter(|there| *there)
            .count()
    }
}

impl Ladder<'_> {
    /// A fresh token, kept for the next run. The caller holds the lock.
    ///
    /// # Errors
    /// [`Failure`]: of the last way that was tried.
    pub fn token(&self) -> Result<Answer, Failure> {
        let rungs = self.rungs()?;
        let attended = self.context.may_open_a_browser() && self.config.allows(Mode::Session);
        if rungs.count() == 0 && !attended {
            return Err(self.nobody());
        }
        let caller = self.caller(None)?;
        // One way needs no choice; whether it is taken shows when it is tried.
        let taken = match rungs.count() {
            1 if !attended => None,
            _ => caller.capabilities(self.config.cohort.as_deref())?,
        };
        let taken = taken.unwrap_or_else(|| Mode::ALL.to_vec());

        let mut last: Option<Failure> = None;
        let passed = |failure: Option<Failure>| {
            if let Some(failure) = failure {
                say(&format!("{failure}; trying another way"));
            }
        };
        for mode in taken.iter().filter(|mode| self.config.allows(**mode)) {
            let at = cache::now();
            match self.try_one(*mode, &caller, &rungs) {
                Ok(None) => {}
                Ok(Some(minted)) => {
                    passed(last);
                    return self.keep(*mode, at, minted);
                }
                Err(failure) if passes(*mode, &failure) => passed(last.replace(failure)),
                Err(failure) => return Err(failure),
            }
            // A session that was here and is over begins anew; it does not turn into something weaker.
            if *mode == Mode::Session && rungs.session.is_some() && attended {
                break;
            }
        }
        if attended && taken.contains(&Mode::Session) {
            passed(last);
            return self.sign_in(&self.wish());
        }

        Err(match last {
            Some(failure) => failure,
            None if rungs.count() > 0 => Failure::NoWay(names(&taken)),
            None => self.nobody(),
        })
    }

    /// A token for operating the gateway, by the session alone. It is not kept; the caller holds the lock.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn operator(&self) -> Result<Answer, Failure> {
        let Some(session) = self.rungs()?.session else { return Err(self.nobody()) };
        let at = cache::now();
        match self.caller(None)?.mint_to_operate(&session.secret) {
            Ok(minted) => {
                self.keep_session(minted.session, at);
                Ok(minted.answer)
            }
            Err(failure) => match self.refused(Mode::Session, failure) {
                Ok(_) => Err(self.nobody()),
                Err(failure) => Err(failure),
            },
        }
    }

    /// A session and its first token, by the browser.
    ///
    /// # Errors
    /// [`Failure`].
    fn sign_in(&self, wish: &Wish) -> Result<Answer, Failure> {
        let (minted, at) = (self.granted(wish)?, cache::now());

        self.keep(Mode::Session, at, minted)
    }

    /// A session and its first token, by the browser; not kept yet.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn granted(&self, wish: &Wish) -> Result<Minted, Failure> {
        let granted = browser::sign_in(self.gateway, wish)?;
        let late = Deadline::within(AFTERWARDS);
        let caller = Caller::new(self.gateway, &self.line(), late, self.ttl)?;
        let minted = caller.exchange(&granted.code)?;
        let Some(session) = &minted.session else {
            return Err(Failure::NotUnderstood {
                gateway: self.gateway.url.clone(),
                why: "it holds no session".into(),
            });
        };
        if let Err(failure) = granted.matches(&minted.answer.token) {
            // Nobody here will use it: best that it ends.
            let _told = caller.end(&session.secret).is_err();
            return Err(failure);
        }

        Ok(minted)
    }

    /// The line without the device's certificate.
    pub fn line(&self) -> Line {
        Self::plain(self.config)
    }

    /// The same, by a configuration alone.
    pub fn plain(config: &Config) -> Line {
        Line { proxy: config.proxy.clone(), device: None }
    }

    fn caller(&self, line: Option<Line>) -> Result<Caller<'_>, Failure> {
        let line = line.unwrap_or_else(|| self.line());

        Caller::new(self.gateway, &line, self.deadline, self.ttl)
    }

    fn rungs(&self) -> Result<Rungs, Failure> {
        let kept = |kind, mode| -> Result<Option<Kept>, Failure> {
            if !self.config.allows(mode) {
                return Ok(None);
            }
            Ok(self.store.read(kind, &self.gateway.url)?.map(|(kept, _)| kept))
        };

        Ok(Rungs {
            certificate: self.config.device_certificate.is_some() && self.config.allows(Mode::Mtls),
            session: kept(Kind::Session, Mode::Session)?,
            pat: kept(Kind::Pat, Mode::Pat)?,
        })
    }

    fn try_one(
        &self,
        mode: Mode,
        caller: &Caller<'_>,
        rungs: &Rungs,
    ) -> Result<Option<Minted>, Failure> {
        match mode {
            Mode::Mtls => self.by_certificate(),
            Mode::Session => {
                rungs.session.as_ref().map(|kept| caller.mint(&kept.secret)).transpose()
            }
            Mode::Pat => rungs.pat.as_ref().map(|kept| caller.mint(&kept.secret)).transpose(),
        }
        .or_else(|failure| self.refused(mode, failure))
    }

    /// A session that is over is forgotten.
    fn refused(&self, mode: Mode, failure: Failure) -> Result<Option<Minted>, Failure> {
        let Failure::Refused { status, code, .. } = &failure else { return Err(failure) };
        // What it minted before is not handed out any more.
        cache::remove(self.home)?;
        // Only the gateway's word counts: others answer 401 too, such as a portal on the way.
        if mode == Mode::Session && *status == 401 && code.is_some() {
            self.store.remove(Kind::Session)?;
        }

        Err(failure)
    }

    fn by_certificate(&self) -> Result<Option<Minted>, Failure> {
        let Some(reference) = &self.config.device_certificate else { return Ok(None) };
        let key = reference.place().load()?;
        if let Some(why) = About::of(&key.cert).and_then(|about| about.fault(cache::now())) {
            return Err(Failure::Device(why));
        }
        let line = Line { device: Some(Arc::new(key)), ..self.line() };

        self.caller(Some(line))?.mint_by_certificate().map(Some)
    }

    /// Keeps a session and its token, that came at `at`, Unix seconds.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn settle(&self, minted: Minted, at: u64) -> Result<(), Failure> {
        self.keep(Mode::Session, at, minted).map(drop)
    }

    fn keep(&self, mode: Mode, at: u64, minted: Minted) -> Result<Answer, Failure> {
        self.home.create()?;
        // Before the token: the old secret is dead in a minute.
        self.keep_session(minted.session, at);
        let origin = Origin { gateway: &self.gateway.url, mode, ttl: self.ttl, at };
        // A token that cannot be kept is still a token.
        if let Err(failure) = cache::write(self.home, &minted.answer, origin) {
            say(&format!("{failure}: the next call will ask the gateway again"));
        }

        Ok(minted.answer)
    }

    fn keep_session(&self, session: Option<Session>, at: u64) {
        let Some(session) = session else { return };
        let kept = Kept {
            gateway: self.gateway.url.clone(),
            secret: session.secret,
            expires_at: session.expires_in.map(|seconds| at.saturating_add(seconds)),
        };
        match self.store.write(&kept) {
            Ok(Keep::Keystore | Keep::File) => {}
            Err(failure) => say(&format!("{failure}: you will have to sign in again")),
        }
    }

    fn wish(&self) -> Wish {
        Wish {
            issuer: self.config.issuer.clone(),
            login_hint: self.config.login_hint.clone(),
            ..Wish::default()
        }
    }

    fn nobody(&self) -> Failure {
        match self.context {
            Context::Unsaid | Context::Interactive => Failure::LoggedOut,
            silent => Failure::Silent(silent.name()),
        }
    }
}

fn names(taken: &[Mode]) -> String {
    let names: Vec<_> = taken.iter().map(|mode| mode.name()).collect();

    if names.is_empty() { "no way to sign in".into() } else { names.join(", ") }
}

/// Whether the next way is tried after this one failed so.
fn passes(mode: Mode, failure: &Failure) -> bool {
    match (mode, failure) {
        // A certificate that TLS itself refuses breaks the line; one that is taken for revoked is a
        // 403. A gateway that is away is away for all ways.
        (Mode::Mtls, Failure::Unreachable { source, .. }) => {
            is_certificate(source) || matches!(**source, ureq::Error::Io(_))
        }
        (Mode::Mtls, _) | (_, Failure::Refused { status: 401, .. }) => true,
        (_, failure) => failure.code() == Some(NOT_ACCEPTED),
    }
}
