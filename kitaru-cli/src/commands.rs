//! What each command does. Owns the order of questions and what is printed; must not know how a text looks.

mod bulk;
mod fork;
mod list;
mod logs;
mod mcp;
mod serve;
mod show;
mod stats;
mod tail;
mod upkeep;

use clap::CommandFactory as _;
use kitaru_control::api;
use serde_json::Value;

use crate::args::{Args, Command};
use crate::failure::Failure;
use crate::output::{done, now_ms, print, print_json};
use crate::target::Store;
use crate::text::{self, Cell};
use crate::typed::value_of;

pub(crate) use mcp::run as mcp;
pub(crate) use serve::{Serving, run as serve};
pub(crate) use upkeep::{import, restore};

/// Runs a command.
pub(crate) async fn run(store: &Store, command: Command, json: bool) -> Result<(), Failure> {
    match command {
        Command::List(list) => list::run(store, list, json).await,
        Command::Show(show) => show::run(store, show, json).await,
        Command::Tail { execution } => tail::run(store, &execution, json).await,
        Command::Logs(logs) => logs::run(store, logs, json).await,
        Command::Waits => waits(store, json).await,
        Command::Answer { execution, value, wait } => answer(store, &execution, &value, wait, json).await,
        Command::Send { execution, signal, value, key } => {
            let signal = api::Signal { signal, value: value_of(&value), key };
            send(store, &execution, &signal, json).await
        }
        Command::Cancel(cancel) => bulk::cancel(store, cancel, json).await,
        Command::Resume(resume) => bulk::resume(store, resume, json).await,
        Command::Stats => stats::run(store, json).await,
        Command::Fork(fork) => fork::fork(store, fork, json).await,
        Command::Diff { first, second, all } => fork::diff(store, &first, &second, all, json).await,
        Command::Export { execution } => export(store, &execution).await,
        Command::Status => status(store, json).await,
        Command::Delete(delete) => upkeep::delete(store, &delete, json).await,
        Command::Gc(gc) => upkeep::gc(store, &gc, json).await,
        Command::Doctor => upkeep::doctor(store, json).await,
        Command::Backup { file } => upkeep::backup(store, &file, json).await,
        Command::Audit => upkeep::audit(store, json).await,
        // Those need no store.
        Command::Completions { .. }
        | Command::Mcp { .. }
        | Command::Serve { .. }
        | Command::Restore { .. }
        | Command::Import(_) => Ok(()),
    }
}

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    clap_complete::generate(shell, &mut Args::command(), "kitaru", &mut std::io::stdout());
    Ok(())
}

/// As [`value_of`], for a question: where a boolean is asked for, `yes` and `no` are one, and where a text is, `7` is a text.
fn answer_of(text: &str, schema: &Value) -> Value {
    match (schema["type"].as_str(), text) {
        (Some("boolean"), "yes" | "y") => Value::Bool(true),
        (Some("boolean"), "no" | "n") => Value::Bool(false),
        (Some("string"), text) if !text.starts_with('"') => Value::String(text.to_owned()),
        _ => value_of(text),
    }
}

/// Who takes what was sent.
fn takes(store: &Store) -> &'static str {
    match store.is_free {
        true => "; the next process that opens the store takes it",
        false => "",
    }
}

async fn waits(store: &Store, json: bool) -> Result<(), Failure> {
    let waits = store.client.waits().await?;
    if json {
        return print_json(&waits);
    }
    if waits.waits.is_empty() {
        return print("nothing waits for an answer\n");
    }
    let now = now_ms();
    let rows = waits.waits.iter().map(|wait| {
        let refused = wait.refused.as_ref().map_or_else(String::new, |why| format!(" (refused: {})", text::plain(why)));
        vec![
            Cell::new(text::name(&wait.flow, &wait.id)),
            Cell(text::plain(&wait.name), text::STRONG),
            Cell::new(text::when(wait.since_ms, now)),
            Cell::new(format!("{}{refused}", text::plain(&wait.question))),
        ]
    });
    print(&text::table(&["EXECUTION", "WAIT", "SINCE", "QUESTION"], rows.collect()))?;
    match waits.more {
        true => print("there are more; answer these first\n"),
        false => Ok(()),
    }
}

async fn answer(store: &Store, execution: &str, value: &str, wait: Option<String>, json: bool) -> Result<(), Failure> {
    let target = store.find(execution).await?;
    let name = target.name();
    let open = store.client.execution(&target.flow, &target.id).await?.waits;
    let named = |wanted: &str| open.iter().find(|open| open.name == wanted);
    let (wait, schema) = match (wait, &*open) {
        (Some(wait), _) => {
            let schema = named(&wait).map_or(Value::Null, |open| open.schema.clone());
            (wait, schema)
        }
        (None, [open]) => (open.name.clone(), open.schema.clone()),
        (None, []) => {
            return Err(Failure::NotFound(format!(
                "cannot answer {name}: it has no open question; name one with --wait to answer it early"
            )));
        }
        (None, several) => {
            let names: Vec<_> = several.iter().map(|wait| text::plain(&wait.name)).collect();
            let names = names.join(", ");
            return Err(Failure::Failed(format!(
                "cannot answer {name}: it has several open questions; name one with --wait: {names}"
            )));
        }
    };
    let answer = api::Answer { wait, value: answer_of(value, &schema) };
    store.client.answer(&target.flow, &target.id, &answer).await?;
    done(json, &format!("answered {} of {name}{}", text::plain(&answer.wait), takes(store)))
}

async fn send(store: &Store, execution: &str, signal: &api::Signal, json: bool) -> Result<(), Failure> {
    let target = store.find(execution).await?;
    store.client.signal(&target.flow, &target.id, signal).await?;
    done(json, &format!("sent {} to {}{}", text::plain(&signal.signal), target.name(), takes(store)))
}

async fn export(store: &Store, execution: &str) -> Result<(), Failure> {
    let target = store.find(execution).await?;
    print_json(&store.client.export(&target.flow, &target.id).await?)
}

async fn status(store: &Store, json: bool) -> Result<(), Failure> {
    let status = store.client.status().await?;
    if store.is_free && !json {
        return print("no process holds the store\n");
    }
    if json {
        return print_json(&status);
    }
    let actions = if status.actions { "takes actions" } else { "is read-only" };
    print(&format!(
        "process {} holds the store (kitaru {}, API {}) and {actions}\n",
        status.pid, status.version, status.api
    ))
}
