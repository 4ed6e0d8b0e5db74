//! The signed manifest on a laptop: both halves, and each fault that they must outlive.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what helps the tests may fail as loudly as they do"
)]

mod archives;
mod bench;
mod documents;
mod fetching;
mod gateway;
mod inboxes;
#[cfg(unix)] // these mount, are several users, or look at what is for unix
mod installing;
mod keys;
mod leftovers;
#[cfg(unix)]
mod machine;
#[cfg(unix)]
mod noticing;
mod power;
mod property;
mod standing;
