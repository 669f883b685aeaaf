//! The wire between a program and its model's server: it forwards both directions, and holds an exchange at a given point,
//! so that the program can be killed there. Must not know the content.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;

/// Where an exchange is held. Exchanges are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The question is on its way, and the server has not seen it.
    Question(usize),
    /// The server has answered completely, and so many events were forwarded; with 0, not even the head.
    Answer(usize, usize),
    /// The server has answered, and all of it was forwarded, even a broken end.
    Over(usize),
}

/// Changes a question before the server gets it.
type Prepare = dyn Fn(&Value) + Send + Sync;

/// A wire. It lives as long as its process.
pub(crate) struct Wire {
    address: SocketAddr,
    ends: Arc<Ends>,
    held: Receiver<()>,
}

struct Ends {
    server: SocketAddr,
    prepare: Box<Prepare>,
    held: Sender<()>,
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Default)]
struct State {
    hold: Option<Hold>,
    exchanges: Vec<Exchange>,
    /// The number of exchanges that are not over.
    open: usize,
}

/// A question, and the forwarded part of its answer.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) question: Value,
    pub(crate) events: usize,
}

impl Wire {
    /// A wire to `server`, each question of which is shown to `prepare` first.
    pub(crate) fn to(server: SocketAddr, prepare: impl Fn(&Value) + Send + Sync + 'static) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, held) = channel();
        let (state, idle) = (Mutex::default(), Condvar::new());
        let ends = Arc::new(Ends { server, prepare: Box::new(prepare), held: sender, state, idle });
        let accepting = ends.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let ends = accepting.clone();
                ends.state.lock().unwrap().open += 1;
                // The client may have been killed: then there is no client to forward to.
                std::thread::spawn(move || {
                    let _ = client.and_then(|client| ends.exchange(client));
                    ends.state.lock().unwrap().open -= 1;
                    ends.idle.notify_all();
                });
            }
        });
        Wire { address, ends, held }
    }

    /// Where a client finds its server.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Forgets all exchanges, and holds nothing but this.
    pub(crate) fn begin(&self, hold: Option<Hold>) {
        *self.idle() = State { hold, ..State::default() };
    }

    /// Waits until the exchange is held. False if the program ends first.
    pub(crate) fn is_held(&self) -> bool {
        self.held.recv_timeout(Duration::from_secs(30)).is_ok()
    }

    /// All exchanges, in the order of their questions.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.idle().exchanges.clone()
    }

    /// Waits until no exchange is open: the server may still be answering a client that was killed.
    fn idle(&self) -> MutexGuard<'_, State> {
        // Once this connection is closed, all earlier connections are counted.
        let mut last = TcpStream::connect(self.address).expect("a connection");
        last.shutdown(Shutdown::Write).expect("nothing to ask");
        last.read_to_end(&mut Vec::new()).expect("its end");
        self.ends.idle.wait_while(self.ends.state.lock().unwrap(), |state| state.open > 0).unwrap()
    }
}

impl Ends {
    fn exchange(&self, client: TcpStream) -> std::io::Result<()> {
        // Lines are handed on one by one.
        client.set_nodelay(true)?;
        let question = Question::read(&client)?;
        let nth = {
            let mut state = self.state.lock().unwrap();
            state.exchanges.push(Exchange { question: question.body.clone(), events: 0 });
            state.exchanges.len()
        };
        self.answer(nth, question, client)
    }

    fn answer(&self, nth: usize, question: Question, mut client: TcpStream) -> std::io::Result<()> {
        let hold = self.state.lock().unwrap().hold;
        if hold == Some(Hold::Question(nth)) {
            return self.hold(client);
        }
        (self.prepare)(&question.body);
        let mut server = TcpStream::connect(self.server)?;
        server.write_all(&question.bytes)?;
        if hold == Some(Hold::Answer(nth, 0)) {
            server.read_to_end(&mut Vec::new())?;
            return self.hold(client);
        }
        let (mut answer, mut events) = (BufReader::new(server), 0);
        loop {
            let mut line = Vec::new();
            // Either side may have closed its connection.
            if matches!(answer.read_until(b'\n', &mut line), Ok(0) | Err(_)) || client.write_all(&line).is_err() {
                break;
            }
            if line.starts_with(b"data:") {
                events += 1;
                self.state.lock().unwrap().exchanges[nth - 1].events = events;
            }
            if line == b"\n" && hold == Some(Hold::Answer(nth, events)) {
                answer.read_to_end(&mut Vec::new())?;
                return self.hold(client);
            }
        }
        let _ = client.shutdown(Shutdown::Write);
        if hold == Some(Hold::Over(nth)) { self.hold(client) } else { Ok(()) }
    }

    /// Announces that the exchange is held, and holds it until the client is gone.
    fn hold(&self, mut client: TcpStream) -> std::io::Result<()> {
        // Without a receiver, the test has failed already.
        let _ = self.held.send(());
        client.read_to_end(&mut Vec::new()).map(drop)
    }
}

/// A question, and its bytes as they are handed on.
struct Question {
    bytes: Vec<u8>,
    body: Value,
}

impl Question {
    fn read(client: &TcpStream) -> std::io::Result<Question> {
        let mut reader = BufReader::new(client);
        let (mut bytes, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
            if !name.eq_ignore_ascii_case("connection") {
                bytes.extend_from_slice(line.as_bytes());
            }
        }
        // One exchange on each connection, so that its end is that of the answer.
        bytes.extend_from_slice(b"connection: close\r\n\r\n");
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        bytes.extend_from_slice(&body);
        Ok(Question { bytes, body: serde_json::from_slice(&body)? })
    }
}
