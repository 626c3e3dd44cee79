//! Names of signals.

pub use nix::sys::signal::Signal;

/// By its name, with or without `SIG`, in any case: `TERM`, `SIGUSR1`, `sigquit`.
///
/// # Errors
/// What would be understood.
pub fn parse(text: &str) -> Result<Signal, String> {
    let name = text.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    name.parse().map_err(|_| "a signal has a name such as SIGTERM, SIGUSR1 or SIGQUIT".to_owned())
}

/// `SIGTERM`.
pub fn name(signal: Signal) -> &'static str {
    signal.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_in_several_manners() {
        for text in ["SIGUSR1", "USR1", "sigusr1", "usr1"] {
            assert_eq!(parse(text), Ok(Signal::SIGUSR1), "{text}");
        }
        for text in ["", "SIG", "10", "SIGUSR3", "http://a"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(name(Signal::SIGTERM), "SIGTERM");
    }
}
