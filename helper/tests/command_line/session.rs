//! The sign-in in the browser, and the session after it.

use crate::failed;
use crate::laptop::{Fallible, Laptop, PAT, line, text};
use crate::office::{Office, secret};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

fn signed_in(office: &Office) -> Fallible<Laptop> {
    let laptop = Laptop::new()?;
    let out = laptop.sign_in(office, &[])?;
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(out.stdout.is_empty(), "login prints no token");
    Ok(laptop)
}

#[test]
fn login_goes_through_the_browser_and_keeps_a_session() -> Fallible {
    let office = Office::open(&["session", "pat"])?;

    let laptop = signed_in(&office)?;

    assert_eq!(office.asked(), ["GET capabilities", "GET session/authorize", "POST session"]);
    let page = fs::read_to_string(laptop.place.path().join("page"))?;
    assert!(page.contains("You can close this window"), "{page}");
    let told = line(&laptop.bare()?)?;
    assert_eq!(told["headers"]["x-user-id"], "session");
    assert_eq!(office.asked().len(), 3, "the first token came with the session");
    let status = text(&laptop.run(&["status", "--json"], "")?.stdout);
    assert!(status.contains("ses_0123456789ab") && !status.contains("CANARY"), "{status}");
    Ok(())
}

#[test]
fn what_is_not_the_answer_is_answered_and_ignored() -> Fallible {
    let office = Office::open(&["session"])?;
    office.with(|rules| {
        rules.noise = vec![
            "/favicon.ico".into(),
            "/callback?code=stolen&iss=x&state=guessed".into(),
            "/elsewhere?code=c".into(),
        ];
    });

    signed_in(&office)?;

    let heard = office.rules.lock().unwrap().heard.clone();
    assert_eq!(heard, ["HTTP/1.1 400 Bad Request"; 3], "each was told so");
    Ok(())
}

#[test]
fn an_answer_of_another_issuer_or_of_none_is_refused() -> Fallible {
    for issuer in [None, Some("https://other.test")] {
        let office = Office::open(&["session"])?;
        office.with(|rules| rules.issuer = issuer);
        let laptop = Laptop::new()?;

        let out = laptop.sign_in(&office, &[])?;

        failed(&out, 5);
        assert!(text(&out.stderr).contains("issuer"), "{}", text(&out.stderr));
        assert!(!laptop.file("session").exists());
        let left = office.rules.lock().unwrap().session.is_some();
        assert!(!left, "what was minted by mistake is ended");
    }
    Ok(())
}

#[test]
fn a_sign_in_that_is_cancelled_or_forgotten_ends_with_five() -> Fallible {
    let office = Office::open(&["session"])?;
    office.with(|rules| rules.cancels = true);
    let cancelled = Laptop::new()?.sign_in(&office, &[])?;
    failed(&cancelled, 5);
    assert!(text(&cancelled.stderr).contains("cancelled"));

    let started = Instant::now();
    let args = ["login", "--gateway", &office.url, "--no-browser", "--timeout", "1"];
    let forgotten = Laptop::new()?.run(&args, "")?;
    failed(&forgotten, 5);
    let told = text(&forgotten.stderr);
    assert!(told.contains("within 1 s") && told.contains("code_challenge_method=S256"), "{told}");
    assert!(started.elapsed() < Duration::from_secs(10));
    Ok(())
}

#[test]
fn a_gateway_without_sessions_is_not_asked_for_one() -> Fallible {
    let office = Office::open(&["pat"])?;

    let out = Laptop::new()?.sign_in(&office, &[])?;

    failed(&out, 5);
    assert!(text(&out.stderr).contains("--pat"));
    assert_eq!(office.asked(), ["GET capabilities"]);
    Ok(())
}

#[test]
fn a_session_goes_on_and_its_next_secret_takes_the_old_one_s_place() -> Fallible {
    let office = Office::open(&["session"])?;
    office.with(|rules| rules.ttl = 20);
    let laptop = signed_in(&office)?;

    for rotation in 2..5 {
        line(&laptop.bare()?)?;
        let kept = fs::read_to_string(laptop.file("session"))?;
        assert!(kept.contains(&secret(rotation)), "rotation {rotation}");
    }
    Ok(())
}

#[test]
fn many_processes_at_once_make_one_refresh() -> Fallible {
    let office = Office::open(&["session"])?;
    office.with(|rules| rules.ttl = 20);
    let laptop = signed_in(&office)?;
    office.with(|rules| {
        rules.ttl = 3600;
        rules.slow = Duration::from_millis(300);
    });
    let before = office.asked().len();

    thread::scope(|scope| {
        let runs: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| laptop.bare().map_err(|error| error.to_string())))
            .collect();
        for run in runs {
            let out = run.join().unwrap().unwrap();
            assert!(line(&out).is_ok());
        }
    });

    assert_eq!(office.asked().len() - before, 1, "{:?}", office.asked());
    Ok(())
}

