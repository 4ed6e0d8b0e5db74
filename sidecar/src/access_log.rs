//! Envoy's gRPC access log: the quick way of a record. It may lose (its buffer is bounded, nothing
//! is sent twice), so the spool tells everything again.

use crate::counters::Counters;
use crate::intake::Inbox;
use axum::Router;
use axum::routing::any_service;
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_server::{
    AccessLogService, AccessLogServiceServer,
};
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::LogEntries;
use envoy_types::pb::envoy::service::accesslog::v3::{
    StreamAccessLogsMessage, StreamAccessLogsResponse,
};
use std::sync::Arc;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info};

pub mod decode;

/// Largest message taken. The first of a stream lists every extension Envoy has, and one message
/// carries many records.
const LARGEST: usize = 64 * 1024 * 1024; // 64 MiB

/// Takes the entries of Envoy's streams.
#[derive(Debug, Clone)]
pub struct Receiver {
    inbox: Inbox,
    counters: Arc<Counters>,
    draining: watch::Receiver<bool>,
}

impl Receiver {
    /// Gives what arrives to `inbox`, until `draining` says so.
    pub fn new(inbox: Inbox, counters: Arc<Counters>, draining: watch::Receiver<bool>) -> Self {
        Self { inbox, counters, draining }
    }

    fn take(&self, message: StreamAccessLogsMessage) {
        let Some(LogEntries::HttpLogs(entries)) = message.log_entries else { return };
        for entry in entries.log_entry {
            let ended = decode::Ended::from(entry);
            if ended.event_id.is_empty() {
                // Envoy refused it before it had an id. The spool names it by its place there.
                self.counters.nameless.one();
                continue;
            }
            let bytes = ended.weight();
            self.inbox.offer(ended.into_event(), bytes);
        }
    }
}

/// The service's path, to be merged into a listener.
pub fn routes(receiver: Receiver) -> Router {
    let service = AccessLogServiceServer::new(receiver).max_decoding_message_size(LARGEST);

    Router::new().route(
        "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
        any_service(service),
    )
}

#[tonic::async_trait]
impl AccessLogService for Receiver {
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Response<StreamAccessLogsResponse>, Status> {
        let mut stream = request.into_inner();
        let mut draining = self.draining.clone();
        info!("Envoy opened an access log stream");
        loop {
            let message = tokio::select! {
                biased;
                message = stream.message() => message,
                // A sender that is gone means the same as one that says so.
                _changed = draining.wait_for(|draining| *draining) => break,
            };
            match message {
                Ok(Some(message)) => self.take(message),
                Ok(None) => break,
                Err(status) => {
                    debug!(status = %status, "An access log stream broke; the spool has the rest");
                    break;
                }
            }
        }

        Ok(Response::new(StreamAccessLogsResponse {}))
    }
}
