//! Stage 1: an agent whose turns survive the process.
//!
//! The agent finds out about its machine, and then sums up the finding.
//!
//! - `FORCE_FAILURE=1` fails between the two turns. Run it again without, and the first turn is not paid for again.
//! - `DISABLE_CACHE=1` runs everything again.
//! - With `OPENAI_API_KEY` (and `OPENAI_BASE_URL`, `OPENAI_MODEL`) a real model answers, otherwise a script does.

mod harness;

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use harness::agents::{build_agent, which_model};
use harness::meter::METER;
use harness::profile::Profile;
use kitaru::agent::{KitaruAgent, Usage};
use kitaru::{Reuse, flow};
use serde::{Deserialize, Serialize};

const FIND_OUT: &str = "Find out which operating system this machine runs, its kernel version, the current user, and \
    how many processes are running. Use one shell command for each. Then answer with a list of these four lines: \
    `- Operating system: …`, `- Kernel version: …`, `- Current user: …`, `- Number of processes: …`.";

const SUM_UP: &str = "Summarize this finding in one paragraph. Run no command; all you need is here.";

/// The results of the two turns.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    finding: String,
    summary: String,
    usage: Usage,
}

fn profile() -> Profile {
    Profile {
        name: "default".to_owned(),
        system_prompt: "You look into machines. You say only what a command has shown you.".to_owned(),
        model: "gpt-4.1-mini".to_owned(),
        allowed_tools: vec!["exec".to_owned()],
    }
}

#[flow]
async fn inspect_machine(profile: Profile) -> anyhow::Result<Report> {
    let agent = METER.on(&build_agent(&profile)?);
    let agent = KitaruAgent::new(agent).granular_checkpoints(false);

    let found = agent.run(FIND_OUT).await?;
    METER.saw(&found.usage);
    anyhow::ensure!(!is_on("FORCE_FAILURE"), "FORCE_FAILURE is set, so this fails between the two turns");
    let summed_up = agent.run(format!("{SUM_UP}\n\n{}", found.output)).await?;
    METER.saw(&summed_up.usage);

    let mut usage = found.usage;
    usage += summed_up.usage;
    Ok(Report { finding: found.output, summary: summed_up.output, usage })
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter("kitaru=info")
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_level(false)
        .with_target(false)
        .without_time()
        .init();
    let profile = profile();
    println!("{}\n", which_model(&profile));

    let start = Instant::now();
    let mut call = inspect_machine(profile);
    if is_on("DISABLE_CACHE") {
        call = call.fresh();
    }
    if is_on("FORCE_FAILURE") {
        // A finished job starts over, so that there is something to fail.
        call = call.reuse(Reuse::Unfinished);
    }
    let exit = match call.await {
        Ok(report) => {
            if METER.is_idle() {
                // The flow's own record answered.
                METER.saw(&report.usage);
            }
            println!("Finding\n{}\n\nSummary\n{}\n", report.finding, report.summary);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    };
    println!("{} Time: {:.3}s.", METER.bill(), start.elapsed().as_secs_f64());
    exit
}

/// Whether a variable of the environment is switched on.
fn is_on(name: &str) -> bool {
    env::var(name).is_ok_and(|value| !matches!(value.trim(), "" | "0" | "false"))
}
