//! Who may do what: one table. `docs/operators.md` shows the same, and a test holds the two together.
//!
//! A command without a line here is for the host alone.

use super::operator::{Operator, Role};
use crate::failure::Failure;
use crate::mdm::export::IN_FORCE;
use clap::ArgMatches;
use clap::Command;
use clap::parser::ValueSource;
use std::any::TypeId;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a role may of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// Nothing.
    No,
    /// Rows without what was said.
    Bare,
    /// Only what was laid in that role.
    Own,
    /// All of it.
    Yes,
}

impl Cell {
    /// As the document shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Bare => "bare",
            Self::Own => "own",
            Self::Yes => "yes",
        }
    }
}

/// How far an act reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It keeps to the operator's tenants, by itself.
    Tenant,
    /// It concerns everybody: only for who operates every tenant.
    All,
    /// It concerns nobody.
    Nobody,
    /// It is for the host alone.
    Host,
}

impl Reach {
    /// As the document shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::All => "all",
            Self::Nobody => "nobody",
            Self::Host => "host",
        }
    }
}

/// An act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The command's words.
    pub act: &'static str,
    /// How far it reaches.
    pub reach: Reach,
    /// Does it take the file it asks for as `-`, with the request?
    pub stdin: bool,
    /// In the order of [`Role::ALL`].
    pub cells: [Cell; 6],
}

const fn line(act: &'static str, reach: Reach, cells: [Cell; 6]) -> Line {
    Line { act, reach, stdin: false, cells }
}

const fn reads(act: &'static str, reach: Reach, cells: [Cell; 6]) -> Line {
    Line { act, reach, stdin: true, cells }
}

use Cell::{Bare as B, No as N, Own as O, Yes as Y};
use Reach::{All, Host, Nobody, Tenant};

