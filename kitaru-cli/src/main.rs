//! The command `kitaru`: find executions, read what they did and why they wait, answer, cancel and resume them.
//!
//! It asks the process that holds the store, over the socket in the store's folder. Where no process holds it, it opens the store
//! itself.

mod args;
mod commands;
mod failure;
mod output;
mod target;
mod text;
mod typed;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};
use crate::failure::Failure;
use crate::target::Store;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(()) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            anstream::eprintln!(
                "{}error:{} {}",
                text::BAD.render(),
                text::BAD.render_reset(),
                text::plain(&failure.to_string())
            );
            ExitCode::from(failure.code())
        }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    let Args { dir, json, command } = args;
    if let Command::Completions { shell } = command {
        return commands::completions(shell);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::Failed(format!("cannot begin: {why}")))?;
    match command {
        Command::Serve { port, read_only, token, mcp_allow_write } => {
            let serving = commands::Serving { port, read_only, token, mcp_allow_write };
            return runtime.block_on(commands::serve(&dir, serving));
        }
        Command::Mcp { allow_write } => return runtime.block_on(commands::mcp(&dir, allow_write)),
        _ => {}
    }
    if let Command::Restore { file } = command {
        return runtime.block_on(commands::restore(&dir, &file, json));
    }
    if let Command::Import(import) = command {
        return commands::import(&import, json);
    }
    runtime.block_on(async {
        let store = Store::reach(&dir).await?;
        commands::run(&store, command, json).await
    })
}
