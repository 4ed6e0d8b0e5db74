//! Who is not known is told where to sign in, and nothing else.

use super::{BOB, run};
use e2e::mcp::gated::Agent;
use e2e::mcp::standin::script::Script;
use e2e::world::ANN;

#[test]
fn without_a_token_the_answer_says_where_to_sign_in() {
    run(async |world| {
        let ann = Agent::of(world, ANN, "tickets");
        for call in [ann.initialize(), ann.listens(), ann.calls("echo", &Script::new().arguments())]
        {
            let answer = call.without("authorization").send(world).await;

            assert_eq!(answer.status, 401, "{}", answer.text());
            assert_eq!(answer.json()["jsonrpc"], "2.0");
            let challenge = answer.header("www-authenticate").to_owned();
            let url = challenge
                .strip_prefix("Bearer resource_metadata=\"")
                .and_then(|rest| rest.strip_suffix('"'));
            let url = url.unwrap_or_else(|| panic!("{challenge}"));
            let (origin, path) = url.split_at(url.find("/.well-known").unwrap());
            assert!(origin.starts_with("https://localhost"), "{url}");
            let metadata = world.get(path).send(world).await;
            assert_eq!(metadata.status, 200, "{path}: {}", metadata.text());
            let metadata = metadata.json();
            assert_eq!(metadata["resource"], format!("{origin}/mcp/tickets"), "{metadata}");
            assert!(metadata["authorization_servers"][0].is_string(), "{metadata}");
            let row = world.row_from(answer.source).await;
            assert_eq!((row.text("kind"), row.text("outcome")), ("mcp", "denied"), "{row:#?}");
        }
    });
}

#[test]
fn nobody_learns_which_servers_there_are_without_a_token() {
    run(async |world| {
        let told = async |server: &str| {
            let answer = Agent::of(world, BOB, server)
                .initialize()
                .without("authorization")
                .send(world)
                .await;
            let text = answer.text().replace(server, "SERVER");
            (answer.status, text.split("request_id").next().unwrap().to_owned())
        };
        assert_eq!(told("tickets").await, told("nowhere").await);
    });
}
