//! Who signs in without a person at a keyboard, and who says who there is: device certificates, workloads, and
//! the directory itself (SCIM). One state beside [`SignIn`], and its paths on the public listener.

use crate::certificates::revoked::Lists;
use crate::certificates::watch::Watch;
use crate::identity::Identity;
use crate::scim;
use crate::sign_in::{SignIn, exchange, mtls};
use crate::workloads::Workloads;
use anyhow::Result;
use axum::Router;
use axum::routing::post;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What they need.
#[derive(Debug, Clone)]
pub struct Directory {
    /// How a token is minted.
    pub sign_in: SignIn,
    /// The file `--identity`.
    pub identity: Arc<Identity>,
    /// Which certificates are revoked.
    pub revoked: watch::Receiver<Arc<Lists>>,
    /// Which jobs there are.
    pub workloads: Arc<Workloads>,
}

impl Directory {
    /// Reads the lists of revoked certificates and asks the issuers of workloads for their keys; `watching`
    /// then follows the lists.
    ///
    /// # Errors
    /// What cannot be had: a sidecar that could not tell who is revoked, or whose token is whose, does not
    /// start.
    pub async fn start(
        sign_in: SignIn,
        identity: Arc<Identity>,
        watching: &mut JoinSet<()>,
    ) -> Result<Self> {
        let workloads = Arc::new(Workloads::start(&identity.workloads).await?);
        let revoked = match &identity.certificates {
            Some(config) => {
                let (watch, revoked) = Watch::start(config, &sign_in.store, &sign_in.counters)?;
                watching.spawn(watch.follow());
                revoked
            }
            None => watch::channel(Arc::default()).1,
        };

        Ok(Self { sign_in, identity, revoked, workloads })
    }

    /// Its paths.
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new()
            .route("/v1/auth/cowork/mtls", post(mtls::trade))
            .route("/oauth/token", post(exchange::trade))
            .merge(scim::routes())
            .with_state(self)
    }
}
