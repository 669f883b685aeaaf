//! The tool `exec`: a shell command in the host process.
//!
//! Owns the bounds on a command: its time, its children and how much of its output is kept. Must not know who calls it.

use std::{
    convert::Infallible, env, future::pending, io, os::unix::process::ExitStatusExt as _, pin::pin, process::Stdio,
    time::Duration,
};

use async_trait::async_trait;
use futures::{FutureExt as _, future::FusedFuture as _};
use kitaru::agent::{Invocation, Tool, ToolDefinition, ToolError, ToolOutput};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    time::timeout,
};

/// The environment variables that a command sees. None of them contains a key.
const SEEN: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// After the kill: how long to wait for a pipe that a process outside the process group holds open.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs a shell command, within bounds. No process that it starts outlives the call, except one that leaves its process group
/// (`setsid`): only a container holds that one.
pub(crate) struct Exec {
    definition: ToolDefinition,
    time: Duration,
    bytes: usize,
}

impl Default for Exec {
    fn default() -> Self {
        Self::bounded(Duration::from_secs(30), 16 * 1024)
    }
}

impl Exec {
    /// A tool whose commands may take `time`, and which keeps `bytes` of each output.
    pub(crate) fn bounded(time: Duration, bytes: usize) -> Self {
        let description = format!(
            "Runs a shell command (sh -c) on this machine and gives its exit code, stdout and stderr. A command that \
             takes longer than {time:?} is killed with its children; of each output the first {bytes} bytes are kept."
        );
        let definition = ToolDefinition::new("exec", description).parameters(serde_json::json!({
            "type": "object",
            "properties": { "command": { "type": "string", "description": "The command, as typed at a prompt." } },
            "required": ["command"],
            "additionalProperties": false,
        }));
        Self { definition, time, bytes }
    }

    /// Runs one command. Dropping the future kills it.
    pub(crate) async fn run(&self, command: &str) -> io::Result<ExecOutput> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            // The output of a command is recorded, and must not contain keys: the command sees only the listed variables. A
            // command of the same user can still read this process's own environment in `/proc`. Only another user or a
            // container prevents that.
            .env_clear()
            .envs(env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| SEEN.contains(&name))))
            .spawn()?;
        let mut group = Group::of(&child);
        let (mut stdout, mut stderr) = (Kept::new(self.bytes), Kept::new(self.bytes));
        let (out, err) = (child.stdout.take(), child.stderr.take());

        let ended = {
            // Both pipes are read all the time, even past the bound: a full pipe would block the command forever.
            let mut reading = pin!(futures::future::join(stdout.read(out), stderr.read(err)).fuse());
            let ended = tokio::select! {
                ended = timeout(self.time, child.wait()) => ended,
                never = async { reading.as_mut().await; pending::<Infallible>().await } => match never {},
            };
            // Its children too, whether it ended or not: one that holds the pipe would keep us reading.
            group.kill();
            if !reading.is_terminated() {
                let _ = timeout(DRAIN, reading).await;
            }
            ended
        };
        let timed_out = ended.is_err();
        let status = match ended {
            Ok(status) => status?,
            Err(_) => child.wait().await?,
        };
        let code = status.code().or(status.signal().map(|signal| 128 + signal));
        Ok(ExecOutput {
            exit_code: code.filter(|_| !timed_out),
            timed_out,
            stdout_bytes_cut: stdout.cut(),
            stderr_bytes_cut: stderr.cut(),
            stdout: stdout.text(),
            stderr: stderr.text(),
        })
    }
}

#[async_trait]
impl Tool for Exec {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, call: Invocation) -> Result<ToolOutput, ToolError> {
        #[derive(Deserialize)]
        struct Arguments {
            command: String,
        }
        let Arguments { command } = call.arguments.parse()?;
        ToolOutput::json(&self.run(&command).await?)
    }
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecOutput {
    /// 128 plus the signal for a command that a signal ended; `None` for one that was killed for its time.
    pub(crate) exit_code: Option<i32>,
    /// Whether it was killed for its time.
    pub(crate) timed_out: bool,
    /// Its standard output, up to the bound.
    pub(crate) stdout: String,
    /// How many bytes of it exceeded the bound.
    pub(crate) stdout_bytes_cut: u64,
    /// Its standard error, up to the bound.
    pub(crate) stderr: String,
    /// How many bytes of it exceeded the bound.
    pub(crate) stderr_bytes_cut: u64,
}

/// The first bytes of a stream, and how many there were.
struct Kept {
    bytes: Vec<u8>,
    bound: usize,
    seen: u64,
}

impl Kept {
    fn new(bound: usize) -> Self {
        Self { bytes: Vec::new(), bound, seen: 0 }
    }

    async fn read(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut buffer = vec![0; 8 * 1024];
        // An error of a pipe is its end: no more output can arrive.
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            self.seen += n as u64;
            let room = self.bound - self.bytes.len();
            self.bytes.extend_from_slice(&buffer[..n.min(room)]);
        }
    }

    fn cut(&self) -> u64 {
        self.seen - self.bytes.len() as u64
    }

    fn text(&self) -> String {
        let whole = match std::str::from_utf8(&self.bytes) {
            // The bound splits a character: leave it out.
            Err(error) if self.cut() > 0 && error.error_len().is_none() => &self.bytes[..error.valid_up_to()],
            _ => &self.bytes,
        };
        String::from_utf8_lossy(whole).into_owned()
    }
}

/// The process group of a command, killed when it is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)))
    }

    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // The only possible error is that no process is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
