//! The child's output, passed on as it comes, with an eye on a line that says that it is ready.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::watch;

/// How much is read at once.
const PIECE: usize = 8 * 1024;
/// What is longer is no line that a person has named.
const LONGEST: usize = 64 * 1024;

/// Passes a pipe on until its end, and tells when `wanted` was in a line.
pub(super) async fn pass(
    from: OwnedFd,
    mut to: impl AsyncWrite + Unpin,
    wanted: String,
    found: watch::Sender<bool>,
) -> io::Result<()> {
    let mut from = pipe::Receiver::from_owned_fd(from)?;
    let mut piece = vec![0; PIECE];
    let mut line = Line { wanted: wanted.into_bytes(), open: Vec::new() };
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        if !*found.borrow() && line.add(&piece[..read]) {
            found.send_replace(true);
        }
        // Nobody reads it: the child is not to stand still for that.
        let _ = to.write_all(&piece[..read]).await;
        let _ = to.flush().await;
    }
}

/// The line that isn't at its end yet.
struct Line {
    wanted: Vec<u8>,
    open: Vec<u8>,
}

impl Line {
    /// Whether the text is in what has come, a line that isn't at its end included.
    fn add(&mut self, piece: &[u8]) -> bool {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(part);
            let found = self.open.windows(self.wanted.len()).any(|window| window == self.wanted);
            if found {
                return true;
            }
            if part.ends_with(b"\n") || self.open.len() > LONGEST {
                self.open.clear();
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_one_line_however_it_comes() {
        let found = |pieces: &[&str]| {
            let mut line = Line { wanted: b"is up".to_vec(), open: Vec::new() };
            pieces.iter().any(|piece| line.add(piece.as_bytes()))
        };
        assert!(found(&["it is up\n"]));
        assert!(found(&["it i", "s u", "p"]));
        assert!(found(&["a\nb\nis up"]));
        assert!(!found(&["is \n", "up"]));
        assert!(!found(&["is", "\nup"]));
    }
}
