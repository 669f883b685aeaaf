//! `kitaru serve`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use kitaru_control::{folder, serve_tcp};

use crate::failure::Failure;
use crate::output::print;

/// What is served, and how.
pub(crate) struct Serving {
    pub(crate) port: u16,
    pub(crate) read_only: bool,
    pub(crate) token: Option<String>,
    pub(crate) mcp_allow_write: bool,
}

/// Serves until Ctrl-C.
pub(crate) async fn run(dir: &Path, serving: Serving) -> Result<(), Failure> {
    let Serving { port, read_only, token, mcp_allow_write } = serving;
    let token = match token.filter(|token| !token.is_empty()) {
        Some(token) => token,
        None => random()?,
    };
    // A server needs its port before the router can say what hosts it answers to.
    let port = match port {
        0 => free_port()?,
        port => port,
    };
    let hosts = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let mut router = folder(dir).token(token.clone(), hosts);
    if !read_only {
        router = router.allow_actions();
    }
    if mcp_allow_write {
        router = router.allow_assistants_to_act();
    }
    let server = serve_tcp(router, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .map_err(|error| Failure::Failed(format!("{error:#}; choose another one with --port")))?;
    print(&format!("http://127.0.0.1:{port}/login#{token}\n"))?;
    tokio::signal::ctrl_c().await.map_err(|why| Failure::Failed(format!("cannot wait for Ctrl-C: {why}")))?;
    drop(server);
    Ok(())
}

fn free_port() -> Result<u16, Failure> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|why| Failure::Failed(format!("cannot find a free port: {why}")))
}

/// 128 random bits, in hexadecimal.
fn random() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|why| Failure::Failed(format!("cannot draw a token: {why}; set KITARU_TOKEN")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
