//! Who may write a folder of Windows, by its access control list in the security descriptor definition language: that has
//! the same words in every language of the system. (MS-DTYP 2.5.1; `icacls PATH /save FILE` writes it.)

use std::collections::BTreeSet;
#[cfg(windows)]
use {
    crate::sync::disk::there,
    crate::sync::places,
    std::path::Path,
    std::process::{Command, Stdio},
};

/// Those who may: the system, its administrators (also the machine's and the domain's first ones), the installer.
const TRUSTED: [&str; 8] = [
    "SY",
    "BA",
    "LA",
    "DA",
    "EA",
    "S-1-5-18",
    "S-1-5-32-544",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
];

/// Who makes something, of what they make.
const CREATOR: [&str; 2] = ["CO", "S-1-3-0"];

/// Rights with which nobody changes what stands in a folder: listing it, looking through it, reading what it is, extended
/// attributes; reading and going through as a generic right, a file's or a key's. All others count as writing.
const HARMLESS: [&str; 12] =
    ["CC", "SW", "RP", "WP", "LO", "RC", "GR", "GX", "FR", "FX", "KR", "KX"];

/// What writes, as bits of an access mask: adding files and folders, deleting what is in it, changing its attributes (which
/// makes an empty one a link), deleting it, its rights, its owner; all, and writing, as generic rights.
const WRITES_MASK: u64 = 0x500D_0146;

/// Entries that deny, or are not about access.
const NO_GRANT: [&str; 11] = ["D", "XD", "OD", "AU", "AL", "OU", "OL", "XU", "ML", "RA", "SP"];

/// Everybody else who may write what this list is of, or what will be made in it; none: nobody else. A list of which
/// something cannot be read counts as open.
pub fn writers(sddl: &str) -> BTreeSet<String> {
    // Without a list everybody may do everything.
    let Some(list) = discretionary(sddl).filter(|list| !list.starts_with("NO_ACCESS_CONTROL"))
    else {
        return ["everybody".to_owned()].into();
    };
    let mut writers = BTreeSet::new();
    for entry in list.split('(').skip(1) {
        let entry = entry.split(')').next().unwrap_or_default();
        let mut parts = entry.split(';');
        let [kind, flags, rights] = [(); 3].map(|()| parts.next().unwrap_or_default());
        let who = parts.nth(2).unwrap_or_default();
        if NO_GRANT.contains(&kind) || is_trusted(who) || !writes(rights) {
            continue;
        }
        if CREATOR.contains(&who) && pairs(flags).any(|flag| flag == "IO") {
            continue;
        }
        writers.insert(named(who).to_owned());
    }

    writers
}

/// Is it the system, or an administrator of it?
pub fn is_trusted(who: &str) -> bool {
    TRUSTED.contains(&who)
}

/// What comes after `D:`. What is audited comes behind it, and grants nothing.
fn discretionary(sddl: &str) -> Option<&str> {
    sddl.split_once("D:").map(|(_, list)| list)
}

fn writes(rights: &str) -> bool {
    let mask = match rights.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => rights.parse().ok(),
    };
    if let Some(mask) = mask {
        return mask & WRITES_MASK != 0;
    }

    pairs(rights).any(|right| !HARMLESS.contains(&right))
}

fn pairs(text: &str) -> impl Iterator<Item = &str> {
    (0..text.len()).step_by(2).map(|at| text.get(at..at.saturating_add(2)).unwrap_or("?"))
}

/// The usual ones in words.
fn named(who: &str) -> &str {
    match who {
        "BU" | "S-1-5-32-545" => "Users",
        "AU" | "S-1-5-11" => "Authenticated Users",
        "WD" | "S-1-1-0" => "Everyone",
        "IU" | "S-1-5-4" => "Interactive",
        "CO" | "S-1-3-0" => "Creator Owner",
        "PU" | "S-1-5-32-547" => "Power Users",
        "" => "somebody",
        other => other,
    }
}

/// What stands in the file that `icacls` writes: the name in a line, the list in the next.
fn saved(bytes: &[u8]) -> Option<String> {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| {
            u16::from_le_bytes([
                pair.first().copied().unwrap_or(0),
                pair.get(1).copied().unwrap_or(0),
            ])
        })
        .collect();
    let text = String::from_utf16(&units).ok()?;

    text.lines().map(str::trim).find(|line| line.starts_with("D:")).map(str::to_owned)
}

/// What is wrong with it, if others than the system can write it; nothing is, where nothing is there.
#[cfg(windows)]
pub fn fault(path: &Path, scratch: &Path) -> Option<String> {
    if there(path).is_ok_and(|about| about.is_none()) {
        return None;
    }
    let Some(list) = of(path, scratch) else {
        return Some("who can write it cannot be read".to_owned());
    };
    let who: Vec<_> = writers(&list).into_iter().collect();

    (!who.is_empty()).then(|| format!("others can write it ({})", who.join(", ")))
}

/// The list of this file or folder; none if the system's own tool does not say. It writes to a file that nobody knows
/// before, in `scratch`.
#[cfg(windows)]
fn of(path: &Path, scratch: &Path) -> Option<String> {
    let out = scratch.join(format!("acl-{}.tmp", crate::chance::name()?));
    let said = Command::new(places::system_folder().join("icacls.exe"))
        .arg(path)
        .arg("/save")
        .arg(&out)
        .arg("/q")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let bytes = said.ok().filter(|said| said.success()).and_then(|_| std::fs::read(&out).ok());
    let _never_there = std::fs::remove_file(&out).is_err();

    saved(&bytes?)
}

