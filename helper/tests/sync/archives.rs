//! What comes out of an archive is what was signed, or nothing.

use crate::bench::{Bench, Release, zip};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::manifest::{Archive, File, Installation, Plugin, SyncResult};
use std::fs;
use std::io::{Cursor, Write};
use tollgate_helper::sync::disk::{Disk, Step};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What is said of a plugin with these files in that archive.
fn code_of(files: &[(&str, &str)], archive: Vec<u8>) -> String {
    let (bench, stands) = Bench::standing();
    bench.lay(&Release::usual(6).with_archive("zeta", files, archive));
    bench.refused(&stands).code.unwrap()
}

/// Is a plugin of these files taken from that archive?
fn taken(files: Vec<File>, archive: Archive, bytes: Vec<u8>) -> bool {
    let (bench, mut next) = (Bench::standing().0, Release::usual(6));
    next.archives.insert(archive.sha256.clone(), bytes);
    next.document.plugins.push(Plugin {
        name: "zeta".into(),
        version: "1".into(),
        installation: Installation::Required,
        archive,
        directory_sha256: Plugin::directory_digest(&files).unwrap(),
        files,
    });
    bench.lay(&next);

    bench.run().last.result == SyncResult::Applied
}

fn archive_path(bench: &Bench, release: &Release, name: &str) -> std::path::PathBuf {
    let plugin = release.document.plugins.iter().find(|it| it.name == name).unwrap();
    bench.inbox("1000").join("archives").join(format!("{}.zip", plugin.archive.sha256))
}

#[test]
fn a_tampered_archive_is_not_opened() {
    let (bench, stands) = Bench::standing();
    let next = Release::usual(6);
    bench.lay(&next);
    let path = archive_path(&bench, &next, "acme");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();

    assert_eq!(bench.refused(&stands).code.as_deref(), Some("archive_differs"));
    bench.applied(&next);
}

#[test]
fn a_missing_a_short_and_a_long_archive_are_told_of() {
    let (bench, stands) = Bench::standing();
    let next = Release::usual(6);
    bench.lay(&next);
    let path = archive_path(&bench, &next, "acme");
    let bytes = fs::read(&path).unwrap();

    fs::remove_file(&path).unwrap();
    assert_eq!(bench.refused(&stands).code.as_deref(), Some("archive_missing"));
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(bench.refused(&stands).code.as_deref(), Some("archive_differs"));
    fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
    assert_eq!(bench.refused(&stands).code.as_deref(), Some("inbox"));
}

#[cfg(unix)] // on Windows it takes an administrator to make a link
#[test]
fn an_archive_that_is_a_link_is_not_read() {
    let (bench, stands) = Bench::standing();
    let next = Release::usual(6);
    bench.lay(&next);
    let path = archive_path(&bench, &next, "acme");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert_eq!(bench.refused(&stands).code.as_deref(), Some("inbox"));
}

#[cfg(unix)]
#[test]
fn an_archive_behind_a_linked_folder_is_not_read() {
    let (bench, stands) = Bench::standing();
    bench.lay(&Release::usual(6));
    let (archives, elsewhere) =
        (bench.inbox("1000").join("archives"), bench.place.path().join("elsewhere"));
    fs::rename(&archives, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &archives).unwrap();

    assert_eq!(bench.refused(&stands).code.as_deref(), Some("inbox"));
}

#[test]
fn an_archive_that_has_more_than_was_signed_is_not_opened() {
    for more in ["../../evil", "/tmp/evil", "hooks/run.sh"] {
        let archive = zip(&[("SKILL.md", "s"), (more, "e")]);
        assert_eq!(code_of(&[("SKILL.md", "s")], archive), "archive_differs", "{more}");
    }
}

