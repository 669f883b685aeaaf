//! What may be typed. Owns the names of commands and options; must not know what they do.

mod filter;
mod upkeep;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use filter::{Bulk, Cancel, List, Resume};
pub(crate) use upkeep::{Delete, Gc, Import};

/// See executions and steer them.
///
/// An EXECUTION is `flow/id`, as `list` prints it, or the beginning of an id where one execution has it.
#[derive(Debug, Parser)]
#[command(name = "kitaru", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Args {
    /// The folder of the store
    #[arg(long, global = true, env = "KITARU_DIR", default_value = ".kitaru", value_name = "FOLDER")]
    pub(crate) dir: PathBuf,
    /// Print JSON, in the shapes of the control API
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused (it conflicts, or the server is \
                          read-only), 5 the store cannot be reached";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List executions, newest first
    List(List),
    /// Show one execution: its records, its open questions, its error
    Show(Show),
    /// Follow one execution until it ends
    Tail {
        /// flow/id, or the beginning of an id
        execution: String,
    },
    /// Print what the program has logged in an execution
    Logs(Logs),
    /// List the open questions, oldest first
    Waits,
    /// Answer an open question
    Answer {
        /// flow/id, or the beginning of an id
        execution: String,
        /// The answer: JSON, or a text
        value: String,
        /// Which question; may be left out where only one is open
        #[arg(long, value_name = "NAME")]
        wait: Option<String>,
    },
    /// Send a signal
    Send {
        /// flow/id, or the beginning of an id
        execution: String,
        /// The name of the signal
        signal: String,
        /// Its value: JSON, or a text
        #[arg(default_value = "null")]
        value: String,
        /// A signal with a key counts once, however often it is sent
        #[arg(long)]
        key: Option<String>,
    },
    /// Cancel an execution, or all that match the filters; their undo steps run
    Cancel(Cancel),
    /// Resume an execution that has failed, is stuck or was interrupted, or all that match the filters
    Resume(Resume),
    /// Begin a new execution with records of another one
    ///
    /// The program that has the flow must be running. Without --from, the fork has all records before the last --set; without
    /// either, all records, or none with --input.
    Fork(Fork),
    /// Compare two executions, record by record
    Diff {
        /// flow/id, or the beginning of an id
        first: String,
        /// flow/id, or the beginning of an id
        second: String,
        /// Show equal records too
        #[arg(long)]
        all: bool,
    },
    /// Print the history of an execution, for a test
    Export {
        /// flow/id, or the beginning of an id
        execution: String,
    },
    /// Delete an execution that has ended
    Delete(Delete),
    /// Delete executions whose retention is over, now
    Gc(Gc),
    /// Look at every row of the store: what is damaged, unfinished or large
    Doctor,
    /// Write a backup of the whole store, while it is used
    Backup {
        /// The file, which does not exist; the process that holds the store writes it
        file: PathBuf,
    },
    /// Make a store of a backup, in the folder that --dir names
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// Put a history that `export` printed into the folder of a test
    Import(Import),
    /// List who deleted what
    Audit,
    /// Serve the dashboard and the API on loopback, until Ctrl-C
    Serve {
        /// The port; 0 takes any
        #[arg(long, default_value_t = 7420)]
        port: u16,
        /// Show and do not act
        #[arg(long)]
        read_only: bool,
        /// What a browser must send; a random one unless set
        #[arg(long, env = "KITARU_TOKEN", hide_env_values = true)]
        token: Option<String>,
        /// Let assistants act, which speak MCP at /mcp; without it they only look
        #[arg(long, conflicts_with = "read_only")]
        mcp_allow_write: bool,
    },
    /// Serve an assistant that starts this command, by MCP over stdio
    Mcp {
        /// Let it answer, cancel and resume; without it the assistant only looks
        #[arg(long)]
        allow_write: bool,
    },
    /// Print the store and its process in numbers: flows, rates, durations, commits
    Stats,
    /// Say which process holds the store
    Status,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Fork {
    /// flow/id, or the beginning of an id
    pub(crate) execution: String,
    /// The first record that runs again
    #[arg(long, value_name = "RECORD", conflicts_with_all = ["by_key", "strict"])]
    pub(crate) from: Option<String>,
    /// A value in the place of a recorded one: JSON, or a text; may be repeated
    #[arg(long, value_name = "RECORD=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// Another input: a JSON list of the flow's arguments, or an object with their names
    #[arg(long, value_name = "JSON")]
    pub(crate) input: Option<String>,
    /// Let every record answer calls with equal arguments, and run only other calls
    #[arg(long)]
    pub(crate) by_key: bool,
    /// As --by-key, and fail before a checkpoint runs that no record answers
    #[arg(long)]
    pub(crate) strict: bool,
    /// The id of the fork; the original's with a number unless set
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// A tag of the fork; may be repeated
    #[arg(long)]
    pub(crate) tag: Vec<String>,
    /// Ask people again, and wait for signals again
    #[arg(long)]
    pub(crate) forget_answers: bool,
    /// Say what would run again, and begin nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let assigned = text.split_once('=').filter(|(record, _)| !record.is_empty());
    let (record, value) = assigned.ok_or("write it as RECORD=VALUE")?;
    Ok((record.to_owned(), value.to_owned()))
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// flow/id, or the beginning of an id
    pub(crate) execution: String,
    /// How many records
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) limit: u32,
    /// Only records behind this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) after: Option<u64>,
    /// Print values whole
    #[arg(long)]
    pub(crate) values: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// flow/id, or the beginning of an id
    pub(crate) execution: String,
    /// Follow the log until the execution ends
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only this level, and more severe ones
    #[arg(long, value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(crate) level: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn arguments_are_consistent() {
        super::Args::command().debug_assert();
    }
}