/// Who owns this file or folder; none if the system's own tool does not say.
#[cfg(windows)]
pub fn owner(path: &Path) -> Option<String> {
    let folder = places::system_folder().join(r"WindowsPowerShell\v1.0");
    // A property alone, which a locked-down language has too; and the system's own modules, whoever started this.
    let said = Command::new(folder.join("powershell.exe"))
        .args(["-NoProfile", "-NonInteractive", "-Command"])
        .arg("(Get-Acl -LiteralPath $env:TOLLGATE_PATH).Sddl")
        .env("TOLLGATE_PATH", path)
        .env("PSModulePath", folder.join("Modules"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|said| said.status.success())?;

    owner_of(&String::from_utf8(said.stdout).ok()?).map(str::to_owned)
}

/// What stands behind `O:`.
fn owner_of(sddl: &str) -> Option<&str> {
    let rest = sddl.trim().strip_prefix("O:")?;
    let end = ["G:", "D:", "S:"].iter().filter_map(|next| rest.find(next)).min();

    rest.get(..end.unwrap_or(rest.len())).filter(|who| !who.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_all(sddl: &str) -> Vec<String> {
        writers(sddl).into_iter().collect()
    }

    /// As Windows has it for a folder in Program Files.
    const PROGRAM_FILES: &str = "D:PAI(A;;FA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)\
        (A;CIIO;GA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)(A;;0x1301bf;;;SY)\
        (A;OICIIO;GA;;;SY)(A;;0x1301bf;;;BA)(A;OICIIO;GA;;;BA)(A;;0x1200a9;;;BU)(A;OICIIO;GXGR;;;BU)\
        (A;OICIIO;GA;;;CO)(A;;0x1200a9;;;AC)(A;OICIIO;GXGR;;;AC)";

    #[test]
    fn what_the_system_alone_may_write_is_closed() {
        assert_eq!(of_all(PROGRAM_FILES), [""; 0]);
        let ours =
            "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)S:AI(AU;SAFA;FA;;;WD)";
        assert_eq!(of_all(ours), [""; 0]);
        assert_eq!(of_all("D:P(D;;FA;;;BU)(A;;FR;;;WD)(A;;FRFX;;;AU)"), [""; 0]);
    }

    #[test]
    fn whoever_else_may_write_it_is_named() {
        // ProgramData: each user may add folders and files.
        let data = "D:PAI(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;CI;DCLCRPCR;;;BU)(A;OICI;0x1200a9;;;BU)";
        assert_eq!(of_all(data), ["Users"]);
        for (entry, who) in [
            ("(A;;FA;;;WD)", "Everyone"),
            ("(A;;0x1301bf;;;AU)", "Authenticated Users"),
            ("(A;OICIIO;GW;;;IU)", "Interactive"),
            ("(A;;WD;;;S-1-5-21-1-2-3-1001)", "S-1-5-21-1-2-3-1001"),
            ("(A;;WO;;;BU)", "Users"),
            ("(A;;SD;;;BU)", "Users"),
            ("(A;;2032127;;;BU)", "Users"),
            ("(A;OICI;FA;;;CO)", "Creator Owner"),
            ("(XA;;FA;;;BU;(Member_of {SID(BA)}))", "Users"),
            ("(A;;F;;;BU)", "Users"),
            ("(A;;KA;;;BU)", "Users"),
            ("(A;;KW;;;BU)", "Users"),
            ("(A;;ZZ;;;BU)", "Users"),
            ("(A;;CR;;;BU)", "Users"),
            ("(A;;0x100;;;BU)", "Users"),
            ("(XA;;FR;;;AC;(@USER.a==\"S:\"))(A;;FA;;;WD)", "Everyone"),
            ("(A;;0xzz;;;BU)", "Users"),
            ("(A;;FA)", "somebody"),
        ] {
            assert_eq!(of_all(&format!("D:AI{entry}(A;;FA;;;SY)")), [who], "{entry}");
        }
        assert_eq!(of_all("D:NO_ACCESS_CONTROL"), ["everybody"]);
        assert_eq!(of_all("O:SYG:SY"), ["everybody"], "no list");
    }

    #[test]
    fn the_owner_is_found() {
        let sddl = "O:BAG:DUD:PAI(A;OICI;FA;;;SY)\r\n";
        assert_eq!(owner_of(sddl), Some("BA"));
        assert!(is_trusted("BA") && is_trusted("S-1-5-18") && !is_trusted("S-1-5-21-1-2-3-1001"));
        assert_eq!(owner_of("O:S-1-5-21-1-2-3-1001G:SYD:"), Some("S-1-5-21-1-2-3-1001"));
        assert_eq!(owner_of("O:BGG:SY"), Some("BG"));
        assert_eq!((owner_of(""), owner_of("D:(A;;FA;;;SY)"), owner_of("O:")), (None, None, None));
    }

    #[test]
    fn the_list_is_found_in_what_is_saved() {
        let text = "org-plugins\r\nD:PAI(A;OICI;FA;;;SY)\r\n";
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(saved(&bytes).as_deref(), Some("D:PAI(A;OICI;FA;;;SY)"));
        assert_eq!(saved(b"").as_deref(), None);
        assert_eq!(saved(&[0xff, 0xd8, 0x00]).as_deref(), None);
    }
}
