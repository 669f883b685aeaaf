//! Starts `llmock`, an independent server, on a free port of this machine, and reads its request log.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Prints why a test is skipped. If no test may be skipped, as in CI, it fails: a skipped test looks like one that passed.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("KITARU_SKIP").is_none_or(|skips| skips != "never"), "skipped: {why}");
    eprintln!("skipped: {why}");
}

/// A running server. It ends when this is dropped.
pub(crate) struct LlMock {
    child: Child,
    port: u16,
}

impl LlMock {
    /// Starts the server in `LLMOCK`, or the `llmock` on the path. Prints a line if there is none.
    pub(crate) fn start() -> Option<Self> {
        let program = std::env::var_os("LLMOCK").unwrap_or_else(|| "llmock".into());
        // Another process may take the port before the server starts, so there are several tries.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(&program);
            command.args(["serve", "--host", "127.0.0.1", "--log-level", "error", "--port", &port.to_string()]);
            let child = match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
                Ok(child) => child,
                Err(error) => {
                    skip(&format!("llmock is not installed ({error}); `pip install llmock==0.2.2` to run this test"));
                    return None;
                }
            };
            let mut server = Self { child, port };
            if server.is_up() {
                return Some(server);
            }
        }
        panic!("llmock is installed but does not start");
    }

    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            if self.call("GET", "/health", "").is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its URL for an OpenAI client.
    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Its URL for an Anthropic client.
    pub(crate) fn anthropic_url(&self) -> String {
        format!("http://127.0.0.1:{}/anthropic/v1", self.port)
    }

    /// Queues the answers to the next requests.
    pub(crate) fn script(&self, behaviors: Value) {
        let body = serde_json::json!({ "behaviors": behaviors }).to_string();
        self.call("POST", "/_llmock/scenario", &body).expect("llmock takes the scenario");
    }

    /// Every request that it served, the oldest first: what was paid for.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let mut log = self.call("GET", "/_llmock/requests", "").expect("llmock gives its log");
        serde_json::from_value(log["requests"].take()).unwrap()
    }

    /// Deletes the requests and the queue.
    pub(crate) fn reset(&self) {
        self.call("POST", "/_llmock/reset", "").expect("llmock forgets");
    }

    /// Its verdict on the client's manners: the codes of its findings.
    pub(crate) fn verdict(&self) -> Value {
        self.call("GET", "/_llmock/verdict", "").expect("llmock gives its verdict")
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.split_whitespace().nth(1).filter(|status| status.starts_with('2'))?;
        serde_json::from_str(body).ok()
    }
}

impl Drop for LlMock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
