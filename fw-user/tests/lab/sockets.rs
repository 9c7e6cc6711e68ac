//! Sockets at both ends of the lab.

use std::net::{Ipv4Addr, SocketAddr};

use xtask::lab::Lab;
use xtask::traffic::Udp;

/// From port `from` of the client to port `to` of the server.
pub(crate) fn udp(lab: &Lab, from: u16, to: u16) -> Udp {
    let client = SocketAddr::from((Ipv4Addr::new(192, 168, 1, 2), from));
    let server = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 2), to));
    Udp::open(lab.client(), client, lab.server(), server).expect("sockets")
}
