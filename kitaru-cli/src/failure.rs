//! Why a command fails, and its exit code. Must not know the commands.

use std::fmt;
use std::io;

use kitaru_control::ClientError;

#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for cannot be done.
    Failed(String),
    /// The arguments do not fit together.
    Usage(String),
    /// The store lacks the execution or the question.
    NotFound(String),
    /// The server refuses it, or its answer cannot be read.
    Client(ClientError),
    /// The store needs a person.
    Unwell(u64),
    /// The reader of the output has had enough, as `head` does.
    ClosedPipe,
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Failed(_) | Failure::Unwell(_) | Failure::ClosedPipe => 1,
            Failure::Usage(_) => 2,
            Failure::NotFound(_) => 3,
            Failure::Client(ClientError::Refused(problem)) => match &*problem.code {
                "misuse" | "too_large" => 2,
                "not_found" => 3,
                "unreachable" => 5,
                "conflict" | "stuck" | "cancelled" | "read_only" => 4,
                _ => 1,
            },
            Failure::Client(ClientError::Unreachable { .. }) => 5,
            Failure::Client(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Failed(why) | Failure::Usage(why) | Failure::NotFound(why) => f.write_str(why),
            Failure::Client(error) => error.fmt(f),
            Failure::Unwell(1) => f.write_str("the store has a problem, which is listed above"),
            Failure::Unwell(problems) => write!(f, "the store has {problems} problems, which are listed above"),
            Failure::ClosedPipe => f.write_str("the output was closed"),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Failure::Client(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Failed(format!("cannot print: {error}")),
        }
    }
}
