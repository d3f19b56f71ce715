//! The log, on standard error.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogFilter, LogFormat};

const OURS: [&str; 3] = ["otp_server", "otp_core", "otp_store_sqlite"];

/// From here on events are written, and a panic is one of them. The first call in a process counts.
pub(crate) fn start(filter: &LogFilter, format: LogFormat) {
    let lines = lines(is_text(format)).with_filter(targets(filter));
    if tracing_subscriber::registry().with(lines).try_init().is_ok() {
        std::panic::set_hook(Box::new(|panic| report(panic.location())));
    }
}

fn is_text(format: LogFormat) -> bool {
    match format {
        LogFormat::Automatic => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    }
}

fn lines<S>(text: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    if text { lines.boxed() } else { lines.json().flatten_event(true).boxed() }
}

/// Other libraries do not know which of their bytes are secret, so the general level opens them up to `info` only; by name
/// they can be opened further.
fn targets(filter: &LogFilter) -> Targets {
    Targets::new()
        .with_default(filter.level.min(LevelFilter::INFO))
        .with_targets(OURS.map(|module| (module, filter.level)))
        .with_targets(filter.modules.clone())
}

/// Without its message, which may carry what was being worked on.
fn report(location: Option<&std::panic::Location<'_>>) {
    let thread = std::thread::current();
    let at = location.map(ToString::to_string).unwrap_or_default();
    tracing::error!(at, thread = thread.name().unwrap_or_default(), "a bug: the program panicked");
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn only_our_own_modules_follow_the_general_level_beyond_info() {
        let modules = vec![("otp_server::http".to_owned(), LevelFilter::WARN), ("h2".to_owned(), LevelFilter::DEBUG)];
        let targets = targets(&LogFilter { level: LevelFilter::TRACE, modules });
        assert!(targets.would_enable("otp_core::service", &Level::TRACE));
        assert!(
            targets.would_enable("hyper::proto", &Level::INFO) && !targets.would_enable("hyper::proto", &Level::DEBUG)
        );
        assert!(!targets.would_enable("otp_server::http::auth", &Level::INFO));
        assert!(targets.would_enable("h2::codec", &Level::DEBUG));
    }
}
