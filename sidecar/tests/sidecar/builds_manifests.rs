//! `tollgate manifest`: from the sample catalogue to a signed publication, by the binary.

use crate::starts::{text, tollgate};
use crate::world::{Fallible, Place};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tollgate::keys;
use tollgate::manifest::publication::Publication;

fn sample() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../catalogue/catalogue.yaml").display().to_string()
}

/// Exit code, standard output, standard error.
fn told(place: &Place, args: &[&str]) -> Fallible<(i32, String, String)> {
    let out = tollgate(place, args)?;
    Ok((out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr)))
}

#[test]
fn the_sample_is_checked_built_signed_shown_and_compared() -> Fallible {
    let place = Place::new()?;
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("publication").display().to_string();
    let (sample, data) = (sample(), &place.data);

    assert_eq!(told(&place, &["manifest", "check", &sample])?.0, 0);
    let (code, _, why) = told(&place, &["manifest", "build", &sample, "--out", &out])?;
    assert!(code == 1 && why.contains("--version"), "{why}");
    let build = [
        "manifest",
        "build",
        &sample,
        "--out",
        &out,
        "--version",
        "4",
        "--at",
        "2026-11-22T00:00:00Z",
    ];
    let (code, digest, _) = told(&place, &build)?;
    assert_eq!((code, digest.trim().len()), (0, 64));
    assert_eq!(told(&place, &build)?.1, digest, "again, over itself: the same");
    let (_, shown, _) = told(&place, &["manifest", "show", &out])?;
    assert!(shown.contains("signed     no"), "{shown}");

    let (code, signed, why) = told(&place, &["manifest", "sign", &out])?;
    assert_eq!((code, signed), (0, digest), "{why}");
    let publication = Publication::read(Path::new(&out), &keys::manifest_pins(data)?)?;
    assert_eq!((publication.index().version, publication.index().audiences.len()), (4, 3));
    let (_, shown, _) = told(&place, &["--json", "manifest", "show", &out])?;
    let shown: Value = serde_json::from_str(&shown)?;
    assert_eq!(shown["believed"], shown["signed_by"]);
    assert_eq!(shown["documents"].as_array().map(Vec::len), Some(3));

    assert_eq!(told(&place, &["manifest", "diff", &sample, &out])?.0, 0);
    assert!(!data.database().exists(), "no store is needed where the key is");
    Ok(())
}

#[test]
fn a_key_changes_hands_with_both_signatures() -> Fallible {
    let (old, new) = (Place::new()?, Place::new()?);
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("publication").display().to_string();
    told(&old, &["manifest", "build", &sample(), "--out", &out, "--version", "1"])?;
    let (code, _, why) = told(&new, &["manifest", "sign", &out, "--add"])?;
    assert!(code == 1 && why.contains("not signed"), "{why}");

    told(&old, &["manifest", "sign", &out])?;
    assert_eq!(told(&new, &["manifest", "sign", &out, "--add"])?.0, 0);

    for place in [&old, &new] {
        Publication::read(Path::new(&out), &keys::manifest_pins(&place.data)?)?;
    }
    let policy_pins = keys::pins(&old.data)?;
    assert!(
        Publication::read(Path::new(&out), &policy_pins).is_err(),
        "a policy's pin is no manifest's"
    );
    Ok(())
}

#[test]
fn every_fault_is_told_for_people_and_as_json() -> Fallible {
    let place = Place::new()?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("catalogue.yaml");
    let text = fs::read_to_string(sample())?;
    fs::write(&file, text.replace("valid_for: 14d", "valid_for: soon"))?;
    let file = file.display().to_string();

    let (code, out, why) = told(&place, &["manifest", "check", &file])?;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(why.contains("catalogue.yaml:11:") && why.contains("plugins/ledger"), "{why}");
    let (code, out, _) = told(&place, &["--json", "manifest", "check", &file])?;
    let report: Value = serde_json::from_str(&out)?;
    assert_eq!((code, &report["faults"][0]["place"]), (1, &Value::from("valid_for")));
    Ok(())
}

#[test]
fn a_manifest_key_is_made_once_and_is_no_key_of_policies() -> Fallible {
    let place = Place::new()?;
    let (code, first, _) = told(&place, &["--json", "manifest", "keys"])?;
    assert_eq!((code, told(&place, &["--json", "manifest", "keys"])?.1), (0, first));

    fs::remove_dir_all(place.data.manifest_keys())?;
    let (_, made, why) = told(&place, &["--json", "manifest", "keys"])?;
    assert!(made.contains("manifest-") && why.contains("another machine"), "{made} {why}");
    assert_eq!(keys::pins(&place.data)?.len(), 1);
    Ok(())
}
