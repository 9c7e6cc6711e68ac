//! The log: one line an event on standard error, where systemd or a person reads it.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Environment variable that chooses what is logged: `FWCTL_LOG=debug`.
const VARIABLE: &str = "FWCTL_LOG";

/// Sends events to standard error. A second call does nothing.
pub fn init() {
    let filter = EnvFilter::try_from_env(VARIABLE)
        // What libraries have to say is for those who debug.
        .unwrap_or_else(|_| EnvFilter::new("error,fw_user=info,fwctl=info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .event_format(Line)
        .finish();
    // Fails only if there is one already.
    drop(tracing::subscriber::set_global_default(subscriber));
}

/// `fwctl: warning: text`. No time: journald has its own, and a terminal's reader is there.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "",
            Level::DEBUG => "debug: ",
            Level::TRACE => "trace: ",
        };
        write!(writer, "fwctl: {level}")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
