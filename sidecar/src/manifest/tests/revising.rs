//! What is withdrawn, and what goes with it.

use super::*;

fn revoked(kind: Kind, id: &str) -> Revocation {
    Revocation { kind, id: id.into(), reason: Some("leaks".into()) }
}

fn named(contents: &Contents, audience: &str) -> Vec<String> {
    let document = &contents.documents[audience].says;
    assert_eq!(document.check(), []);
    let plugins = document.plugins.iter().map(|it| format!("plugin {}", it.name));
    let skills = document.skills.iter().map(|it| format!("skill {}", it.id));
    let agents = document.agents.iter().map(|it| format!("agent {}", it.id));
    let servers = document.managed_mcp_servers.iter().map(|it| format!("server {}", it.id));
    plugins.chain(skills).chain(agents).chain(servers).collect()
}

#[tokio::test]
async fn what_is_revoked_goes_and_what_needs_it_goes_too() {
    let before = contents(3);
    for (kind, id, left, also) in [
        (
            Kind::Plugin,
            "LEDGER",
            vec![
                "plugin acme-skills",
                "skill audit",
                "skill sort",
                "agent clerk",
                "server books",
                "server tickets",
            ],
            vec![],
        ),
        (
            Kind::Skill,
            "audit",
            vec![
                "plugin acme-skills",
                "plugin ledger",
                "skill sort",
                "server books",
                "server tickets",
            ],
            vec![(Kind::Agent, "clerk")],
        ),
        (
            Kind::McpServer,
            "books",
            vec![
                "plugin acme-skills",
                "plugin ledger",
                "skill audit",
                "skill sort",
                "server tickets",
            ],
            vec![(Kind::Agent, "clerk")],
        ),
        (
            Kind::Plugin,
            "acme-skills",
            vec!["plugin ledger", "server books", "server tickets"],
            vec![(Kind::Skill, "audit"), (Kind::Skill, "sort"), (Kind::Agent, "clerk")],
        ),
    ] {
        let revocation = revoked(kind, id);
        let revised = revise::revoke(&before, revocation.clone(), 4, AT + 60).unwrap();

        assert_eq!(named(&revised.contents, "finance"), left, "{id}");
        let gone: Vec<_> = revised.also(std::slice::from_ref(&revocation)).cloned().collect();
        let also: Vec<_> = also.into_iter().map(|(kind, id)| (kind, id.to_owned())).collect();
        assert_eq!(gone, also, "{id}");
        for document in revised.contents.documents.values() {
            assert!(document.says.revokes(kind, id));
            assert_eq!(document.says.expires_at, AT + 60 + 14 * 86_400);
        }
        let signed = signing::publication(revised.contents, &key(1)).await;
        assert_eq!(signed.unwrap().index().version, 4, "it is whole: {id}");
    }
}

/// The usual publication, where finance has a plugin with these files besides.
fn bringing(files: &[(&str, &str)]) -> Contents {
    let Contents { documents, mut archives, .. } = contents(3);
    let own = [(".claude-plugin/plugin.json", "{\"name\":\"vendor\"}")];
    let own = own.iter().filter(|it| files.iter().all(|file| file.0 != it.0));
    let files = own.chain(files).map(|(path, text)| Packed::text(*path, *text)).collect();
    let Bundle { plugin, archive } =
        Bundle::new("vendor", "1.0.0", Installation::Available, files).unwrap();
    archives.insert(plugin.archive.sha256.clone(), Archived::Memory(archive));
    let mut list: Vec<_> = documents.into_values().map(|it| it.says).rev().collect();
    list[0].plugins.push(plugin);
    gathered(list, archives)
}