/// The table. Its columns: platform, security, endpoint, soc, finance, auditor.
pub const TABLE: &[Line] = &[
    line("serve", Host, [N, N, N, N, N, N]),
    line("user add", Tenant, [N, Y, Y, N, N, N]),
    line("user list", Tenant, [Y, Y, Y, Y, N, Y]),
    line("user disable", Tenant, [N, Y, Y, N, N, N]),
    line("user enable", Tenant, [N, Y, O, N, N, N]),
    line("pat issue", Tenant, [N, Y, Y, N, N, N]),
    line("pat list", Tenant, [Y, Y, Y, Y, N, Y]),
    line("pat revoke", Tenant, [Y, Y, Y, N, N, N]),
    line("scim token issue", Tenant, [N, Y, N, N, N, N]),
    line("scim token list", Tenant, [Y, Y, Y, N, N, Y]),
    line("scim token revoke", Tenant, [Y, Y, Y, N, N, N]),
    line("session list", Tenant, [Y, Y, Y, Y, N, Y]),
    line("session end", Tenant, [Y, Y, Y, N, N, N]),
    line("access revoke", Tenant, [Y, Y, Y, N, N, N]),
    line("access pause", Tenant, [Y, Y, Y, N, N, N]),
    line("access throttle", Tenant, [Y, Y, Y, N, N, N]),
    line("access restore", Tenant, [O, Y, O, N, N, N]),
    line("access list", Tenant, [Y, Y, Y, Y, N, Y]),
    line("access drill", Host, [N, N, N, N, N, N]),
    line("approval list", Tenant, [Y, Y, N, Y, N, Y]),
    line("approval show", Tenant, [N, Y, N, Y, N, N]),
    line("approval approve", Tenant, [N, Y, N, N, N, N]),
    line("approval deny", Tenant, [N, Y, N, N, N, N]),
    reads("policy check", Nobody, [Y, Y, Y, Y, Y, Y]),
    reads("policy test", Nobody, [Y, Y, Y, Y, Y, Y]),
    reads("policy explain", All, [Y, Y, N, Y, N, Y]),
    line("policy diff", All, [Y, Y, N, Y, N, Y]),
    line("policy sign", Host, [N, N, N, N, N, N]),
    reads("policy publish", All, [N, Y, N, N, N, N]),
    line("policy history", All, [Y, Y, N, Y, N, Y]),
    line("policy rollback", All, [N, Y, N, N, N, N]),
    line("policy show", All, [Y, Y, N, Y, N, Y]),
    line("policy patterns", Nobody, [Y, Y, Y, Y, Y, Y]),
    line("manifest check", Host, [N, N, N, N, N, N]),
    line("manifest build", Host, [N, N, N, N, N, N]),
    line("manifest sign", Host, [N, N, N, N, N, N]),
    line("manifest diff", Host, [N, N, N, N, N, N]),
    line("manifest show", Host, [N, N, N, N, N, N]),
    line("manifest keys", Host, [N, N, N, N, N, N]),
    reads("mcp list", All, [Y, Y, Y, Y, N, Y]),
    reads("mcp export", All, [Y, Y, Y, N, N, Y]),
    reads("mcp pins", Nobody, [Y, Y, Y, Y, Y, Y]),
    reads("mdm check", Nobody, [Y, Y, Y, Y, Y, Y]),
    reads("mdm export", All, [Y, Y, Y, N, N, Y]),
    line("mdm diff", Host, [N, N, N, N, N, N]),
    reads("mdm egress", Nobody, [Y, Y, Y, Y, Y, Y]),
    line("mdm keys", Nobody, [Y, Y, Y, Y, Y, Y]),
    reads("manifest publish", All, [N, Y, N, N, N, N]),
    line("manifest history", All, [Y, Y, Y, Y, N, Y]),
    line("manifest rollback", Host, [N, N, N, N, N, N]),
    line("manifest revoke", Host, [N, N, N, N, N, N]),
    line("fleet status", Tenant, [Y, Y, Y, Y, N, Y]),
    line("fleet show", Tenant, [Y, Y, Y, Y, N, Y]),
    line("fleet progress", Tenant, [Y, Y, Y, Y, N, Y]),
    line("envoy check", All, [Y, Y, N, N, N, Y]),
    line("envoy diff", All, [Y, Y, N, N, N, Y]),
    line("envoy apply", All, [Y, N, N, N, N, N]),
    line("envoy status", All, [Y, Y, N, N, N, Y]),
    line("envoy history", All, [Y, Y, N, N, N, Y]),
    line("audit tail", Tenant, [B, B, N, Y, B, B]),
    line("audit query", Tenant, [B, B, N, Y, B, B]),
    line("audit export", Tenant, [B, B, N, Y, B, B]),
    line("audit find", Tenant, [B, B, N, Y, B, B]),
    line("audit lineage", Tenant, [Y, Y, N, Y, N, Y]),
    line("audit who", Tenant, [Y, Y, N, Y, N, Y]),
    line("audit verify", All, [Y, Y, N, Y, N, Y]),
    line("audit reader add", All, [N, Y, N, N, N, N]),
    line("audit reader remove", All, [N, Y, N, N, N, N]),
    line("audit reader list", All, [N, Y, N, N, N, Y]),
    line("cost report", Tenant, [Y, Y, N, N, Y, Y]),
    reads("cost reconcile", All, [N, N, N, N, Y, Y]),
    reads("cost estimate", All, [Y, Y, N, N, Y, Y]),
    line("identity check", Host, [N, N, N, N, N, N]),
    line("keys init", Host, [N, N, N, N, N, N]),
    line("keys show", All, [Y, Y, N, N, N, Y]),
    line("keys rotate", All, [N, Y, N, N, N, N]),
    line("keys retire", All, [N, Y, N, N, N, N]),
];

/// The act whose cell says who lifts what others have laid, wherever it happens.
const LIFTING: &str = "access restore";

/// The line of an act.
pub fn find(act: &str) -> Option<&'static Line> {
    TABLE.iter().find(|line| line.act == act)
}

