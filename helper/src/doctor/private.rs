//! Which addresses are private, as Claude Code's `/login` sees it.

use std::net::{IpAddr, Ipv4Addr};

/// Whether `/login` takes a gateway at this address: RFC 1918, link-local, shared (100.64.0.0/10),
/// unique local IPv6 (`fc00::/7`) or loopback.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            four.is_private() || four.is_link_local() || four.is_loopback() || is_shared(four)
        }
        IpAddr::V6(six) => {
            six.is_loopback()
                || six.is_unique_local()
                || six.is_unicast_link_local()
                || six.to_ipv4_mapped().is_some_and(|four| is_private(IpAddr::V4(four)))
        }
    }
}

/// 100.64.0.0/10 (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();

    first == 100 && (64..128).contains(&second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_each_range() {
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.1.1",
            "127.0.0.1",
            "100.64.0.0",
            "100.127.255.255",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in [
            "9.255.255.255",
            "11.0.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "8.8.8.8",
            "2001:db8::1",
            "fe00::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }
}