#[tokio::test]
async fn a_plugin_that_brings_a_revoked_server_goes_with_it() {
    let mcp = ".mcp.json";
    let own = ".claude-plugin/plugin.json";
    for (path, text, goes) in [
        (mcp, r#"{"mcpServers":{"BOOKS":{"url":"https://else.example"}}}"#, true),
        (mcp, r#"{"ledger":{"url":"https://gateway.example.com/mcp/books/"}}"#, true),
        (own, r#"{"name":"vendor","mcpServers":{"books":{"command":"books"}}}"#, true),
        (own, r#"{"name":"vendor","mcpServers":["./more.json"]}"#, true),
        (own, r#"{"name":"vendor","mcpServers":7}"#, true),
        (own, "{", true),
        (mcp, r#"{"mcpServers":{"tickets":{"url":"https://else.example"}}}"#, false),
    ] {
        let before = bringing(&[(path, text)]);
        let revocation = revoked(Kind::McpServer, "books");
        let revised = revise::revoke(&before, revocation.clone(), 4, AT).unwrap();

        let also: Vec<_> = revised.also(std::slice::from_ref(&revocation)).cloned().collect();
        assert_eq!(also.contains(&(Kind::Plugin, "vendor".into())), goes, "{path} {text}");
        let left = named(&revised.contents, "finance");
        assert_eq!(left.contains(&"plugin vendor".into()), !goes, "{text}: {left:?}");
        assert!(left.contains(&"plugin ledger".into()), "{left:?}");
        let later = revise::rollback(&before, &revised.contents, 5, AT).unwrap();
        assert_eq!(named(&later.contents, "finance"), left, "it does not come back");
        signing::publication(revised.contents, &key(1)).await.unwrap();
    }
    let other = revise::revoke(&bringing(&[(mcp, "{}")]), revoked(Kind::Skill, "sort"), 4, AT);
    assert!(named(&other.unwrap().contents, "finance").contains(&"plugin vendor".into()));
}

#[test]
fn who_withdraws_a_part_of_a_plugin_hears_in_which_it_is() {
    let before = bringing(&[("skills/Dig/SKILL.md", "---\n"), ("agents/Digger.md", "---\n")]);
    for (kind, id, plugins) in [
        (Kind::Skill, "dig", vec!["vendor"]),
        (Kind::Agent, "digger", vec!["vendor"]),
        (Kind::Agent, "dig", vec![]),
        (Kind::Skill, "audit", vec![]),
        (Kind::Plugin, "dig", vec![]),
    ] {
        let revocation = revoked(kind, id);
        let revised = revise::revoke(&before, revocation.clone(), 4, AT).unwrap().contents;

        let within = revise::within(&revised, &revocation);
        assert_eq!(within.into_iter().collect::<Vec<_>>(), plugins, "{kind:?} {id}");
    }
}

#[test]
fn a_revocation_of_nothing_is_seen_and_a_second_one_refused() {
    let none = revise::revoke(&contents(3), revoked(Kind::Plugin, "ledgre"), 4, AT).unwrap();
    assert!(none.gone.is_empty() && none.audiences.is_empty());

    let once = revise::revoke(&contents(3), revoked(Kind::Skill, "sort"), 4, AT).unwrap();
    assert_eq!(once.audiences.iter().collect::<Vec<_>>(), ["everyone", "finance"]);
    assert_eq!(named(&once.contents, "everyone"), ["server tickets"], "the plugin is empty");
    let twice = revise::revoke(&once.contents, revoked(Kind::Skill, "SORT"), 5, AT);
    assert!(twice.unwrap_err().to_string().contains("already"));
    assert!(revise::revoke(&contents(3), revoked(Kind::Skill, "sort"), 3, AT).is_err());
}

#[tokio::test]
async fn what_was_revoked_does_not_come_back_with_an_older_publication() {
    let older = contents(3);
    let in_force = revise::revoke(&older, revoked(Kind::Plugin, "ledger"), 7, AT).unwrap().contents;

    let back = revise::rollback(&older, &in_force, 8, AT + 5).unwrap();

    assert!(!named(&back.contents, "finance").contains(&"plugin ledger".to_owned()));
    assert_eq!(back.contents.index.says.version, 8);
    assert!(revise::rollback(&older, &in_force, 7, AT).is_err());
    signing::publication(back.contents, &key(1)).await.unwrap();
}
