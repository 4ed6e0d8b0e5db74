//! The line between Envoy and the sidecar's gate listener, which can be cut.

use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A line.
#[derive(Debug)]
pub struct Cable {
    /// Envoy's end.
    pub address: SocketAddr,
    /// Is it whole? Each change cuts what runs.
    whole: watch::Sender<bool>,
    lines: Arc<AtomicUsize>,
}

impl Cable {
    /// Lays one to that address.
    pub async fn to(far: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (whole, state) = watch::channel(true);
        let lines = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut state = state.clone();
                if !*state.borrow_and_update() {
                    continue; // closed at once
                }
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(near, far) => {}
                        _changed = state.changed() => {}
                    }
                });
            }
        });

        Ok(Self { address, whole, lines })
    }

    /// Cuts every connection, and lets no new one through.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }

    /// How many connections there have been.
    pub fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }
}

async fn carry(mut near: TcpStream, far: SocketAddr) {
    if let Ok(mut far) = TcpStream::connect(far).await {
        // Either end may go: that is what it is for.
        drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
    }
}
