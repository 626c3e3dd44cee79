//! `--hold`: what answers on the program's own port until the program does.

use std::net::SocketAddr;

use clap::Args;
use tokio::sync::watch::Receiver;

use crate::ask::Uri;
use crate::error::Error;
use crate::gate::Check;
use crate::gate::holding::{HandOver, Holding};
use crate::http;
use crate::progress::Progress;

/// What answers until then.
#[derive(Debug, Args)]
#[command(next_help_heading = "Holding the port")]
pub struct Hold {
    /// Until the program is ready, answer at its own address with 503 and a page that says how far it is,
    /// such as 0.0.0.0:4000
    #[arg(long, env = "LOCKKEEPER_HOLD", value_name = "ADDR", value_parser = address)]
    hold: Option<SocketAddr>,
    /// How the program gets that port
    #[arg(long, env = "LOCKKEEPER_HAND_OVER", value_enum, default_value = "activation")]
    hand_over: HandOver,
}

impl Hold {
    /// Holds the port, where that is asked for, until the program shows by `ready` that it is.
    ///
    /// # Errors
    /// [`Error::Listen`], and [`Error::Usage`] where `ready` can't tell the program from ourselves.
    pub fn start(
        &self,
        ready: Option<&Check>,
        progress: &Receiver<Progress>,
    ) -> Result<Option<Holding>, Error> {
        let Some(address) = self.hold else { return Ok(None) };
        let refused = |message: &str| {
            let next = "give --child-ready a URL of the program's, or line:TEXT of its output";
            Err(Error::Usage { message: message.to_owned(), next: next.to_owned() })
        };
        match ready {
            None => return refused("--hold has to know when the program is ready"),
            Some(Check::Tcp(place)) if is_port_of(place, address.port()) => {
                return refused(&format!(
                    "tcp:{place} would be answered by --hold, whether the program is ready or not"
                ));
            }
            Some(Check::Tcp(place)) => {
                return refused(&elsewhere(&format!("tcp:{place}"), address));
            }
            Some(Check::Http(uri)) if port(uri) != address.port() => {
                let shown = crate::ask::without_passwords(&uri.to_string());
                return refused(&elsewhere(&shown, address));
            }
            // A line may be about anything.
            Some(Check::Http(_) | Check::Line(_)) => {}
        }
        Holding::start(address, self.hand_over, http::holding(progress.clone()))
            .map(Some)
            .map_err(|source| Error::Listen { address: address.to_string(), source })
    }
}

/// The port would be left with nobody behind it, and clients would be refused.
fn elsewhere(check: &str, held: SocketAddr) -> String {
    format!("{check} is another port than the {held} of --hold, and doesn't show that it is taken")
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
}

fn is_port_of(place: &str, port: u16) -> bool {
    place.rsplit_once(':').is_some_and(|(_, number)| number.parse() == Ok(port))
}

/// Where the program listens. A name could be several addresses, and it is given one socket.
fn address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(address),
        _ => Err("the IP address and the port of the program, such as 0.0.0.0:4000".to_owned()),
    }
}
