//! Lanes: listeners that come, change and go, and one that Envoy cannot open although it is well written.

use crate::operator::{all_live, edit, envoy, rows, second_cluster, setup, status_of_calls};
use e2e::client::raw::get;
use e2e::suite::alone;
use e2e::world::ports::port;
use std::net::{SocketAddr, TcpListener};

/// A listener that answers by itself.
fn lane(address: SocketAddr, status: u16) -> String {
    format!(
        r#"resources:
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: lane
  address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}
  filter_chains:
  - filters:
    - name: envoy.filters.network.http_connection_manager
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: lane
        route_config:
          virtual_hosts: [{{name: lane, domains: ["*"], routes: [{{match: {{prefix: /}}, direct_response: {{status: {status}}}}}]}}]
        http_filters:
        - name: envoy.filters.http.router
          typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"#,
        address.port()
    )
}

#[test]
fn a_lane_is_open_on_every_worker_when_apply_returns_and_a_changed_one_answers_so_at_once() {
    alone(setup("applies-lanes"), async |world| {
        let address = port().unwrap();
        let mut last = "resources: []".to_owned();
        for status in [201, 202] {
            let now = lane(address, status);
            let from = edit(world, "lane", &[("lanes.yaml", &last, &now)]);

            let said = envoy(world, &["apply", "--from", &from]);

            assert_eq!(said.exit, 0, "{said:?}");
            assert!(said.out.contains(" lane lane"), "{said:?}");
            for _ in 0..16 {
                assert_eq!(get(address, "/").await.unwrap().status, status);
            }
            last = now;
        }
        let from = edit(world, "lane", &[("lanes.yaml", &last, "resources: []")]);
        let said = envoy(world, &["apply", "--from", &from]);
        assert_eq!(said.exit, 0, "{said:?}");
        assert!(said.out.contains("- lane lane\n"), "{said:?}");
        assert!(get(address, "/").await.is_err(), "nobody listens there");
        assert_eq!(status_of_calls(world, 4).await, [200; 4]);
    });
}

#[test]
fn a_lane_that_envoy_cannot_open_takes_back_the_clusters_before_it() {
    alone(setup("applies-taken"), async |world| {
        let before = all_live(world);
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let now = lane(taken.local_addr().unwrap(), 201);
        let first = format!("resources:\n{}\n", second_cluster(world));
        let from = edit(
            world,
            "taken",
            &[
                ("lanes.yaml", "resources: []", &now),
                ("clusters.yaml", "resources:\n", &first),
                ("routes.yaml", "cluster: anthropic", "cluster: second"),
            ],
        );

        let said = envoy(world, &["apply", "--from", &from]);

        assert_eq!(said.exit, 1, "{said:?}");
        assert!(said.aside.contains("Envoy refused lanes.yaml"), "{said:?}");
        assert!(said.aside.contains("everything is as it was"), "{said:?}");
        assert_eq!(all_live(world), before);
        assert_eq!(status_of_calls(world, 8).await, [200; 8]);
        assert!(!world.admin("/clusters").await.unwrap().contains("second::"), "it is gone again");
        rows(world, "envoy apply taken back", 1).await;
    });
}
