//! The signed manifest on this laptop, in two halves.
//!
//! [`fetch`] runs as the person: it has the credential, asks the gateway, and lays a document and the archives it names into
//! the person's inbox. [`apply`] runs as the system: it has no network and no credential, and believes nothing of an inbox but
//! signatures and digests. Its story: [`pins`] say whom it believes, [`inbox`] reads what lies there, [`choose`] takes one
//! document or none, [`wanted`] says what then has to stand, [`stage`] builds that beside what stands, [`switch`] puts it in
//! place in one step, [`record`] writes down what was looked at. [`places`] are the folders, [`disk`] is the one way to write
//! them, [`trouble`] is what goes wrong.
//!
//! `docs/sync.md` tells it for people.

#[cfg(any(windows, test))]
pub mod acl;
pub mod apply;
pub mod args;
pub mod background;
pub mod choose;
pub mod commands;
pub mod disk;
pub mod fetch;
pub mod inbox;
pub mod install;
pub mod mcp;
pub mod pins;
pub mod places;
pub mod record;
pub mod stage;
pub mod state;
pub mod status;
pub mod switch;
pub mod timers;
pub mod trouble;
pub mod wanted;
