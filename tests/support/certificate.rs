//! Certificates for TLS, made with openssl: an authority, and a server's that it signed.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::account;

/// `ca.pem`, `server.pem` and `server.key` in the folder; the server is called `name`, a host name
/// or an address.
pub fn for_server(folder: &Path, name: &str) {
    authority(folder);
    let kind = if name.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
    fs::write(folder.join("san"), format!("subjectAltName={kind}:{name}")).expect("a file");
    let request = "req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
                   -keyout server.key -out server.csr -subj /CN=lockkeeper-test-server";
    openssl(folder, request);
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                -extfile san -out server.pem";
    openssl(folder, sign);
    for file in ["server.key", "server.pem"] {
        account::give(&folder.join(file));
    }
}

/// `ca.pem` and `ca.key` in the folder: an authority of its own.
pub fn authority(folder: &Path) {
    let request = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 \
                   -keyout ca.key -out ca.pem -subj /CN=lockkeeper-test-authority \
                   -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign";
    openssl(folder, request);
}

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace()).current_dir(folder);
    let output = command.output().expect("openssl, which tests/run installs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
