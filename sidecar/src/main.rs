//! The binary `tollgate`.

#![forbid(unsafe_code)]

use clap::Parser;
use std::process::ExitCode;
use tollgate::{args::Args, run};

fn main() -> ExitCode {
    run::main(&Args::parse(), &std::env::args_os().collect::<Vec<_>>())
}