impl Line {
    /// What these roles together may of it.
    pub fn cell(&self, roles: &[Role]) -> Cell {
        let each = Role::ALL.iter().zip(self.cells);

        each.filter(|(role, _)| roles.contains(role))
            .map(|(_, cell)| cell)
            .max()
            .unwrap_or(Cell::No)
    }
}

/// May they? Whoever is let in, is so for this act alone.
///
/// # Errors
/// [`Failure::Denied`] with the sentence for them.
pub fn admit(act: &str, operator: &Operator) -> Result<Operator, Failure> {
    let denied = |why: String| Err(Failure::Denied(why));
    let line = find(act).filter(|line| line.reach != Host);
    let Some(line) = line else {
        return denied(format!("`tollgate {act}` is for who owns the data directory, on its host"));
    };
    let cell = line.cell(operator.roles());
    if cell == Cell::No {
        let may: Vec<&str> = Role::ALL
            .iter()
            .zip(line.cells)
            .filter_map(|(role, cell)| (cell != Cell::No).then_some(role.as_str()))
            .collect();
        let may = may.join(", ");
        return denied(format!("{operator} may not `tollgate {act}`; it takes one of {may}"));
    }
    if line.reach == All && !operator.reaches_all() {
        return denied(format!(
            "`tollgate {act}` concerns every tenant, and {operator} does not operate all"
        ));
    }
    let lifting = find(LIFTING).map_or(Cell::No, |line| line.cell(operator.roles()));

    Ok(operator.granted(cell == Cell::Yes, lifting == Cell::Yes))
}

/// The words of the command that was given, and what it was given.
pub fn act(matches: &ArgMatches) -> (String, &ArgMatches) {
    let mut words = Vec::new();
    let mut inner = matches;
    while let Some((word, next)) = inner.subcommand() {
        words.push(word);
        inner = next;
    }

    (words.join(" "), inner)
}

/// What comes from elsewhere names no file of this host, and not where its data is.
///
/// # Errors
/// [`Failure::Refused`].
pub fn names_no_file(tree: &Command, matches: &ArgMatches) -> Result<(), Failure> {
    let (act, given) = act(matches);
    let stdin = find(&act).is_some_and(|line| line.stdin);
    let command = act.split(' ').try_fold(tree, |tree, word| tree.find_subcommand(word));
    let globals = ["data", "database", "read_database", "socket", "server", "ca"];
    let of_tree = tree.get_arguments().filter(|arg| globals.contains(&arg.get_id().as_str()));
    let said = |matches: &ArgMatches, id: &str| {
        // An id that is not this command's would panic.
        matches.try_contains_id(id).is_ok()
            && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    for arg in of_tree {
        let id = arg.get_id().as_str();
        if said(matches, id) || said(given, id) {
            let name = arg.get_long().unwrap_or(id);
            return Err(Failure::Refused(format!("--{name} is not for who asks from elsewhere")));
        }
    }
    for arg in command.into_iter().flat_map(Command::get_arguments) {
        let id = arg.get_id().as_str();
        let kind = arg.get_value_parser().type_id();
        // A file, a file by its name, or a listener of this host.
        let names = kind == TypeId::of::<PathBuf>()
            || kind == TypeId::of::<(String, PathBuf)>()
            || kind == TypeId::of::<SocketAddr>();
        if !names || !said(given, id) {
            continue;
        }
        let mut values = given.get_raw(id).into_iter().flatten();
        // The policy in force is no file: who may give the command may have it used.
        let passes =
            |value: &std::ffi::OsStr| value == "-" || (id == "policy" && value == IN_FORCE);
        if !stdin || values.any(|value| !passes(value)) {
            let instead = if stdin { ": give it as `-`, on standard input" } else { "" };
            return Err(Failure::Refused(format!(
                "`tollgate {act}` reads no file of the server's{instead}"
            )));
        }
    }

    Ok(())
}

#[cfg(test)]
mod tests;