/// The published vectors are read by the helper too.
#[test]
fn each_published_archive_is_read_as_it_is_said() {
    let text = include_str!("../../../contract/data/manifest-vectors.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    let (mut good, mut bad) = (0, 0);
    for vector in vectors["archives"].as_array().unwrap() {
        let bytes = BASE64_STANDARD.decode(vector["zip"].as_str().unwrap()).unwrap();
        let files: Vec<File> = serde_json::from_value(vector["files"].clone()).unwrap();
        let archive: Archive = serde_json::from_value(vector["archive"].clone()).unwrap();
        let taken = taken(files, archive, bytes);
        let said = vector["result"].as_str().unwrap();
        assert_eq!(taken, said == "ok", "{}", vector["name"]);
        if taken { good += 1 } else { bad += 1 }
    }
    assert!(good > 1 && bad > 3, "{good} {bad}");
}

#[test]
fn a_file_that_is_missing_or_another_in_the_archive_is_told_of() {
    assert_eq!(code_of(&[("SKILL.md", "s")], zip(&[("other", "s")])), "archive_differs");
    assert_eq!(code_of(&[("SKILL.md", "s")], zip(&[("SKILL.md", "t")])), "archive_differs");
    assert_eq!(code_of(&[("SKILL.md", "s")], zip(&[("SKILL.md", "ss")])), "archive_differs");
    assert_eq!(code_of(&[("SKILL.md", "ss")], zip(&[("SKILL.md", "s")])), "archive_differs");
    assert_eq!(code_of(&[("SKILL.md", "s")], b"PK no archive".to_vec()), "archive_differs");
}

#[test]
fn a_link_and_a_folder_in_the_archive_are_no_file() {
    let mut linked = ZipWriter::new(Cursor::new(Vec::new()));
    linked.add_symlink("SKILL.md", "s", SimpleFileOptions::default()).unwrap();
    let linked = linked.finish().unwrap().into_inner();
    assert_eq!(code_of(&[("SKILL.md", "s")], linked), "archive_differs");
    let mut folder = ZipWriter::new(Cursor::new(Vec::new()));
    folder.add_directory("SKILL.md/", SimpleFileOptions::default()).unwrap();
    let folder = folder.finish().unwrap().into_inner();
    assert_eq!(code_of(&[("SKILL.md", "")], folder), "archive_differs");
}

#[test]
fn a_bomb_ends_where_the_signed_size_ends() {
    let mut bomb = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    bomb.start_file("SKILL.md", options).unwrap();
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..64 {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap().into_inner();
    assert!(bomb.len() < 100_000, "64 MiB in {} bytes", bomb.len());

    assert_eq!(code_of(&[("SKILL.md", "s")], bomb), "archive_differs");
}

#[test]
fn an_archive_that_is_changed_after_it_was_copied_is_not_read_again() {
    let (bench, _) = Bench::standing();
    let next = Release::usual(6);
    bench.lay(&next);
    let path = archive_path(&bench, &next, "acme");
    let disk = Disk::watched(move |step| {
        if let Step::Sync(it) = step
            && it.to_string_lossy().ends_with(".new")
        {
            fs::write(&path, "evil").unwrap();
        }
        Ok(())
    });

    assert_eq!(bench.run_on(&disk).last.result, SyncResult::Applied);
    bench.stands(&next);
}

/// Some of it, and then an error, as a file system that its owner serves has them.
struct Broken(usize);

impl std::io::Read for Broken {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| std::io::Error::other("nobody serves it"))?;
        Ok(to.len())
    }
}

/// The next inbox is tried for what is not the content that was signed; a disk that cannot be written ends the run.
#[test]
fn a_source_that_cannot_be_read_is_told_from_a_disk_that_cannot_be_written() {
    use std::io::{Error, ErrorKind};

    let place = tempfile::tempdir().unwrap();
    let (read, written) = (place.path().join("read"), place.path().join("written"));
    let full = Disk::watched(|step| match step {
        Step::Write(..) => Err(Error::from(ErrorKind::StorageFull)),
        _ => Ok(()),
    });

    let read = Disk::default().copy(&mut Broken(1), &read, u64::MAX, false).unwrap_err();
    let written = full.copy(&mut Broken(1), &written, u64::MAX, false).unwrap_err();

    assert_eq!((read.kind(), written.kind()), (ErrorKind::InvalidData, ErrorKind::StorageFull));
}

#[test]
fn a_plugin_that_is_changed_after_it_was_looked_at_is_taken_from_its_archive() {
    let (bench, _) = Bench::standing();
    let next = Release::usual(6);
    bench.lay(&next);
    let live = bench.settings.mount.join("base/bin/run.sh");
    let disk = Disk::watched(move |step| {
        if let Step::MakeFolder(it) = step
            && it.ends_with(".staging/next/base")
        {
            fs::write(&live, "#!/bin/evi").unwrap();
        }
        Ok(())
    });

    assert_eq!(bench.run_on(&disk).last.result, SyncResult::Applied);
    if cfg!(windows) {
        // What is switched name by name leaves what is unchanged where it stands: the next run mends it.
        assert_eq!(bench.run().last.repaired, ["base"]);
    }
    bench.stands(&next);
}

#[test]
fn what_stands_is_mended_without_the_inbox() {
    let (bench, release) = Bench::standing();
    fs::remove_dir_all(bench.inbox("1000")).unwrap();
    fs::remove_dir_all(bench.settings.mount.join("acme")).unwrap();

    let last = bench.run().last;

    assert_eq!((last.result, last.repaired), (SyncResult::Unchanged, vec!["acme".to_owned()]));
    bench.stands(&release);
}

#[test]
fn archives_of_documents_that_are_past_are_thrown_away() {
    let (bench, _) = Bench::standing();
    bench.applied(&Release::usual(6));

    let kept = fs::read_dir(bench.settings.state.join("archives")).unwrap().count();

    assert_eq!(kept, 2, "that of base, and the newest of acme");
}
