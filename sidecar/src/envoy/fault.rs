//! What is wrong with an edit, and where.

use crate::policy::yaml::At;
use crate::screen::shown;
use serde_json::{Value, json};

/// Something that is not as it must be, or hardly meant so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, as it is named in Envoy's directory; none where Envoy did not say.
    pub file: Option<String>,
    /// Where in it.
    pub at: Option<At>,
    /// What is wrong and what would be right. Never a secret.
    pub problem: String,
}

impl Fault {
    /// One at a place.
    pub fn at(file: &str, at: At, problem: impl Into<String>) -> Self {
        Self { file: Some(file.to_owned()), at: Some(at), problem: problem.into() }
    }

    /// One of a whole file.
    pub fn of(file: &str, problem: impl Into<String>) -> Self {
        Self { file: Some(file.to_owned()), at: None, problem: problem.into() }
    }

    /// One that Envoy names no place for.
    pub fn somewhere(problem: impl Into<String>) -> Self {
        Self { file: None, at: None, problem: problem.into() }
    }

    /// `routes.yaml:12:8: …`, as editors and compilers have it.
    pub fn line(&self) -> String {
        let problem = shown(&self.problem);
        match (&self.file, self.at) {
            (Some(file), Some(at)) => {
                format!("{}:{}:{}: {problem}", shown(file), at.line, at.column)
            }
            (Some(file), None) => format!("{}: {problem}", shown(file)),
            _ => problem,
        }
    }

    /// As JSON.
    pub fn object(&self) -> Value {
        json!({ "file": self.file, "line": self.at.map(|at| at.line),
            "column": self.at.map(|at| at.column), "problem": self.problem })
    }
}
