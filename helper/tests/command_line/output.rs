//! The one line's forms, the asked lifetime, the two configuration files.

use crate::failed;
use crate::laptop::{Fallible, Laptop, PAT, line, mode_of, text};
use crate::office::Office;
use serde_json::json;
use std::fs;
use std::process::{Command, Output};

fn logged_in(office: &Office) -> Fallible<Laptop> {
    let laptop = Laptop::new()?;
    let out = laptop.run(&["login", "--gateway", &office.url, "--pat", "-"], PAT)?;
    assert!(out.status.success(), "{}", text(&out.stderr));
    Ok(laptop)
}

#[test]
fn each_form_is_one_line_of_its_own_shape() -> Fallible {
    let office = Office::open(&["pat"])?;
    let laptop = logged_in(&office)?;
    let names = |form: &str| -> Fallible<Vec<String>> {
        let told = line(&laptop.run(&["token", "--form", form], "")?)?;
        Ok(told.as_object().into_iter().flat_map(|told| told.keys().cloned()).collect())
    };

    assert_eq!(names("cowork")?, ["headers", "token", "ttl"]);
    assert_eq!(names("cowork2")?, ["headers", "token"]);
    let flat = names("headers")?;
    assert_eq!((flat.len(), flat[0].as_str()), (8, "authorization"));
    let bare = laptop.run(&["token", "--form", "bare"], "")?;
    assert!(text(&bare.stdout).ends_with(".TOKENCANARY\n"), "the token and nothing else");
    assert_eq!(text(&bare.stdout).lines().count(), 1);
    failed(&laptop.run(&["token", "--form", "yaml"], "")?, 64);
    Ok(())
}

/// Claude Desktop starts a `headersHelper` without arguments.
#[test]
fn under_a_name_for_headers_it_prints_one_flat_map_and_only_for_this_gateway() -> Fallible {
    let office = Office::open(&["pat"])?;
    let laptop = logged_in(&office)?;
    let link = laptop.beside("tollgate-helper-headers");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tollgate-helper"), &link)?;
    let told = |server: &str, args: &[&str]| -> Fallible<Output> {
        let out = Command::new(&link)
            .args(args)
            .env_clear()
            .env("TOLLGATE_HELPER_HOME", laptop.file(""))
            .env("TOLLGATE_HELPER_MACHINE_CONFIG", laptop.machine_file())
            .env("CLAUDE_CODE_MCP_SERVER_URL", server)
            .output()?;
        Ok(out)
    };

    for server in ["", &format!("{}/mcp/stripe", office.url)] {
        let map = line(&told(server, &[])?)?;
        let values = map.as_object().ok_or("no map")?;
        assert!(values.values().all(serde_json::Value::is_string), "{map}");
        assert!(map["authorization"].as_str().is_some_and(|value| value.starts_with("Bearer e.")));
    }
    let bare = told("", &["token", "--form", "bare"])?;
    assert!(text(&bare.stdout).starts_with("e."), "what is asked for counts more than the name");
    for server in ["https://evil.example/mcp", &format!("{}.evil.example/mcp", office.url)] {
        let out = told(server, &[])?;
        failed(&out, 64);
        assert!(out.stdout.is_empty(), "{}", text(&out.stdout));
    }
    Ok(())
}

#[test]
fn the_configured_form_is_that_of_the_bare_command() -> Fallible {
    let office = Office::open(&["pat"])?;
    let laptop = logged_in(&office)?;
    laptop.machine(&json!({ "form": "bare" }))?;

    assert!(text(&laptop.bare()?.stdout).starts_with("e."));
    Ok(())
}

