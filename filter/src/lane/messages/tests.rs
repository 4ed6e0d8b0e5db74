//! Golden cases in `cases/`: each has a sentence for a name, what goes in and what must come out.

use super::table::{Errors, TABLE, Unknown};
use super::*;

use crate::lane::dialect::Failure;
use crate::lane::eventstream::tests::{framed, texts};
use proptest::prelude::*;
use std::collections::BTreeSet;

mod answers;
mod errors;
mod requests;
mod streams;
mod rows;
