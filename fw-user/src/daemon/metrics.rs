//! Metrics in Prometheus' text format, read from the maps when they are asked for.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fw_common::CtInfo;
use fw_common::verdict::Kind;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::running::Running;
use crate::control::{Flows, survey};
use crate::maps::Counters;

/// The format that the encoder writes; older scrapers read it as well.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `/metrics`.
pub(super) fn router(running: Arc<Running>) -> Router {
    let mut registry = Registry::with_prefix("fwctl");
    registry.register_collector(Box::new(Source(running)));
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(Arc::new(registry))
}

async fn scrape(State(registry): State<Arc<Registry>>) -> Response {
    // Counting flows takes a while: not on a thread that others wait for.
    let encoded = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        encode(&mut text, &registry).map(|()| text)
    });
    match encoded.await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What is measured.
#[derive(Debug)]
struct Source(Arc<Running>);

impl Collector for Source {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(running) = self;
        let out = &mut encoder;
        build(out)?;
        interfaces(out, running)?;
        // What cannot be read is missing; the scrape still shows the rest.
        if let Ok(flows) = survey::flows(&running.paths) {
            entries(out, &flows)?;
        }
        if let Some(sweep) = running.sweep() {
            let help = "Duration of the last sweep for expired flows";
            let took = sweep.took.as_secs_f64();
            single(out, "sweep_seconds", help, &ConstGauge::new(took))?;
        }
        let counters = running.maps().counters().and_then(|table| table.per_cpu());
        counters.map_or(Ok(()), |cpus| packets(out, &Counters::sum(&cpus)))
    }
}

fn build(out: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let info = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    let metric = out.encode_descriptor("build", "Version of fwctl", None, MetricType::Info)?;
    info.encode(metric)
}

fn interfaces(out: &mut DescriptorEncoder<'_>, running: &Running) -> fmt::Result {
    let help = "Filtered interfaces and the XDP mode of each";
    family(out, "interface", help, MetricType::Gauge, |metric| {
        running.attached().iter().try_for_each(|attachment| {
            let mode = attachment.mode.to_string();
            let labels = [("interface", attachment.name.as_str()), ("mode", &mode)];
            ConstGauge::new(1_i64).encode(metric.encode_family(&labels)?)
        })
    })
}

fn entries(out: &mut DescriptorEncoder<'_>, flows: &Flows) -> fmt::Result {
    let families = [("ipv4", flows.ipv4), ("ipv6", flows.ipv6)];
    let help = "Entries in the flow table";
    family(out, "entries", help, MetricType::Gauge, |metric| {
        families.iter().try_for_each(|(family, counts)| {
            for (table, value) in [("assured", counts.assured), ("embryonic", counts.embryonic)] {
                gauge(metric, &[("family", family), ("table", table)], value)?;
            }
            Ok(())
        })
    })?;
    let help = "Entries that the flow table can hold";
    family(out, "entries_limit", help, MetricType::Gauge, |metric| {
        families.iter().try_for_each(|(family, counts)| {
            let limits = [
                ("assured", flows.capacity),
                ("embryonic", counts.embryonic_capacity),
            ];
            for (table, value) in limits {
                gauge(metric, &[("family", family), ("table", table)], value)?;
            }
            Ok(())
        })
    })
}

fn packets(out: &mut DescriptorEncoder<'_>, counters: &Counters) -> fmt::Result {
    for (name, value) in counters.fixed() {
        let help = format!("The counter {name} of conntrack -S");
        single(
            out,
            &format!("stat_{name}"),
            &help,
            &ConstCounter::new(value),
        )?;
    }
    let help = "Packets by the state that conntrack gave them";
    family(out, "packets", help, MetricType::Counter, |metric| {
        counters.states().try_for_each(|(info, value)| {
            let direction = match info {
                CtInfo::EstablishedReply | CtInfo::RelatedReply => "reply",
                _ => "original",
            };
            counter(
                metric,
                &[("state", info.name()), ("direction", direction)],
                value,
            )
        })
    })?;
    let help = "Packets dropped, by reason";
    family(out, "drops", help, MetricType::Counter, |metric| {
        let drops = counters.reasons();
        drops
            .filter(|(reason, _)| reason.kind() == Kind::Drop)
            .try_for_each(|(reason, value)| counter(metric, &[("reason", reason.name())], value))
    })?;
    let help = "Packets that conntrack called INVALID, by reason; drop_invalid decides about them";
    family(out, "invalid", help, MetricType::Counter, |metric| {
        let invalid = counters.reasons();
        invalid
            .filter(|(reason, _)| reason.kind() == Kind::Invalid)
            .try_for_each(|(reason, value)| counter(metric, &[("reason", reason.name())], value))
    })
}

fn family(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    kind: MetricType,
    encode: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    encode(&mut out.encode_descriptor(name, help, None, kind)?)
}

fn single(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(out.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn gauge(metric: &mut MetricEncoder<'_>, labels: &[(&str, &str); 2], value: u64) -> fmt::Result {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    ConstGauge::new(value).encode(metric.encode_family(labels)?)
}

fn counter<const N: usize>(
    metric: &mut MetricEncoder<'_>,
    labels: &[(&str, &str); N],
    value: u64,
) -> fmt::Result {
    ConstCounter::new(value).encode(metric.encode_family(labels)?)
}
