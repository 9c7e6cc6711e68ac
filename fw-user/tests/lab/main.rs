//! The whole product on a live router: real daemon, real sockets, three network namespaces. The
//! kernel's own connection tracking runs beside it on the same packets and is the oracle.

mod bad_input;
mod doctor;
mod events;
mod explain;
mod fasttrack;
mod firewall;
mod first_packets;
mod forwarding;
mod fragments;
mod frames;
mod generic;
mod harmful;
mod listeners;
mod offload;
mod oracle;
mod own_traffic;
mod protocols;
mod rejects;
mod reload;
mod reverse;
mod rule_names;
mod rules;
mod seeds;
mod short_way;
mod sockets;
mod takeover;
mod tc;
mod top;
mod trace;
mod vlan;
mod watcher;
mod zones;
