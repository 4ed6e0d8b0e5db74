//! The binary `tollgate-helper`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tollgate_helper::run::main(std::env::args_os())
}