#[test]
fn a_session_that_is_over_is_forgotten_and_nothing_blocks() -> Fallible {
    let office = Office::open(&["session"])?;
    office.with(|rules| rules.ttl = 20);
    for context in ["mid-session-refresh", "scheduled-task", "setup-test", "background"] {
        let laptop = signed_in(&office)?;
        office.with(|rules| rules.session = None);

        let silent = [("CLAUDE_HELPER_CONTEXT", context)];
        let out = laptop.run_with(&silent, &[], "")?;
        failed(&out, 5);
        assert!(text(&out.stderr).contains("the session has ended"), "{}", text(&out.stderr));
        assert!(!laptop.file("session").exists());

        let out = laptop.run_with(&silent, &[], "")?;
        failed(&out, 5);
        assert!(text(&out.stderr).contains("opens no browser"), "{}", text(&out.stderr));
    }
    let sign_ins = office.asked().iter().filter(|asked| asked.contains("authorize")).count();
    assert_eq!(sign_ins, 4, "only the logins opened a browser");
    Ok(())
}

#[test]
fn a_portal_on_the_way_ends_no_session() -> Fallible {
    let office = Office::open(&["session"])?;
    office.with(|rules| rules.ttl = 20);
    let laptop = signed_in(&office)?;
    let portal = ("401 Unauthorized", "", "<html>pay for this network".to_owned());
    office.with(|rules| {
        rules.instead.insert("session", portal);
    });

    failed(&laptop.bare()?, 5);

    assert!(laptop.file("session").exists(), "only the gateway's own word ends it");
    Ok(())
}

#[test]
fn interactive_signs_in_anew_where_the_session_is_over() -> Fallible {
    let office = Office::open(&["session", "pat"])?;
    office.with(|rules| rules.ttl = 20);
    let laptop = signed_in(&office)?;
    let out = laptop.run(&["login", "--gateway", &office.url, "--pat", "-"], PAT)?;
    assert!(out.status.success(), "{}", text(&out.stderr));
    office.with(|rules| rules.session = None);

    let browser = laptop.browser()?;
    let told = line(&laptop.run_with(
        &[("CLAUDE_HELPER_CONTEXT", "interactive"), ("TOLLGATE_HELPER_BROWSER", &browser)],
        &[],
        "",
    )?)?;

    assert_eq!(told["headers"]["x-user-id"], "session", "and not something weaker");
    Ok(())
}

#[test]
fn the_middle_of_a_session_is_over_before_the_client_gives_up() -> Fallible {
    let office = Office::open(&["session"])?;
    office.with(|rules| rules.ttl = 20);
    let laptop = signed_in(&office)?;
    office.with(|rules| rules.slow = Duration::from_mins(1));

    let started = Instant::now();
    let out = laptop.run_with(&[("CLAUDE_HELPER_CONTEXT", "mid-session-refresh")], &[], "")?;

    failed(&out, 3);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn logout_ends_the_session_at_the_gateway_too() -> Fallible {
    let office = Office::open(&["session"])?;
    let laptop = signed_in(&office)?;

    let out = laptop.run(&["logout"], "")?;

    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(office.asked().last().map(String::as_str), Some("DELETE session"));
    assert!(office.rules.lock().unwrap().session.is_none());
    Ok(())
}

#[test]
fn logout_says_what_could_not_be_done_and_forgets_all_the_same() -> Fallible {
    let office = Office::open(&["session"])?;
    let laptop = signed_in(&office)?;
    let broken = ("503 Service Unavailable", "auth_unavailable", String::new());
    office.with(|rules| {
        rules.instead.insert("session", broken);
    });

    let out = laptop.run(&["logout"], "")?;

    failed(&out, 3);
    assert!(text(&out.stderr).contains("could not end the session"), "{}", text(&out.stderr));
    assert!(!laptop.file("session").exists() && !laptop.file("cache.json").exists());
    Ok(())
}

#[test]
fn a_token_to_operate_comes_by_the_session_bare_and_is_not_kept() -> Fallible {
    let office = Office::open(&["session", "pat"])?;
    let laptop = signed_in(&office)?;
    let kept = fs::read(laptop.file("cache.json"))?;

    let out = laptop.run(&["token", "--audience", "operator"], "")?;

    assert!(out.status.success(), "{}", text(&out.stderr));
    let printed = text(&out.stdout);
    assert_eq!(printed.lines().count(), 1);
    assert!(!printed.contains('{'), "the token and nothing else: {printed}");
    assert_eq!(office.asked().last().map(String::as_str), Some("POST session"));
    assert_eq!(fs::read(laptop.file("cache.json"))?, kept, "calls go on with theirs");
    assert!(laptop.bare()?.status.success(), "and with the session's next secret");
    let nobody = Laptop::new()?;
    nobody.private("config.json", &format!(r#"{{"gateway":{{"url":"{}"}}}}"#, office.url))?;
    failed(&nobody.run(&["token", "--audience", "operator"], "")?, 5);
    Ok(())
}