#[test]
fn an_asked_lifetime_is_asked_of_the_gateway_which_caps_it() -> Fallible {
    let office = Office::open(&["pat"])?;
    let laptop = logged_in(&office)?;

    let short = line(&laptop.run(&["token", "--ttl", "600"], "")?)?;
    assert_eq!(office.last().body, r#"{"ttl":600}"#);
    assert!(short["ttl"].as_u64() <= Some(600));
    let asked = office.asked().len();
    line(&laptop.run(&["token", "--ttl", "600"], "")?)?;
    line(&laptop.bare()?)?;
    assert_eq!(office.asked().len(), asked, "what holds is handed out again");

    let long = line(&laptop.run(&["token", "--ttl", "86400"], "")?)?;
    assert!(long["ttl"].as_u64() <= Some(3600), "{}", long["ttl"]);
    failed(&laptop.run(&["token", "--ttl", "299"], "")?, 64);
    Ok(())
}

#[test]
fn a_token_is_handed_out_for_its_own_gateway_alone() -> Fallible {
    let (old, new) = (Office::open(&["pat"])?, Office::open(&["pat"])?);
    let laptop = logged_in(&old)?;
    laptop.machine(&json!({ "gateway": { "url": new.url } }))?;

    let out = laptop.bare()?;

    failed(&out, 5);
    assert!(new.asked().is_empty(), "nor is the other's secret shown: {:?}", new.asked());
    Ok(())
}

#[test]
fn what_the_machine_s_file_says_login_does_not_change() -> Fallible {
    let office = Office::open(&["pat"])?;
    let laptop = Laptop::new()?;
    laptop.machine(&json!({ "gateway": { "url": office.url } }))?;

    let other = laptop.run(&["login", "--gateway", "http://127.0.0.1:1", "--pat", PAT], "")?;
    failed(&other, 64);
    assert!(text(&other.stderr).contains(&office.url), "{}", text(&other.stderr));
    let out = laptop.run(&["login", "--pat", "-"], PAT)?;
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(!laptop.file("config.json").exists(), "there is nothing for it to say");
    line(&laptop.bare()?)?;
    Ok(())
}

#[test]
fn a_fault_in_a_configuration_file_is_named_with_its_place() -> Fallible {
    let laptop = Laptop::new()?;
    fs::write(laptop.machine_file(), "{\n  \"gatway\": {}\n}")?;

    let out = laptop.bare()?;

    failed(&out, 78);
    let told = text(&out.stderr);
    assert!(told.contains("machine.json") && told.contains("`gatway`"), "{told}");
    assert!(told.contains("line 2 column 10"), "{told}");
    Ok(())
}

#[test]
fn a_machine_s_file_that_others_can_write_is_refused() -> Fallible {
    let laptop = Laptop::new()?;
    laptop.machine(&json!({}))?;
    mode_of(&laptop.machine_file(), 0o646)?;

    let out = laptop.bare()?;

    failed(&out, 5);
    assert!(text(&out.stderr).contains("others can write it"), "{}", text(&out.stderr));
    Ok(())
}

#[test]
fn a_keystore_that_is_demanded_and_not_there_is_no_file() -> Fallible {
    let office = Office::open(&["pat"])?;
    let laptop = Laptop::new()?;

    let args = ["login", "--gateway", &office.url, "--pat", PAT, "--store", "keystore"];
    let out = laptop.run(&args, "")?;

    failed(&out, 74);
    assert!(text(&out.stderr).contains("no message bus"), "{}", text(&out.stderr));
    assert!(!laptop.file("pat").exists());
    Ok(())
}

#[test]
fn without_a_keystore_the_file_is_taken_and_said() -> Fallible {
    let office = Office::open(&["pat"])?;
    let laptop = Laptop::new()?;
    let login = ["login", "--gateway", &office.url, "--pat", PAT];
    let home = laptop.place.path().display().to_string();
    // The usual directory: one of its own keeps its secrets itself, without asking a keystore.
    let usual = [("TOLLGATE_HELPER_HOME", ""), ("XDG_CONFIG_HOME", home.as_str()), ("HOME", &home)];

    let out = laptop.run_with(&usual, &login, "")?;

    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("not in the keystore"), "{}", text(&out.stderr));
    let told = laptop.run_with(&usual, &["status", "--json"], "")?;
    assert!(text(&told.stdout).contains(r#""store":"file""#), "{}", text(&told.stdout));
    Ok(())
}

/// A session bus with a Secret Service on it, and a command in the middle of it all.
fn with_keystore(laptop: &Laptop, script: &str) -> Fallible<Output> {
    let place = laptop.place.path();
    let start =
        "printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1";
    let out = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", &format!("{start}\n{script}")])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", place)
        .env("XDG_DATA_HOME", place.join("data"))
        .env("XDG_CONFIG_HOME", place.join("config"))
        .env("TOLLGATE_HELPER_MACHINE_CONFIG", laptop.machine_file())
        .env("HELPER", env!("CARGO_BIN_EXE_tollgate-helper"))
        .env("PAT", PAT)
        .output()?;
    assert!(!text(&out.stderr).contains("CANARY"), "{}", text(&out.stderr));
    Ok(out)
}

#[test]
fn with_a_keystore_no_secret_is_in_a_file() -> Fallible {
    let office = Office::open(&["pat"])?;
    office.with(|rules| rules.ttl = 20);
    let laptop = Laptop::new()?;
    laptop.machine(&json!({ "gateway": { "url": office.url } }))?;

    let out = with_keystore(
        &laptop,
        "set -e\nprintf %s \"$PAT\" | \"$HELPER\" login --pat -\n\"$HELPER\"\n\"$HELPER\" status\n\
         ls \"$XDG_CONFIG_HOME/tollgate-helper\"\n\"$HELPER\" doctor | grep keystore\n\
         \"$HELPER\" logout\n\"$HELPER\" && exit 1\ntrue",
    )?;

    let told = text(&out.stdout);
    assert!(out.status.success(), "{told}{}", text(&out.stderr));
    assert!(told.contains("pat_0123456789ab in the keystore"), "{told}");
    assert!(told.contains("\ncache.json\nok"), "no other file: {told}");
    assert!(told.contains("the system's keystore serves"), "{told}");
    assert!(text(&out.stderr).contains("nobody is logged in"), "it forgets: {}", text(&out.stderr));
    Ok(())
}
