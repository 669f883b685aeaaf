//! A canned server: a thread that answers each connection with the next prepared bytes.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
};

use serde_json::Value;

pub(crate) const KEY: &str = "sk-very-secret-0123456789";

pub(crate) struct Server {
    pub(crate) url: String,
    seen: mpsc::Receiver<(String, Value)>,
}

impl Server {
    /// The posted requests, in order: the head, and the body as JSON.
    pub(crate) fn seen(&self) -> Vec<(String, Value)> {
        self.seen.try_iter().collect()
    }
}

pub(crate) fn serve(answers: Vec<String>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let (sender, seen) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let start = head.len();
                reader.read_line(&mut head).unwrap();
                match head[start..].trim() {
                    "" => break,
                    line => {
                        if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = n.trim().parse().unwrap();
                        }
                    }
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            sender.send((head, serde_json::from_slice(&body).unwrap())).unwrap();
            // A client that has seen the end of an answer may hang up before the whole answer is written.
            let said = answer.strip_prefix(SILENCE);
            let _ = stream.write_all(said.unwrap_or(&answer).as_bytes());
            if said.is_some() {
                // Keeps the connection open until the client hangs up.
                let _ = reader.read(&mut [0]);
            }
        }
    });
    Server { url, seen }
}

/// The prefix of an answer after which the server keeps the connection open.
pub(crate) const SILENCE: &str = "silence";

pub(crate) fn http(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}
