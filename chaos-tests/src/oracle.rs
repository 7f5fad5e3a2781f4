//! A real InfluxDB 1.x as the judge of answers.

use crate::client::Client;
use crate::ports::free_port;
use crate::process::Process;
use crate::work_dir::WorkDir;
use rustls::ClientConfig;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where Debian's package puts the server.
const INFLUXD: &str = "/usr/bin/influxd";

/// A running influxd with its own directory and port.
#[derive(Debug)]
pub struct Oracle {
    address: String,
    tls: Option<Arc<ClientConfig>>,
    // Declared before the directory: the process must be gone before its files are.
    process: Process,
    _directory: WorkDir,
}

impl Oracle {
    /// Starts one, empty, without limits.
    ///
    /// Panics when influxd is not installed: a comparison that does not take place must not pass.
    pub fn start() -> Self {
        Self::start_configured((0, 0), "")
    }

    /// As [`Self::start`]; it asks who sends a request.
    pub fn start_with_users() -> Self {
        Self::start_configured((0, 0), "auth-enabled = true")
    }

    /// As [`Self::start`]; it speaks TLS with the certificate and key in a file.
    pub fn start_secure(pem: &Path, tls: Arc<ClientConfig>) -> Self {
        let pem = pem.display();
        let options = format!("https-enabled = true\nhttps-certificate = \"{pem}\"");
        Self::start_with((0, 0), &options, Some(tls))
    }

    /// As [`Self::start`], with so many series in a database and values of a tag; 0 is no limit.
    pub fn start_limited(series_max: u64, values_max: u64) -> Self {
        Self::start_configured((series_max, values_max), "")
    }

    /// With limits of series in a database and of values of a tag, and more of its configuration's `[http]`.
    fn start_configured(limits: (u64, u64), http_options: &str) -> Self {
        Self::start_with(limits, http_options, None)
    }

    fn start_with(limits: (u64, u64), http_options: &str, tls: Option<Arc<ClientConfig>>) -> Self {
        let installed = Path::new(INFLUXD).is_file();
        assert!(
            installed,
            "{INFLUXD} is missing: install the package influxdb (scripts/install-deps.sh does it)"
        );
        let directory = WorkDir::new("oracle");
        let (http, rpc) = (free_port(), free_port());
        let config = directory.path().join("influxdb.toml");
        let written =
            std::fs::write(&config, configuration(directory.path(), (http, rpc), limits, http_options));
        assert!(written.is_ok(), "cannot write {}", config.display());
        let mut command = Command::new(INFLUXD);
        command.arg("-config").arg(&config);
        let process = Process::start(&mut command, &directory.path().join("influxd.log"));
        let address = format!("127.0.0.1:{http}");
        let mut oracle = Self { address, tls, process, _directory: directory };
        oracle.wait_ready();
        oracle
    }

    /// `host:port` of its HTTP API.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A new client of it.
    pub fn client(&self) -> Client {
        Client::new(&self.address).with_timeout(Duration::from_secs(120)).with_tls(self.tls.clone())
    }

    fn wait_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.client().get("/ping").is_ok_and(|answer| answer.status == 204) {
            let waits = self.process.is_running() && Instant::now() < deadline;
            assert!(waits, "influxd did not start:\n{}", self.process.log_tail());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn configuration(
    directory: &Path,
    (http, rpc): (u16, u16),
    (series_max, values_max): (u64, u64),
    http_options: &str,
) -> String {
    let root = directory.display();
    format!(
        r#"reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{root}/meta"
[data]
dir = "{root}/data"
wal-dir = "{root}/wal"
query-log-enabled = false
max-series-per-database = {series_max}
max-values-per-tag = {values_max}
[coordinator]
write-timeout = "60s"
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{http}"
log-enabled = false
{http_options}
[subscriber]
enabled = false
"#
    )
}
