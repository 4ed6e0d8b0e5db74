//! TLS for the HTTP client, by a configuration of our own: its built-in one takes a key's bytes,
//! and the keys of devices have none to give.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

/// Wraps a connection in TLS where the address asks for it.
pub struct TlsConnector(Option<Configs>);

struct Configs {
    known: Arc<ClientConfig>,
    anonymous: Arc<ClientConfig>,
    host: String,
}

impl TlsConnector {
    /// `known` towards `host`, `anonymous` towards all others, such as a proxy: they are not shown
    /// who we are.
    pub(super) fn new(
        known: Arc<ClientConfig>,
        anonymous: Arc<ClientConfig>,
        host: String,
    ) -> Self {
        Self(Some(Configs { known, anonymous, host }))
    }

    /// For a gateway on this machine.
    pub(super) fn plain() -> Self {
        Self(None)
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, Tls>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let Some(configs) = &self.0 else { return Err(Error::TlsRequired) };

        let host = details.uri.host().unwrap_or_default();
        let config = if host == configs.host { &configs.known } else { &configs.anonymous };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let Ok(name) = ServerName::try_from(bare.to_owned()) else {
            return Err(Error::Tls("the address holds no name that a certificate could have"));
        };
        let mut connection = ClientConnection::new(Arc::clone(config), name)?;
        let mut socket =
            TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket).map_err(told)?;

        Ok(Some(Either::B(Tls {
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            stream: StreamOwned { conn: connection, sock: socket },
        })))
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TlsConnector")
    }
}

/// A connection in TLS.
pub struct Tls {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Tls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output();
        let output = output.get(..amount).unwrap_or(output);

        self.stream.write_all(output).map_err(told)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = self.stream.read(input).map_err(told)?;
        self.buffers.input_appended(amount);

        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tls")
    }
}

/// TLS's own word, where it is one: whose fault it is depends on it.
fn told(error: io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();

    tls.map_or_else(|| error.into(), Error::Rustls)
}
