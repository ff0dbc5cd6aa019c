//! Serves an empty API on a loopback port and prints the configuration for `kubectl`.
//! usage: `kubeapi [PORT [DATA_DIR]]`

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use argosy_apiserver::{Access, Options, Server};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port: u16 = match std::env::args().nth(1) {
        Some(text) => text.parse().context("the port is not a number")?,
        None => 0,
    };
    let server = match std::env::args().nth(2) {
        Some(dir) => Server::open(Options::default(), Path::new(&dir)).context("open the data")?,
        None => Server::new(Options::default()),
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.context("listen")?;
    let access = Arc::new(Access::new().context("make a token")?);
    print!("{}", access.kubeconfig(listener.local_addr()?));
    let stop = async {
        // Without signals the server just runs on.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    server.serve(listener, access, stop).await.context("serve")
}
