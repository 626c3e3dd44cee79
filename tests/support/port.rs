//! Free ports on the loopback interface.

use std::net::TcpListener;

/// A port that nobody listens on. It comes from below the range in which the system picks ports for
/// outgoing connections, so that a server which restarts finds its port still free. Another process
/// can be faster all the same: who uses it must be ready to try again.
pub fn free() -> u16 {
    loop {
        let port = fastrand::u16(10_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
