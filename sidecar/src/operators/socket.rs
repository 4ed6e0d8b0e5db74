//! The operators' Unix socket. The kernel says who is at the other end (`SO_PEERCRED`); `operators:` in `identity.yaml`
//! says what they may.

use super::answer;
use super::desk::{Asked, Desk, LARGEST};
use super::operator::{How, Operator, Role, system_name};
use super::token::Surface;
use crate::identity;
use crate::settings::{FileError, Settings};
use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Json, State};
use axum::http::Response;
use axum::routing::post;
use axum::serve::IncomingStream;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tracing::{error, warn};

/// Longest path of a socket in bytes (`sun_path` of Linux, with its end).
const LONGEST: usize = 107;

/// Who is at the other end, by the kernel; `None` if it does not say.
#[derive(Debug, Clone, Copy)]
pub struct Peer(Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

#[derive(Debug, Clone)]
struct At {
    desk: Desk,
    listed: Arc<Vec<identity::Operator>>,
}

/// The socket, listening.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Opens it. One that a sidecar of this directory has left is taken away: there is no other, or it would hold
    /// the lock. `None` where its usual path is too long for a socket.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(settings: &Settings) -> Result<Option<Self>, FileError> {
        let usual = settings.data.operator_socket();
        let path = settings.operator_socket.clone().unwrap_or(usual);
        let failed = |source| FileError::Write { path: path.clone(), source };
        if settings.operator_socket.is_none() && path.as_os_str().len() > LONGEST {
            warn!(path = %path.display(), "No operators' socket: its path is too long for one");
            return Ok(None);
        }
        if is_socket(&path) {
            fs::remove_file(&path).map_err(failed)?;
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let mode = Permissions::from_mode(settings.operator_socket_mode);
        fs::set_permissions(&path, mode).map_err(failed)?;

        Ok(Some(Self { listener, path }))
    }

    /// Answers until told to stop.
    pub fn answer(
        self,
        surface: &Surface,
        mut draining: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (desk, listed) = (surface.desk.clone(), Arc::clone(&surface.listed));
        let routes = Router::new()
            .route("/v1/operator", post(ask).layer(DefaultBodyLimit::max(LARGEST)))
            .with_state(At { desk, listed });
        let stop = async move {
            let _told = draining.wait_for(|draining| *draining).await;
        };
        let service = routes.into_make_service_with_connect_info::<Peer>();

        async move {
            let served = axum::serve(self.listener, service).with_graceful_shutdown(stop).await;
            if let Err(error) = served {
                warn!(error = %error, "The operators' socket ended");
            }
            drop(fs::remove_file(&self.path));
        }
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

async fn ask(
    State(at): State<At>,
    ConnectInfo(Peer(uid)): ConnectInfo<Peer>,
    Json(asked): Json<Asked>,
) -> Response<Body> {
    let Some(uid) = uid else { return answer::nobody("the system does not say who asks") };
    let Some(operator) = operator(uid, &at.listed) else {
        let nobody =
            Operator::new(system_name(uid), Vec::new(), Some(Vec::new()), How::Socket(uid));
        if let Err(error) = at.desk.unknown(&nobody, &asked).await {
            error!(error = %error, "That somebody is no operator is not written down");
        }
        let why = format!("{} is no operator here: `operators` in identity.yaml", nobody.name());
        return answer::nobody(&why);
    };

    answer::of(at.desk.ask(operator, asked).await)
}

/// Who a user of this system is. Root and the sidecar's own user could as well open the data directory.
fn operator(uid: u32, listed: &[identity::Operator]) -> Option<Operator> {
    if uid == 0 || uid == rustix::process::geteuid().as_raw() {
        return Some(Operator::owner_at_socket(uid));
    }
    let name = system_name(uid);
    let entry = listed.iter().find(|entry| entry.user == name)?;
    let tenants = (!entry.tenants.is_empty()).then(|| entry.tenants.clone());

    Some(Operator::new(name, Role::among(&entry.roles), tenants, How::Socket(uid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_the_system_is_what_the_file_says_and_else_nobody() {
        let entry = identity::Operator {
            user: "daemon".into(),
            roles: vec!["soc".into()],
            tenants: vec!["acme".into()],
        };
        let own = rustix::process::geteuid().as_raw();

        assert!(operator(own, &[]).is_some_and(|owner| owner.reaches_all()));
        assert!(operator(4_000_000, std::slice::from_ref(&entry)).is_none());
        if own != 1 && system_name(1) == "daemon" {
            let daemon = operator(1, std::slice::from_ref(&entry)).unwrap();
            assert_eq!((daemon.roles(), daemon.reaches("other")), (&[Role::Soc][..], false));
            assert!(operator(1, &[]).is_none());
        }
    }
}
