//! The sidecar as Envoy, its operators and its people meet it: real listeners, a real gRPC client,
//! `SQLite` in a directory of its own.

mod world;
mod provider;
mod browser;
mod builds_manifests;
mod signs_in;
mod devices;
mod exchanges;
mod provisions;
mod slows;
mod sessions;
mod sessions_attacked;
mod sessions_last;
mod sessions_start;
mod approves;
mod approves_channels;
mod approves_mcp;
mod approves_page;
mod office;
mod operates;
mod operates_here;
mod feeds_the_gate;
mod governs;
mod exports;
mod access;
mod keeps_rows;
mod starts;
mod keeps_secrets;
mod looks;
mod receiver;
mod siem;
mod siem_lines;
mod siem_shapes;
mod tells_the_siem;
mod google;
