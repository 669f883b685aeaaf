//! A server of canned answers: each connection gets the next one.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;

/// One answer. The connection ends with it.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
    /// The pieces after the body, each after a pause.
    pub(crate) rest: Vec<(Pause, String)>,
    pub(crate) is_held: bool,
}

pub(crate) type Pause = Duration;

impl Answer {
    pub(crate) fn json(body: String) -> Self {
        let headers = "Content-Type: application/json\r\n".to_owned();
        Self { status: 200, headers, body, rest: Vec::new(), is_held: false }
    }

    /// The same answer, with these pieces as its body and a pause between them.
    pub(crate) fn paused(mut self, pieces: &[&str], pause: Pause) -> Self {
        self.rest = pieces[1..].iter().map(|piece| (pause, (*piece).to_owned())).collect();
        self.body = pieces[0].to_owned();
        self
    }

    /// The same answer, which stops after its first piece until the client hangs up.
    pub(crate) fn held(mut self) -> Self {
        self.is_held = true;
        self
    }
}

pub(crate) fn json_of(body: &Value) -> Answer {
    Answer::json(body.to_string())
}

pub(crate) fn sse(body: &str) -> Answer {
    Answer { headers: "Content-Type: text/event-stream\r\n".to_owned(), ..Answer::json(body.to_owned()) }
}

pub(crate) struct Server {
    pub(crate) url: String,
    /// The head and the body of each request.
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut line, mut length) = (String::new(), String::new(), 0);
                while line.trim() != "" || line.is_empty() {
                    line.clear();
                    reader.read_line(&mut line).unwrap();
                    head.push_str(&line);
                    if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = said.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                noted.lock().unwrap().push((head, String::from_utf8(body).unwrap()));
                let Answer { status, headers, body, rest, is_held } = answer;
                // A client that has seen enough may hang up before the whole answer is written.
                let _ = write!(stream, "HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}\r\n{body}");
                if is_held {
                    let _ = reader.read(&mut [0]);
                    continue;
                }
                for (pause, piece) in rest {
                    thread::sleep(pause);
                    let _ = stream.write_all(piece.as_bytes());
                }
            }
        });
        Self { url, seen }
    }

    /// The bodies of the requests, in order.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    /// The heads of the requests, in order: the first line, and the headers.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }
}
