//! Placeholder until its first part is in.
