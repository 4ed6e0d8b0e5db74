//! The stages of a call, in order.

pub mod decode;
pub mod authenticate;
pub mod parse;
pub mod said;
pub mod authorise;
pub mod models;
pub mod capabilities;
pub mod scan;
pub mod mcp;
pub mod intend;
pub mod approve;
pub mod cost;
pub mod route;
pub mod meter;
