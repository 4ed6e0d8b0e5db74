//! Signing in.

use super::{context, prompt};
use crate::args::Login;
use crate::browser::Wish;
use crate::cache::{self, Origin};
use crate::config::file::{At, Members};
use crate::config::{self, Config, Keep, Owner};
use crate::context::{Context, Deadline};
use crate::failure::Failure;
use crate::gateway::wire::Caller;
use crate::gateway::{Gateway, Mode};
use crate::home::Home;
use crate::ladder::Ladder;
use crate::line;
use crate::say;
use crate::secret::{Kind, Secret};
use crate::store::{Kept, Store};
use std::time::Duration;

/// How long the exchanges of a login may take.
const PATIENCE: Duration = Duration::from_secs(55);

/// Signs in, and keeps what is needed to go on.
///
/// # Errors
/// [`Failure`].
pub(super) fn login(home: &Home, wanted: &Login) -> Result<(), Failure> {
    let mut config = Config::load(home)?;
    config.issuer = wanted.issuer.clone().or(config.issuer);
    config.login_hint = wanted.login_hint.clone().or(config.login_hint);
    let gateway = gateway(&config, wanted)?;
    let choice = wanted.store.or(config.store);
    let place = Place { home, config: &config, gateway: &gateway, choice };

    match &wanted.pat {
        Some(given) => place.by_pat(&prompt::pat(given)?),
        None => place.by_browser(wanted),
    }
}

/// The gateway that is meant. Where the machine's configuration names one, there is no other.
fn gateway(config: &Config, wanted: &Login) -> Result<Gateway, Failure> {
    let ca = wanted.ca.as_deref().map(config::text_of).transpose()?;
    if let Some(ca) = &ca
        && line::certificates(ca).is_empty()
    {
        return Err(Failure::Usage("the file given with --ca holds no PEM certificate".into()));
    }
    let Some(url) = &wanted.gateway else {
        let Some(known) = &config.gateway else {
            return Err(Failure::Usage("no gateway is configured: use `--gateway URL`".into()));
        };
        if ca.is_some() && config.gateway_from == Some(Owner::Machine) {
            return Err(Failure::Usage("the machine's configuration names the authority".into()));
        }
        return Gateway::new(&known.url, ca.or_else(|| known.ca.clone()));
    };
    let gateway = Gateway::new(url, ca)?;
    match &config.gateway {
        Some(fixed) if config.gateway_from == Some(Owner::Machine) => {
            if fixed.url == gateway.url && gateway.ca.is_none() {
                return Ok(fixed.clone());
            }
            Err(Failure::Usage(format!("the machine's configuration says {}", fixed.url)))
        }
        _ => Ok(gateway),
    }
}

struct Place<'a> {
    home: &'a Home,
    config: &'a Config,
    gateway: &'a Gateway,
    choice: Option<Keep>,
}

impl Place<'_> {
    fn by_pat(&self, pat: &Secret) -> Result<(), Failure> {
        if !self.config.allows(Mode::Pat) {
            return Err(Failure::Usage("personal access tokens are not among `modes` here".into()));
        }
        let deadline = Deadline::within(PATIENCE);
        let store = Store::new(self.home, self.choice, true);
        let line = self.ladder(&store, deadline).line();
        let at = cache::now();
        let minted = Caller::new(self.gateway, &line, deadline, self.config.ttl)?.mint(pat)?;

        self.home.create()?;
        let lock = self.home.lock(deadline)?;
        self.settle(&store)?;
        let kept =
            Kept { gateway: self.gateway.url.clone(), secret: pat.clone(), expires_at: None };
        let keep = store.write(&kept)?;
        let origin =
            Origin { gateway: &self.gateway.url, mode: Mode::Pat, ttl: self.config.ttl, at };
        cache::write(self.home, &minted.answer, origin)?;
        drop(lock);
        say(&format!("Logged in to {} with {}.", self.gateway.url, pat.id()));
        Self::tell(keep, &store);

        Ok(())
    }

    fn by_browser(&self, wanted: &Login) -> Result<(), Failure> {
        if !self.config.allows(Mode::Session) {
            return Err(Failure::Usage("the configuration allows no sessions (`modes`)".into()));
        }
        let deadline = Deadline::within(PATIENCE);
        let store = Store::new(self.home, self.choice, true);
        let ladder = self.ladder(&store, deadline);
        let taken = Caller::new(self.gateway, &ladder.line(), deadline, None)?
            .capabilities(self.config.cohort.as_deref())?;
        if taken.is_none_or(|taken| !taken.contains(&Mode::Session)) {
            return Err(Failure::SignIn(
                "this gateway takes no sign-in in a browser; with an access token use `--pat`"
                    .into(),
            ));
        }

        self.home.create()?;
        let lock = self.home.lock(deadline)?;
        let wish = Wish {
            issuer: self.config.issuer.clone(),
            login_hint: self.config.login_hint.clone(),
            no_browser: wanted.no_browser,
            patience: wanted.timeout.map(Duration::from_secs),
        };
        let (granted, at) = (ladder.granted(&wish)?, cache::now());
        self.settle(&store)?;
        ladder.settle(granted, at)?;
        drop(lock);
        let kept = store.read(Kind::Session, &self.gateway.url)?;
        let id = kept.as_ref().map(|(kept, _)| kept.secret.id()).unwrap_or_default();
        say(&format!("Logged in to {} with {id}.", self.gateway.url));
        if let Some((_, keep)) = kept {
            Self::tell(keep, &store);
        }

        Ok(())
    }

    fn ladder<'b>(&'b self, store: &'b Store<'b>, deadline: Deadline) -> Ladder<'b> {
        let context = match context() {
            Context::Unsaid => Context::Interactive,
            said => said,
        };

        Ladder {
            home: self.home,
            config: self.config,
            gateway: self.gateway,
            store,
            context,
            deadline,
            ttl: self.config.ttl,
        }
    }

    /// Writes down which gateway it is. What is kept for one is never shown to another, whatever
    /// stops us halfway.
    fn settle(&self, store: &Store<'_>) -> Result<(), Failure> {
        cache::remove(self.home)?;
        let own = self.own()?;
        let mut members = own.clone();
        if self.config.gateway_from != Some(Owner::Machine) {
            let At { url, .. } = own.gateway.clone().unwrap_or(At { url: String::new(), ca: None });
            if url.trim_end_matches('/') != self.gateway.url {
                store.remove(Kind::Pat)?;
                store.remove(Kind::Session)?;
            }
            members.gateway =
                Some(At { url: self.gateway.url.clone(), ca: self.gateway.ca.clone() });
        }
        members.store = self.choice.filter(|_| self.choice != self.config.store).or(own.store);
        if members != own {
            let text = serde_json::to_string(&members).unwrap_or_default();
            self.home.write(config::FILE, &text)?;
        }

        Ok(())
    }

    fn own(&self) -> Result<Members, Failure> {
        let [_, user] = config::find(self.home);

        Ok(user.read?.unwrap_or_default())
    }

    fn tell(keep: Keep, store: &Store<'_>) {
        if keep == Keep::File
            && let Some(why) = store.trouble()
        {
            say(&format!(
                "The secret is in a file that only you can read, not in the keystore: {why}."
            ));
        }
    }
}
